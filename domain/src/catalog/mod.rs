//! The read model: everything that lists and single views show, in memory, sorted for lists.
//!
//! Only the store feeds it, with every committed change. It contains no secrets and no kubeconfigs. The time for a page is proportional to
//! the page, not to the number of records, unless a filter has to search every name.
//!
//! Each kind of record has its own file: how it is put and deleted, what lists sort and filter by, its view, and its queries. `change`
//! dispatches a change to its kind; `table`, `order` and `names` are shared by all kinds with lists.

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
    /// Users by user name.
    usernames: HashMap<Box<str>, UserId>,
    provisioners: Table<Provisioner, ProvisionerChecks>,
    clusters: Table<Cluster, ClusterObservation>,
    operations: Operations,
    orphans: Orphans,
    tombstones: Tombstones,
}

/// The read model. Cheap to share; locks are held for microseconds and never during I/O.
#[derive(Default)]
pub struct Catalog {
    /// Sharded, since every request reads it several times, from all threads.
    tables: ShardedLock<Tables>,
    subscribers: RwLock<Vec<Arc<dyn Subscriber>>>,
}

impl Catalog {
    /// An empty catalog.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notifies `subscriber` of every change from now on.
    pub fn subscribe(&self, subscriber: Arc<dyn Subscriber>) {
        self.subscribers.write().unwrap_or_else(PoisonError::into_inner).push(subscriber);
    }

    /// Applies `changes` with their commit revisions, atomically for readers. Called by one task at a time, in commit order.
    pub fn apply(&self, changes: Vec<(Revision, Change)>) {
        let events: Vec<ChangeEvent> = {
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            let pending: Vec<_> =
                changes.into_iter().filter_map(|(revision, change)| tables.apply(revision, change)).collect();
            // The tenant of an operation may be known only once all changes of the transaction are applied: if it deletes the cluster.
            pending.into_iter().filter_map(|event| event.complete(&tables)).collect()
        };
        if !events.is_empty() {
            self.notify(|subscriber| subscriber.changed(&events));
        }
    }

    /// Replaces everything with the snapshot: at the start, and after a gap in the changes.
    pub fn replace(&self, snapshot: SnapshotBuilder) {
        let tables = snapshot.into_tables();
        let former = std::mem::replace(&mut *self.tables.write().unwrap_or_else(PoisonError::into_inner), tables);
        self.notify(|subscriber| subscriber.replaced());
        // Dropping tens of thousands of rows takes a while: not under the lock.
        drop(former);
    }

    fn notify(&self, call: impl Fn(&dyn Subscriber)) {
        for subscriber in self.subscribers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            call(&**subscriber);
        }
    }

    fn read(&self) -> ShardedLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// Applies one change. Returns its change event, if any.
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
