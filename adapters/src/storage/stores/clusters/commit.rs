//! What is written together with a cluster.
//!
//! A commit is one transaction, and etcd takes 128 operations and 1.5 MiB in one. Beside operations, old operations that are forgotten
//! and entries of the timeline, of which the caller decides how many there are, a commit has at most 15 writes (the record, its observed status,
//! ledger, departure and orphan, references, secrets) and 6 conditions. Callers write a handful of each together; more than fits is
//! refused before anything is sent, on every backend alike.
//!
//! In bytes: a kubeconfig has at most 256 kB, a free-form document 64 kB, an operation 40 steps of which each may tell 2,000 characters
//! of its provider. All of that at its largest, in one commit, stays below 1.2 MiB.

use kqueen_domain::{
    id::ClusterId,
    orphan::Orphan,
    port::store::{ClusterCommit, StoreError},
};

use super::Clusters;
use crate::storage::{
    backend::{CommitError, Stored, Transaction},
    key::{self, Key},
    record,
    stores::orphans::list,
    timeline::places,
};

/// Most writes, and most conditions. Of etcd's 128 one is left for its clock, one for an idempotency key.
const MOST: usize = 126;

/// Refuses a transaction that etcd would not take.
pub(super) fn fits(transaction: &Transaction) -> Result<(), CommitError> {
    let most = transaction.writes.len().max(transaction.conditions.len());
    if most <= MOST {
        return Ok(());
    }
    Err(CommitError::Unavailable(format!("{most} changes at once are more than the {MOST} a store takes").into()))
}

/// Adds what is remembered of a cluster that leaves.
pub(super) fn remember(transaction: &mut Transaction, work: &ClusterCommit) -> Result<(), StoreError> {
    if let Some(tombstone) = &work.tombstone {
        transaction.put(key::tombstone(tombstone.cluster), record::written(tombstone)?);
    }
    Ok(())
}

impl Clusters {
    /// Adds what is written beside a cluster's record. What belongs to a cluster that `leaves` is only compared with what was seen: it
    /// goes with the record.
    pub(super) async fn add_work(
        &self,
        transaction: &mut Transaction,
        id: ClusterId,
        work: &ClusterCommit,
        leaves: bool,
    ) -> Result<(), StoreError> {
        for (operation, expected) in &work.operations {
            let key = key::operation(operation.id);
            transaction.as_expected(key.clone(), *expected).put(key, record::written(operation)?);
        }
        let kept = |id| work.operations.iter().any(|(operation, _)| operation.id == id);
        for old in work.forgotten.iter().filter(|id| !kept(**id)) {
            transaction.delete(key::operation(*old));
        }
        if let Some((ledger, expected)) = &work.ledger {
            let key = key::ledger(id);
            transaction.as_expected(key.clone(), *expected);
            if !leaves {
                transaction.put(key, record::written(ledger)?);
            }
        }
        if let Some(observed) = work.observed.as_ref().filter(|_| !leaves) {
            transaction.put(key::observed(id), record::written(observed)?);
        }
        for (entry, place) in work.timeline.iter().zip(places(&work.timeline)) {
            transaction.put(key::timeline_entry(id, &place), record::written(entry)?);
        }
        if let Some(orphan) = &work.orphan {
            self.replace_orphan(transaction, orphan).await?;
        }
        Ok(fits(transaction)?)
    }

    /// Lists an orphan whether it is listed already or not: what the cluster's own ledger says is the newest there is.
    async fn replace_orphan(&self, transaction: &mut Transaction, orphan: &Orphan) -> Result<(), StoreError> {
        let key: Key = key::orphan(orphan.cluster);
        let stored: Option<Stored> = self.0.backend.get(&key).await.map_err(StoreError::Unavailable)?;
        let old: Option<Orphan> = stored.as_ref().map(|stored| record::read(&stored.value)).transpose()?;
        let expected = stored.map(|stored| kqueen_domain::revision::Revision(stored.revision));
        transaction.as_expected(key, expected);
        list(transaction, orphan, old.as_ref())
    }
}
