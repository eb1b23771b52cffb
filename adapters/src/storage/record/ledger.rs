//! The stored form of ledgers, and of resource records wherever they are stored.

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
    fn from(record: ResourceRecord) -> Self {
        let ResourceRecord {
            resource: ProviderResource { name: ResourceRef { kind, name, location }, provider_id },
            state,
            since,
        } = record;
        Self { kind, name, location, provider_id, state: state.into(), since }
    }
}

impl From<StoredResourceRecord> for ResourceRecord {
    fn from(record: StoredResourceRecord) -> Self {
        let StoredResourceRecord { kind, name, location, provider_id, state, since } = record;
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

    /// Format 1 had other field names.
    fn migrated(from: u32, mut form: Value) -> Option<Value> {
        if from != 1 {
            return None;
        }
        resources_migrated(&mut form)?;
        Some(form)
    }
}

/// Migrates resource records of version 0.1, which called them `rows`, each with a `place`.
pub(super) fn resources_migrated(form: &mut Value) -> Option<()> {
    renamed(form, &[("rows", "resources")])?;
    migrated_each(form, "resources", |record| renamed(record, &[("place", "location")]))
}
