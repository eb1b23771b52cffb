//! Provisioners and their checks: the one stored with the record and the last one in the background. The newer one is shown.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::{
    Catalog, Tables,
    change::{Deletable, Kind},
    query::{Page, Query, Scope, Sort, Visibility},
    snapshot::SnapshotBuilder,
    subscriber::{Subject, Tenant},
    table::{Row, Stored},
    tally::Tally,
    users::UserView,
};
use crate::{
    id::ProvisionerId,
    organization::{Organization, Remaining},
    provisioner::{Check, Checked, Provisioner, ProvisionerPhase},
    revision::{Revision, Versioned},
};

/// A provisioner, with its organization and owner.
#[derive(Debug, Clone)]
pub struct ProvisionerView {
    /// The provisioner.
    pub provisioner: Arc<Stored<Provisioner>>,
    /// Its organization.
    pub organization: Option<Arc<Stored<Organization>>>,
    /// Its owner.
    pub owner: Option<UserView>,
}

/// Provisioners per phase and engine.
pub type ProvisionerCounts = BTreeMap<(ProvisionerPhase, String), usize>;

/// Both checks of a provisioner.
pub(super) struct ProvisionerChecks {
    /// Stored with the record: made when its parameters were set.
    stored_check: Check,
    stored_changed_at: DateTime<Utc>,
    background: Option<Checked>,
}

/// Provisioners of a snapshot and their checks, until both have arrived.
#[derive(Default)]
pub(super) struct LoadedProvisioners {
    records: Vec<Versioned<Provisioner>>,
    checks: HashMap<ProvisionerId, Checked>,
}

impl LoadedProvisioners {
    pub(super) fn fill(mut self, tables: &mut Tables) {
        for provisioner in self.records {
            let check = self.checks.remove(&provisioner.value.id);
            tables.provisioners.push(row(provisioner, check));
        }
    }
}

impl Kind for Versioned<Provisioner> {
    fn put(self, tables: &mut Tables) -> Option<Subject> {
        let id = self.value.id;
        let check = tables.provisioners.extra_mut(id.uuid()).and_then(|checks| checks.background.take());
        let row = row(self, check);
        let (name, engine) = (row.provisioner.clone(), row.engine.clone());
        let is_as_in_clusters = match tables.provisioners.row(id.uuid()) {
            Some(old) => old.provisioner == name && old.engine == engine,
            // Clusters without a provisioner have an empty text there and sort first. Usually there are none, and no search is needed.
            None => tables.clusters.first(Sort::Provisioner).is_none_or(|row| !row.provisioner.is_empty()),
        };
        tables.provisioners.put(row);
        if !is_as_in_clusters {
            tables.set_provisioner_of_clusters(id, &name, &engine);
        }
        Some(Subject::Provisioner(id))
    }

    fn load(self, snapshot: &mut SnapshotBuilder) {
        snapshot.provisioners.records.push(self);
    }
}

impl Deletable for Versioned<Provisioner> {
    type Id = ProvisionerId;

    fn delete(id: ProvisionerId, tables: &mut Tables) -> Option<(Subject, Tenant)> {
        let provisioner = tables.provisioners.remove(id.uuid())?.stored;
        tables.set_provisioner_of_clusters(id, &Arc::from(""), &Arc::from(""));
        Some((Subject::Provisioner(id), tenant(&provisioner.record)))
    }
}

impl Kind for Checked {
    /// Subscribers get no event of a check with the same result as the last one: only its time changes.
    fn put(self, tables: &mut Tables) -> Option<Subject> {
        let id = self.provisioner;
        let Row { stored, extra: checks, .. } = tables.provisioners.row(id.uuid())?;
        let before = stored.clone();
        let (check, state_changed_at) = (checks.stored_check.clone(), checks.stored_changed_at);
        let value = Provisioner { check, state_changed_at, ..before.record.clone() };
        tables.provisioners.put(row(Versioned { value, revision: before.revision }, Some(self)));
        let (before, after) = (&before.record, &tables.provisioners.get(id.uuid())?.record);
        let is_same = before.check.phase == after.check.phase
            && before.check.code == after.check.code
            && before.check.reason == after.check.reason
            && before.state_changed_at == after.state_changed_at;
        (!is_same).then_some(Subject::Provisioner(id))
    }

    fn load(self, snapshot: &mut SnapshotBuilder) {
        snapshot.provisioners.checks.insert(self.provisioner, self);
    }
}

fn row(
    Versioned { mut value, revision }: Versioned<Provisioner>,
    background: Option<Checked>,
) -> Row<Provisioner, ProvisionerChecks> {
    let (stored_check, stored_changed_at) = (value.check.clone(), value.state_changed_at);
    if let Some(checked) = background.as_ref().filter(|checked| checked.check.at > value.check.at) {
        value.check = checked.check.clone();
        value.state_changed_at = checked.state_changed_at;
    }
    let name = value.name.as_str().to_lowercase();
    Row {
        id: value.id.uuid(),
        created_at: value.created_at,
        organization: value.organization,
        owner: Some(value.owner),
        provisioner: Arc::from(&*name),
        name: name.into(),
        engine: value.engine.to_lowercase().into(),
        state: value.check.phase.as_str(),
        extra: ProvisionerChecks { stored_check, stored_changed_at, background },
        stored: Arc::new(Stored::new(value, revision)),
    }
}

pub(super) const fn tenant(provisioner: &Provisioner) -> Tenant {
    Tenant { organization: provisioner.organization, owner: provisioner.owner }
}

pub(super) fn remaining(row: &Row<Provisioner, ProvisionerChecks>) -> Remaining {
    Remaining { object: "Provisioner", name: row.stored.record.name.to_string(), id: row.id }
}

impl Tables {
    pub(super) fn provisioner_view(&self, id: ProvisionerId) -> Option<ProvisionerView> {
        Some(self.provisioner_view_of(self.provisioners.get(id.uuid())?.clone()))
    }

    fn provisioner_view_of(&self, provisioner: Arc<Stored<Provisioner>>) -> ProvisionerView {
        ProvisionerView {
            organization: self.organization(provisioner.record.organization),
            owner: self.user_view(provisioner.record.owner),
            provisioner,
        }
    }
}

impl Catalog {
    /// A provisioner with the objects nested in an answer.
    #[must_use]
    pub fn provisioner(&self, id: ProvisionerId) -> Option<ProvisionerView> {
        self.read().provisioner_view(id)
    }

    /// The revision of a provisioner in the catalog.
    #[must_use]
    pub fn provisioner_revision(&self, id: ProvisionerId) -> Option<Revision> {
        Some(self.read().provisioners.get(id.uuid())?.revision)
    }

    /// A page of provisioners.
    #[must_use]
    pub fn provisioners(&self, query: &Query) -> Page<ProvisionerView> {
        let tables = self.read();
        tables.provisioners.page(query, |row| tables.provisioner_view_of(row.stored.clone()))
    }

    /// The ids of all provisioners.
    #[must_use]
    pub fn provisioner_ids(&self) -> Vec<ProvisionerId> {
        self.read().provisioners.rows_in(Scope::All).map(|row| row.stored.record.id).collect()
    }

    /// Numbers of provisioners.
    #[must_use]
    pub fn provisioner_counts(&self) -> ProvisionerCounts {
        let tables = self.read();
        let mut counts = ProvisionerCounts::new();
        for row in tables.provisioners.rows_in(Scope::All) {
            let record = &row.stored.record;
            *counts.entry((record.check.phase, record.engine.to_string())).or_default() += 1;
        }
        counts
    }

    /// How many of the provisioners the caller may see are OK.
    #[must_use]
    pub fn provisioner_tally(&self, scope: Scope, visibility: Visibility) -> Tally {
        let tables = self.read();
        let rows = tables.provisioners.rows_in(scope);
        Tally::of(rows.map(|row| (row.owner, row.stored.record.check.phase == ProvisionerPhase::Ready)), visibility)
    }

    /// Up to `limit` clusters and undecided orphans of a provisioner, which prevent its deletion.
    #[must_use]
    pub fn remaining_of_provisioner(&self, id: ProvisionerId, limit: usize) -> Vec<Remaining> {
        let tables = self.read();
        let clusters = tables.clusters.rows_in(Scope::All).filter(|row| row.stored.record.provisioner == id);
        clusters.map(super::clusters::remaining).chain(tables.remaining_orphans(id)).take(limit).collect()
    }
}
