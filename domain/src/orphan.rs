//! Orphans: resources that exist or may exist at a provider with our ownership tag, but belong to no cluster any more.

use chrono::{DateTime, Utc};

use crate::{
    id::{ClusterId, OrganizationId, ProvisionerId, UserId},
    ledger::ResourceRecord,
    reason::Reason,
};

/// The state of an orphan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrphanState {
    /// Undecided.
    Listed,
    /// Its deletion was requested. It is removed from the list once its absence was observed.
    Deleting {
        /// Who requested it.
        by: UserId,
        /// When.
        since: DateTime<Utc>,
        /// Why it is not deleted yet.
        last_error: Option<Reason>,
    },
    /// It was decided to keep it.
    Ignored {
        /// Who decided.
        by: UserId,
        /// When.
        since: DateTime<Utc>,
    },
}

/// All resources at one provider of a cluster that does not exist any more. Identified by the cluster's id in their ownership tag, so
/// that they are one orphan however often they are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The cluster it was created for.
    pub cluster: ClusterId,
    /// The name of the cluster, if known.
    pub name: Option<String>,
    /// Its organization.
    pub organization: OrganizationId,
    /// The provisioner whose credentials give access to it.
    pub provisioner: ProvisionerId,
    /// The resources that exist or may exist.
    pub resources: Vec<ResourceRecord>,
    /// Its state.
    pub state: OrphanState,
    /// When it was listed.
    pub listed_at: DateTime<Utc>,
    /// When it was last observed at the provider, if ever.
    pub seen_at: Option<DateTime<Utc>>,
}
