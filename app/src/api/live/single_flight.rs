//! Deduplicates concurrent calls: callers with the same key share one execution.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

type Running<V> = Shared<BoxFuture<'static, V>>;
/// Running work by key, with a number that distinguishes it from later work for the same key.
type Register<K, V> = Arc<Mutex<HashMap<K, (u64, WeakShared<BoxFuture<'static, V>>)>>>;

/// Running work by key. It is dropped with its last caller.
pub(super) struct SingleFlight<K: Eq + Hash, V: Clone> {
    register: Register<K, V>,
    count: AtomicU64,
}

impl<K: Eq + Hash, V: Clone> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self { register: Arc::default(), count: AtomicU64::new(0) }
    }
}

impl<K: Clone + Eq + Hash + Send + 'static, V: Clone + Send + Sync + 'static> SingleFlight<K, V> {
    /// The running work for `key`.
    pub(super) fn join(&self, key: &K) -> Option<Running<V>> {
        lock(&self.register).get(key).and_then(|(_, running)| running.upgrade())
    }

    /// The running work for `key`, or `work`, which starts when it is awaited.
    pub(super) fn join_or_start(&self, key: K, work: impl Future<Output = V> + Send + 'static) -> Running<V> {
        let mut register = lock(&self.register);
        if let Some(running) = register.get(&key).and_then(|(_, running)| running.upgrade()) {
            // Unlock before `work` is dropped, which may take time.
            drop(register);
            return running;
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let registered = Registered { register: self.register.clone(), key: key.clone(), number };
        let work = async move {
            let outcome = work.await;
            // Later callers start a new execution.
            drop(registered);
            outcome
        };
        let running = work.boxed().shared();
        if let Some(weak) = running.downgrade() {
            register.insert(key, (number, weak));
        }
        running
    }
}

/// Removes work from the register when it has ended or lost its last caller.
struct Registered<K: Eq + Hash, V: Clone> {
    register: Register<K, V>,
    key: K,
    number: u64,
}

impl<K: Eq + Hash, V: Clone> Drop for Registered<K, V> {
    fn drop(&mut self) {
        let mut register = lock(&self.register);
        if register.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            register.remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn concurrent_callers_share_one_execution() {
        let flight = SingleFlight::default();
        let (done, wait) = oneshot::channel::<u8>();
        let first = flight.join_or_start("view", async move { wait.await.unwrap() });
        let second = flight.join_or_start("view", async { 2 });
        let third = flight.join(&"view").unwrap();
        assert!(flight.join(&"other").is_none());
        // The first caller leaves; the others get the result of its work.
        let mut first = Some(first);
        assert!(first.as_mut().and_then(FutureExt::now_or_never).is_none());
        drop(first);
        done.send(1).unwrap();
        assert_eq!((second.await, third.await), (1, 1));
        assert_eq!(flight.join_or_start("view", async { 3 }).await, 3, "ended work is not joined");
        assert!(lock(&flight.register).is_empty());
    }

    #[tokio::test]
    async fn work_without_callers_is_dropped() {
        let flight = SingleFlight::default();
        let (held, dropped) = oneshot::channel::<()>();
        let mut running = flight.join_or_start("view", async move {
            let _held = held;
            std::future::pending::<u8>().await
        });
        assert!((&mut running).now_or_never().is_none());
        drop(running);
        assert!(dropped.await.is_err());
        assert!(flight.join(&"view").is_none() && lock(&flight.register).is_empty());
    }
}
