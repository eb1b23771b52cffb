//! Figures about what is stored, for health answers and metrics.

use std::collections::BTreeMap;

use super::{
    Catalog,
    list::{Scope, Visibility},
};
use crate::{cluster::Phase, id::ProvisionerId, name::Namespace, provisioner::ProvisionerPhase, user::Role};

/// How many there are and how many of them are well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub total: usize,
    /// Those in good state.
    pub healthy: usize,
}

impl Tally {
    /// Share of those that are well, rounded down; 100 where there is none.
    #[must_use]
    pub const fn percentage(self) -> usize {
        match (self.healthy * 100).checked_div(self.total) {
            Some(percentage) => percentage,
            None => 100,
        }
    }
}

/// Users counted in the ways dashboards ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserCounts {
    /// Per namespace; organizations without users are there with 0.
    pub by_namespace: BTreeMap<Namespace, usize>,
    /// Per role; roles nobody has are there with 0.
    pub by_role: BTreeMap<Role, usize>,
    /// Those who may log in.
    pub active: usize,
}

/// Clusters per phase and engine.
pub type ClusterCounts = BTreeMap<(Phase, String), usize>;
/// Provisioners per phase and engine.
pub type ProvisionerCounts = BTreeMap<(ProvisionerPhase, String), usize>;

impl Catalog {
    /// How many organizations there are.
    #[must_use]
    pub fn organization_count(&self) -> usize {
        self.read().organizations.len(Scope::All)
    }

    /// Users counted.
    #[must_use]
    pub fn user_counts(&self) -> UserCounts {
        let tables = self.read();
        let mut counts =
            UserCounts { by_role: Role::ALL.into_iter().map(|role| (role, 0)).collect(), ..UserCounts::default() };
        for row in tables.organizations.rows_in(Scope::All) {
            let members = tables.users.len(Scope::Organization(row.entry.record.id));
            counts.by_namespace.insert(row.entry.record.namespace.clone(), members);
        }
        for row in tables.users.rows_in(Scope::All) {
            *counts.by_role.entry(row.entry.record.role).or_default() += 1;
            counts.active += usize::from(row.entry.record.active);
        }
        counts
    }

    /// Clusters counted.
    #[must_use]
    pub fn cluster_counts(&self) -> ClusterCounts {
        let tables = self.read();
        // A handful of kinds, and tens of thousands of rows in the order they lie in memory.
        let mut by_word: Vec<((&str, &str), ProvisionerId, usize)> = Vec::new();
        for row in tables.clusters.rows() {
            let kind = (row.state, &*row.engine);
            match by_word.iter_mut().find(|(known, ..)| *known == kind) {
                Some((.., count)) => *count += 1,
                None => by_word.push((kind, row.entry.record.provisioner, 1)),
            }
        }
        let phase = |word: &str| Phase::ALL.into_iter().find(|phase| phase.as_str() == word);
        // Rows have the engine's name as it is sorted by; its provisioner has it as it is written.
        let engine = |provisioner: ProvisionerId| {
            tables.provisioners.get(provisioner.uuid()).map(|entry| entry.record.engine.to_string()).unwrap_or_default()
        };
        let mut counts = ClusterCounts::new();
        for ((word, _), provisioner, count) in by_word {
            if let Some(phase) = phase(word) {
                *counts.entry((phase, engine(provisioner))).or_default() += count;
            }
        }
        counts
    }

    /// Provisioners counted.
    #[must_use]
    pub fn provisioner_counts(&self) -> ProvisionerCounts {
        let tables = self.read();
        let mut counts = ProvisionerCounts::new();
        for row in tables.provisioners.rows_in(Scope::All) {
            let record = &row.entry.record;
            *counts.entry((record.check.phase, record.engine.to_string())).or_default() += 1;
        }
        counts
    }

    /// How the clusters stand that the caller may see.
    #[must_use]
    pub fn cluster_tally(&self, scope: Scope, visibility: Visibility) -> Tally {
        let tables = self.read();
        tally(tables.clusters.rows_in(scope).map(|row| (row.owner, row.state == Phase::Ready.as_str())), visibility)
    }

    /// How the provisioners stand that the caller may see.
    #[must_use]
    pub fn provisioner_tally(&self, scope: Scope, visibility: Visibility) -> Tally {
        let tables = self.read();
        let rows = tables.provisioners.rows_in(scope);
        tally(rows.map(|row| (row.owner, row.entry.record.check.phase == ProvisionerPhase::Ready)), visibility)
    }
}

fn tally(rows: impl Iterator<Item = (Option<crate::id::UserId>, bool)>, visibility: Visibility) -> Tally {
    let mut tally = Tally::default();
    for (owner, healthy) in rows {
        let visible = match visibility {
            Visibility::All => true,
            Visibility::OwnedBy(user) => owner == Some(user),
            Visibility::Nothing => false,
        };
        tally.total += usize::from(visible);
        tally.healthy += usize::from(visible && healthy);
    }
    tally
}
