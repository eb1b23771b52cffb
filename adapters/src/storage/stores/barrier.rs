//! Waiting until the catalog is up to date.

use std::sync::Arc;

use async_trait::async_trait;
use kqueen_domain::port::store::{ReadBarrier, StoreError};

use crate::storage::core::Core;

pub(crate) struct Barrier(pub(crate) Arc<Core>);

#[async_trait]
impl ReadBarrier for Barrier {
    async fn caught_up(&self) -> Result<(), StoreError> {
        if self.0.backend.is_caught_up() {
            return Ok(());
        }
        self.0.backend.caught_up().await.map_err(StoreError::Unavailable)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.0.backend.ready().await.map_err(StoreError::Unavailable)?;
        self.0.model.complete()
    }
}
