//! HTTP conventions on every path: methods, trailing slashes, request ids, headers, compression, HTTP/2.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kqueen_tests::fixture::{
    app::{App, Options},
    people::{Tenant, new_name},
    process::eventually,
    wire::{Reply, Wire, request},
};
use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Paths that are served besides those of the API document.
const OTHERS: [&str; 3] = ["/", "/metrics", "/api/docs"];

/// Every path with its documented methods, and with ids filled in.
fn paths(tenant: &Tenant, cluster: &str) -> Vec<(String, BTreeSet<String>)> {
    let document: Value = serde_json::from_str(&kqueen::api::document()).unwrap();
    let mut paths: Vec<_> =
        OTHERS.iter().map(|path| ((*path).to_owned(), BTreeSet::from(["GET".to_owned()]))).collect();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let id = match path.split('/').nth(1).unwrap() {
            "clusters" => cluster,
            "provisioners" => &tenant.provisioner,
            "organizations" => &tenant.id,
            _ => &tenant.member.id,
        };
        let methods = operations.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        paths.push((format!("/api/v1{}", path.replace("{id}", id)).trim_end_matches('/').to_owned(), methods));
    }
    paths
}

async fn reply_to(app: &App, text: impl AsRef<[u8]>) -> Reply {
    let mut wire = Wire::to(app).await;
    wire.send(text).await;
    wire.reply().await.expect("an answer")
}

/// The headers, without those that differ in every answer.
fn stable(headers: &HeaderMap) -> BTreeMap<&str, &HeaderValue> {
    let changing = ["date", "x-request-id"];
    headers.iter().map(|(name, value)| (name.as_str(), value)).filter(|(name, _)| !changing.contains(name)).collect()
}

#[tokio::test]
async fn head_answers_like_get_without_the_body() {
    // The cluster is not observed meanwhile, so that two answers about it are equal.
    let options = Options::default().with("OBSERVE_INTERVAL", "1d").with("CLUSTER_STATE_ON_LIST", "false");
    let app = App::start_with(options).await;
    let tenant = app.tenant().await;
    let cluster = app.cluster(&tenant.provisioner, &tenant.member).await;
    app.observed(&cluster, &tenant.member.token).await;
    let mut wire = Wire::to(&app).await;
    // The answer of the event stream does not end.
    for (path, methods) in paths(&tenant, &cluster).into_iter().filter(|(path, _)| path != "/api/v1/events") {
        for encoding in ["", "accept-encoding: gzip\r\n"] {
            let authorization = format!("{encoding}authorization: Bearer {}", tenant.admin.token);
            let ask =
                |method: &str| format!("{method} {path} HTTP/1.1\r\nhost: kqueen.test\r\n{authorization}\r\n\r\n");
            wire.send(ask("HEAD")).await;
            let head = wire.head().await.unwrap();
            wire.send(ask("GET")).await;
            let mut get = wire.reply().await.unwrap();
            assert_eq!(head.status, get.status, "{path}");
            if !methods.contains("GET") {
                assert_eq!(head.status, 405, "{path}");
                continue;
            }
            if path == "/metrics" {
                // The requests themselves are counted.
                get.headers.insert("content-length", head.headers["content-length"].clone());
            }
            assert_eq!(stable(&head.headers), stable(&get.headers), "{path}");
        }
    }
}

#[tokio::test]
async fn options_and_405_list_the_allowed_methods() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let cluster = app.cluster(&tenant.provisioner, &tenant.member).await;
    for (path, mut methods) in paths(&tenant, &cluster) {
        if methods.contains("GET") {
            methods.insert("HEAD".into());
        }
        methods.insert("OPTIONS".into());
        let allow = methods.iter().cloned().collect::<Vec<_>>().join(", ");
        for slash in ["", "/"] {
            let path = format!("{}{slash}", path.trim_end_matches('/'));
            let path = if path.is_empty() { "/" } else { &path };
            let options = reply_to(&app, request("OPTIONS", path, None, "")).await;
            assert_eq!((options.status, options.header("allow")), (204, &*allow), "{path}");
            assert!(options.body.is_empty());
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"] {
                if methods.contains(method) {
                    continue;
                }
                let mut wire = Wire::to(&app).await;
                wire.send(request(method, path, Some(&tenant.admin.token), "{}")).await;
                let refused = if method == "HEAD" { wire.head().await } else { wire.reply().await }.unwrap();
                assert_eq!((refused.status, refused.header("allow")), (405, &*allow), "{method} {path}");
                if method != "HEAD" {
                    assert_eq!(refused.is_error(405)["error"], "method_not_allowed");
                }
            }
        }
    }
    for method in ["GET", "OPTIONS", "POST", "DELETE"] {
        for path in ["/api/v1/nothing", "/api/v2/clusters", "/clusters", "/api", "/api/v1/clusters/x/y/z", "//api/v1"] {
            assert_eq!(reply_to(&app, request(method, path, None, "")).await.is_error(404)["error"], "not_found");
        }
    }
}

#[tokio::test]
async fn a_trailing_slash_is_ignored() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    for list in ["organizations", "users", "provisioners", "clusters", "provisioners/engines", "users/whoami"] {
        assert_eq!(app.get(&format!("/{list}/"), token).await.ok(), app.get(&format!("/{list}"), token).await.ok());
    }
    for list in ["organizations", "users", "provisioners", "clusters"] {
        let asked = app.get(&format!("/{list}/?offset=0&limit=1"), token).await.ok();
        assert_eq!(asked, app.get(&format!("/{list}?offset=0&limit=1"), token).await.ok(), "{list}");
    }
    let member = json!({"username": new_name("u"), "password": "a password", "role": "member"});
    let id = app.post("/users/", token, member).await.id();
    let changed = app.patch(&format!("/users/{id}/"), token, json!({"email": "slash@example.test"})).await.ok();
    assert_eq!(changed["email"], "slash@example.test");
    app.patch(&format!("/users/{id}/updatepw/"), token, json!({"password": "another password"})).await.ok();
    app.delete(&format!("/users/{id}/"), token).await.ok();
    assert_eq!(app.get(&format!("/users/{id}"), token).await.status, StatusCode::NOT_FOUND);
    for path in ["/metrics", "/metrics/", "/api/docs", "/api/docs/", "/api/v1", "/api/v1/", "/api/v1/health/"] {
        assert_eq!(reply_to(&app, request("GET", path, None, "")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_valid_request_id_is_kept_and_an_invalid_one_is_replaced() {
    let app = App::start().await;
    let with_id = |id: &str| format!("GET /api/v1/nothing HTTP/1.1\r\nhost: kqueen.test\r\nx-request-id: {id}\r\n\r\n");
    let longest = "r".repeat(64);
    for valid in ["7", "0f8fad5b-d9cb-469f-a165-70867728950e", "trace_1.part-2", &longest] {
        let reply = reply_to(&app, with_id(valid)).await;
        assert_eq!(reply.is_error(404)["request_id"], valid);
        eventually("the log contains the request id", Duration::from_secs(10), async || app.log().contains(valid))
            .await;
    }
    let too_long = "r".repeat(10_000);
    for invalid in ["", " ", "a b", "a\tb", "a\"b", "<b>", "a;b", "a%0d%0ax-evil: 1", "\u{e4}", "r\u{7f}", &too_long] {
        let mut wire = Wire::to(&app).await;
        wire.send(with_id(invalid)).await;
        // An invalid header is rejected before the request is handled.
        let Some(reply) = wire.reply().await else { continue };
        if reply.status == 400 {
            continue;
        }
        let body = reply.is_error(404);
        let id = body["request_id"].as_str().unwrap();
        assert_eq!(id.len(), 36, "{invalid:?} became {id:?}");
    }
    // A value with a line break cannot inject a header.
    let folded = reply_to(&app, with_id("a\r\n b")).await;
    assert!(folded.status == 400 || folded.header("x-request-id").len() == 36, "{folded:?}");
    let injected = reply_to(&app, with_id("a\r\nx-evil: 1")).await;
    assert!(!injected.headers.contains_key("x-evil"));

    let mut ids = BTreeSet::new();
    for _ in 0..50 {
        let reply = reply_to(&app, request("GET", "/api/v1/health", None, "")).await;
        assert!(ids.insert(reply.header("x-request-id").to_owned()));
    }
}

#[tokio::test]
async fn every_answer_has_security_headers_and_is_not_cached() {
    let app = App::start().await;
    let token = app.admin().await;
    let answers = [
        (200, request("GET", "/api/v1/health", None, "")),
        (200, request("GET", "/api/v1/clusters", Some(&token), "")),
        (200, request("GET", "/api/docs/", None, "")),
        (200, request("GET", "/metrics/", None, "")),
        (204, request("OPTIONS", "/api/v1/clusters", None, "")),
        (302, request("GET", "/", None, "")),
        (400, request("POST", "/api/v1/auth", None, "{")),
        (401, request("GET", "/api/v1/clusters", None, "")),
        (404, request("GET", "/api/v1/nothing", None, "")),
        (405, request("PUT", "/api/v1/clusters", None, "")),
        (422, request("POST", "/api/v1/auth", None, "{}")),
    ];
    for (status, text) in answers {
        let reply = reply_to(&app, &text).await;
        assert_eq!(reply.status, status, "{text}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{text}");
        assert_eq!(reply.header("x-frame-options"), "DENY", "{text}");
        assert_eq!(reply.header("referrer-policy"), "no-referrer", "{text}");
        assert_eq!(reply.header("cache-control"), "no-store", "{text}");
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{text}: {policy}");
        assert!(!reply.headers.contains_key("server") && !reply.headers.contains_key("x-powered-by"), "{text}");
        assert!(reply.headers.contains_key("x-request-id") && reply.headers.contains_key("date"), "{text}");
    }
    let refused = reply_to(&app, request("GET", "/api/v1/clusters", None, "")).await;
    assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"Login Required\"");
}

#[tokio::test]
async fn large_answers_are_compressed_if_the_client_accepts_gzip() {
    let app = App::start().await;
    let ask = |path: &str, accept: Option<&str>| {
        let accept = accept.map_or_else(String::new, |accept| format!("accept-encoding: {accept}\r\n"));
        format!("GET {path} HTTP/1.1\r\nhost: kqueen.test\r\n{accept}\r\n")
    };
    let large = "/api/v1/swagger";
    let plain = reply_to(&app, ask(large, None)).await;
    assert!(!plain.headers.contains_key("content-encoding"));
    for accept in ["gzip", "gzip, deflate", "GZIP", "gzip;q=0.5", "x-unknown, gzip", "br;q=0, gzip"] {
        let packed = reply_to(&app, ask(large, Some(accept))).await;
        assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"), "{accept}");
        assert!(packed.body.len() < plain.body.len() / 2);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*packed.body).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain.body, "{accept}");
    }
    for accept in ["identity", "gzip;q=0", "x-unknown", "br", "", "*;q=0", "br;q=0, gzip;q=0, *;q=0"] {
        let reply = reply_to(&app, ask(large, Some(accept))).await;
        assert!(!reply.headers.contains_key("content-encoding"), "{accept}");
        assert!(reply.body == plain.body, "{accept}");
    }
    // The answer depends on Accept-Encoding, which caches have to know.
    for reply in [plain, reply_to(&app, ask(large, Some("gzip"))).await] {
        let vary = reply.header("vary").to_ascii_lowercase();
        assert!(vary.split(',').any(|name| name.trim() == "accept-encoding"), "{vary:?}");
    }
    for path in ["/api/v1/health", "/api/v1/nothing"] {
        assert!(!reply_to(&app, ask(path, Some("gzip, br"))).await.headers.contains_key("content-encoding"), "{path}");
    }
    // An entity tag identifies the stored revision and not the bytes; it is strong in either encoding.
    let token = app.admin().await;
    let whoami = format!(
        "GET /api/v1/users/whoami HTTP/1.1\r\nhost: kqueen.test\r\nauthorization: Bearer {token}\r\naccept-encoding: gzip\r\n\r\n"
    );
    let etag = reply_to(&app, whoami).await.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
}

#[tokio::test]
async fn another_log_in_path_can_be_configured() {
    let app = App::start_with(Options::default().with("JWT_AUTH_URL_RULE", "/log/in")).await;
    let body = json!({"username": "nobody", "password": "wrong"}).to_string();
    for path in ["/log/in", "/log/in/", "/api/v1/auth"] {
        reply_to(&app, request("POST", path, None, &body)).await.is_error(401);
        assert_eq!(reply_to(&app, request("OPTIONS", path, None, "")).await.header("allow"), "OPTIONS, POST");
    }
    let wrong = app.call(Method::PUT, &format!("{}/log/in", app.origin), None, None).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// An HTTP/2 request carries its full URI.
#[tokio::test]
async fn http_2_is_supported() {
    let app = App::start().await;
    let token = app.admin().await;
    let stream = TcpStream::connect(app.address()).await.unwrap();
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.unwrap();
    let connection = tokio::spawn(connection);
    let mut ask = async |method: &str, path: &str, body: &str| {
        let request = hyper::Request::builder()
            .method(method)
            .uri(format!("http://kqueen.test{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice::<Value>(&body).unwrap_or_default())
    };
    let (status, me) = ask("GET", "/api/v1/users/whoami", "").await;
    assert_eq!((status, &me["role"]), (200, &json!("superadmin")));
    assert_eq!(ask("GET", "/api/v1/users/whoami/?", "").await, (200, me));
    assert_eq!(ask("GET", "/api/v1/clusters/?offset=0", "").await, (200, json!({"items": [], "total": 0})));
    let new = json!({"name": "Two", "namespace": "two"}).to_string();
    let (status, made) = ask("POST", "/api/v1/organizations", &new).await;
    assert_eq!((status, &made["namespace"]), (200, &json!("two")));
    let (status, refused) = ask("GET", "/api/v1x", "").await;
    assert_eq!((status, &refused["error"]), (404, &json!("not_found")));
    drop(sender);
    connection.await.unwrap().unwrap();
}
