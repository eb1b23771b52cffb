//! The displayed status of a cluster, computed from what is stored and what was last observed.

use chrono::{DateTime, Utc};

use super::{ObservedStatus, ProbeResult, ProviderStatus};
use crate::{
    cluster::{Cluster, Lifecycle, Phase},
    reason::{Reason, ReasonCode},
};

/// A cluster's status as it is displayed: phase, reason, time. A pure function of the stored record and the observed status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayStatus {
    /// The phase.
    pub phase: Phase,
    /// The reason code, if there is a problem.
    pub code: Option<ReasonCode>,
    /// Why, as text for people.
    pub reason: String,
    /// When the phase last changed.
    pub changed_at: DateTime<Utc>,
}

impl DisplayStatus {
    /// The status of `cluster` with its last observed status.
    #[must_use]
    pub fn of(cluster: &Cluster, observed: Option<&ObservedStatus>) -> Self {
        let changed_at = cluster.changed_at;
        let under_way = |phase, what: &str| {
            let provider = observed.and_then(|observed| observed.provider.as_ref());
            let code = provider.and_then(ProviderStatus::problem).map(|reason| reason.code);
            let text = provider.map(ProviderStatus::to_string);
            let reason = match text.filter(|text| !text.is_empty()) {
                Some(text) => format!("{what}: {text}"),
                None => what.to_owned(),
            };
            Self { phase, code, reason, changed_at }
        };
        match &cluster.lifecycle {
            Lifecycle::Deploying => under_way(Phase::Deploying, "the cluster is being created"),
            // An attached cluster is ready from the start, but has not been probed yet.
            Lifecycle::Ready => match observed {
                Some(observed) => Self::observed(cluster, observed),
                None => under_way(Phase::Deploying, "waiting for the first status check"),
            },
            Lifecycle::Updating => under_way(Phase::Updating, "the cluster is being updated"),
            Lifecycle::Destroying => under_way(Phase::Destroying, "the cluster is being deleted"),
            Lifecycle::Failed { reason } => {
                Self { phase: Phase::Failed, code: Some(reason.code), reason: reason.to_string(), changed_at }
            }
        }
    }

    fn observed(cluster: &Cluster, observed: &ObservedStatus) -> Self {
        let error = observed.provider.as_ref().and_then(|status| status.last_error.as_ref());
        let reason = match (&observed.probe, error) {
            (Some(ProbeResult::Reached { version }), None) => {
                format!("the cluster is reachable (Kubernetes {version})")
            }
            (Some(ProbeResult::Reached { version }), Some(error)) => {
                format!("the cluster is reachable (Kubernetes {version}), but its provider cannot be queried: {error}")
            }
            (Some(ProbeResult::Refused { reason, .. } | ProbeResult::NoAnswer { reason, .. }), _) => reason.clone(),
            (None, Some(error)) => error.to_string(),
            (None, None) => "the provider reports that the cluster is running".to_owned(),
        };
        let code = match &observed.probe {
            Some(ProbeResult::Refused { code, .. } | ProbeResult::NoAnswer { code, .. }) => Some(*code),
            Some(ProbeResult::Reached { .. }) | None => error.map(|error: &Reason| error.code),
        };
        // While an operation was running, the phase was that of the operation, whatever was observed.
        let changed_at = observed.phase_changed_at.max(cluster.changed_at);
        Self { phase: observed.phase, code, reason, changed_at }
    }
}
