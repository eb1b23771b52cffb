//! Orphans: things at a provider that carry our ownership tag and belong to no cluster any more, or may be there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{ClusterId, OrganizationId, ProvisionerId, UserId},
    ledger::ResourceRecord,
    reason::Reason,
};

/// Where an orphan stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum OrphanState {
    /// It waits for somebody to decide.
    Listed,
    /// Its deletion was asked for; it leaves the list when it has been seen to be gone.
    Deleting {
        /// Who asked.
        by: UserId,
        /// When.
        since: DateTime<Utc>,
        /// Why it is not gone yet.
        last_error: Option<Reason>,
    },
    /// Somebody decided that it may stay.
    Ignored {
        /// Who.
        by: UserId,
        /// When.
        since: DateTime<Utc>,
    },
}

/// Everything at one provider that was made for a cluster that is not there any more. Named by the cluster's id, which it carries
/// in its ownership tag: however often and by whomever it is found, it is one orphan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// The cluster it was made for.
    pub cluster: ClusterId,
    /// What the cluster was called, if that is known.
    pub name: Option<String>,
    /// The tenant it belongs to.
    pub organization: OrganizationId,
    /// With whose credentials it can be reached.
    pub provisioner: ProvisionerId,
    /// What is, or may be, there.
    pub resources: Vec<ResourceRecord>,
    /// Where it stands.
    pub state: OrphanState,
    /// When it was listed.
    pub listed_at: DateTime<Utc>,
    /// When it was last seen at the provider; `None` if nobody has seen it.
    pub seen_at: Option<DateTime<Utc>>,
}
