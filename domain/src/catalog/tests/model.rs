//! What the catalog promises, written down in the plainest way: vectors, looked through from the start for every question.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::super::{
    Change, ClusterCounts, ClusterView, Entry, Filter, Listing, Page, ProvisionerCounts, ProvisionerView, Scope, Sort,
    Tally, UserCounts, UserView, Visibility,
};
use crate::{
    cluster::{Cluster, Phase, Sighting, Standing},
    id::{ClusterId, OrganizationId, ProvisionerId, UserId},
    organization::{Organization, Remaining},
    port::store::Versioned,
    provisioner::{Provisioner, ProvisionerPhase},
    user::{Role, User},
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
    sightings: HashMap<ClusterId, Sighting>,
    ages: HashMap<ClusterId, DateTime<Utc>>,
}

/// What a list needs to know of a record.
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
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Organization(organization) => put(&mut self.organizations, organization, |o| o.id.uuid()),
            Change::OrganizationGone(id) => self.organizations.retain(|o| o.value.id != *id),
            Change::User(user) => put(&mut self.users, user, |u| u.id.uuid()),
            Change::UserGone(id) => self.users.retain(|u| u.value.id != *id),
            Change::Provisioner(provisioner) => put(&mut self.provisioners, provisioner, |p| p.id.uuid()),
            Change::ProvisionerGone(id) => self.provisioners.retain(|p| p.value.id != *id),
            Change::Cluster(cluster) => put(&mut self.clusters, cluster, |c| c.id.uuid()),
            Change::ClusterGone(id) => {
                self.clusters.retain(|c| c.value.id != *id);
                self.sightings.remove(id);
                self.ages.remove(id);
            }
            Change::Sighting(sighting) => {
                if self.cluster(sighting.cluster).is_some() {
                    self.sightings.insert(sighting.cluster, sighting.clone());
                    self.looked(sighting.cluster, sighting.at);
                }
            }
            Change::SightingGone(id) => {
                self.sightings.remove(id);
                self.ages.remove(id);
            }
            Change::Looked(ages) => ages.iter().for_each(|(id, at)| self.looked(*id, *at)),
        }
    }

    fn looked(&mut self, id: ClusterId, at: DateTime<Utc>) {
        if self.cluster(id).is_some() {
            let age = self.ages.entry(id).or_insert(at);
            *age = at.max(*age);
        }
    }

    /// The changes that lead to this state from nothing, in no particular order.
    pub(super) fn everything(&self) -> Vec<Change> {
        let organizations = self.organizations.iter().cloned().map(Change::Organization);
        let users = self.users.iter().cloned().map(Change::User);
        let provisioners = self.provisioners.iter().cloned().map(Change::Provisioner);
        let clusters = self.clusters.iter().cloned().map(Change::Cluster);
        let sightings = self.sightings.values().cloned().map(Change::Sighting);
        let ages = self.ages.iter().map(|(id, at)| Change::Looked(vec![(*id, *at)]));
        organizations.chain(users).chain(provisioners).chain(clusters).chain(sightings).chain(ages).collect()
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
                    state: match value.check.phase {
                        ProvisionerPhase::Failed => "1",
                        ProvisionerPhase::NotReachable => "2",
                        ProvisionerPhase::Ready => "3",
                    },
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
            state: self.standing(cluster.id).unwrap().phase.as_str(),
            created_at: cluster.created_at,
            id: cluster.id.uuid(),
            shown: self.cluster(cluster.id).unwrap(),
        }
    }

    pub(super) fn answer(&self, kind: Kind, listing: &Listing) -> Page<String> {
        let mut lines: Vec<Line> = self
            .lines(kind)
            .into_iter()
            .filter(|line| in_scope(line.organization, listing.scope))
            .filter(|line| visible(line.owner, listing.visibility))
            .filter(|line| passes(line, &listing.filter))
            .collect();
        lines.sort_by_key(|line| {
            let text = match listing.sort {
                Sort::Created => "",
                Sort::Name => &line.name,
                Sort::Provisioner => &line.provisioner,
                Sort::Engine => &line.engine,
                Sort::State => line.state,
            };
            (text.to_lowercase(), line.created_at, line.id)
        });
        if listing.descending {
            lines.reverse();
        }
        let total = lines.len();
        let part = lines.into_iter().skip(listing.window.offset).take(listing.window.limit);
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
        Some(format!("{id}@{revision:?} in {organization:?} of {owner:?}"))
    }

    pub(super) fn cluster(&self, id: ClusterId) -> Option<String> {
        let Versioned { value, revision } = self.clusters.iter().find(|c| c.value.id == id)?;
        let (organization, owner) = (self.organization(value.organization), self.user(value.owner));
        let provisioner = self.provisioner(value.provisioner);
        let (sighting, age) = (self.sightings.get(&id), self.ages.get(&id));
        Some(format!("{id}@{revision:?} in {organization:?} of {owner:?} by {provisioner:?} {sighting:?} {age:?}"))
    }

    pub(super) fn standing(&self, id: ClusterId) -> Option<Standing> {
        let cluster = self.clusters.iter().find(|c| c.value.id == id)?;
        Some(Standing::of(&cluster.value, self.sightings.get(&id)))
    }

    /// The records of `kind` that `wanted` picks, as things in the way, in the order of creation.
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
        all.truncate(limit);
        all
    }

    pub(super) fn due_for_a_look(&self, before: DateTime<Utc>) -> Vec<(Option<DateTime<Utc>>, ClusterId)> {
        let with_age = |c: &Versioned<Cluster>| (self.ages.get(&c.value.id).copied(), c.value.id);
        let mut due: Vec<_> = self.clusters.iter().filter(|c| c.value.has_kubeconfig).map(with_age).collect();
        due.retain(|(age, _)| age.is_none_or(|age| age < before));
        due.sort();
        due
    }

    pub(super) fn transient_since(&self, before: DateTime<Utc>) -> Vec<ClusterId> {
        let mut stuck: Vec<_> = self.clusters.iter().map(|c| &c.value).collect();
        stuck.retain(|cluster| cluster.lifecycle.is_transient() && cluster.changed_at < before);
        stuck.sort_by_key(|cluster| (cluster.created_at, cluster.id));
        stuck.into_iter().map(|cluster| cluster.id).collect()
    }

    pub(super) fn user_counts(&self) -> UserCounts {
        let members = |id| self.users.iter().filter(|u| u.value.organization == id).count();
        let with_role = |role| self.users.iter().filter(|u| u.value.role == role).count();
        UserCounts {
            by_namespace: self.organizations.iter().map(|o| (o.value.namespace.clone(), members(o.value.id))).collect(),
            by_role: Role::ALL.into_iter().map(|role| (role, with_role(role))).collect(),
            active: self.users.iter().filter(|u| u.value.active).count(),
        }
    }

    pub(super) fn cluster_counts(&self) -> ClusterCounts {
        let mut counts = ClusterCounts::new();
        for Versioned { value, .. } in &self.clusters {
            let phase = self.standing(value.id).unwrap().phase;
            *counts.entry((phase, self.cluster_line(value).engine.to_lowercase())).or_default() += 1;
        }
        counts
    }

    pub(super) fn provisioner_counts(&self) -> ProvisionerCounts {
        let mut counts = ProvisionerCounts::new();
        for Versioned { value, .. } in &self.provisioners {
            *counts.entry((value.check.phase, value.engine.to_string())).or_default() += 1;
        }
        counts
    }

    pub(super) fn cluster_tally(&self, scope: Scope, visibility: Visibility) -> Tally {
        self.tally(Kind::Clusters, scope, visibility, Phase::Ready.as_str())
    }

    pub(super) fn provisioner_tally(&self, scope: Scope, visibility: Visibility) -> Tally {
        self.tally(Kind::Provisioners, scope, visibility, "3")
    }

    fn tally(&self, kind: Kind, scope: Scope, visibility: Visibility, well: &str) -> Tally {
        let mut lines = self.lines(kind);
        lines.retain(|line| in_scope(line.organization, scope) && visible(line.owner, visibility));
        Tally { total: lines.len(), healthy: lines.iter().filter(|line| line.state == well).count() }
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
}

pub(super) fn of_organization(entry: &Entry<Organization>) -> String {
    format!("{}@{:?}", entry.record.id, entry.revision)
}

pub(super) fn of_user(view: &UserView) -> String {
    let organization = view.organization.as_deref().map(of_organization);
    format!("{}@{:?} in {organization:?}", view.user.record.id, view.user.revision)
}

pub(super) fn of_provisioner(view: &ProvisionerView) -> String {
    let organization = view.organization.as_deref().map(of_organization);
    let owner = view.owner.as_ref().map(of_user);
    format!("{}@{:?} in {organization:?} of {owner:?}", view.provisioner.record.id, view.provisioner.revision)
}

pub(super) fn of_cluster(view: &ClusterView) -> String {
    let organization = view.organization.as_deref().map(of_organization);
    let owner = view.owner.as_ref().map(of_user);
    let provisioner = view.provisioner.as_ref().map(of_provisioner);
    let (sighting, age) = (view.sighting.as_deref(), view.looked_at.as_ref());
    let (id, revision) = (view.cluster.record.id, view.cluster.revision);
    format!("{id}@{revision:?} in {organization:?} of {owner:?} by {provisioner:?} {sighting:?} {age:?}")
}
