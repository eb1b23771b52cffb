//! The read model: everything that lists and single views show, in memory, in the orders lists ask for.
//!
//! The store feeds it with every committed change and nothing else does. It holds no secret and no kubeconfig. A page costs time in
//! proportion to the page, not to what is stored, unless a filter has to look at every name.

mod apply;
mod count;
mod list;
mod order;
mod table;
mod view;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use self::{
    count::{ClusterCounts, ProvisionerCounts, Tally, UserCounts},
    list::{Filter, Listing, Page, Scope, Sort, Visibility, Window},
    view::{ClusterView, Entry, ProvisionerView, UserView},
};
use self::{
    table::{Seen, Table},
    view::Lookup,
};
use crate::{
    cluster::{Cluster, Sighting},
    id::{ClusterId, OrganizationId, ProvisionerId, UserId},
    name::Namespace,
    organization::{Organization, Remaining},
    port::store::Versioned,
    provisioner::Provisioner,
    user::User,
};

/// One committed change, in the order of commits.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An organization was created or replaced.
    Organization(Versioned<Organization>),
    /// An organization was deleted.
    OrganizationGone(OrganizationId),
    /// A user was created or replaced.
    User(Versioned<User>),
    /// A user was deleted.
    UserGone(UserId),
    /// A provisioner was created or replaced.
    Provisioner(Versioned<Provisioner>),
    /// A provisioner was deleted.
    ProvisionerGone(ProvisionerId),
    /// A cluster was created or replaced.
    Cluster(Versioned<Cluster>),
    /// A cluster was deleted, and with it what was seen of it.
    ClusterGone(ClusterId),
    /// What is seen of a cluster has changed.
    Sighting(Sighting),
    /// What was seen of a cluster was dropped.
    SightingGone(ClusterId),
    /// Clusters were looked at and found unchanged. Older times than those known are ignored.
    Looked(Vec<(ClusterId, DateTime<Utc>)>),
}

#[derive(Default)]
struct Tables {
    organizations: Table<Organization, ()>,
    users: Table<User, ()>,
    provisioners: Table<Provisioner, ()>,
    clusters: Table<Cluster, Seen>,
    /// Users' ids by the names they log in with.
    usernames: HashMap<Box<str>, Uuid>,
}

/// The read model. Cheap to share; a lock is held for microseconds and never over I/O.
#[derive(Default)]
pub struct Catalog(RwLock<Tables>);

impl Catalog {
    /// An empty catalog.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows `changes`, all at once.
    pub fn apply(&self, changes: Vec<Change>) {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            tables.apply(change);
        }
    }

    /// Forgets everything and shows `everything` instead: at the start, and after a gap in the feed.
    pub fn replace(&self, everything: Vec<Change>) {
        let tables = Tables::filled(everything);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = tables;
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// An organization.
    #[must_use]
    pub fn organization(&self, id: OrganizationId) -> Option<Arc<Entry<Organization>>> {
        self.read().organizations.get(id.uuid()).cloned()
    }

    /// The organization with that namespace.
    #[must_use]
    pub fn organization_by_namespace(&self, namespace: &str) -> Option<Arc<Entry<Organization>>> {
        self.read().organizations.find(|row| row.entry.record.namespace.as_str() == namespace)
    }

    /// The namespace of an organization.
    #[must_use]
    pub fn namespace(&self, id: OrganizationId) -> Option<Namespace> {
        self.read().organizations.get(id.uuid()).map(|entry| entry.record.namespace.clone())
    }

    /// A user.
    #[must_use]
    pub fn user(&self, id: UserId) -> Option<Arc<Entry<User>>> {
        self.read().users.get(id.uuid()).cloned()
    }

    /// A user with what an answer nests.
    #[must_use]
    pub fn user_view(&self, id: UserId) -> Option<UserView> {
        self.read().user_view(id)
    }

    /// The user who logs in with that name.
    #[must_use]
    pub fn user_by_name(&self, username: &str) -> Option<Arc<Entry<User>>> {
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
    pub fn organizations(&self, listing: &Listing) -> Page<Arc<Entry<Organization>>> {
        self.read().organizations.page(listing, |row| row.entry.clone())
    }

    /// A page of users.
    #[must_use]
    pub fn users(&self, listing: &Listing) -> Page<UserView> {
        let tables = self.read();
        tables.users.page(listing, |row| UserView {
            organization: tables.organizations.get(row.entry.record.organization.uuid()).cloned(),
            user: row.entry.clone(),
        })
    }

    /// A page of provisioners.
    #[must_use]
    pub fn provisioners(&self, listing: &Listing) -> Page<ProvisionerView> {
        let tables = self.read();
        tables.provisioners.page(listing, |row| tables.provisioner_view_of(row.entry.clone()))
    }

    /// A page of clusters.
    #[must_use]
    pub fn clusters(&self, listing: &Listing) -> Page<ClusterView> {
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

    /// Up to `limit` clusters of a provisioner, which keep it from being deleted.
    #[must_use]
    pub fn remaining_of_provisioner(&self, id: ProvisionerId, limit: usize) -> Vec<Remaining> {
        let tables = self.read();
        let clusters = tables.clusters.rows_in(Scope::All).filter(|row| row.entry.record.provisioner == id);
        clusters.map(remaining_cluster).take(limit).collect()
    }

    /// Clusters with a kubeconfig that were last looked at before `before` or never, with that time, longest ago first.
    #[must_use]
    pub fn due_for_a_look(&self, before: DateTime<Utc>) -> Vec<(Option<DateTime<Utc>>, ClusterId)> {
        let tables = self.read();
        let mut due: Vec<_> = tables
            .clusters
            .rows_in(Scope::All)
            .filter(|row| row.entry.record.has_kubeconfig && row.extra.looked_at.is_none_or(|at| at < before))
            .map(|row| (row.extra.looked_at, row.entry.record.id))
            .collect();
        due.sort_unstable();
        due
    }

    /// Clusters that stand in a transient state since before `before`.
    #[must_use]
    pub fn transient_since(&self, before: DateTime<Utc>) -> Vec<Arc<Entry<Cluster>>> {
        let tables = self.read();
        let stuck = tables
            .clusters
            .rows_in(Scope::All)
            .filter(|row| row.entry.record.lifecycle.is_transient() && row.entry.record.changed_at < before);
        stuck.map(|row| row.entry.clone()).collect()
    }
}

fn remaining_provisioner(row: &table::Row<Provisioner, ()>) -> Remaining {
    Remaining { object: "Provisioner", name: row.entry.record.name.to_string(), id: row.id }
}

fn remaining_cluster(row: &table::Row<Cluster, Seen>) -> Remaining {
    Remaining { object: "Cluster", name: row.entry.record.name.to_string(), id: row.id }
}

#[cfg(test)]
mod tests;
