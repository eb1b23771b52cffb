//! The threads that read. They are few and dedicated to the store: for a burst of reads the runtime would start as many threads as there
//! are reads, each with memory that is not released.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use ::sled::Db;
use crossbeam_channel::{Receiver, Sender, unbounded};
use kqueen_domain::port::BoxError;
use tokio::sync::oneshot;

use super::{Down, Shared};

/// Number of concurrent reads. More would wait for the same disk and cores.
const READERS: usize = 2;

/// A queued read. It is skipped if its caller has given up in the meantime, for example because the disk hangs.
type Job = Box<dyn FnOnce() + Send>;

/// The threads, until they are stopped.
pub(super) struct Readers {
    shared: Arc<Shared>,
    queue: Mutex<Option<Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let (queue, jobs) = unbounded::<Job>();
        let start = |_| {
            let jobs = jobs.clone();
            thread::Builder::new().name("store-read".to_owned()).spawn(move || work(&jobs))
        };
        let threads = (0..READERS).map(start).collect::<Result<_, _>>()?;
        Ok(Self { shared, queue: Mutex::new(Some(queue)), threads: Mutex::new(threads) })
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Db) -> Result<T, BoxError> + Send + 'static,
    ) -> Result<T, BoxError> {
        let closed = || Down("the store is closed".to_owned());
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        let (answer, answered) = oneshot::channel();
        let shared = self.shared.clone();
        let job = move || {
            // If the caller has stopped waiting, nothing has to be read.
            if !answer.is_closed() {
                let _gone = answer.send(shared.db().and_then(|db| read(&db)));
            }
        };
        queue.send(Box::new(job)).map_err(|_| closed())?;
        // A caller that only waits for its result must not keep the threads from ending.
        drop(queue);
        answered.await.map_err(|_| Down("the read was interrupted".to_owned()))?
    }

    /// Queued reads are still done, then the threads end.
    pub(super) fn stop(&self) -> Vec<JoinHandle<()>> {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn work(jobs: &Receiver<Job>) {
    for job in jobs {
        // The caller notices that its channel is closed; the thread goes on with the next read.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a read from the store panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use futures::future::join_all;

    use super::*;
    use crate::storage::sled::files::open_files;

    fn readers(folder: &tempfile::TempDir) -> Readers {
        let path = folder.path().join("store");
        let db = open_files(&path, 1 << 20).unwrap();
        Readers::start(Arc::new(Shared::new(path, 1 << 20, db))).unwrap()
    }

    #[tokio::test]
    async fn many_reads_are_made_by_few_threads() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder);
        let reads = (0..500).map(|_| readers.read(|_| Ok(thread::current().id())));
        let threads: HashSet<_> = join_all(reads).await.into_iter().map(Result::unwrap).collect();
        assert!(threads.len() <= READERS, "{threads:?}");
    }

    #[tokio::test]
    async fn a_read_that_panics_does_not_affect_others() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder);
        for _ in 0..2 * READERS {
            assert!(readers.read::<()>(|_| panic!("on purpose")).await.is_err());
        }
        assert_eq!(readers.read(|_| Ok(1)).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn reads_queued_before_the_stop_are_done() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder);
        let reads = join_all((0..20).map(|number| readers.read(move |_| Ok(number))));
        let mut reads = Box::pin(reads);
        // Polled once, all of them are in the queue.
        let _pending = futures::poll!(&mut reads);
        for thread in readers.stop() {
            thread.join().unwrap();
        }
        let read: Vec<i32> = reads.await.into_iter().map(Result::unwrap).collect();
        assert_eq!(read, (0..20).collect::<Vec<_>>());
        assert!(readers.read(|_| Ok(())).await.unwrap_err().to_string().contains("closed"));
    }
}
