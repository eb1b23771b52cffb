//! What subscribers are told of changes: the reconciler, which is woken by them, and people who watch.

use super::{Tables, clusters, provisioners, users};
use crate::{
    id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId},
    revision::Revision,
};

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A cluster, or what is observed of it.
    Cluster(ClusterId),
    /// An operation on a cluster.
    Operation(OperationId, ClusterId),
    /// A provisioner, or what a check of it found.
    Provisioner(ProvisionerId),
    /// A user. Only for ourselves: it may end what the user watches.
    User(UserId),
}

/// One change that was committed, with what decides who may hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeEvent {
    /// The revision it was committed at: the same on every replica. Several changes of one transaction have the same.
    pub revision: Revision,
    /// What has changed.
    pub subject: Subject,
    /// Whether it was deleted.
    pub deleted: bool,
    /// The organization it lives, or lived, in.
    pub organization: OrganizationId,
    /// Who owns, or owned, it.
    pub owner: UserId,
}

/// Is told of changes. Called on the task that feeds the catalog, after the catalog shows them: it must not wait.
pub trait Subscriber: Send + Sync {
    /// These changes were committed, in this order.
    fn changed(&self, events: &[ChangeEvent]);
    /// Changes may have been missed: everything was read anew.
    fn replaced(&self);
}

/// The organization something belongs to, and its owner: what decides who may hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tenant {
    pub(super) organization: OrganizationId,
    pub(super) owner: UserId,
}

/// A change of which subscribers are told once it is known whose it is.
pub(super) struct PendingEvent {
    pub(super) revision: Revision,
    pub(super) subject: Subject,
    pub(super) deleted: bool,
    pub(super) tenant: Option<Tenant>,
}

impl PendingEvent {
    /// The event, of changes that `tables` show by now. Of nobody's change nobody is told.
    pub(super) fn complete(self, tables: &Tables) -> Option<ChangeEvent> {
        let Self { revision, subject, deleted, tenant } = self;
        let Tenant { organization, owner } = tenant.or_else(|| tables.tenant(subject))?;
        Some(ChangeEvent { revision, subject, deleted, organization, owner })
    }
}

impl Tables {
    /// Whose something is that is shown.
    pub(super) fn tenant(&self, subject: Subject) -> Option<Tenant> {
        match subject {
            Subject::Cluster(id) => self.clusters.get(id.uuid()).map(|entry| clusters::tenant(&entry.record)),
            Subject::Operation(_, cluster) => self.tenant_of_operations(cluster),
            Subject::Provisioner(id) => {
                self.provisioners.get(id.uuid()).map(|entry| provisioners::tenant(&entry.record))
            }
            Subject::User(id) => self.users.get(id.uuid()).map(|entry| users::tenant(&entry.record)),
        }
    }
}
