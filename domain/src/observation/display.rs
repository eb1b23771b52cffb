//! What is shown of a cluster: what is stored of it and what was last seen, put together.

use chrono::{DateTime, Utc};

use super::{ObservedStatus, ProbeResult, ProviderStatus};
use crate::{
    cluster::{Cluster, Lifecycle, Phase},
    reason::{Reason, ReasonCode},
};

/// A cluster's state as it is shown: phase, reason, times. A pure function of what is stored and the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayStatus {
    /// The phase.
    pub phase: Phase,
    /// What is the matter, if anything is.
    pub code: Option<ReasonCode>,
    /// Why, in plain words.
    pub reason: String,
    /// When the phase last changed.
    pub changed_at: DateTime<Utc>,
}

impl DisplayStatus {
    /// How `cluster` stands given what was last seen of it.
    #[must_use]
    pub fn of(cluster: &Cluster, observed: Option<&ObservedStatus>) -> Self {
        let changed_at = cluster.changed_at;
        let under_way = |phase, what: &str| {
            let provider = observed.and_then(|observed| observed.provider.as_ref());
            let code = provider.and_then(ProviderStatus::trouble).map(|trouble| trouble.code);
            let told = provider.map(ProviderStatus::to_string);
            let reason = match told.filter(|told| !told.is_empty()) {
                Some(told) => format!("{what}: {told}"),
                None => what.to_owned(),
            };
            Self { phase, code, reason, changed_at }
        };
        match &cluster.lifecycle {
            Lifecycle::Deploying => under_way(Phase::Deploying, "the cluster is being made"),
            // What is attached is ready from the start, but nobody has seen it answer yet.
            Lifecycle::Ready => match observed {
                Some(observed) => Self::seen(cluster, observed),
                None => under_way(Phase::Deploying, "waiting for the first look at the cluster"),
            },
            Lifecycle::Updating => under_way(Phase::Updating, "the cluster is being changed"),
            Lifecycle::Destroying => under_way(Phase::Destroying, "the cluster is being taken down"),
            Lifecycle::Failed { reason } => {
                Self { phase: Phase::Failed, code: Some(reason.code), reason: reason.to_string(), changed_at }
            }
        }
    }

    fn seen(cluster: &Cluster, observed: &ObservedStatus) -> Self {
        let trouble = observed.provider.as_ref().and_then(|told| told.last_error.as_ref());
        let reason = match (&observed.probe, trouble) {
            (Some(ProbeResult::Reached { version }), None) => format!("the cluster answers, Kubernetes {version}"),
            (Some(ProbeResult::Reached { version }), Some(trouble)) => {
                format!("the cluster answers, Kubernetes {version}; its provider does not: {trouble}")
            }
            (Some(ProbeResult::Refused { reason, .. } | ProbeResult::NoAnswer { reason, .. }), _) => reason.clone(),
            (None, Some(trouble)) => trouble.to_string(),
            (None, None) => "the provider says that the cluster runs".to_owned(),
        };
        let code = match &observed.probe {
            Some(ProbeResult::Refused { code, .. } | ProbeResult::NoAnswer { code, .. }) => Some(*code),
            Some(ProbeResult::Reached { .. }) | None => trouble.map(|trouble: &Reason| trouble.code),
        };
        // While something was being done to the cluster, that was its phase, whatever looks found.
        let changed_at = observed.phase_changed_at.max(cluster.changed_at);
        Self { phase: observed.phase, code, reason, changed_at }
    }
}
