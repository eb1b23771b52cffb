//! Orphans in answers.

use chrono::{DateTime, Utc};
use kqueen_domain::orphan::{Orphan, OrphanState};
use poem_openapi::{Enum, Object};
use serde::Serialize;
use uuid::Uuid;

use super::{
    operation::{Reason, Requester, Resource, resources},
    provisioner::ProvisionerView,
};

/// Where an orphan stands.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename = "OrphanState", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum OrphanStateWord {
    /// It waits for somebody to decide.
    Listed,
    /// Its deletion was asked for; it leaves the list when it has been seen to be gone.
    Deleting,
    /// Somebody decided that it may stay.
    Ignored,
}

/// What an orphan says of itself; the rest of [`OrphanView`] depends on others.
#[derive(Debug, Object, Serialize)]
pub struct OrphanRecord {
    /// Identity: that of the cluster it was made for.
    pub id: Uuid,
    /// What the cluster was called, if that is known.
    #[oai(nullable)]
    pub name: Option<String>,
    /// What is, or may be, there.
    pub resources: Vec<Resource>,
    /// Where it stands.
    pub state: OrphanStateWord,
    /// Since when; when it was listed, or somebody decided.
    pub state_changed_at: DateTime<Utc>,
    /// Why it is not gone yet, if it is to go.
    #[oai(nullable)]
    pub failure: Option<Reason>,
    /// When it was listed.
    pub listed_at: DateTime<Utc>,
    /// When it was first seen at the provider as it is; null if nobody has seen it: then it may have been made.
    #[oai(nullable)]
    pub seen_at: Option<DateTime<Utc>>,
}

impl From<&Orphan> for OrphanRecord {
    fn from(it: &Orphan) -> Self {
        let (state, state_changed_at, trouble) = match &it.state {
            OrphanState::Listed => (OrphanStateWord::Listed, it.listed_at, None),
            OrphanState::Deleting { since, last_error: trouble, .. } => {
                (OrphanStateWord::Deleting, *since, trouble.as_ref())
            }
            OrphanState::Ignored { since, .. } => (OrphanStateWord::Ignored, *since, None),
        };
        Self {
            id: it.cluster.uuid(),
            name: it.name.clone(),
            resources: resources(&it.resources),
            state,
            state_changed_at,
            failure: trouble.map(Reason::from),
            listed_at: it.listed_at,
            seen_at: it.seen_at,
        }
    }
}

/// Things at one provider that were made for a cluster that is not there any more, or may have been.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Orphan")]
pub struct OrphanView {
    /// What it says of itself.
    #[oai(flatten)]
    #[serde(flatten)]
    pub record: OrphanRecord,
    /// Who decided that it goes or stays; null while nobody has.
    #[oai(nullable)]
    pub decided_by: Option<Requester>,
    /// The provisioner it can be reached through; null if that is gone.
    #[oai(nullable)]
    pub provisioner: Option<ProvisionerView>,
    /// Its namespace; in lists that reach beyond the caller's organization.
    #[oai(rename = "_namespace", skip_serializing_if_is_none)]
    #[serde(rename = "_namespace", skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}
