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
    ledger::ThingName,
    operation::NetworkPolicy,
    parameter::ParameterSchema,
    port::engine::{Abilities, Access, Engine, EngineDescriptor, EngineError, Found, Observation, Order},
};
use serde_json::{Map, Value};
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
            abilities: Abilities {
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

fn caller(access: &Access, order: &Order) -> Caller {
    Caller { access: access.clone(), mark: order.mark, name: order.name.clone() }
}

#[async_trait]
impl Engine for DemoEngine {
    fn descriptor(&self) -> &EngineDescriptor {
        &self.descriptor
    }

    async fn check(&self, parameters: &Map<String, Value>) -> Result<(), EngineError> {
        // There are no credentials that could be wrong.
        Account::read(parameters).map(drop)
    }

    fn makes(&self, access: &Access, order: &Order) -> Vec<ThingName> {
        let id = order.mark.cluster;
        let region = Account::read(&access.parameters).unwrap_or_default().region;
        // What has been begun in one region is finished there, whatever the provisioner says now.
        let known =
            order.known.iter().find(|thing| provider::names(id, &thing.name.place).any(|name| name == thing.name));
        provider::names(id, known.map_or(&region, |thing| &thing.name.place)).collect()
    }

    async fn observe(&self, access: &Access, order: &Order) -> Result<Observation, EngineError> {
        Ok(caller(access, order).observe(&self.cloud.clusters(), self.cloud.now()))
    }

    async fn deploy(&self, access: &Access, order: &Order) -> Result<(), EngineError> {
        let (caller, account) = (caller(access, order), Account::read(&access.parameters)?);
        let wish = Wish::read(&order.parameters)?;
        self.cloud.change(move |clusters, now| caller.deploy(&account, &wish, clusters, now)).await
    }

    async fn resize(&self, access: &Access, order: &Order, node_count: u32) -> Result<(), EngineError> {
        let (caller, account) = (caller(access, order), Account::read(&access.parameters)?);
        self.cloud.change(move |clusters, now| caller.resize(&account, node_count, clusters, now)).await
    }

    async fn set_network_policy(
        &self,
        access: &Access,
        order: &Order,
        policy: &NetworkPolicy,
    ) -> Result<(), EngineError> {
        let (caller, policy) = (caller(access, order), policy.clone());
        self.cloud.change(move |clusters, now| caller.set_network_policy(policy, clusters, now)).await
    }

    async fn destroy(&self, access: &Access, order: &Order) -> Result<(), EngineError> {
        let caller = caller(access, order);
        self.cloud.change(move |clusters, now| caller.destroy(clusters, now)).await
    }

    async fn kubeconfig(&self, access: &Access, order: &Order) -> Result<Value, EngineError> {
        caller(access, order).kubeconfig(&self.cloud.clusters(), self.cloud.now())
    }

    async fn inventory(&self, access: &Access, installation: Uuid) -> Result<Vec<Found>, EngineError> {
        Ok(Caller::inventory(access, installation, &self.cloud.clusters(), self.cloud.now()))
    }
}

#[cfg(test)]
mod tests;
