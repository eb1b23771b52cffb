//! Clients behind a trusted proxy are identified by their addresses, in any header and form that the proxy sends.

use kqueen_tests::fixture::app::{App, Options, read};
use reqwest::{Method, StatusCode};
use serde_json::json;

/// The header that the proxy sends for a client, and its value.
type Sends = fn(u16) -> (&'static str, String);

/// Sends a failing log-in for each number of `range`, and returns how many were throttled.
async fn throttled(app: &App, range: std::ops::Range<u16>, sends: Sends) -> usize {
    let mut count = 0;
    for n in range {
        let (name, value) = sends(n);
        let body = json!({"username": format!("{name} {value} {n}"), "password": "wrong"});
        let answer = read(app.request(Method::POST, "/auth", None).header(name, value).json(&body)).await;
        match answer.status {
            StatusCode::UNAUTHORIZED => {}
            StatusCode::TOO_MANY_REQUESTS => count += 1,
            status => panic!("{status}: {}", answer.body),
        }
    }
    count
}

async fn behind_a_proxy() -> App {
    // A burst of six from each address.
    let options = Options::default().with("TRUSTED_PROXIES", "127.0.0.1/32").with("LOGIN_ATTEMPTS_PER_MINUTE", "2");
    App::start_with(options).await
}

#[tokio::test]
async fn clients_are_throttled_by_their_address_in_whichever_header_and_form() {
    let app = behind_a_proxy().await;
    let forms: [(&str, Sends); 6] = [
        ("an address", |n| ("x-forwarded-for", format!("203.0.113.{n}"))),
        ("with a port", |n| ("x-forwarded-for", format!("198.51.100.{n}:5{n:04}"))),
        ("IPv6 with a port", |n| ("x-forwarded-for", format!("[2001:db8:{n:x}::1]:443"))),
        ("X-Real-IP", |n| ("x-real-ip", format!("192.0.2.{n}"))),
        ("Forwarded", |n| ("forwarded", format!("for=198.18.0.{n};proto=https"))),
        ("Forwarded with IPv6", |n| ("forwarded", format!("for=\"[2001:db8:1{n:03x}::1]:4711\""))),
    ];
    for (form, sends) in forms {
        assert_eq!(throttled(&app, 1..13, sends).await, 0, "{form}");
    }
    // One address is one client, whatever its port and the header.
    let one = |n: u16| match n % 3 {
        0 => ("x-forwarded-for", format!("203.0.113.200:{}", 50_000 + n)),
        1 => ("forwarded", format!("for=\"203.0.113.200:{n}\"")),
        _ => ("x-real-ip", "203.0.113.200".to_owned()),
    };
    assert!(throttled(&app, 1..19, one).await >= 6, "six at once, and one more each ten seconds");
}

#[tokio::test]
async fn an_account_has_the_attempts_that_are_set_and_an_address_three_times_as_many() {
    let app = behind_a_proxy().await;
    let attempt = async |username: &str, address: &str| {
        let body = json!({"username": username, "password": "wrong"});
        let request = app.request(Method::POST, "/auth", None).header("x-forwarded-for", address);
        read(request.json(&body)).await.status.as_u16()
    };
    // One account, from one address after another: the setting is 2.
    let mut statuses = Vec::new();
    for n in 1..=3 {
        statuses.push(attempt("ann", &format!("203.0.113.{n}")).await);
    }
    assert_eq!(statuses, [401, 401, 429]);
    // One address, for one account after another.
    statuses.clear();
    for n in 1..=7 {
        statuses.push(attempt(&format!("user{n}"), "198.51.100.1").await);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 429]);
}

#[tokio::test]
async fn unidentified_clients_are_throttled_as_one_and_do_not_affect_others() {
    let app = behind_a_proxy().await;
    let unknown = |n: u16| match n % 3 {
        0 => ("x-forwarded-for", format!("203.0.113.{n}, unknown")),
        1 => ("forwarded", format!("for=_hidden{n}")),
        _ => ("x-real-ip", format!("somewhere-{n}")),
    };
    assert!(throttled(&app, 1..19, unknown).await >= 6);
    assert_eq!(throttled(&app, 1..4, |n| ("x-forwarded-for", format!("203.0.113.{n}"))).await, 0);
    // The proxy's address is not affected either.
    app.admin().await;
}
