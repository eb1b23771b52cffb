//! How reasons are stored, as part of what failed.

use kqueen_domain::reason::{Fixer, Reason};
use serde::{Deserialize, Serialize};

use super::twins;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredReason {
    cause: String,
    fixer: StoredFixer,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    next_step: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    words: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredFixer {
    Requester,
    Admin,
    Operator,
    Provider,
}

twins!(Fixer, StoredFixer { Requester, Admin, Operator, Provider });

impl From<Reason> for StoredReason {
    fn from(reason: Reason) -> Self {
        let Reason { cause, fixer, next_step, words } = reason;
        Self { cause, fixer: fixer.into(), next_step, words }
    }
}

impl From<StoredReason> for Reason {
    fn from(stored: StoredReason) -> Self {
        let StoredReason { cause, fixer, next_step, words } = stored;
        Self { cause, fixer: fixer.into(), next_step, words }
    }
}
