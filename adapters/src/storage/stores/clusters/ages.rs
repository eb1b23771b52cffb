//! When clusters were last observed, written for many of them at once.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::ClusterId,
    port::{leader::Term, store::StoreError},
};

use crate::storage::{
    ages::Shard,
    backend::{CommitError, Refusal, Test, Transaction},
    core::Core,
    key::{Key, Shown},
};

/// How many shards are written at once, and how many bytes: etcd accepts 1.5 MiB in one transaction.
const SHARDS_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: usize = 768 * 1024;

/// How often a write is repeated that conflicts with one of another replica.
const RETRIES: usize = 10;

pub(super) type ObservationTimes = Vec<(ClusterId, DateTime<Utc>)>;

/// Records when clusters were observed.
pub(super) async fn record(core: &Core, observed_at: ObservationTimes, term: Option<Term>) -> Result<(), StoreError> {
    let mut due: BTreeMap<Shard, ObservationTimes> = BTreeMap::new();
    for (i, (cluster, at)) in observed_at.into_iter().enumerate() {
        // Tens of thousands may come at once.
        if i % 1000 == 999 {
            tokio::task::yield_now().await;
        }
        if core.model.catalog.cluster(cluster).is_some() {
            due.entry(Shard::of(cluster)).or_default().push((cluster, at));
        }
    }
    let mut retries = 0;
    while !due.is_empty() {
        let (transaction, taken) = next(core, &mut due, term);
        if taken.is_empty() {
            break;
        }
        match core.commit(transaction).await {
            Ok(_) => {}
            // Another replica wrote one of these shards: read its times and write again.
            Err(CommitError::Refused(Refusal::Conflict)) if retries < RETRIES => {
                retries += 1;
                due.extend(taken);
                core.backend.caught_up().await.map_err(StoreError::Unavailable)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Moves as many shards from `due` into one transaction as fit. Shards without changes need no write.
fn next(
    core: &Core,
    due: &mut BTreeMap<Shard, ObservationTimes>,
    term: Option<Term>,
) -> (Transaction, BTreeMap<Shard, ObservationTimes>) {
    let (mut transaction, mut taken, mut bytes) = (Transaction::default(), BTreeMap::new(), 0);
    transaction.within(term);
    while taken.len() < SHARDS_AT_ONCE
        && bytes < BYTES_AT_ONCE
        && let Some((shard, times)) = due.pop_first()
    {
        let mut page = core.model.ages.page(shard);
        if !page.advance(&times) {
            continue;
        }
        let key: Key = Shown::Ages(shard).into();
        let test = if page.revision == 0 { Test::Absent } else { Test::At(page.revision) };
        let written = page.written();
        bytes += written.len();
        transaction.require(key.clone(), test, Refusal::Conflict).put(key, written);
        taken.insert(shard, times);
    }
    (transaction, taken)
}
