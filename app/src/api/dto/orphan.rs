//! Orphans in responses.

use chrono::{DateTime, Utc};
use kqueen_domain::orphan::{Orphan, OrphanState};
use poem_openapi::{Enum, Object};
use serde::Serialize;
use uuid::Uuid;

use super::{
    operation::{Reason, Requester, Resource, resources},
    provisioner::ProvisionerView,
};

/// The state of an orphan.
///
/// - `listed`: No decision was made yet.
/// - `deleting`: Its deletion was requested. It leaves the list when the deletion is confirmed.
/// - `ignored`: A user decided to ignore it.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename = "OrphanState", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the values are explained above")]
pub enum OrphanStateView {
    Listed,
    Deleting,
    Ignored,
}

/// The fields of an orphan's record; the other fields of [`OrphanView`] come from other records.
#[derive(Debug, Object, Serialize)]
pub struct OrphanRecord {
    /// Its id, which is the id of the cluster it was created for.
    pub id: Uuid,
    /// The name of the cluster; null if it is not known.
    #[oai(nullable)]
    pub name: Option<String>,
    /// The resources that exist, or may exist.
    pub resources: Vec<Resource>,
    /// Its state.
    pub state: OrphanStateView,
    /// When it entered this state.
    pub state_changed_at: DateTime<Utc>,
    /// Why its deletion has not succeeded yet; null otherwise.
    #[oai(nullable)]
    pub failure: Option<Reason>,
    /// When it was listed.
    pub listed_at: DateTime<Utc>,
    /// When it was first observed at the provider; null if it has not been observed, so that it may not exist.
    #[oai(nullable)]
    pub seen_at: Option<DateTime<Utc>>,
}

impl From<&Orphan> for OrphanRecord {
    fn from(it: &Orphan) -> Self {
        let (state, state_changed_at, last_error) = match &it.state {
            OrphanState::Listed => (OrphanStateView::Listed, it.listed_at, None),
            OrphanState::Deleting { since, last_error, .. } => (OrphanStateView::Deleting, *since, last_error.as_ref()),
            OrphanState::Ignored { since, .. } => (OrphanStateView::Ignored, *since, None),
        };
        Self {
            id: it.cluster.uuid(),
            name: it.name.clone(),
            resources: resources(&it.resources),
            state,
            state_changed_at,
            failure: last_error.map(Reason::from),
            listed_at: it.listed_at,
            seen_at: it.seen_at,
        }
    }
}

/// Resources at a provider that were created, or may have been created, for a cluster that no longer exists.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Orphan")]
pub struct OrphanView {
    /// The record.
    #[oai(flatten)]
    #[serde(flatten)]
    pub record: OrphanRecord,
    /// Who decided to delete or ignore it; null if nobody has decided yet.
    #[oai(nullable)]
    pub decided_by: Option<Requester>,
    /// The provisioner through which it can be reached; null if that was deleted.
    #[oai(nullable)]
    pub provisioner: Option<ProvisionerView>,
    /// Its namespace. Only in lists that include other organizations than the caller's.
    #[oai(rename = "_namespace", skip_serializing_if_is_none)]
    #[serde(rename = "_namespace", skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}
