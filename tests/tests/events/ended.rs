//! Streams end with the token and the rights of their readers, and with the service.

use std::time::{Duration, Instant};

use kqueen_tests::fixture::{
    app::{ADMIN, App, Options},
    people::{Person, Tenant},
    sse::{PATIENCE, Stream},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::replicas;

#[tokio::test]
async fn a_stream_ends_when_its_token_expires() {
    let app = App::start_with(Options::default().with("JWT_EXPIRATION_DELTA", "3s")).await;
    // On a busy machine a token may have expired before it was used; then another is made.
    let stream = loop {
        let token = app.admin().await;
        let answer = app.request(Method::GET, "/events", Some(&token)).send().await.unwrap();
        if answer.status() != StatusCode::UNAUTHORIZED {
            break answer.error_for_status().unwrap();
        }
    };
    let opened = Instant::now();
    tokio::time::timeout(PATIENCE, stream.text()).await.expect("the stream ends").unwrap();
    assert!(opened.elapsed() < Duration::from_secs(14), "only a heartbeat ended it: {:?}", opened.elapsed());
}

/// Each way to end a token or a role.
const ENDS: [&str; 5] = ["deactivated", "another role", "another organization", "another password", "deleted"];

async fn end(app: &App, superadmin: &str, elsewhere: &Tenant, victim: &Person, how: &str) {
    let path = format!("/users/{}", victim.id);
    let change = |body: Value| app.patch(&path, superadmin, body);
    let answer = match how {
        "deactivated" => change(json!({"active": false})).await,
        "another role" => change(json!({"role": "admin"})).await,
        "another organization" => change(json!({"organization": format!("Organization:{}", elsewhere.id)})).await,
        "another password" => {
            let body = json!({"password": "another password of somebody"});
            app.patch(&format!("{path}/updatepw"), superadmin, body).await
        }
        "deleted" => app.delete(&path, superadmin).await,
        _ => unreachable!("{how}"),
    };
    answer.ok();
}

async fn every_end(one: &App, other: &App) {
    let (tenant, elsewhere) = (one.tenant().await, one.tenant().await);
    let superadmin = one.admin().await;
    for how in ENDS {
        let victim = one.person(&tenant.id, "member").await;
        let (here, there) = (Stream::open(one, &victim.token).await, Stream::open(other, &victim.token).await);
        let mut bystander = Stream::open(other, &tenant.member.token).await;
        end(one, &superadmin, &elsewhere, &victim, how).await;
        let ended = Instant::now();
        for stream in [here, there] {
            stream.until_its_end().await;
        }
        // Nothing else has happened that would have triggered a check.
        assert!(ended.elapsed() < Duration::from_secs(14), "{how}: only a heartbeat ended it: {:?}", ended.elapsed());
        let provisioner = one.provisioner(&tenant.admin).await;
        bystander.event_of("provisioner", &provisioner).await;
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_readers_rights() {
    let app = App::start().await;
    every_end(&app, &app).await;
}

#[tokio::test]
async fn a_stream_ends_with_its_readers_rights_on_every_replica() {
    let Some((_etcd, one, other)) = replicas(Options::default()).await else { return };
    every_end(&one, &other).await;
}

#[tokio::test]
async fn streams_do_not_delay_shutdown() {
    // If shutdown waited for streams, or cut them off after the grace period, they would not end in time.
    let mut app = App::start_with(Options::default().with("SHUTDOWN_GRACE", "600s")).await;
    let token = app.log_in(ADMIN.0, ADMIN.1).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(Stream::open(&app, &token).await);
    }
    app.terminate();
    for stream in streams {
        stream.until_its_end().await;
    }
    assert!(app.ended().await.success(), "{}", app.log());
}
