//! Builds the tables of the catalog from all stored records.

use super::{Record, Tables, clusters::LoadedClusters, provisioners::LoadedProvisioners};

/// Builds the tables of the catalog. Records are added one by one in any order, so that they are never in memory twice.
#[derive(Default)]
pub struct SnapshotBuilder {
    pub(super) tables: Tables,
    pub(super) provisioners: LoadedProvisioners,
    pub(super) clusters: LoadedClusters,
}

impl SnapshotBuilder {
    /// Adds a record.
    pub fn put(&mut self, record: Record) {
        record.put_into(self);
    }

    pub(super) fn into_tables(self) -> Tables {
        let mut tables = self.tables;
        self.provisioners.fill(&mut tables);
        // Clusters need the names of their provisioners for sorting.
        self.clusters.fill(&mut tables);
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
