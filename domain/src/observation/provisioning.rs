//! What engines observe at providers.

use super::EngineError;
use crate::{id::ClusterId, ledger::ProviderResource, operation::NetworkPolicy, reason::Reason};

/// The state of a cluster at its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProvisioningState {
    /// Resources that deploying creates are missing, and the provider is not working on it: it has to be deployed again.
    Incomplete,
    /// The provider is working on it.
    Working,
    /// It runs, and the provider is not working on it.
    Running,
    /// It is being deleted.
    Removing,
    /// It failed, and the provider does not repair it.
    Broken(Reason),
}

/// What an engine observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// The provider was read, and no resource has the ownership tag.
    Absent,
    /// There are resources.
    Present(ObservedCluster),
}

impl Observation {
    /// The observation in an engine's answer. [`EngineError::Missing`] is an observation too: the provider does not have the cluster.
    ///
    /// # Errors
    /// Every error of the engine except [`EngineError::Missing`].
    pub fn of(answer: Result<Self, EngineError>) -> Result<Self, EngineError> {
        match answer {
            Err(EngineError::Missing) => Ok(Self::Absent),
            other => other,
        }
    }
}

/// What was observed of a cluster at its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedCluster {
    /// Its state.
    pub state: ProvisioningState,
    /// Progress of what the provider is doing, in percent.
    pub progress: Option<u8>,
    /// The number of nodes.
    pub node_count: Option<u32>,
    /// Its network policy.
    pub network_policy: Option<NetworkPolicy>,
    /// The provider's message for people; may be empty.
    pub message: String,
    /// All resources with the ownership tag, and known ones that have lost it; see [`Engine`](crate::port::engine::Engine).
    pub resources: Vec<ProviderResource>,
}

/// A resource with the ownership tag of this installation, as found by an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryItem {
    /// The cluster it was created for.
    pub cluster: ClusterId,
    /// The resource.
    pub resource: ProviderResource,
}
