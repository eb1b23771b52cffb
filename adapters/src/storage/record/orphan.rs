//! How orphans are stored.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::{ClusterId, OrganizationId, ProvisionerId, UserId},
    orphan::{Orphan, OrphanState},
};
use serde::{Deserialize, Serialize};

use super::{Record, ledger::StoredResourceRecord, reason::StoredReason};

#[derive(Serialize, Deserialize)]
pub(crate) struct Form {
    cluster: ClusterId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    organization: OrganizationId,
    provisioner: ProvisionerId,
    #[serde(rename = "rows")]
    resources: Vec<StoredResourceRecord>,
    stands: StoredState,
    listed_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen_at: Option<DateTime<Utc>>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum StoredState {
    Listed,
    Deleting {
        by: UserId,
        since: DateTime<Utc>,
        #[serde(rename = "trouble", default, skip_serializing_if = "Option::is_none")]
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
            stands: orphan.state.clone().into(),
            listed_at: orphan.listed_at,
            seen_at: orphan.seen_at,
        }
    }
}

impl Record for Orphan {
    type Form = Form;
    const KIND: &'static str = "orphan";
    const FORMAT: u32 = 1;

    fn restored(form: Form) -> Option<Self> {
        Some(Self {
            cluster: form.cluster,
            name: form.name,
            organization: form.organization,
            provisioner: form.provisioner,
            resources: form.resources.into_iter().map(Into::into).collect(),
            state: form.stands.into(),
            listed_at: form.listed_at,
            seen_at: form.seen_at,
        })
    }
}
