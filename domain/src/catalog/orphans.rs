//! Orphans: resources that may remain at providers without a cluster record.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Catalog, Tables,
    change::{Deletable, Kind},
    provisioners::ProvisionerView,
    query::Scope,
    snapshot::SnapshotBuilder,
    subscriber::{Subject, Tenant},
    table::Stored,
};
use crate::{
    id::{ClusterId, ProvisionerId},
    organization::{Organization, Remaining},
    orphan::{Orphan, OrphanState},
    revision::Versioned,
};

/// An orphan, with its organization and provisioner.
#[derive(Debug, Clone)]
pub struct OrphanView {
    /// The orphan.
    pub orphan: Arc<Stored<Orphan>>,
    /// Its organization.
    pub organization: Option<Arc<Stored<Organization>>>,
    /// Its provisioner, unless that was deleted.
    pub provisioner: Option<ProvisionerView>,
}

/// By the id of their cluster.
pub(super) type Orphans = BTreeMap<ClusterId, Arc<Stored<Orphan>>>;

/// Subscribers get no events of orphans.
impl Kind for Versioned<Orphan> {
    fn put(self, tables: &mut Tables) -> Option<Subject> {
        put(&mut tables.orphans, self);
        None
    }

    fn load(self, snapshot: &mut SnapshotBuilder) {
        put(&mut snapshot.tables.orphans, self);
    }
}

impl Deletable for Versioned<Orphan> {
    type Id = ClusterId;

    fn delete(id: ClusterId, tables: &mut Tables) -> Option<(Subject, Tenant)> {
        tables.orphans.remove(&id);
        None
    }
}

fn put(orphans: &mut Orphans, Versioned { value, revision }: Versioned<Orphan>) {
    orphans.insert(value.cluster, Arc::new(Stored::new(value, revision)));
}

impl Tables {
    /// Undecided orphans, which prevent the deletion of a provisioner.
    pub(super) fn remaining_orphans(&self, provisioner: ProvisionerId) -> impl Iterator<Item = Remaining> {
        let undecided = self.orphans.values().map(|entry| &entry.record).filter(move |orphan| {
            orphan.provisioner == provisioner && !matches!(orphan.state, OrphanState::Ignored { .. })
        });
        undecided.map(|orphan| Remaining {
            object: "Orphan",
            name: orphan.name.clone().unwrap_or_else(|| orphan.cluster.to_string()),
            id: orphan.cluster.uuid(),
        })
    }

    fn orphan_view(&self, orphan: &Arc<Stored<Orphan>>) -> OrphanView {
        OrphanView {
            organization: self.organization(orphan.record.organization),
            provisioner: self.provisioner_view(orphan.record.provisioner),
            orphan: orphan.clone(),
        }
    }
}

impl Catalog {
    /// An orphan.
    #[must_use]
    pub fn orphan(&self, cluster: ClusterId) -> Option<OrphanView> {
        let tables = self.read();
        tables.orphans.get(&cluster).map(|orphan| tables.orphan_view(orphan))
    }

    /// How many orphans there are.
    #[must_use]
    pub fn orphan_count(&self) -> usize {
        self.read().orphans.len()
    }

    /// Orphans, oldest first.
    #[must_use]
    pub fn orphans(&self, scope: Scope) -> Vec<OrphanView> {
        let tables = self.read();
        let is_in_scope = |orphan: &Orphan| match scope {
            Scope::All => true,
            Scope::Organization(organization) => orphan.organization == organization,
        };
        let orphans = tables.orphans.values().filter(|entry| is_in_scope(&entry.record));
        let mut orphans: Vec<_> = orphans.map(|orphan| tables.orphan_view(orphan)).collect();
        orphans.sort_by_key(|view| (view.orphan.record.listed_at, view.orphan.record.cluster));
        orphans
    }
}
