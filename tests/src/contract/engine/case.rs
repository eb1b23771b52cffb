//! A cluster under test.

use chrono::TimeDelta;
use kqueen_domain::{
    id::ClusterId,
    ledger::{OwnershipTag, ResourceRef},
    observation::{EngineError, Observation, ObservedCluster, ProvisioningState},
    port::engine::{ClusterSpec, Engine, ProviderCredentials},
    secret::SecretMap,
};
use serde_json::Value;
use uuid::Uuid;

use super::Stage;

/// The maximum number of rounds of ten seconds; longer than any operation takes.
const ROUNDS: usize = 360;

/// A cluster that the engine is called for repeatedly.
pub struct Case<'a> {
    pub engine: &'a dyn Engine,
    pub stage: &'a dyn Stage,
    pub credentials: ProviderCredentials,
    pub spec: ClusterSpec,
}

impl<'a> Case<'a> {
    /// A cluster with two nodes of a new installation.
    pub fn new(engine: &'a dyn Engine, stage: &'a dyn Stage) -> Self {
        Self::of(engine, stage, Uuid::new_v4())
    }

    /// A cluster with two nodes of the given installation.
    pub fn of(engine: &'a dyn Engine, stage: &'a dyn Stage, installation: Uuid) -> Self {
        let spec = ClusterSpec {
            tag: OwnershipTag { installation, cluster: ClusterId::random() },
            name: "production".to_owned(),
            parameters: stage.parameters(2),
            known: Vec::new(),
        };
        Self { engine, stage, credentials: stage.credentials(), spec }
    }

    /// The same cluster, known only by its ownership tag.
    pub fn orphaned(&self) -> Self {
        let spec =
            ClusterSpec { tag: self.spec.tag, name: String::new(), parameters: SecretMap::new(), known: Vec::new() };
        Self { spec, credentials: self.credentials.clone(), ..*self }
    }

    pub fn names(&self) -> Vec<ResourceRef> {
        self.engine.makes(&self.credentials, &self.spec)
    }

    /// The provider's resources under the cluster's names.
    pub async fn resources(&self) -> Vec<Option<Value>> {
        let mut resources = Vec::new();
        for name in self.names() {
            resources.push(self.stage.resource(&name).await);
        }
        resources
    }

    /// Observes the cluster and remembers its resources.
    pub async fn observe(&mut self) -> Option<ObservedCluster> {
        match self.engine.observe(&self.credentials, &self.spec).await.unwrap() {
            Observation::Absent => {
                self.spec.known.clear();
                None
            }
            Observation::Present(observed) => {
                self.spec.known.clone_from(&observed.resources);
                Some(observed)
            }
        }
    }

    /// Observes the cluster until no operation is in progress.
    pub async fn settled(&mut self) -> Option<ObservedCluster> {
        for _ in 0..ROUNDS {
            match self.observe().await {
                Some(ObservedCluster { state: ProvisioningState::Working | ProvisioningState::Removing, .. }) => {}
                other => return other,
            }
            self.stage.pass(TimeDelta::seconds(10)).await;
        }
        panic!("the cluster does not settle");
    }

    /// Deploys the cluster until it runs, with `times` calls each time.
    pub async fn run(&mut self, times: usize) -> ObservedCluster {
        for _ in 0..ROUNDS {
            match self.settled().await {
                Some(observed) if observed.state == ProvisioningState::Running => return observed,
                None | Some(ObservedCluster { state: ProvisioningState::Incomplete, .. }) => {
                    for _ in 0..times {
                        self.engine.deploy(&self.credentials, &self.spec).await.unwrap();
                    }
                }
                Some(observed) => panic!("the cluster does not run: {observed:?}"),
            }
        }
        panic!("the cluster does not run after repeated deploys");
    }

    /// Deploys the cluster until that is rejected, waiting for each operation to end; returns the error.
    pub async fn rejected(&mut self) -> EngineError {
        for _ in 0..ROUNDS {
            if let Err(error) = self.engine.deploy(&self.credentials, &self.spec).await {
                return error;
            }
            let observed = self.settled().await;
            let runs = observed.is_some_and(|observed| observed.state == ProvisioningState::Running);
            assert!(!runs, "the cluster runs, though another resource has one of its names");
        }
        panic!("deploying is never rejected");
    }

    /// Destroys the cluster until nothing is left, with `times` calls each time.
    pub async fn destroy(&mut self, times: usize) {
        for _ in 0..ROUNDS {
            if self.settled().await.is_none() {
                return;
            }
            for _ in 0..times {
                self.engine.destroy(&self.credentials, &self.spec).await.unwrap();
            }
        }
        panic!("the cluster still exists after repeated destroys");
    }

    /// Calls every method of the engine and returns the errors.
    pub async fn call_everything(&self) -> Vec<(&'static str, Option<EngineError>)> {
        let Self { engine, credentials, spec, .. } = self;
        vec![
            ("check", engine.check(&credentials.parameters).await.err()),
            ("observe", engine.observe(credentials, spec).await.err()),
            ("deploy", engine.deploy(credentials, spec).await.err()),
            ("resize", engine.resize(credentials, spec, 3).await.err()),
            ("set_network_policy", engine.set_network_policy(credentials, spec, &self.stage.policy()).await.err()),
            ("destroy", engine.destroy(credentials, spec).await.err()),
            ("kubeconfig", engine.kubeconfig(credentials, spec).await.err()),
            ("inventory", engine.inventory(credentials, spec.tag.installation).await.err()),
        ]
    }
}
