//! Clusters: what an organization asked for, and what is done next about it.

pub mod plan;

mod phase;

use chrono::{DateTime, Utc};
pub use phase::{ClusterEvent, IllegalTransition, Lifecycle, Phase};

use crate::{
    document::Document,
    id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId},
    name::ResourceName,
};

/// One Kubernetes cluster: the desired side, as people asked for it. What was observed is an [`ObservedStatus`](crate::observation::ObservedStatus), stored apart, so that
/// looking at a cluster never collides with somebody changing it. The kubeconfig is kept apart as well, see
/// [`ClusterStore::kubeconfig`](crate::port::store::ClusterStore::kubeconfig).
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Identity; provider calls are keyed by it.
    pub id: ClusterId,
    /// What it is called.
    pub name: ResourceName,
    /// The tenant it lives in.
    pub organization: OrganizationId,
    /// What provides it.
    pub provisioner: ProvisionerId,
    /// Who owns it.
    pub owner: UserId,
    /// The engine's cluster parameters and whatever else clients keep there, secret parts masked.
    pub metadata: Option<Document>,
    /// Whether a kubeconfig is stored.
    pub has_kubeconfig: bool,
    /// Where it stands in its life.
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
