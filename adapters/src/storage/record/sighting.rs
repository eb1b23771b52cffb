//! How what was last seen of a cluster is stored.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    cluster::{Look, Phase, Sighting},
    id::ClusterId,
};
use serde::{Deserialize, Serialize};

use super::Record;

#[derive(Serialize, Deserialize)]
pub(crate) struct Form {
    cluster: ClusterId,
    outcome: StoredOutcome,
    /// The version of a cluster that answered, the reason of one that did not.
    said: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    phase: StoredPhase,
    phase_changed_at: DateTime<Utc>,
    at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredOutcome {
    Answered,
    Refused,
    Silent,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredPhase {
    Deploying,
    Ready,
    Updating,
    Destroying,
    Failed,
    Unknown,
}

impl From<&Sighting> for Form {
    fn from(sighting: &Sighting) -> Self {
        let (outcome, said) = match &sighting.look {
            Look::Answered { version } => (StoredOutcome::Answered, version),
            Look::Refused { reason } => (StoredOutcome::Refused, reason),
            Look::Silent { reason } => (StoredOutcome::Silent, reason),
        };
        Self {
            cluster: sighting.cluster,
            outcome,
            said: said.clone(),
            version: sighting.version.clone(),
            phase: match sighting.phase {
                Phase::Deploying => StoredPhase::Deploying,
                Phase::Ready => StoredPhase::Ready,
                Phase::Updating => StoredPhase::Updating,
                Phase::Destroying => StoredPhase::Destroying,
                Phase::Failed => StoredPhase::Failed,
                Phase::Unknown => StoredPhase::Unknown,
            },
            phase_changed_at: sighting.phase_changed_at,
            at: sighting.at,
        }
    }
}

impl Record for Sighting {
    type Form = Form;
    const KIND: &'static str = "sighting";
    const FORMAT: u32 = 1;

    fn restored(form: Form) -> Option<Self> {
        Some(Self {
            cluster: form.cluster,
            look: match form.outcome {
                StoredOutcome::Answered => Look::Answered { version: form.said },
                StoredOutcome::Refused => Look::Refused { reason: form.said },
                StoredOutcome::Silent => Look::Silent { reason: form.said },
            },
            version: form.version,
            phase: match form.phase {
                StoredPhase::Deploying => Phase::Deploying,
                StoredPhase::Ready => Phase::Ready,
                StoredPhase::Updating => Phase::Updating,
                StoredPhase::Destroying => Phase::Destroying,
                StoredPhase::Failed => Phase::Failed,
                StoredPhase::Unknown => Phase::Unknown,
            },
            phase_changed_at: form.phase_changed_at,
            at: form.at,
        })
    }
}
