//! Triggers reconciles: after API requests, for clusters shown in lists, and for changes of any replica that the store's change feed
//! reports.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use kqueen_domain::{
    catalog::{ChangeEvent, Subject, Subscriber},
    id::ClusterId,
    port::clock::Clock,
};
use tokio::{sync::Notify, time::Instant};

use super::queue::{Limits, Queue};

/// A list triggers a reconcile of a cluster only if its last observation is older than this.
const FRESH: Duration = Duration::from_secs(10);
/// Maximum number of reconciles triggered by one list.
const TRIGGERED_BY_LIST: usize = 100;
/// Maximum number of clusters of one list that are looked up in the queue.
const CHECKED_OF_LIST: usize = 1000;

/// The queue, shared between the reconcile loop and everything that triggers reconciles.
#[derive(Clone)]
pub struct Trigger {
    clock: Arc<dyn Clock>,
    queue: Arc<Mutex<Queue>>,
    notify: Arc<Notify>,
    /// Changes may have been missed: all clusters must be scheduled.
    missed: Arc<AtomicBool>,
}

impl Trigger {
    /// A trigger with an empty queue.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self { clock, queue: Arc::new(Mutex::new(Queue::new(limits))), notify: Arc::default(), missed: Arc::default() }
    }

    /// A cluster was created or changed. The store's change feed reports it as well, with the revision that decides whether a running
    /// reconcile has seen the change.
    pub fn now(&self, cluster: ClusterId) {
        self.queue().request(cluster, Instant::now(), Duration::ZERO);
        self.notify.notify_one();
    }

    /// A list shows these clusters, with the times of their last observation. With several replicas this has an effect only on the leader,
    /// because a list does not write. Ids are behind references, so that they are read only for stale clusters.
    pub fn listed<'a>(&self, clusters: impl Iterator<Item = (&'a ClusterId, Option<DateTime<Utc>>)>) {
        let before = self.clock.now() - FRESH;
        let stale = clusters.filter(|(_, observed_at)| observed_at.is_none_or(|at| at < before)).map(|(id, _)| *id);
        let stale: Vec<_> = stale.take(CHECKED_OF_LIST).collect();
        if stale.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut queue = self.queue();
        let new =
            stale.into_iter().filter(|cluster| queue.request(*cluster, now, FRESH)).take(TRIGGERED_BY_LIST).count();
        drop(queue);
        if new > 0 {
            self.notify.notify_one();
        }
    }

    /// Waits for a notification.
    pub(super) async fn notified(&self) {
        self.notify.notified().await;
    }

    /// Notifies the reconcile loop: there may be room for another reconcile.
    pub(super) fn notify(&self) {
        self.notify.notify_one();
    }

    /// Whether changes may have been missed since the last call.
    pub(super) fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Changes committed by any replica trigger reconciles of the clusters concerned.
impl Subscriber for Trigger {
    fn changed(&self, events: &[ChangeEvent]) {
        let now = Instant::now();
        let mut queue = self.queue();
        for event in events {
            match event.subject {
                Subject::Cluster(cluster) if event.deleted => queue.forget(cluster),
                Subject::Cluster(cluster) | Subject::Operation(_, cluster) => {
                    queue.changed(cluster, event.revision, now)
                }
                Subject::Provisioner(_) | Subject::User(_) => {}
            }
        }
        drop(queue);
        self.notify.notify_one();
    }

    fn replaced(&self) {
        self.missed.store(true, Ordering::Relaxed);
        self.notify.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use futures::FutureExt;
    use kqueen_domain::{port::clock::SetClock, revision::Revision};

    use super::{super::queue::Lane, *};

    #[tokio::test]
    async fn a_write_that_is_reported_twice_triggers_one_reconcile() {
        let trigger = Trigger::new(Arc::new(SetClock::at(Utc::now())), Limits { lane: 1, quick: 1000, slow: 1 });
        let cluster = ClusterId::random();
        let next = || trigger.queue().next(Instant::now(), |cluster| Some(Lane::Attached(cluster)));
        trigger.now(cluster);
        assert_eq!(next(), Some(cluster));
        trigger.now(cluster);
        trigger.queue().changed(cluster, Revision(4), Instant::now());
        trigger.queue().done(cluster, Some(Revision(5)), None, Instant::now());
        assert_eq!(next(), None, "the reconcile started after the change, and wrote its outcome");
        trigger.now(cluster);
        assert_eq!(next(), Some(cluster), "a change is not delayed");
    }

    #[tokio::test]
    async fn a_list_triggers_reconciles_of_stale_clusters() {
        let now = Utc::now();
        let trigger = Trigger::new(Arc::new(SetClock::at(now)), Limits { lane: 1, quick: 1000, slow: 1 });
        let observed_at = |number, seconds| vec![Some(now - TimeDelta::seconds(seconds)); number];
        let ids: Vec<_> = std::iter::repeat_with(ClusterId::random).take(TRIGGERED_BY_LIST + 3).collect();
        let list = |from: usize, observed_at: &[Option<_>]| {
            trigger.listed(ids[from..].iter().zip(observed_at.iter().copied()))
        };
        let started = || {
            let mut queue = trigger.queue();
            std::iter::from_fn(|| queue.next(Instant::now(), |cluster| Some(Lane::Attached(cluster)))).count()
        };
        list(0, &observed_at(20, 9));
        assert_eq!((trigger.notified().now_or_never(), started()), (None, 0));
        list(0, &[observed_at(20, 9), observed_at(1, 11), vec![None]].concat());
        assert_eq!((trigger.notified().now_or_never(), started()), (Some(()), 2));
        list(20, &observed_at(2, 11));
        assert_eq!((trigger.notified().now_or_never(), started()), (None, 0), "they are being reconciled");
        list(0, &observed_at(TRIGGERED_BY_LIST + 3, 11));
        assert_eq!(
            (trigger.notified().now_or_never(), started()),
            (Some(()), TRIGGERED_BY_LIST),
            "the running ones do not count"
        );
        list(0, &observed_at(TRIGGERED_BY_LIST + 3, 11));
        assert_eq!((trigger.notified().now_or_never(), started()), (Some(()), 1));
    }
}
