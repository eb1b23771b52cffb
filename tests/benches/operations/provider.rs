//! The provider, in this process, and a tenant with provisioners at it.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures::{StreamExt, stream};
use kqueen_tests::{
    bench::api_server::ApiServer,
    fixture::{
        app::{App, Options},
        people::{Tenant, new_name},
        process::eventually,
    },
    model::{Model, Settings, Time, engine},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::provider_calls::Observations;

/// How many clusters are requested at once.
const AT_ONCE: usize = 16;
/// The longest time until all clusters run.
const PATIENCE: Duration = Duration::from_secs(900);

/// The model provider in real time, which runs in this process and not in the one that is measured.
pub(crate) struct Provider {
    pub(crate) model: Model,
    pub(crate) observations: Arc<Observations>,
    _api_server: ApiServer,
}

/// A tenant with provisioners.
pub(crate) struct Customer {
    pub(crate) tenant: Tenant,
    /// The provisioners, each with its project.
    pub(crate) provisioners: Vec<(String, String)>,
}

impl Provider {
    /// Starts the provider and the API of all clusters.
    pub(crate) async fn start() -> Self {
        let api_server = ApiServer::start().await;
        let settings = Settings {
            creating: [1, 1, 1].map(TimeDelta::seconds),
            changing: TimeDelta::seconds(1),
            deleting: TimeDelta::seconds(1),
            api_server: api_server.url.clone(),
            api_authority: Some(api_server.authority.clone()),
            keeps_log: false,
            ..Settings::default()
        };
        let model = Model::start(Time::Real, settings).await;
        let observations = Observations::at(&model);
        Self { model, observations, _api_server: api_server }
    }

    /// A new organization with that many provisioners.
    pub(crate) async fn customer(&self, app: &App, provisioners: usize) -> Customer {
        let tenant = app.tenant().await;
        let mut made = Vec::new();
        for _ in 0..provisioners {
            let project = new_name("project");
            let body = json!({"name": project, "engine": engine::NAME, "parameters": self.model.provisioner(&project)});
            made.push((app.post("/provisioners", &tenant.admin.token, body).await.id(), project));
        }
        Customer { tenant, provisioners: made }
    }
}

impl Customer {
    /// A new cluster for the provisioner of that number.
    pub(crate) fn new_cluster(&self, number: usize, name: &str) -> Value {
        let (provisioner, _) = &self.provisioners[number % self.provisioners.len()];
        json!({"name": name, "provisioner": format!("Provisioner:{provisioner}"), "metadata": {"node_count": 3}})
    }

    /// Requests `count` clusters, spread evenly over the provisioners.
    pub(crate) async fn create(&self, app: &App, count: usize) {
        let creating = stream::iter(0..count).map(|number| async move {
            let body = self.new_cluster(number, &new_name("cluster"));
            app.post("/clusters", &self.tenant.member.token, body).await.id()
        });
        creating.buffer_unordered(AT_ONCE).for_each(|_| std::future::ready(())).await;
    }
}

/// The program with the model engine and default settings, apart from `interval`.
pub(crate) fn options(agent: &str, interval: Duration, settings: &[(String, String)]) -> Options {
    let mut options =
        Options::default().with_model_engine(agent).with("OBSERVE_INTERVAL", format!("{}s", interval.as_secs()));
    options = options.with("LOGIN_ATTEMPTS_PER_MINUTE", "1000000");
    options.settings.extend(settings.iter().cloned());
    options
}

/// Waits until `count` clusters are OK.
pub(crate) async fn all_run(app: &App, count: usize) {
    let all_run = || async { metric(app, &["kqueen_clusters{", r#"phase="OK""#]).await as usize >= count };
    eventually("all clusters run", PATIENCE, all_run).await;
}

/// The sum of the metrics whose lines have all of `parts`.
pub(crate) async fn metric(app: &App, parts: &[&str]) -> f64 {
    let answer = app.call(Method::GET, &format!("{}/metrics", app.origin), None, None).await;
    let Value::String(text) = answer.body else { panic!("metrics are not text") };
    let lines = text.lines().filter(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
