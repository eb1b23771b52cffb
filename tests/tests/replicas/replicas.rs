//! Two replicas on one etcd are consistent, and answer 503 while etcd is unavailable.

use std::time::{Duration, Instant};

use kqueen_tests::fixture::{
    app::{App, Options},
    etcd::{Etcd, Options as EtcdOptions},
};
use reqwest::StatusCode;
use serde_json::json;

async fn two_replicas(etcd: &Etcd) -> (App, App) {
    let options = Options::default().on_etcd(etcd, "/replicas");
    // Both start on an empty store at the same time; one of them creates the first superadmin.
    tokio::join!(App::start_with(options.clone()), App::start_with(options))
}

#[tokio::test]
async fn a_write_on_one_replica_is_visible_on_the_other_at_once() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let (one, other) = two_replicas(&etcd).await;
    let token = one.admin().await;
    for round in 0..50 {
        let (writer, reader) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let namespace = format!("n{round}");
        let id = writer.post("/organizations", &token, json!({"name": namespace, "namespace": namespace})).await.id();
        assert_eq!(reader.get(&format!("/organizations/{id}"), &token).await.ok()["namespace"], namespace.as_str());
        let list = reader.get("/organizations?offset=0&limit=1000", &token).await.ok();
        assert_eq!(list["total"], round + 2, "round {round}");
        writer.patch(&format!("/organizations/{id}"), &token, json!({"name": "renamed"})).await.ok();
        assert_eq!(reader.get(&format!("/organizations/{id}"), &token).await.ok()["name"], "renamed");
    }
}

#[tokio::test]
async fn a_deactivated_user_is_rejected_by_every_replica_at_once() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let (one, other) = two_replicas(&etcd).await;
    let token = one.admin().await;
    for round in 0..10 {
        let name = format!("user{round}");
        let user = json!({"username": name, "password": "a password", "role": "member"});
        let id = one.post("/users", &token, user).await.id();
        let theirs = other.log_in(&name, "a password").await;
        other.get("/users/whoami", &theirs).await.ok();
        one.patch(&format!("/users/{id}"), &token, json!({"active": false})).await.ok();
        assert_eq!(other.get("/users/whoami", &theirs).await.status, StatusCode::UNAUTHORIZED);
        one.patch(&format!("/users/{id}"), &token, json!({"active": true})).await.ok();
        assert_eq!(
            other.get("/users/whoami", &theirs).await.status,
            StatusCode::UNAUTHORIZED,
            "an old token is valid again"
        );
    }
}

#[tokio::test]
async fn two_replicas_cannot_create_the_same_namespace() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let (one, other) = two_replicas(&etcd).await;
    let token = one.admin().await;
    for round in 0..20 {
        let body = json!({"name": "same", "namespace": format!("same{round}")});
        let (first, second) =
            tokio::join!(one.post("/organizations", &token, body.clone()), other.post("/organizations", &token, body));
        let mut statuses = [first.status.as_u16(), second.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{first:?} {second:?}");
    }
}

#[tokio::test]
async fn requests_answer_503_while_etcd_is_frozen_and_recover_afterwards() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let app = App::start_with(Options::default().on_etcd(&etcd, "/away")).await;
    let token = app.admin().await;
    etcd.freeze();
    let asked = Instant::now();
    let (list, write, ready, alive) = tokio::join!(
        app.get("/organizations", &token),
        app.post("/organizations", &token, json!({"name": "a", "namespace": "a"})),
        app.get("/ready", &token),
        app.get("/health", &token),
    );
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert_eq!(alive.status, StatusCode::OK);
    for answer in [list, write, ready] {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        assert_eq!(answer.body["error"], "unavailable");
        assert!(answer.headers.contains_key("retry-after"));
    }
    etcd.thaw();
    let deadline = Instant::now() + Duration::from_secs(30);
    while app.get("/organizations", &token).await.status != StatusCode::OK {
        assert!(Instant::now() < deadline, "it did not recover\n{}", app.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    app.post("/organizations", &token, json!({"name": "b", "namespace": "b"})).await.ok();
}
