//! The answers of version 0.1 on its store, and how today's answers are compared with them.

use std::collections::BTreeMap;

use kqueen_tests::fixture::app::App;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::store::PASSWORD;

const ANSWERS: &str = include_str!("../../data/store_0_1/answers.jsonl");

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "as")]
    reader: String,
    path: String,
    key: Option<String>,
    sent: Option<Value>,
    status: u16,
    etag: Option<String>,
    body: Value,
}

/// A request and its answer.
pub(crate) struct Answered {
    pub(crate) reader: String,
    pub(crate) path: String,
    /// The idempotency key and the body of a POST.
    pub(crate) sent: Option<(String, Value)>,
    pub(crate) status: StatusCode,
    pub(crate) tag: Option<String>,
    pub(crate) body: Value,
}

/// All recorded requests with their answers.
pub(crate) fn all() -> Vec<Answered> {
    ANSWERS.lines().map(answered).collect()
}

fn answered(line: &str) -> Answered {
    let Line { reader, path, key, sent, status, etag, body } = serde_json::from_str(line).unwrap();
    let status = StatusCode::from_u16(status).unwrap();
    Answered { reader, path, sent: key.zip(sent), status, tag: etag, body }
}

/// The tokens of those who read, by name.
pub(crate) struct Readers(BTreeMap<&'static str, String>);

impl Readers {
    /// Logs in with the passwords of the old store.
    pub(crate) async fn log_in(app: &App) -> Self {
        let mut tokens = BTreeMap::from([("root", app.admin().await)]);
        for (name, password) in [("ann", PASSWORD), ("eve", PASSWORD), ("bob", "bob has another password")] {
            tokens.insert(name, app.log_in(name, password).await);
        }
        Self(tokens)
    }

    pub(crate) fn token(&self, name: &str) -> &str {
        &self.0[name]
    }

    /// The id of a cluster by its name.
    pub(crate) async fn cluster(&self, app: &App, name: &str) -> String {
        let found = app.get(&format!("/clusters?all_namespaces=true&name={name}"), self.token("root")).await.ok();
        found[0]["id"].as_str().unwrap().to_owned()
    }
}

/// Texts that are not stored but written when they are read: how they were in version 0.1, and how they are today. Texts that are stored
/// stay as they were.
const REWORDED: &[(&str, &str)] = &[
    ("ask the provider to make the cluster", "create the cluster at the provider"),
    ("ask the provider for another number of nodes", "change the number of nodes at the provider"),
    ("ask the provider to switch network policy", "change the network policy at the provider"),
    ("ask the provider to take the cluster down", "delete the cluster at the provider"),
    ("make sure that nothing is left", "verify that no resources are left"),
    ("the cluster is being made", "the cluster is being created"),
    ("the cluster is being changed", "the cluster is being updated"),
    ("the cluster is being taken down", "the cluster is being deleted"),
    (" (the provider says: ", " (provider message: "),
    (
        "the policy of your organization does not let you see orphans",
        "the policy of your organization does not allow you to list orphans",
    ),
];

/// A text as it is written today.
fn reworded(then: &str) -> String {
    let text = REWORDED.iter().fold(then.to_owned(), |text, (then, now)| text.replace(then, now));
    let Some(version) = text.strip_prefix("the cluster answers, Kubernetes ") else { return text };
    match version.split_once("; its provider does not: ") {
        Some((version, error)) => {
            format!("the cluster is reachable (Kubernetes {version}), but its provider cannot be queried: {error}")
        }
        None => format!("the cluster is reachable (Kubernetes {version})"),
    }
}

/// Whether the values of a field may be written when they are read.
fn may_be_reworded(key: &str) -> bool {
    ["caption", "status_message", "description"].contains(&key)
}

/// Asserts that `now` has every value of `then`, as it was or, in fields that are written when they are read, as it is worded today. It may
/// have more.
pub(crate) fn assert_has(now: &Value, then: &Value, what: &str) {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            for (key, then) in then {
                let now = now.get(key).unwrap_or_else(|| panic!("{what}: {key} is missing"));
                match then {
                    Value::String(text) if may_be_reworded(key) && now != then => {
                        assert_eq!(*now, reworded(text), "{what}: {key}");
                    }
                    _ => assert_has(now, then, &format!("{what}: {key}")),
                }
            }
        }
        (Value::Array(now), Value::Array(then)) => {
            assert_eq!(now.len(), then.len(), "{what}: {now:#?}");
            for (number, (now, then)) in now.iter().zip(then).enumerate() {
                assert_has(now, then, &format!("{what}: {number}"));
            }
        }
        // A network policy that was given as one word is now shown as an object.
        (Value::Object(now), Value::String(then)) if now.contains_key("enabled") => {
            let enabled = then != "PROVIDER_UNSPECIFIED";
            let expected = (&Value::from(then.as_str()), &Value::Bool(enabled));
            assert_eq!((&now["provider"], &now["enabled"]), expected, "{what}");
        }
        _ => assert_eq!(now, then, "{what}"),
    }
}

/// The part of an answer that does not change while clusters are reconciled: users and organizations; identity and kubeconfig of clusters
/// without a running operation; operations that have ended.
pub(crate) fn unchanging(answered: &Answered, all: &[Answered]) -> Option<Answered> {
    if answered.sent.is_some() || answered.status != StatusCode::OK {
        return None;
    }
    let path: Vec<&str> = answered.path.trim_start_matches('/').split(['/', '?']).collect();
    let mut body = answered.body.clone();
    match path[..] {
        ["organizations", _, "deletable"] => return None,
        ["organizations" | "users", ..] => {}
        ["clusters", id, "kubeconfig"] if is_settled(id, all) => {}
        ["clusters", id] if is_settled(id, all) => {
            let kept = ["id", "name", "created_at", "owner", "kubeconfig"];
            body.as_object_mut()?.retain(|key, _| kept.contains(&key.as_str()));
        }
        ["operations", _] if body["ended_at"].is_string() => drop(body.as_object_mut()?.remove("resources")),
        _ => return None,
    }
    let Answered { reader, path, status, .. } = answered;
    Some(Answered { reader: reader.clone(), path: path.clone(), sent: None, status: *status, tag: None, body })
}

/// Whether no operation runs on a cluster.
fn is_settled(id: &str, all: &[Answered]) -> bool {
    let path = format!("/clusters/{id}");
    let phase = all.iter().find(|answered| answered.path == path).map(|answered| &answered.body["phase"]);
    phase.is_some_and(|phase| ["OK", "Error", "Unknown"].iter().any(|settled| phase == settled))
}
