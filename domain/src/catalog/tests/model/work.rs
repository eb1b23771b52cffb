//! Operations, orphans, tombstones and events, in the simplest form.

use chrono::{DateTime, Utc};

use super::{
    super::super::{Change, ChangeEvent, OperationView, OrphanView, Record, RecordId, Scope, Subject},
    Model, of_organization, of_provisioner,
};
use crate::{
    id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId},
    operation::Operation,
    organization::Remaining,
    orphan::{Orphan, OrphanState},
    revision::{Revision, Versioned},
    timeline::Tombstone,
};

/// Who may receive an event: the organization and the owner.
type Tenant = (OrganizationId, UserId);

/// An event that subscribers have not received yet.
pub(super) struct PendingEvent {
    revision: Revision,
    subject: Subject,
    deleted: bool,
    tenant: Option<Tenant>,
}

#[derive(Default)]
pub(in super::super) struct Work {
    pub(in super::super) operations: Vec<Versioned<Operation>>,
    pub(in super::super) orphans: Vec<Versioned<Orphan>>,
    tombstones: Vec<Tombstone>,
}

impl Work {
    pub(super) fn put_tombstone(&mut self, tombstone: &Tombstone) {
        self.delete_tombstone(tombstone.cluster);
        self.tombstones.push(tombstone.clone());
    }

    pub(super) fn delete_tombstone(&mut self, id: ClusterId) {
        self.tombstones.retain(|tombstone| tombstone.cluster != id);
    }

    pub(super) fn everything(&self) -> impl Iterator<Item = Record> {
        let operations = self.operations.iter().cloned().map(Record::Operation);
        let orphans = self.orphans.iter().cloned().map(Record::Orphan);
        operations.chain(orphans).chain(self.tombstones.iter().cloned().map(Record::Tombstone))
    }

    pub(in super::super) fn tombstone(&self, id: ClusterId) -> Option<&Tombstone> {
        self.tombstones.iter().find(|tombstone| tombstone.cluster == id)
    }

    pub(in super::super) fn tombstones_before(&self, before: DateTime<Utc>) -> Vec<ClusterId> {
        let older = self.tombstones.iter().filter(|tombstone| tombstone.at < before);
        let mut clusters: Vec<_> = older.map(|tombstone| tombstone.cluster).collect();
        clusters.sort();
        clusters
    }

    /// The orphans that are not ignored, in the order of their ids.
    pub(super) fn remaining_orphans(&self, provisioner: ProvisionerId) -> Vec<Remaining> {
        let mut orphans: Vec<_> = self.orphans.iter().map(|o| &o.value).collect();
        orphans.retain(|o| o.provisioner == provisioner && !matches!(o.state, OrphanState::Ignored { .. }));
        orphans.sort_by_key(|orphan| orphan.cluster);
        let remaining = |orphan: &Orphan| Remaining {
            object: "Orphan",
            name: orphan.name.clone().unwrap_or(orphan.cluster.to_string()),
            id: orphan.cluster.uuid(),
        };
        orphans.into_iter().map(remaining).collect()
    }
}

impl Model {
    /// The tenant and the name of a cluster, or else of its tombstone.
    fn tenant_and_name(&self, id: ClusterId) -> Option<(Tenant, String)> {
        let existing = self.clusters.iter().map(|c| &c.value).find(|cluster| cluster.id == id);
        let existing = existing.map(|cluster| ((cluster.organization, cluster.owner), cluster.name.to_string()));
        let deleted = || self.work.tombstone(id).map(|it| ((it.organization, it.owner), it.name.to_string()));
        existing.or_else(deleted)
    }

    fn operation_view(&self, Versioned { value, revision }: &Versioned<Operation>) -> Option<String> {
        let (tenant, name) = self.tenant_and_name(value.cluster)?;
        Some(format!("{} {:?}@{revision:?} on {name} of {tenant:?}", value.id, value.status))
    }

    pub(in super::super) fn operation(&self, id: OperationId) -> Option<String> {
        self.operation_view(self.work.operations.iter().find(|o| o.value.id == id)?)
    }

    pub(in super::super) fn operations_of(&self, id: ClusterId) -> Vec<String> {
        let mut operations: Vec<_> = self.work.operations.iter().filter(|o| o.value.cluster == id).collect();
        operations.sort_by_key(|o| (o.value.requested_at, o.value.id));
        operations.into_iter().rev().filter_map(|operation| self.operation_view(operation)).collect()
    }

    fn orphan_view(&self, Versioned { value, revision }: &Versioned<Orphan>) -> String {
        let organization = self.organization(value.organization);
        let provisioner = self.provisioner(value.provisioner);
        format!("{} {:?}@{revision:?} in {organization:?} by {provisioner:?}", value.cluster, value.state)
    }

    pub(in super::super) fn orphan(&self, id: ClusterId) -> Option<String> {
        self.work.orphans.iter().find(|o| o.value.cluster == id).map(|orphan| self.orphan_view(orphan))
    }

    pub(in super::super) fn orphans(&self, scope: Scope) -> Vec<String> {
        let mut orphans: Vec<_> = self.work.orphans.iter().collect();
        orphans.retain(|o| super::in_scope(o.value.organization, scope));
        orphans.sort_by_key(|o| (o.value.listed_at, o.value.cluster));
        orphans.into_iter().map(|orphan| self.orphan_view(orphan)).collect()
    }

    fn tenant(&self, subject: Subject) -> Option<Tenant> {
        match subject {
            Subject::Cluster(id) => {
                self.clusters.iter().find(|c| c.value.id == id).map(|c| (c.value.organization, c.value.owner))
            }
            Subject::Operation(_, cluster) => self.tenant_and_name(cluster).map(|(tenant, _)| tenant),
            Subject::Provisioner(id) => {
                self.provisioners.iter().find(|p| p.value.id == id).map(|p| (p.value.organization, p.value.owner))
            }
            Subject::User(id) => self.users.iter().find(|u| u.value.id == id).map(|u| (u.value.organization, id)),
        }
    }

    /// The tenant of a record that is about to be deleted.
    pub(super) fn tenant_before(&self, change: &Change) -> Option<Tenant> {
        let (subject, deleted) = subject(change)?;
        if deleted { self.tenant(subject) } else { None }
    }

    pub(super) fn add_event(&mut self, revision: Revision, change: &Change, before: Option<Tenant>) {
        let Some((subject, deleted)) = subject(change) else { return };
        let tenant = if deleted { before } else { self.tenant(subject) };
        self.pending.push(PendingEvent { revision, subject, deleted, tenant });
    }

    /// The events since the last call: one for each change, in order. The cluster of an operation may be deleted before the operation is
    /// known. A change of an object that never existed is not reported.
    pub(in super::super) fn take_events(&mut self) -> Vec<ChangeEvent> {
        let pending = std::mem::take(&mut self.pending);
        let event = |PendingEvent { revision, subject, deleted, tenant }: PendingEvent| {
            let late = || self.tenant(subject).filter(|_| !deleted);
            let (organization, owner) = tenant.or_else(late)?;
            Some(ChangeEvent { revision, subject, deleted, organization, owner })
        };
        pending.into_iter().filter_map(event).collect()
    }
}

/// The subject of a change, and whether it is deleted.
fn subject(change: &Change) -> Option<(Subject, bool)> {
    match change {
        Change::Put(record) => Some((subject_put(record)?, false)),
        Change::Deleted(id) => Some((subject_deleted(*id)?, true)),
    }
}

fn subject_put(record: &Record) -> Option<Subject> {
    Some(match record {
        Record::Cluster(cluster) => Subject::Cluster(cluster.value.id),
        Record::ObservedStatus(observed) => Subject::Cluster(observed.cluster),
        Record::Operation(operation) => Subject::Operation(operation.value.id, operation.value.cluster),
        Record::Provisioner(provisioner) => Subject::Provisioner(provisioner.value.id),
        Record::ProvisionerCheck(checked) => Subject::Provisioner(checked.provisioner),
        Record::User(user) => Subject::User(user.value.id),
        Record::Organization(_) | Record::ObservedAt(_) | Record::Orphan(_) | Record::Tombstone(_) => return None,
    })
}

const fn subject_deleted(id: RecordId) -> Option<Subject> {
    Some(match id {
        RecordId::Cluster(id) => Subject::Cluster(id),
        RecordId::Provisioner(id) => Subject::Provisioner(id),
        RecordId::User(id) => Subject::User(id),
        RecordId::Organization(_)
        | RecordId::ObservedStatus(_)
        | RecordId::Operation(_)
        | RecordId::Orphan(_)
        | RecordId::Tombstone(_) => return None,
    })
}

pub(in super::super) fn of_operation(view: &OperationView) -> String {
    let (Operation { id, status, .. }, revision) = (&view.operation.record, view.operation.revision);
    let tenant: Tenant = (view.organization, view.owner);
    format!("{id} {status:?}@{revision:?} on {} of {tenant:?}", view.cluster_name)
}

pub(in super::super) fn of_orphan(view: &OrphanView) -> String {
    let (Orphan { cluster, state, .. }, revision) = (&view.orphan.record, view.orphan.revision);
    let organization = view.organization.as_deref().map(of_organization);
    let provisioner = view.provisioner.as_ref().map(of_provisioner);
    format!("{cluster} {state:?}@{revision:?} in {organization:?} by {provisioner:?}")
}
