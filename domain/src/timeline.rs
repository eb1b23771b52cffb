//! The timeline of a cluster: requests, steps, results and provider messages. Kept for a while after the cluster is deleted.

use chrono::{DateTime, Utc};

use crate::{
    id::{ClusterId, OperationId, OrganizationId, UserId},
    name::ResourceName,
    reason::Reason,
};

/// How many events of one cluster are kept.
pub const KEPT: usize = 200;

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A request of a user: an operation, a cancellation, a retry.
    Asked,
    /// A step of an operation started, ended, or is retried.
    Step,
    /// An operation ended.
    Ended,
    /// The cluster's state changed.
    State,
}

impl EventKind {
    /// The value in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Step => "step",
            Self::Ended => "ended",
            Self::State => "state",
        }
    }
}

/// One event in the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEvent {
    /// The cluster.
    pub cluster: ClusterId,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Its kind.
    pub kind: EventKind,
    /// What happened, as text for people.
    pub message: String,
    /// The operation it belongs to.
    pub operation: Option<OperationId>,
    /// Who made the request.
    pub by: Option<UserId>,
    /// Why it failed, if it did.
    pub reason: Option<Reason>,
}

/// A deleted cluster, whose operations and timeline are kept for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its name.
    pub name: ResourceName,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its owner.
    pub owner: UserId,
    /// When it was deleted.
    pub at: DateTime<Utc>,
}
