//! What engines see at providers.

use super::EngineError;
use crate::{id::ClusterId, ledger::ProviderResource, operation::NetworkPolicy, reason::Reason};

/// How a cluster is at its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProvisioningState {
    /// Some of what deploying makes is not there, and nothing is under way: deploying has to be asked for again.
    Incomplete,
    /// The provider is working on it.
    Working,
    /// It runs, and nothing is under way.
    Running,
    /// It is being taken down.
    Removing,
    /// It failed, and the provider does nothing about it.
    Broken(Reason),
}

/// What a look through an engine found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// The provider was read, and nothing there carries the ownership tag.
    Absent,
    /// Something is there.
    Present(ObservedCluster),
}

impl Observation {
    /// What an engine's answer says. That the provider does not have the cluster is an answer, whichever way the engine says so.
    ///
    /// # Errors
    /// Every error of the engine but [`EngineError::Missing`].
    pub fn of(answer: Result<Self, EngineError>) -> Result<Self, EngineError> {
        match answer {
            Err(EngineError::Missing) => Ok(Self::Absent),
            other => other,
        }
    }
}

/// What was seen of a cluster at its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedCluster {
    /// How it is.
    pub state: ProvisioningState,
    /// How far what is under way is, in percent.
    pub progress: Option<u8>,
    /// How many nodes it has.
    pub node_count: Option<u32>,
    /// Its network policy.
    pub network_policy: Option<NetworkPolicy>,
    /// What the provider says about it, for people; may be empty.
    pub message: String,
    /// Everything that carries the ownership tag, the whole of it, and what has lost it; see [`Engine`](crate::port::engine::Engine).
    pub resources: Vec<ProviderResource>,
}

/// Something at a provider that carries the ownership tag of this installation, as an inventory finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryItem {
    /// The cluster it was made for.
    pub cluster: ClusterId,
    /// The thing.
    pub resource: ProviderResource,
}
