//! Slow chores: what has been under way for too long ends, and old idempotency keys are forgotten.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use kqueen_adapters::storage::Stores;
use kqueen_domain::{port::clock::Clock, service::looks::Looks};
use tokio_util::sync::CancellationToken;

/// How often.
const ROUND: Duration = Duration::from_secs(10);
/// Every how many rounds old keys are forgotten.
const KEYS_EVERY: u32 = 60;
/// How long an idempotency key is kept.
const KEYS_KEPT: TimeDelta = TimeDelta::days(1);

/// Does the chores.
pub struct Upkeep {
    /// Ends what is overdue.
    pub looks: Arc<Looks>,
    /// Forgets keys.
    pub stores: Arc<Stores>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// After how long something under way is overdue.
    pub timeout: TimeDelta,
}

impl Upkeep {
    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut round = 0_u32;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(ROUND) => {}
            }
            if let Err(error) = self.looks.end_overdue(self.timeout).await {
                tracing::warn!(%error, "overdue clusters cannot be ended now");
            }
            round = round.wrapping_add(1);
            if round.is_multiple_of(KEYS_EVERY)
                && let Err(error) = self.stores.forget_claims(self.clock.now() - KEYS_KEPT).await
            {
                tracing::warn!(%error, "old idempotency keys cannot be removed now");
            }
        }
    }
}
