//! Today's program opens a store that version 0.1 wrote, and finds everything in it: the same values, times, reasons and revisions, and
//! secrets that it can decrypt. See `tests/data/store_0_1`.
#![allow(clippy::unwrap_used, missing_docs, reason = "test code: a failure is a panic")]

mod answers;
mod store;

use std::{collections::BTreeSet, time::Duration};

use kqueen_tests::fixture::{
    app::{App, Options, read},
    child,
    etcd::{Etcd, Options as EtcdOptions},
    people::kubeconfig,
    process::eventually,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
};

use self::answers::{Answered, Readers, assert_has, unchanging};

const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the program if this process was started for that. Does nothing when run as a test.
#[test]
fn child() {
    child::serve_if_asked();
}

/// Today's program with the engines of version 0.1, on a store that `prepare` writes.
async fn opened(options: Options, kind: &str, prepare: impl AsyncFnOnce(&App)) -> App {
    let options = options.with_model_engine("today").with("SECRET_KEY", store::SECRET_KEY);
    let options = options.with("DEMO_ENABLED", "true").with("STORAGE_KIND", "memory");
    // Started once to create its folder.
    let mut app = App::start_with(options).await;
    app.kill();
    prepare(&app).await;
    store::put_demo(&app.folder);
    app.set("STORAGE_KIND", kind);
    app.restart().await;
    app
}

async fn ask(app: &App, readers: &Readers, answered: &Answered) -> (StatusCode, Option<String>, Value) {
    let token = Some(readers.token(&answered.reader));
    let request = match &answered.sent {
        None => app.request(Method::GET, &answered.path, token),
        Some((key, body)) => app.request(Method::POST, &answered.path, token).header("idempotency-key", key).json(body),
    };
    let answer = read(request).await;
    let tag = answer.headers.get("etag").map(|tag| tag.to_str().unwrap().to_owned());
    (answer.status, tag, answer.body)
}

#[tokio::test]
async fn on_etcd_every_answer_is_the_same() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let options = Options::default().on_etcd(&etcd, "/older");
    // Another replica leads, so that clusters are not reconciled while they are compared.
    let app = opened(options, "etcd", async |_| store::put_on_etcd(&etcd, "/older").await).await;
    let readers = Readers::log_in(&app).await;
    let mut codes = BTreeSet::new();
    for answered in answers::all() {
        let (status, tag, body) = ask(&app, &readers, &answered).await;
        let what = format!("{} requests {}", answered.reader, answered.path);
        assert_eq!(status, answered.status, "{what}: {body}");
        assert_eq!(tag, answered.tag, "{what}");
        assert_has(&body, &answered.body, &what);
        note_codes(&body, &mut codes);
    }
    reasons_have_codes(&codes);

    secrets_are_still_used(&app, &readers).await;
    let web = readers.cluster(&app, "web-renamed").await;
    let status = app.get(&format!("/clusters/{web}/status"), readers.token("bob")).await.ok();
    assert_eq!(status["nodes"].as_array().unwrap().len(), 3, "the demo engine's file is read: {status}");
    let carol = json!({"username": "carol", "password": store::PASSWORD});
    let refused = app.call(Method::POST, "/auth", None, Some(&carol)).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "a deactivated user is still rejected");
}

/// Collects every error message in an answer, with its code.
fn note_codes(value: &Value, codes: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| note_codes(value, codes)),
        Value::Object(fields) => {
            for (message, code) in [("cause", "code"), ("status_message", "status_reason")] {
                if let (Some(Value::String(message)), Some(Value::String(code))) =
                    (fields.get(message), fields.get(code))
                {
                    codes.insert((message.clone(), code.clone()));
                }
            }
            fields.values().for_each(|value| note_codes(value, codes));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Errors that version 0.1 stored without codes get them from their messages. Those of a test engine have no known code.
fn reasons_have_codes(codes: &BTreeSet<(String, String)>) {
    for (beginning, code) in [
        ("deploying was cancelled", "Cancelled"),
        ("the quota for virtual CPUs in region demo-coast is used up", "QuotaExceeded"),
        ("the provider is busy: something else", "ProviderBusy"),
        ("the project's quota is used up", "Unknown"),
        ("nothing listens at the address of the API server", "ClusterUnreachable"),
        ("the name of the API server cannot be resolved", "NameNotResolved"),
        ("what answers at the server address is not a Kubernetes API server", "WrongEndpoint"),
        ("the provider does not accept the token", "Unknown"),
    ] {
        let mut found = codes.iter().filter(|(message, _)| message.starts_with(beginning)).peekable();
        assert!(found.peek().is_some(), "{beginning}: {codes:#?}");
        assert!(found.all(|(_, found)| found == code), "{beginning}: {codes:#?}");
    }
}

/// A provisioner that is changed keeps its secret, and its engine receives it.
async fn secrets_are_still_used(app: &App, readers: &Readers) {
    let provider = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", provider.local_addr().unwrap());
    let listening = tokio::spawn(async move {
        loop {
            let (stream, _) = provider.accept().await.unwrap();
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((name, value)) = line.split_once(": ")
                    && name.eq_ignore_ascii_case("authorization")
                {
                    return value.to_owned();
                }
            }
        }
    });
    let made = answers::all().into_iter().find(|answered| answered.path == "/provisioners" && answered.sent.is_some());
    let made = made.unwrap();
    let (_, sent) = made.sent.unwrap();
    let path = format!("/provisioners/{}", made.body["id"].as_str().unwrap());
    let change = json!({"parameters": {"url": url, "token": "*******"}});
    app.patch(&path, readers.token("ann"), change).await.ok();
    let given = tokio::time::timeout(PATIENCE, listening).await.unwrap().unwrap();
    assert_eq!(given, format!("Bearer {}", sent["parameters"]["token"].as_str().unwrap()));
}

#[tokio::test]
async fn on_sled_everything_is_kept_and_operations_continue() {
    // This replica leads at once: clusters with running operations change, and everything else is the same.
    let app = opened(Options::default(), "sled", async |app| store::put_on_sled(&app.folder.join("store"))).await;
    let readers = Readers::log_in(&app).await;
    let all = answers::all();
    let mut compared = 0;
    for answered in all.iter().filter_map(|answered| unchanging(answered, &all)) {
        let (status, _, body) = ask(&app, &readers, &answered).await;
        let what = format!("{} requests {}", answered.reader, answered.path);
        assert_eq!(status, answered.status, "{what}: {body}");
        assert_has(&body, &answered.body, &what);
        compared += 1;
    }
    assert!(compared > 60, "{compared}");

    // The operation that ran when the process was killed ends.
    let interrupted = readers.cluster(&app, "under-way").await;
    let path = format!("/clusters/{interrupted}/operations");
    let has_ended = || async { app.get(&path, readers.token("ann")).await.ok()[0]["ended_at"].is_string() };
    eventually("the interrupted operation ends", PATIENCE, has_ended).await;

    // New clusters can be created in the store.
    let provisioners = app.get("/provisioners?name=imported", readers.token("ann")).await.ok();
    let body = json!({
        "name": "of-today",
        "provisioner": format!("Provisioner:{}", provisioners[0]["id"].as_str().unwrap()),
        "kubeconfig": kubeconfig("https://127.0.0.1:1", "a-token"),
    });
    let made = app.post("/clusters", readers.token("ann"), body).await.id();
    app.observed(&made, readers.token("ann")).await;
}

#[test]
fn the_store_has_a_key_of_every_kind() {
    let pairs = store::pairs();
    for kind in [
        "shown/organization/",
        "shown/user/",
        "shown/provisioner/",
        "shown/cluster/",
        "shown/sighting/",
        "shown/ages/",
        "shown/check/",
        "shown/operation/",
        "shown/orphan/",
        "shown/departed/",
        "ledger/",
        "timeline/",
        "claim/cluster/",
        "claim/provisioner/",
        "sealed/password/",
        "sealed/user-metadata/",
        "sealed/provisioner-parameters/",
        "sealed/kubeconfig/",
        "sealed/cluster-metadata/",
        "unique/username/",
        "unique/email/",
        "unique/namespace/",
        "uses/organization/",
        "uses/user/",
        "uses/provisioner/",
        "meta/derivation",
        "meta/check/",
        "meta/installation",
    ] {
        assert!(pairs.iter().any(|pair| pair.key.starts_with(kind)), "{kind}");
    }
}
