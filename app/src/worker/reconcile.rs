//! The reconcile loop: reconciles clusters when they are triggered and when they are due, and all of them when this replica becomes the
//! leader.

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

/// How often the observation times of unchanged statuses are written.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// Maximum number of observation times kept while the store is unavailable.
const MAX_UNWRITTEN: usize = 200_000;
/// How often leadership is checked.
const LEADERSHIP_EVERY: Duration = Duration::from_millis(250);
/// A reconcile that has taken this long counts as slow.
const SLOW: Duration = Duration::from_secs(2);
/// Delay before the next attempt when the store was unavailable.
const STORE_RETRY: Duration = Duration::from_secs(3);
/// Delay between the reconciles of a cluster while work is in progress: initial and, while nothing changes, maximum.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// Metrics of the reconcile loop.
#[derive(Debug, Default)]
pub struct ReconcilerMetrics {
    /// Whether this replica leads, 0 or 1.
    pub leads: AtomicI64,
    /// Clusters that are due or being reconciled.
    pub waiting: AtomicI64,
    /// The largest delay of the reconciles that started in the last iteration, in milliseconds.
    pub lateness_ms: AtomicI64,
    /// Reconciles.
    pub reconciles: AtomicU64,
    /// Reconciles whose outcome could not be stored.
    pub failures: AtomicU64,
    /// Reconciles in which a provider or a cluster did not answer.
    pub unanswered: AtomicU64,
}

/// Reconciles clusters in the background.
pub struct ReconcileLoop {
    /// The use case.
    pub reconciler: Arc<Reconciler>,
    /// The read model, which lists the clusters.
    pub catalog: Arc<Catalog>,
    /// The queue of clusters to reconcile.
    pub trigger: Trigger,
    /// How often a cluster is reconciled while nothing is in progress.
    pub interval: Duration,
    /// Metrics.
    pub metrics: Arc<ReconcilerMetrics>,
}

/// State that is kept between reconciles.
#[derive(Default)]
struct LoopState {
    /// Observation times of unchanged statuses, not yet written.
    unwritten: Vec<(ClusterId, DateTime<Utc>)>,
    /// For each cluster with work in progress, the number of consecutive reconciles without a change.
    unchanged: HashMap<ClusterId, u32>,
}

type SharedState = Arc<Mutex<LoopState>>;

fn lock(state: &SharedState) -> std::sync::MutexGuard<'_, LoopState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReconcileLoop {
    /// Runs until `stop` is cancelled, then lets running reconciles end and writes the last observation times.
    pub async fn run(self, stop: CancellationToken) {
        let this = Arc::new(self);
        let state = SharedState::default();
        let mut reconciles = JoinSet::new();
        let mut write_observation_times = tokio::time::interval(WRITE_EVERY);
        let mut check_leadership = tokio::time::interval(LEADERSHIP_EVERY);
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
                () = this.trigger.notified() => {}
                () = next_due => {}
                _ = check_leadership.tick() => {}
                _ = write_observation_times.tick() => this.write_observation_times(&state).await,
            }
            while reconciles.try_join_next().is_some() {}
            let now_leads = this.reconciler.leadership.term().is_some();
            if now_leads != leads {
                leads = now_leads;
                this.leadership_changed(leads, &state);
            } else if this.trigger.take_missed() && leads {
                this.schedule_all();
            }
            if leads {
                while let Some(cluster) = this.next() {
                    reconciles.spawn(this.clone().reconcile(cluster, state.clone()));
                }
            }
            this.update_metrics();
        }
        reconciles.join_all().await;
        this.write_observation_times(&state).await;
    }

    /// This replica has become the leader, or is not leader any more.
    fn leadership_changed(&self, leads: bool, state: &SharedState) {
        self.metrics.leads.store(i64::from(leads), Ordering::Relaxed);
        let mut queue = self.trigger.queue();
        queue.clear();
        lock(state).unchanged.clear();
        if !leads {
            tracing::info!("this replica does not reconcile");
            return;
        }
        tracing::info!("this replica reconciles");
        drop(queue);
        self.schedule_all();
    }

    /// Schedules every cluster one interval after its last observation, and those with work in progress at once.
    fn schedule_all(&self) {
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

    /// Reconciles a cluster once and schedules the next reconcile.
    async fn reconcile(self: Arc<Self>, cluster: ClusterId, state: SharedState) {
        let mut reconcile = std::pin::pin!(self.reconciler.reconcile(cluster));
        let result = match tokio::time::timeout(SLOW, &mut reconcile).await {
            Ok(result) => result,
            Err(_) => {
                self.trigger.queue().move_to_slow_lane(cluster);
                self.trigger.notify();
                reconcile.await
            }
        };
        self.metrics.reconciles.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let (written, next) = match result {
            Ok(outcome) => {
                if outcome.no_answer {
                    self.metrics.unanswered.fetch_add(1, Ordering::Relaxed);
                }
                (outcome.written, self.next_delay(cluster, &outcome, &state).map(|pause| now + pause))
            }
            // A new leader schedules all clusters, but not a replica that is leader again before it noticed the loss.
            Err(StoreError::NotLeader) => (None, Some(now + STORE_RETRY)),
            Err(error) => {
                self.metrics.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(cluster.id = %cluster, %error, cause = ?std::error::Error::source(&error), "the outcome of a reconcile could not be stored");
                (None, Some(now + STORE_RETRY))
            }
        };
        self.trigger.queue().done(cluster, written, next, now);
        self.trigger.notify();
    }

    /// The delay before the next reconcile.
    fn next_delay(&self, cluster: ClusterId, outcome: &Outcome, state: &SharedState) -> Option<Duration> {
        let mut state = lock(state);
        if let Some(at) = outcome.unchanged_at {
            state.unwritten.push((cluster, at));
        }
        let is_unchanged = outcome.requeue == Requeue::Soon && outcome.written.is_none();
        let times = if is_unchanged {
            let times = state.unchanged.entry(cluster).or_default();
            *times = times.saturating_add(1);
            *times
        } else {
            state.unchanged.remove(&cluster);
            0
        };
        drop(state);
        let remaining = outcome.deadline.map(|at| (at - self.reconciler.clock.now()).to_std().unwrap_or_default());
        requeue_delay(outcome.requeue, times, self.interval, remaining, cluster)
    }

    async fn write_observation_times(&self, state: &SharedState) {
        let batch = std::mem::take(&mut lock(state).unwritten);
        match self.reconciler.record_observation_times(batch.clone()).await {
            Ok(()) | Err(StoreError::NotLeader) => {}
            Err(error) => {
                tracing::warn!(%error, clusters = batch.len(), "observation times cannot be stored; trying again");
                // A write ignores times older than the stored ones, so the order does not matter.
                let mut state = lock(state);
                if state.unwritten.len() < MAX_UNWRITTEN {
                    state.unwritten.extend(batch);
                }
            }
        }
    }

    fn update_metrics(&self) {
        let mut queue = self.trigger.queue();
        let late = i64::try_from(queue.take_lateness().as_millis()).unwrap_or(i64::MAX);
        let busy = i64::try_from(queue.busy()).unwrap_or(i64::MAX);
        drop(queue);
        self.metrics.lateness_ms.store(late, Ordering::Relaxed);
        self.metrics.waiting.store(busy, Ordering::Relaxed);
    }
}

/// The delay before the next reconcile, after `times` without a change. At most `remaining`, the time until the deadline of the work in
/// progress.
fn requeue_delay(
    requeue: Requeue,
    times: u32,
    interval: Duration,
    remaining: Option<Duration>,
    cluster: ClusterId,
) -> Option<Duration> {
    let delay = match requeue {
        Requeue::Never => return None,
        Requeue::Now => Duration::ZERO,
        Requeue::Soon => spread(backoff(times).min(interval.max(Duration::from_millis(200))), cluster),
        Requeue::After(pause) => pause.min(interval.max(BACKOFF.1) * 5),
        Requeue::Quiet => spread(interval, cluster),
    };
    Some(remaining.map_or(delay, |remaining| delay.min(remaining)))
}

/// The delay after `times` reconciles without a change: 1.5 times as long each time, up to the maximum.
fn backoff(times: u32) -> Duration {
    (0..times.min(16)).fold(BACKOFF.0, |pause, _| (pause * 3 / 2).min(BACKOFF.1))
}

/// `pause` with a jitter of ±5%, constant for each cluster, so that clusters scheduled together do not stay together.
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
    fn the_backoff_grows_to_its_maximum() {
        assert_eq!([backoff(0), backoff(1)], [Duration::from_secs(5), Duration::from_millis(7500)]);
        assert_eq!(backoff(50), BACKOFF.1);
    }

    #[test]
    fn the_next_reconcile_is_never_after_the_deadline() {
        let (interval, hour, cluster) = (Duration::from_secs(60), Duration::from_secs(3600), ClusterId::random());
        for requeue in [Requeue::Now, Requeue::Soon, Requeue::After(hour), Requeue::Quiet] {
            for times in [0, 50] {
                for remaining in [0, 1, 4, 29, 59, 290].map(Duration::from_secs) {
                    let delay = requeue_delay(requeue, times, interval, Some(remaining), cluster).unwrap();
                    assert!(delay <= remaining, "{requeue:?}: {delay:?} of {remaining:?}");
                }
                let unlimited = requeue_delay(requeue, times, interval, None, cluster);
                assert_eq!(requeue_delay(requeue, times, interval, Some(hour), cluster), unlimited, "{requeue:?}");
            }
        }
        assert_eq!(requeue_delay(Requeue::Never, 0, interval, Some(Duration::ZERO), cluster), None);
    }

    #[test]
    fn the_jitter_is_at_most_five_percent() {
        for _ in 0..1000 {
            let pause = spread(Duration::from_secs(60), ClusterId::random());
            assert!((Duration::from_secs(57)..=Duration::from_secs(63)).contains(&pause), "{pause:?}");
        }
    }
}
