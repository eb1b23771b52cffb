//! Connections: those that say nothing, or say it slowly, are in nobody's way, and a service that is told to stop does so politely.

use std::time::Duration;

use futures::future::join_all;
use kqueen_tests::fixture::{
    app::{App, Options},
    peer::Peer,
    people::new_cluster,
    process::eventually,
    wire::{PATIENCE, Wire, request},
};
use reqwest::{StatusCode, header::CONNECTION};
use serde_json::json;
use tokio::net::TcpStream;

const HALF_A_HEAD: &str = "GET /api/v1/health HTTP/1.1\r\nhost: kqueen.test\r\nx-";
const PING: &str = "GET /api/v1/health HTTP/1.1\r\nhost: kqueen.test\r\n\r\n";
const HOUR: &str = "1h";

fn timeouts(header: &str, idle: &str) -> Options {
    Options::default().with("HTTP_HEADER_TIMEOUT", header).with("HTTP_IDLE_TIMEOUT", idle)
}

async fn pinged(wire: &mut Wire) {
    wire.send(PING).await;
    assert_eq!(wire.reply().await.expect("an answer").status, 200);
}

/// Sends a head that never ends, a byte at a time, until the connection does.
async fn drip(app: &App) {
    let mut wire = Wire::to(app).await;
    wire.send("GET /api/v1/health HTTP/1.1\r\nx: ").await;
    let dripping = async {
        while wire.sends("x").await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, dripping).await.expect("somebody who never finishes is cut off");
}

#[tokio::test]
async fn those_who_say_nothing_or_half_are_in_nobodys_way() {
    let app = App::start_with(timeouts("2s", "3s")).await;
    let (mut silent, mut half) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        silent.push(Wire::to(&app).await);
        half.push(Wire::to(&app).await);
    }
    for wire in &mut half {
        wire.send(HALF_A_HEAD).await;
    }
    let others = async {
        // Others are served meanwhile, each on a connection of its own.
        for _ in 0..50 {
            pinged(&mut Wire::to(&app).await).await;
        }
    };
    tokio::join!(others, join_all((0..15).map(|_| drip(&app))));
    // And nobody keeps a connection for ever.
    join_all(silent.into_iter().chain(half).map(Wire::closed)).await;
}

#[tokio::test]
async fn a_head_has_its_time_however_long_a_connection_may_rest() {
    let app = App::start_with(timeouts("300ms", HOUR)).await;
    let (silent, mut resting) = (Wire::to(&app).await, Wire::to(&app).await);
    pinged(&mut resting).await;
    for _ in 0..3 {
        let mut half = Wire::to(&app).await;
        half.send(HALF_A_HEAD).await;
        half.closed().await;
    }
    // A second head on a connection that has served one is no different.
    let mut second = Wire::to(&app).await;
    pinged(&mut second).await;
    second.send(HALF_A_HEAD).await;
    second.closed().await;
    for mut wire in [silent, resting] {
        pinged(&mut wire).await;
    }
}

#[tokio::test]
async fn a_rest_has_its_time_however_long_a_head_may_take() {
    let app = App::start_with(timeouts(HOUR, "300ms")).await;
    let mut half = Wire::to(&app).await;
    half.send(HALF_A_HEAD).await;
    for _ in 0..3 {
        Wire::to(&app).await.closed().await;
        let mut resting = Wire::to(&app).await;
        pinged(&mut resting).await;
        resting.closed().await;
    }
    half.send("more: of it\r\n\r\n").await;
    assert_eq!(half.reply().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_request_in_hand_is_not_a_rest() {
    let options = timeouts("100ms", "100ms").with("HTTP_REQUEST_TIMEOUT", "2s");
    let app = App::start_with(options).await;
    let tenant = app.tenant().await;
    let silent = Peer::raw(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let mut cluster = new_cluster(&tenant.provisioner);
    cluster["kubeconfig"]["clusters"][0]["cluster"]["server"] = json!(silent.url("https"));
    let cluster = app.post("/clusters", &tenant.admin.token, cluster).await.id();
    // A cluster that says nothing.
    let status = app.get(&format!("/clusters/{cluster}/status"), &tenant.admin.token).await;
    assert_eq!(status.status, StatusCode::GATEWAY_TIMEOUT, "{}", status.body);
    // A body that does not come.
    let mut wire = Wire::to(&app).await;
    wire.send("POST /api/v1/auth HTTP/1.1\r\nhost: kqueen.test\r\ncontent-length: 10\r\n\r\n{").await;
    wire.reply().await.unwrap().is_error(504);
}

#[tokio::test]
async fn who_does_not_read_the_answer_is_cut_off() {
    let app = App::start_with(timeouts(HOUR, "1s").with("HTTP_MAX_CONNECTIONS", "1")).await;
    let mut greedy = Wire::to(&app).await;
    // More than fits between the two of us.
    let document = "GET /api/v1/swagger HTTP/1.1\r\nhost: kqueen.test\r\n\r\n";
    greedy.send(document.repeat(500)).await;
    // There is one connection at a time: this one is served once the other has been given up.
    pinged(&mut Wire::to(&app).await).await;
}

#[tokio::test]
async fn more_connections_than_there_may_be_wait_their_turn() {
    let app = App::start_with(timeouts("1s", "1s").with("HTTP_MAX_CONNECTIONS", "15")).await;
    let mut idle = Vec::new();
    for _ in 0..30 {
        idle.push(Wire::to(&app).await);
    }
    pinged(&mut Wire::to(&app).await).await;
    join_all(idle.into_iter().map(Wire::closed)).await;
}

/// A request the service works on: it has asked for the body.
async fn in_hand(app: &App, body: &str) -> Wire {
    let mut wire = Wire::to(app).await;
    let length = body.len();
    wire.send(format!(
        "POST /api/v1/auth HTTP/1.1\r\nhost: kqueen.test\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    ))
    .await;
    assert_eq!(wire.head().await.unwrap().status, 100);
    wire
}

async fn refuses_connections(app: &App) {
    let refused = || async { TcpStream::connect(app.address()).await.is_err() };
    eventually("new connections are refused", PATIENCE, refused).await;
}

#[tokio::test]
async fn a_request_in_hand_is_answered_before_the_end() {
    let mut app = App::start_with(Options::default().with("SHUTDOWN_GRACE", HOUR)).await;
    let body = json!({"username": "nobody", "password": "wrong"}).to_string();
    let mut wire = in_hand(&app, &body).await;
    app.terminate();
    refuses_connections(&app).await;
    wire.send(&body).await;
    let reply = wire.reply().await.expect("an answer");
    reply.is_error(401);
    assert_eq!(reply.headers[CONNECTION], "close");
    wire.closed().await;
    assert_eq!(app.ended().await.code(), Some(0), "{}", app.log());
}

#[tokio::test]
async fn those_who_rest_do_not_delay_the_end() {
    let mut app = App::start_with(timeouts(HOUR, HOUR).with("SHUTDOWN_GRACE", HOUR)).await;
    let (silent, mut resting, mut half) = (Wire::to(&app).await, Wire::to(&app).await, Wire::to(&app).await);
    pinged(&mut resting).await;
    half.send(HALF_A_HEAD).await;
    // The last of them is known to be accepted when it is answered.
    pinged(&mut Wire::to(&app).await).await;
    app.terminate();
    join_all([silent, resting, half].map(Wire::closed)).await;
    assert_eq!(app.ended().await.code(), Some(0), "{}", app.log());
}

#[tokio::test]
async fn somebody_who_never_finishes_delays_the_end_by_the_grace_alone() {
    let mut app = App::start_with(timeouts(HOUR, HOUR).with("SHUTDOWN_GRACE", "1s")).await;
    let wire = in_hand(&app, "{}").await;
    app.terminate();
    refuses_connections(&app).await;
    wire.closed().await;
    assert_eq!(app.ended().await.code(), Some(0), "{}", app.log());
    assert!(app.log().contains("some requests did not end in time"), "{}", app.log());
}

#[tokio::test]
async fn a_stop_leaves_nothing_half_written() {
    let mut app = App::start().await;
    let token = app.admin().await;
    let mut wires = Vec::new();
    for n in 0..20 {
        let body = json!({"name": "n", "namespace": format!("stop-{n}")}).to_string();
        let mut wire = Wire::to(&app).await;
        wire.send(request("POST", "/api/v1/organizations", Some(&token), &body)).await;
        wires.push(wire);
    }
    app.terminate();
    let mut answered = 0;
    for mut wire in wires {
        answered += usize::from(wire.reply().await.is_some_and(|reply| reply.status == 200));
    }
    assert_eq!(app.ended().await.code(), Some(0), "{}", app.log());
    app.restart().await;
    let token = app.admin().await;
    let there = app.get("/organizations?offset=0&limit=1", &token).await.ok()["total"].as_u64().unwrap();
    // Each that was answered is there; the first organization is the one of the superadmin.
    assert!(there > u64::try_from(answered).unwrap(), "{there} organizations, {answered} answers");
}
