//! The stored forms of timeline events and tombstones.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::{ClusterId, OperationId, OrganizationId, UserId},
    name::ResourceName,
    timeline::{EventKind, TimelineEvent, Tombstone},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Record, migrated_in,
    reason::{self, StoredReason},
    renamed, twins,
};

#[derive(Serialize, Deserialize)]
pub(crate) struct EventForm {
    cluster: ClusterId,
    at: DateTime<Utc>,
    kind: StoredEventKind,
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
enum StoredEventKind {
    Asked,
    Step,
    Ended,
    State,
}

twins!(EventKind, StoredEventKind { Asked, Step, Ended, State });

impl From<&TimelineEvent> for EventForm {
    fn from(event: &TimelineEvent) -> Self {
        Self {
            cluster: event.cluster,
            at: event.at,
            kind: event.kind.into(),
            message: event.message.clone(),
            operation: event.operation,
            by: event.by,
            reason: event.reason.clone().map(Into::into),
        }
    }
}

impl Record for TimelineEvent {
    type Form = EventForm;
    const KIND: &'static str = "timeline event";
    const FORMAT: u32 = 2;

    fn restored(form: EventForm) -> Option<Self> {
        Some(Self {
            cluster: form.cluster,
            at: form.at,
            kind: form.kind.into(),
            message: form.message,
            operation: form.operation,
            by: form.by,
            reason: form.reason.map(Into::into),
        })
    }

    /// Format 1 had another field name, and reasons without codes.
    fn migrated(from: u32, mut form: Value) -> Option<Value> {
        if from != 1 {
            return None;
        }
        renamed(&mut form, &[("happening", "kind")])?;
        migrated_in(&mut form, "reason", reason::migrated)?;
        Some(form)
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TombstoneForm {
    cluster: ClusterId,
    name: ResourceName,
    organization: OrganizationId,
    owner: UserId,
    at: DateTime<Utc>,
}

impl From<&Tombstone> for TombstoneForm {
    fn from(tombstone: &Tombstone) -> Self {
        let Tombstone { cluster, name, organization, owner, at } = tombstone.clone();
        Self { cluster, name, organization, owner, at }
    }
}

impl Record for Tombstone {
    type Form = TombstoneForm;
    const KIND: &'static str = "tombstone";
    const FORMAT: u32 = 1;

    fn restored(form: TombstoneForm) -> Option<Self> {
        let TombstoneForm { cluster, name, organization, owner, at } = form;
        Some(Self { cluster, name, organization, owner, at })
    }
}
