//! What Google's error replies mean: the one table from replies to reasons.
//!
//! An error is `google.rpc.Status` in JSON (<https://cloud.google.com/apis/design/errors>): a code, a status word, a message, and details
//! of which `ErrorInfo` names a stable reason. Reasons of `ErrorInfo` decide first, then status words, then messages, as GKE reports much
//! of what matters in its messages alone. What none of them explains keeps the provider's own words.

mod condition;
mod message;
mod token;

use std::time::Duration;

use http::StatusCode;
use kqueen_domain::{
    observation::EngineError,
    reason::{Reason, ReasonCode, Responsible},
};
use serde::Deserialize;
use serde_json::Value;

pub(super) use self::{
    condition::{Condition, of_condition, of_operation},
    token::of_token,
};
use crate::outbound::Reply;

/// How long to wait where Google does not say it: its quotas are per minute.
const THROTTLED: Duration = Duration::from_secs(5);

/// Why a call of the GKE or the Compute Engine API did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallError {
    /// The cluster, operation or node pool that the path names is not there.
    Missing,
    /// Something has the name already.
    AlreadyExists,
    /// The access token is not accepted: it was revoked, or its account's key was.
    TokenRejected(EngineError),
    /// Whatever else.
    Error(EngineError),
}

impl From<CallError> for EngineError {
    fn from(failure: CallError) -> Self {
        match failure {
            CallError::Missing => Self::Missing,
            CallError::AlreadyExists => name_taken("of the cluster"),
            CallError::TokenRejected(error) | CallError::Error(error) => error,
        }
    }
}

/// `google.rpc.Status` as the APIs answer it.
#[derive(Debug, Default, Deserialize)]
struct Body {
    error: Status,
}

/// An error of a call, or of an operation that has ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) code: i64,
    pub(super) message: String,
    status: String,
    errors: Vec<OldError>,
    details: Vec<Value>,
}

/// How errors were described before `ErrorInfo`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct OldError {
    reason: String,
}

/// `google.rpc.ErrorInfo`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorInfo {
    reason: String,
    metadata: std::collections::BTreeMap<String, String>,
}

impl Status {
    fn info(&self) -> ErrorInfo {
        let is_info = |detail: &&Value| {
            detail.get("@type").and_then(Value::as_str).is_some_and(|name| name.ends_with("google.rpc.ErrorInfo"))
        };
        let info = self.details.iter().find(is_info).and_then(|detail| serde_json::from_value(detail.clone()).ok());
        info.unwrap_or_default()
    }

    fn has_old_reason(&self, reason: &str) -> bool {
        self.errors.iter().any(|error| error.reason == reason)
    }
}

/// What an error reply means.
pub(super) fn of(reply: &Reply) -> CallError {
    match reply.json::<Body>() {
        Some(Body { error }) if !reply.status.is_success() => of_status(reply.status, &error, reply.retry_after()),
        _ => CallError::Error(of_unreadable(reply)),
    }
}

/// A reply that is not what the API answers: a page of a proxy or of a front end, nothing, half of something.
pub(super) fn of_unreadable(reply: &Reply) -> EngineError {
    let status = reply.status.as_u16();
    let words = reply.excerpt();
    match reply.status {
        StatusCode::TOO_MANY_REQUESTS => {
            EngineError::Throttled { retry_after: reply.retry_after().unwrap_or(THROTTLED) }
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => rejected(
            ReasonCode::ProviderUnreachable,
            "the proxy requires authentication (407)",
            Responsible::Operator,
            "add a user name and password to KQUEEN_OUTBOUND_PROXY",
            words,
        ),
        StatusCode::UNAUTHORIZED => denied(
            ReasonCode::CredentialsRejected,
            "Google does not accept the service account's token (401)",
            "check that the service account and its key are enabled, or upload a new key",
            words,
        ),
        code if code.is_server_error() => unreachable(
            ReasonCode::ProviderUnavailable,
            format!("Google responds that it cannot serve requests now ({status})"),
            words,
        ),
        code if code.is_success() => {
            unreachable(ReasonCode::UnexpectedAnswer, "Google's response is incomplete or not JSON".to_owned(), words)
        }
        code if code.is_redirection() => rejected(
            ReasonCode::WrongEndpoint,
            &format!("the server at the address of the GKE API redirects requests ({status})"),
            Responsible::Operator,
            "correct KQUEEN_GKE_API_URL and KQUEEN_GKE_COMPUTE_URL",
            words,
        ),
        _ => rejected(
            ReasonCode::WrongEndpoint,
            &format!("the server at the address of the GKE API is not the GKE API ({status})"),
            Responsible::Operator,
            "correct KQUEEN_GKE_API_URL, KQUEEN_GKE_COMPUTE_URL or the proxy",
            words,
        ),
    }
}

fn of_status(code: StatusCode, error: &Status, retry_after: Option<Duration>) -> CallError {
    let info = error.info();
    if let Some(known) = of_info(&info, error, retry_after) {
        return CallError::Error(known);
    }
    let words = error.message.clone();
    let failure = match code.as_u16() {
        401 => {
            return CallError::TokenRejected(denied(
                ReasonCode::CredentialsRejected,
                "Google does not accept the service account's token",
                "check that the service account and its key are enabled, or upload a new key",
                words,
            ));
        }
        404 => return message::of_not_found(error),
        409 if error.status == "ALREADY_EXISTS" || error.has_old_reason("alreadyExists") => {
            return CallError::AlreadyExists;
        }
        // Of two calls at the same time one is told to come again.
        409 => EngineError::Busy("another call is changing the cluster at the same time".to_owned()),
        403 => message::of_forbidden(error, retry_after),
        429 => message::of_exhausted(error, retry_after),
        400 | 412 => message::of_bad_request(error),
        408 | 499 => unreachable(ReasonCode::ProviderTimedOut, "Google did not respond in time".to_owned(), words),
        500..=599 => unreachable(
            ReasonCode::ProviderUnavailable,
            format!("Google responds that it cannot serve requests now ({})", code.as_u16()),
            words,
        ),
        number => rejected(
            ReasonCode::UnexpectedAnswer,
            &format!("Google rejects the request ({number})"),
            Responsible::Admin,
            "see the message from Google",
            words,
        ),
    };
    CallError::Error(failure)
}

/// What an `ErrorInfo` says, of which the reasons are stable (<https://cloud.google.com/apis/design/errors#error_info>).
fn of_info(info: &ErrorInfo, error: &Status, retry_after: Option<Duration>) -> Option<EngineError> {
    let words = error.message.clone();
    let metadata = |key: &str| info.metadata.get(key).map_or("", String::as_str);
    let service = match metadata("service") {
        "compute.googleapis.com" => "Compute Engine API",
        "" | "container.googleapis.com" => "Kubernetes Engine API",
        other => other,
    };
    Some(match info.reason.as_str() {
        "SERVICE_DISABLED" | "SERVICE_NOT_ACTIVATED" => message::not_enabled(service, words),
        "BILLING_DISABLED" => message::no_billing(words),
        "CONSUMER_INVALID" => message::no_project(words),
        "CONSUMER_SUSPENDED" => rejected(
            ReasonCode::AccountDisabled,
            "the project is suspended at Google",
            Responsible::Admin,
            "ask Google for the reason, and have the project reinstated",
            words,
        ),
        "IAM_PERMISSION_DENIED" => message::no_permission(Some(metadata("permission")), words),
        "USER_PROJECT_DENIED" => message::no_permission(Some("serviceusage.services.use"), words),
        "SECURITY_POLICY_VIOLATED" => denied(
            ReasonCode::PermissionDenied,
            "a VPC Service Controls perimeter of the organization at Google blocks the call",
            "allow the service account or the addresses of this installation in the perimeter",
            words,
        ),
        "ORG_RESTRICTION_VIOLATION" | "LOCATION_ORG_POLICY_VIOLATED" => message::organization_policy(words),
        "RATE_LIMIT_EXCEEDED" => EngineError::Throttled { retry_after: retry_after.unwrap_or(THROTTLED) },
        "RESOURCE_QUOTA_EXCEEDED" | "QUOTA_EXCEEDED" => message::quota(&error.message),
        "ACCOUNT_STATE_INVALID" => denied(
            ReasonCode::CredentialsRejected,
            "the service account is disabled or deleted at Google",
            "enable it, or upload the key of another service account",
            words,
        ),
        _ => return None,
    })
}

pub(super) fn rejected(
    code: ReasonCode,
    cause: &str,
    responsible: Responsible,
    next_step: &str,
    words: impl Into<String>,
) -> EngineError {
    EngineError::Rejected(Reason::new(code, cause, responsible, next_step).with_provider_message(words))
}

/// Something else has a name that the cluster needs.
pub(super) fn name_taken(name: &str) -> EngineError {
    EngineError::Rejected(Reason::new(
        ReasonCode::NameTaken,
        format!("the name {name} is used in the project by a cluster that KQueen did not create for this one"),
        Responsible::Admin,
        "delete that cluster at Google, or use another project",
    ))
}

fn denied(code: ReasonCode, cause: &str, next_step: &str, words: impl Into<String>) -> EngineError {
    EngineError::Denied(Reason::new(code, cause, Responsible::Admin, next_step).with_provider_message(words))
}

fn unreachable(code: ReasonCode, cause: String, words: impl Into<String>) -> EngineError {
    let reason = Reason::new(code, cause, Responsible::Provider, "it is retried automatically");
    EngineError::Unreachable(reason.with_provider_message(words))
}

#[cfg(test)]
mod tests;
