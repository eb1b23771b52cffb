//! Operations, by id and by cluster.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};

use super::{
    Catalog, Tables,
    change::{Deletable, Kind},
    snapshot::SnapshotBuilder,
    subscriber::{Subject, Tenant},
    table::Stored,
};
use crate::{
    id::{ClusterId, OperationId, OrganizationId, UserId},
    name::ResourceName,
    operation::Operation,
    revision::Versioned,
};

/// An operation, with facts about its cluster.
#[derive(Debug, Clone)]
pub struct OperationView {
    /// The operation.
    pub operation: Arc<Stored<Operation>>,
    /// The organization of its cluster.
    pub organization: OrganizationId,
    /// The owner of its cluster, which may be deleted.
    pub owner: UserId,
    /// The name of its cluster, which may be deleted.
    pub cluster_name: ResourceName,
}

#[derive(Default)]
pub(super) struct Operations {
    by_id: HashMap<OperationId, Arc<Stored<Operation>>>,
    /// In the order of requests.
    by_cluster: HashMap<ClusterId, Vec<(DateTime<Utc>, OperationId)>>,
}

impl Operations {
    fn put(&mut self, Versioned { value, revision }: Versioned<Operation>) {
        let key = (value.requested_at, value.id);
        let of_cluster = self.by_cluster.entry(value.cluster).or_default();
        if let Err(at) = of_cluster.binary_search(&key) {
            of_cluster.insert(at, key);
        }
        self.by_id.insert(value.id, Arc::new(Stored::new(value, revision)));
    }

    fn remove(&mut self, id: OperationId) {
        let Some(removed) = self.by_id.remove(&id) else { return };
        if let Some(of_cluster) = self.by_cluster.get_mut(&removed.record.cluster) {
            of_cluster.retain(|(_, other)| *other != id);
            if of_cluster.is_empty() {
                self.by_cluster.remove(&removed.record.cluster);
            }
        }
    }
}

impl Kind for Versioned<Operation> {
    fn put(self, tables: &mut Tables) -> Option<Subject> {
        let subject = Subject::Operation(self.value.id, self.value.cluster);
        tables.operations.put(self);
        Some(subject)
    }

    fn load(self, snapshot: &mut SnapshotBuilder) {
        snapshot.tables.operations.put(self);
    }
}

impl Deletable for Versioned<Operation> {
    type Id = OperationId;

    /// Operations are deleted when there are many, or long after their cluster. Subscribers get no event.
    fn delete(id: OperationId, tables: &mut Tables) -> Option<(Subject, Tenant)> {
        tables.operations.remove(id);
        None
    }
}

impl Tables {
    /// Tenant and name of a cluster that exists or was recently deleted.
    fn known_cluster(&self, cluster: ClusterId) -> Option<(Tenant, &ResourceName)> {
        match self.clusters.get(cluster.uuid()) {
            Some(entry) => Some((super::clusters::tenant(&entry.record), &entry.record.name)),
            None => {
                self.tombstones.get(&cluster).map(|tombstone| (super::tombstones::tenant(tombstone), &tombstone.name))
            }
        }
    }

    pub(super) fn tenant_of_operations(&self, cluster: ClusterId) -> Option<Tenant> {
        self.known_cluster(cluster).map(|(tenant, _)| tenant)
    }

    fn operation_view(&self, operation: &Arc<Stored<Operation>>) -> Option<OperationView> {
        let (Tenant { organization, owner }, name) = self.known_cluster(operation.record.cluster)?;
        Some(OperationView { operation: operation.clone(), organization, owner, cluster_name: name.clone() })
    }
}

impl Catalog {
    /// An operation.
    #[must_use]
    pub fn operation(&self, id: OperationId) -> Option<OperationView> {
        let tables = self.read();
        tables.operations.by_id.get(&id).and_then(|operation| tables.operation_view(operation))
    }

    /// The operations of a cluster that exists or was recently deleted, newest first.
    #[must_use]
    pub fn operations_of(&self, cluster: ClusterId) -> Vec<OperationView> {
        let tables = self.read();
        let keys = tables.operations.by_cluster.get(&cluster).map_or(&[][..], Vec::as_slice);
        let operations = keys.iter().rev().filter_map(|(_, id)| tables.operations.by_id.get(id));
        operations.filter_map(|operation| tables.operation_view(operation)).collect()
    }
}
