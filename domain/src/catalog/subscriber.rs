//! Change events for subscribers: they trigger the reconciler, and feed the watches of clients.

use super::{Tables, clusters, provisioners, users};
use crate::{
    id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId},
    revision::Revision,
};

/// The subject of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A cluster or its observed status.
    Cluster(ClusterId),
    /// An operation on a cluster.
    Operation(OperationId, ClusterId),
    /// A provisioner or the result of a check.
    Provisioner(ProvisionerId),
    /// A user. Internal: the change may end the user's watches.
    User(UserId),
}

/// One committed change, with what decides who may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeEvent {
    /// The commit revision, the same on every replica. All changes of one transaction have the same revision.
    pub revision: Revision,
    /// The subject of the change.
    pub subject: Subject,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its owner.
    pub owner: UserId,
}

/// Receives change events, on the task that feeds the catalog, once the catalog shows the changes. Must not block.
pub trait Subscriber: Send + Sync {
    /// These changes were committed, in this order.
    fn changed(&self, events: &[ChangeEvent]);
    /// The whole catalog was replaced; changes may have been missed.
    fn replaced(&self);
}

/// Organization and owner of an object, which decide who may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tenant {
    pub(super) organization: OrganizationId,
    pub(super) owner: UserId,
}

/// A change event whose tenant may not be known yet.
pub(super) struct PendingEvent {
    pub(super) revision: Revision,
    pub(super) subject: Subject,
    pub(super) deleted: bool,
    pub(super) tenant: Option<Tenant>,
}

impl PendingEvent {
    /// The event, once `tables` contain all changes. `None` if the tenant is unknown.
    pub(super) fn complete(self, tables: &Tables) -> Option<ChangeEvent> {
        let Self { revision, subject, deleted, tenant } = self;
        let Tenant { organization, owner } = tenant.or_else(|| tables.tenant(subject))?;
        Some(ChangeEvent { revision, subject, deleted, organization, owner })
    }
}

impl Tables {
    /// The tenant of an object in the tables.
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
