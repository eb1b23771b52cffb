//! How ledgers are stored, and their rows wherever they are kept.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::ClusterId,
    ledger::{Ledger, Row, RowState, Thing, ThingName},
};
use serde::{Deserialize, Serialize};

use super::{Record, twins};

#[derive(Serialize, Deserialize)]
pub(crate) struct Form {
    cluster: ClusterId,
    rows: Vec<StoredRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uncertain_until: Option<DateTime<Utc>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredRow {
    kind: String,
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    place: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_id: Option<String>,
    state: StoredRowState,
    since: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredRowState {
    Intended,
    Present,
    Deleting,
    Gone,
}

twins!(RowState, StoredRowState { Intended, Present, Deleting, Gone });

impl From<Row> for StoredRow {
    fn from(row: Row) -> Self {
        let Row { thing: Thing { name: ThingName { kind, name, place }, provider_id }, state, since } = row;
        Self { kind, name, place, provider_id, state: state.into(), since }
    }
}

impl From<StoredRow> for Row {
    fn from(row: StoredRow) -> Self {
        let StoredRow { kind, name, place, provider_id, state, since } = row;
        Self { thing: Thing { name: ThingName { kind, name, place }, provider_id }, state: state.into(), since }
    }
}

impl From<&Ledger> for Form {
    fn from(ledger: &Ledger) -> Self {
        Self {
            cluster: ledger.cluster,
            rows: ledger.rows.iter().cloned().map(Into::into).collect(),
            uncertain_until: ledger.uncertain_until,
        }
    }
}

impl Record for Ledger {
    type Form = Form;
    const KIND: &'static str = "ledger";
    const FORMAT: u32 = 1;

    fn restored(form: Form) -> Option<Self> {
        Some(Self {
            cluster: form.cluster,
            rows: form.rows.into_iter().map(Into::into).collect(),
            uncertain_until: form.uncertain_until,
        })
    }
}
