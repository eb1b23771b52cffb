//! Provisioners: an engine plus the credentials and parameters to use it, owned by an organization.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    document::Document,
    id::{OrganizationId, ProvisionerId, UserId},
    name::ResourceName,
    reason::ReasonCode,
};

/// How a provisioner stands, after its credentials were last checked against the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvisionerPhase {
    /// The provider accepted the credentials.
    Ready,
    /// The provider answered and refused, or the engine is not offered any more.
    Failed,
    /// The provider did not answer.
    NotReachable,
}

impl ProvisionerPhase {
    /// Every phase.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Failed, Self::NotReachable];

    /// The word programs use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "OK",
            Self::Failed => "Error",
            Self::NotReachable => "Not Reachable",
        }
    }
}

/// What a check of a provisioner found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// How it stands.
    pub phase: ProvisionerPhase,
    /// What is the matter, if anything is.
    pub code: Option<ReasonCode>,
    /// Why, in plain words.
    pub reason: String,
    /// When it was checked.
    pub at: DateTime<Utc>,
}

/// What a check in the background found. Stored apart from the provisioner, so that checking collides with nobody's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The provisioner.
    pub provisioner: ProvisionerId,
    /// What was found.
    pub check: Check,
    /// When `check.phase` last became what it is.
    pub state_changed_at: DateTime<Utc>,
}

/// An engine with what is needed to use it. Secret parameters are kept apart, see
/// [`ProvisionerStore::secrets`](crate::port::store::ProvisionerStore::secrets).
#[derive(Debug, Clone, PartialEq)]
pub struct Provisioner {
    /// Identity.
    pub id: ProvisionerId,
    /// What it is called.
    pub name: ResourceName,
    /// Name of its engine: `kqueen.engines.ManualEngine`.
    pub engine: Box<str>,
    /// The tenant it lives in.
    pub organization: OrganizationId,
    /// Who owns it.
    pub owner: UserId,
    /// What the engine needs, secret parts masked.
    pub parameters: Document,
    /// What the last check found.
    pub check: Check,
    /// When `check.phase` last became what it is.
    pub state_changed_at: DateTime<Utc>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}
