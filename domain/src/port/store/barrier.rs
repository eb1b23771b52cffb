//! How far the read model is.

use async_trait::async_trait;

use super::StoreError;

/// Tells how far the catalog is.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ReadBarrier: Send + Sync {
    /// Returns once the catalog shows every write that any replica acknowledged before this call. `Unavailable` when that cannot be
    /// known within a few seconds.
    async fn caught_up(&self) -> Result<(), StoreError>;
    /// Whether the store answers and the catalog has been filled; what is missing, if not.
    async fn ready(&self) -> Result<(), StoreError>;
}
