//! The service starts, the first superadmin can log in, and data survives a kill.

use kqueen_tests::fixture::{
    app::{App, Options},
    etcd::shared_etcd,
};
use serde_json::json;

async fn survives_a_restart(mut app: App) {
    let token = app.admin().await;
    let body = json!({"name": "Payments", "namespace": "payments"});
    let id = app.post("/organizations", &token, body).await.id();
    app.restart().await;
    assert_eq!(app.get(&format!("/organizations/{id}"), &token).await.ok()["namespace"], "payments");
}

#[tokio::test]
async fn acknowledged_writes_survive_a_kill_on_sled() {
    survives_a_restart(App::start().await).await;
}

#[tokio::test]
async fn acknowledged_writes_survive_a_kill_on_etcd() {
    let Some(etcd) = shared_etcd().await else { return };
    survives_a_restart(App::start_with(Options::default().on_etcd(&etcd, "/api-smoke")).await).await;
}
