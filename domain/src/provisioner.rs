//! Provisioners: an engine with its credentials and parameters, owned by an organization.

use chrono::{DateTime, Utc};

use crate::{
    document::Document,
    id::{OrganizationId, ProvisionerId, UserId},
    name::ResourceName,
    reason::ReasonCode,
};

/// The phase of a provisioner, from the last check of its credentials against the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProvisionerPhase {
    /// The provider accepted the credentials.
    Ready,
    /// The provider rejected the credentials, or the engine is not offered any more.
    Failed,
    /// The provider did not answer.
    NotReachable,
}

impl ProvisionerPhase {
    /// Every phase.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Failed, Self::NotReachable];

    /// The value in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "OK",
            Self::Failed => "Error",
            Self::NotReachable => "Not Reachable",
        }
    }
}

/// The result of checking a provisioner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its phase.
    pub phase: ProvisionerPhase,
    /// The reason code, if there is a problem.
    pub code: Option<ReasonCode>,
    /// Why, as text for people.
    pub reason: String,
    /// When it was checked.
    pub at: DateTime<Utc>,
}

/// The result of a background check. Stored separately from the provisioner, so that checks never conflict with updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The provisioner.
    pub provisioner: ProvisionerId,
    /// The result.
    pub check: Check,
    /// When `check.phase` last changed.
    pub state_changed_at: DateTime<Utc>,
}

/// An engine with its parameters. Secret parameters are stored separately, see
/// [`ProvisionerStore::secrets`](crate::port::store::ProvisionerStore::secrets).
#[derive(Debug, Clone, PartialEq)]
pub struct Provisioner {
    /// Its id.
    pub id: ProvisionerId,
    /// Its name.
    pub name: ResourceName,
    /// Name of its engine: `kqueen.engines.ManualEngine`.
    pub engine: Box<str>,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its owner.
    pub owner: UserId,
    /// The engine's parameters; secret parts are masked.
    pub parameters: Document,
    /// The result of the last check.
    pub check: Check,
    /// When `check.phase` last changed.
    pub state_changed_at: DateTime<Utc>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}
