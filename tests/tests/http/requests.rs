//! Invalid requests: too large, malformed, or not JSON. All get the usual error body, and the service stays available.

use kqueen_tests::fixture::{
    app::{ADMIN, App, Options},
    people::new_name,
    wire::{Reply, Wire, request},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn reply_to(app: &App, text: impl AsRef<[u8]>) -> Reply {
    let mut wire = Wire::to(app).await;
    wire.send(text).await;
    wire.reply().await.expect("an answer")
}

async fn assert_ready(app: &App) {
    assert_eq!(reply_to(app, request("GET", "/api/v1/ready", None, "")).await.status, 200, "{}", app.log());
}

const LIMIT: usize = 4096;

async fn with_small_bodies() -> App {
    App::start_with(Options::default().with("HTTP_BODY_LIMIT", LIMIT.to_string())).await
}

fn log_in_of(length: usize) -> String {
    let body = json!({"username": ADMIN.0, "password": ""}).to_string();
    let filled = "x".repeat(length - body.len());
    json!({"username": ADMIN.0, "password": filled}).to_string()
}

#[tokio::test]
async fn a_body_over_the_limit_is_rejected() {
    let app = with_small_bodies().await;
    let fits = reply_to(&app, request("POST", "/api/v1/auth", None, &log_in_of(LIMIT))).await;
    // Exactly the limit: the body is read, and the password is rejected as too long.
    assert_ne!(fits.status, 413);
    for length in [LIMIT + 1, 10 * LIMIT, 8 << 20] {
        let refused = reply_to(&app, request("POST", "/api/v1/auth", None, &log_in_of(length))).await;
        let body = refused.is_error(413);
        assert_eq!(body["error"], "too_large");
        assert!(body["description"].as_str().unwrap().contains("4096"), "{body}");
    }
    // A length over the limit is rejected without waiting for the body.
    let head = "POST /api/v1/auth HTTP/1.1\r\nhost: kqueen.test\r\ncontent-length: 999999999999\r\n";
    reply_to(&app, format!("{head}\r\n")).await.is_error(413);
    reply_to(&app, format!("{head}expect: 100-continue\r\n\r\n")).await.is_error(413);
    // A client library sees the answer too, although it is still sending.
    let token = app.admin().await;
    for _ in 0..10 {
        let body = json!({"name": "x".repeat(4 << 20), "namespace": "n"});
        assert_eq!(app.post("/organizations", &token, body).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert_ready(&app).await;
}

fn in_chunks(body: &str, size: usize) -> String {
    let head = "POST /api/v1/auth HTTP/1.1\r\nhost: kqueen.test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = body
        .as_bytes()
        .chunks(size)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()));
    format!("{head}{}0\r\n\r\n", chunks.collect::<String>())
}

#[tokio::test]
async fn the_body_limit_applies_to_chunked_bodies() {
    let app = with_small_bodies().await;
    let log_in = json!({"username": ADMIN.0, "password": ADMIN.1}).to_string();
    for size in [1, 7, 4096] {
        assert_eq!(reply_to(&app, in_chunks(&log_in, size)).await.status, 200);
        reply_to(&app, in_chunks(&log_in_of(LIMIT + 1), size)).await.is_error(413);
    }
    reply_to(&app, in_chunks(&log_in_of(1 << 20), 1000)).await.is_error(413);
    // A body that never ends.
    let mut wire = Wire::to(&app).await;
    wire.send("POST /api/v1/auth HTTP/1.1\r\nhost: kqueen.test\r\ntransfer-encoding: chunked\r\n\r\n").await;
    while wire.sends(format!("400\r\n{}\r\n", "x".repeat(0x400))).await {}
    assert_ready(&app).await;
}

#[tokio::test]
async fn a_request_head_over_the_limit_is_rejected() {
    let app = App::start().await;
    let with = |headers: &str| format!("GET /api/v1/health HTTP/1.1\r\nhost: kqueen.test\r\n{headers}\r\n");
    let long = |length: usize| with(&format!("x-long: {}\r\n", "x".repeat(length)));
    assert_eq!(reply_to(&app, long(8 * 1024)).await.status, 200);
    assert_eq!(reply_to(&app, with(&"x-many: y\r\n".repeat(60))).await.status, 200);
    for length in [40 * 1024, 60 * 1024] {
        reply_to(&app, long(length)).await.is_error(431);
    }
    assert_eq!(reply_to(&app, long(1 << 20)).await.status, 431);
    assert_eq!(reply_to(&app, with(&"x-many: y\r\n".repeat(1000))).await.status, 431);
    let path = |length: usize| request("GET", &format!("/api/v1/{}", "x".repeat(length)), None, "");
    reply_to(&app, path(4000)).await.is_error(404);
    let status = reply_to(&app, path(100_000)).await.status;
    assert!(status == 414 || status == 431, "{status}");
    // A long invalid token.
    let token = "x".repeat(10_000);
    reply_to(&app, request("GET", "/api/v1/clusters", Some(&token), "")).await.is_error(401);
    assert_ready(&app).await;
}

#[tokio::test]
async fn malformed_paths_are_rejected_or_not_found() {
    let app = App::start().await;
    let token = app.admin().await;
    for path in [
        "/api/v1/clusters/%zz",
        "/api/v1/clusters/%",
        "/api/v1/clusters/%2",
        "/api/v1/clusters/%ff%fe",
        "/api/v1/clusters/%00",
        "/api/v1/%63lusters%2f",
        "/api/v1%2fclusters",
        "/api/v1/clusters%2fhealth",
        "/api/v1/clusters%2F..%2Fusers",
        "/api/v1/../../etc/passwd",
        "/api/v1/clusters/..%2f..%2fmetrics",
        "/api/v1/./clusters",
        "/api/v1//clusters",
        "/api/v1/clusters;x=1",
        "/api/v1/CLUSTERS",
        "/api/v1/clusters/not-an-id",
        "/api/v1/clusters/00000000-0000-4000-8000-000000000000%20",
        "/api/v1/clusters/{id}",
    ] {
        let reply = reply_to(&app, request("GET", path, Some(&token), "")).await;
        assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
        // An invalid request line is rejected before it becomes a request, with an empty body.
        if !reply.body.is_empty() || reply.status == 404 {
            reply.is_error(reply.status);
        }
    }
    // Bytes that are not UTF-8.
    let mut bytes = b"GET /api/v1/clusters/\xff\xfe HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ".to_vec();
    bytes.extend_from_slice(token.as_bytes());
    bytes.extend_from_slice(b"\r\n\r\n");
    assert!(matches!(reply_to(&app, bytes).await.status, 400 | 404));
    // Query values may hold anything.
    for query in ["name=%zz", "name=%ff", "name=%00", "&&&==", "name=%F0%9F%92%A9", "name", "name=a%26b"] {
        let reply = reply_to(&app, request("GET", &format!("/api/v1/clusters?{query}"), Some(&token), "")).await;
        assert_eq!((reply.status, reply.json()), (200, json!([])), "{query}");
    }
    for query in ["%", "%ff=1", "%F0%9F%92%A9=", "=&x"] {
        reply_to(&app, request("GET", &format!("/api/v1/clusters?{query}"), Some(&token), "")).await.is_error(422);
    }
    assert_ready(&app).await;
}

#[tokio::test]
async fn http_1_0_absolute_targets_and_pipelining_work() {
    let app = App::start().await;
    let token = app.admin().await;
    let absolute =
        reply_to(&app, request("GET", "http://kqueen.test:80/api/v1/clusters?offset=0", Some(&token), "")).await;
    assert_eq!((absolute.status, &absolute.json()["total"]), (200, &json!(0)));
    assert_eq!(reply_to(&app, request("GET", "http://kqueen.test/api/v1/health/", None, "")).await.status, 200);
    reply_to(&app, request("GET", "http://kqueen.test/nothing", None, "")).await.is_error(404);
    for form in
        ["OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", "CONNECT kqueen.test:80 HTTP/1.1\r\nhost: kqueen.test:80\r\n\r\n"]
    {
        let reply = reply_to(&app, form).await;
        assert!((400..500).contains(&reply.status), "{form}: {reply:?}");
        reply.is_error(reply.status);
    }

    let mut old = Wire::to(&app).await;
    old.send("GET /api/v1/health HTTP/1.0\r\n\r\n").await;
    let reply = old.reply().await.unwrap();
    assert_eq!((reply.status, reply.json()), (200, json!({"response": "Kqueen ready!"})));
    old.closed().await;
    // HTTP/1.0 clients do not understand chunked encoding.
    let mut old = Wire::to(&app).await;
    old.send("GET /api/v1/swagger HTTP/1.0\r\naccept-encoding: gzip\r\n\r\n").await;
    assert!(!old.reply().await.unwrap().headers.contains_key("transfer-encoding"));

    let mut wire = Wire::to(&app).await;
    let log_in = |password: &str| json!({"username": ADMIN.0, "password": password}).to_string();
    wire.send(
        [
            request("GET", "/api/v1/health", None, ""),
            request("POST", "/api/v1/auth", None, &log_in("wrong")),
            request("GET", "/api/v1/nothing", None, ""),
            request("PUT", "/api/v1/clusters", None, "{}"),
            request("POST", "/api/v1/auth", None, &log_in(ADMIN.1)),
            request("GET", "/api/v1/users/whoami", Some(&token), ""),
        ]
        .concat(),
    )
    .await;
    for status in [200, 401, 404, 405, 200, 200] {
        assert_eq!(wire.reply().await.unwrap().status, status);
    }
}

#[tokio::test]
async fn requests_that_are_not_http_are_rejected() {
    let app = App::start().await;
    for garbage in [
        "\r\n\r\n\r\nGARBAGE\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}\r\n\r\n",
        "GET /api/v1/health HTTP/9.9\r\nhost: x\r\n\r\n",
        "GET /api/v1/health\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET /api/v1/health HTTP/1.1\r\nbad header\r\n\r\n",
        "GET /api/v1/health HTTP/1.1\r\nx y: z\r\n\r\n",
        "POST /api/v1/auth HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "POST /api/v1/auth HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        "POST /api/v1/auth HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n{}",
        "POST /api/v1/auth HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    ] {
        let mut wire = Wire::to(&app).await;
        wire.send(garbage).await;
        if let Some(reply) = wire.reply().await {
            assert_eq!(reply.status, 400, "{garbage:?}");
        }
        wire.closed().await;
    }
    // Two lengths would allow request smuggling through a proxy.
    let mut wire = Wire::to(&app).await;
    wire.send("POST /api/v1/auth HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /api/v1/health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let first = wire.reply().await.unwrap();
    assert_ne!(first.status, 200);
    assert_ready(&app).await;
}

#[tokio::test]
async fn a_body_must_be_json_and_other_content_types_are_rejected() {
    let app = App::start().await;
    let log_in = json!({"username": ADMIN.0, "password": ADMIN.1}).to_string();
    let typed = |media: &str| {
        let length = log_in.len();
        format!(
            "POST /api/v1/auth HTTP/1.1\r\nhost: x\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n{log_in}"
        )
    };
    for good in
        ["application/json", "application/json; charset=utf-8", "application/merge-patch+json", "APPLICATION/JSON"]
    {
        assert_eq!(reply_to(&app, typed(good)).await.status, 200, "{good}");
    }
    for bad in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "json",
        "\u{e4}",
    ] {
        assert_eq!(reply_to(&app, typed(bad)).await.is_error(415)["error"], "unsupported_media_type", "{bad}");
    }
    let without = format!("POST /api/v1/auth HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{log_in}", log_in.len());
    assert_eq!(reply_to(&app, without).await.status, 200, "a missing content type is accepted");
    for not_an_object in ["[]", "1", "null", "\"text\"", "true"] {
        reply_to(&app, request("POST", "/api/v1/auth", None, not_an_object)).await.is_error(422);
    }
}

#[tokio::test]
async fn a_json_error_names_its_position_and_not_the_text() {
    let app = App::start().await;
    let token = app.admin().await;
    let secret = "hunter2-in-the-open";
    for (text, line, column) in [
        (format!("{{\"username\": \"root\",\n \"password\": \"{secret}\",}}"), 2, 36),
        (format!("{{\"password\": \"{secret}"), 1, 33),
        (format!("{{\"password\": {secret}}}"), 1, 14),
        (format!("{{\"password\": \"{secret}\"}} trailing"), 1, 37),
        (format!("{{'{secret}': 1}}"), 1, 2),
        (format!("{{\"{secret}\": 1e999}}"), 1, 29),
        (format!("{{\"{secret}\": \"\n\"}}"), 2, 0),
        (format!("{{\"{secret}\": \"\\ud800\"}}"), 1, 32),
        (String::new(), 1, 0),
    ] {
        for path in ["/api/v1/auth", "/api/v1/users", "/api/v1/clusters"] {
            let reply = reply_to(&app, request("POST", path, Some(&token), &text)).await;
            let body = reply.is_error(400);
            assert_eq!(body["error"], "bad_request");
            let description = body["description"].as_str().unwrap();
            assert!(description.contains(&format!("line {line} column {column}")), "{text:?}: {description}");
            assert!(!String::from_utf8_lossy(&reply.body).contains("hunter2"), "{description}");
        }
    }
    let mut bytes =
        b"POST /api/v1/auth HTTP/1.1\r\nhost: x\r\ncontent-length: 16\r\n\r\n{\"username\":\"\xff\"}".to_vec();
    reply_to(&app, std::mem::take(&mut bytes)).await.is_error(400);
    assert!(!app.log().contains("hunter2"), "{}", app.log());
}

#[tokio::test]
async fn a_duplicate_key_is_rejected() {
    let app = App::start().await;
    let token = app.admin().await;
    for text in [
        r#"{"name": "one", "name": "two", "namespace": "n"}"#,
        r#"{"name": "one", "namespace": "n", "metadata": [{"a": {"b": 1, "b": 2}}]}"#,
        r#"{"name": "one", "n\u0061me": "two", "namespace": "n"}"#,
    ] {
        let body = reply_to(&app, request("POST", "/api/v1/organizations", Some(&token), text)).await.is_error(400);
        assert!(body["description"].as_str().unwrap().contains("duplicate field"), "{body}");
    }
}

#[tokio::test]
async fn deeply_nested_or_wide_json_is_rejected() {
    let app = App::start().await;
    let token = app.admin().await;
    let id = app.get("/users/whoami", &token).await.id();
    let path = format!("/api/v1/users/{id}");
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [33, 100, 127, 129, 1000, 100_000] {
            let middle = if close == "}" { "1" } else { "" };
            let nested = format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
            for body in [format!("{{\"metadata\": {nested}}}"), format!("{{\"metadata\": {{\"deep\": {nested}}}}}")] {
                let reply = reply_to(&app, request("PATCH", &path, Some(&token), &body)).await;
                assert!(matches!(reply.status, 400 | 422), "{depth}: {reply:?}");
                reply.is_error(reply.status);
            }
        }
        // Never closed.
        let text = open.repeat(200_000);
        reply_to(&app, request("POST", "/api/v1/auth", None, &text)).await.is_error(400);
    }
    // An object with many keys.
    let wide: serde_json::Map<String, Value> = (0..50_000).map(|n| (n.to_string(), Value::Null)).collect();
    let wide = reply_to(&app, request("POST", "/api/v1/auth", None, &Value::from(wide).to_string())).await;
    let answered = wide.body.len();
    wide.is_error(422);
    assert!(answered < 100_000, "the error is too long: {answered} bytes");
    assert_ready(&app).await;
}

#[tokio::test]
async fn invalid_numbers_and_characters_are_rejected() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    let cluster = app.cluster(&tenant.provisioner, &tenant.admin).await;
    for count in
        ["0", "-1", "1.5", "1e3", "99999999999999999999999999", "4294967297", "\"0x10\"", "\"\"", "null", "true"]
    {
        let body = format!("{{\"node_count\": {count}}}");
        let path = format!("/api/v1/clusters/{cluster}/resize");
        reply_to(&app, request("PATCH", &path, Some(token), &body)).await.is_error(422);
    }
    for (offset, limit) in
        [("99999999999999999999", "1"), ("-0", "0"), ("1e3", "1"), ("0x1", "1"), ("1", "+5000"), ("\u{0661}", "1")]
    {
        let answer = app.get(&format!("/clusters?offset={offset}&limit={limit}"), token).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{offset} {limit}: {}", answer.body);
    }
    let refused = ["a\0b", "\0", "a\nb", "a\u{7f}", "a\u{85}b", " a", ""];
    for name in refused {
        let user = json!({"username": name, "password": "a password"});
        assert_eq!(app.post("/users", token, user).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{name:?}");
        let path = format!("/clusters/{cluster}");
        assert_eq!(app.patch(&path, token, json!({"name": name})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    // Free-form fields and passwords accept any character.
    let odd = json!({"a\0b": "c\0d", "number": 9_007_199_254_740_993_u64, "small": -0.000_000_1, "text": "\u{1F4A9}\u{202E}"});
    let (username, password) = (new_name("odd"), "pass\0word \u{1F4A9}");
    let user = json!({"username": username, "password": password, "metadata": odd});
    let id = app.post("/users", token, user).await.id();
    assert_eq!(app.get(&format!("/users/{id}"), token).await.ok()["metadata"], odd);
    app.log_in(&username, password).await;
    let cut = json!({"username": username, "password": "pass"});
    assert_eq!(app.call(Method::POST, "/auth", None, Some(&cut)).await.status, StatusCode::UNAUTHORIZED);
}
