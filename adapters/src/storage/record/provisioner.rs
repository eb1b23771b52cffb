//! How a provisioner is stored. Its secret parameters are sealed and stored apart.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::{OrganizationId, ProvisionerId, UserId},
    name::ResourceName,
    provisioner::{Check, Provisioner, ProvisionerPhase},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Record, embedded, extracted};

#[derive(Serialize, Deserialize)]
pub(crate) struct Form {
    id: ProvisionerId,
    name: ResourceName,
    engine: Box<str>,
    organization: OrganizationId,
    owner: UserId,
    parameters: Box<RawValue>,
    check: StoredCheck,
    state_changed_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct StoredCheck {
    phase: StoredPhase,
    reason: String,
    at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredPhase {
    Ready,
    Failed,
    NotReachable,
}

impl From<&Provisioner> for Form {
    fn from(provisioner: &Provisioner) -> Self {
        let check = &provisioner.check;
        Self {
            id: provisioner.id,
            name: provisioner.name.clone(),
            engine: provisioner.engine.clone(),
            organization: provisioner.organization,
            owner: provisioner.owner,
            parameters: embedded(&provisioner.parameters),
            check: StoredCheck {
                phase: match check.phase {
                    ProvisionerPhase::Ready => StoredPhase::Ready,
                    ProvisionerPhase::Failed => StoredPhase::Failed,
                    ProvisionerPhase::NotReachable => StoredPhase::NotReachable,
                },
                reason: check.reason.clone(),
                at: check.at,
            },
            state_changed_at: provisioner.state_changed_at,
            created_at: provisioner.created_at,
        }
    }
}

impl Record for Provisioner {
    type Form = Form;
    const KIND: &'static str = "provisioner";
    const FORMAT: u32 = 1;

    fn restored(form: Form) -> Option<Self> {
        Some(Self {
            id: form.id,
            name: form.name,
            engine: form.engine,
            organization: form.organization,
            owner: form.owner,
            parameters: extracted(&form.parameters)?,
            check: Check {
                phase: match form.check.phase {
                    StoredPhase::Ready => ProvisionerPhase::Ready,
                    StoredPhase::Failed => ProvisionerPhase::Failed,
                    StoredPhase::NotReachable => ProvisionerPhase::NotReachable,
                },
                reason: form.check.reason,
                at: form.check.at,
            },
            state_changed_at: form.state_changed_at,
            created_at: form.created_at,
        })
    }
}
