//! The stored form of reasons, as part of what failed.

use kqueen_domain::reason::{Reason, Responsible};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{code::code_of, renamed, twins};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredReason {
    code: String,
    cause: String,
    responsible: StoredResponsible,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    next_step: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
        Self { code: code.as_str().to_owned(), cause, responsible: responsible.into(), next_step, provider_message }
    }
}

impl From<StoredReason> for Reason {
    fn from(stored: StoredReason) -> Self {
        let StoredReason { code, cause, responsible, next_step, provider_message } = stored;
        let code = code_of(Some(&code), &cause);
        Self { code, cause, responsible: responsible.into(), next_step, provider_message }
    }
}

/// Migrates the form of version 0.1, which had other field names and no code.
pub(super) fn migrated(reason: &mut Value) -> Option<()> {
    renamed(reason, &[("fixer", "responsible"), ("words", "provider_message")])?;
    let fields = reason.as_object_mut()?;
    if !fields.contains_key("code") {
        let code = code_of(None, fields.get("cause")?.as_str()?);
        fields.insert("code".to_owned(), code.as_str().into());
    }
    Some(())
}
