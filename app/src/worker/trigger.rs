//! Asking for clusters' turns: by people's requests, by lists, and by what the store's feed tells of other replicas.

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

/// A cluster that lists show is looked at because of them only if the last look is older, however many lists show it.
const FRESH: Duration = Duration::from_secs(10);
/// Most clusters of one list that are looked at because of it.
const OF_A_LIST: usize = 100;
/// Most clusters of one list of which it is found out whether they have just been looked at.
const ASKED_OF_A_LIST: usize = 1000;

/// The queue, shared between the one who serves it and all who ask.
#[derive(Clone)]
pub struct Trigger {
    clock: Arc<dyn Clock>,
    queue: Arc<Mutex<Queue>>,
    notify: Arc<Notify>,
    /// Changes may have been missed: everybody is to be gone through.
    missed: Arc<AtomicBool>,
}

impl Trigger {
    /// Nobody waits yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self { clock, queue: Arc::new(Mutex::new(Queue::new(limits))), notify: Arc::default(), missed: Arc::default() }
    }

    /// A cluster is new or was changed. The store's feed tells so as well: it decides whether a turn that runs already has seen the change.
    pub fn now(&self, cluster: ClusterId) {
        self.queue().wanted(cluster, Instant::now(), Duration::ZERO);
        self.notify.notify_one();
    }

    /// A list shows these clusters, last observed then. On several replicas this has an effect only on the one that leads: a list does
    /// not write. Their ids lie apart from what a list holds of them: they are read only of those that are to be looked at.
    pub fn listed<'a>(&self, clusters: impl Iterator<Item = (&'a ClusterId, Option<DateTime<Utc>>)>) {
        let before = self.clock.now() - FRESH;
        let stale = clusters.filter(|(_, observed_at)| observed_at.is_none_or(|at| at < before)).map(|(id, _)| *id);
        let stale: Vec<_> = stale.take(ASKED_OF_A_LIST).collect();
        if stale.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut queue = self.queue();
        let new = stale.into_iter().filter(|cluster| queue.wanted(*cluster, now, FRESH)).take(OF_A_LIST).count();
        drop(queue);
        if new > 0 {
            self.notify.notify_one();
        }
    }

    /// Waits until somebody asks.
    pub(super) async fn asked(&self) {
        self.notify.notified().await;
    }

    /// Rings the notify: there may be room for another turn.
    pub(super) fn notify(&self) {
        self.notify.notify_one();
    }

    /// Whether changes may have been missed since this was last asked.
    pub(super) fn has_missed(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was committed, by whichever replica, wakes the clusters concerned.
impl Subscriber for Trigger {
    fn changed(&self, events: &[ChangeEvent]) {
        let now = Instant::now();
        let mut queue = self.queue();
        for event in events {
            match event.subject {
                Subject::Cluster(cluster) if event.deleted => queue.forget(cluster),
                Subject::Cluster(cluster) | Subject::Operation(_, cluster) => {
                    queue.notice(cluster, event.revision, now)
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
    async fn a_write_that_is_told_twice_leads_to_one_turn() {
        let trigger = Trigger::new(Arc::new(SetClock::at(Utc::now())), Limits { lane: 1, quick: 1000, slow: 1 });
        let cluster = ClusterId::random();
        let begins = || trigger.queue().next(Instant::now(), |cluster| Some(Lane::Attached(cluster)));
        trigger.now(cluster);
        assert_eq!(begins(), Some(cluster));
        trigger.now(cluster);
        trigger.queue().notice(cluster, Revision(4), Instant::now());
        trigger.queue().done(cluster, Some(Revision(5)), None, Instant::now());
        assert_eq!(begins(), None, "the turn began after the change, and wrote what it saw");
        trigger.now(cluster);
        assert_eq!(begins(), Some(cluster), "a change is not held back");
    }

    #[tokio::test]
    async fn a_list_asks_for_what_was_not_looked_at_lately() {
        let now = Utc::now();
        let trigger = Trigger::new(Arc::new(SetClock::at(now)), Limits { lane: 1, quick: 1000, slow: 1 });
        let observed_at = |number, seconds| vec![Some(now - TimeDelta::seconds(seconds)); number];
        let ids: Vec<_> = std::iter::repeat_with(ClusterId::random).take(OF_A_LIST + 3).collect();
        let list = |from: usize, observed_at: &[Option<_>]| {
            trigger.listed(ids[from..].iter().zip(observed_at.iter().copied()))
        };
        let taken = || {
            let mut queue = trigger.queue();
            std::iter::from_fn(|| queue.next(Instant::now(), |cluster| Some(Lane::Attached(cluster)))).count()
        };
        list(0, &observed_at(20, 9));
        assert_eq!((trigger.asked().now_or_never(), taken()), (None, 0));
        list(0, &[observed_at(20, 9), observed_at(1, 11), vec![None]].concat());
        assert_eq!((trigger.asked().now_or_never(), taken()), (Some(()), 2));
        list(20, &observed_at(2, 11));
        assert_eq!((trigger.asked().now_or_never(), taken()), (None, 0), "they are being looked at");
        list(0, &observed_at(OF_A_LIST + 3, 11));
        assert_eq!((trigger.asked().now_or_never(), taken()), (Some(()), OF_A_LIST), "the others are not in the way");
        list(0, &observed_at(OF_A_LIST + 3, 11));
        assert_eq!((trigger.asked().now_or_never(), taken()), (Some(()), 1));
    }
}
