//! Everything the catalog is to show, put together anew from the records that are stored.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::{
    Record, Tables,
    apply::{organization_row, provisioner_row, user_row},
    table::Seen,
};
use crate::{
    cluster::Cluster,
    id::ProvisionerId,
    provisioner::{Checked, Provisioner},
    revision::Versioned,
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
    /// Adds a record.
    pub fn put(&mut self, record: Record) {
        let tables = &mut self.tables;
        match record {
            Record::Organization(organization) => tables.organizations.push(organization_row(organization)),
            Record::User(user) => {
                tables.usernames.insert(user.value.username.as_str().into(), user.value.id.uuid());
                tables.users.push(user_row(user));
            }
            Record::Provisioner(provisioner) => self.provisioners.push(provisioner),
            Record::Cluster(cluster) => self.clusters.push(cluster),
            Record::ObservedStatus(observed) => {
                let seen = self.seen.entry(observed.cluster.uuid()).or_default();
                seen.observed_at = seen.observed_at.max(Some(observed.at));
                seen.observed = Some(Arc::new(observed));
            }
            Record::ObservedAt(ages) => {
                for (cluster, at) in ages {
                    let seen = self.seen.entry(cluster.uuid()).or_default();
                    seen.observed_at = seen.observed_at.max(Some(at));
                }
            }
            Record::ProvisionerCheck(found) => drop(self.checks.insert(found.provisioner, found)),
            Record::Operation(operation) => tables.work.put_operation(operation),
            Record::Orphan(orphan) => tables.work.put_orphan(orphan),
            Record::Tombstone(tombstone) => tables.work.put_tombstone(tombstone),
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

impl FromIterator<Record> for SnapshotBuilder {
    fn from_iter<T: IntoIterator<Item = Record>>(records: T) -> Self {
        let mut snapshot = Self::default();
        records.into_iter().for_each(|record| snapshot.put(record));
        snapshot
    }
}
