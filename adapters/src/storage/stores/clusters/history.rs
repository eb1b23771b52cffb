//! Timelines, and what is kept of deleted clusters.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::ClusterId,
    port::store::{StoreError, TimelinePage},
};

use crate::storage::{
    backend::{CommitError, Refusal, Slice, Test, Transaction},
    core::Core,
    key::{self, Key},
    record,
    timeline::Position,
};

/// Maximum number of events in one page.
const MAX_PAGE: usize = 1000;
/// How many keys are deleted at once: etcd accepts 128 operations in a transaction.
const AT_ONCE: usize = 100;

async fn scan(core: &Core, id: ClusterId, after: Option<&Key>, limit: usize) -> Result<Slice, StoreError> {
    core.backend.scan(&key::timeline(id), after, limit).await.map_err(StoreError::Unavailable)
}

/// A page of a timeline. `from` is the end of an earlier page, or anything, because it comes from clients. The event that it points to
/// may have been pruned in the meantime.
pub(super) async fn page(
    core: &Core,
    id: ClusterId,
    from: Option<String>,
    limit: usize,
) -> Result<TimelinePage, StoreError> {
    let known = |from: String| Position::parse(&from).ok_or(StoreError::Dangling { field: "from" });
    let after = from.map(known).transpose()?.map(|position| key::timeline_event(id, &position));
    let slice = scan(core, id, after.as_ref(), limit.clamp(1, MAX_PAGE)).await?;
    let prefix = key::timeline(id);
    let last = slice.entries.last().and_then(|(key, _)| key.as_str().strip_prefix(prefix.as_str()));
    let next = last.filter(|_| slice.more).map(str::to_owned);
    let entries = slice.entries.iter().map(|(_, stored)| record::read(&stored.value)).collect::<Result<_, _>>()?;
    Ok(TimelinePage { entries, next })
}

/// Deletes all but the newest `keep` events.
pub(super) async fn prune(core: &Core, id: ClusterId, keep: usize) -> Result<(), StoreError> {
    let mut last_kept = None;
    let mut kept = 0;
    while kept < keep {
        let slice = scan(core, id, last_kept.as_ref(), (keep - kept).min(MAX_PAGE)).await?;
        kept += slice.entries.len();
        last_kept = slice.entries.into_iter().next_back().map(|(key, _)| key);
        if !slice.more {
            return Ok(());
        }
    }
    delete_events(core, id, last_kept.as_ref(), None).await.map(drop)
}

/// Deletes the events after `after`, on the condition that the key `unless`, if given, does not exist; returns whether that held.
async fn delete_events(
    core: &Core,
    id: ClusterId,
    after: Option<&Key>,
    unless: Option<&Key>,
) -> Result<bool, StoreError> {
    loop {
        let slice = scan(core, id, after, AT_ONCE).await?;
        let mut transaction = Transaction::default();
        if let Some(key) = unless {
            transaction.require(key.clone(), Test::Absent, Refusal::InUse);
        }
        for (key, _) in slice.entries {
            transaction.delete(key);
        }
        if !transaction.writes.is_empty() && !is_done(core.commit(transaction).await)? {
            return Ok(false);
        }
        if !slice.more {
            return Ok(true);
        }
    }
}

/// Whether a transaction was committed; `false` if its condition did not hold.
fn is_done<T>(result: Result<T, CommitError>) -> Result<bool, StoreError> {
    match result {
        Ok(_) => Ok(true),
        Err(CommitError::Refused(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Deletes what is kept of clusters that were deleted before `before`; returns how many.
pub(super) async fn forget_tombstones(core: &Core, before: DateTime<Utc>) -> Result<usize, StoreError> {
    let mut deleted = 0;
    for id in core.model.catalog.tombstones_before(before) {
        deleted += usize::from(forget(core, id).await?);
    }
    Ok(deleted)
}

/// Deletes what is kept of a deleted cluster, unless the cluster exists again. The tombstone is deleted last, so that the next call can
/// continue after an interruption.
async fn forget(core: &Core, id: ClusterId) -> Result<bool, StoreError> {
    let cluster = key::cluster(id);
    if !delete_events(core, id, None, Some(&cluster)).await? {
        return Ok(false);
    }
    let operations = core.model.catalog.operations_of(id);
    let mut keys: Vec<Key> = vec![key::tombstone(id)];
    keys.extend(operations.iter().map(|view| key::operation(view.operation.record.id)));
    while !keys.is_empty() {
        let mut transaction = Transaction::default();
        transaction.require(cluster.clone(), Test::Absent, Refusal::InUse);
        for key in keys.split_off(keys.len().saturating_sub(AT_ONCE)) {
            transaction.delete(key);
        }
        if !is_done(core.commit(transaction).await)? {
            return Ok(false);
        }
    }
    Ok(true)
}
