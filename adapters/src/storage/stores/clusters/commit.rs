//! What is written together with a cluster.
//!
//! A commit is one transaction, and etcd accepts 128 operations and 1.5 MiB in one. The caller decides how many operations are written,
//! how many old operations are deleted, and how many timeline events there are. Besides these, a commit has at most 15 writes (the
//! record, its observed status, ledger, tombstone and orphan, references, secrets) and 6 conditions. Callers write a handful of each
//! together; a commit that is too large is rejected before anything is sent, by every backend.
//!
//! In bytes: a kubeconfig has at most 256 kB, a free-form document 64 kB, an operation 40 steps, each with up to 2,000 characters of
//! provider messages. All of that at its largest, in one commit, stays below 1.2 MiB.

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
    stores::orphans::put_orphan,
    timeline::positions,
};

/// Maximum number of writes, and of conditions. Of etcd's 128, one is reserved for the clock and one for an idempotency key.
const MAX_OPERATIONS: usize = 126;

/// Rejects a transaction that etcd would not accept.
pub(super) fn fits(transaction: &Transaction) -> Result<(), CommitError> {
    let count = transaction.writes.len().max(transaction.conditions.len());
    if count <= MAX_OPERATIONS {
        return Ok(());
    }
    Err(CommitError::Unavailable(
        format!("{count} changes at once are more than the {MAX_OPERATIONS} that a store accepts").into(),
    ))
}

/// Adds the tombstone of a cluster that is deleted.
pub(super) fn add_tombstone(transaction: &mut Transaction, changes: &ClusterCommit) -> Result<(), StoreError> {
    if let Some(tombstone) = &changes.tombstone {
        transaction.put(key::tombstone(tombstone.cluster), record::written(tombstone)?);
    }
    Ok(())
}

impl Clusters {
    /// Adds what is written in addition to a cluster's record. If the cluster `is_deleted`, the revision of its ledger is only checked,
    /// because the ledger is deleted with the record.
    pub(super) async fn add_changes(
        &self,
        transaction: &mut Transaction,
        id: ClusterId,
        changes: &ClusterCommit,
        is_deleted: bool,
    ) -> Result<(), StoreError> {
        for (operation, expected) in &changes.operations {
            let key = key::operation(operation.id);
            transaction.as_expected(key.clone(), *expected).put(key, record::written(operation)?);
        }
        let is_written = |id| changes.operations.iter().any(|(operation, _)| operation.id == id);
        for old in changes.forgotten.iter().filter(|id| !is_written(**id)) {
            transaction.delete(key::operation(*old));
        }
        if let Some((ledger, expected)) = &changes.ledger {
            let key = key::ledger(id);
            transaction.as_expected(key.clone(), *expected);
            if !is_deleted {
                transaction.put(key, record::written(ledger)?);
            }
        }
        if let Some(observed) = changes.observed.as_ref().filter(|_| !is_deleted) {
            transaction.put(key::observed(id), record::written(observed)?);
        }
        for (event, position) in changes.timeline.iter().zip(positions(&changes.timeline)) {
            transaction.put(key::timeline_event(id, &position), record::written(event)?);
        }
        if let Some(orphan) = &changes.orphan {
            self.replace_orphan(transaction, orphan).await?;
        }
        Ok(fits(transaction)?)
    }

    /// Stores an orphan whether one is stored already or not: the cluster's ledger has the newest information.
    async fn replace_orphan(&self, transaction: &mut Transaction, orphan: &Orphan) -> Result<(), StoreError> {
        let key: Key = key::orphan(orphan.cluster);
        let stored: Option<Stored> = self.0.backend.get(&key).await.map_err(StoreError::Unavailable)?;
        let old: Option<Orphan> = stored.as_ref().map(|stored| record::read(&stored.value)).transpose()?;
        let expected = stored.map(|stored| kqueen_domain::revision::Revision(stored.revision));
        transaction.as_expected(key, expected);
        put_orphan(transaction, orphan, old.as_ref())
    }
}
