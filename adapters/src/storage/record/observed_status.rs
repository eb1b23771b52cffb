//! How what is known of a cluster from looking at it and asking its provider is stored.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    cluster::Phase,
    id::ClusterId,
    observation::{ObservedStatus, ProbeResult, ProviderStatus},
    operation::NetworkPolicy,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Record, code::code_of, reason::StoredReason, twins};

#[derive(Serialize, Deserialize)]
pub(crate) struct Form {
    cluster: ClusterId,
    #[serde(rename = "look", default, skip_serializing_if = "Option::is_none")]
    probe: Option<StoredProbeResult>,
    #[serde(rename = "told", default, skip_serializing_if = "Option::is_none")]
    provider: Option<StoredProviderStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    phase: StoredPhase,
    phase_changed_at: DateTime<Utc>,
    at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct StoredProbeResult {
    outcome: StoredOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The version of a cluster that answered, the reason of one that did not.
    said: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredOutcome {
    Answered,
    Refused,
    Silent,
}

#[derive(Serialize, Deserialize)]
struct StoredProviderStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node_count: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network_policy: Option<StoredPolicy>,
    #[serde(rename = "words", default, skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(rename = "trouble", default, skip_serializing_if = "Option::is_none")]
    last_error: Option<StoredReason>,
    #[serde(rename = "refusal", default, skip_serializing_if = "Option::is_none")]
    last_rejection: Option<StoredReason>,
}

#[derive(Serialize, Deserialize)]
struct StoredPolicy {
    provider: String,
    enabled: bool,
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

twins!(Phase, StoredPhase { Deploying, Ready, Updating, Destroying, Failed, Unknown });

impl From<ProbeResult> for StoredProbeResult {
    fn from(probe: ProbeResult) -> Self {
        let (outcome, code, said) = match probe {
            ProbeResult::Reached { version } => (StoredOutcome::Answered, None, version),
            ProbeResult::Refused { code, reason } => (StoredOutcome::Refused, Some(code), reason),
            ProbeResult::NoAnswer { code, reason } => (StoredOutcome::Silent, Some(code), reason),
        };
        Self { outcome, code: code.map(|code| code.to_string()), said }
    }
}

impl From<StoredProbeResult> for ProbeResult {
    fn from(StoredProbeResult { outcome, code, said }: StoredProbeResult) -> Self {
        let code = code_of(code.as_deref(), &said);
        match outcome {
            StoredOutcome::Answered => Self::Reached { version: said },
            StoredOutcome::Refused => Self::Refused { code, reason: said },
            StoredOutcome::Silent => Self::NoAnswer { code, reason: said },
        }
    }
}

impl From<ProviderStatus> for StoredProviderStatus {
    fn from(told: ProviderStatus) -> Self {
        let ProviderStatus { progress, node_count, network_policy, message, last_error, last_rejection } = told;
        let policy = network_policy.map(|NetworkPolicy { provider, enabled }| StoredPolicy { provider, enabled });
        let (last_error, last_rejection) = (last_error.map(Into::into), last_rejection.map(Into::into));
        Self { progress, node_count, network_policy: policy, message, last_error, last_rejection }
    }
}

impl From<StoredProviderStatus> for ProviderStatus {
    fn from(told: StoredProviderStatus) -> Self {
        let StoredProviderStatus { progress, node_count, network_policy, message, last_error, last_rejection } = told;
        let policy = network_policy.map(|StoredPolicy { provider, enabled }| NetworkPolicy { provider, enabled });
        let (last_error, last_rejection) = (last_error.map(Into::into), last_rejection.map(Into::into));
        Self { progress, node_count, network_policy: policy, message, last_error, last_rejection }
    }
}

impl From<&ObservedStatus> for Form {
    fn from(observed: &ObservedStatus) -> Self {
        Self {
            cluster: observed.cluster,
            probe: observed.probe.clone().map(Into::into),
            provider: observed.provider.clone().map(Into::into),
            version: observed.version.clone(),
            phase: observed.phase.into(),
            phase_changed_at: observed.phase_changed_at,
            at: observed.at,
        }
    }
}

impl Record for ObservedStatus {
    type Form = Form;
    const KIND: &'static str = "observed status";
    const FORMAT: u32 = 2;

    fn restored(form: Form) -> Option<Self> {
        Some(Self {
            cluster: form.cluster,
            probe: form.probe.map(Into::into),
            provider: form.provider.map(Into::into),
            version: form.version,
            phase: form.phase.into(),
            phase_changed_at: form.phase_changed_at,
            at: form.at,
        })
    }

    /// Format 1 was always of a look at the cluster itself, and told what it found at the top.
    fn migrated(from: u32, mut form: Value) -> Option<Value> {
        if from != 1 {
            return None;
        }
        let fields = form.as_object_mut()?;
        let probe = json!({"outcome": fields.remove("outcome")?, "said": fields.remove("said")?});
        fields.insert("look".to_owned(), probe);
        Some(form)
    }
}
