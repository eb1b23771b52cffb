//! Changes from the store to the catalog: records that were written, and ids of records that were deleted.

use chrono::{DateTime, Utc};

use super::{
    SnapshotBuilder, Tables,
    subscriber::{Subject, Tenant},
};
use crate::{
    cluster::Cluster,
    id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId},
    observation::ObservedStatus,
    operation::Operation,
    organization::Organization,
    orphan::Orphan,
    provisioner::{Checked, Provisioner},
    revision::Versioned,
    timeline::Tombstone,
    user::User,
};

/// One committed change.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every change puts a record: a box would be one more allocation for each"
)]
pub enum Change {
    /// A record was created or replaced.
    Put(Record),
    /// A record was deleted.
    Deleted(RecordId),
}

/// A record of any kind in the catalog.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// An organization.
    Organization(Versioned<Organization>),
    /// A user.
    User(Versioned<User>),
    /// A provisioner.
    Provisioner(Versioned<Provisioner>),
    /// The last check of a provisioner in the background. It is deleted together with the provisioner.
    ProvisionerCheck(Checked),
    /// A cluster.
    Cluster(Versioned<Cluster>),
    /// The observed status of a cluster.
    ObservedStatus(ObservedStatus),
    /// When clusters whose status has not changed were last observed. Times older than the known ones are ignored. They are deleted with
    /// their clusters.
    ObservedAt(Vec<(ClusterId, DateTime<Utc>)>),
    /// An operation.
    Operation(Versioned<Operation>),
    /// An orphan.
    Orphan(Versioned<Orphan>),
    /// The tombstone of a deleted cluster, kept for a while.
    Tombstone(Tombstone),
}

/// The id of a record that can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordId {
    /// An organization.
    Organization(OrganizationId),
    /// A user.
    User(UserId),
    /// A provisioner, and with it its last check.
    Provisioner(ProvisionerId),
    /// A cluster, and with it its observed status.
    Cluster(ClusterId),
    /// The observed status of a cluster.
    ObservedStatus(ClusterId),
    /// An operation.
    Operation(OperationId),
    /// An orphan, by the id of its cluster.
    Orphan(ClusterId),
    /// The tombstone of that cluster.
    Tombstone(ClusterId),
}

/// A kind of record in the catalog. Each is implemented in its own file and dispatched in [`Record::put_into`].
pub(super) trait Kind {
    /// Adds the record or replaces an earlier one. Returns the subject of the change event, if any.
    fn put(self, tables: &mut Tables) -> Option<Subject>;
    /// Adds the record to a snapshot. Records of all kinds arrive in any order.
    fn load(self, snapshot: &mut SnapshotBuilder);
}

/// A kind whose records can be deleted one by one. Dispatched in [`RecordId::delete_from`].
pub(super) trait Deletable: Kind {
    type Id;
    /// Removes the record. Returns subject and tenant of the change event, if any.
    fn delete(id: Self::Id, tables: &mut Tables) -> Option<(Subject, Tenant)>;
}

/// What records are put into: the tables or a snapshot.
pub(super) trait Target {
    fn accept(&mut self, record: impl Kind) -> Option<Subject>;
}

impl Target for Tables {
    fn accept(&mut self, record: impl Kind) -> Option<Subject> {
        record.put(self)
    }
}

impl Target for SnapshotBuilder {
    fn accept(&mut self, record: impl Kind) -> Option<Subject> {
        record.load(self);
        None
    }
}

impl Record {
    /// Puts the record into `target`, by its kind.
    pub(super) fn put_into(self, target: &mut impl Target) -> Option<Subject> {
        match self {
            Self::Organization(record) => target.accept(record),
            Self::User(record) => target.accept(record),
            Self::Provisioner(record) => target.accept(record),
            Self::ProvisionerCheck(record) => target.accept(record),
            Self::Cluster(record) => target.accept(record),
            Self::ObservedStatus(record) => target.accept(record),
            Self::ObservedAt(record) => target.accept(record),
            Self::Operation(record) => target.accept(record),
            Self::Orphan(record) => target.accept(record),
            Self::Tombstone(record) => target.accept(record),
        }
    }
}

impl RecordId {
    /// Deletes the record from `tables`, by its kind.
    pub(super) fn delete_from(self, tables: &mut Tables) -> Option<(Subject, Tenant)> {
        match self {
            Self::Organization(id) => Versioned::<Organization>::delete(id, tables),
            Self::User(id) => Versioned::<User>::delete(id, tables),
            Self::Provisioner(id) => Versioned::<Provisioner>::delete(id, tables),
            Self::Cluster(id) => Versioned::<Cluster>::delete(id, tables),
            Self::ObservedStatus(id) => ObservedStatus::delete(id, tables),
            Self::Operation(id) => Versioned::<Operation>::delete(id, tables),
            Self::Orphan(id) => Versioned::<Orphan>::delete(id, tables),
            Self::Tombstone(id) => Tombstone::delete(id, tables),
        }
    }
}
