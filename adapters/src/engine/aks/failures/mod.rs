//! What Azure's error replies mean: the one table from replies to reasons.
//!
//! Errors have two forms: that of Azure Resource Manager, `{"error": {"code", "message", "details"}}`
//! (<https://learn.microsoft.com/azure/azure-resource-manager/management/common-error-response>), and that of AKS, which has no `error`
//! around it. Both are read as [`ProvisioningError`], which failed operations, clusters and node pools contain as well. Codes decide first,
//! those of details before those around them, then statuses, then messages: AKS often reports `BadRequest` or `OperationNotAllowed` and
//! explains it only in the message. Errors that none of them explains keep the provider's message.

mod code;
mod message;
mod provisioning;
mod token;

use std::time::Duration;

use http::StatusCode;
use kqueen_domain::{
    observation::EngineError,
    reason::{Reason, ReasonCode, Responsible},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

pub(super) use self::{provisioning::of_provisioning, token::of_token};
use crate::outbound::Reply;

/// The delay if Azure does not specify one. Most limits of Resource Manager and AKS are refilled every second; only writes of the same
/// cluster are refilled once a minute.
const THROTTLED: Duration = Duration::from_secs(10);

/// Why a call of Azure Resource Manager did not do what was requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallError {
    /// The cluster or agent pool that the path names does not exist.
    Missing,
    /// The resource group does not exist: an error of the provisioner. It does not mean that the cluster no longer exists.
    GroupMissing,
    /// The cluster exists already: `If-None-Match: *` failed, or it is in another location.
    AlreadyExists,
    /// The `ETag` in `If-Match` is not the current one. For a call with `If-None-Match`, it means the same as `AlreadyExists`.
    Changed,
    /// The resource provider Microsoft.ContainerService is not registered in the subscription.
    NotRegistered(EngineError),
    /// The access token is not accepted: it expired or was revoked, or belongs to another tenant.
    TokenRejected(EngineError),
    /// Any other.
    Error(EngineError),
}

impl From<CallError> for EngineError {
    fn from(failure: CallError) -> Self {
        match failure {
            CallError::Missing => Self::Missing,
            CallError::GroupMissing => message::no_group(""),
            CallError::AlreadyExists => name_taken("of the cluster"),
            CallError::Changed => Self::Busy("another request is changing the cluster at the same time".to_owned()),
            CallError::NotRegistered(error) | CallError::TokenRejected(error) | CallError::Error(error) => error,
        }
    }
}

/// The error of a call, of an asynchronous operation that failed, or of a cluster or agent pool in the state `Failed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct ProvisioningError {
    #[serde(alias = "Code", deserialize_with = "or_default")]
    pub(super) code: String,
    #[serde(alias = "Message", deserialize_with = "or_default")]
    pub(super) message: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) subcode: String,
    #[serde(alias = "Details", deserialize_with = "or_default")]
    pub(super) details: Vec<ProvisioningError>,
}

/// Reads a field. One that is null or has another type is read as its default: only some forms of errors have details, for example.
fn or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(field: D) -> Result<T, D::Error> {
    let value = Value::deserialize(field)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

impl ProvisioningError {
    /// The codes in it, those of details before those around them. A message may quote the error of another service with its code.
    fn codes(&self) -> Vec<&str> {
        let mut codes: Vec<&str> = self.details.iter().flat_map(Self::codes).collect();
        codes.extend([self.code.as_str(), self.subcode.as_str()]);
        codes.extend(message::codes_in(&self.message));
        codes
    }

    fn has_code(&self, code: &str) -> bool {
        self.codes().contains(&code)
    }

    /// The codes and messages as text, those of details only if the message around them does not contain them.
    fn words(&self) -> String {
        let mut words = match (self.code.as_str(), self.message.trim()) {
            (code, "") => code.to_owned(),
            ("", message) => message.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        for detail in &self.details {
            let is_new = !detail.message.is_empty() && !words.contains(detail.message.trim());
            if is_new || !detail.details.is_empty() {
                let more = detail.words();
                words = if words.is_empty() { more } else { format!("{words}; {more}") };
            }
        }
        words
    }
}

/// What an error reply means, or a successful one that is not JSON.
pub(super) fn of(reply: &Reply) -> CallError {
    match error_in(reply).filter(|_| !reply.status.is_success()) {
        Some(error) => of_error(reply.status, &error, reply.retry_after()),
        None => CallError::Error(of_unreadable(reply)),
    }
}

fn error_in(reply: &Reply) -> Option<ProvisioningError> {
    let body: Value = reply.json()?;
    let inner = body.get("error").filter(|error| error.is_object()).unwrap_or(&body);
    let error = ProvisioningError::deserialize(inner).ok()?;
    // Azure's errors always have a code, which is a word.
    (!error.code.is_empty()).then_some(error)
}

fn of_error(status: StatusCode, error: &ProvisioningError, retry_after: Option<Duration>) -> CallError {
    let words = error.words();
    match status.as_u16() {
        401 => return CallError::TokenRejected(message::token_rejected(error)),
        404 => return message::of_not_found(error),
        408 | 499 => {
            let cause = "Azure did not respond in time".to_owned();
            return CallError::Error(unreachable(ReasonCode::ProviderTimedOut, cause, words));
        }
        412 => return message::of_precondition(&words),
        429 => return CallError::Error(throttled(retry_after)),
        // The call may have taken effect, whatever the code is.
        number @ 500..=599 => {
            let cause = format!("Azure responds that it cannot serve requests now ({number})");
            return CallError::Error(unreachable(ReasonCode::ProviderUnavailable, cause, words));
        }
        _ => {}
    }
    if error.codes().into_iter().any(code::is_throttled) {
        return CallError::Error(throttled(retry_after));
    }
    if error.has_code("InvalidResourceLocation") {
        return CallError::AlreadyExists;
    }
    if error.has_code("ResourceGroupNotFound") {
        return CallError::GroupMissing;
    }
    if let Some(known) = error.codes().into_iter().find_map(|code| code::of_code(code, &words)) {
        let is_registration = code::REGISTRATION.iter().any(|code| error.has_code(code));
        return if is_registration && message::is_container_service(&words) {
            CallError::NotRegistered(known)
        } else {
            CallError::Error(known)
        };
    }
    CallError::Error(match status.as_u16() {
        400 | 409 => message::of_message(status, &words),
        403 => message::no_permission(&words),
        number => rejected(
            ReasonCode::UnexpectedAnswer,
            &format!("Azure rejects the request ({number})"),
            Responsible::Admin,
            "see the message from Azure",
            words,
        ),
    })
}

/// A service that can be at another address, and the setting with the address.
struct Service {
    name: &'static str,
    setting: &'static str,
}

const RESOURCE_MANAGER: Service = Service { name: "Azure Resource Manager", setting: "KQUEEN_AKS_ARM_URL" };
const LOGIN: Service = Service { name: "the login service of Microsoft Entra ID", setting: "KQUEEN_AKS_LOGIN_URL" };

/// A reply of Azure Resource Manager that is not one of its errors or results: a page of a proxy, an empty body, truncated JSON.
pub(super) fn of_unreadable(reply: &Reply) -> EngineError {
    unreadable(reply, &RESOURCE_MANAGER)
}

fn unreadable(reply: &Reply, service: &Service) -> EngineError {
    let Service { name, setting } = service;
    let status = reply.status.as_u16();
    let words = reply.excerpt();
    match reply.status {
        StatusCode::TOO_MANY_REQUESTS => throttled(reply.retry_after()),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => rejected(
            ReasonCode::ProviderUnreachable,
            "the proxy requires authentication (407)",
            Responsible::Operator,
            "add a user name and password to KQUEEN_OUTBOUND_PROXY",
            words,
        ),
        StatusCode::UNAUTHORIZED => denied(
            ReasonCode::CredentialsRejected,
            "Azure does not accept the credentials of the service principal (401)",
            "check that the service principal is enabled, or enter a new client secret",
            words,
        ),
        StatusCode::REQUEST_TIMEOUT => {
            unreachable(ReasonCode::ProviderTimedOut, "Azure did not respond in time".to_owned(), words)
        }
        code if code.is_server_error() => unreachable(
            ReasonCode::ProviderUnavailable,
            format!("Azure responds that it cannot serve requests now ({status})"),
            words,
        ),
        code if code.is_success() => {
            // A page is quoted. Truncated JSON is not: it may contain a token or a kubeconfig.
            let is_page = reply.body.trim_ascii_start().starts_with(b"<");
            let cause = "Azure's response is incomplete or not JSON".to_owned();
            unreachable(ReasonCode::UnexpectedAnswer, cause, if is_page { words } else { String::new() })
        }
        code if code.is_redirection() => rejected(
            ReasonCode::WrongEndpoint,
            &format!("the server at the address of {name} redirects requests ({status})"),
            Responsible::Operator,
            &format!("correct {setting}"),
            words,
        ),
        _ => rejected(
            ReasonCode::WrongEndpoint,
            &format!("the server at the address of {name} is another service ({status})"),
            Responsible::Operator,
            &format!("correct {setting} or the proxy"),
            words,
        ),
    }
}

/// Another resource has a name that the cluster needs.
pub(super) fn name_taken(name: &str) -> EngineError {
    EngineError::Rejected(Reason::new(
        ReasonCode::NameTaken,
        format!("the name {name} is used in the resource group by a cluster that KQueen did not create for this one"),
        Responsible::Admin,
        "delete that cluster at Azure, or use another resource group",
    ))
}

fn throttled(retry_after: Option<Duration>) -> EngineError {
    EngineError::Throttled { retry_after: retry_after.unwrap_or(THROTTLED) }
}

fn rejected(
    code: ReasonCode,
    cause: &str,
    responsible: Responsible,
    next_step: &str,
    words: impl AsRef<str>,
) -> EngineError {
    EngineError::Rejected(with_words(Reason::new(code, cause, responsible, next_step), words))
}

fn denied(code: ReasonCode, cause: &str, next_step: &str, words: impl AsRef<str>) -> EngineError {
    EngineError::Denied(with_words(Reason::new(code, cause, Responsible::Admin, next_step), words))
}

fn unreachable(code: ReasonCode, cause: String, words: impl AsRef<str>) -> EngineError {
    let reason = Reason::new(code, cause, Responsible::Provider, "it is retried automatically");
    EngineError::Unreachable(with_words(reason, words))
}

/// Adds the provider message without the credentials that it quotes: some errors repeat the request.
fn with_words(reason: Reason, words: impl AsRef<str>) -> Reason {
    reason.with_provider_message(message::without_credentials(words.as_ref()))
}

#[cfg(test)]
mod tests;
