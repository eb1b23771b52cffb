//! Gives every cluster its turns: when it is woken, when it is due, and all of them when this replica begins to lead.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use kqueen_domain::{
    catalog::Catalog,
    id::ClusterId,
    port::store::StoreError,
    service::reconcile::{Outcome, Reconciler, Requeue},
};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{queue::Lane, trigger::Trigger};

/// How often the ages of unchanged observed statuses are written.
const AGES_EVERY: Duration = Duration::from_secs(5);
/// Most ages that wait while the store is away.
const MOST_UNWRITTEN: usize = 200_000;
/// How often it is seen whether this replica leads.
const LEADING_EVERY: Duration = Duration::from_millis(250);
/// A turn that has lasted that long is a slow one.
const SLOW: Duration = Duration::from_secs(2);
/// After how long a turn is tried again for which the store was away.
const STORE_AWAY: Duration = Duration::from_secs(3);
/// How soon a cluster's next turn is while something is under way: at first and, while nothing moves, at most.
const SOON: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// What the reconciler tells metrics.
#[derive(Debug, Default)]
pub struct ReconcilerMetrics {
    /// Whether this replica leads, 0 or 1.
    pub leads: AtomicI64,
    /// Clusters due, or having their turn.
    pub waiting: AtomicI64,
    /// How late the latest of the clusters in the last round was, in milliseconds.
    pub lateness_ms: AtomicI64,
    /// Turns taken.
    pub turns: AtomicU64,
    /// Turns whose outcome could not be stored.
    pub failures: AtomicU64,
    /// Turns in which a provider or a cluster did not answer.
    pub silences: AtomicU64,
}

/// Reconciles in the background.
pub struct Reconciling {
    /// The use case.
    pub reconciler: Arc<Reconciler>,
    /// Knows the clusters.
    pub catalog: Arc<Catalog>,
    /// Whose turn it is.
    pub trigger: Trigger,
    /// How often a cluster at rest is looked at.
    pub interval: Duration,
    /// For metrics.
    pub metrics: Arc<ReconcilerMetrics>,
}

/// What turns leave behind.
#[derive(Default)]
struct Left {
    /// Turns that found nothing new, not yet written.
    unwritten: Vec<(ClusterId, DateTime<Utc>)>,
    /// How often in a row a cluster was waited for in vain.
    patience: HashMap<ClusterId, u32>,
}

type Shared = Arc<Mutex<Left>>;

fn lock(left: &Shared) -> std::sync::MutexGuard<'_, Left> {
    left.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reconciling {
    /// Works until `stop`, then lets turns in hand end and writes the last ages.
    pub async fn run(self, stop: CancellationToken) {
        let this = Arc::new(self);
        let left = Shared::default();
        let mut turns = JoinSet::new();
        let mut write_ages = tokio::time::interval(AGES_EVERY);
        let mut see_who_leads = tokio::time::interval(LEADING_EVERY);
        let mut leads = false;
        loop {
            let due = this.trigger.queue().next_due();
            let next_due = async {
                match due.filter(|_| leads) {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = this.trigger.asked() => {}
                () = next_due => {}
                _ = see_who_leads.tick() => {}
                _ = write_ages.tick() => this.write_ages(&left).await,
            }
            while turns.try_join_next().is_some() {}
            let now_leads = this.reconciler.leadership.term().is_some();
            if now_leads != leads {
                leads = now_leads;
                this.takes_over(leads, &left);
            } else if this.trigger.has_missed() && leads {
                this.go_through_all();
            }
            if leads {
                while let Some(cluster) = this.next() {
                    turns.spawn(this.clone().turn(cluster, left.clone()));
                }
            }
            this.report();
        }
        turns.join_all().await;
        this.write_ages(&left).await;
    }

    /// This replica begins, or ceases, to lead.
    fn takes_over(&self, leads: bool, left: &Shared) {
        self.metrics.leads.store(i64::from(leads), Ordering::Relaxed);
        let mut queue = self.trigger.queue();
        queue.clear();
        lock(left).patience.clear();
        if !leads {
            tracing::info!("this replica does not reconcile");
            return;
        }
        tracing::info!("this replica reconciles");
        drop(queue);
        self.go_through_all();
    }

    /// Everybody is due when the last look is an interval ago, and those that something is done to at once.
    fn go_through_all(&self) {
        let mut queue = self.trigger.queue();
        let (now, time) = (Instant::now(), self.reconciler.clock.now());
        for (cluster, observed_at) in self.catalog.observation_times() {
            let age = observed_at.map_or(self.interval, |at| (time - at).to_std().unwrap_or_default());
            queue.schedule(cluster, now + self.interval.saturating_sub(age));
        }
        for cluster in self.catalog.busy_clusters() {
            queue.schedule(cluster, now);
        }
    }

    fn next(&self) -> Option<ClusterId> {
        self.trigger.queue().next(Instant::now(), |cluster| {
            let view = self.catalog.cluster(cluster)?;
            let engine = self.reconciler.providers.engine_of_cluster(&view);
            let is_attached = engine.is_some_and(|engine| !engine.descriptor().capabilities.deploy);
            Some(if is_attached { Lane::Attached(cluster) } else { Lane::Provider(view.cluster.record.provisioner) })
        })
    }

    /// One turn, with what it leaves behind.
    async fn turn(self: Arc<Self>, cluster: ClusterId, left: Shared) {
        let mut turn = std::pin::pin!(self.reconciler.reconcile(cluster));
        let turned = match tokio::time::timeout(SLOW, &mut turn).await {
            Ok(turned) => turned,
            Err(_) => {
                self.trigger.queue().move_to_slow_lane(cluster);
                self.trigger.notify();
                turn.await
            }
        };
        self.metrics.turns.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let (written, next) = match turned {
            Ok(turned) => {
                if turned.silent {
                    self.metrics.silences.fetch_add(1, Ordering::Relaxed);
                }
                (turned.written, self.next_turn(cluster, &turned, &left).map(|pause| now + pause))
            }
            // Whoever leads now goes through all clusters, unless it is this replica again before anybody saw that it was not.
            Err(StoreError::NotLeader) => (None, Some(now + STORE_AWAY)),
            Err(error) => {
                self.metrics.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(cluster.id = %cluster, %error, cause = ?std::error::Error::source(&error), "a turn could not be stored");
                (None, Some(now + STORE_AWAY))
            }
        };
        self.trigger.queue().done(cluster, written, next, now);
        self.trigger.notify();
    }

    /// After how long the next turn is due.
    fn next_turn(&self, cluster: ClusterId, turned: &Outcome, left: &Shared) -> Option<Duration> {
        let mut left = lock(left);
        if let Some(at) = turned.unchanged_at {
            left.unwritten.push((cluster, at));
        }
        let waits_in_vain = turned.requeue == Requeue::Soon && turned.written.is_none();
        let times = if waits_in_vain {
            let times = left.patience.entry(cluster).or_default();
            *times = times.saturating_add(1);
            *times
        } else {
            left.patience.remove(&cluster);
            0
        };
        drop(left);
        let remaining = turned.deadline.map(|at| (at - self.reconciler.clock.now()).to_std().unwrap_or_default());
        pause(turned.requeue, times, self.interval, remaining, cluster)
    }

    async fn write_ages(&self, left: &Shared) {
        let batch = std::mem::take(&mut lock(left).unwritten);
        match self.reconciler.record_observation_times(batch.clone()).await {
            Ok(()) | Err(StoreError::NotLeader) => {}
            Err(error) => {
                tracing::warn!(%error, clusters = batch.len(), "ages cannot be stored; trying again");
                // Older times than those known are ignored when they are written later, so the order does not matter.
                let mut left = lock(left);
                if left.unwritten.len() < MOST_UNWRITTEN {
                    left.unwritten.extend(batch);
                }
            }
        }
    }

    fn report(&self) {
        let mut queue = self.trigger.queue();
        let late = i64::try_from(queue.take_lateness().as_millis()).unwrap_or(i64::MAX);
        let busy = i64::try_from(queue.busy()).unwrap_or(i64::MAX);
        drop(queue);
        self.metrics.lateness_ms.store(late, Ordering::Relaxed);
        self.metrics.waiting.store(busy, Ordering::Relaxed);
    }
}

/// After how long the next turn is due after so many in which nothing moved; at the latest when what is under way has to end, which is
/// after `remaining`.
fn pause(
    again: Requeue,
    times: u32,
    interval: Duration,
    remaining: Option<Duration>,
    cluster: ClusterId,
) -> Option<Duration> {
    let pause = match again {
        Requeue::Never => return None,
        Requeue::Now => Duration::ZERO,
        Requeue::Soon => spread(soon(times).min(interval.max(Duration::from_millis(200))), cluster),
        Requeue::After(pause) => pause.min(interval.max(SOON.1) * 5),
        Requeue::Quiet => spread(interval, cluster),
    };
    Some(remaining.map_or(pause, |remaining| pause.min(remaining)))
}

/// The pause after so many turns in which nothing moved: half as long again each time.
fn soon(times: u32) -> Duration {
    (0..times.min(16)).fold(SOON.0, |pause, _| (pause * 3 / 2).min(SOON.1))
}

/// Up to a twentieth less or more, the same for one cluster: those that began together do not stay together.
#[must_use]
pub fn spread(pause: Duration, cluster: ClusterId) -> Duration {
    let mut hasher = DefaultHasher::new();
    cluster.hash(&mut hasher);
    let permille = 950 + u32::try_from(hasher.finish() % 101).unwrap_or_default();
    pause * permille / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_in_vain_grows_to_a_limit() {
        assert_eq!([soon(0), soon(1)], [Duration::from_secs(5), Duration::from_millis(7500)]);
        assert_eq!(soon(50), SOON.1);
    }

    #[test]
    fn nothing_is_looked_at_later_than_it_has_to_end() {
        let (interval, hour, cluster) = (Duration::from_secs(60), Duration::from_secs(3600), ClusterId::random());
        for again in [Requeue::Now, Requeue::Soon, Requeue::After(hour), Requeue::Quiet] {
            for times in [0, 50] {
                for remaining in [0, 1, 4, 29, 59, 290].map(Duration::from_secs) {
                    let pause = pause(again, times, interval, Some(remaining), cluster).unwrap();
                    assert!(pause <= remaining, "{again:?}: {pause:?} of {remaining:?}");
                }
                let unhurried = pause(again, times, interval, None, cluster);
                assert_eq!(pause(again, times, interval, Some(hour), cluster), unhurried, "{again:?}");
            }
        }
        assert_eq!(pause(Requeue::Never, 0, interval, Some(Duration::ZERO), cluster), None);
    }

    #[test]
    fn a_pause_is_spread_by_a_twentieth() {
        for _ in 0..1000 {
            let pause = spread(Duration::from_secs(60), ClusterId::random());
            assert!((Duration::from_secs(57)..=Duration::from_secs(63)).contains(&pause), "{pause:?}");
        }
    }
}
