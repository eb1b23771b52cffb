//! What is done to clusters, in memory: operations, orphans, and clusters that have left.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::{
    Catalog, Tables,
    list::Scope,
    view::{Lookup, OperationView, OrphanView, Stored},
};
use crate::{
    id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId},
    operation::Operation,
    organization::Remaining,
    orphan::{Orphan, OrphanState},
    revision::Versioned,
    timeline::Tombstone,
};

/// The order of a cluster's operations.
type Place = (DateTime<Utc>, OperationId);

#[derive(Default)]
pub(super) struct WorkTables {
    operations: HashMap<OperationId, Arc<Stored<Operation>>>,
    of_cluster: HashMap<ClusterId, Vec<Place>>,
    orphans: BTreeMap<ClusterId, Arc<Stored<Orphan>>>,
    tombstone: HashMap<ClusterId, Arc<Tombstone>>,
}

impl WorkTables {
    pub(super) fn put_operation(&mut self, Versioned { value, revision }: Versioned<Operation>) {
        let place = (value.requested_at, value.id);
        let places = self.of_cluster.entry(value.cluster).or_default();
        if let Err(at) = places.binary_search(&place) {
            places.insert(at, place);
        }
        self.operations.insert(value.id, Arc::new(Stored::new(value, revision)));
    }

    pub(super) fn remove_operation(&mut self, id: OperationId) -> Option<Arc<Stored<Operation>>> {
        let gone = self.operations.remove(&id)?;
        if let Some(places) = self.of_cluster.get_mut(&gone.record.cluster) {
            places.retain(|(_, other)| *other != id);
            if places.is_empty() {
                self.of_cluster.remove(&gone.record.cluster);
            }
        }
        Some(gone)
    }

    pub(super) fn put_orphan(&mut self, Versioned { value, revision }: Versioned<Orphan>) {
        self.orphans.insert(value.cluster, Arc::new(Stored::new(value, revision)));
    }

    pub(super) fn remove_orphan(&mut self, cluster: ClusterId) -> Option<Arc<Stored<Orphan>>> {
        self.orphans.remove(&cluster)
    }

    pub(super) fn put_tombstone(&mut self, tombstone: Tombstone) {
        self.tombstone.insert(tombstone.cluster, Arc::new(tombstone));
    }

    pub(super) fn remove_tombstone(&mut self, cluster: ClusterId) {
        self.tombstone.remove(&cluster);
    }

    /// Undecided orphans that keep a provisioner from being deleted.
    pub(super) fn remaining_orphans(&self, provisioner: ProvisionerId) -> impl Iterator<Item = Remaining> {
        let waiting = self.orphans.values().map(|entry| &entry.record).filter(move |orphan| {
            orphan.provisioner == provisioner && !matches!(orphan.state, OrphanState::Ignored { .. })
        });
        waiting.map(|orphan| Remaining {
            object: "Orphan",
            name: orphan.name.clone().unwrap_or_else(|| orphan.cluster.to_string()),
            id: orphan.cluster.uuid(),
        })
    }
}

impl Tables {
    /// The tenant and the owner of a cluster that is there or has left.
    pub(super) fn tenant_of(&self, cluster: ClusterId) -> Option<(OrganizationId, UserId)> {
        if let Some(entry) = self.clusters.get(cluster.uuid()) {
            return Some((entry.record.organization, entry.record.owner));
        }
        self.work.tombstone.get(&cluster).map(|tombstone| (tombstone.organization, tombstone.owner))
    }

    fn operation_view(&self, operation: &Arc<Stored<Operation>>) -> Option<OperationView> {
        let cluster = operation.record.cluster;
        let (organization, owner) = self.tenant_of(cluster)?;
        let cluster_name = match self.clusters.get(cluster.uuid()) {
            Some(entry) => entry.record.name.clone(),
            None => self.work.tombstone.get(&cluster)?.name.clone(),
        };
        Some(OperationView { operation: operation.clone(), organization, owner, cluster_name })
    }

    fn orphan_view(&self, orphan: &Arc<Stored<Orphan>>) -> OrphanView {
        OrphanView {
            organization: self.organizations.get(orphan.record.organization.uuid()).cloned(),
            provisioner: self.provisioner_view(orphan.record.provisioner),
            orphan: orphan.clone(),
        }
    }
}

impl Catalog {
    /// An operation.
    #[must_use]
    pub fn operation(&self, id: OperationId) -> Option<OperationView> {
        let tables = self.read();
        tables.work.operations.get(&id).and_then(|operation| tables.operation_view(operation))
    }

    /// The operations of a cluster that is there or has left, newest first.
    #[must_use]
    pub fn operations_of(&self, cluster: ClusterId) -> Vec<OperationView> {
        let tables = self.read();
        let places = tables.work.of_cluster.get(&cluster).map_or(&[][..], Vec::as_slice);
        let operations = places.iter().rev().filter_map(|(_, id)| tables.work.operations.get(id));
        operations.filter_map(|operation| tables.operation_view(operation)).collect()
    }

    /// A cluster that has left.
    #[must_use]
    pub fn tombstone(&self, cluster: ClusterId) -> Option<Arc<Tombstone>> {
        self.read().work.tombstone.get(&cluster).cloned()
    }

    /// Clusters that left before `before`.
    #[must_use]
    pub fn tombstones_before(&self, before: DateTime<Utc>) -> Vec<ClusterId> {
        let tables = self.read();
        tables
            .work
            .tombstone
            .values()
            .filter(|tombstone| tombstone.at < before)
            .map(|tombstone| tombstone.cluster)
            .collect()
    }

    /// An orphan.
    #[must_use]
    pub fn orphan(&self, cluster: ClusterId) -> Option<OrphanView> {
        let tables = self.read();
        tables.work.orphans.get(&cluster).map(|orphan| tables.orphan_view(orphan))
    }

    /// How many orphans there are.
    #[must_use]
    pub fn orphan_count(&self) -> usize {
        self.read().work.orphans.len()
    }

    /// Orphans, oldest first.
    #[must_use]
    pub fn orphans(&self, scope: Scope) -> Vec<OrphanView> {
        let tables = self.read();
        let mut orphans: Vec<_> = tables
            .work
            .orphans
            .values()
            .filter(|entry| match scope {
                Scope::All => true,
                Scope::Organization(organization) => entry.record.organization == organization,
            })
            .map(|orphan| tables.orphan_view(orphan))
            .collect();
        orphans.sort_by_key(|view| (view.orphan.record.listed_at, view.orphan.record.cluster));
        orphans
    }
}
