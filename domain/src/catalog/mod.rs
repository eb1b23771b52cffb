//! The read model: everything that lists and single views show, in memory, in the orders lists ask for.
//!
//! The store feeds it with every committed change and nothing else does. It holds no secret and no kubeconfig. A page costs time in
//! proportion to the page, not to what is stored, unless a filter has to look at every name.

mod apply;
mod change;
mod count;
mod list;
mod names;
mod order;
mod snapshot;
mod subscriber;
mod table;
mod view;
mod work;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard};
use uuid::Uuid;

pub use self::{
    change::{Change, Record, RecordId},
    count::{ClusterCounts, ProvisionerCounts, Tally, UserCounts},
    list::{Filter, Page, Query, Scope, Sort, Visibility, Window},
    snapshot::SnapshotBuilder,
    subscriber::{ChangeEvent, Subject, Subscriber},
    view::{ClusterView, OperationView, OrphanView, ProvisionerView, Stored, UserView},
};
use self::{
    table::{Checks, Seen, Table},
    view::Lookup,
    work::WorkTables,
};
use crate::cluster::Cluster;
use crate::id::ClusterId;
use crate::id::OrganizationId;
use crate::id::ProvisionerId;
use crate::id::UserId;
use crate::name::Namespace;
use crate::organization::Organization;
use crate::organization::Remaining;
use crate::provisioner::Provisioner;
use crate::revision::Revision;
use crate::user::User;

#[derive(Default)]
struct Tables {
    organizations: Table<Organization, ()>,
    users: Table<User, ()>,
    provisioners: Table<Provisioner, Checks>,
    clusters: Table<Cluster, Seen>,
    work: WorkTables,
    /// Users' ids by the names they log in with.
    usernames: HashMap<Box<str>, Uuid>,
}

/// The read model. Cheap to share; a lock is held for microseconds and never over I/O.
#[derive(Default)]
pub struct Catalog {
    /// Of a kind that is cheap to read for threads that all read: every request does, several times.
    tables: ShardedLock<Tables>,
    listeners: RwLock<Vec<Arc<dyn Subscriber>>>,
}

impl Catalog {
    /// An empty catalog.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells `listener` of every change from now on.
    pub fn listen(&self, listener: Arc<dyn Subscriber>) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Shows `changes` with the revisions they were committed at, all at once. Called by one task at a time, in the order of commits.
    pub fn apply(&self, changes: Vec<(Revision, Change)>) {
        let notices: Vec<ChangeEvent> = {
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            let mut told = Vec::new();
            for (revision, change) in changes {
                // What is gone is looked up before it goes.
                let gone = tables.farewell(&change, revision);
                let subject = tables.subject(&change);
                tables.apply(change);
                told.extend(gone.map(|notice| (notice.subject, revision, Some(notice))));
                told.extend(subject.map(|subject| (subject, revision, tables.notice(subject, revision))));
            }
            // Whose an operation was, on a cluster that left in the same transaction, may be known only at the end of that.
            let late = |(subject, revision, notice): (_, _, Option<ChangeEvent>)| {
                notice.or_else(|| tables.notice(subject, revision))
            };
            told.into_iter().filter_map(late).collect()
        };
        if !notices.is_empty() {
            self.tell(|listener| listener.changed(&notices));
        }
    }

    /// Forgets everything and shows what was put together instead: at the start, and after a gap in the feed.
    pub fn replace(&self, everything: SnapshotBuilder) {
        let tables = everything.into_tables();
        let former = std::mem::replace(&mut *self.tables.write().unwrap_or_else(PoisonError::into_inner), tables);
        self.tell(|listener| listener.replaced());
        // Taking down tens of thousands of rows takes a while, in which nobody who reads need wait.
        drop(former);
    }

    fn tell(&self, what: impl Fn(&dyn Subscriber)) {
        for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            what(&**listener);
        }
    }

    fn read(&self) -> ShardedLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// An organization.
    #[must_use]
    pub fn organization(&self, id: OrganizationId) -> Option<Arc<Stored<Organization>>> {
        self.read().organizations.get(id.uuid()).cloned()
    }

    /// The organization with that namespace.
    #[must_use]
    pub fn organization_by_namespace(&self, namespace: &str) -> Option<Arc<Stored<Organization>>> {
        self.read().organizations.find(|row| row.entry.record.namespace.as_str() == namespace)
    }

    /// The namespace of an organization.
    #[must_use]
    pub fn namespace(&self, id: OrganizationId) -> Option<Namespace> {
        self.read().organizations.get(id.uuid()).map(|entry| entry.record.namespace.clone())
    }

    /// A user.
    #[must_use]
    pub fn user(&self, id: UserId) -> Option<Arc<Stored<User>>> {
        self.read().users.get(id.uuid()).cloned()
    }

    /// A user with what an answer nests.
    #[must_use]
    pub fn user_view(&self, id: UserId) -> Option<UserView> {
        self.read().user_view(id)
    }

    /// The user who logs in with that name.
    #[must_use]
    pub fn user_by_name(&self, username: &str) -> Option<Arc<Stored<User>>> {
        let tables = self.read();
        tables.usernames.get(username).and_then(|id| tables.users.get(*id)).cloned()
    }

    /// A provisioner with what an answer nests.
    #[must_use]
    pub fn provisioner(&self, id: ProvisionerId) -> Option<ProvisionerView> {
        self.read().provisioner_view(id)
    }

    /// A cluster with what an answer nests.
    #[must_use]
    pub fn cluster(&self, id: ClusterId) -> Option<ClusterView> {
        let tables = self.read();
        let row = tables.clusters.row(id.uuid())?;
        Some(tables.cluster_view(row))
    }

    /// A page of organizations.
    #[must_use]
    pub fn organizations(&self, listing: &Query) -> Page<Arc<Stored<Organization>>> {
        self.read().organizations.page(listing, |row| row.entry.clone())
    }

    /// A page of users.
    #[must_use]
    pub fn users(&self, listing: &Query) -> Page<UserView> {
        let tables = self.read();
        tables.users.page(listing, |row| UserView {
            organization: tables.organizations.get(row.entry.record.organization.uuid()).cloned(),
            user: row.entry.clone(),
        })
    }

    /// A page of provisioners.
    #[must_use]
    pub fn provisioners(&self, listing: &Query) -> Page<ProvisionerView> {
        let tables = self.read();
        tables.provisioners.page(listing, |row| tables.provisioner_view_of(row.entry.clone()))
    }

    /// The revision a cluster is shown at.
    #[must_use]
    pub fn cluster_revision(&self, id: ClusterId) -> Option<Revision> {
        Some(self.read().clusters.row(id.uuid())?.entry.revision)
    }

    /// The revision a provisioner is shown at.
    #[must_use]
    pub fn provisioner_revision(&self, id: ProvisionerId) -> Option<Revision> {
        Some(self.read().provisioners.get(id.uuid())?.revision)
    }

    /// A page of clusters.
    #[must_use]
    pub fn clusters(&self, listing: &Query) -> Page<ClusterView> {
        let tables = self.read();
        tables.clusters.page(listing, |row| tables.cluster_view(row))
    }

    /// Up to `limit` things that live in an organization, which keep it from being deleted.
    #[must_use]
    pub fn remaining_in_organization(&self, id: OrganizationId, limit: usize) -> Vec<Remaining> {
        let tables = self.read();
        let scope = Scope::Organization(id);
        let users = tables.users.rows_in(scope).map(|row| Remaining {
            object: "User",
            name: row.entry.record.username.to_string(),
            id: row.id,
        });
        let provisioners = tables.provisioners.rows_in(scope).map(remaining_provisioner);
        let clusters = tables.clusters.rows_in(scope).map(remaining_cluster);
        users.chain(provisioners).chain(clusters).take(limit).collect()
    }

    /// Up to `limit` things a user owns, which keep the user from being deleted.
    #[must_use]
    pub fn remaining_of_user(&self, user: &User, limit: usize) -> Vec<Remaining> {
        let tables = self.read();
        let mine = |owner: Option<UserId>| owner == Some(user.id);
        let provisioners =
            tables.provisioners.rows_in(Scope::All).filter(|row| mine(row.owner)).map(remaining_provisioner);
        let clusters = tables.clusters.rows_in(Scope::All).filter(|row| mine(row.owner)).map(remaining_cluster);
        provisioners.chain(clusters).take(limit).collect()
    }

    /// Up to `limit` clusters and undecided orphans of a provisioner, which keep it from being deleted.
    #[must_use]
    pub fn remaining_of_provisioner(&self, id: ProvisionerId, limit: usize) -> Vec<Remaining> {
        let tables = self.read();
        let clusters = tables.clusters.rows_in(Scope::All).filter(|row| row.entry.record.provisioner == id);
        clusters.map(remaining_cluster).chain(tables.work.remaining_orphans(id)).take(limit).collect()
    }

    /// Every cluster with when it was last observed: for whoever observes them all, at the start and after a gap.
    #[must_use]
    pub fn observation_times(&self) -> Vec<(ClusterId, Option<DateTime<Utc>>)> {
        let tables = self.read();
        tables.clusters.rows_in(Scope::All).map(|row| (row.entry.record.id, row.extra.observed_at)).collect()
    }

    /// Clusters that something is being done to.
    #[must_use]
    pub fn busy_clusters(&self) -> Vec<ClusterId> {
        let tables = self.read();
        let busy = tables.clusters.rows_in(Scope::All).filter(|row| row.entry.record.lifecycle.is_transient());
        busy.map(|row| row.entry.record.id).collect()
    }

    /// Every provisioner.
    #[must_use]
    pub fn provisioner_ids(&self) -> Vec<ProvisionerId> {
        self.read().provisioners.rows_in(Scope::All).map(|row| row.entry.record.id).collect()
    }
}

fn remaining_provisioner(row: &table::Row<Provisioner, Checks>) -> Remaining {
    Remaining { object: "Provisioner", name: row.entry.record.name.to_string(), id: row.id }
}

fn remaining_cluster(row: &table::Row<Cluster, Seen>) -> Remaining {
    Remaining { object: "Cluster", name: row.entry.record.name.to_string(), id: row.id }
}

#[cfg(test)]
mod tests;
