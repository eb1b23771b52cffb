//! Connections: idle and slow clients do not block others, and the service shuts down gracefully.

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

async fn ping(wire: &mut Wire) {
    wire.send(PING).await;
    assert_eq!(wire.reply().await.expect("an answer").status, 200);
}

/// Sends an endless head byte by byte until the service closes the connection.
async fn drip(app: &App) {
    let mut wire = Wire::to(app).await;
    wire.send("GET /api/v1/health HTTP/1.1\r\nx: ").await;
    let dripping = async {
        while wire.sends("x").await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, dripping).await.expect("the service closes a connection whose head never ends");
}

#[tokio::test]
async fn idle_and_slow_connections_do_not_block_others() {
    let app = App::start_with(timeouts("2s", "3s")).await;
    let (mut idle, mut half) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        idle.push(Wire::to(&app).await);
        half.push(Wire::to(&app).await);
    }
    for wire in &mut half {
        wire.send(HALF_A_HEAD).await;
    }
    let others = async {
        // Others are served meanwhile, each on a new connection.
        for _ in 0..50 {
            ping(&mut Wire::to(&app).await).await;
        }
    };
    tokio::join!(others, join_all((0..15).map(|_| drip(&app))));
    // Idle and slow connections are closed in the end.
    join_all(idle.into_iter().chain(half).map(Wire::closed)).await;
}

#[tokio::test]
async fn the_header_timeout_applies_even_if_the_idle_timeout_is_long() {
    let app = App::start_with(timeouts("300ms", HOUR)).await;
    let (idle, mut kept_alive) = (Wire::to(&app).await, Wire::to(&app).await);
    ping(&mut kept_alive).await;
    for _ in 0..3 {
        let mut half = Wire::to(&app).await;
        half.send(HALF_A_HEAD).await;
        half.closed().await;
    }
    // It also applies to a later request on the same connection.
    let mut second = Wire::to(&app).await;
    ping(&mut second).await;
    second.send(HALF_A_HEAD).await;
    second.closed().await;
    for mut wire in [idle, kept_alive] {
        ping(&mut wire).await;
    }
}

#[tokio::test]
async fn the_idle_timeout_applies_even_if_the_header_timeout_is_long() {
    let app = App::start_with(timeouts(HOUR, "300ms")).await;
    let mut half = Wire::to(&app).await;
    half.send(HALF_A_HEAD).await;
    for _ in 0..3 {
        Wire::to(&app).await.closed().await;
        let mut kept_alive = Wire::to(&app).await;
        ping(&mut kept_alive).await;
        kept_alive.closed().await;
    }
    half.send("more: of it\r\n\r\n").await;
    assert_eq!(half.reply().await.unwrap().status, 200);
}

#[tokio::test]
async fn the_idle_timeout_does_not_apply_while_a_request_is_served() {
    let options = timeouts("100ms", "100ms").with("HTTP_REQUEST_TIMEOUT", "2s");
    let app = App::start_with(options).await;
    let tenant = app.tenant().await;
    let unresponsive = Peer::raw(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let mut cluster = new_cluster(&tenant.provisioner);
    cluster["kubeconfig"]["clusters"][0]["cluster"]["server"] = json!(unresponsive.url("https"));
    let cluster = app.post("/clusters", &tenant.admin.token, cluster).await.id();
    // A cluster that does not answer.
    let status = app.get(&format!("/clusters/{cluster}/status"), &tenant.admin.token).await;
    assert_eq!(status.status, StatusCode::GATEWAY_TIMEOUT, "{}", status.body);
    // A body that does not arrive.
    let mut wire = Wire::to(&app).await;
    wire.send("POST /api/v1/auth HTTP/1.1\r\nhost: kqueen.test\r\ncontent-length: 10\r\n\r\n{").await;
    wire.reply().await.unwrap().is_error(504);
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_disconnected() {
    let app = App::start_with(timeouts(HOUR, "1s").with("HTTP_MAX_CONNECTIONS", "1")).await;
    let mut greedy = Wire::to(&app).await;
    // More than fits into the socket buffers.
    let document = "GET /api/v1/swagger HTTP/1.1\r\nhost: kqueen.test\r\n\r\n";
    greedy.send(document.repeat(500)).await;
    // Only one connection is allowed: this one is served once the other is closed.
    ping(&mut Wire::to(&app).await).await;
}

#[tokio::test]
async fn connections_over_the_limit_wait() {
    let app = App::start_with(timeouts("1s", "1s").with("HTTP_MAX_CONNECTIONS", "15")).await;
    let mut idle = Vec::new();
    for _ in 0..30 {
        idle.push(Wire::to(&app).await);
    }
    ping(&mut Wire::to(&app).await).await;
    join_all(idle.into_iter().map(Wire::closed)).await;
}

/// A request in progress: the service has asked for its body.
async fn request_in_progress(app: &App, body: &str) -> Wire {
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
async fn a_request_in_progress_is_answered_before_shutdown() {
    let mut app = App::start_with(Options::default().with("SHUTDOWN_GRACE", HOUR)).await;
    let body = json!({"username": "nobody", "password": "wrong"}).to_string();
    let mut wire = request_in_progress(&app, &body).await;
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
async fn idle_connections_do_not_delay_shutdown() {
    let mut app = App::start_with(timeouts(HOUR, HOUR).with("SHUTDOWN_GRACE", HOUR)).await;
    let (idle, mut kept_alive, mut half) = (Wire::to(&app).await, Wire::to(&app).await, Wire::to(&app).await);
    ping(&mut kept_alive).await;
    half.send(HALF_A_HEAD).await;
    // An answer on a later connection shows that all three were accepted.
    ping(&mut Wire::to(&app).await).await;
    app.terminate();
    join_all([idle, kept_alive, half].map(Wire::closed)).await;
    assert_eq!(app.ended().await.code(), Some(0), "{}", app.log());
}

#[tokio::test]
async fn an_unfinished_request_delays_shutdown_by_the_grace_period_at_most() {
    let mut app = App::start_with(timeouts(HOUR, HOUR).with("SHUTDOWN_GRACE", "1s")).await;
    let wire = request_in_progress(&app, "{}").await;
    app.terminate();
    refuses_connections(&app).await;
    wire.closed().await;
    assert_eq!(app.ended().await.code(), Some(0), "{}", app.log());
    assert!(app.log().contains("some requests did not end in time"), "{}", app.log());
}

#[tokio::test]
async fn shutdown_loses_no_acknowledged_write() {
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
    let stored = app.get("/organizations?offset=0&limit=1", &token).await.ok()["total"].as_u64().unwrap();
    // Every acknowledged organization is stored, and that of the superadmin besides.
    assert!(stored > u64::try_from(answered).unwrap(), "{stored} organizations, {answered} answers");
}
