//! Engines: the code that drives one kind of provider.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    id::ProvisionerId,
    ledger::{OwnershipTag, ProviderResource, ResourceRef},
    observation::{EngineError, InventoryItem, Observation},
    operation::NetworkPolicy,
    parameter::ParameterSchema,
    secret::{SecretMap, SecretValue},
};

/// What an engine can do with a cluster it has made; API and console offer nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent yes or no, named for its reader")]
pub struct Capabilities {
    /// Makes clusters at a provider; otherwise it attaches clusters made elsewhere.
    pub deploy: bool,
    /// Changes the number of nodes.
    pub resize: bool,
    /// Switches network policy.
    pub set_network_policy: bool,
    /// Tells progress in percent.
    pub progress: bool,
    /// Lists everything at the provider that carries our ownership tag.
    pub inventory: bool,
}

/// What an engine is: its name, what it asks for, what it can do.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineDescriptor {
    /// The name of 2018: `kqueen.engines.ManualEngine`.
    pub name: &'static str,
    /// The name for people.
    pub verbose_name: &'static str,
    /// What a provisioner of this engine is described by.
    pub provisioner: ParameterSchema,
    /// What a cluster of this engine is described by.
    pub cluster: ParameterSchema,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// A provider with the credentials to use it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderCredentials {
    /// The provisioner they are from.
    pub provisioner: ProvisionerId,
    /// Its parameters, secrets included.
    pub parameters: SecretMap,
}

/// A cluster as an engine is asked for it. Every call about one cluster carries the same ownership tag and makes the same names of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSpec {
    /// Goes onto everything that is made; nothing without it is touched.
    pub tag: OwnershipTag,
    /// What people call it. Not unique; not for names at the provider.
    pub name: String,
    /// The engine's cluster parameters, secrets included; empty where only the ownership tag is known, for an orphan.
    pub parameters: SecretMap,
    /// What was made so far, as far as we know.
    pub known: Vec<ProviderResource>,
}

/// Drives one kind of provider.
///
/// - Calls start something and return; none waits for a cloud to finish. Each ends within half a minute.
/// - `check`, `observe`, `kubeconfig` and `inventory` change nothing at the provider and may be repeated at any time.
/// - `deploy`, `resize`, `set_network_policy` and `destroy` may be repeated: what is there already, or gone already, is success.
///   `deploy` makes what is missing of what [`Engine::makes`] names, and nothing else.
/// - Only what carries the spec's ownership tag is adopted, changed or deleted. A name that something else has taken is `Rejected`.
/// - What is not seen is taken for gone. So a look is for everything the spec knows, where that is, also when the credentials lead
///   elsewhere by now; one that does not reach there is `Denied` or `Rejected`. What the spec knows by the provider's id and is there under
///   that id without the ownership tag is told among the things all the same, of a cluster that is `Broken` for that reason; when nothing
///   else is left, `destroy` is `Rejected` for it. An inventory is of where the credentials lead now, and proves the end of nothing.
/// - A call that took effect in part, or may have, is [`EngineError::Unreachable`], never `Rejected`, `Denied` or `Busy`: those, like
///   `Throttled` and `Missing`, are taken as proof that nothing was made. One that took no effect for certain is not `Unreachable`.
/// - The causes of errors are ours and the same whenever the matter is the same: no ids of requests, no times. What differs with every
///   answer belongs into a reason's `words`.
/// - `check` ends within 10 s; a provider that has not answered by then is `Unreachable`.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Engine: Send + Sync {
    /// What the engine is.
    fn descriptor(&self) -> &EngineDescriptor;
    /// Whether a provisioner's parameters (secrets included) are accepted by the provider, and what is missing if not.
    async fn check(&self, parameters: &SecretMap) -> Result<(), EngineError>;
    /// Names of what `deploy` makes, in the order in which it is made: the same for the same spec.
    fn makes(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Vec<ResourceRef>;
    /// How the cluster is at its provider. A provider that does not have it is `Absent`, not an error.
    async fn observe(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<Observation, EngineError>;
    /// Begins to make the cluster, or carries on where something is missing.
    async fn deploy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError>;
    /// Begins to change the number of nodes.
    async fn resize(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        node_count: u32,
    ) -> Result<(), EngineError>;
    /// Begins to switch network policy.
    async fn set_network_policy(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        policy: &NetworkPolicy,
    ) -> Result<(), EngineError>;
    /// Begins to take down everything that carries the ownership tag.
    async fn destroy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError>;
    /// The kubeconfig of a cluster that runs, as the provider has it: parsed and checked by the caller.
    async fn kubeconfig(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
    ) -> Result<SecretValue, EngineError>;
    /// Everything that carries an ownership tag of this installation, of whichever cluster.
    async fn inventory(
        &self,
        credentials: &ProviderCredentials,
        installation: Uuid,
    ) -> Result<Vec<InventoryItem>, EngineError>;
}

/// The engines this installation offers, by name.
#[derive(Clone, Default)]
pub struct EngineRegistry(BTreeMap<&'static str, Arc<dyn Engine>>);

impl EngineRegistry {
    /// This registry with one more engine.
    #[must_use]
    pub fn with(mut self, engine: Arc<dyn Engine>) -> Self {
        self.0.insert(engine.descriptor().name, engine);
        self
    }

    /// Only the engines named in `whitelist`. Names may be short (`ManualEngine`) or whole.
    #[must_use]
    pub fn limited_to(mut self, whitelist: &[String]) -> Self {
        self.0.retain(|name, _| {
            whitelist.iter().any(|wanted| wanted == name || name.rsplit('.').next() == Some(wanted.as_str()))
        });
        self
    }

    /// The engine of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Engine>> {
        self.0.get(name)
    }

    /// What each engine is, in the order of their names.
    pub fn descriptors(&self) -> impl Iterator<Item = &EngineDescriptor> {
        self.0.values().map(|engine| engine.descriptor())
    }
}
