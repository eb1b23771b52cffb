//! Clusters: the desired state, and what is done next to reach it.

pub mod plan;

mod phase;

use chrono::{DateTime, Utc};
pub use phase::{ClusterEvent, IllegalTransition, Lifecycle, Phase};

use crate::{
    document::Document,
    id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId},
    name::ResourceName,
};

/// One Kubernetes cluster: the desired state, as requested. What was observed is an [`ObservedStatus`](crate::observation::ObservedStatus),
/// stored separately so that observing a cluster never conflicts with updating it. The kubeconfig is stored separately as well, see
/// [`ClusterStore::kubeconfig`](crate::port::store::ClusterStore::kubeconfig).
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its id. Calls to the provider are keyed by it.
    pub id: ClusterId,
    /// Its name.
    pub name: ResourceName,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its provisioner.
    pub provisioner: ProvisionerId,
    /// Its owner.
    pub owner: UserId,
    /// The engine's cluster parameters and whatever else clients store there; secret parts are masked.
    pub metadata: Option<Document>,
    /// Whether a kubeconfig is stored.
    pub has_kubeconfig: bool,
    /// Its lifecycle state.
    pub lifecycle: Lifecycle,
    /// The newest operation on it. It is unfinished exactly while `lifecycle` is transient.
    pub operation: Option<OperationId>,
    /// When `lifecycle` last changed.
    pub changed_at: DateTime<Utc>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

#[cfg(test)]
pub(crate) mod tests;
