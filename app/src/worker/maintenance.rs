//! Slow chores in the store: what was kept for a while is forgotten.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use kqueen_adapters::storage::Stores;
use kqueen_domain::port::clock::Clock;
use tokio_util::sync::CancellationToken;

/// How often.
const ROUND: Duration = Duration::from_secs(600);
/// How long an idempotency key is kept.
const KEYS_KEPT: TimeDelta = TimeDelta::days(1);
/// How long the story of a cluster that has left is kept.
const TOMBSTONES_KEPT: TimeDelta = TimeDelta::days(30);

/// Does the chores.
pub struct Maintenance {
    /// Where things are kept.
    pub stores: Arc<Stores>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Maintenance {
    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(ROUND) => {}
            }
            let now = self.clock.now();
            if let Err(error) = self.stores.forget_claims(now - KEYS_KEPT).await {
                tracing::warn!(%error, "old idempotency keys cannot be removed now");
            }
            if let Err(error) = self.stores.clusters.forget_tombstones(now - TOMBSTONES_KEPT).await {
                tracing::warn!(%error, "what was kept of clusters that left cannot be removed now");
            }
        }
    }
}
