//! How ledgers are stored, and the records of resources wherever they are kept.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::ClusterId,
    ledger::{Ledger, ProviderResource, RecordState, ResourceRecord, ResourceRef},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Record, migrated_each, renamed, twins};

#[derive(Serialize, Deserialize)]
pub(crate) struct Form {
    cluster: ClusterId,
    resources: Vec<StoredResourceRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uncertain_until: Option<DateTime<Utc>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredResourceRecord {
    kind: String,
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    location: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_id: Option<String>,
    state: StoredRecordState,
    since: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredRecordState {
    Intended,
    Present,
    Deleting,
    Gone,
}

twins!(RecordState, StoredRecordState { Intended, Present, Deleting, Gone });

impl From<ResourceRecord> for StoredResourceRecord {
    fn from(row: ResourceRecord) -> Self {
        let ResourceRecord {
            resource: ProviderResource { name: ResourceRef { kind, name, location }, provider_id },
            state,
            since,
        } = row;
        Self { kind, name, location, provider_id, state: state.into(), since }
    }
}

impl From<StoredResourceRecord> for ResourceRecord {
    fn from(row: StoredResourceRecord) -> Self {
        let StoredResourceRecord { kind, name, location, provider_id, state, since } = row;
        Self {
            resource: ProviderResource { name: ResourceRef { kind, name, location }, provider_id },
            state: state.into(),
            since,
        }
    }
}

impl From<&Ledger> for Form {
    fn from(ledger: &Ledger) -> Self {
        Self {
            cluster: ledger.cluster,
            resources: ledger.resources.iter().cloned().map(Into::into).collect(),
            uncertain_until: ledger.uncertain_until,
        }
    }
}

impl Record for Ledger {
    type Form = Form;
    const KIND: &'static str = "ledger";
    const FORMAT: u32 = 2;

    fn restored(form: Form) -> Option<Self> {
        Some(Self {
            cluster: form.cluster,
            resources: form.resources.into_iter().map(Into::into).collect(),
            uncertain_until: form.uncertain_until,
        })
    }

    /// Format 1 had other names.
    fn migrated(from: u32, mut form: Value) -> Option<Value> {
        if from != 1 {
            return None;
        }
        rows_migrated(&mut form)?;
        Some(form)
    }
}

/// Brings up to date what version 0.1 called rows, each with a place.
pub(super) fn rows_migrated(form: &mut Value) -> Option<()> {
    renamed(form, &[("rows", "resources")])?;
    migrated_each(form, "resources", |row| renamed(row, &[("place", "location")]))
}
