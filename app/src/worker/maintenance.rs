//! Periodic cleanup of the store: removes expired idempotency keys and tombstones.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use kqueen_adapters::storage::Stores;
use kqueen_domain::port::clock::Clock;
use tokio_util::sync::CancellationToken;

/// How often the cleanup runs.
const INTERVAL: Duration = Duration::from_secs(600);
/// How long an idempotency key is kept.
const KEYS_KEPT: TimeDelta = TimeDelta::days(1);
/// How long the history of a deleted cluster is kept.
const TOMBSTONES_KEPT: TimeDelta = TimeDelta::days(30);

/// Removes expired data from the store.
pub struct Maintenance {
    /// Storage.
    pub stores: Arc<Stores>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Maintenance {
    /// Runs until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
            let now = self.clock.now();
            if let Err(error) = self.stores.delete_idempotency_records(now - KEYS_KEPT).await {
                tracing::warn!(%error, "old idempotency keys cannot be removed now");
            }
            if let Err(error) = self.stores.clusters.forget_tombstones(now - TOMBSTONES_KEPT).await {
                tracing::warn!(%error, "tombstones of deleted clusters cannot be removed now");
            }
        }
    }
}
