//! Which events are sent, to whom, and in which form.

use kqueen_tests::fixture::{
    app::{App, Options, read},
    nginx::Nginx,
    people::{PASSWORD, new_name},
    sse::{SseItem, Stream},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The ids of the objects in all events before the object with that id.
async fn ids_before(stream: &mut Stream, id: &str) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let event = stream.event().await;
        let subject = event.data["object"]["id"].as_str().unwrap().to_owned();
        if subject == id {
            return ids;
        }
        ids.push(subject);
    }
}

/// An event id in a form that can be compared.
fn position(id: &str) -> (u64, u64) {
    let (revision, index) = id.split_once('.').unwrap();
    (revision.parse().unwrap(), index.parse().unwrap())
}

#[tokio::test]
async fn every_change_is_sent_in_order_with_the_object_as_the_api_shows_it() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let mut stream = Stream::open(&app, &tenant.member.token).await;

    let provisioner = app.provisioner(&tenant.admin).await;
    let first = stream.event_of("provisioner", &provisioner).await;
    assert_eq!(first.data["action"], "changed");
    let shown = app.get(&format!("/provisioners/{provisioner}"), &tenant.member.token).await.ok();
    assert_eq!(first.data["object"], shown);

    let cluster = app.cluster(&provisioner, &tenant.member).await;
    let made = stream.event_of("cluster", &cluster).await;
    assert_eq!(made.data["object"]["provisioner"]["id"], provisioner.as_str());
    // Nothing listens at its address, as the first observation finds.
    let mut last = made.clone();
    while last.data["object"]["phase"] != "Unknown" {
        last = stream.event_of("cluster", &cluster).await;
    }
    let mut shown = app.get(&format!("/clusters/{cluster}"), &tenant.member.token).await.ok();
    assert!(shown["kubeconfig"].is_object());
    shown.as_object_mut().unwrap().remove("kubeconfig");
    // The observation time changes without an event.
    shown["observed_at"] = last.data["object"]["observed_at"].clone();
    assert_eq!(last.data["object"], shown, "and never a kubeconfig");

    app.patch(&format!("/clusters/{cluster}"), &tenant.member.token, json!({"name": "renamed"})).await.ok();
    let renamed = stream.event_of("cluster", &cluster).await;
    assert_eq!(renamed.data["object"]["name"], "renamed");
    app.delete(&format!("/clusters/{cluster}"), &tenant.member.token).await.ok();
    let gone = loop {
        let event = stream.event_of("cluster", &cluster).await;
        if event.data["action"] == "gone" {
            break event;
        }
    };
    assert_eq!(gone.data, json!({"action": "gone", "object": {"id": cluster}}));
    app.delete(&format!("/provisioners/{provisioner}"), &tenant.admin.token).await.ok();
    let last_of_all = loop {
        let event = stream.event_of("provisioner", &provisioner).await;
        if event.data["action"] == "gone" {
            break event;
        }
    };
    let ids: Vec<_> = [&first, &made, &renamed, &gone, &last_of_all].map(|event| position(&event.id)).into();
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
}

#[tokio::test]
async fn the_answer_is_an_unbuffered_uncompressed_event_stream() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let token = Some(&*tenant.member.token);
    let mut request = app.request(Method::GET, "/events", token);
    request = request.header("accept", "application/json, */*;q=0.1").header("accept-encoding", "gzip, br, *");
    let answer = request.send().await.unwrap();
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(header("x-accel-buffering").as_deref(), Some("no"), "proxies do not buffer the stream");
    assert_eq!((header("content-encoding"), header("content-length")), (None, None));
    assert!(header("x-request-id").is_some());

    let head = app.request(Method::HEAD, "/events", token).send().await.unwrap();
    assert_eq!((head.status(), head.headers().get("content-length")), (StatusCode::OK, None));
    assert_eq!(head.headers()["content-type"], "text/event-stream");

    let json = read(app.request(Method::GET, "/events", token).header("accept", "application/json")).await;
    assert_eq!(json.status, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(json.body["error"], "not_acceptable", "{}", json.body);
    let nobody = app.call(Method::GET, "/events", None, None).await;
    assert_eq!((nobody.status, &nobody.body["error"]), (StatusCode::UNAUTHORIZED, &json!("unauthenticated")));
}

#[tokio::test]
async fn a_stream_sends_heartbeats_and_its_position() {
    // Idle connections are closed after six seconds, requests after five; a stream sends something every two.
    let options = Options::default().with("HTTP_IDLE_TIMEOUT", "6s").with("HTTP_REQUEST_TIMEOUT", "5s");
    let app = App::start_with(options).await;
    let (tenant, elsewhere) = (app.tenant().await, app.tenant().await);
    let mut stream = Stream::open(&app, &tenant.member.token).await;
    let start = stream.last_id.clone().unwrap();
    let mut comments = 0;
    while comments < 5 {
        comments += usize::from(stream.next().await.unwrap() == SseItem::Comment);
    }
    // Changes in other organizations are not sent, but still advance the position of this reader.
    app.provisioner(&elsewhere.admin).await;
    loop {
        match stream.next().await.unwrap() {
            SseItem::Position(id) => break assert_ne!(id, start),
            SseItem::Event(event) => assert_eq!(event.data["object"]["id"], tenant.provisioner.as_str()),
            SseItem::Comment | SseItem::Retry(_) => {}
        }
    }
}

#[tokio::test]
async fn events_of_other_tenants_are_sent_only_to_superadmins() {
    let app = App::start().await;
    let (tenant, elsewhere) = (app.tenant().await, app.tenant().await);
    let superadmin = app.admin().await;
    let mut stranger = Stream::open(&app, &elsewhere.admin.token).await;
    let mut all = Stream::open(&app, &superadmin).await;
    let theirs = app.cluster(&tenant.provisioner, &tenant.member).await;
    app.patch(&format!("/provisioners/{}", tenant.provisioner), &tenant.admin.token, json!({"name": "n"})).await.ok();
    app.delete(&format!("/clusters/{theirs}"), &tenant.member.token).await.ok();
    let own = app.provisioner(&elsewhere.admin).await;
    // What the stranger receives before their own provisioner, which was created last.
    for id in ids_before(&mut stranger, &own).await {
        assert_eq!(id, elsewhere.provisioner, "it may have been checked");
    }
    let mut gone = all.event_of("cluster", &theirs).await;
    while gone.data["action"] != "gone" {
        gone = all.event_of("cluster", &theirs).await;
    }
    all.event_of("provisioner", &own).await;
}

#[tokio::test]
async fn the_policy_at_the_time_of_an_event_applies() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let policy = |rule: Value| {
        let (path, token) = (format!("/organizations/{}/policy", tenant.id), tenant.admin.token.clone());
        let app = &app;
        async move { app.patch(&path, &token, json!({"cluster:get": rule})).await.ok() }
    };
    let mut stream = Stream::open(&app, &tenant.member.token).await;
    let cluster = app.cluster(&tenant.provisioner, &tenant.admin).await;
    stream.event_of("cluster", &cluster).await;
    policy(json!("IS_OWNER")).await;
    // All earlier events of the cluster come before this one.
    let fence = app.provisioner(&tenant.admin).await;
    stream.event_of("provisioner", &fence).await;
    let path = format!("/clusters/{cluster}");
    app.patch(&path, &tenant.admin.token, json!({"name": "not for members"})).await.ok();
    let other = app.cluster(&tenant.provisioner, &tenant.admin).await;
    app.delete(&format!("/clusters/{other}"), &tenant.admin.token).await.ok();
    let fence = app.provisioner(&tenant.admin).await;
    let ids = ids_before(&mut stream, &fence).await;
    assert!(!ids.contains(&cluster) && !ids.contains(&other), "{ids:?}");
    policy(Value::Null).await;
    app.patch(&path, &tenant.admin.token, json!({"name": "for all again"})).await.ok();
    let mut event = stream.event_of("cluster", &cluster).await;
    while event.data["object"]["name"] != "for all again" {
        event = stream.event_of("cluster", &cluster).await;
    }
}

#[tokio::test]
async fn frequent_changes_arrive_in_order_and_end_with_the_latest() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let mut stream = Stream::open(&app, &tenant.member.token).await;
    let path = format!("/provisioners/{}", tenant.provisioner);
    for n in 0..200 {
        app.patch(&path, &tenant.admin.token, json!({"name": format!("name {n}")})).await.ok();
    }
    let mut previous = 0;
    while previous < 199 {
        let event = stream.event_of("provisioner", &tenant.provisioner).await;
        let name = event.data["object"]["name"].as_str().unwrap();
        let Some(n) = name.strip_prefix("name ").map(|n| n.parse().unwrap()) else { continue };
        assert!(n >= previous, "{n} after {previous}");
        previous = n;
    }
}

#[tokio::test]
async fn events_pass_a_proxy_that_buffers() {
    let app = App::start().await;
    let Some(nginx) = Nginx::before(&app).await else { return };
    let tenant = app.tenant().await;
    let path = format!("{}/api/v1/events", nginx.origin);
    let mut stream = Stream::at(&app, &path, &tenant.member.token, None).await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
    while !matches!(stream.next().await, Some(SseItem::Position(_))) {}
    for _ in 0..3 {
        let provisioner = app.provisioner(&tenant.admin).await;
        // It arrives before anything else happens, also before a heartbeat.
        stream.event_of("provisioner", &provisioner).await;
    }
    let (id, missed) = (stream.last_id.clone().unwrap(), app.provisioner(&tenant.admin).await);
    let mut again = Stream::at(&app, &path, &tenant.member.token, Some(&id)).await;
    again.event_of("provisioner", &missed).await;
}

#[tokio::test]
async fn another_log_in_does_not_end_a_stream() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let mut stream = Stream::open(&app, &tenant.member.token).await;
    app.log_in(&tenant.member.username, PASSWORD).await;
    let path = format!("/users/{}", tenant.member.id);
    app.patch(&path, &tenant.admin.token, json!({"email": format!("{}@example.test", new_name("new"))})).await.ok();
    let cluster = app.cluster(&tenant.provisioner, &tenant.member).await;
    stream.event_of("cluster", &cluster).await;
}
