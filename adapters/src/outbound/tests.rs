use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use http::{Method, StatusCode};
use kqueen_domain::{observation::EngineError, reason::ReasonCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// A server that answers every connection with these bytes, then closes it; and what it was sent.
async fn server(answer: &'static str) -> (Url, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/v1/things", listener.local_addr().unwrap())).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let requests = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 4096];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            requests.lock().unwrap().push(String::from_utf8_lossy(&buffer[..read]).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, heard)
}

fn lenient() -> Settings {
    Settings { addresses: AddressRules::denying(Vec::new()), ..Settings::default() }
}

fn outbound(settings: &Settings) -> Outbound {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Outbound::new(settings).unwrap()
}

async fn get(outbound: &Outbound, address: Address, url: Url) -> Result<Reply, SendError> {
    outbound.send(address, outbound.request(address, Method::GET, url), 1000).await
}

#[tokio::test]
async fn tenants_reach_no_denied_address_whichever_way_it_is_written() {
    let (url, heard) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let port = url.port().unwrap();
    let strict = outbound(&Settings::default());
    for host in
        ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433", "127.1", "0x7f000001"]
    {
        let url = Url::parse(&format!("http://{host}:{port}/")).unwrap();
        let error = get(&strict, Address::Tenant, url.clone()).await.unwrap_err();
        assert_eq!(error, SendError::Denied, "{host}");
        assert!(error.was_not_sent());
        let EngineError::Rejected(reason) = error.engine_error("the token service") else { panic!("{error:?}") };
        assert_eq!(reason.code, ReasonCode::AddressDenied);
    }
    assert!(heard.lock().unwrap().is_empty());
    // What the operator has set may lead to this machine.
    let url = Url::parse(&format!("http://localhost:{port}/")).unwrap();
    assert_eq!(get(&strict, Address::Operator, url).await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_proxy_gets_what_is_not_excepted_and_does_not_widen_what_tenants_reach() {
    let (proxy, heard) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let (direct, reached) = server("HTTP/1.1 204 No Content\r\n\r\n").await;
    let settings = Settings {
        proxy: Some(proxy.as_str().into()),
        no_proxy: Some("127.0.0.1".into()),
        addresses: AddressRules::denying(vec!["192.0.2.0/24".parse().unwrap()]),
        ..Settings::default()
    };
    let outbound = outbound(&settings);
    let through = Url::parse("http://provider.example/v1").unwrap();
    assert_eq!(get(&outbound, Address::Operator, through).await.unwrap().status, StatusCode::OK);
    assert!(heard.lock().unwrap()[0].starts_with("GET http://provider.example/v1 HTTP/1.1"), "{heard:?}");
    assert_eq!(get(&outbound, Address::Operator, direct).await.unwrap().status, StatusCode::NO_CONTENT);
    assert_eq!(reached.lock().unwrap().len(), 1);

    let denied = Url::parse("http://192.0.2.7/").unwrap();
    assert_eq!(get(&outbound, Address::Tenant, denied).await.unwrap_err(), SendError::Denied);
    let unknown = Url::parse("http://no-such-host.invalid/").unwrap();
    assert_eq!(get(&outbound, Address::Tenant, unknown).await.unwrap_err(), SendError::UnknownName);
    assert_eq!(heard.lock().unwrap().len(), 1, "neither was sent to the proxy");
}

#[tokio::test]
async fn a_request_names_the_product_and_carries_nothing_of_the_environment() {
    let (url, heard) = server("HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n").await;
    let reply = get(&outbound(&lenient()), Address::Tenant, url).await.unwrap();
    assert_eq!(
        (reply.status, reply.header("location")),
        (StatusCode::FOUND, Some("http://192.0.2.1/")),
        "not followed"
    );
    let request = heard.lock().unwrap().join("\n").to_lowercase();
    assert!(request.contains(&format!("user-agent: kqueen/{}", env!("CARGO_PKG_VERSION"))), "{request}");
    assert!(!request.contains("referer"), "{request}");
}

#[tokio::test]
async fn an_answer_is_read_whole_or_not_at_all() {
    let cases = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n", SendError::TooLarge),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e8\r\n", SendError::Cut),
        ("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"clusters\":", SendError::Cut),
        ("HTTP/1.1 200 O", SendError::Cut),
        ("", SendError::Cut),
        ("SSH-2.0-OpenSSH_9.2\r\n", SendError::Cut),
    ];
    for (answer, expected) in cases {
        let (url, _) = server(answer).await;
        let error = get(&outbound(&lenient()), Address::Tenant, url).await.unwrap_err();
        assert_eq!(error, expected, "{answer:?}");
        assert!(!error.was_not_sent(), "{answer:?}: it may have taken effect");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_says_why() {
    let outbound = outbound(&lenient());
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (plain, _) = server("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let tls_on_plain = format!("https://127.0.0.1:{}/", plain.port().unwrap());
    let cases = [
        (format!("http://127.0.0.1:{free}/"), SendError::NotConnected, ReasonCode::ProviderUnreachable),
        ("http://no-such-host.invalid/".to_owned(), SendError::UnknownName, ReasonCode::NameNotResolved),
        (tls_on_plain, SendError::Tls, ReasonCode::TlsFailed),
    ];
    for (url, expected, code) in cases {
        let error = get(&outbound, Address::Operator, Url::parse(&url).unwrap()).await.unwrap_err();
        assert_eq!((error, error.reason("the provider").code), (expected, code), "{url}");
        assert!(error.was_not_sent(), "{url}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date_and_at_most_ten_minutes() {
    let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
    let cases = [
        ("0", Some(0)),
        (" 7 ", Some(7)),
        ("601", Some(600)),
        ("99999999999999999999999", Some(600)),
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
        ("Sun Nov  6 08:50:37 1994", Some(60)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("Sat, 06 Nov 2094 08:00:00 GMT", Some(600)),
        ("-5", None),
        ("", None),
        ("soon", None),
    ];
    for (value, seconds) in cases {
        assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value:?}");
    }
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", SystemTime::now()), Some(Duration::ZERO));
}

#[test]
fn an_excerpt_is_a_line_of_text_without_markup() {
    let reply = |body: &'static str| Reply {
        status: StatusCode::BAD_GATEWAY,
        headers: http::HeaderMap::new(),
        body: body.into(),
    };
    let page = "<html>\n<head><title>502 Bad Gateway</title></head>\r\n<body>Down for <b>maintenance</b></body></html>";
    assert_eq!(reply(page).excerpt(), "502 Bad Gateway Down for maintenance");
    assert_eq!(reply("a < b\tis true\u{1b}[0m").excerpt(), "a < b is true [0m");
    assert_eq!(reply("").excerpt(), "");
}

#[test]
fn settings_that_cannot_be_used_say_which() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let empty = Settings { certificates: Some(b"nothing".to_vec()), ..Settings::default() };
    assert!(matches!(Outbound::new(&empty), Err(SetupError::NoCertificate)));
    let proxy = Settings { proxy: Some("::user:hunter2@".into()), ..Settings::default() };
    let error = Outbound::new(&proxy).unwrap_err();
    assert!(matches!(error, SetupError::Proxy) && !format!("{error:?} {error}").contains("hunter2"));
}
