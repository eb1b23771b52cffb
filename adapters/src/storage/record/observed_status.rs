//! The stored form of the observed status of a cluster.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    cluster::Phase,
    id::ClusterId,
    observation::{ObservedStatus, ProbeResult, ProviderStatus},
    operation::NetworkPolicy,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Record,
    code::code_of,
    migrated_in,
    reason::{self, StoredReason},
    renamed, twins,
};

#[derive(Serialize, Deserialize)]
pub(crate) struct Form {
    cluster: ClusterId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probe: Option<StoredProbeResult>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<StoredProviderStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    phase: StoredPhase,
    phase_changed_at: DateTime<Utc>,
    at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum StoredProbeResult {
    Reached { version: String },
    Refused { code: String, reason: String },
    NoAnswer { code: String, reason: String },
}

#[derive(Serialize, Deserialize)]
struct StoredProviderStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node_count: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network_policy: Option<StoredPolicy>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<StoredReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
        match probe {
            ProbeResult::Reached { version } => Self::Reached { version },
            ProbeResult::Refused { code, reason } => Self::Refused { code: code.as_str().to_owned(), reason },
            ProbeResult::NoAnswer { code, reason } => Self::NoAnswer { code: code.as_str().to_owned(), reason },
        }
    }
}

impl From<StoredProbeResult> for ProbeResult {
    fn from(stored: StoredProbeResult) -> Self {
        match stored {
            StoredProbeResult::Reached { version } => Self::Reached { version },
            StoredProbeResult::Refused { code, reason } => {
                Self::Refused { code: code_of(Some(&code), &reason), reason }
            }
            StoredProbeResult::NoAnswer { code, reason } => {
                Self::NoAnswer { code: code_of(Some(&code), &reason), reason }
            }
        }
    }
}

impl From<ProviderStatus> for StoredProviderStatus {
    fn from(status: ProviderStatus) -> Self {
        let ProviderStatus { progress, node_count, network_policy, message, last_error, last_rejection } = status;
        let policy = network_policy.map(|NetworkPolicy { provider, enabled }| StoredPolicy { provider, enabled });
        let (last_error, last_rejection) = (last_error.map(Into::into), last_rejection.map(Into::into));
        Self { progress, node_count, network_policy: policy, message, last_error, last_rejection }
    }
}

impl From<StoredProviderStatus> for ProviderStatus {
    fn from(status: StoredProviderStatus) -> Self {
        let StoredProviderStatus { progress, node_count, network_policy, message, last_error, last_rejection } = status;
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
    const FORMAT: u32 = 3;

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

    /// Format 1 was always a probe of the cluster, with its result at the top level; format 2 had other field names and no codes.
    fn migrated(from: u32, mut form: Value) -> Option<Value> {
        match from {
            1 => {
                let fields = form.as_object_mut()?;
                let probe = json!({"outcome": fields.remove("outcome")?, "said": fields.remove("said")?});
                fields.insert("look".to_owned(), probe);
            }
            2 => {
                renamed(&mut form, &[("look", "probe"), ("told", "provider")])?;
                migrated_in(&mut form, "probe", probe_migrated)?;
                migrated_in(&mut form, "provider", |status| {
                    let names = [("words", "message"), ("trouble", "last_error"), ("refusal", "last_rejection")];
                    renamed(status, &names)?;
                    migrated_in(status, "last_error", reason::migrated)?;
                    migrated_in(status, "last_rejection", reason::migrated)
                })?;
            }
            _ => return None,
        }
        Some(form)
    }
}

/// Migrates a probe of format 2, which had its version or reason in the field `text`.
fn probe_migrated(probe: &mut Value) -> Option<()> {
    let text = probe.get("said")?.as_str()?.to_owned();
    let code = code_of(probe.get("code").and_then(Value::as_str), &text);
    *probe = match probe.get("outcome")?.as_str()? {
        "answered" => json!({"outcome": "reached", "version": text}),
        "refused" => json!({"outcome": "refused", "code": code.as_str(), "reason": text}),
        "silent" => json!({"outcome": "no_answer", "code": code.as_str(), "reason": text}),
        _ => return None,
    };
    Some(())
}
