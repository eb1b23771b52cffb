//! Tombstones of deleted clusters, kept for a while: they say to whom the operations and timelines belong.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};

use super::{
    Catalog, Tables,
    change::{Deletable, Kind},
    snapshot::SnapshotBuilder,
    subscriber::{Subject, Tenant},
};
use crate::{id::ClusterId, timeline::Tombstone};

/// By the id of the deleted cluster.
pub(super) type Tombstones = HashMap<ClusterId, Arc<Tombstone>>;

/// Subscribers get an event of the deleted cluster, but not of its tombstone.
impl Kind for Tombstone {
    fn put(self, tables: &mut Tables) -> Option<Subject> {
        tables.tombstones.insert(self.cluster, Arc::new(self));
        None
    }

    fn load(self, snapshot: &mut SnapshotBuilder) {
        snapshot.tables.tombstones.insert(self.cluster, Arc::new(self));
    }
}

impl Deletable for Tombstone {
    type Id = ClusterId;

    fn delete(id: ClusterId, tables: &mut Tables) -> Option<(Subject, Tenant)> {
        tables.tombstones.remove(&id);
        None
    }
}

pub(super) const fn tenant(tombstone: &Tombstone) -> Tenant {
    Tenant { organization: tombstone.organization, owner: tombstone.owner }
}

impl Catalog {
    /// The tombstone of a cluster.
    #[must_use]
    pub fn tombstone(&self, cluster: ClusterId) -> Option<Arc<Tombstone>> {
        self.read().tombstones.get(&cluster).cloned()
    }

    /// Clusters that were deleted before `before` and still have a tombstone.
    #[must_use]
    pub fn tombstones_before(&self, before: DateTime<Utc>) -> Vec<ClusterId> {
        let tables = self.read();
        let old = tables.tombstones.values().filter(|tombstone| tombstone.at < before);
        old.map(|tombstone| tombstone.cluster).collect()
    }
}
