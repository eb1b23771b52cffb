//! Many readers, and one that reads nothing.

use kqueen_tests::fixture::{
    app::{App, Options},
    people::new_cluster,
    process::eventually,
    sse::{PATIENCE, Stream},
};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

#[tokio::test]
async fn two_hundred_readers_get_the_same_events_and_streams_per_user_are_limited() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let mut readers = Vec::new();
    for _ in 0..10 {
        let reader = app.person(&tenant.id, "member").await;
        let opened = (0..20).map(|_| Stream::open(&app, &reader.token));
        readers.push((reader.clone(), futures::future::join_all(opened).await));
    }
    let (reader, _) = &readers[0];
    let refused = app.call(Method::GET, "/events", Some(&reader.token), None).await;
    assert_eq!((refused.status, &refused.body["error"]), (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_requests")));
    assert!(refused.headers.contains_key("retry-after"));
    assert!(refused.body["description"].as_str().unwrap().contains("20"), "{}", refused.body);

    let cluster = app.cluster(&tenant.provisioner, &tenant.admin).await;
    let (reader, streams) = readers.remove(0);
    let first = readers.iter_mut().flat_map(|(_, streams)| streams);
    let mut events: Vec<_> = futures::future::join_all(first.map(|stream| stream.event_of("cluster", &cluster))).await;
    assert_eq!(events.len(), 180);
    events.dedup_by_key(|event| event.data["object"]["id"].clone());
    assert_eq!(events.len(), 1);
    // A closed stream does not count any more.
    drop(streams);
    eventually("a stream can be opened again", PATIENCE, || async {
        let answer = app.request(Method::GET, "/events", Some(&reader.token)).send().await.unwrap();
        answer.status() == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_reads_nothing_delays_nobody_and_gets_a_reset() {
    // On a busy machine all this takes so long that a connection that reads nothing would be closed.
    let options = Options::default().with("STORAGE_KIND", "memory").with("HTTP_IDLE_TIMEOUT", "600s");
    let app = App::start_with(options).await;
    let tenant = app.tenant().await;
    let token = &tenant.admin.token;
    let mut provisioners = Vec::new();
    for _ in 0..8 {
        provisioners.push(app.provisioner(&tenant.admin).await);
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = socket.connect(app.address()).await.unwrap();
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nhost: kqueen.test\r\nauthorization: Bearer {token}\r\naccept: text/event-stream\r\n\r\n"
    );
    slow.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 15];
    slow.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");

    let mut quick = Stream::open(&app, token).await;
    // Large events fill the buffers up to the reader.
    let text = "x".repeat(60_000);
    let mut last = String::new();
    for _ in 0..150 {
        let mut body = new_cluster(&provisioners[0]);
        body["metadata"] = json!({"text": text});
        last = app.post("/clusters", token, body).await.id();
    }
    quick.event_of("cluster", &last).await;
    // Many more changes than are kept, while one reads nothing and the other everything.
    let rename = |which: usize, name: String| {
        let (app, path) = (&app, format!("/provisioners/{}", provisioners[which]));
        async move { app.patch(&path, token, json!({"name": name})).await.ok() }
    };
    for n in 0..530 {
        futures::future::join_all((0..8).map(|which| rename(which, format!("name {n}")))).await;
    }
    rename(0, "the last".into()).await;
    while quick.event_of("provisioner", &provisioners[0]).await.data["object"]["name"] != "the last" {}

    // It gets what was in the buffers, and then a reset: nothing was kept for it meanwhile.
    let mut read = Vec::new();
    while !contains(&read, b"event: reset") {
        let seen = read.len().saturating_sub(20);
        read.drain(..seen);
        let count = tokio::time::timeout(PATIENCE, slow.read_buf(&mut read)).await.expect("data arrives").unwrap();
        assert!(count > 0, "the stream was cut off: {}", String::from_utf8_lossy(&read));
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
