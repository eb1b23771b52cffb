//! The metrics of the store.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Counters and gauges of one open store; plain numbers, read with relaxed loads.
#[derive(Debug, Default)]
pub struct StoreCounters {
    /// Transactions that were committed.
    pub commits: AtomicU64,
    /// Transactions that were refused because a condition did not hold.
    pub refusals: AtomicU64,
    /// Transactions that failed, or whose outcome is unknown.
    pub failures: AtomicU64,
    /// Total time spent on transactions, in microseconds.
    pub commit_micros: AtomicU64,
    /// Transactions in progress.
    pub in_hand: AtomicU64,
    /// The newest revision the read model shows.
    pub fed_revision: AtomicU64,
    /// How often the read model was filled, including the start.
    pub fills: AtomicU64,
    /// Reads of the store's newest revision, made so that answers include the writes of other replicas; many answers share one.
    pub barrier_reads: AtomicU64,
    /// Secrets of clusters and provisioners that were read from the store because they were not cached or their record had changed.
    pub secret_reads: AtomicU64,
}

impl StoreCounters {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn add_time(total: &AtomicU64, time: Duration) {
        total.fetch_add(micros(time), Relaxed);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
