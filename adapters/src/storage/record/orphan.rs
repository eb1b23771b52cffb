//! The stored form of orphans.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::{ClusterId, OrganizationId, ProvisionerId, UserId},
    orphan::{Orphan, OrphanState},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Record,
    ledger::{StoredResourceRecord, resources_migrated},
    migrated_in,
    reason::{self, StoredReason},
    renamed,
};

#[derive(Serialize, Deserialize)]
pub(crate) struct Form {
    cluster: ClusterId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    organization: OrganizationId,
    provisioner: ProvisionerId,
    resources: Vec<StoredResourceRecord>,
    state: StoredState,
    listed_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen_at: Option<DateTime<Utc>>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum StoredState {
    Listed,
    Deleting {
        by: UserId,
        since: DateTime<Utc>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_error: Option<StoredReason>,
    },
    Ignored {
        by: UserId,
        since: DateTime<Utc>,
    },
}

impl From<OrphanState> for StoredState {
    fn from(state: OrphanState) -> Self {
        match state {
            OrphanState::Listed => Self::Listed,
            OrphanState::Deleting { by, since, last_error } => {
                Self::Deleting { by, since, last_error: last_error.map(Into::into) }
            }
            OrphanState::Ignored { by, since } => Self::Ignored { by, since },
        }
    }
}

impl From<StoredState> for OrphanState {
    fn from(state: StoredState) -> Self {
        match state {
            StoredState::Listed => Self::Listed,
            StoredState::Deleting { by, since, last_error } => {
                Self::Deleting { by, since, last_error: last_error.map(Into::into) }
            }
            StoredState::Ignored { by, since } => Self::Ignored { by, since },
        }
    }
}

impl From<&Orphan> for Form {
    fn from(orphan: &Orphan) -> Self {
        Self {
            cluster: orphan.cluster,
            name: orphan.name.clone(),
            organization: orphan.organization,
            provisioner: orphan.provisioner,
            resources: orphan.resources.iter().cloned().map(Into::into).collect(),
            state: orphan.state.clone().into(),
            listed_at: orphan.listed_at,
            seen_at: orphan.seen_at,
        }
    }
}

impl Record for Orphan {
    type Form = Form;
    const KIND: &'static str = "orphan";
    const FORMAT: u32 = 2;

    fn restored(form: Form) -> Option<Self> {
        Some(Self {
            cluster: form.cluster,
            name: form.name,
            organization: form.organization,
            provisioner: form.provisioner,
            resources: form.resources.into_iter().map(Into::into).collect(),
            state: form.state.into(),
            listed_at: form.listed_at,
            seen_at: form.seen_at,
        })
    }

    /// Format 1 had other field names, and reasons without codes.
    fn migrated(from: u32, mut form: Value) -> Option<Value> {
        if from != 1 {
            return None;
        }
        resources_migrated(&mut form)?;
        renamed(&mut form, &[("stands", "state")])?;
        migrated_in(&mut form, "state", |state| {
            renamed(state, &[("state", "kind"), ("trouble", "last_error")])?;
            migrated_in(state, "last_error", reason::migrated)
        })?;
        Some(form)
    }
}
