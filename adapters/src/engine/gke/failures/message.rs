//! What GKE says in its messages alone. Each is compared in lower case and by the words that have stayed the same over the years.

use std::time::Duration;

use kqueen_domain::{
    observation::EngineError,
    reason::{ReasonCode, Responsible},
};

use super::{CallError, Status, THROTTLED, denied, rejected};

/// What a reply that something is not there means. That the cluster itself is missing is not the same as a missing project or zone.
pub(super) fn of_not_found(error: &Status) -> CallError {
    let text = error.message.to_lowercase();
    if text.contains("/clusters/") || text.contains("/operations/") || text.contains("/nodepools/") {
        return CallError::Missing;
    }
    let words = error.message.clone();
    CallError::Error(if text.contains("project") && !text.contains("/zones/") && !text.contains("/locations/") {
        no_project(words)
    } else if text.contains("zone") || text.contains("region") || text.contains("location") {
        no_location(words)
    } else if text.contains("network") {
        rejected(
            ReasonCode::NotFound,
            "the network of the cluster does not exist in the project",
            Responsible::Admin,
            "create the network, or specify another one",
            words,
        )
    } else {
        rejected(
            ReasonCode::NotFound,
            "a resource that the cluster requires does not exist at Google",
            Responsible::Admin,
            "see the message from Google",
            words,
        )
    })
}

/// What a reply that something is forbidden means.
pub(super) fn of_forbidden(error: &Status, retry_after: Option<Duration>) -> EngineError {
    let text = error.message.to_lowercase();
    let words = error.message.clone();
    let old = |reason: &str| error.has_old_reason(reason);
    if old("rateLimitExceeded") || old("userRateLimitExceeded") {
        EngineError::Throttled { retry_after: retry_after.unwrap_or(THROTTLED) }
    } else if old("accessNotConfigured")
        || text.contains("has not been used in project")
        || text.contains("it is disabled")
    {
        let service = if text.contains("compute engine api") { "Compute Engine API" } else { "Kubernetes Engine API" };
        not_enabled(service, words)
    } else if old("quotaExceeded") || old("insufficientQuota") || text.contains("quota") {
        quota(&error.message)
    } else if permission_in(&error.message).is_some() {
        no_permission(permission_in(&error.message), words)
    } else if text.contains("billing") {
        no_billing(words)
    } else if text.contains("or it may not exist") && text.contains("locations/") {
        no_location(words)
    } else if text.contains("constraint") || text.contains("organization policy") || text.contains("org policy") {
        organization_policy(words)
    } else if text.contains("project") && (text.contains("deleted") || text.contains("invalid")) {
        no_project(words)
    } else if text.contains("service account") {
        denied(
            ReasonCode::PermissionDenied,
            "the service account does not have permission to use the service account that the nodes run as",
            "grant it the role Service Account User (roles/iam.serviceAccountUser) on that service account",
            words,
        )
    } else {
        no_permission(None, words)
    }
}

/// What a reply that something is exhausted means: calls per minute, or a quota of resources.
pub(super) fn of_exhausted(error: &Status, retry_after: Option<Duration>) -> EngineError {
    let text = error.message.to_lowercase();
    let is_rate = text.contains("per minute") || text.contains("rate limit") || text.contains("requests per");
    let is_quota = text.contains("quota") || text.contains("limit of") || text.contains("exceeds the limit");
    match retry_after {
        None if is_quota && !is_rate => quota(&error.message),
        wait => EngineError::Throttled { retry_after: wait.unwrap_or(THROTTLED) },
    }
}

/// What a reply that the request is not acceptable means, now or at all.
pub(super) fn of_bad_request(error: &Status) -> EngineError {
    let text = error.message.to_lowercase();
    let words = error.message.clone();
    let has = |part: &str| text.contains(part);
    let requester = |cause: &str, next_step: &str| {
        rejected(ReasonCode::InvalidParameter, cause, Responsible::Requester, next_step, words.clone())
    };
    if has("incompatible operation") || has("currently operating on") || has("is currently ") && has("operation") {
        return EngineError::Busy(match operation_in(&error.message) {
            Some(name) => format!("{name} is in progress on the cluster"),
            None => "another operation is in progress on the cluster".to_owned(),
        });
    }
    if has("constraint") && (has("violated") || has("org")) {
        return organization_policy(words);
    }
    if has("billing") {
        return no_billing(words);
    }
    if has("quota") {
        return quota(&error.message);
    }
    if has("private ip space") || has("ip address range") || has("overlap") || has("cidr") || has("ip space") {
        return requester(
            "the network range is already in use in the network, or too small for the cluster",
            "choose another network range, or leave it empty",
        );
    }
    if has("machine type") || has("machinetype") {
        return requester(
            "the machine type is not offered in this location",
            "choose another machine type, or another location",
        );
    }
    if has("version") {
        return requester(
            "the Kubernetes version is not available, or no longer available",
            "choose another version, or leave it to the release channel",
        );
    }
    if has("network policy") || has("networkpolicy") || has("datapath") || has("dataplane") {
        return rejected(
            ReasonCode::InvalidState,
            "the cluster's network policy cannot be changed in this way",
            Responsible::Requester,
            "clusters with Dataplane V2 always enforce network policy; to use Calico, create another cluster",
            words,
        );
    }
    if has("zone") || has("region") || has("location") {
        return no_location(words);
    }
    if has("disk") {
        return requester("the disk size of the nodes is not valid", "choose another disk size");
    }
    if has("node count") || has("nodecount") || has("number of nodes") || has("node pool size") {
        return requester("the number of nodes is not valid", "choose another number of nodes");
    }
    if error.status == "FAILED_PRECONDITION" {
        return rejected(
            ReasonCode::InvalidState,
            "the state of the cluster does not allow this operation",
            Responsible::Requester,
            "see the message from Google",
            words,
        );
    }
    requester("Google does not accept a parameter of the cluster", "see the message from Google")
}

pub(super) fn not_enabled(service: &str, words: String) -> EngineError {
    rejected(
        ReasonCode::ServiceNotEnabled,
        &format!("the {service} is not enabled in the project"),
        Responsible::Admin,
        "enable it at Google; this takes some minutes to take effect",
        words,
    )
}

pub(super) fn no_billing(words: String) -> EngineError {
    rejected(
        ReasonCode::AccountDisabled,
        "billing is not enabled for the project",
        Responsible::Admin,
        "link an open billing account to the project",
        words,
    )
}

pub(super) fn no_project(words: String) -> EngineError {
    rejected(
        ReasonCode::NotFound,
        "the project does not exist at Google, or is being deleted",
        Responsible::Admin,
        "correct the project of the provisioner",
        words,
    )
}

pub(super) fn no_location(words: String) -> EngineError {
    rejected(
        ReasonCode::InvalidParameter,
        "the zone or region does not exist, or is not available to the project",
        Responsible::Requester,
        "choose another zone or region",
        words,
    )
}

pub(super) fn no_permission(permission: Option<&str>, words: String) -> EngineError {
    let cause = match permission.filter(|permission| !permission.is_empty()) {
        Some(permission) => format!("the service account lacks the permission {permission}"),
        None => "the service account lacks a required permission".to_owned(),
    };
    denied(
        ReasonCode::PermissionDenied,
        &cause,
        "grant it the role that the manual describes for this engine, or Kubernetes Engine Admin (roles/container.admin)",
        words,
    )
}

pub(super) fn organization_policy(words: String) -> EngineError {
    denied(
        ReasonCode::PermissionDenied,
        "an organization policy at Google does not allow this cluster",
        "choose values that the policy allows, or have the policy changed",
        words,
    )
}

/// A quota, with its name if the message has it.
pub(super) fn quota(message: &str) -> EngineError {
    let cause = match quota_in(message) {
        Some(name) => format!("the project's quota {name} is used up"),
        None => "a quota of the project is used up".to_owned(),
    };
    rejected(
        ReasonCode::QuotaExceeded,
        &cause,
        Responsible::Admin,
        "request a higher quota from Google, delete resources, or use fewer or smaller nodes",
        message,
    )
}

/// The permission a message names: `Required "container.clusters.create" permission(s) for …`.
fn permission_in(message: &str) -> Option<&str> {
    message.split(['"', '\'', ' ']).find(|word| {
        // A host name such as `container.googleapis.com` is not one.
        word.split('.').count() == 3
            && !word.ends_with(".com")
            && word.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    })
}

/// The quota a message names: `resource "CPUS"`, `Quota 'CPUS' exceeded`, `quota metric 'Clusters'`.
fn quota_in(message: &str) -> Option<&str> {
    let lower = message.to_lowercase();
    let from = ["resource \"", "quota '", "quota metric '", "quota \"", "resource '"]
        .iter()
        .filter_map(|before| lower.find(before).map(|at| at + before.len()))
        .min()?;
    let rest = message.get(from..)?;
    let name = rest.split(['"', '\'']).next()?;
    (!name.is_empty() && name.len() <= 60).then_some(name)
}

/// The operation a message names.
fn operation_in(message: &str) -> Option<&str> {
    let rest = &message[message.find("operation-")?..];
    let end = rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('-'))
}
