//! The stored form of a provisioner, and of the result of its last check. Its secret parameters are sealed and stored separately.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::{OrganizationId, ProvisionerId, UserId},
    name::ResourceName,
    provisioner::{Check, Checked, Provisioner, ProvisionerPhase},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Record, code::code_of, embedded, extracted, twins};

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
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

twins!(ProvisionerPhase, StoredPhase { Ready, Failed, NotReachable });

impl From<Check> for StoredCheck {
    fn from(check: Check) -> Self {
        let Check { phase, code, reason, at } = check;
        Self { phase: phase.into(), code: code.map(|code| code.to_string()), reason, at }
    }
}

impl From<StoredCheck> for Check {
    fn from(check: StoredCheck) -> Self {
        let StoredCheck { phase, code, reason, at } = check;
        let phase = phase.into();
        // A ready provisioner has no code, and neither has any check that version 0.1 wrote.
        let code = (phase != ProvisionerPhase::Ready).then(|| code_of(code.as_deref(), &reason));
        Self { phase, code, reason, at }
    }
}

impl From<&Provisioner> for Form {
    fn from(provisioner: &Provisioner) -> Self {
        Self {
            id: provisioner.id,
            name: provisioner.name.clone(),
            engine: provisioner.engine.clone(),
            organization: provisioner.organization,
            owner: provisioner.owner,
            parameters: embedded(&provisioner.parameters),
            check: provisioner.check.clone().into(),
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
            check: form.check.into(),
            state_changed_at: form.state_changed_at,
            created_at: form.created_at,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct CheckedForm {
    provisioner: ProvisionerId,
    check: StoredCheck,
    state_changed_at: DateTime<Utc>,
}

impl From<&Checked> for CheckedForm {
    fn from(checked: &Checked) -> Self {
        let Checked { provisioner, check, state_changed_at } = checked.clone();
        Self { provisioner, check: check.into(), state_changed_at }
    }
}

impl Record for Checked {
    type Form = CheckedForm;
    const KIND: &'static str = "check";
    const FORMAT: u32 = 1;

    fn restored(form: CheckedForm) -> Option<Self> {
        let CheckedForm { provisioner, check, state_changed_at } = form;
        Some(Self { provisioner, check: check.into(), state_changed_at })
    }
}
