//! What the token service's refusals mean (RFC 6749, section 5.2, with Google's descriptions).

use kqueen_domain::{
    observation::EngineError,
    reason::{ReasonCode, Responsible},
};
use serde::Deserialize;

use super::{THROTTLED, denied, of_unreadable, rejected, unreachable};
use crate::outbound::Reply;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
}

/// What a reply of the token service that holds no token means.
pub(in crate::engine::gke) fn of_token(reply: &Reply) -> EngineError {
    let refusal: Refusal = reply.json().unwrap_or_default();
    if refusal.error.is_empty() {
        return match of_unreadable(reply) {
            // The words of a successful answer could hold the token.
            EngineError::Unreachable(mut reason) if reply.status.is_success() => {
                reason.provider_message = None;
                EngineError::Unreachable(reason)
            }
            other => other,
        };
    }
    let text = refusal.error_description.to_lowercase();
    let words = format!("{}: {}", refusal.error, refusal.error_description);
    let has = |part: &str| text.contains(part);
    let bad = |cause: &str, next_step: &str| denied(ReasonCode::CredentialsRejected, cause, next_step, words.clone());
    match (reply.status.as_u16(), refusal.error.as_str()) {
        (429, _) => EngineError::Throttled { retry_after: reply.retry_after().unwrap_or(THROTTLED) },
        (500..=599, _) | (_, "temporarily_unavailable" | "server_error" | "internal_failure") => unreachable(
            ReasonCode::ProviderUnavailable,
            "Google's token service cannot serve requests now".to_owned(),
            words.clone(),
        ),
        _ if has("reasonable timeframe") || has("iat and exp") || has("token used too early") => rejected(
            ReasonCode::HostMisconfigured,
            "Google does not accept the time of this machine's clock",
            Responsible::Operator,
            "correct the clock, and keep it synchronized with a time service",
            words.clone(),
        ),
        _ if has("account not found") || has("not a valid email") => {
            bad("the service account no longer exists at Google", "upload the key of another service account")
        }
        _ if has("signature") || has("key") => bad(
            "the key of the service account was deleted or disabled at Google, or belongs to another account",
            "create a new key and upload it",
        ),
        _ if has("disabled") => {
            bad("the service account is disabled at Google", "enable it, or upload the key of another service account")
        }
        (_, "unauthorized_client" | "access_denied" | "org_internal" | "admin_policy_enforced") => denied(
            ReasonCode::PermissionDenied,
            "the organization at Google does not allow the service account to get a token",
            "ask an administrator of the organization to allow it",
            words.clone(),
        ),
        (_, "invalid_scope") => rejected(
            ReasonCode::WrongEndpoint,
            "the token service does not know the scope of Google Cloud",
            Responsible::Operator,
            "correct KQUEEN_GKE_TOKEN_URL",
            words.clone(),
        ),
        _ => bad("Google's token service does not accept the service account's key", "create a new key and upload it"),
    }
}
