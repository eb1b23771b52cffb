//! The behaviour of the catalog in its simplest form: vectors that are scanned from the start for every query.

mod count;
mod work;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use self::work::{PendingEvent, Work};
pub(super) use self::work::{of_operation, of_orphan};
use super::super::{
    Change, ClusterView, Filter, Page, ProvisionerView, Query, Record, RecordId, Scope, Sort, Stored, UserView,
    Visibility,
};
use crate::{
    cluster::Cluster,
    id::{ClusterId, OrganizationId, ProvisionerId, UserId},
    observation::{DisplayStatus, ObservedStatus},
    organization::{Organization, Remaining},
    provisioner::{Checked, Provisioner, ProvisionerPhase},
    revision::{Revision, Versioned},
    user::User,
};

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Organizations,
    Users,
    Provisioners,
    Clusters,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Organizations, Self::Users, Self::Provisioners, Self::Clusters];
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) organizations: Vec<Versioned<Organization>>,
    pub(super) users: Vec<Versioned<User>>,
    pub(super) provisioners: Vec<Versioned<Provisioner>>,
    pub(super) clusters: Vec<Versioned<Cluster>>,
    observed_statuses: HashMap<ClusterId, ObservedStatus>,
    observed_at: HashMap<ClusterId, DateTime<Utc>>,
    checks: HashMap<ProvisionerId, Checked>,
    pub(super) work: Work,
    /// The changes that subscribers have not received yet.
    pending: Vec<PendingEvent>,
}

/// The fields of a record that lists need.
struct Line {
    organization: OrganizationId,
    owner: Option<UserId>,
    name: String,
    provisioner: String,
    engine: String,
    state: &'static str,
    created_at: DateTime<Utc>,
    id: Uuid,
    shown: String,
}

fn put<T>(records: &mut Vec<Versioned<T>>, record: &Versioned<T>, id: impl Fn(&T) -> Uuid)
where
    T: Clone,
{
    records.retain(|known| id(&known.value) != id(&record.value));
    records.push(record.clone());
}

impl Model {
    pub(super) fn apply(&mut self, revision: Revision, change: &Change) {
        let before = self.tenant_before(change);
        let status_before = self.checked_status(change);
        self.store(change);
        // A check with the same result is not reported.
        if status_before.is_none() || status_before != self.checked_status(change) {
            self.add_event(revision, change, before);
        }
    }

    fn store(&mut self, change: &Change) {
        match change {
            Change::Put(record) => self.put(record),
            Change::Deleted(id) => self.delete(*id),
        }
    }

    fn put(&mut self, record: &Record) {
        match record {
            Record::Organization(organization) => put(&mut self.organizations, organization, |o| o.id.uuid()),
            Record::User(user) => put(&mut self.users, user, |u| u.id.uuid()),
            Record::Provisioner(provisioner) => put(&mut self.provisioners, provisioner, |p| p.id.uuid()),
            Record::ProvisionerCheck(checked) => {
                if self.provisioners.iter().any(|p| p.value.id == checked.provisioner) {
                    self.checks.insert(checked.provisioner, checked.clone());
                }
            }
            Record::Cluster(cluster) => put(&mut self.clusters, cluster, |c| c.id.uuid()),
            Record::ObservedStatus(observed) => {
                if self.cluster(observed.cluster).is_some() {
                    self.observed_statuses.insert(observed.cluster, observed.clone());
                    self.put_observed_at(observed.cluster, observed.at);
                }
            }
            Record::ObservedAt(times) => times.iter().for_each(|(id, at)| self.put_observed_at(*id, *at)),
            Record::Operation(operation) => put(&mut self.work.operations, operation, |o| o.id.uuid()),
            Record::Orphan(orphan) => put(&mut self.work.orphans, orphan, |o| o.cluster.uuid()),
            Record::Tombstone(tombstone) => self.work.put_tombstone(tombstone),
        }
    }

    fn delete(&mut self, id: RecordId) {
        match id {
            RecordId::Organization(id) => self.organizations.retain(|o| o.value.id != id),
            RecordId::User(id) => self.users.retain(|u| u.value.id != id),
            RecordId::Provisioner(id) => {
                self.provisioners.retain(|p| p.value.id != id);
                self.checks.remove(&id);
            }
            RecordId::Cluster(id) => {
                self.clusters.retain(|c| c.value.id != id);
                self.observed_statuses.remove(&id);
                self.observed_at.remove(&id);
            }
            RecordId::ObservedStatus(id) => {
                self.observed_statuses.remove(&id);
                self.observed_at.remove(&id);
            }
            RecordId::Operation(id) => self.work.operations.retain(|o| o.value.id != id),
            RecordId::Orphan(id) => self.work.orphans.retain(|o| o.value.cluster != id),
            RecordId::Tombstone(id) => self.work.delete_tombstone(id),
        }
    }

    /// The status that a checked provisioner shows, without the time of the check.
    fn checked_status(&self, change: &Change) -> Option<Option<(ProvisionerPhase, String, DateTime<Utc>)>> {
        let Change::Put(Record::ProvisionerCheck(Checked { provisioner, .. })) = change else { return None };
        let known = self.provisioners.iter().find(|p| p.value.id == *provisioner);
        let shown = known.map(|p| self.shown(&p.value));
        Some(shown.map(|p| (p.check.phase, p.check.reason, p.state_changed_at)))
    }

    fn put_observed_at(&mut self, id: ClusterId, at: DateTime<Utc>) {
        if self.cluster(id).is_some() {
            let observed_at = self.observed_at.entry(id).or_insert(at);
            *observed_at = at.max(*observed_at);
        }
    }

    /// The records that are stored, in no particular order.
    pub(super) fn everything(&self) -> Vec<Record> {
        let organizations = self.organizations.iter().cloned().map(Record::Organization);
        let users = self.users.iter().cloned().map(Record::User);
        let provisioners = self.provisioners.iter().cloned().map(Record::Provisioner);
        let clusters = self.clusters.iter().cloned().map(Record::Cluster);
        let observed_statuses = self.observed_statuses.values().cloned().map(Record::ObservedStatus);
        let observation_times = self.observed_at.iter().map(|(id, at)| Record::ObservedAt(vec![(*id, *at)]));
        let checks = self.checks.values().cloned().map(Record::ProvisionerCheck);
        let records = organizations.chain(users).chain(provisioners).chain(clusters);
        records.chain(observed_statuses).chain(observation_times).chain(checks).chain(self.work.everything()).collect()
    }

    /// The provisioner with the newer of its two checks.
    fn shown(&self, provisioner: &Provisioner) -> Provisioner {
        let stored = provisioner.clone();
        match self.checks.get(&provisioner.id) {
            Some(found) if found.check.at > stored.check.at => {
                Provisioner { check: found.check.clone(), state_changed_at: found.state_changed_at, ..stored }
            }
            _ => stored,
        }
    }

    fn lines(&self, kind: Kind) -> Vec<Line> {
        match kind {
            Kind::Organizations => self
                .organizations
                .iter()
                .map(|Versioned { value, .. }| Line {
                    organization: value.id,
                    owner: None,
                    name: value.name.to_string(),
                    provisioner: String::new(),
                    engine: String::new(),
                    state: "",
                    created_at: value.created_at,
                    id: value.id.uuid(),
                    shown: self.organization(value.id).unwrap(),
                })
                .collect(),
            Kind::Users => self
                .users
                .iter()
                .map(|Versioned { value, .. }| Line {
                    organization: value.organization,
                    owner: Some(value.id),
                    name: value.username.to_string(),
                    provisioner: String::new(),
                    engine: String::new(),
                    state: "",
                    created_at: value.created_at,
                    id: value.id.uuid(),
                    shown: self.user(value.id).unwrap(),
                })
                .collect(),
            Kind::Provisioners => self
                .provisioners
                .iter()
                .map(|Versioned { value, .. }| Line {
                    organization: value.organization,
                    owner: Some(value.owner),
                    name: value.name.to_string(),
                    provisioner: value.name.to_string(),
                    engine: value.engine.to_string(),
                    state: self.shown(value).check.phase.as_str(),
                    created_at: value.created_at,
                    id: value.id.uuid(),
                    shown: self.provisioner(value.id).unwrap(),
                })
                .collect(),
            Kind::Clusters => self.clusters.iter().map(|cluster| self.cluster_line(&cluster.value)).collect(),
        }
    }

    fn cluster_line(&self, cluster: &Cluster) -> Line {
        let provisioner = self.provisioners.iter().find(|p| p.value.id == cluster.provisioner);
        Line {
            organization: cluster.organization,
            owner: Some(cluster.owner),
            name: cluster.name.to_string(),
            provisioner: provisioner.map(|p| p.value.name.to_string()).unwrap_or_default(),
            engine: provisioner.map(|p| p.value.engine.to_string()).unwrap_or_default(),
            state: self.display(cluster.id).unwrap().phase.as_str(),
            created_at: cluster.created_at,
            id: cluster.id.uuid(),
            shown: self.cluster(cluster.id).unwrap(),
        }
    }

    pub(super) fn answer(&self, kind: Kind, query: &Query) -> Page<String> {
        let mut lines: Vec<Line> = self
            .lines(kind)
            .into_iter()
            .filter(|line| in_scope(line.organization, query.scope))
            .filter(|line| visible(line.owner, query.visibility))
            .filter(|line| passes(line, &query.filter))
            .collect();
        lines.sort_by_key(|line| {
            let text = match query.sort {
                Sort::Created => "",
                Sort::Name => &line.name,
                Sort::Provisioner => &line.provisioner,
                Sort::Engine => &line.engine,
                Sort::State => line.state,
            };
            (text.to_lowercase(), line.created_at, line.id)
        });
        if query.descending {
            lines.reverse();
        }
        let total = lines.len();
        let part = lines.into_iter().skip(query.window.offset).take(query.window.limit);
        Page { items: part.map(|line| line.shown).collect(), total }
    }

    pub(super) fn organization(&self, id: OrganizationId) -> Option<String> {
        self.organizations.iter().find(|o| o.value.id == id).map(|o| format!("{id}@{:?}", o.revision))
    }

    pub(super) fn user(&self, id: UserId) -> Option<String> {
        let Versioned { value, revision } = self.users.iter().find(|u| u.value.id == id)?;
        Some(format!("{id}@{revision:?} in {:?}", self.organization(value.organization)))
    }

    pub(super) fn user_by_name(&self, name: &str) -> Option<UserId> {
        self.users.iter().find(|u| u.value.username.as_str() == name).map(|u| u.value.id)
    }

    pub(super) fn provisioner(&self, id: ProvisionerId) -> Option<String> {
        let Versioned { value, revision } = self.provisioners.iter().find(|p| p.value.id == id)?;
        let (organization, owner) = (self.organization(value.organization), self.user(value.owner));
        let Provisioner { check, state_changed_at, .. } = self.shown(value);
        Some(format!("{id}@{revision:?} in {organization:?} of {owner:?} {check:?} since {state_changed_at}"))
    }

    pub(super) fn cluster(&self, id: ClusterId) -> Option<String> {
        let Versioned { value, revision } = self.clusters.iter().find(|c| c.value.id == id)?;
        let (organization, owner) = (self.organization(value.organization), self.user(value.owner));
        let provisioner = self.provisioner(value.provisioner);
        let (observed, observed_at) = (self.observed_statuses.get(&id), self.observed_at.get(&id));
        Some(format!(
            "{id}@{revision:?} in {organization:?} of {owner:?} by {provisioner:?} {observed:?} {observed_at:?}"
        ))
    }

    pub(super) fn display(&self, id: ClusterId) -> Option<DisplayStatus> {
        let cluster = self.clusters.iter().find(|c| c.value.id == id)?;
        Some(DisplayStatus::of(&cluster.value, self.observed_statuses.get(&id)))
    }

    /// The records of `kind` that match `wanted`, as remaining objects, in the order of creation.
    fn remaining(&self, kind: Kind, wanted: impl Fn(&Line) -> bool) -> Vec<Remaining> {
        let mut lines = self.lines(kind);
        lines.retain(wanted);
        lines.sort_by_key(|line| (line.created_at, line.id));
        let object = match kind {
            Kind::Organizations => "Organization",
            Kind::Users => "User",
            Kind::Provisioners => "Provisioner",
            Kind::Clusters => "Cluster",
        };
        lines.into_iter().map(|line| Remaining { object, name: line.name, id: line.id }).collect()
    }

    pub(super) fn remaining_in_organization(&self, id: OrganizationId, limit: usize) -> Vec<Remaining> {
        let kinds = [Kind::Users, Kind::Provisioners, Kind::Clusters];
        let mut all: Vec<_> =
            kinds.into_iter().flat_map(|kind| self.remaining(kind, |line| line.organization == id)).collect();
        all.truncate(limit);
        all
    }

    pub(super) fn remaining_of_user(&self, id: UserId, limit: usize) -> Vec<Remaining> {
        let kinds = [Kind::Provisioners, Kind::Clusters];
        let mut all: Vec<_> =
            kinds.into_iter().flat_map(|kind| self.remaining(kind, |line| line.owner == Some(id))).collect();
        all.truncate(limit);
        all
    }

    pub(super) fn remaining_of_provisioner(&self, id: ProvisionerId, limit: usize) -> Vec<Remaining> {
        let mine =
            |line: &Line| self.clusters.iter().any(|c| c.value.id.uuid() == line.id && c.value.provisioner == id);
        let mut all = self.remaining(Kind::Clusters, mine);
        all.extend(self.work.remaining_orphans(id));
        all.truncate(limit);
        all
    }

    fn clusters_in_order(&self) -> Vec<&Cluster> {
        let mut clusters: Vec<_> = self.clusters.iter().map(|c| &c.value).collect();
        clusters.sort_by_key(|cluster| (cluster.created_at, cluster.id));
        clusters
    }

    pub(super) fn observation_times(&self) -> Vec<(ClusterId, Option<DateTime<Utc>>)> {
        self.clusters_in_order()
            .into_iter()
            .map(|cluster| (cluster.id, self.observed_at.get(&cluster.id).copied()))
            .collect()
    }

    pub(super) fn busy_clusters(&self) -> Vec<ClusterId> {
        let busy = |cluster: &&Cluster| cluster.lifecycle.is_transient();
        self.clusters_in_order().into_iter().filter(busy).map(|cluster| cluster.id).collect()
    }

    pub(super) fn provisioner_ids(&self) -> Vec<ProvisionerId> {
        let mut provisioners: Vec<_> = self.provisioners.iter().map(|p| &p.value).collect();
        provisioners.sort_by_key(|provisioner| (provisioner.created_at, provisioner.id));
        provisioners.into_iter().map(|provisioner| provisioner.id).collect()
    }
}

fn in_scope(organization: OrganizationId, scope: Scope) -> bool {
    match scope {
        Scope::All => true,
        Scope::Organization(id) => organization == id,
    }
}

fn visible(owner: Option<UserId>, visibility: Visibility) -> bool {
    match visibility {
        Visibility::All => true,
        Visibility::OwnedBy(user) => owner == Some(user),
        Visibility::Nothing => false,
    }
}

fn passes(line: &Line, filter: &Filter) -> bool {
    let contains = |text: &str, wanted: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| text.to_lowercase().contains(&wanted.to_lowercase()))
    };
    contains(&line.name, &filter.name)
        && contains(&line.provisioner, &filter.provisioner)
        && contains(&line.engine, &filter.engine)
        && filter.phases.as_ref().is_none_or(|phases| phases.contains(&line.state))
}

pub(super) fn of_organization(entry: &Stored<Organization>) -> String {
    format!("{}@{:?}", entry.record.id, entry.revision)
}

pub(super) fn of_user(view: &UserView) -> String {
    let organization = view.organization.as_deref().map(of_organization);
    format!("{}@{:?} in {organization:?}", view.user.record.id, view.user.revision)
}

pub(super) fn of_provisioner(view: &ProvisionerView) -> String {
    let organization = view.organization.as_deref().map(of_organization);
    let owner = view.owner.as_ref().map(of_user);
    let Stored { record: Provisioner { id, check, state_changed_at, .. }, revision, .. } = &*view.provisioner;
    format!("{id}@{revision:?} in {organization:?} of {owner:?} {check:?} since {state_changed_at}")
}

pub(super) fn of_cluster(view: &ClusterView) -> String {
    let organization = view.organization.as_deref().map(of_organization);
    let owner = view.owner.as_ref().map(of_user);
    let provisioner = view.provisioner.as_ref().map(of_provisioner);
    let (observed, observed_at) = (view.observed.as_deref(), view.observed_at.as_ref());
    let (id, revision) = (view.cluster.record.id, view.cluster.revision);
    format!("{id}@{revision:?} in {organization:?} of {owner:?} by {provisioner:?} {observed:?} {observed_at:?}")
}
