//! How changes reach the tables.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Change, Record, RecordId, Tables,
    list::Sort,
    table::{Checks, Row, Seen},
    view::Stored,
};
use crate::{
    cluster::Cluster,
    id::{ClusterId, ProvisionerId},
    observation::{DisplayStatus, ObservedStatus},
    organization::Organization,
    provisioner::{Checked, Provisioner},
    revision::Versioned,
    user::User,
};

impl Tables {
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Put(record) => self.put(record),
            Change::Deleted(id) => self.delete(id),
        }
    }

    fn put(&mut self, record: Record) {
        match record {
            Record::Organization(organization) => self.organizations.put(organization_row(organization)),
            Record::User(user) => self.put_user(user),
            Record::Provisioner(provisioner) => self.put_provisioner(provisioner),
            Record::ProvisionerCheck(checked) => self.put_checked(checked),
            Record::Cluster(cluster) => {
                let seen = self.clusters.extra_mut(cluster.value.id.uuid()).map(std::mem::take).unwrap_or_default();
                let row = self.cluster_row(cluster, seen);
                self.clusters.put(row);
            }
            Record::ObservedStatus(observed) => self.put_observed(observed),
            Record::ObservedAt(times) => {
                for (cluster, at) in times {
                    self.put_observed_at(cluster, at);
                }
            }
            Record::Operation(operation) => self.work.put_operation(operation),
            Record::Orphan(orphan) => self.work.put_orphan(orphan),
            Record::Tombstone(tombstone) => self.work.put_tombstone(tombstone),
        }
    }

    fn delete(&mut self, id: RecordId) {
        match id {
            RecordId::Organization(id) => drop(self.organizations.remove(id.uuid())),
            RecordId::User(id) => {
                if let Some(row) = self.users.remove(id.uuid()) {
                    self.forget_username(row.entry.record.username.as_str(), row.id);
                }
            }
            RecordId::Provisioner(id) => {
                if self.provisioners.remove(id.uuid()).is_some() {
                    self.retext_clusters(id, &Arc::from(""), &Arc::from(""));
                }
            }
            RecordId::Cluster(id) => drop(self.clusters.remove(id.uuid())),
            RecordId::ObservedStatus(id) => self.drop_observed(id),
            RecordId::Operation(id) => drop(self.work.remove_operation(id)),
            RecordId::Orphan(id) => drop(self.work.remove_orphan(id)),
            RecordId::Tombstone(id) => self.work.remove_tombstone(id),
        }
    }

    fn put_user(&mut self, user: Versioned<User>) {
        let id = user.value.id.uuid();
        if let Some(old) = self.users.get(id).cloned()
            && old.record.username != user.value.username
        {
            self.forget_username(old.record.username.as_str(), id);
        }
        self.usernames.insert(user.value.username.as_str().into(), id);
        self.users.put(user_row(user));
    }

    /// A name may have gone to another user meanwhile.
    fn forget_username(&mut self, username: &str, id: Uuid) {
        if self.usernames.get(username) == Some(&id) {
            self.usernames.remove(username);
        }
    }

    fn put_provisioner(&mut self, provisioner: Versioned<Provisioner>) {
        let id = provisioner.value.id;
        let checked = self.provisioners.extra_mut(id.uuid()).and_then(|checks| checks.found.take());
        let row = provisioner_row(provisioner, checked);
        let (name, engine) = (row.provisioner.clone(), row.engine.clone());
        let known = self.provisioners.row(id.uuid());
        let same = match known {
            Some(old) => old.provisioner == name && old.engine == engine,
            // Clusters without a provisioner have no text there and come first: mostly there are none, and no cluster need be looked at.
            None => self.clusters.first(Sort::Provisioner).is_none_or(|row| !row.provisioner.is_empty()),
        };
        self.provisioners.put(row);
        if !same {
            self.retext_clusters(id, &name, &engine);
        }
    }

    fn put_checked(&mut self, checked: Checked) {
        let Some(row) = self.provisioners.row(checked.provisioner.uuid()) else { return };
        let (entry, checks) = (&row.entry, &row.extra);
        let (check, state_changed_at) = (checks.own.clone(), checks.own_changed_at);
        let stored = Provisioner { check, state_changed_at, ..entry.record.clone() };
        let stored = Versioned { value: stored, revision: entry.revision };
        self.provisioners.put(provisioner_row(stored, Some(checked)));
    }

    /// Sorts and filters the clusters of a provisioner by these texts from now on.
    fn retext_clusters(&mut self, of: ProvisionerId, name: &Arc<str>, engine: &Arc<str>) {
        let mut concerned = false;
        self.clusters.for_each_mut(|cluster| {
            if cluster.entry.record.provisioner == of {
                cluster.provisioner = name.clone();
                cluster.engine = engine.clone();
                concerned = true;
            }
        });
        if concerned {
            self.clusters.sort_again(Sort::Provisioner);
            self.clusters.sort_again(Sort::Engine);
        }
    }

    fn put_observed(&mut self, observed: ObservedStatus) {
        let id = observed.cluster.uuid();
        if let Some(seen) = self.clusters.extra_mut(id) {
            seen.observed_at = seen.observed_at.max(Some(observed.at));
            seen.observed = Some(Arc::new(observed));
        }
        self.restate(id);
    }

    fn drop_observed(&mut self, cluster: ClusterId) {
        if let Some(seen) = self.clusters.extra_mut(cluster.uuid()) {
            *seen = Seen::default();
        }
        self.restate(cluster.uuid());
    }

    fn restate(&mut self, cluster: Uuid) {
        let Some(row) = self.clusters.row(cluster) else { return };
        let phase = DisplayStatus::of(&row.entry.record, row.extra.observed.as_deref()).phase;
        self.clusters.set_state(cluster, phase.as_str());
    }

    fn put_observed_at(&mut self, cluster: ClusterId, at: DateTime<Utc>) {
        if let Some(seen) = self.clusters.extra_mut(cluster.uuid()) {
            seen.observed_at = seen.observed_at.max(Some(at));
        }
    }

    pub(super) fn cluster_row(&self, cluster: Versioned<Cluster>, extra: Seen) -> Row<Cluster, Seen> {
        let Versioned { value, revision } = cluster;
        let provisioner = self.provisioners.row(value.provisioner.uuid());
        let empty = || Arc::from("");
        Row {
            id: value.id.uuid(),
            created_at: value.created_at,
            organization: value.organization,
            owner: Some(value.owner),
            name: lower(value.name.as_str()),
            provisioner: provisioner.map_or_else(empty, |row| row.provisioner.clone()),
            engine: provisioner.map_or_else(empty, |row| row.engine.clone()),
            state: DisplayStatus::of(&value, extra.observed.as_deref()).phase.as_str(),
            extra,
            entry: Arc::new(Stored::new(value, revision)),
        }
    }
}

fn lower(text: &str) -> Box<str> {
    text.to_lowercase().into_boxed_str()
}

pub(super) fn organization_row(Versioned { value, revision }: Versioned<Organization>) -> Row<Organization, ()> {
    Row {
        id: value.id.uuid(),
        created_at: value.created_at,
        organization: value.id,
        owner: None,
        name: lower(value.name.as_str()),
        provisioner: Arc::from(""),
        engine: Arc::from(""),
        state: "",
        extra: (),
        entry: Arc::new(Stored::new(value, revision)),
    }
}

pub(super) fn user_row(Versioned { value, revision }: Versioned<User>) -> Row<User, ()> {
    Row {
        id: value.id.uuid(),
        created_at: value.created_at,
        organization: value.organization,
        owner: Some(value.id),
        name: lower(value.username.as_str()),
        provisioner: Arc::from(""),
        engine: Arc::from(""),
        state: "",
        extra: (),
        entry: Arc::new(Stored::new(value, revision)),
    }
}

/// The newer of the two checks is shown: the one stored with the provisioner, made when somebody changed it, or the last in the
/// background.
pub(super) fn provisioner_row(
    Versioned { mut value, revision }: Versioned<Provisioner>,
    checked: Option<Checked>,
) -> Row<Provisioner, Checks> {
    let (own, own_changed_at) = (value.check.clone(), value.state_changed_at);
    if let Some(checked) = checked.as_ref().filter(|checked| checked.check.at > value.check.at) {
        value.check = checked.check.clone();
        value.state_changed_at = checked.state_changed_at;
    }
    let name = lower(value.name.as_str());
    Row {
        id: value.id.uuid(),
        created_at: value.created_at,
        organization: value.organization,
        owner: Some(value.owner),
        provisioner: Arc::from(&*name),
        name,
        engine: Arc::from(lower(&value.engine)),
        state: value.check.phase.as_str(),
        extra: Checks { own, own_changed_at, found: checked },
        entry: Arc::new(Stored::new(value, revision)),
    }
}
