//! Why a cluster, a node pool or an operation has failed: what their conditions and errors say.

use kqueen_domain::{
    observation::EngineError,
    reason::{Reason, ReasonCode, Responsible},
};
use serde::Deserialize;

use super::{Status, message};

/// `StatusCondition`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::engine::gke) struct Condition {
    /// Deprecated, and still what tells most.
    code: String,
    canonical_code: String,
    /// For people.
    pub(in crate::engine::gke) message: String,
}

/// Why something is in ERROR or DEGRADED, by its conditions.
pub(in crate::engine::gke) fn of_condition(what: &str, conditions: &[Condition]) -> Reason {
    let telling = conditions.iter().find(|condition| !condition.code.is_empty() && condition.code != "UNKNOWN");
    let Some(condition) = telling.or(conditions.first()) else {
        return failed(what, "");
    };
    let words = condition.message.as_str();
    match condition.code.as_str() {
        "GCE_STOCKOUT" => no_capacity(words),
        "GCE_QUOTA_EXCEEDED" => reason_of(message::quota(words)).unwrap_or_else(|| failed(what, words)),
        "GKE_SERVICE_ACCOUNT_DELETED" => Reason::new(
            ReasonCode::PermissionDenied,
            "the service agent of the Kubernetes Engine API was deleted or lost its role in the project",
            Responsible::Admin,
            "enable the Kubernetes Engine API again, which recreates the service agent",
        )
        .with_provider_message(words),
        "NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS" => Reason::new(
            ReasonCode::PermissionDenied,
            "the service account that the nodes run as lacks permissions",
            Responsible::Admin,
            "grant it the role Kubernetes Engine Default Node Service Account (roles/container.defaultNodeServiceAccount)",
        )
        .with_provider_message(words),
        "CLOUD_KMS_KEY_ERROR" | "CLOUD_KMS_KEY_DESTROYED" => Reason::new(
            ReasonCode::InvalidState,
            "the encryption key of the cluster cannot be used",
            Responsible::Admin,
            "enable the key in Cloud KMS; a cluster whose key was destroyed cannot be recovered",
        )
        .with_provider_message(words),
        _ => by_words(what, &condition.canonical_code, words),
    }
}

/// Why an operation has failed.
pub(in crate::engine::gke) fn of_operation(what: &str, error: &Status) -> Reason {
    by_words(what, canonical(error.code), &error.message)
}

fn by_words(what: &str, canonical_code: &str, words: &str) -> Reason {
    let text = words.to_lowercase();
    let known = if text.contains("stockout")
        || text.contains("does not have enough resources")
        || text.contains("resource_pool_exhausted")
        || text.contains("resource pool exhausted")
    {
        return no_capacity(words);
    } else if text.contains("quota") || canonical_code == "RESOURCE_EXHAUSTED" {
        message::quota(words)
    } else if canonical_code == "PERMISSION_DENIED" {
        message::of_forbidden(&Status { message: words.to_owned(), ..Status::default() }, None)
    } else if canonical_code == "INVALID_ARGUMENT" {
        message::of_bad_request(&Status { message: words.to_owned(), ..Status::default() })
    } else {
        return failed(what, words);
    };
    reason_of(known).unwrap_or_else(|| failed(what, words))
}

fn no_capacity(words: &str) -> Reason {
    Reason::new(
        ReasonCode::CapacityUnavailable,
        "the location currently has no capacity for this machine type",
        Responsible::Requester,
        "try again later, or choose another zone or machine type",
    )
    .with_provider_message(words)
}

fn failed(what: &str, words: &str) -> Reason {
    Reason::new(
        ReasonCode::ProvisioningFailed,
        format!("{what} has failed at Google"),
        Responsible::Provider,
        "retry; if it fails again, see the message from Google",
    )
    .with_provider_message(words)
}

fn reason_of(error: EngineError) -> Option<Reason> {
    match error {
        EngineError::Rejected(reason) | EngineError::Denied(reason) | EngineError::Unreachable(reason) => Some(reason),
        EngineError::Unsupported(_)
        | EngineError::NotOffered
        | EngineError::Busy(_)
        | EngineError::Throttled { .. }
        | EngineError::Missing => None,
    }
}

/// The word of a code of `google.rpc.Code`.
const fn canonical(code: i64) -> &'static str {
    match code {
        3 => "INVALID_ARGUMENT",
        7 => "PERMISSION_DENIED",
        8 => "RESOURCE_EXHAUSTED",
        _ => "",
    }
}
