//! The demo engine: a provider that exists only in this program, so that somebody without a cloud sees all the product does. It takes
//! time, shows progress, has a quota, and fails on demand. Everything it says names itself simulated.
//!
//! [`cluster`] is one cluster over time, [`provider`] what is done when something is asked for, [`cloud`] what there is and where it
//! is kept, and [`parameters`] the forms. What runs in such a cluster is made up by [`crate::inspector::DemoInspector`].

mod cloud;
mod cluster;
mod parameters;
mod provider;

use std::sync::Arc;

use async_trait::async_trait;
use kqueen_domain::{
    ledger::ResourceRef,
    observation::{EngineError, InventoryItem, Observation},
    operation::NetworkPolicy,
    parameter::ParameterSchema,
    port::engine::{Capabilities, ClusterSpec, Engine, EngineDescriptor, ProviderCredentials},
    secret::{SecretMap, SecretValue},
};
use uuid::Uuid;

pub use cloud::DemoCloud;
pub(crate) use cluster::{DemoCluster, Moment};
use parameters::{Account, Wish};
use provider::Caller;
pub(crate) use provider::DOMAIN;

/// The engine of the simulated provider.
#[derive(Debug)]
pub struct DemoEngine {
    descriptor: EngineDescriptor,
    cloud: Arc<DemoCloud>,
}

impl DemoEngine {
    /// Its name.
    pub const NAME: &'static str = "kqueen.engines.DemoEngine";

    /// An engine that drives `cloud`.
    #[must_use]
    pub fn new(cloud: Arc<DemoCloud>) -> Self {
        let descriptor = EngineDescriptor {
            name: Self::NAME,
            verbose_name: "Demo (simulated)",
            provisioner: ParameterSchema::new(parameters::PROVISIONER),
            cluster: ParameterSchema::new(parameters::CLUSTER),
            capabilities: Capabilities {
                deploy: true,
                resize: true,
                set_network_policy: true,
                progress: true,
                inventory: true,
            },
        };
        Self { descriptor, cloud }
    }
}

fn caller(credentials: &ProviderCredentials, spec: &ClusterSpec) -> Caller {
    Caller { credentials: credentials.clone(), tag: spec.tag, name: spec.name.clone() }
}

#[async_trait]
impl Engine for DemoEngine {
    fn descriptor(&self) -> &EngineDescriptor {
        &self.descriptor
    }

    async fn check(&self, parameters: &SecretMap) -> Result<(), EngineError> {
        // There are no credentials that could be wrong.
        Account::read(parameters).map(drop)
    }

    fn makes(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Vec<ResourceRef> {
        let id = spec.tag.cluster;
        let region = Account::read(&credentials.parameters).unwrap_or_default().region;
        // What has been begun in one region is finished there, whatever the provisioner says now.
        let known =
            spec.known.iter().find(|thing| provider::names(id, &thing.name.location).any(|name| name == thing.name));
        provider::names(id, known.map_or(&region, |thing| &thing.name.location)).collect()
    }

    async fn observe(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<Observation, EngineError> {
        Ok(caller(credentials, spec).observe(&self.cloud.clusters(), self.cloud.now()))
    }

    async fn deploy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
        let (caller, account) = (caller(credentials, spec), Account::read(&credentials.parameters)?);
        let wish = Wish::read(&spec.parameters)?;
        self.cloud.change(move |clusters, now| caller.deploy(&account, &wish, clusters, now)).await
    }

    async fn resize(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        node_count: u32,
    ) -> Result<(), EngineError> {
        let (caller, account) = (caller(credentials, spec), Account::read(&credentials.parameters)?);
        self.cloud.change(move |clusters, now| caller.resize(&account, node_count, clusters, now)).await
    }

    async fn set_network_policy(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        policy: &NetworkPolicy,
    ) -> Result<(), EngineError> {
        let (caller, policy) = (caller(credentials, spec), policy.clone());
        self.cloud.change(move |clusters, now| caller.set_network_policy(policy, clusters, now)).await
    }

    async fn destroy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
        let caller = caller(credentials, spec);
        self.cloud.change(move |clusters, now| caller.destroy(clusters, now)).await
    }

    async fn kubeconfig(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
    ) -> Result<SecretValue, EngineError> {
        caller(credentials, spec).kubeconfig(&self.cloud.clusters(), self.cloud.now())
    }

    async fn inventory(
        &self,
        credentials: &ProviderCredentials,
        installation: Uuid,
    ) -> Result<Vec<InventoryItem>, EngineError> {
        Ok(Caller::inventory(credentials, installation, &self.cloud.clusters(), self.cloud.now()))
    }
}

#[cfg(test)]
mod tests;
