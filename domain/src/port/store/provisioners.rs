//! Storage of provisioners.

use async_trait::async_trait;

use super::{Creation, IdempotencyRecord, SecretUpdate, StoreError};
use crate::{
    id::ProvisionerId,
    port::leader::Term,
    provisioner::{Checked, Provisioner},
    revision::Revision,
    secret::SecretDocument,
};

/// Stores provisioners.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ProvisionerStore: Send + Sync {
    /// Stores a new provisioner. `Dangling{organization, owner}`.
    async fn create(
        &self,
        provisioner: &Provisioner,
        secrets: SecretUpdate<SecretDocument>,
        idempotency: Option<IdempotencyRecord>,
    ) -> Result<Creation<Provisioner>, StoreError>;
    /// The provisioner that the same caller created with the same key within the last day, and the hash of that request. A repeated
    /// request is answered like the first, whatever has changed since.
    async fn created_with(&self, idempotency: &IdempotencyRecord) -> Result<Option<(Provisioner, bool)>, StoreError>;
    /// Replaces one. `Missing`, `Conflict`, `Dangling{owner}`. Engine and organization never change.
    async fn update(
        &self,
        provisioner: &Provisioner,
        secrets: SecretUpdate<SecretDocument>,
        expected: Revision,
    ) -> Result<Revision, StoreError>;
    /// Replaces the result of the last background check. Does not change the provisioner's revision. `Missing`, `NotLeader`.
    async fn record_check(&self, checked: &Checked, term: Term) -> Result<(), StoreError>;
    /// Deletes one with its secrets. `Missing`, `Conflict`, `InUse`.
    async fn delete(&self, id: ProvisionerId, expected: Revision) -> Result<(), StoreError>;
    /// `parameters` including their secret parts, if there are any.
    async fn secrets(&self, id: ProvisionerId) -> Result<Option<SecretDocument>, StoreError>;
}
