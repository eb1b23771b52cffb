//! What was last observed of a cluster.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::{
    cluster::Phase,
    id::ClusterId,
    operation::NetworkPolicy,
    reason::{Reason, ReasonCode},
};

/// The result of probing a cluster's API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// It answered and granted access.
    Reached {
        /// The version it reports: `v1.37.2`.
        version: String,
    },
    /// The answer was a refusal: credentials, certificate, or it is not Kubernetes.
    Refused {
        /// The reason code.
        code: ReasonCode,
        /// Why, as text for people.
        reason: String,
    },
    /// Nothing answered: connection refused, time-out, name not found.
    NoAnswer {
        /// The reason code.
        code: ReasonCode,
        /// Why, as text for people.
        reason: String,
    },
}

impl ProbeResult {
    /// The phase of a cluster without a running operation.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Reached { .. } => Phase::Ready,
            Self::Refused { .. } => Phase::Failed,
            Self::NoAnswer { .. } => Phase::Unknown,
        }
    }
}

/// A cluster's status at its provider, as last observed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderStatus {
    /// Progress of what the provider is doing, in percent.
    pub progress: Option<u8>,
    /// The number of nodes.
    pub node_count: Option<u32>,
    /// Its network policy.
    pub network_policy: Option<NetworkPolicy>,
    /// The provider's message for people; may be empty.
    pub message: String,
    /// Why the provider could not be observed the last time. The other fields keep their previous values.
    pub last_error: Option<Reason>,
    /// Why the provider rejected the last call, which is retried.
    pub last_rejection: Option<Reason>,
}

impl ProviderStatus {
    /// The current problem, if any.
    #[must_use]
    pub fn problem(&self) -> Option<&Reason> {
        self.last_error.as_ref().or(self.last_rejection.as_ref())
    }
}

/// For people: the provider's message, or the current problem.
impl fmt::Display for ProviderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem() {
            Some(reason) => reason.fmt(f),
            None => f.write_str(&self.message),
        }
    }
}

/// The observed status of a cluster: the last probe and the status at its provider. Replaced only when something other than its age
/// changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedStatus {
    /// The cluster.
    pub cluster: ClusterId,
    /// The result of the last probe of its API; `None` while there is no kubeconfig.
    pub probe: Option<ProbeResult>,
    /// The status at its provider; `None` for an attached cluster.
    pub provider: Option<ProviderStatus>,
    /// The version it reported when it last answered; kept while it does not answer.
    pub version: Option<String>,
    /// The phase of a cluster without a running operation.
    pub phase: Phase,
    /// When `phase` last changed.
    pub phase_changed_at: DateTime<Utc>,
    /// When this status was first observed. Later observations with the same result only update the age.
    pub at: DateTime<Utc>,
}

impl ObservedStatus {
    /// Whether the next observation waits for its schedule even if a client asks for a fresh status: the cluster or its provider did not
    /// answer, or the provider rejected the last call or limits their rate.
    #[must_use]
    pub fn keeps_its_schedule(&self) -> bool {
        matches!(self.probe, Some(ProbeResult::NoAnswer { .. }))
            || self
                .provider
                .as_ref()
                .is_some_and(|status| status.last_error.is_some() || status.last_rejection.is_some())
    }

    /// The status after an observation, if it differs from the one before.
    #[must_use]
    pub fn after(
        before: Option<&Self>,
        cluster: ClusterId,
        probe: Option<ProbeResult>,
        provider: Option<ProviderStatus>,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        if before.is_some_and(|before| before.probe == probe && before.provider == provider) {
            return None;
        }
        let version = match &probe {
            Some(ProbeResult::Reached { version }) => Some(version.clone()),
            Some(ProbeResult::Refused { .. } | ProbeResult::NoAnswer { .. }) | None => {
                before.and_then(|before| before.version.clone())
            }
        };
        let provider_failed = provider.as_ref().is_some_and(|provider| provider.last_error.is_some());
        let phase = match &probe {
            Some(probe) => probe.phase(),
            None if provider_failed => Phase::Unknown,
            None => Phase::Ready,
        };
        let phase_changed_at = match before {
            Some(before) if before.phase == phase => before.phase_changed_at,
            _ => now,
        };
        Some(Self { cluster, probe, provider, version, phase, phase_changed_at, at: now })
    }
}
