//! What the store tells the catalog: records that were written, and ids of records that were deleted.

use chrono::{DateTime, Utc};

use crate::cluster::Cluster;
use crate::id::ClusterId;
use crate::id::OperationId;
use crate::id::OrganizationId;
use crate::id::ProvisionerId;
use crate::id::UserId;
use crate::observation::ObservedStatus;
use crate::operation::Operation;
use crate::organization::Organization;
use crate::orphan::Orphan;
use crate::provisioner::Checked;
use crate::provisioner::Provisioner;
use crate::revision::Versioned;
use crate::timeline::Tombstone;
use crate::user::User;

/// One committed change, in the order of commits.
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

/// A record of any kind the catalog holds.
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
    /// When clusters were last observed whose status has not changed. Times older than those known are ignored. They are deleted together
    /// with their clusters.
    ObservedAt(Vec<(ClusterId, DateTime<Utc>)>),
    /// An operation.
    Operation(Versioned<Operation>),
    /// An orphan.
    Orphan(Versioned<Orphan>),
    /// What is remembered for a while of a deleted cluster.
    Tombstone(Tombstone),
}

/// The id of a record that can be deleted by itself.
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
    /// An orphan, by the cluster it was or would have been.
    Orphan(ClusterId),
    /// The tombstone of that cluster.
    Tombstone(ClusterId),
}
