//! A provider with one project, and the engine for it.

use async_trait::async_trait;
use chrono::TimeDelta;
use kqueen_domain::{
    id::{ClusterId, ProvisionerId},
    ledger::{OwnershipTag, ResourceRef},
    observation::{EngineError, Observation, ObservedCluster},
    operation::NetworkPolicy,
    port::engine::{ClusterSpec, Engine, ProviderCredentials},
    secret::{SecretMap, SecretValue},
};
use kqueen_tests::{
    contract::engine::Stage,
    model::{Event, Key, Kind, Model, ModelEngine, Right, Settings, Status, Time},
};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const PROJECT: &str = "blue";
pub(crate) const PASSWORD: &str = "a password of an administrator";

/// A provider with one project, and the engine for it.
pub(crate) struct Setup {
    pub(crate) model: Model,
    pub(crate) engine: ModelEngine,
    pub(crate) credentials: ProviderCredentials,
}

impl Setup {
    pub(crate) async fn new() -> Self {
        // Pages so small that every list has several.
        Self::with(Settings { page: 2, ..Settings::default() }).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let model = Model::start(Time::set(), settings).await;
        let credentials = credentials(model.provisioner(PROJECT));
        let engine = model.engine("replica-1");
        Self { model, engine, credentials }
    }

    /// Credentials with only these rights.
    pub(crate) fn limited(&self, rights: &[Right]) -> ProviderCredentials {
        credentials(self.model.parameters(PROJECT, &self.model.token(PROJECT, "somebody", rights)))
    }

    pub(crate) fn key(&self, kind: Kind, spec: &ClusterSpec) -> Key {
        let name = self.engine.makes(&self.credentials, spec).swap_remove(kind as usize);
        Key::new(&name.location, kind, &name.name)
    }

    pub(crate) async fn observe(&self, spec: &ClusterSpec) -> Result<Observation, EngineError> {
        self.engine.observe(&self.credentials, spec).await
    }

    pub(crate) async fn seen(&self, spec: &ClusterSpec) -> ObservedCluster {
        match self.observe(spec).await.unwrap() {
            Observation::Present(seen) => seen,
            Observation::Absent => panic!("the cluster does not exist"),
        }
    }

    /// Deploys a cluster until that many of its resources run.
    pub(crate) async fn build(&self, spec: &ClusterSpec, things: usize) {
        for _ in 0..things {
            self.engine.deploy(&self.credentials, spec).await.unwrap();
            self.model.pass(TimeDelta::seconds(120));
        }
        assert_eq!(self.model.resources().iter().filter(|thing| thing.status == Status::Running).count(), things);
    }
}

pub(crate) fn credentials(parameters: impl Into<SecretMap>) -> ProviderCredentials {
    ProviderCredentials { provisioner: ProvisionerId::random(), parameters: parameters.into() }
}

pub(crate) fn object(value: Value) -> SecretMap {
    SecretValue::from(value).into_map().unwrap()
}

pub(crate) fn a_spec() -> ClusterSpec {
    ClusterSpec {
        tag: OwnershipTag { installation: Uuid::new_v4(), cluster: ClusterId::random() },
        name: "production".into(),
        parameters: object(json!({"node_count": 2, "admin_password": PASSWORD})),
        known: Vec::new(),
    }
}

pub(crate) fn http_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

pub(crate) fn calico() -> NetworkPolicy {
    NetworkPolicy { provider: "CALICO".into(), enabled: true }
}

/// A stage without resources.
pub(crate) async fn stage() -> Option<Setup> {
    Some(Setup::new().await)
}

#[async_trait]
impl Stage for Setup {
    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn credentials(&self) -> ProviderCredentials {
        self.credentials.clone()
    }

    fn rejected(&self) -> ProviderCredentials {
        credentials(self.model.parameters(PROJECT, "a token nobody knows"))
    }

    fn unreachable(&self) -> ProviderCredentials {
        let mut parameters = self.credentials.parameters.clone();
        parameters.insert("url", "http://127.0.0.1:1".to_owned());
        credentials(parameters)
    }

    fn parameters(&self, nodes: u32) -> SecretMap {
        object(json!({"node_count": nodes, "admin_password": PASSWORD}))
    }

    fn policy(&self) -> NetworkPolicy {
        calico()
    }

    async fn plant(&self, name: &ResourceRef, tag: Option<OwnershipTag>) {
        let labels = tag.map(|tag| {
            let labels =
                [("kqueen-installation", tag.installation.to_string()), ("kqueen-cluster", tag.cluster.to_string())];
            labels.map(|(label, value)| (label.to_owned(), value)).into_iter().collect()
        });
        self.model.plant(&key_of(name), labels.unwrap_or_default());
    }

    async fn resource(&self, name: &ResourceRef) -> Option<Value> {
        self.model.resource(&key_of(name)).map(|thing| format!("{thing:?}").into())
    }

    async fn end(&self, name: &ResourceRef) {
        self.model.happens(&key_of(name), Event::Vanishes);
    }

    async fn untag(&self, name: &ResourceRef) {
        self.model.happens(&key_of(name), Event::LosesLabels);
    }

    async fn pass(&self, time: TimeDelta) {
        self.model.pass(time);
    }

    async fn changes(&self) -> u64 {
        self.model.changes()
    }
}

pub(crate) fn key_of(name: &ResourceRef) -> Key {
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == name.kind).unwrap();
    Key::new(&name.location, kind, &name.name)
}
