//! Clusters as they are shown. A page nests twenty owners, provisioners and organizations; putting their texts together for every request
//! would cost more than everything else about it. So a cluster's text is kept beside it, with what it was made of: it is shown again if,
//! and only if, all of that is still the same, to those who see all of it. For others it is put together each time.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use chrono::{DateTime, Utc};

use super::{
    Change, ClusterView, Record, RecordId, Stored, Tables,
    table::{Row, Seen},
    view::Lookup,
};
use crate::{
    cluster::Cluster, id::OrganizationId, observation::ObservedStatus, organization::Organization,
    port::store::Revision,
};

/// A cluster with its text.
#[derive(Debug)]
pub struct ClusterLine {
    /// The cluster.
    pub cluster: Arc<Stored<Cluster>>,
    /// The organization it lives in.
    pub organization: Option<Arc<Stored<Organization>>>,
    /// When it was last observed.
    pub observed_at: Option<DateTime<Utc>>,
    /// What was put together of it and all it nests.
    pub text: Box<[u8]>,
    /// The organization everything in the text is of, if it is one.
    home: Option<OrganizationId>,
    observed: Option<Arc<ObservedStatus>>,
    nested: Nested,
}

/// Who sees in full what clusters nest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Sees all of everything.
    Everywhere,
    /// Sees all of what is of this organization, as its policy stands at this revision.
    AtHome(OrganizationId, Revision),
    /// Sees parts.
    Nowhere,
}

impl Audience {
    /// Whether all of a text is seen whose parts are of `home`.
    fn sees(self, home: Option<OrganizationId>) -> bool {
        match self {
            Self::Everywhere => true,
            Self::AtHome(organization, _) => home == Some(organization),
            Self::Nowhere => false,
        }
    }
}

/// Counts changes of what clusters nest: owners, provisioners, organizations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Nested(u64);

impl Nested {
    /// Takes a change into account.
    pub(super) fn count(&mut self, change: &Change) {
        self.0 += match change {
            Change::Put(
                Record::Organization(_) | Record::User(_) | Record::Provisioner(_) | Record::ProvisionerCheck(_),
            )
            | Change::Deleted(RecordId::Organization(_) | RecordId::User(_) | RecordId::Provisioner(_)) => 1,
            // These are told by the cluster's row.
            Change::Put(Record::Cluster(_) | Record::ObservedStatus(_) | Record::ObservedAt(_))
            | Change::Deleted(RecordId::Cluster(_) | RecordId::ObservedStatus(_))
            // These are not shown of clusters.
            | Change::Put(Record::Operation(_) | Record::Orphan(_) | Record::Tombstone(_))
            | Change::Deleted(RecordId::Operation(_) | RecordId::Orphan(_) | RecordId::Tombstone(_)) => 0,
        }
    }
}

/// Where a row's line is kept. Those who read it do not wait for each other: everybody asks for the first page.
pub(super) type Kept = Arc<ArcSwapOption<ClusterLine>>;

/// A line, or what it is to be made of.
pub(super) enum Found {
    Line(Arc<ClusterLine>),
    View(Box<ClusterView>, Kept, Nested),
}

impl Found {
    /// The cluster and the organization it lives in.
    pub(super) fn subject(&self) -> (&Cluster, Option<&Stored<Organization>>) {
        match self {
            Self::Line(line) => (&line.cluster.record, line.organization.as_deref()),
            Self::View(view, ..) => (&view.cluster.record, view.organization.as_deref()),
        }
    }

    /// The line for `audience`; made by `render` where there is none, outside of the catalog's lock.
    pub(super) fn line(self, audience: Audience, render: impl FnOnce(&ClusterView) -> Vec<u8>) -> Arc<ClusterLine> {
        let (view, kept, nested) = match self {
            Self::Line(line) => return line,
            Self::View(view, kept, nested) => (view, kept, nested),
        };
        let home = home(&view);
        let line = Arc::new(ClusterLine {
            text: render(&view).into_boxed_slice(),
            organization: view.organization,
            observed_at: view.observed_at,
            home,
            cluster: view.cluster,
            observed: view.observed,
            nested,
        });
        if audience.sees(home) {
            kept.store(Some(line.clone()));
        }
        line
    }
}

/// The organization a cluster and everything it nests are of, if it is one. The owner may be of another: superadmins own things anywhere.
fn home(view: &ClusterView) -> Option<OrganizationId> {
    let provisioner = view.provisioner.as_ref();
    let owners = [view.owner.as_ref(), provisioner.and_then(|provisioner| provisioner.owner.as_ref())];
    let mut nested = owners.into_iter().flatten().map(|owner| owner.user.record.organization);
    let home = view.cluster.record.organization;
    let together = nested.all(|organization| organization == home)
        && provisioner.is_none_or(|provisioner| provisioner.provisioner.record.organization == home);
    together.then_some(home)
}

impl Tables {
    /// What is left of `audience` if a policy has changed since it was asked.
    pub(super) fn still(&self, audience: Audience) -> Audience {
        match audience {
            Audience::AtHome(organization, seen)
                if self.organizations.get(organization.uuid()).is_none_or(|home| home.revision != seen) =>
            {
                Audience::Nowhere
            }
            other => other,
        }
    }

    pub(super) fn line(&self, row: &Row<Cluster, Seen>, audience: Audience) -> Found {
        let kept = &row.extra.line;
        match &*kept.load() {
            Some(line) if line.is_of(row, self.nested) && audience.sees(line.home) => Found::Line(line.clone()),
            _ => Found::View(Box::new(self.cluster_view(row)), kept.clone(), self.nested),
        }
    }
}

impl ClusterLine {
    /// See [`ObservedStatus::keeps_its_schedule`].
    #[must_use]
    pub fn keeps_its_schedule(&self) -> bool {
        self.observed.as_ref().is_some_and(|observed| observed.keeps_its_schedule())
    }

    /// Whether it shows what `row` and all it nests say now.
    fn is_of(&self, row: &Row<Cluster, Seen>, nested: Nested) -> bool {
        let same_observed = match (&self.observed, &row.extra.observed) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        same_observed
            && self.nested == nested
            && Arc::ptr_eq(&self.cluster, &row.entry)
            && self.observed_at == row.extra.observed_at
    }
}
