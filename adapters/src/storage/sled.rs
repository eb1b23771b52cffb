//! The embedded store: sled, for one process.
//!
//! One thread commits. It takes what is waiting, judges each transaction against the tree and those before it, applies them as one
//! batch, flushes, asks the disk to keep it (`fdatasync`; sled's own flush only hands it to the kernel), feeds the read model and
//! only then answers. Flushing from this thread alone is also what keeps sled out of its known lock-up, in which asynchronous
//! flushes wait for each other.
//!
//! Values carry the revision of the transaction that wrote them in their first eight bytes. After a failed write or flush nothing in
//! memory is trusted any more: the store is opened anew from what is on disk before anything is acknowledged again.

use std::{
    collections::BTreeMap,
    fs::File,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ::sled::{Batch, Db, IVec};
use async_trait::async_trait;
use bytes::Bytes;
use kqueen_domain::port::{BoxError, store::StoreError};
use tokio::sync::{mpsc, oneshot};

use super::{
    backend::{Backend, CommitError, Feed, Slice, State, Stored, Transaction, Write},
    key::{self, Key},
};

/// How many transactions share a flush at most.
const GROUP: usize = 256;
/// How many transactions may wait.
const QUEUE: usize = 4096;
/// How long an opening waits for the process before us to let go of the files.
const HANDOVER: Duration = Duration::from_secs(3);
/// How long the store is left alone after it could not be opened anew.
const PAUSE: Duration = Duration::from_secs(1);

/// Why the files could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenFilesError {
    #[error(
        "another process has {} open: stop it first, or give this one a SLED_PATH of its own (several replicas need STORAGE_KIND=etcd)",
        .0.display()
    )]
    InUse(PathBuf),
    #[error("{} cannot be opened", .path.display())]
    Files { path: PathBuf, source: BoxError },
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
struct Down(String);

/// What the committer and the readers share.
struct Shared {
    path: PathBuf,
    cache_bytes: u64,
    /// `None` while the files have to be opened anew.
    db: RwLock<Option<Db>>,
    /// Why there is no `db`.
    down: Mutex<Option<Down>>,
}

struct Job {
    transaction: Transaction,
    answer: oneshot::Sender<Result<u64, CommitError>>,
}

pub(crate) struct Sled {
    shared: Arc<Shared>,
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    feed: Arc<Mutex<Option<Arc<dyn Feed>>>>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl Sled {
    /// Opens or makes the files below `path`. Blocks.
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
        let shared =
            Arc::new(Shared { path: path.to_owned(), cache_bytes, db: RwLock::new(Some(db)), down: Mutex::default() });
        let (queue, jobs) = mpsc::channel(QUEUE);
        let feed = Arc::new(Mutex::new(None));
        let committer = Committer { shared: shared.clone(), feed: feed.clone(), disk: None, retry_at: None };
        let committer = thread::Builder::new().name("store".to_owned()).spawn(move || committer.run(jobs));
        let committer = committer.map_err(|error| files(Box::new(error)))?;
        Ok(Self { shared, queue: Mutex::new(Some(queue)), feed, committer: Mutex::new(Some(committer)) })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Db) -> Result<T, BoxError> + Send + 'static,
    ) -> Result<T, BoxError> {
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || read(&shared.db()?)).await?
    }

    fn stop(&self) -> Option<JoinHandle<()>> {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.committer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Sled {
    /// What was accepted is finished; the files are free when this returns.
    fn drop(&mut self) {
        if let Some(committer) = self.stop() {
            let _panicked = committer.join();
        }
    }
}

impl Shared {
    fn db(&self) -> Result<Db, BoxError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner).clone();
        db.ok_or_else(|| {
            let down = self.down.lock().unwrap_or_else(PoisonError::into_inner).clone();
            down.unwrap_or_else(|| Down("the store is closed".to_owned())).into()
        })
    }

    fn is_up(&self) -> bool {
        self.db.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn set(&self, db: Option<Db>, down: Option<Down>) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = down;
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = db;
    }
}

fn open_files(path: &Path, cache_bytes: u64) -> Result<Db, OpenFilesError> {
    let files = |source: BoxError| OpenFilesError::Files { path: path.to_owned(), source };
    make_private_directory(path).map_err(|error| files(Box::new(error)))?;
    let config = ::sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(None);
    config.open().map_err(|error| match &error {
        // sled has no variant for it.
        ::sled::Error::Io(io) if io.to_string().contains("could not acquire lock") => {
            OpenFilesError::InUse(path.to_owned())
        }
        _ => files(Box::new(error)),
    })
}

/// Sealed or not, the files are nobody else's business.
fn make_private_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // So that the directory itself is there after a power cut.
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn with_revision(revision: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + value.len());
    bytes.extend_from_slice(&revision.to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

fn stored(bytes: &IVec) -> Result<Stored, BoxError> {
    let (revision, value) = bytes.split_first_chunk::<8>().ok_or("a stored value is cut short")?;
    Ok(Stored { value: Bytes::copy_from_slice(value), revision: u64::from_be_bytes(*revision) })
}

fn entry(key: &IVec, value: &IVec) -> Result<(Key, Stored), BoxError> {
    Ok((Key::from_bytes(key).ok_or("a stored key is not text")?, stored(value)?))
}

fn newest_revision(db: &Db) -> Result<u64, BoxError> {
    let counter = db.get(key::newest_revision().as_bytes())?;
    counter.map_or(Ok(0), |bytes| Ok(stored(&bytes)?.revision))
}

/// The tree with what transactions of the same group have changed.
struct Pending<'a> {
    db: &'a Db,
    /// Revision of what was put, `None` for what was deleted.
    changed: BTreeMap<Key, Option<u64>>,
}

impl State for Pending<'_> {
    type Error = BoxError;

    fn revision(&self, key: &Key) -> Result<Option<u64>, BoxError> {
        if let Some(changed) = self.changed.get(key) {
            return Ok(*changed);
        }
        let found = self.db.get(key.as_bytes())?;
        found.map(|bytes| Ok(stored(&bytes)?.revision)).transpose()
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

/// The thread that commits.
struct Committer {
    shared: Arc<Shared>,
    feed: Arc<Mutex<Option<Arc<dyn Feed>>>>,
    /// The file the log is in, for `fdatasync`.
    disk: Option<File>,
    retry_at: Option<Instant>,
}

impl Committer {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(job) = jobs.try_recv()
            {
                group.push(job);
            }
            self.serve(group);
        }
        self.shared.set(None, Some(Down("the store is closed".to_owned())));
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
                // Still down is no new failure: it neither puts off the next attempt nor adds to the message.
                let down = error.downcast::<Down>().map_or_else(|error| self.give_up(&*error), |down| *down);
                for answer in answers {
                    let _gone = answer.send(Err(CommitError::Unavailable(Box::new(down.clone()))));
                }
            }
        }
    }

    /// Commits a group as one batch. `Err` if it is not known to be durable.
    fn commit(&mut self, group: Vec<Transaction>) -> Result<Vec<Result<u64, CommitError>>, BoxError> {
        let db = self.open_again()?;
        let mut revision = newest_revision(&db)?;
        let mut pending = Pending { db: &db, changed: BTreeMap::new() };
        let mut batch = Batch::default();
        let mut events = Vec::new();
        let mut results = Vec::with_capacity(group.len());
        for transaction in group {
            if let Err(refusal) = transaction.judge(&pending)? {
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

    /// Lets go of files that are in doubt.
    fn give_up(&mut self, error: &(dyn std::error::Error + Send + Sync)) -> Down {
        let down = Down(format!("writing to {} failed: {error}", self.shared.path.display()));
        if self.retry_at.is_none() {
            tracing::error!(error = %down, "the store is down until it can be opened anew");
        }
        self.retry_at = Some(Instant::now() + PAUSE);
        self.disk = None;
        self.shared.set(None, Some(down.clone()));
        down
    }

    /// The open files; opened anew, and the read model with them, if they were in doubt.
    fn open_again(&mut self) -> Result<Db, BoxError> {
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
            fill(&**feed, &db)?;
        }
        tracing::info!("the store is open again");
        self.retry_at = None;
        self.shared.set(Some(db.clone()), None);
        Ok(db)
    }
}

fn fill(feed: &dyn Feed, db: &Db) -> Result<(), StoreError> {
    let shown = db.scan_prefix(key::all_shown().as_bytes());
    feed.replace(&mut shown.map(|item| item.map_err(Into::into).and_then(|(key, value)| entry(&key, &value))))
}

#[async_trait]
impl Backend for Sled {
    async fn start(&self, feed: Arc<dyn Feed>) -> Result<(), StoreError> {
        let filled = feed.clone();
        let filling = self.read(move |db| Ok(fill(&*filled, db))).await;
        filling.map_err(StoreError::Unavailable)??;
        *self.feed.lock().unwrap_or_else(PoisonError::into_inner) = Some(feed);
        Ok(())
    }

    async fn commit(&self, transaction: Transaction) -> Result<u64, CommitError> {
        let closed = || CommitError::Unavailable(Box::new(Down("the store is closed".to_owned())));
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        let (answer, answered) = oneshot::channel();
        queue.send(Job { transaction, answer }).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    async fn get(&self, key: &Key) -> Result<Option<Stored>, BoxError> {
        let key = key.clone();
        self.read(move |db| db.get(key.as_bytes())?.map(|bytes| stored(&bytes)).transpose()).await
    }

    async fn scan(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Slice, BoxError> {
        let (prefix, after) = (prefix.clone(), after.cloned());
        let scan = move |db: &Db| {
            let from =
                after.as_ref().map_or(Bound::Included(prefix.as_bytes()), |after| Bound::Excluded(after.as_bytes()));
            let mut slice = Slice::default();
            for item in db.range::<&[u8], _>((from, Bound::Unbounded)) {
                let (key, value) = item?;
                if !key.starts_with(prefix.as_bytes()) {
                    break;
                }
                if slice.entries.len() == limit {
                    slice.more = true;
                    break;
                }
                slice.entries.push(entry(&key, &value)?);
            }
            Ok(slice)
        };
        self.read(scan).await
    }

    /// What is acknowledged has been fed, and nobody else writes.
    async fn caught_up(&self) -> Result<(), BoxError> {
        self.ready().await
    }

    async fn ready(&self) -> Result<(), BoxError> {
        if self.shared.is_up() {
            return Ok(());
        }
        // Writing nothing makes the committer try to open the files again.
        match self.commit(Transaction::default()).await {
            Ok(_) => Ok(()),
            Err(CommitError::Unavailable(source)) => Err(source),
            Err(CommitError::Refused(_)) => Err(Down("a transaction without conditions was refused".to_owned()).into()),
        }
    }

    async fn close(&self) {
        if let Some(committer) = self.stop() {
            let _ended = tokio::task::spawn_blocking(move || committer.join()).await;
        }
    }
}
