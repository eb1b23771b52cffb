//! Looks at every cluster once per interval, and sooner where somebody asked. A bounded number at a time, one look per cluster.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use kqueen_domain::{
    catalog::Catalog,
    id::ClusterId,
    port::clock::Clock,
    service::looks::{Looked, Looks},
};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::wake::Wake;

/// How often the ages of unchanged sightings are written.
const AGES_EVERY: Duration = Duration::from_secs(5);
/// Most ages that wait while the store is away.
const MOST_UNWRITTEN: usize = 200_000;
/// How often it is seen who is due.
const ROUND: Duration = Duration::from_millis(500);

/// What the observer tells metrics.
#[derive(Debug, Default)]
pub struct ObserverFigures {
    /// Clusters due or being looked at.
    pub waiting: AtomicI64,
    /// How late the latest of the clusters in the last round was, in milliseconds.
    pub lateness_ms: AtomicI64,
    /// Looks made.
    pub looks: AtomicU64,
    /// Looks whose outcome could not be stored.
    pub failures: AtomicU64,
}

/// Looks at clusters in the background.
pub struct Observer {
    /// The use case.
    pub looks: Arc<Looks>,
    /// Knows who is due.
    pub catalog: Arc<Catalog>,
    /// Who was asked for.
    pub wake: Wake,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How often each cluster is looked at.
    pub interval: TimeDelta,
    /// How many at a time.
    pub parallel: usize,
    /// For metrics.
    pub figures: Arc<ObserverFigures>,
}

/// When clusters were looked at.
#[derive(Debug, Default)]
struct Seen {
    /// Looks that found the same, not yet written.
    unwritten: Vec<(ClusterId, DateTime<Utc>)>,
    /// All looks of the last interval: the catalog hears of them only when they are written.
    recent: HashMap<ClusterId, DateTime<Utc>>,
    under_way: HashSet<ClusterId>,
}

impl Observer {
    /// Works until `stop`, then lets looks under way end and writes the last ages.
    pub async fn run(self, stop: CancellationToken) {
        let turns = Arc::new(Semaphore::new(self.parallel));
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let mut tasks = JoinSet::new();
        let mut write_ages = tokio::time::interval(AGES_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.asked() => {}
                () = tokio::time::sleep(ROUND) => {}
                _ = write_ages.tick() => self.write_ages(&seen).await,
            }
            while tasks.try_join_next().is_some() {}
            for cluster in self.due(&seen) {
                let turn = tokio::select! {
                    () = stop.cancelled() => break,
                    turn = turns.clone().acquire_owned() => turn,
                };
                lock(&seen).under_way.insert(cluster);
                let (looks, seen, figures) = (self.looks.clone(), seen.clone(), self.figures.clone());
                tasks.spawn(async move {
                    look(&looks, cluster, &seen, &figures).await;
                    drop(turn);
                });
            }
        }
        tasks.join_all().await;
        self.write_ages(&seen).await;
    }

    /// Who was asked for, then who has not been looked at for the interval.
    fn due(&self, seen: &Mutex<Seen>) -> Vec<ClusterId> {
        let now = self.clock.now();
        let before = now - self.interval;
        let regular = self.catalog.due_for_a_look(before);
        let mut seen = lock(seen);
        seen.recent.retain(|_, at| *at >= before);
        let mut due: HashSet<ClusterId> = self.wake.take();
        let mut late = TimeDelta::zero();
        for (at, cluster) in regular.into_iter().filter(|(_, cluster)| !seen.recent.contains_key(cluster)) {
            late = late.max(at.map_or(TimeDelta::zero(), |at| before - at));
            due.insert(cluster);
        }
        due.retain(|cluster| !seen.under_way.contains(cluster));
        self.figures.lateness_ms.store(late.num_milliseconds(), Ordering::Relaxed);
        self.figures.waiting.store(i64::try_from(due.len()).unwrap_or(i64::MAX), Ordering::Relaxed);
        due.into_iter().collect()
    }

    async fn write_ages(&self, seen: &Mutex<Seen>) {
        let batch = std::mem::take(&mut lock(seen).unwritten);
        if batch.is_empty() {
            return;
        }
        if let Err(error) = self.looks.note_ages(batch.clone()).await {
            tracing::warn!(%error, clusters = batch.len(), "ages cannot be stored; trying again");
            // Older times than those known are ignored when they are written later, so the order does not matter.
            let mut seen = lock(seen);
            if seen.unwritten.len() < MOST_UNWRITTEN {
                seen.unwritten.extend(batch);
            }
        }
    }
}

/// One look, with what it leaves behind.
async fn look(looks: &Looks, cluster: ClusterId, seen: &Mutex<Seen>, figures: &ObserverFigures) {
    let outcome = looks.look_at(cluster).await;
    figures.looks.fetch_add(1, Ordering::Relaxed);
    let now = looks.clock.now();
    let mut seen = lock(seen);
    seen.under_way.remove(&cluster);
    seen.recent.insert(cluster, now);
    match outcome {
        Ok(Looked::Same(at)) => seen.unwritten.push((cluster, at)),
        Ok(Looked::Changed | Looked::Nothing) => {}
        Err(error) => {
            figures.failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(cluster.id = %cluster, %error, "what was seen cannot be stored");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
