//! What the catalog tells of changes: to the reconciler, which is woken by them, and to people who watch.

use super::{Change, Record, RecordId, Tables};
use crate::{
    id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId},
    provisioner::Checked,
    revision::Revision,
};

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A cluster, or what is seen of it.
    Cluster(ClusterId),
    /// An operation on a cluster.
    Operation(OperationId, ClusterId),
    /// A provisioner, or how it stands.
    Provisioner(ProvisionerId),
    /// A user. Only for ourselves: it may end what the user watches.
    User(UserId),
}

/// One change that was committed, with what decides who may hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeEvent {
    /// The revision it was committed at: the same on every replica. Several changes of one transaction have the same.
    pub revision: Revision,
    /// What has changed.
    pub subject: Subject,
    /// Whether it is not there any more.
    pub gone: bool,
    /// The tenant it lives, or lived, in.
    pub organization: OrganizationId,
    /// Who owns, or owned, it.
    pub owner: UserId,
}

/// Hears of changes. Called on the task that feeds the catalog, after the catalog shows them: it must not wait.
pub trait Subscriber: Send + Sync {
    /// These changes were committed, in this order.
    fn changed(&self, notices: &[ChangeEvent]);
    /// Changes may have been missed: everything was read anew.
    fn replaced(&self);
}

impl Tables {
    /// What a change is about, for records that somebody wants to hear of. What is deleted is told by [`Tables::farewell`].
    pub(super) fn subject(&self, change: &Change) -> Option<Subject> {
        let Change::Put(record) = change else { return None };
        Some(match record {
            Record::Cluster(cluster) => Subject::Cluster(cluster.value.id),
            Record::ObservedStatus(observed) => Subject::Cluster(observed.cluster),
            Record::Provisioner(provisioner) => Subject::Provisioner(provisioner.value.id),
            // That it was checked again and is as it was moves its age alone, as observing a cluster does.
            Record::ProvisionerCheck(checked) if self.is_news(checked) => Subject::Provisioner(checked.provisioner),
            Record::Operation(operation) => Subject::Operation(operation.value.id, operation.value.cluster),
            Record::User(user) => Subject::User(user.value.id),
            Record::ObservedAt(_)
            | Record::ProvisionerCheck(_)
            | Record::Organization(_)
            | Record::Orphan(_)
            | Record::Tombstone(_) => return None,
        })
    }

    /// Whether a provisioner will be shown otherwise, apart from the age.
    fn is_news(&self, checked: &Checked) -> bool {
        let Some(row) = self.provisioners.row(checked.provisioner.uuid()) else { return false };
        let (shown, own) = (&row.entry.record, &row.extra.own);
        let (then, changed_at) = if checked.check.at > own.at {
            (&checked.check, checked.state_changed_at)
        } else {
            (own, row.extra.own_changed_at)
        };
        (shown.check.phase, &shown.check.reason, shown.state_changed_at) != (then.phase, &then.reason, changed_at)
    }

    /// The notice of something that is shown.
    pub(super) fn notice(&self, subject: Subject, revision: Revision) -> Option<ChangeEvent> {
        let (organization, owner) = match subject {
            Subject::Cluster(id) => {
                let cluster = &self.clusters.get(id.uuid())?.record;
                (cluster.organization, cluster.owner)
            }
            Subject::Operation(_, cluster) => self.tenant_of(cluster)?,
            Subject::Provisioner(id) => {
                let provisioner = &self.provisioners.get(id.uuid())?.record;
                (provisioner.organization, provisioner.owner)
            }
            Subject::User(id) => (self.users.get(id.uuid())?.record.organization, id),
        };
        Some(ChangeEvent { revision, subject, gone: false, organization, owner })
    }

    /// The notice of something that is about to go.
    pub(super) fn farewell(&self, change: &Change, revision: Revision) -> Option<ChangeEvent> {
        let Change::Deleted(id) = change else { return None };
        let subject = match id {
            RecordId::Cluster(id) => Subject::Cluster(*id),
            RecordId::Provisioner(id) => Subject::Provisioner(*id),
            RecordId::User(id) => Subject::User(*id),
            RecordId::Organization(_)
            | RecordId::ObservedStatus(_)
            | RecordId::Operation(_)
            | RecordId::Orphan(_)
            | RecordId::Tombstone(_) => return None,
        };
        Some(ChangeEvent { gone: true, ..self.notice(subject, revision)? })
    }
}
