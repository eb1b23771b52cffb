//! The metrics for Prometheus, and who may read them.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use kqueen_tests::fixture::{
    app::{App, Options, read},
    process::leave_out,
};
use reqwest::{Method, StatusCode};

/// Names that dashboards of 2018 use, and that today's naming rules would not allow.
const KEPT: [&str; 5] = ["request_count", "users_by_namespace", "users_by_role", "users_active", "organization_count"];

async fn text(app: &App) -> String {
    let answer = read(app.request(Method::GET, &format!("{}/metrics/", app.origin), None)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    answer.body.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn metric_names_of_2018_are_kept_and_paths_are_templates() {
    let app = App::start().await;
    let token = app.admin().await;
    let organization = app.get("/organizations", &token).await.ok()[0]["id"].as_str().unwrap().to_owned();
    app.get(&format!("/organizations/{organization}"), &token).await.ok();
    app.get("/nothing/here", &token).await;
    let text = text(&app).await;
    for line in [
        r#"users_by_namespace{namespace="operators"} 1"#,
        r#"users_by_role{role="superadmin"} 1"#,
        "users_active 1",
        "organization_count 1",
        r#"request_count{endpoint="/api/v1/organizations/{id}",http_status="200",method="GET"} 1"#,
        r#"request_count{endpoint="unknown",http_status="404",method="GET"} 1"#,
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains(&organization) && !text.contains("nothing"), "the metrics contain a raw path");
}

#[tokio::test]
async fn promtool_finds_no_problem_except_in_the_kept_names() {
    let app = App::start().await;
    app.admin().await;
    let text = text(&app).await;
    let promtool =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut promtool) = promtool else { return leave_out("promtool") };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = String::from_utf8(promtool.wait_with_output().unwrap().stderr).unwrap();
    let problems: Vec<&str> =
        output.lines().filter(|line| !KEPT.iter().any(|kept| line.starts_with(kept)) && !line.is_empty()).collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[tokio::test]
async fn other_addresses_need_a_token() {
    let app = App::start_with(Options::default().with("PROMETHEUS_WHITELIST", "192.0.2.0/24")).await;
    let url = format!("{}/metrics/", app.origin);
    let without = read(app.request(Method::GET, &url, None)).await;
    assert_eq!((without.status, &without.body["error"]), (StatusCode::UNAUTHORIZED, &"unauthenticated".into()));
    let garbage = read(app.request(Method::GET, &url, Some("garbage"))).await;
    assert_eq!(garbage.status, StatusCode::UNAUTHORIZED);
    let token = app.admin().await;
    assert_eq!(read(app.request(Method::GET, &url, Some(&token))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_forwarding_header_from_an_untrusted_address_voids_the_whitelist() {
    let app = App::start().await;
    let url = format!("{}/metrics", app.origin);
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("via", "1.1 proxy"),
    ] {
        let answer = read(app.request(Method::GET, &url, None).header(name, value)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}");
    }
}

#[tokio::test]
async fn the_address_that_a_trusted_proxy_forwards_is_used() {
    let app = App::start_with(Options::default().with("TRUSTED_PROXIES", "127.0.0.1/32")).await;
    let url = format!("{}/metrics", app.origin);
    let from = |address: &str| read(app.request(Method::GET, &url, None).header("x-forwarded-for", address));
    assert_eq!(from("127.0.0.2").await.status, StatusCode::OK);
    assert_eq!(from("203.0.113.7").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(from("127.0.0.2, 203.0.113.7").await.status, StatusCode::UNAUTHORIZED);
}

/// A header and its value, as a trusted proxy sends it.
type Sent<'s> = (&'s str, &'s [u8]);

#[tokio::test]
async fn any_forwarding_header_of_a_trusted_proxy_identifies_the_client() {
    let app = App::start_with(Options::default().with("TRUSTED_PROXIES", "127.0.0.1/32")).await;
    let url = format!("{}/metrics", app.origin);
    let strangers: [&[Sent<'_>]; 22] = [
        &[("x-forwarded-for", b"203.0.113.5")],
        &[("x-forwarded-for", b"203.0.113.5:51234")],
        &[("x-forwarded-for", b"[2001:db8::1]:443")],
        &[("x-forwarded-for", b"127.0.0.2, 203.0.113.5, 127.0.0.1")],
        &[("x-forwarded-for", b"127.0.0.2"), ("x-forwarded-for", b"203.0.113.5")],
        &[("x-real-ip", b"203.0.113.5")],
        &[("forwarded", b"for=203.0.113.5")],
        &[("forwarded", b"proto=https;for=\"[2001:db8::1]:4711\"")],
        &[("forwarded", b"for=127.0.0.2, for=203.0.113.5")],
        // An unknown address is in no whitelist.
        &[("x-forwarded-for", b"127.0.0.2, unknown")],
        &[("x-forwarded-for", b"127.0.0.2\xe4")],
        &[("x-real-ip", b"\xe4")],
        &[("forwarded", b"for=_hidden")],
        &[("forwarded", b"for=127.0.0.2;x=\", for=203.0.113.5")],
        // Headers that show that the request was forwarded, but not for whom.
        &[("x-forwarded-proto", b"https")],
        &[("x-forwarded-host", b"kqueen.example")],
        &[("x-forwarded-port", b"443")],
        &[("via", b"1.1 proxy")],
        &[("x-forwarded-proto", b"https"), ("x-forwarded-host", b"kqueen.example"), ("via", b"2.0 proxy")],
        &[("x-forwarded-proto", b"https"), ("x-forwarded-for", b"203.0.113.5")],
        // One of the two headers comes from the client itself.
        &[("x-forwarded-for", b"203.0.113.5"), ("x-real-ip", b"127.0.0.2")],
        &[("x-forwarded-for", b"203.0.113.5"), ("forwarded", b"for=127.0.0.2")],
    ];
    let whitelisted: [&[Sent<'_>]; 8] = [
        &[],
        &[("x-forwarded-proto", b"https"), ("x-forwarded-for", b"127.0.0.2"), ("via", b"1.1 proxy")],
        &[("x-forwarded-for", b"127.0.0.2:51234")],
        &[("x-real-ip", b"127.0.0.2")],
        &[("forwarded", b"for=\"127.0.0.2:4711\"")],
        &[("x-forwarded-for", b"\xe4, 127.0.0.2")],
        &[("x-forwarded-for", b"127.0.0.2"), ("x-real-ip", b"127.0.0.2"), ("forwarded", b"for=127.0.0.2")],
        &[("x-forwarded-for", b"127.0.0.2, 127.0.0.1"), ("x-real-ip", b"127.0.0.1")],
    ];
    for (sent, status) in strangers.map(|sent| (sent, 401)).into_iter().chain(whitelisted.map(|sent| (sent, 200))) {
        let mut request = app.request(Method::GET, &url, None);
        for (name, value) in sent {
            request = request.header(*name, *value);
        }
        assert_eq!(read(request).await.status, status, "{sent:?}");
    }
}
