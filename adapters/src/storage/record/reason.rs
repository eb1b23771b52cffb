//! How reasons are stored, as part of what failed.

use kqueen_domain::reason::{Reason, Responsible};
use serde::{Deserialize, Serialize};

use super::twins;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredReason {
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
        let Reason { cause, responsible, next_step, provider_message } = reason;
        Self { cause, responsible: responsible.into(), next_step, provider_message }
    }
}

impl From<StoredReason> for Reason {
    fn from(stored: StoredReason) -> Self {
        let StoredReason { cause, responsible, next_step, provider_message } = stored;
        Self { cause, responsible: responsible.into(), next_step, provider_message }
    }
}
