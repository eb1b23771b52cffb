//! What refusals of the login service mean: errors of OAuth 2.0 (RFC 6749, section 5.2), of which the numbers say what is wrong
//! (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>).

use kqueen_domain::{
    observation::EngineError,
    reason::{ReasonCode, Responsible},
};
use serde::Deserialize;

use super::{LOGIN, denied, rejected, throttled, unreachable, unreadable};
use crate::outbound::Reply;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
    #[serde(deserialize_with = "super::or_default")]
    error_codes: Vec<u64>,
}

impl Refusal {
    /// The number, which older replies contain only in the description: `AADSTS7000215: …`.
    fn number(&self) -> Option<u64> {
        let described = || {
            let (_, rest) = self.error_description.split_once("AADSTS")?;
            rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        self.error_codes.first().copied().or_else(described)
    }
}

/// What a reply of the login service without a token means.
pub(in crate::engine::aks) fn of_token(reply: &Reply) -> EngineError {
    let refusal: Refusal = reply.json().unwrap_or_default();
    if refusal.error.is_empty() {
        return unreadable(reply, &LOGIN);
    }
    let words = format!("{}: {}", refusal.error, refusal.error_description);
    let number = refusal.number().unwrap_or_default();
    match (reply.status.as_u16(), refusal.error.as_str()) {
        (429, _) => return throttled(reply.retry_after()),
        _ if number == 90_055 => return throttled(reply.retry_after()),
        (500..=599, _) | (_, "temporarily_unavailable" | "server_error") => {
            let cause = "the login service of Microsoft Entra ID cannot serve requests now".to_owned();
            return unreachable(ReasonCode::ProviderUnavailable, cause, words);
        }
        _ => {}
    }
    of_number(number, &words).unwrap_or_else(|| match refusal.error.as_str() {
        "invalid_scope" | "invalid_resource" => wrong_cloud(&words),
        "access_denied" | "interaction_required" | "consent_required" => blocked(&words),
        "unauthorized_client" => credentials(
            "Microsoft Entra ID does not accept the application",
            "check the application ID and the directory ID, and that the application is enabled",
            &words,
        ),
        _ => credentials(
            "Microsoft Entra ID does not accept the credentials of the service principal",
            "check the application ID, the directory ID and the client secret",
            &words,
        ),
    })
}

fn of_number(number: u64, words: &str) -> Option<EngineError> {
    Some(match number {
        7_000_215 => credentials(
            "the client secret is wrong, or was deleted at Azure",
            "enter the value of a client secret, which is not its ID, or create a new one",
            words,
        ),
        7_000_222 => credentials("the client secret has expired", "create a new client secret and enter it", words),
        7_000_216 | 7_000_218 => {
            credentials("the client secret is missing", "enter the value of a client secret", words)
        }
        700_016 | 7_000_229 => credentials(
            "the application does not exist in the tenant",
            "correct the application ID or the directory ID, or create a service principal for the application",
            words,
        ),
        7_000_112 => credentials(
            "the application is disabled at Azure",
            "enable its service principal, or use another application",
            words,
        ),
        90_002 | 900_021 | 900_023 => {
            credentials("the tenant does not exist, or is in another cloud of Azure", "correct the directory ID", words)
        }
        5_000_225 => rejected(
            ReasonCode::AccountDisabled,
            "the tenant is blocked at Azure because it was not used for a long time",
            Responsible::Admin,
            "ask Azure to enable the tenant again",
            words,
        ),
        53_003 | 53_011 | 530_034 | 530_035 | 50_105 => blocked(words),
        // Of a signed assertion, which a federated credential uses instead of a secret.
        700_024 | 500_133 => rejected(
            ReasonCode::HostMisconfigured,
            "Microsoft Entra ID does not accept the time of this machine's clock",
            Responsible::Operator,
            "correct the clock, and keep it synchronized with a time service",
            words,
        ),
        70_011 | 1_002_012 | 500_011 | 900_382 | 900_432 => wrong_cloud(words),
        _ => return None,
    })
}

fn credentials(cause: &str, next_step: &str, words: &str) -> EngineError {
    denied(ReasonCode::CredentialsRejected, cause, next_step, words)
}

fn blocked(words: &str) -> EngineError {
    denied(
        ReasonCode::PermissionDenied,
        "a policy of the tenant, such as Conditional Access, does not allow the service principal to log in",
        "allow the service principal or the addresses of this installation in the policy",
        words,
    )
}

fn wrong_cloud(words: &str) -> EngineError {
    rejected(
        ReasonCode::WrongEndpoint,
        "the login service does not know Azure Resource Manager at the configured address",
        Responsible::Operator,
        "correct KQUEEN_AKS_LOGIN_URL and KQUEEN_AKS_ARM_URL: both must belong to the same cloud",
        words,
    )
}
