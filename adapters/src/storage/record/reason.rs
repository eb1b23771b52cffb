//! How reasons are stored, as part of what failed.

use kqueen_domain::reason::{Reason, Responsible};
use serde::{Deserialize, Serialize};

use super::{code::code_of, twins};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredReason {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    cause: String,
    #[serde(rename = "fixer")]
    responsible: StoredResponsible,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    next_step: String,
    #[serde(rename = "words", default, skip_serializing_if = "Option::is_none")]
    provider_message: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredResponsible {
    Requester,
    Admin,
    Operator,
    Provider,
}

twins!(Responsible, StoredResponsible { Requester, Admin, Operator, Provider });

impl From<Reason> for StoredReason {
    fn from(reason: Reason) -> Self {
        let Reason { code, cause, responsible, next_step, provider_message } = reason;
        Self {
            code: Some(code.as_str().to_owned()),
            cause,
            responsible: responsible.into(),
            next_step,
            provider_message,
        }
    }
}

impl From<StoredReason> for Reason {
    fn from(stored: StoredReason) -> Self {
        let StoredReason { code, cause, responsible, next_step, provider_message } = stored;
        let code = code_of(code.as_deref(), &cause);
        Self { code, cause, responsible: responsible.into(), next_step, provider_message }
    }
}
