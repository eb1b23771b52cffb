//! How entries of a timeline are stored, and clusters that have left.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::{ClusterId, OperationId, OrganizationId, UserId},
    name::ResourceName,
    timeline::{Departed, Entry, Happening},
};
use serde::{Deserialize, Serialize};

use super::{Record, reason::StoredReason, twins};

#[derive(Serialize, Deserialize)]
pub(crate) struct EntryForm {
    cluster: ClusterId,
    at: DateTime<Utc>,
    happening: StoredHappening,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<OperationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<StoredReason>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredHappening {
    Asked,
    Step,
    Ended,
    State,
}

twins!(Happening, StoredHappening { Asked, Step, Ended, State });

impl From<&Entry> for EntryForm {
    fn from(entry: &Entry) -> Self {
        Self {
            cluster: entry.cluster,
            at: entry.at,
            happening: entry.happening.into(),
            message: entry.message.clone(),
            operation: entry.operation,
            by: entry.by,
            reason: entry.reason.clone().map(Into::into),
        }
    }
}

impl Record for Entry {
    type Form = EntryForm;
    const KIND: &'static str = "timeline entry";
    const FORMAT: u32 = 1;

    fn restored(form: EntryForm) -> Option<Self> {
        Some(Self {
            cluster: form.cluster,
            at: form.at,
            happening: form.happening.into(),
            message: form.message,
            operation: form.operation,
            by: form.by,
            reason: form.reason.map(Into::into),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct DepartedForm {
    cluster: ClusterId,
    name: ResourceName,
    organization: OrganizationId,
    owner: UserId,
    at: DateTime<Utc>,
}

impl From<&Departed> for DepartedForm {
    fn from(departed: &Departed) -> Self {
        let Departed { cluster, name, organization, owner, at } = departed.clone();
        Self { cluster, name, organization, owner, at }
    }
}

impl Record for Departed {
    type Form = DepartedForm;
    const KIND: &'static str = "departed cluster";
    const FORMAT: u32 = 1;

    fn restored(form: DepartedForm) -> Option<Self> {
        let DepartedForm { cluster, name, organization, owner, at } = form;
        Some(Self { cluster, name, organization, owner, at })
    }
}
