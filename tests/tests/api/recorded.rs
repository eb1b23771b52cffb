//! Recorded exchanges with the service of 2018 are replayed: successes keep status and keys, failures have today's errors.

use std::collections::{BTreeMap, BTreeSet};

use kqueen_tests::fixture::{
    app::{ADMIN, App, Options},
    people::{PASSWORD, kubeconfig},
};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
struct Exchange {
    name: String,
    method: String,
    path: String,
    request_body: Option<Value>,
    status: u16,
    response_body: Value,
}

/// Exchanges that cannot be replayed here, and why.
const SKIPPED: &[(&str, &str)] = &[
    ("prov.create.aks-unreachable", "needs the engine for Azure, which is not built yet"),
    ("cluster.create.bad_provisioner_state", "needs an engine whose credentials can be wrong"),
    ("cluster.good.status", "needs a live cluster; replayed against a real one by the tests of live clusters"),
    ("cluster.good.topology-data", "needs a live cluster; replayed against a real one by the tests of live clusters"),
];

/// Exchanges that failed in 2018, with today's status and error.
const FAILURES: &[(&str, u16, &str)] = &[
    ("auth.bad_password", 401, "unauthenticated"),
    ("org.create.duplicate_namespace", 409, "conflict"),
    ("org.create.missing_name", 422, "invalid"),
    ("org.get.unknown", 404, "not_found"),
    ("user.create.dup_username", 409, "conflict"),
    ("user.delete.self", 409, "conflict"),
    ("cluster.unknown", 404, "not_found"),
    ("cluster.list?sortby=owner", 422, "invalid"),
    ("cluster.resize.missing", 422, "invalid"),
    ("cluster.netpol.missing", 422, "invalid"),
];

/// Keys of 2018 that are not returned any more: password hashes, and kubeconfigs in lists.
fn is_removed(path: &str, key: &str, of_a_list: bool) -> bool {
    key == "password" && !path.contains("parameters") || key == "kubeconfig" && of_a_list
}

/// Every key of `then` that is missing in `now`.
fn missing(path: &str, then: &Value, now: &Value, of_a_list: bool, found: &mut Vec<String>) {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => {
            // Their content belongs to the client.
            if path.ends_with("kubeconfig") || path.ends_with("metadata") {
                return;
            }
            for (key, value) in then {
                let path = format!("{path}.{key}");
                match now.get(key) {
                    Some(now) => missing(&path, value, now, of_a_list, found),
                    None if is_removed(path.rsplit_once('.').unwrap().0, key, of_a_list) => {}
                    None => found.push(path),
                }
            }
        }
        (Value::Array(then), Value::Array(now)) => {
            for (then, now) in then.iter().zip(now) {
                missing(&format!("{path}[]"), then, now, true, found);
            }
        }
        _ => {}
    }
}

/// The recorded ids with today's.
struct Ids(BTreeMap<String, String>);

impl Ids {
    fn ours(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (then, now)| text.replace(then, now))
    }
}

fn exchanges() -> Vec<Exchange> {
    let text = include_str!("../../data/api_v1.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn skipped_and_failing_exchanges_are_in_the_recording() {
    let recorded: BTreeSet<String> = exchanges().into_iter().map(|exchange| exchange.name).collect();
    for name in SKIPPED.iter().map(|(name, _)| name).chain(FAILURES.iter().map(|(name, ..)| name)) {
        assert!(recorded.contains(*name), "{name}");
    }
}

#[tokio::test]
async fn recorded_requests_get_the_recorded_status_and_keys() {
    let options = Options::default()
        .with("BOOTSTRAP_ADMIN_USERNAME", "admin")
        .with("BOOTSTRAP_ADMIN_EMAIL", "admin@kqueen.net")
        .with("BOOTSTRAP_ADMIN_ORGANIZATION", "DemoOrg")
        .with("BOOTSTRAP_ADMIN_NAMESPACE", "demoorg");
    let app = App::start_with(options).await;
    let superadmin = app.log_in("admin", ADMIN.1).await;
    let mut ids = Ids(BTreeMap::new());
    let mut wrong = Vec::new();
    // The owners of the recorded objects; created after their organization.
    let (admin_then, member_then) = ("da0fedac-b5bd-41a2-bfb6-0dea236135cd", "db80db7b-60a1-42d7-8843-c2d3f691a7be");
    let mut admin = String::new();
    for exchange in exchanges() {
        let Exchange { name, method, path, request_body, status, response_body } = exchange;
        if SKIPPED.iter().any(|(skipped, _)| *skipped == name) {
            continue;
        }
        let method: Method = method.parse().unwrap();
        let path = ids.ours(path.strip_prefix("/api/v1").unwrap_or(&path));
        let path = if path == "/metrics/" { format!("{}{path}", app.origin) } else { path };
        let mut body = request_body.map(|body| serde_json::from_str::<Value>(&ids.ours(&body.to_string())).unwrap());
        if name == "auth.ok" {
            body = Some(json!({"username": "admin", "password": ADMIN.1}));
        }
        // Another client had changed the member's metadata in between.
        if name == "user.updatepw.self" {
            let path = ids.ours(&format!("/users/{member_then}"));
            app.patch(&path, &superadmin, json!({"metadata": {"a": 1}})).await.ok();
        }
        // This cluster was created by another client in between.
        if name == "cluster.down.get" {
            let cluster = json!({
                "name": "unreachable",
                "provisioner": ids.ours("Provisioner:5ddd5f5f-d34e-4815-b278-5b127297c37d"),
                "kubeconfig": kubeconfig("http://127.0.0.1:9", "t"),
            });
            let down = app.post("/clusters", &admin, cluster).await.id();
            ids.0.insert("2c895f2d-4651-4005-8660-063ffa3771de".into(), down);
        }
        let path = ids.ours(&path);
        let token = match &*name {
            "auth.ok" | "auth.bad_password" => None,
            "user.delete.self" => Some(&admin),
            name if name.starts_with("prov.") || name.starts_with("cluster.") => {
                Some(if name.contains("super") { &superadmin } else { &admin })
            }
            _ => Some(&superadmin),
        };
        let path =
            if name == "user.delete.self" { path.replace(&ids.ours(member_then), &ids.ours(admin_then)) } else { path };
        let answer = app.call(method, &path, token.map(String::as_str), body.as_ref()).await;
        if let Some((_, ours, error)) = FAILURES.iter().find(|(failure, ..)| *failure == name) {
            if (answer.status.as_u16(), answer.body["error"].as_str()) != (*ours, Some(*error)) {
                wrong.push(format!("{name}: {} {}", answer.status, answer.body));
            }
            continue;
        }
        if answer.status.as_u16() != status {
            wrong.push(format!("{name}: {} instead of {status}: {}", answer.status, answer.body));
            continue;
        }
        if let (Some(then), Some(now)) = (response_body["id"].as_str(), answer.body["id"].as_str()) {
            ids.0.insert(then.to_owned(), now.to_owned());
        }
        let mut lost = Vec::new();
        let list = response_body.is_array() || !response_body["items"].is_null();
        missing("", &response_body, &answer.body, list, &mut lost);
        // Another way of authenticating was enabled when it was recorded.
        lost.retain(|key| !(name == "configurations.auth" && key.starts_with(".ldap")));
        if !lost.is_empty() {
            wrong.push(format!("{name}: without {lost:?}: {}", answer.body));
        }
        if name == "org.create.orga" {
            let user = json!({
                "username": "a_admin",
                "password": PASSWORD,
                "email": "a_admin@example.test",
                "role": "admin",
                "organization": format!("Organization:{}", answer.body["id"].as_str().unwrap()),
            });
            let id = app.post("/users", &superadmin, user).await.id();
            ids.0.insert(admin_then.to_owned(), id);
            admin = app.log_in("a_admin", PASSWORD).await;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
