//! What was last seen of a cluster.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    cluster::Phase,
    id::ClusterId,
    operation::NetworkPolicy,
    reason::{Reason, ReasonCode},
};

/// The outcome of one look at a cluster's API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ProbeResult {
    /// It answered, and accepted us.
    Reached {
        /// What it calls its version: `v1.37.2`.
        version: String,
    },
    /// Something answered and refused us: credentials, certificate, or it is not Kubernetes.
    Refused {
        /// Why.
        code: ReasonCode,
        /// Why, in plain words.
        reason: String,
    },
    /// Nothing answered: connection refused, time-out, name not found.
    NoAnswer {
        /// Why.
        code: ReasonCode,
        /// Why, in plain words.
        reason: String,
    },
}

impl ProbeResult {
    /// The phase this makes of a cluster that nothing is being done to.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Reached { .. } => Phase::Ready,
            Self::Refused { .. } => Phase::Failed,
            Self::NoAnswer { .. } => Phase::Unknown,
        }
    }
}

/// What its provider said of a cluster when it was last asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderStatus {
    /// How far what is under way is, in percent.
    pub progress: Option<u8>,
    /// How many nodes it has.
    pub node_count: Option<u32>,
    /// Its network policy.
    pub network_policy: Option<NetworkPolicy>,
    /// What the provider says about it, for people; may be empty.
    pub message: String,
    /// Why the provider could not be asked the last time; what it said before is kept.
    pub last_error: Option<Reason>,
    /// Why it has not accepted what it is asked for; it is asked again.
    pub last_rejection: Option<Reason>,
}

impl ProviderStatus {
    /// What is the matter with it, if anything.
    #[must_use]
    pub fn trouble(&self) -> Option<&Reason> {
        self.last_error.as_ref().or(self.last_rejection.as_ref())
    }
}

/// For people: what it says, or why it says nothing or does not do what it is asked for.
impl fmt::Display for ProviderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trouble() {
            Some(trouble) => trouble.fmt(f),
            None => f.write_str(&self.message),
        }
    }
}

/// What is known of a cluster from looking at it and asking its provider. Replaced only when something other than its age changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedStatus {
    /// The cluster.
    pub cluster: ClusterId,
    /// What the last look at its API found; `None` while there is no kubeconfig.
    pub probe: Option<ProbeResult>,
    /// What its provider said; `None` for a cluster that was attached.
    pub provider: Option<ProviderStatus>,
    /// The version it told when it last answered, kept while it is silent.
    pub version: Option<String>,
    /// The phase this makes of a cluster that nothing is being done to.
    pub phase: Phase,
    /// When `phase` last became what it is.
    pub phase_changed_at: DateTime<Utc>,
    /// When the look was made that found this first. Later looks that found the same only move the age.
    pub at: DateTime<Utc>,
}

impl ObservedStatus {
    /// Whether only its schedule leads to the next look, and not that somebody wants to know: the cluster or its provider did not answer,
    /// or the provider asked to be left alone for a while.
    #[must_use]
    pub fn keeps_its_schedule(&self) -> bool {
        matches!(self.probe, Some(ProbeResult::NoAnswer { .. }))
            || self.provider.as_ref().is_some_and(|it| it.last_error.is_some() || it.last_rejection.is_some())
    }

    /// What is known after a look, if that is different from what was known.
    #[must_use]
    pub fn after(
        before: Option<&Self>,
        cluster: ClusterId,
        probe: Option<ProbeResult>,
        told: Option<ProviderStatus>,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        if before.is_some_and(|before| before.probe == probe && before.provider == told) {
            return None;
        }
        let version = match &probe {
            Some(ProbeResult::Reached { version }) => Some(version.clone()),
            Some(ProbeResult::Refused { .. } | ProbeResult::NoAnswer { .. }) | None => {
                before.and_then(|before| before.version.clone())
            }
        };
        let asked_in_vain = told.as_ref().is_some_and(|told| told.last_error.is_some());
        let phase = match &probe {
            Some(probe) => probe.phase(),
            None if asked_in_vain => Phase::Unknown,
            None => Phase::Ready,
        };
        let phase_changed_at = match before {
            Some(before) if before.phase == phase => before.phase_changed_at,
            _ => now,
        };
        Some(Self { cluster, probe, provider: told, version, phase, phase_changed_at, at: now })
    }
}
