//! A cluster's state machine: the stored [`Lifecycle`] and, with what was last seen, the [`Phase`] that is shown.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Cluster, Look, Sighting};

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
        /// Why, in plain words.
        reason: String,
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
    /// A look found that it answers.
    Answered,
    /// A change was asked for.
    ChangeRequested,
    /// Taking it down was asked for.
    DeleteRequested,
    /// The deadline of what was under way has passed; what was being waited for.
    TimedOut(String),
    /// What was under way failed; why.
    EngineFailed(String),
}

/// An event that cannot happen to a cluster in that state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen to a cluster that is {from:?}")]
pub struct IllegalTransition {
    /// The state it is in.
    pub from: Lifecycle,
    /// What was said to happen.
    pub event: ClusterEvent,
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
        use ClusterEvent::{Answered, ChangeRequested, DeleteRequested, EngineFailed, TimedOut};
        match (self, event) {
            (Self::Deploying | Self::Updating | Self::Ready | Self::Failed { .. }, Answered) => Ok(Self::Ready),
            (Self::Ready, ChangeRequested) => Ok(Self::Updating),
            (_, DeleteRequested) => Ok(Self::Destroying),
            (Self::Deploying | Self::Updating | Self::Destroying, TimedOut(reason)) => Ok(Self::Failed { reason }),
            (Self::Deploying | Self::Ready | Self::Updating | Self::Destroying, EngineFailed(reason)) => {
                Ok(Self::Failed { reason })
            }
            (from, event) => Err(IllegalTransition { from, event }),
        }
    }
}

/// A cluster's state as it is shown: phase, reason, times. A pure function of what is stored and the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The phase.
    pub phase: Phase,
    /// Why, in plain words.
    pub reason: String,
    /// When the phase last changed.
    pub changed_at: DateTime<Utc>,
}

impl Standing {
    /// How `cluster` stands given what was last seen of it.
    #[must_use]
    pub fn of(cluster: &Cluster, sighting: Option<&Sighting>) -> Self {
        let own = |phase, reason: &str| Self { phase, reason: reason.to_owned(), changed_at: cluster.changed_at };
        match &cluster.lifecycle {
            Lifecycle::Deploying => own(Phase::Deploying, "the cluster is being made"),
            // What is attached is ready from the start, but nobody has seen it answer yet.
            Lifecycle::Ready => match sighting {
                Some(sighting) => Self::seen(cluster, sighting),
                None => own(Phase::Deploying, "waiting for the first look at the cluster"),
            },
            Lifecycle::Updating => own(Phase::Updating, "the cluster is being changed"),
            Lifecycle::Destroying => own(Phase::Destroying, "the cluster is being taken down"),
            Lifecycle::Failed { reason } => own(Phase::Failed, reason),
        }
    }

    fn seen(cluster: &Cluster, sighting: &Sighting) -> Self {
        let reason = match &sighting.look {
            Look::Answered { version } => format!("the cluster answers, Kubernetes {version}"),
            Look::Refused { reason } | Look::Silent { reason } => reason.clone(),
        };
        // While something was being done to the cluster, that was its phase, whatever looks found.
        let changed_at = sighting.phase_changed_at.max(cluster.changed_at);
        Self { phase: sighting.look.phase(), reason, changed_at }
    }
}

/// Whether what is under way for `cluster` has passed its deadline, and what to say of it.
#[must_use]
pub fn overdue(cluster: &Cluster, now: DateTime<Utc>, timeout: TimeDelta) -> Option<ClusterEvent> {
    let waiting_for = match cluster.lifecycle {
        Lifecycle::Deploying => "the cluster to be made",
        Lifecycle::Updating => "the change to be made",
        Lifecycle::Destroying => "the cluster to be taken down",
        Lifecycle::Ready | Lifecycle::Failed { .. } => return None,
    };
    (now - cluster.changed_at > timeout)
        .then(|| ClusterEvent::TimedOut(format!("waited {} s for {waiting_for}", timeout.num_seconds())))
}
