//! A cluster's state machine: the stored [`Lifecycle`], and the displayed [`Phase`].

use crate::reason::Reason;

/// A cluster's lifecycle state, as stored. "Unknown" is not one: it is the result of a failed probe, not a state of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifecycle {
    /// Being deployed, or attached and not yet probed.
    Deploying,
    /// Deployed. Its current condition is in the observed status.
    Ready,
    /// Being updated.
    Updating,
    /// Being destroyed.
    Destroying,
    /// Deploying, updating or destroying failed, or the cluster itself. Somebody has to act.
    Failed {
        /// Why, and who is responsible.
        reason: Reason,
    },
}

/// A cluster's state as clients read it (`phase` in the API). The captions shown to people can be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Being deployed, or not yet probed.
    Deploying,
    /// It answers and grants access.
    Ready,
    /// Being updated.
    Updating,
    /// Being destroyed.
    Destroying,
    /// It failed, or answers and refuses access.
    Failed,
    /// It does not answer; the last known status is kept with its age.
    Unknown,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 6] =
        [Self::Deploying, Self::Ready, Self::Updating, Self::Destroying, Self::Failed, Self::Unknown];

    /// The value in the API.
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

/// An event in the life of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterEvent {
    /// The operation succeeded, or the provider reports that the cluster runs nevertheless.
    Finished,
    /// Deploying it again was requested.
    DeployRequested,
    /// A change was requested.
    ChangeRequested,
    /// Destroying it was requested.
    DeleteRequested,
    /// The operation was cancelled before it had an effect: the cluster is unchanged.
    Released,
    /// The operation was cancelled halfway; the reason says what exists.
    Stopped(Reason),
    /// The deadline of the operation has passed; the reason says what it was waiting for.
    TimedOut(Reason),
    /// The operation failed, or the cluster failed or disappeared without one; the reason says why.
    EngineFailed(Reason),
}

/// An event that is not allowed in the cluster's state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} is not allowed for a cluster in the state {from:?}")]
pub struct IllegalTransition {
    /// The state of the cluster.
    pub from: Box<Lifecycle>,
    /// The event.
    pub event: Box<ClusterEvent>,
}

impl Lifecycle {
    /// Whether an operation is running, which has to end.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Deploying | Self::Updating | Self::Destroying)
    }

    /// The state after `event`.
    ///
    /// # Errors
    /// The event is not allowed in this state.
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
