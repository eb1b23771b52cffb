//! The service starts, lets the first superadmin in, and survives a kill.

use kqueen_tests::fixture::{
    app::{App, Options},
    etcd::shared_etcd,
};
use serde_json::json;

async fn lives_on(mut app: App) {
    let token = app.admin().await;
    let body = json!({"name": "Payments", "namespace": "payments"});
    let id = app.post("/organizations", &token, body).await.id();
    app.restart().await;
    assert_eq!(app.get(&format!("/organizations/{id}"), &token).await.ok()["namespace"], "payments");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill_on_sled() {
    lives_on(App::start().await).await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill_on_etcd() {
    let Some(etcd) = shared_etcd().await else { return };
    lives_on(App::start_with(Options::default().on_etcd(&etcd, "/api-smoke")).await).await;
}
