//! What was last seen of a cluster.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{cluster::Phase, id::ClusterId};

/// The outcome of one look at a cluster's API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Look {
    /// It answered, and accepted us.
    Answered {
        /// What it calls its version: `v1.37.2`.
        version: String,
    },
    /// Something answered and refused us: credentials, certificate, or it is not Kubernetes.
    Refused {
        /// Why, in plain words.
        reason: String,
    },
    /// Nothing answered: connection refused, time-out, name not found.
    Silent {
        /// Why, in plain words.
        reason: String,
    },
}

impl Look {
    /// The phase this makes of a cluster that nothing is being done to.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Answered { .. } => Phase::Ready,
            Self::Refused { .. } => Phase::Failed,
            Self::Silent { .. } => Phase::Unknown,
        }
    }
}

/// What is known of a cluster from looking at it. Replaced only when something other than its age changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The cluster.
    pub cluster: ClusterId,
    /// What the last look found.
    pub look: Look,
    /// The version it told when it last answered, kept while it is silent.
    pub version: Option<String>,
    /// The phase this made, and when it last changed.
    pub phase: Phase,
    /// When `phase` last became what it is.
    pub phase_changed_at: DateTime<Utc>,
    /// When the look was made that found this first. Later looks that found the same only move the age.
    pub at: DateTime<Utc>,
}
