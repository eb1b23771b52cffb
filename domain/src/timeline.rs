//! A cluster's story: what was asked, what was done, what became of it, and what the provider said. Kept for a while after the
//! cluster is gone.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{ClusterId, OperationId, OrganizationId, UserId},
    name::ResourceName,
    reason::Reason,
};

/// Most entries that are kept of one cluster.
pub const KEPT: usize = 200;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Somebody asked for something: an operation, its end, another try.
    Asked,
    /// A step of an operation began, ended, or has to be tried again.
    Step,
    /// An operation ended.
    Ended,
    /// The cluster's state changed.
    State,
}

impl EventKind {
    /// The word programs use.
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

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEvent {
    /// The cluster.
    pub cluster: ClusterId,
    /// When.
    pub at: DateTime<Utc>,
    /// What kind of thing.
    pub kind: EventKind,
    /// What, in plain words.
    pub message: String,
    /// The operation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationId>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// A cluster that is not there any more; its operations and its timeline are kept for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The cluster.
    pub cluster: ClusterId,
    /// What it was called.
    pub name: ResourceName,
    /// The tenant it lived in.
    pub organization: OrganizationId,
    /// Who owned it.
    pub owner: UserId,
    /// When it left.
    pub at: DateTime<Utc>,
}
