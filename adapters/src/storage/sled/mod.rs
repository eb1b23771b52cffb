//! The embedded store: sled, for one process.
//!
//! One thread commits. It takes the waiting transactions, checks each one against the tree and the ones before it, applies them as one
//! batch, flushes, syncs the disk (`fdatasync`; sled's flush only hands the data to the kernel), feeds the read model and only then
//! answers. Flushing only from this thread also avoids a known deadlock of sled, in which asynchronous flushes wait for each other.
//!
//! Values carry the revision of the transaction that wrote them in their first eight bytes. After a failed write or flush nothing in
//! memory is trusted any more: the store is reopened from disk before anything is acknowledged again.

mod committer;
mod files;
mod readers;
mod reading;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ::sled::Db;
use async_trait::async_trait;
use kqueen_domain::port::{BoxError, store::StoreError};
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::files::OpenFilesError;
use self::{
    committer::{Committer, Job},
    files::open_files,
    readers::Readers,
};
use super::{
    backend::{Backend, CommitError, Feed, Slice, Stored, Transaction},
    key::Key,
};

/// Maximum number of waiting transactions.
const QUEUE: usize = 4096;
/// How long opening waits for the previous process to release the files.
const HANDOVER: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
struct Down(String);

/// What the committer and the readers share.
struct Shared {
    path: PathBuf,
    cache_bytes: u64,
    /// `None` while the files have to be reopened.
    db: RwLock<Option<Db>>,
    /// Whether `db` is set, for callers that need no more than that.
    is_up: AtomicBool,
    /// Why `db` is not set.
    down: Mutex<Option<Down>>,
}

pub(crate) struct Sled {
    shared: Arc<Shared>,
    readers: Readers,
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    feed: Arc<Mutex<Option<Arc<dyn Feed>>>>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl Sled {
    /// Opens or creates the files below `path`. Blocks.
    pub(crate) fn open(path: &Path, cache_bytes: u64) -> Result<Self, OpenFilesError> {
        let since = Instant::now();
        let db = loop {
            match open_files(path, cache_bytes) {
                // A process that is just ending may hold the lock a little longer.
                Err(OpenFilesError::InUse(_)) if since.elapsed() < HANDOVER => thread::sleep(Duration::from_millis(20)),
                other => break other?,
            }
        };
        let files = |source| OpenFilesError::Files { path: path.to_owned(), source };
        let shared = Arc::new(Shared::new(path.to_owned(), cache_bytes, db));
        let (queue, jobs) = mpsc::channel(QUEUE);
        let feed = Arc::new(Mutex::new(None));
        let committer = Committer::new(shared.clone(), feed.clone());
        let committer = thread::Builder::new().name("store".to_owned()).spawn(move || committer.run(jobs));
        let committer = committer.map_err(|error| files(Box::new(error)))?;
        let readers = Readers::start(shared.clone()).map_err(|error| files(Box::new(error)))?;
        Ok(Self { shared, readers, queue: Mutex::new(Some(queue)), feed, committer: Mutex::new(Some(committer)) })
    }

    /// Accepts no more work; the threads end once the accepted work is done.
    fn stop(&self) -> impl Iterator<Item = JoinHandle<()>> + use<> {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        committer.into_iter().chain(self.readers.stop())
    }
}

impl Drop for Sled {
    /// Finishes the accepted work; the files are released when this returns.
    fn drop(&mut self) {
        for thread in self.stop() {
            let _panicked = thread.join();
        }
    }
}

impl Shared {
    fn new(path: PathBuf, cache_bytes: u64, db: Db) -> Self {
        Self { path, cache_bytes, db: RwLock::new(Some(db)), is_up: AtomicBool::new(true), down: Mutex::default() }
    }

    fn db(&self) -> Result<Db, BoxError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner).clone();
        db.ok_or_else(|| {
            let down = self.down.lock().unwrap_or_else(PoisonError::into_inner).clone();
            down.unwrap_or_else(|| Down("the store is closed".to_owned())).into()
        })
    }

    fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }

    fn set(&self, db: Option<Db>, down: Option<Down>) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = down;
        let mut current = self.db.write().unwrap_or_else(PoisonError::into_inner);
        // While the lock is held, so that flag and files always change together.
        self.is_up.store(db.is_some(), Ordering::Release);
        *current = db;
    }
}

#[async_trait]
impl Backend for Sled {
    async fn start(&self, feed: Arc<dyn Feed>) -> Result<(), StoreError> {
        let filled = feed.clone();
        let filling = self.readers.read(move |db| Ok(reading::fill(&*filled, db))).await;
        filling.map_err(StoreError::Unavailable)??;
        *self.feed.lock().unwrap_or_else(PoisonError::into_inner) = Some(feed);
        Ok(())
    }

    async fn commit(&self, transaction: Transaction) -> Result<u64, CommitError> {
        let closed = || CommitError::Unavailable(Box::new(Down("the store is closed".to_owned())));
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        let (answer, answered) = oneshot::channel();
        queue.send(Job { transaction, answer }).await.map_err(|_| closed())?;
        // A caller that only waits for its result must not keep the thread from ending.
        drop(queue);
        answered.await.map_err(|_| closed())?
    }

    async fn get(&self, key: &Key) -> Result<Option<Stored>, BoxError> {
        let key = key.clone();
        self.readers.read(move |db| reading::get(db, &key)).await
    }

    async fn scan(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Slice, BoxError> {
        let (prefix, after) = (prefix.clone(), after.cloned());
        self.readers.read(move |db| reading::slice(db, &prefix, after.as_ref(), limit)).await
    }

    /// Acknowledged transactions have been fed, and there is no other writer.
    fn is_caught_up(&self) -> bool {
        self.shared.is_up()
    }

    async fn caught_up(&self) -> Result<(), BoxError> {
        self.ready().await
    }

    async fn ready(&self) -> Result<(), BoxError> {
        if self.shared.is_up() {
            return Ok(());
        }
        // An empty transaction makes the committer try to reopen the files.
        match self.commit(Transaction::default()).await {
            Ok(_) => Ok(()),
            Err(CommitError::Unavailable(source)) => Err(source),
            Err(CommitError::Refused(_)) => Err(Down("a transaction without conditions was refused".to_owned()).into()),
        }
    }

    async fn close(&self) {
        let threads = self.stop();
        let _ended = tokio::task::spawn_blocking(move || threads.for_each(|thread| drop(thread.join()))).await;
    }
}
