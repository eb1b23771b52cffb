//! Two replicas on one etcd never disagree, and say so when etcd is away.

use std::time::{Duration, Instant};

use kqueen_tests::fixture::{
    app::{App, Options},
    etcd::{Etcd, Options as EtcdOptions},
};
use reqwest::StatusCode;
use serde_json::json;

async fn two(etcd: &Etcd) -> (App, App) {
    let options = Options::default().on_etcd(etcd, "/replicas");
    // Both start on an empty store at the same moment; one of them makes the first superadmin.
    tokio::join!(App::start_with(options.clone()), App::start_with(options))
}

#[tokio::test]
async fn what_one_acknowledged_the_other_shows_at_once() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let (one, other) = two(&etcd).await;
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
async fn a_deactivated_user_is_out_on_every_replica_at_once() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let (one, other) = two(&etcd).await;
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
        assert_eq!(other.get("/users/whoami", &theirs).await.status, StatusCode::UNAUTHORIZED, "an old token revived");
    }
}

#[tokio::test]
async fn of_two_replicas_one_gets_the_name() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let (one, other) = two(&etcd).await;
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
async fn while_etcd_is_away_answers_are_503_and_it_heals_by_itself() {
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
        assert!(Instant::now() < deadline, "it did not heal\n{}", app.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    app.post("/organizations", &token, json!({"name": "b", "namespace": "b"})).await.ok();
}
