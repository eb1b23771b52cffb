//! A customer of the provider that sends plain HTTP requests.

use chrono::TimeDelta;
use kqueen_tests::model::{Key, Kind, Model, Right, Settings, Status, Time};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

pub(crate) const PROJECT: &str = "blue";

/// A provider with one customer, which sends plain HTTP requests.
pub(crate) struct Customer {
    pub(crate) model: Model,
    pub(crate) http: Client,
    pub(crate) token: String,
}

/// An answer, or `None` if the connection was cut.
pub(crate) type Answer = Option<(StatusCode, Value)>;

impl Customer {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::at(Time::set(), settings).await
    }

    pub(crate) async fn at(time: Time, settings: Settings) -> Self {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let model = Model::start(time, settings).await;
        model.add_project(PROJECT, None);
        let token = model.token(PROJECT, "ann", &Right::ALL);
        let http = Client::builder().no_proxy().tls_certs_only([]).retry(reqwest::retry::never()).build().unwrap();
        Self { model, http, token }
    }

    /// Sends a request. `path` is what follows the project.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.ask_with(&self.token, PROJECT, method, path, body).await
    }

    pub(crate) async fn ask_with(
        &self,
        token: &str,
        project: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let url = format!("{}/v1/projects/{project}{path}", self.model.url);
        let mut request = self.http.request(method, url).bearer_auth(token).header("user-agent", "by hand");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.ok()?;
        let status = response.status();
        let body = response.bytes().await.ok()?;
        Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        plain(self.ask(Method::GET, path, None).await)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        plain(self.ask(Method::POST, path, Some(body)).await)
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        plain(self.ask(Method::DELETE, path, None).await)
    }

    /// Creates a whole cluster and waits for it.
    pub(crate) async fn cluster(&self, name: &str) {
        for body in self.whole(name) {
            let (plural, body) = body;
            let (status, answer) = self.post(&format!("/{plural}"), body).await;
            assert_eq!(status, 202, "{answer}");
            self.model.pass(TimeDelta::seconds(120));
        }
    }

    pub(crate) fn whole(&self, name: &str) -> [(&'static str, Value); 3] {
        let labels = json!({"cluster": name, "installation": "one"});
        [
            ("networks", json!({"name": name, "labels": labels})),
            ("clusters", json!({"name": name, "labels": labels, "network": name, "admin_password": "a secret"})),
            ("nodepools", json!({"name": name, "labels": labels, "cluster": name, "node_count": 2})),
        ]
    }
}

pub(crate) fn plain(answer: Answer) -> (u16, Value) {
    let (status, body) = answer.expect("the connection was cut");
    (status.as_u16(), body)
}

pub(crate) fn code((status, body): (u16, Value)) -> (u16, String) {
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

pub(crate) fn rejected(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

pub(crate) fn key(kind: Kind, name: &str) -> Key {
    Key::new(PROJECT, kind, name)
}

pub(crate) fn status(model: &Model, kind: Kind, name: &str) -> Option<Status> {
    model.resource(&key(kind, name)).map(|thing| thing.status)
}
