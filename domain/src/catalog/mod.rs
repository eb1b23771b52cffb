//! The read model: everything that lists and single views show, in memory, in the orders lists ask for.
//!
//! The store feeds it with every committed change and nothing else does. It holds no secret and no kubeconfig. A page costs time in
//! proportion to the page, not to what is stored, unless a filter has to search every name.
//!
//! Each kind of record has a file of its own: how it is put and deleted, what lists sort and filter it by, its view, and the questions
//! about it. `change` leads from a change to its kind; `table`, `order` and `names` are the same for all kinds that have lists.

mod change;
mod clusters;
mod names;
mod operations;
mod order;
mod organizations;
mod orphans;
mod provisioners;
mod query;
mod snapshot;
mod subscriber;
mod table;
mod tally;
mod tombstones;
mod users;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard};

pub use self::{
    change::{Change, Record, RecordId},
    clusters::{ClusterCounts, ClusterView},
    operations::OperationView,
    orphans::OrphanView,
    provisioners::{ProvisionerCounts, ProvisionerView},
    query::{Filter, Page, Query, Scope, Sort, Visibility, Window},
    snapshot::SnapshotBuilder,
    subscriber::{ChangeEvent, Subject, Subscriber},
    table::Stored,
    tally::Tally,
    users::{UserCounts, UserView},
};
use self::{
    clusters::ClusterObservation, operations::Operations, orphans::Orphans, provisioners::ProvisionerChecks,
    subscriber::PendingEvent, table::Table, tombstones::Tombstones,
};
use crate::{
    cluster::Cluster, id::UserId, organization::Organization, provisioner::Provisioner, revision::Revision, user::User,
};

#[derive(Default)]
struct Tables {
    organizations: Table<Organization, ()>,
    users: Table<User, ()>,
    /// Users by the names they log in with.
    usernames: HashMap<Box<str>, UserId>,
    provisioners: Table<Provisioner, ProvisionerChecks>,
    clusters: Table<Cluster, ClusterObservation>,
    operations: Operations,
    orphans: Orphans,
    tombstones: Tombstones,
}

/// The read model. Cheap to share; a lock is held for microseconds and never over I/O.
#[derive(Default)]
pub struct Catalog {
    /// Of a kind that is cheap to read for threads that all read: every request does, several times.
    tables: ShardedLock<Tables>,
    subscribers: RwLock<Vec<Arc<dyn Subscriber>>>,
}

impl Catalog {
    /// An empty catalog.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells `subscriber` of every change from now on.
    pub fn subscribe(&self, subscriber: Arc<dyn Subscriber>) {
        self.subscribers.write().unwrap_or_else(PoisonError::into_inner).push(subscriber);
    }

    /// Shows `changes` with the revisions they were committed at, all at once. Called by one task at a time, in the order of commits.
    pub fn apply(&self, changes: Vec<(Revision, Change)>) {
        let events: Vec<ChangeEvent> = {
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            let pending: Vec<_> =
                changes.into_iter().filter_map(|(revision, change)| tables.apply(revision, change)).collect();
            // Whose an operation was, on a cluster that was deleted in the same transaction, may be known only at the end of that.
            pending.into_iter().filter_map(|event| event.complete(&tables)).collect()
        };
        if !events.is_empty() {
            self.notify(|subscriber| subscriber.changed(&events));
        }
    }

    /// Forgets everything and shows the snapshot instead: at the start, and after a gap in the feed.
    pub fn replace(&self, snapshot: SnapshotBuilder) {
        let tables = snapshot.into_tables();
        let former = std::mem::replace(&mut *self.tables.write().unwrap_or_else(PoisonError::into_inner), tables);
        self.notify(|subscriber| subscriber.replaced());
        // Taking down tens of thousands of rows takes a while, in which nobody who reads need wait.
        drop(former);
    }

    fn notify(&self, of: impl Fn(&dyn Subscriber)) {
        for subscriber in self.subscribers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            of(&**subscriber);
        }
    }

    fn read(&self) -> ShardedLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// Shows one change. What subscribers are to be told of it, if anything.
    fn apply(&mut self, revision: Revision, change: Change) -> Option<PendingEvent> {
        let (subject, deleted, tenant) = match change {
            Change::Put(record) => {
                let subject = record.put_into(self)?;
                (subject, false, self.tenant(subject))
            }
            Change::Deleted(id) => {
                let (subject, tenant) = id.delete_from(self)?;
                (subject, true, Some(tenant))
            }
        };
        Some(PendingEvent { revision, subject, deleted, tenant })
    }
}

#[cfg(test)]
mod tests;
