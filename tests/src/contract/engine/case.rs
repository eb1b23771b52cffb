//! One cluster under test.

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

/// Long enough for anything: rounds of ten seconds.
const ROUNDS: usize = 360;

/// A cluster, as an engine is asked for it again and again.
pub struct Case<'a> {
    pub engine: &'a dyn Engine,
    pub stage: &'a dyn Stage,
    pub credentials: ProviderCredentials,
    pub spec: ClusterSpec,
}

impl<'a> Case<'a> {
    /// A cluster with two nodes of an installation of its own.
    pub fn new(engine: &'a dyn Engine, stage: &'a dyn Stage) -> Self {
        Self::of(engine, stage, Uuid::new_v4())
    }

    /// A cluster with two nodes of that installation.
    pub fn of(engine: &'a dyn Engine, stage: &'a dyn Stage, installation: Uuid) -> Self {
        let spec = ClusterSpec {
            tag: OwnershipTag { installation, cluster: ClusterId::random() },
            name: "production".to_owned(),
            parameters: stage.parameters(2),
            known: Vec::new(),
        };
        Self { engine, stage, credentials: stage.credentials(), spec }
    }

    /// The same cluster when nothing is known of it but its ownership tag.
    pub fn orphaned(&self) -> Self {
        let spec =
            ClusterSpec { tag: self.spec.tag, name: String::new(), parameters: SecretMap::new(), known: Vec::new() };
        Self { spec, credentials: self.credentials.clone(), ..*self }
    }

    pub fn names(&self) -> Vec<ResourceRef> {
        self.engine.makes(&self.credentials, &self.spec)
    }

    /// What there is under the cluster's names.
    pub async fn there(&self) -> Vec<Option<Value>> {
        let mut there = Vec::new();
        for name in self.names() {
            there.push(self.stage.look(&name).await);
        }
        there
    }

    /// Looks, and remembers what there is.
    pub async fn observe(&mut self) -> Option<ObservedCluster> {
        match self.engine.observe(&self.credentials, &self.spec).await.unwrap() {
            Observation::Absent => {
                self.spec.known.clear();
                None
            }
            Observation::Present(seen) => {
                self.spec.known.clone_from(&seen.resources);
                Some(seen)
            }
        }
    }

    /// Looks until nothing is under way.
    pub async fn settled(&mut self) -> Option<ObservedCluster> {
        for _ in 0..ROUNDS {
            match self.observe().await {
                Some(ObservedCluster { state: ProvisioningState::Working | ProvisioningState::Removing, .. }) => {}
                other => return other,
            }
            self.stage.pass(TimeDelta::seconds(10)).await;
        }
        panic!("it does not come to rest");
    }

    /// Asks for it until it runs, as often as `times` each time.
    pub async fn run(&mut self, times: usize) -> ObservedCluster {
        for _ in 0..ROUNDS {
            match self.settled().await {
                Some(seen) if seen.state == ProvisioningState::Running => return seen,
                None | Some(ObservedCluster { state: ProvisioningState::Incomplete, .. }) => {
                    for _ in 0..times {
                        self.engine.deploy(&self.credentials, &self.spec).await.unwrap();
                    }
                }
                Some(seen) => panic!("it does not run: {seen:?}"),
            }
        }
        panic!("it does not run, however often it is asked for");
    }

    /// Asks for it until that is refused, having waited for what began each time; why.
    pub async fn refused(&mut self) -> EngineError {
        for _ in 0..ROUNDS {
            if let Err(error) = self.engine.deploy(&self.credentials, &self.spec).await {
                return error;
            }
            let seen = self.settled().await;
            let runs = seen.is_some_and(|seen| seen.state == ProvisioningState::Running);
            assert!(!runs, "it runs, though something else has one of its names");
        }
        panic!("it is never refused");
    }

    /// Asks for its end until nothing is there, as often as `times` each time.
    pub async fn destroy(&mut self, times: usize) {
        for _ in 0..ROUNDS {
            if self.settled().await.is_none() {
                return;
            }
            for _ in 0..times {
                self.engine.destroy(&self.credentials, &self.spec).await.unwrap();
            }
        }
        panic!("it does not go, however often it is asked for");
    }

    /// Whatever an engine can be asked, each as the error it ends with.
    pub async fn ask_everything(&self) -> Vec<(&'static str, Option<EngineError>)> {
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
