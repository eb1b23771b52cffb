//! A cluster's state machine: the stored [`Lifecycle`], and the [`Phase`] that is shown.

use serde::{Deserialize, Serialize};

use crate::reason::Reason;

/// Where a cluster stands in its life, as stored. "Unknown" is not among them: it is a failed look, not a state of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Lifecycle {
    /// Being made, or attached and not yet seen.
    Deploying,
    /// Made; what it does now is told by looking at it.
    Ready,
    /// Being changed.
    Updating,
    /// Being taken down.
    Destroying,
    /// Making, changing or taking down came to an end that needs somebody.
    Failed {
        /// Why, and who can do something about it.
        reason: Reason,
    },
}

/// A cluster's state as programs read it (`phase` in the API). The captions shown to people can be changed by settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Being made, or not yet seen.
    Deploying,
    /// It answers and accepts us.
    #[serde(rename = "OK")]
    Ready,
    /// Being changed.
    Updating,
    /// Being taken down.
    Destroying,
    /// It failed, or answers and refuses us.
    #[serde(rename = "Error")]
    Failed,
    /// Nothing answers; what was known is kept with its age.
    Unknown,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 6] =
        [Self::Deploying, Self::Ready, Self::Updating, Self::Destroying, Self::Failed, Self::Unknown];

    /// The word programs use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deploying => "Deploying",
            Self::Ready => "OK",
            Self::Updating => "Updating",
            Self::Destroying => "Destroying",
            Self::Failed => "Error",
            Self::Unknown => "Unknown",
        }
    }
}

/// What happens to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterEvent {
    /// What was under way is done, or the provider says that it runs all the same.
    Finished,
    /// Making it was asked for again.
    DeployRequested,
    /// A change was asked for.
    ChangeRequested,
    /// Taking it down was asked for.
    DeleteRequested,
    /// What was under way was stopped before it had an effect: the cluster is as it was.
    Released,
    /// What was under way was stopped halfway; what exists now.
    Stopped(Reason),
    /// The deadline of what was under way has passed; what was being waited for.
    TimedOut(Reason),
    /// What was under way failed, or the cluster failed or vanished on its own; why.
    EngineFailed(Reason),
}

/// An event that cannot happen to a cluster in that state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen to a cluster that is {from:?}")]
pub struct IllegalTransition {
    /// The state it is in.
    pub from: Box<Lifecycle>,
    /// What was said to happen.
    pub event: Box<ClusterEvent>,
}

impl Lifecycle {
    /// Nothing stays in such a state for ever.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Deploying | Self::Updating | Self::Destroying)
    }

    /// The state after `event`.
    ///
    /// # Errors
    /// The event cannot happen in this state.
    pub fn on(self, event: ClusterEvent) -> Result<Self, IllegalTransition> {
        use ClusterEvent::{
            ChangeRequested, DeleteRequested, DeployRequested, EngineFailed, Finished, Released, Stopped, TimedOut,
        };
        match (self, event) {
            (Self::Deploying | Self::Updating | Self::Ready | Self::Failed { .. }, Finished) => Ok(Self::Ready),
            (Self::Failed { .. }, DeployRequested) => Ok(Self::Deploying),
            (Self::Ready | Self::Failed { .. }, ChangeRequested) => Ok(Self::Updating),
            (_, DeleteRequested) => Ok(Self::Destroying),
            (Self::Updating | Self::Destroying, Released) => Ok(Self::Ready),
            (Self::Deploying | Self::Updating | Self::Destroying, Stopped(reason) | TimedOut(reason)) => {
                Ok(Self::Failed { reason })
            }
            (_, EngineFailed(reason)) => Ok(Self::Failed { reason }),
            (from, event) => Err(IllegalTransition { from: Box::new(from), event: Box::new(event) }),
        }
    }
}
