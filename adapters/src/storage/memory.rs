//! A store in memory, for tests and for trying KQueen out. Its contents are lost when the process ends.

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

/// The contents of a store in memory. Clones share them: opening one again is a restart, opening two at once makes two replicas.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Contents>>);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

#[derive(Default)]
struct Contents {
    entries: BTreeMap<Key, Stored>,
    revision: u64,
    feeds: Vec<Weak<dyn Feed>>,
}

impl State for Contents {
    type Error = Infallible;

    fn revision(&self, key: &Key) -> Result<Option<u64>, Infallible> {
        Ok(self.entries.get(key).map(|stored| stored.revision))
    }

    fn anything_below(&self, prefix: &Key) -> Result<bool, Infallible> {
        Ok(below(&self.entries, prefix).next().is_some())
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backend for Memory {
    async fn start(&self, feed: Arc<dyn Feed>) -> Result<(), StoreError> {
        let mut contents = self.lock();
        let prefix = key::all_shown();
        let shown = below(&contents.entries, &prefix);
        feed.replace(&mut shown.map(|(key, stored)| Ok((key.clone(), stored.clone()))))?;
        contents.feeds.push(Arc::downgrade(&feed));
        Ok(())
    }

    async fn commit(&self, transaction: Transaction) -> Result<u64, CommitError> {
        // Feeds are notified under the lock, so that they get transactions in the order of their revisions.
        let mut contents = self.lock();
        let Ok(checked) = transaction.check(&*contents);
        checked.map_err(CommitError::Refused)?;
        contents.revision += 1;
        let revision = contents.revision;
        for write in &transaction.writes {
            match write {
                Write::Put(key, value) => {
                    contents.entries.insert(key.clone(), Stored { value: value.clone(), revision });
                }
                Write::Delete(key) => drop(contents.entries.remove(key)),
            }
        }
        if transaction.is_shown() {
            let events: Vec<_> = transaction.into_events(revision).collect();
            contents.feeds.retain(|feed| feed.upgrade().map(|feed| feed.apply(events.clone())).is_some());
        }
        Ok(revision)
    }

    async fn get(&self, key: &Key) -> Result<Option<Stored>, BoxError> {
        Ok(self.lock().entries.get(key).cloned())
    }

    async fn scan(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Slice, BoxError> {
        let contents = self.lock();
        let mut rest = below(&contents.entries, prefix).filter(|(key, _)| after.is_none_or(|after| *key > after));
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
