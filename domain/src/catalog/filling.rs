//! Filling the tables anew, with changes as they come.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::{
    Change, Tables,
    apply::{organization_row, provisioner_row, user_row},
    table::Seen,
};
use crate::{
    cluster::Cluster,
    id::ProvisionerId,
    port::store::Versioned,
    provisioner::{Checked, Provisioner},
};

/// Everything the catalog is to show, put together piece by piece in any order: what is stored is never in memory twice.
#[derive(Default)]
pub struct SnapshotBuilder {
    tables: Tables,
    provisioners: Vec<Versioned<Provisioner>>,
    clusters: Vec<Versioned<Cluster>>,
    checks: HashMap<ProvisionerId, Checked>,
    seen: HashMap<Uuid, Seen>,
}

impl SnapshotBuilder {
    /// Adds what was stored. That something is gone says nothing here.
    pub fn put(&mut self, change: Change) {
        let tables = &mut self.tables;
        match change {
            Change::Organization(organization) => tables.organizations.push(organization_row(organization)),
            Change::User(user) => {
                tables.usernames.insert(user.value.username.as_str().into(), user.value.id.uuid());
                tables.users.push(user_row(user));
            }
            Change::Provisioner(provisioner) => self.provisioners.push(provisioner),
            Change::Cluster(cluster) => self.clusters.push(cluster),
            Change::ObservedStatus(observed) => {
                let seen = self.seen.entry(observed.cluster.uuid()).or_default();
                seen.looked_at = seen.looked_at.max(Some(observed.at));
                seen.observed = Some(Arc::new(observed));
            }
            Change::Looked(ages) => {
                for (cluster, at) in ages {
                    let seen = self.seen.entry(cluster.uuid()).or_default();
                    seen.looked_at = seen.looked_at.max(Some(at));
                }
            }
            Change::Checked(found) => drop(self.checks.insert(found.provisioner, found)),
            Change::Operation(operation) => tables.work.put_operation(operation),
            Change::Orphan(orphan) => tables.work.put_orphan(orphan),
            Change::Tombstone(tombstone) => tables.work.put_tombstone(tombstone),
            Change::OrganizationGone(_)
            | Change::UserGone(_)
            | Change::ProvisionerGone(_)
            | Change::ClusterGone(_)
            | Change::ObservedStatusGone(_)
            | Change::OperationGone(_)
            | Change::OrphanGone(_)
            | Change::TombstoneGone(_) => {}
        }
    }

    pub(super) fn into_tables(mut self) -> Tables {
        let mut tables = self.tables;
        for provisioner in self.provisioners {
            let checked = self.checks.remove(&provisioner.value.id);
            tables.provisioners.push(provisioner_row(provisioner, checked));
        }
        for cluster in self.clusters {
            let seen = self.seen.remove(&cluster.value.id.uuid()).unwrap_or_default();
            let row = tables.cluster_row(cluster, seen);
            tables.clusters.push(row);
        }
        tables.organizations.sort();
        tables.users.sort();
        tables.provisioners.sort();
        tables.clusters.sort();
        tables
    }
}

impl FromIterator<Change> for SnapshotBuilder {
    fn from_iter<T: IntoIterator<Item = Change>>(everything: T) -> Self {
        let mut filling = Self::default();
        everything.into_iter().for_each(|change| filling.put(change));
        filling
    }
}
