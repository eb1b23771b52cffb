//! Storage of organizations.

use async_trait::async_trait;

use super::StoreError;
use crate::{id::OrganizationId, organization::Organization, revision::Revision};

/// Stores organizations. A namespace never changes.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait OrganizationStore: Send + Sync {
    /// Stores a new organization. `Taken{namespace}`.
    async fn create(&self, organization: &Organization) -> Result<Revision, StoreError>;
    /// Replaces one. `Missing`, `Conflict`.
    async fn update(&self, organization: &Organization, expected: Revision) -> Result<Revision, StoreError>;
    /// Deletes one. `Missing`, `Conflict`, `InUse`.
    async fn delete(&self, id: OrganizationId, expected: Revision) -> Result<(), StoreError>;
}
