//! The thread that commits.

use std::{
    collections::BTreeMap,
    fs::File,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ::sled::{Batch, Db};
use kqueen_domain::port::BoxError;
use tokio::sync::{mpsc, oneshot};

use super::{
    Down, Shared,
    files::{newest_revision, open_files, revision_of, with_revision},
    reading,
};
use crate::storage::{
    backend::{CommitError, Feed, State, Transaction, Write},
    key::{self, Key},
};

/// Maximum number of transactions that share a flush.
const GROUP: usize = 256;
/// Pause after a failed attempt to reopen the store.
const PAUSE: Duration = Duration::from_secs(1);

/// A transaction and the channel for its result.
pub(super) struct Job {
    pub(super) transaction: Transaction,
    pub(super) answer: oneshot::Sender<Result<u64, CommitError>>,
}

/// The tree with the changes of earlier transactions of the same group.
struct Pending<'a> {
    db: &'a Db,
    /// Revisions of keys that were written, `None` for keys that were deleted.
    changed: BTreeMap<Key, Option<u64>>,
}

impl State for Pending<'_> {
    type Error = BoxError;

    fn revision(&self, key: &Key) -> Result<Option<u64>, BoxError> {
        if let Some(changed) = self.changed.get(key) {
            return Ok(*changed);
        }
        let found = self.db.get(key.as_bytes())?;
        found.map(|bytes| revision_of(&bytes)).transpose()
    }

    fn anything_below(&self, prefix: &Key) -> Result<bool, BoxError> {
        let put = self.changed.range::<Key, _>((Bound::Included(prefix), Bound::Unbounded));
        if put.take_while(|(key, _)| key.starts_with(prefix)).any(|(_, revision)| revision.is_some()) {
            return Ok(true);
        }
        for key in self.db.scan_prefix(prefix.as_bytes()).keys() {
            let key = Key::from_bytes(&key?).ok_or("a stored key is not text")?;
            if !matches!(self.changed.get(&key), Some(None)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The state of the thread that commits.
pub(super) struct Committer {
    shared: Arc<Shared>,
    feed: Arc<Mutex<Option<Arc<dyn Feed>>>>,
    /// The file the log is in, for `fdatasync`.
    disk: Option<File>,
    retry_at: Option<Instant>,
}

impl Drop for Committer {
    /// Also when the thread has panicked: a store that cannot write must not report that it is ready.
    fn drop(&mut self) {
        self.shared.set(None, Some(Down("the store is closed".to_owned())));
    }
}

impl Committer {
    pub(super) const fn new(shared: Arc<Shared>, feed: Arc<Mutex<Option<Arc<dyn Feed>>>>) -> Self {
        Self { shared, feed, disk: None, retry_at: None }
    }

    /// Commits incoming transactions until the channel is closed.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(job) = jobs.try_recv()
            {
                group.push(job);
            }
            self.serve(group);
        }
    }

    fn serve(&mut self, group: Vec<Job>) {
        let (transactions, answers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|job| (job.transaction, job.answer)).unzip();
        match self.commit(transactions) {
            Ok(results) => {
                for (answer, result) in answers.into_iter().zip(results) {
                    let _gone = answer.send(result);
                }
            }
            Err(error) => {
                // A store that is still down is not a new failure: it neither delays the next attempt nor adds to the message.
                let down = error.downcast::<Down>().map_or_else(|error| self.give_up(&*error), |down| *down);
                for answer in answers {
                    let _gone = answer.send(Err(CommitError::Unavailable(Box::new(down.clone()))));
                }
            }
        }
    }

    /// Commits a group as one batch. `Err` if it is not known to be durable.
    fn commit(&mut self, group: Vec<Transaction>) -> Result<Vec<Result<u64, CommitError>>, BoxError> {
        let db = self.reopen()?;
        let mut revision = newest_revision(&db)?;
        let mut pending = Pending { db: &db, changed: BTreeMap::new() };
        let mut batch = Batch::default();
        let mut events = Vec::new();
        let mut results = Vec::with_capacity(group.len());
        for transaction in group {
            if let Err(refusal) = transaction.check(&pending)? {
                results.push(Err(CommitError::Refused(refusal)));
                continue;
            }
            revision += 1;
            for write in &transaction.writes {
                match write {
                    Write::Put(key, value) => {
                        batch.insert(key.as_bytes(), with_revision(revision, value));
                        pending.changed.insert(key.clone(), Some(revision));
                    }
                    Write::Delete(key) => {
                        batch.remove(key.as_bytes());
                        pending.changed.insert(key.clone(), None);
                    }
                }
            }
            results.push(Ok(revision));
            events.extend(transaction.into_events(revision));
        }
        if pending.changed.is_empty() {
            return Ok(results);
        }
        batch.insert(key::newest_revision().as_bytes(), with_revision(revision, &[]));
        db.apply_batch(batch)?;
        db.flush()?;
        self.sync()?;
        if let Some(feed) = self.feed.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            feed.apply(events);
        }
        Ok(results)
    }

    fn sync(&mut self) -> std::io::Result<()> {
        let disk = match &mut self.disk {
            Some(disk) => disk,
            empty => empty.insert(File::open(self.shared.path.join("db"))?),
        };
        disk.sync_data()
    }

    /// Closes files whose state is uncertain.
    fn give_up(&mut self, error: &(dyn std::error::Error + Send + Sync)) -> Down {
        let down = Down(format!("writing to {} failed: {error}", self.shared.path.display()));
        if self.retry_at.is_none() {
            tracing::error!(error = %down, "the store is down until it can be reopened");
        }
        self.retry_at = Some(Instant::now() + PAUSE);
        self.disk = None;
        self.shared.set(None, Some(down.clone()));
        down
    }

    /// The open files. If their state was uncertain, they are reopened and the read model is filled again.
    fn reopen(&mut self) -> Result<Db, BoxError> {
        if let Ok(db) = self.shared.db() {
            return Ok(db);
        }
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return self.shared.db();
        }
        let db = open_files(&self.shared.path, self.shared.cache_bytes)?;
        db.flush()?;
        self.sync()?;
        if let Some(feed) = self.feed.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            reading::fill(&**feed, &db)?;
        }
        tracing::info!("the store is open again");
        self.retry_at = None;
        self.shared.set(Some(db.clone()), None);
        Ok(db)
    }
}
