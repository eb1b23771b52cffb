//! What version 0.1 answered on its store, and how answers of today are compared with it.

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

/// A request, and what came of it.
pub(crate) struct Answered {
    pub(crate) reader: String,
    pub(crate) path: String,
    /// For a POST its idempotency key, and its body.
    pub(crate) sent: Option<(String, Value)>,
    pub(crate) status: StatusCode,
    pub(crate) tag: Option<String>,
    pub(crate) body: Value,
}

/// Everything that was asked.
pub(crate) fn all() -> Vec<Answered> {
    ANSWERS.lines().map(answered).collect()
}

fn answered(line: &str) -> Answered {
    let Line { reader, path, key, sent, status, etag, body } = serde_json::from_str(line).unwrap();
    let status = StatusCode::from_u16(status).unwrap();
    Answered { reader, path, sent: key.zip(sent), status, tag: etag, body }
}

/// Who reads.
pub(crate) struct Readers(BTreeMap<&'static str, String>);

impl Readers {
    /// With the passwords of then.
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

/// Everything that was answered then is answered now; there may be more.
pub(crate) fn assert_has(now: &Value, then: &Value, what: &str) {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            for (key, then) in then {
                let now = now.get(key).unwrap_or_else(|| panic!("{what}: {key} is missing"));
                assert_has(now, then, &format!("{what}: {key}"));
            }
        }
        (Value::Array(now), Value::Array(then)) => {
            assert_eq!(now.len(), then.len(), "{what}: {now:#?}");
            for (number, (now, then)) in now.iter().zip(then).enumerate() {
                assert_has(now, then, &format!("{what}: {number}"));
            }
        }
        // What a form took as a word is shown in full since.
        (Value::Object(now), Value::String(then)) if now.contains_key("enabled") => {
            let enabled = then != "PROVIDER_UNSPECIFIED";
            let expected = (&Value::from(then.as_str()), &Value::Bool(enabled));
            assert_eq!((&now["provider"], &now["enabled"]), expected, "{what}");
        }
        _ => assert_eq!(now, then, "{what}"),
    }
}

/// What of an answer stays so while clusters are reconciled: all of people and organizations; of clusters that rest what they are, their
/// kubeconfigs, and operations that have ended.
pub(crate) fn undisturbed(answered: &Answered, all: &[Answered]) -> Option<Answered> {
    if answered.sent.is_some() || answered.status != StatusCode::OK {
        return None;
    }
    let path: Vec<&str> = answered.path.trim_start_matches('/').split(['/', '?']).collect();
    let mut body = answered.body.clone();
    match path[..] {
        ["organizations", _, "deletable"] => return None,
        ["organizations" | "users", ..] => {}
        ["clusters", id, "kubeconfig"] if rests(id, all) => {}
        ["clusters", id] if rests(id, all) => {
            let kept = ["id", "name", "created_at", "owner", "kubeconfig"];
            body.as_object_mut()?.retain(|key, _| kept.contains(&key.as_str()));
        }
        ["operations", _] if body["ended_at"].is_string() => drop(body.as_object_mut()?.remove("resources")),
        _ => return None,
    }
    let Answered { reader, path, status, .. } = answered;
    Some(Answered { reader: reader.clone(), path: path.clone(), sent: None, status: *status, tag: None, body })
}

/// Whether nothing is being done to a cluster.
fn rests(id: &str, all: &[Answered]) -> bool {
    let path = format!("/clusters/{id}");
    let phase = all.iter().find(|answered| answered.path == path).map(|answered| &answered.body["phase"]);
    phase.is_some_and(|phase| ["OK", "Error", "Unknown"].iter().any(|rest| phase == rest))
}
