//! Peers that pretend to be clusters: probes and views of them end in time, in bounded memory and with a reason.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use kqueen_adapters::inspector::{KubeInspector, Limits};
use kqueen_domain::{
    kubeconfig::{self, AddressRules},
    kubernetes::{Fault, Section},
    observation::ProbeResult,
    port::inspector::{ClusterInspector, InspectError},
    reason::ReasonCode,
    secret::Kubeconfig,
};
use kqueen_tests::fixture::{
    kubernetes::kubeconfig as config,
    peer::{Peer, read_request, response},
    process::free_port,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const JSON: &str = "application/json";
const VERSION: &str = r#"{"gitVersion": "v1.37.2"}"#;
const PROBE: Duration = Duration::from_secs(2);
const VIEW: Duration = Duration::from_secs(3);

fn inspector() -> KubeInspector {
    let limits = Limits {
        connect: Duration::from_secs(1),
        probe: PROBE,
        body_bytes: 4 * 1024 * 1024,
        objects: 1_000,
        ..Limits::default()
    };
    KubeInspector::new(AddressRules::denying(Vec::new()), limits)
}

fn at(url: &str) -> Kubeconfig {
    let document = config(url, None, json!({"token": "s3cret-token"}));
    kubeconfig::parse(&document.into(), &AddressRules::denying(Vec::new())).unwrap()
}

/// The result of a probe and a status of the server at `url`: its kind, reason code and message, which must be the same in both.
async fn seen(url: &str) -> (&'static str, ReasonCode, String) {
    let (inspector, document) = (inspector(), at(url));
    let started = Instant::now();
    let probe = inspector.probe(&document).await;
    assert!(started.elapsed() < PROBE + Duration::from_millis(700), "probe took {:?}", started.elapsed());
    let started = Instant::now();
    let status = inspector.status(&document, VIEW).await.expect_err("the status fails");
    assert!(started.elapsed() < VIEW + Duration::from_millis(700), "status took {:?}", started.elapsed());
    let (kind, code, reason) = match probe {
        ProbeResult::Refused { code, reason } => ("refused", code, reason),
        ProbeResult::NoAnswer { code, reason } => ("no answer", code, reason),
        ProbeResult::Reached { .. } => panic!("{url} passes for a cluster"),
    };
    let (InspectError::Refused(other) | InspectError::Unreachable(other) | InspectError::TimedOut(other)) = status;
    assert_eq!(reason, other);
    assert!(!reason.contains("s3cret"));
    (kind, code, reason)
}

#[track_caller]
fn assert_seen((kind, code, reason): (&'static str, ReasonCode, String), expected: &str, is: ReasonCode, text: &str) {
    assert_eq!((kind, code), (expected, is), "{reason}");
    assert!(reason.contains(text), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_not_kubernetes_are_refused() {
    let html = Peer::http(|_| response("200 OK", "text/html", "<html>hello</html>")).await;
    assert_seen(seen(&html.url("http")).await, "refused", ReasonCode::WrongEndpoint, "not a Kubernetes API server");
    let missing = Peer::http(|_| response("404 Not Found", "text/html", "<html>no</html>")).await;
    assert_seen(seen(&missing.url("http")).await, "refused", ReasonCode::WrongEndpoint, "not a Kubernetes API server");
    let other = Peer::http(|_| response("200 OK", JSON, r#"{"version": "7"}"#)).await;
    assert_seen(seen(&other.url("http")).await, "refused", ReasonCode::WrongEndpoint, "not a Kubernetes API server");
    let teapot = Peer::http(|_| response("418 I'm a teapot", "text/plain", "")).await;
    assert_seen(seen(&teapot.url("http")).await, "refused", ReasonCode::WrongEndpoint, "not a Kubernetes API server");
    let empty = Peer::http(|path| match path {
        "/version" => response("200 OK", JSON, VERSION),
        _ => response("404 Not Found", JSON, "{}"),
    })
    .await;
    assert_seen(seen(&empty.url("http")).await, "refused", ReasonCode::WrongEndpoint, "not a Kubernetes API server");
    let garbage = Peer::raw(|mut stream| async move {
        let _request = read_request(&mut stream).await;
        let _gone = stream.write_all(b"\x00\xff\x13SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n").await;
    })
    .await;
    assert_seen(seen(&garbage.url("http")).await, "refused", ReasonCode::WrongEndpoint, "not a Kubernetes API server");
    let impostor = Peer::http(|path| {
        response("200 OK", JSON, if path == "/version" { VERSION } else { r#"{"kind": "PodList"}"# })
    })
    .await;
    assert_seen(seen(&impostor.url("http")).await, "refused", ReasonCode::WrongEndpoint, "not a Kubernetes API server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_protocol_is_named() {
    let plain = Peer::raw(|mut stream| async move {
        let _hello = stream.read(&mut [0; 1024]).await;
        let _gone = stream.write_all(response("400 Bad Request", "text/plain", "").as_bytes()).await;
    })
    .await;
    assert_seen(seen(&plain.url("https")).await, "refused", ReasonCode::WrongEndpoint, "does not support TLS");
    let tls =
        Peer::http(|_| response("400 Bad Request", "text/plain", "Client sent an HTTP request to an HTTPS server.\n"))
            .await;
    assert_seen(seen(&tls.url("http")).await, "refused", ReasonCode::WrongEndpoint, "requires TLS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_are_not_followed() {
    let target = Peer::http(|_| response("200 OK", JSON, VERSION)).await;
    for place in [target.url("http"), "http://169.254.169.254/latest/meta-data/".to_owned()] {
        let redirect = Peer::http(move |_| {
            format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        })
        .await;
        assert_seen(seen(&redirect.url("http")).await, "refused", ReasonCode::WrongEndpoint, "sends a redirect");
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_do_not_answer_are_reported_in_time() {
    let unresponsive =
        Peer::raw(|mut stream| async move { while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {} })
            .await;
    assert_seen(
        seen(&unresponsive.url("http")).await,
        "no answer",
        ReasonCode::ClusterTimedOut,
        "did not respond in time",
    );
    assert_seen(
        seen(&unresponsive.url("https")).await,
        "no answer",
        ReasonCode::ClusterTimedOut,
        "did not respond in time",
    );
    let half = Peer::raw(|mut stream| async move {
        let _request = read_request(&mut stream).await;
        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{").await;
        while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    assert_seen(seen(&half.url("http")).await, "no answer", ReasonCode::ClusterTimedOut, "did not respond in time");
    let drip = Peer::raw(|mut stream| async move {
        let _request = read_request(&mut stream).await;
        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_seen(seen(&drip.url("http")).await, "no answer", ReasonCode::ClusterTimedOut, "did not respond in time");
    let closing = Peer::raw(|stream| async move { drop(stream) }).await;
    // The connection closes before or after the request is sent, by chance.
    for _ in 0..50 {
        assert_seen(
            seen(&closing.url("http")).await,
            "no answer",
            ReasonCode::ClusterUnreachable,
            "closed the connection",
        );
    }
    assert_seen(
        seen(&closing.url("https")).await,
        "no answer",
        ReasonCode::ClusterUnreachable,
        "closed the connection",
    );
    assert_seen(
        seen(&format!("http://127.0.0.1:{}", free_port())).await,
        "no answer",
        ReasonCode::ClusterUnreachable,
        "connection refused",
    );
    assert_seen(
        seen("http://no-such-host.invalid").await,
        "no answer",
        ReasonCode::NameNotResolved,
        "cannot be resolved",
    );
    let proxy = Peer::http(|_| response("503 Service Unavailable", "text/html", "<html>later</html>")).await;
    assert_seen(seen(&proxy.url("http")).await, "no answer", ReasonCode::ClusterUnavailable, "(503)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_any_size_take_bounded_memory() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let flood = Peer::raw(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            let _request = read_request(&mut stream).await;
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n").await;
            while stream.write_all(&[b' '; 64 * 1024]).await.is_ok() {
                count.fetch_add(64 * 1024, Ordering::SeqCst);
            }
        }
    })
    .await;
    assert_seen(seen(&flood.url("http")).await, "refused", ReasonCode::UnexpectedAnswer, "exceeds the size limit");
    // Two requests of at most 4 MB, and what fits into the socket buffers.
    assert!(sent.load(Ordering::SeqCst) < 64 * 1024 * 1024, "{sent:?}");
    let headers = Peer::raw(|mut stream| async move {
        let _request = read_request(&mut stream).await;
        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(format!("x-y: {}\r\n", "z".repeat(8_000)).as_bytes()).await.is_ok() {}
    })
    .await;
    assert_seen(seen(&headers.url("http")).await, "refused", ReasonCode::WrongEndpoint, "not a Kubernetes API server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_lists_are_cut_off() {
    let pages = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&pages);
    let endless = Peer::http(move |path| {
        if path == "/version" {
            return response("200 OK", JSON, VERSION);
        }
        let page = count.fetch_add(1, Ordering::SeqCst);
        let items = vec![json!({"metadata": {"uid": "u", "name": "n"}}); 100];
        // Services repeat one page token, the other lists always have another.
        let token = if path.contains("/services") { "same".to_owned() } else { format!("page-{page}") };
        response("200 OK", JSON, &json!({"kind": "List", "metadata": {"continue": token}, "items": items}).to_string())
    })
    .await;
    let status = inspector().status(&at(&endless.url("http")), VIEW).await.unwrap();
    assert_eq!(status.snapshot.pods.len(), 1_000);
    assert_eq!(status.snapshot.errors[&Section::Pods].fault, Fault::TooMany);
    assert_eq!(status.snapshot.errors[&Section::Services].fault, Fault::Failed);
    assert!(pages.load(Ordering::SeqCst) < 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_list_is_restarted_once() {
    let expired = r#"{"kind": "Status", "code": 410, "reason": "Expired", "metadata": {"continue": "inconsistent"}}"#;
    let page = |token: &str, name: &str| {
        json!({"kind": "PodList", "metadata": {"continue": token}, "items": [{"metadata": {"name": name}}]}).to_string()
    };
    let requests = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&requests);
    let peer = Peer::http(move |path| match path.split_once("/pods?") {
        Some((_, query)) => {
            log.lock().unwrap().push(query.to_owned());
            match query {
                "limit=500" => response("200 OK", JSON, &page("second", "first")),
                "limit=500&continue=inconsistent" => response("200 OK", JSON, &page("", "rest")),
                _ => response("410 Gone", JSON, expired),
            }
        }
        None if path == "/version" => response("200 OK", JSON, VERSION),
        None => response("200 OK", JSON, r#"{"kind": "List", "items": null}"#),
    })
    .await;
    let status = inspector().status(&at(&peer.url("http")), VIEW).await.unwrap();
    let names: Vec<_> = status.snapshot.pods.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
    assert_eq!(names, ["first", "rest"]);
    assert_eq!(status.snapshot.errors.len(), 0);
    let twice = ["limit=500", "limit=500&continue=second"];
    assert_eq!(*requests.lock().unwrap(), [twice[0], twice[1], twice[0], twice[1], "limit=500&continue=inconsistent"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_list_does_not_hide_the_others() {
    let peer = Peer::raw(|mut stream| async move {
        let path = read_request(&mut stream).await;
        if path.contains("/pods") {
            while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
        }
        let body =
            if path == "/version" { VERSION } else { r#"{"kind": "List", "items": [{"metadata": {"name": "x"}}]}"# };
        let _gone = stream.write_all(response("200 OK", JSON, body).as_bytes()).await;
    })
    .await;
    let started = Instant::now();
    let status = inspector().status(&at(&peer.url("http")), VIEW).await.unwrap();
    assert!(started.elapsed() < VIEW + Duration::from_millis(700), "{:?}", started.elapsed());
    assert_eq!((status.snapshot.nodes.len(), status.snapshot.pods.len()), (1, 0));
    assert_eq!(status.snapshot.errors.keys().collect::<Vec<_>>(), [&Section::Pods]);
    assert_eq!(status.snapshot.errors[&Section::Pods].fault, Fault::TimedOut);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_in_our_environment_is_not_used() {
    const WITHIN: &str = "KQUEEN_TEST_WITHIN_PROXY";
    if std::env::var_os(WITHIN).is_none() {
        // The environment belongs to the process, so the test runs itself again in a process with proxies.
        let trap = Peer::http(|_| response("502 Bad Gateway", "text/plain", "")).await;
        let mut again = tokio::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "hostile::a_proxy_in_our_environment_is_not_used"]).env(WITHIN, "1");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            again.env(name, trap.url("http"));
        }
        let output = again.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(trap.connections(), 0);
        return;
    }
    let peer = Peer::http(|path| {
        response("200 OK", JSON, if path == "/version" { VERSION } else { r#"{"kind": "List", "items": []}"# })
    })
    .await;
    assert!(matches!(inspector().probe(&at(&peer.url("http"))).await, ProbeResult::Reached { .. }));
    assert_eq!(peer.connections(), 2);
}
