//! A store in memory: for tests, and to try things out. Nothing survives the end of the process.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use async_trait::async_trait;
use kqueen_domain::port::{BoxError, store::StoreError};

use super::{
    backend::{Backend, CommitError, Feed, Slice, State, Stored, Transaction, Write, below},
    key::{self, Key},
};

/// What a store in memory holds. Clones hold the same: opening one again is a restart, opening two at once makes two replicas.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Held>>);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

#[derive(Default)]
struct Held {
    entries: BTreeMap<Key, Stored>,
    revision: u64,
    feeds: Vec<Weak<dyn Feed>>,
}

impl State for Held {
    type Error = Infallible;

    fn revision(&self, key: &Key) -> Result<Option<u64>, Infallible> {
        Ok(self.entries.get(key).map(|stored| stored.revision))
    }

    fn anything_below(&self, prefix: &Key) -> Result<bool, Infallible> {
        Ok(below(&self.entries, prefix).next().is_some())
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backend for Memory {
    async fn start(&self, feed: Arc<dyn Feed>) -> Result<(), StoreError> {
        let mut held = self.lock();
        let prefix = key::all_shown();
        let shown = below(&held.entries, &prefix);
        feed.replace(&mut shown.map(|(key, stored)| Ok((key.clone(), stored.clone()))))?;
        held.feeds.push(Arc::downgrade(&feed));
        Ok(())
    }

    async fn commit(&self, transaction: Transaction) -> Result<u64, CommitError> {
        // Feeds are told under the lock: they hear of transactions in the order of their revisions.
        let mut held = self.lock();
        let Ok(judged) = transaction.judge(&*held);
        judged.map_err(CommitError::Refused)?;
        held.revision += 1;
        let revision = held.revision;
        for write in &transaction.writes {
            match write {
                Write::Put(key, value) => {
                    held.entries.insert(key.clone(), Stored { value: value.clone(), revision });
                }
                Write::Delete(key) => drop(held.entries.remove(key)),
            }
        }
        if transaction.is_shown() {
            let events: Vec<_> = transaction.into_events(revision).collect();
            held.feeds.retain(|feed| feed.upgrade().map(|feed| feed.apply(events.clone())).is_some());
        }
        Ok(revision)
    }

    async fn get(&self, key: &Key) -> Result<Option<Stored>, BoxError> {
        Ok(self.lock().entries.get(key).cloned())
    }

    async fn scan(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Slice, BoxError> {
        let held = self.lock();
        let mut rest = below(&held.entries, prefix).filter(|(key, _)| after.is_none_or(|after| *key > after));
        let entries = rest.by_ref().take(limit).map(|(key, stored)| (key.clone(), stored.clone())).collect();
        Ok(Slice { entries, more: rest.next().is_some() })
    }

    fn is_caught_up(&self) -> bool {
        true
    }

    async fn caught_up(&self) -> Result<(), BoxError> {
        Ok(())
    }

    async fn ready(&self) -> Result<(), BoxError> {
        Ok(())
    }

    async fn close(&self) {}
}
