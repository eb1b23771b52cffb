//! Waiting until the read model is up to date.

use async_trait::async_trait;

use super::StoreError;

/// Waits until the catalog is up to date.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ReadBarrier: Send + Sync {
    /// Returns once the catalog shows every write that any replica acknowledged before this call. `Unavailable` when that cannot be
    /// determined within a few seconds.
    async fn caught_up(&self) -> Result<(), StoreError>;
    /// Ok if the store answers and the catalog has been loaded; otherwise what is missing.
    async fn ready(&self) -> Result<(), StoreError>;
}
