//! What the catalog hands out: records with what an answer about them nests.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    Tables,
    table::{Row, Seen},
};
use crate::{
    cluster::{Cluster, Phase},
    id::{OrganizationId, ProvisionerId, UserId},
    name::ResourceName,
    observation::{DisplayStatus, ObservedStatus, ProviderStatus},
    operation::Operation,
    organization::Organization,
    orphan::Orphan,
    port::engine::Capabilities,
    provisioner::Provisioner,
    revision::Revision,
    user::User,
};

/// A record at one revision.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    /// The record.
    pub record: T,
    /// Its revision.
    pub revision: Revision,
}

impl<T> Stored<T> {
    /// A record at that revision.
    #[must_use]
    pub const fn new(record: T, revision: Revision) -> Self {
        Self { record, revision }
    }
}

/// A user and the organization the user belongs to.
#[derive(Debug, Clone)]
pub struct UserView {
    /// The user.
    pub user: Arc<Stored<User>>,
    /// The organization; `None` only for a moment while a deletion is under way.
    pub organization: Option<Arc<Stored<Organization>>>,
}

/// A provisioner and its owner.
#[derive(Debug, Clone)]
pub struct ProvisionerView {
    /// The provisioner.
    pub provisioner: Arc<Stored<Provisioner>>,
    /// The organization it lives in.
    pub organization: Option<Arc<Stored<Organization>>>,
    /// Its owner.
    pub owner: Option<UserView>,
}

/// A cluster, its provisioner and owner, and what was last seen of it.
#[derive(Debug, Clone)]
pub struct ClusterView {
    /// The cluster.
    pub cluster: Arc<Stored<Cluster>>,
    /// The organization it lives in.
    pub organization: Option<Arc<Stored<Organization>>>,
    /// Its provisioner.
    pub provisioner: Option<ProvisionerView>,
    /// Its owner.
    pub owner: Option<UserView>,
    /// What was last seen of it.
    pub observed: Option<Arc<ObservedStatus>>,
    /// When it was last observed.
    pub observed_at: Option<DateTime<Utc>>,
}

impl ClusterView {
    /// How the cluster stands.
    #[must_use]
    pub fn display_status(&self) -> DisplayStatus {
        DisplayStatus::of(&self.cluster.record, self.observed.as_deref())
    }

    /// See [`ObservedStatus::keeps_its_schedule`].
    #[must_use]
    pub fn keeps_its_schedule(&self) -> bool {
        self.observed.as_ref().is_some_and(|observed| observed.keeps_its_schedule())
    }

    /// What its provider said of it when it was last asked.
    #[must_use]
    pub fn told(&self) -> Option<&ProviderStatus> {
        self.observed.as_ref()?.provider.as_ref()
    }

    /// How far a cluster in that phase is, in percent, given what its engine can do if it is offered; `None` where that cannot be
    /// told.
    #[must_use]
    pub fn progress(&self, phase: Phase, capabilities: Option<Capabilities>) -> Option<u8> {
        let under_way = matches!(phase, Phase::Deploying | Phase::Updating | Phase::Destroying);
        match capabilities {
            _ if phase == Phase::Ready => Some(100),
            // What is attached is whole from the start; nothing is made that could be half done.
            Some(capabilities) if !capabilities.deploy => Some(100),
            Some(capabilities) if capabilities.progress && under_way => Some(match self.told() {
                Some(ProviderStatus { progress: Some(progress), .. }) => *progress,
                // The provider has made it and is at rest; what is left is ours.
                Some(ProviderStatus { node_count: Some(_), .. }) if phase == Phase::Deploying => 99,
                Some(_) | None => 0,
            }),
            Some(_) | None => None,
        }
    }
}

/// An operation and the cluster it is done to.
#[derive(Debug, Clone)]
pub struct OperationView {
    /// The operation.
    pub operation: Arc<Stored<Operation>>,
    /// The tenant of its cluster.
    pub organization: OrganizationId,
    /// Who owns, or owned, its cluster.
    pub owner: UserId,
    /// What its cluster is, or was, called.
    pub cluster_name: ResourceName,
}

/// An orphan and the provisioner it can be reached through.
#[derive(Debug, Clone)]
pub struct OrphanView {
    /// The orphan.
    pub orphan: Arc<Stored<Orphan>>,
    /// The organization it belongs to.
    pub organization: Option<Arc<Stored<Organization>>>,
    /// Its provisioner, unless that is gone.
    pub provisioner: Option<ProvisionerView>,
}

/// Looks up what views nest.
pub(super) trait Lookup {
    fn user_view(&self, id: UserId) -> Option<UserView>;
    fn provisioner_view(&self, id: ProvisionerId) -> Option<ProvisionerView>;
    fn provisioner_view_of(&self, provisioner: Arc<Stored<Provisioner>>) -> ProvisionerView;
    fn cluster_view(&self, row: &Row<Cluster, Seen>) -> ClusterView;
}

impl Lookup for Tables {
    fn user_view(&self, id: UserId) -> Option<UserView> {
        let user = self.users.get(id.uuid())?.clone();
        let organization = self.organizations.get(user.record.organization.uuid()).cloned();
        Some(UserView { user, organization })
    }

    fn provisioner_view(&self, id: ProvisionerId) -> Option<ProvisionerView> {
        Some(self.provisioner_view_of(self.provisioners.get(id.uuid())?.clone()))
    }

    fn provisioner_view_of(&self, provisioner: Arc<Stored<Provisioner>>) -> ProvisionerView {
        ProvisionerView {
            organization: self.organizations.get(provisioner.record.organization.uuid()).cloned(),
            owner: self.user_view(provisioner.record.owner),
            provisioner,
        }
    }

    fn cluster_view(&self, row: &Row<Cluster, Seen>) -> ClusterView {
        let cluster = row.entry.clone();
        ClusterView {
            organization: self.organizations.get(cluster.record.organization.uuid()).cloned(),
            provisioner: self.provisioner_view(cluster.record.provisioner),
            owner: self.user_view(cluster.record.owner),
            observed: row.extra.observed.clone(),
            observed_at: row.extra.observed_at,
            cluster,
        }
    }
}
