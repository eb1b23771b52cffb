//! The progress of the feed, waiting for it, and shared reads of the newest revision.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout_at},
};

use super::connection::CallError;

/// How long the watch may take to report a revision that is known to exist before it is suspected to hang.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);

#[derive(Default)]
struct State {
    revision: u64,
    /// Waiters by the revision they wait for and a unique number.
    waiting: BTreeMap<(u64, u64), oneshot::Sender<()>>,
    next: u64,
}

/// The revision up to which everything has been fed.
#[derive(Default)]
pub(crate) struct Progress {
    state: Mutex<State>,
    /// Notified when a wait for an existing revision takes long, or when the store has gone back to an earlier revision.
    pub(crate) suspected: Notify,
    went_back: AtomicBool,
}

/// The feed has not reached a revision in time.
#[derive(Debug, thiserror::Error)]
#[error("the read model has not caught up with etcd in time")]
pub(crate) struct Behind;

impl Progress {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Everything up to `revision` has been fed.
    pub(crate) fn reached(&self, revision: u64) {
        let reached = {
            let mut state = self.lock();
            let newest = state.revision.max(revision);
            state.revision = newest;
            let later = state.waiting.split_off(&(newest + 1, 0));
            std::mem::replace(&mut state.waiting, later)
        };
        for waiter in reached.into_values() {
            let _gone = waiter.send(());
        }
    }

    /// Everything has been read again at `revision`, which may be earlier than what was fed before.
    pub(crate) fn restarted(&self, revision: u64) {
        self.lock().revision = revision;
        self.reached(revision);
    }

    /// A read that was sent when everything up to `fed` had been fed has found the store at `revision`. If `fed` is later, the store was
    /// replaced with an older copy of it, and the watch waits for revisions that will have other contents.
    pub(crate) fn store_is_at(&self, revision: u64, fed: u64) {
        if revision < fed {
            self.went_back.store(true, Ordering::Relaxed);
            self.suspected.notify_one();
        }
    }

    /// Whether the store has gone back since this was last called.
    pub(crate) fn has_gone_back(&self) -> bool {
        self.went_back.swap(false, Ordering::Relaxed)
    }

    /// Waits until everything up to `revision` has been fed.
    pub(crate) async fn wait(&self, revision: u64, limit: Instant) -> Result<(), Behind> {
        let (number, mut fed) = {
            let mut state = self.lock();
            if state.revision >= revision {
                return Ok(());
            }
            let (sender, receiver) = oneshot::channel();
            state.next += 1;
            let number = state.next;
            state.waiting.insert((revision, number), sender);
            (number, receiver)
        };
        let _removal = RemoveWaiter { progress: self, key: (revision, number) };
        if timeout_at(limit.min(Instant::now() + SUSPECT_AFTER), &mut fed).await.is_ok() {
            return Ok(());
        }
        self.suspected.notify_one();
        timeout_at(limit, fed).await.map(drop).map_err(|_| Behind)
    }
}

/// Removes a waiter that gives up.
struct RemoveWaiter<'a> {
    progress: &'a Progress,
    key: (u64, u64),
}

impl Drop for RemoveWaiter<'_> {
    fn drop(&mut self) {
        self.progress.lock().waiting.remove(&self.key);
    }
}

type Answer = Result<u64, CallError>;

#[derive(Default)]
struct Queue {
    waiting: Vec<oneshot::Sender<Answer>>,
    reading: bool,
}

/// One read at a time, shared by all callers that asked before it was sent. A call during a read waits for the next one, because the
/// current one may have been answered before the write that the caller wants to see.
#[derive(Default)]
pub(crate) struct SharedRead(Mutex<Queue>);

impl SharedRead {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer of a read that starts after this call.
    pub(crate) async fn answer<F>(self: &Arc<Self>, read: impl Fn() -> F + Send + 'static) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let first = {
            let mut queue = self.lock();
            queue.waiting.push(sender);
            !std::mem::replace(&mut queue.reading, true)
        };
        if first {
            tokio::spawn(self.clone().serve(read));
        }
        let ended = || CallError::Failed { endpoint: String::new(), reason: "the store is closed".to_owned() };
        receiver.await.unwrap_or_else(|_| Err(ended()))
    }

    async fn serve<F>(self: Arc<Self>, read: impl Fn() -> F + Send)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        loop {
            let group = {
                let mut queue = self.lock();
                if queue.waiting.is_empty() {
                    queue.reading = false;
                    return;
                }
                std::mem::take(&mut queue.waiting)
            };
            let answer = read().await;
            for waiter in group {
                let _gone = waiter.send(answer.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use tokio::sync::Semaphore;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_is_notified_of_its_revision_and_not_before() {
        let progress = Arc::new(Progress::default());
        progress.reached(4);
        assert!(progress.wait(4, soon()).await.is_ok());
        let waiter = tokio::spawn({
            let progress = progress.clone();
            async move { progress.wait(7, soon()).await }
        });
        tokio::task::yield_now().await;
        progress.reached(6);
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        progress.reached(7);
        assert!(waiter.await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_gives_up_is_removed() {
        let progress = Progress::default();
        assert!(progress.wait(1, soon()).await.is_err());
        assert!(progress.lock().waiting.is_empty());
    }

    /// No caller gets the answer of a read that was sent before its call.
    #[tokio::test]
    async fn a_call_is_answered_by_a_read_that_started_later() {
        let shared = Arc::new(SharedRead::default());
        let (started, gate) = (Arc::new(AtomicU64::new(0)), Arc::new(Semaphore::new(0)));
        let call_shared = || {
            let (shared, started, gate) = (shared.clone(), started.clone(), gate.clone());
            tokio::spawn(async move {
                shared
                    .answer(move || {
                        let number = started.fetch_add(1, SeqCst) + 1;
                        let gate = gate.clone();
                        async move {
                            gate.acquire().await.unwrap().forget();
                            Ok(number)
                        }
                    })
                    .await
                    .unwrap()
            })
        };
        let early = call_shared();
        while started.load(SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let late: Vec<_> = (0..10).map(|_| call_shared()).collect();
        while shared.lock().waiting.len() < 10 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(2);
        assert_eq!(early.await.unwrap(), 1);
        for call in late {
            assert_eq!(call.await.unwrap(), 2);
        }
        assert_eq!(started.load(SeqCst), 2);
    }
}
