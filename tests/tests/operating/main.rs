//! The whole program as a separate process operates clusters at the model provider in real time, while processes and servers die.
//!
//! Afterwards every operation must have ended by its deadline, no resource may exist twice, and every resource must be listed.
#![allow(clippy::unwrap_used, missing_docs, reason = "test code: a failure is a panic")]

mod etcd_leader;
mod killed;

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use kqueen_tests::{
    fixture::{
        app::{Answer, App, Options},
        child,
        people::{Tenant, new_name},
        process::eventually,
    },
    model::{Model, Settings, Time, engine},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The longest wait for a condition on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// The deadline of operations, longer than anything here takes.
const DEADLINE: &str = "170s";

/// Runs the program if this process was started for that. Does nothing when run as a test.
#[test]
fn child() {
    child::serve_if_asked();
}

/// A provider where creating, changing and deleting a resource takes `takes`.
async fn provider(takes: TimeDelta) -> Model {
    let settings = Settings { creating: [takes; 3], changing: takes, deleting: takes, ..Settings::default() };
    Model::start(Time::Real, settings).await
}

/// The program with the model engine and short intervals.
fn options(agent: &str) -> Options {
    let options = Options::default().with_model_engine(agent).with("PROVISIONER_TIMEOUT", DEADLINE);
    options.with("OBSERVE_INTERVAL", "1s").with("PROVISIONER_CHECK_INTERVAL", "1s")
}

/// A tenant and its provisioner.
struct Customer {
    tenant: Tenant,
    provisioner: String,
}

impl Customer {
    async fn new(app: &App, model: &Model) -> Self {
        let (tenant, project) = (app.tenant().await, new_name("project"));
        let body = json!({"name": project, "engine": engine::NAME, "parameters": model.provisioner(&project)});
        let provisioner = app.post("/provisioners", &tenant.admin.token, body).await.id();
        Self { tenant, provisioner }
    }

    /// Sends a request, again as long as the store is unavailable.
    async fn ask(&self, app: &App, method: Method, path: &str, body: Option<Value>) -> Answer {
        loop {
            let answer = app.call(method.clone(), path, Some(&self.tenant.member.token), body.as_ref()).await;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
        }
    }

    async fn get(&self, app: &App, path: &str) -> Value {
        self.ask(app, Method::GET, path, None).await.ok()
    }

    /// Creates a cluster and returns its id.
    async fn deploy(&self, app: &App) -> String {
        let provisioner = format!("Provisioner:{}", self.provisioner);
        let body = json!({"name": new_name("cluster"), "provisioner": provisioner, "metadata": {"node_count": 2}});
        self.ask(app, Method::POST, "/clusters", Some(body)).await.id()
    }

    async fn resize(&self, app: &App, cluster: &str) {
        let body = json!({"node_count": 5});
        self.ask(app, Method::PATCH, &format!("/clusters/{cluster}/resize"), Some(body)).await.ok();
    }

    async fn set_network_policy(&self, app: &App, cluster: &str) {
        let body = json!({"provider": "CALICO", "enabled": true});
        self.ask(app, Method::PATCH, &format!("/clusters/{cluster}/set_network_policy"), Some(body)).await.ok();
    }

    async fn retry(&self, app: &App, cluster: &str) {
        self.ask(app, Method::POST, &format!("/clusters/{cluster}/retry"), None).await.ok();
    }

    async fn destroy(&self, app: &App, cluster: &str) {
        self.ask(app, Method::DELETE, &format!("/clusters/{cluster}"), None).await.ok();
    }

    /// The newest operation of a cluster.
    async fn operation(&self, app: &App, cluster: &str) -> Value {
        let all = self.get(app, &format!("/clusters/{cluster}/operations")).await;
        self.get(app, &format!("/operations/{}", all[0]["id"].as_str().unwrap())).await
    }

    /// The newest operation of a cluster, once it has ended.
    async fn ended(&self, app: &App, cluster: &str) -> Value {
        let has_ended = || async { self.operation(app, cluster).await["ended_at"].is_string() };
        eventually("the operation ends", PATIENCE, has_ended).await;
        self.operation(app, cluster).await
    }

    /// Describes what is wrong with a cluster after its newest operation.
    async fn complaints(&self, app: &App, model: &Model, cluster: &str) -> Vec<String> {
        let operation = self.ended(app, cluster).await;
        let mut complaints = Vec::new();
        let at = |name: &str| DateTime::parse_from_rfc3339(operation[name].as_str().unwrap()).unwrap();
        if operation["status"] != "succeeded" || at("ended_at") > at("deadline") {
            complaints.push(format!("it has not succeeded in time: {operation:#}"));
        }
        let listed = operation["resources"].as_array().unwrap();
        let name = format!("kq-{}", cluster.replace('-', ""));
        for thing in model.resources().iter().filter(|thing| thing.key.name == name) {
            let is_it = |row: &&Value| row["kind"] == thing.key.kind.as_str() && row["name"] == thing.key.name.as_str();
            if listed.iter().find(is_it).is_none_or(|row| row["state"] == "gone") {
                complaints.push(format!("{:?} exists and is not listed: {listed:?}", thing.key));
            }
        }
        for (key, account) in model.accounts().iter().filter(|(key, _)| key.name == name) {
            if account.made > account.gone + 1 {
                complaints.push(format!("{key:?} exists {} times", account.made - account.gone));
            }
        }
        complaints
    }

    /// Waits until a cluster is deleted, and describes what is wrong afterwards.
    async fn complaints_after_deletion(&self, app: &App, model: &Model, cluster: &str) -> Vec<String> {
        let path = format!("/clusters/{cluster}");
        let is_gone = || async { self.ask(app, Method::GET, &path, None).await.status == StatusCode::NOT_FOUND };
        eventually("the cluster is deleted", PATIENCE, is_gone).await;
        let mut complaints = self.complaints(app, model, cluster).await;
        let name = format!("kq-{}", cluster.replace('-', ""));
        let left: Vec<_> = model.resources().into_iter().filter(|thing| thing.key.name == name).collect();
        if !left.is_empty() {
            complaints.push(format!("left behind: {left:?}"));
        }
        complaints
    }
}
