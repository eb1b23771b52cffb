//! Engines: the drivers for providers, one for each kind.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    id::ProvisionerId,
    ledger::{OwnershipTag, ProviderResource, ResourceRef},
    observation::{EngineError, InventoryItem, Observation},
    operation::NetworkPolicy,
    parameter::{Offers, ParameterSchema},
    secret::{SecretMap, SecretValue},
};

/// What an engine can do. The API and the console offer nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent yes or no, named for its reader")]
pub struct Capabilities {
    /// Deploys clusters at a provider. Otherwise it attaches existing clusters.
    pub deploy: bool,
    /// Changes the number of nodes.
    pub resize: bool,
    /// Sets the network policy.
    pub set_network_policy: bool,
    /// Reports progress in percent.
    pub progress: bool,
    /// Lists every resource at the provider with our ownership tag.
    pub inventory: bool,
    /// Its clusters are accessed with short-lived tokens that it issues; their kubeconfigs contain no credentials.
    pub issues_tokens: bool,
}

/// Describes an engine: name, parameters, capabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineDescriptor {
    /// The name, as in KQueen of 2018: `kqueen.engines.ManualEngine`.
    pub name: &'static str,
    /// The display name.
    pub verbose_name: &'static str,
    /// The parameters of a provisioner.
    pub provisioner: ParameterSchema,
    /// The parameters of a cluster.
    pub cluster: ParameterSchema,
    /// Its capabilities.
    pub capabilities: Capabilities,
}

/// The credentials to call a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderCredentials {
    /// The provisioner they belong to.
    pub provisioner: ProvisionerId,
    /// Its parameters, secrets included.
    pub parameters: SecretMap,
}

/// A cluster, as passed to an engine. Every call for one cluster has the same ownership tag and uses the same resource names.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSpec {
    /// Set on every resource that is created. Resources without it are not touched.
    pub tag: OwnershipTag,
    /// Its display name. Not unique; not used for names at the provider.
    pub name: String,
    /// The engine's cluster parameters, secrets included. Empty for an orphan, of which only the ownership tag is known.
    pub parameters: SecretMap,
    /// The known resources that were created so far.
    pub known: Vec<ProviderResource>,
}

/// A token for the API of a cluster that an engine has issued. It is used at once and never stored.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The bearer token.
    pub token: SecretString,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
}

/// The driver for one kind of provider.
///
/// - Calls start work at the provider and return; none waits until it is done. Each ends within half a minute.
/// - `check`, `offers`, `observe`, `kubeconfig` and `inventory` change nothing at the provider and may be repeated at any time.
/// - `deploy`, `resize`, `set_network_policy` and `destroy` are idempotent: what already exists, or is already gone, is a success.
///   `deploy` creates the missing resources among those that [`Engine::makes`] names, and no others.
/// - Only resources with the spec's ownership tag are adopted, changed or deleted. A name taken by another resource is `Rejected`.
/// - A resource that `observe` does not return is taken to be gone. So `observe` looks for all known resources of the spec where they were
///   created, even if the credentials point elsewhere by now; if it has no access there, it is `Denied` or `Rejected`. A known resource
///   that still exists under its provider id but has lost the ownership tag is returned as well, and the cluster is `Broken` for that
///   reason; when nothing else is left, `destroy` is `Rejected` for it. An inventory covers only where the credentials point now, and
///   never proves that a resource is gone.
/// - A call that took effect in part, or may have, is [`EngineError::Unreachable`], never `Rejected`, `Denied` or `Busy`: those, like
///   `Throttled` and `Missing`, are taken as proof that nothing was created. A call that certainly had no effect is not `Unreachable`.
/// - The cause of an error is our text, and identical for identical errors: no request ids, no times. What differs between answers belongs
///   into its `provider_message`.
/// - `check` ends within 10 s; a provider that has not answered by then is `Unreachable`.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Engine: Send + Sync {
    /// Describes the engine.
    fn descriptor(&self) -> &EngineDescriptor;
    /// Whether a provisioner's parameters (secrets included) are accepted by the provider, and what is missing if not.
    async fn check(&self, parameters: &SecretMap) -> Result<(), EngineError>;
    /// What the provider offers these credentials for the cluster's fields that are declared as `offered`, given the values chosen so far,
    /// by field. A field whose offer depends on a value that is missing is left out. Ends within 5 s.
    async fn offers(
        &self,
        _credentials: &ProviderCredentials,
        _values: &BTreeMap<String, String>,
    ) -> Result<Offers, EngineError> {
        Ok(Offers::new())
    }
    /// The resources that `deploy` creates, in the order of creation: the same for the same spec.
    fn makes(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Vec<ResourceRef>;
    /// The state of the cluster at its provider. `Absent`, not an error, if the provider does not have it.
    async fn observe(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<Observation, EngineError>;
    /// Starts deploying the cluster, or creates what is missing.
    async fn deploy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError>;
    /// Starts changing the number of nodes.
    async fn resize(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        node_count: u32,
    ) -> Result<(), EngineError>;
    /// Starts changing the network policy.
    async fn set_network_policy(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        policy: &NetworkPolicy,
    ) -> Result<(), EngineError>;
    /// Starts deleting every resource with the ownership tag.
    async fn destroy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError>;
    /// The kubeconfig of a running cluster, from the provider. The caller parses and checks it.
    async fn kubeconfig(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
    ) -> Result<SecretValue, EngineError>;
    /// A short-lived token for the cluster's API. Only for engines with the capability `issues_tokens`, whose kubeconfigs contain no
    /// credentials.
    async fn issue_token(
        &self,
        _credentials: &ProviderCredentials,
        _spec: &ClusterSpec,
    ) -> Result<IssuedToken, EngineError> {
        Err(EngineError::Unsupported("issue tokens"))
    }
    /// Every resource with an ownership tag of this installation, of any cluster.
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

    /// Only the engines named in `whitelist`. Names may be short (`ManualEngine`) or full.
    #[must_use]
    pub fn limited_to(mut self, whitelist: &[String]) -> Self {
        self.0.retain(|name, _| {
            whitelist.iter().any(|wanted| wanted == name || name.rsplit('.').next() == Some(wanted.as_str()))
        });
        self
    }

    /// The engine with that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Engine>> {
        self.0.get(name)
    }

    /// The descriptors of the engines, sorted by name.
    pub fn descriptors(&self) -> impl Iterator<Item = &EngineDescriptor> {
        self.0.values().map(|engine| engine.descriptor())
    }
}
