//! The calls that the provider gets, and when: it sees every observation of a cluster, by any replica.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use kqueen::worker::reconcile::spread;
use kqueen_domain::id::ClusterId;
use kqueen_tests::{
    bench::sample::histogram,
    model::{Call, CallKind, Model},
};
use tokio::sync::oneshot;

/// The label with a cluster's id.
const CLUSTER: &str = "kqueen-cluster";

/// Which calls are waited for.
type Which = Box<dyn Fn(&Call) -> bool + Send>;

#[derive(Default)]
struct Seen {
    /// The times for each cluster, with its project.
    observations: HashMap<ClusterId, (String, Vec<Instant>)>,
    /// Projects in which no call is answered.
    unanswered: HashSet<String>,
    /// The replica that called last.
    agent: String,
    awaited: Vec<(Which, oneshot::Sender<Instant>)>,
    /// When the creation of a resource of that name was first requested.
    made: HashMap<String, Instant>,
}

/// The calls that were seen.
#[derive(Default)]
pub(crate) struct Observations(Mutex<Seen>);

/// Times between observations, or their lateness, in microseconds.
pub(crate) type Times = hdrhistogram::Histogram<u64>;

impl Observations {
    /// Records every call to `model` from now on.
    pub(crate) fn at(model: &Model) -> Arc<Self> {
        let observations = Arc::new(Self::default());
        let recorder = observations.clone();
        model.before_each_call(move |call| {
            let is_answered = recorder.see(&call);
            Box::pin(async move {
                if !is_answered {
                    std::future::pending::<()>().await;
                }
            })
        });
        observations
    }

    fn see(&self, call: &Call) -> bool {
        let now = Instant::now();
        let mut seen = self.lock();
        if call.kind == CallKind::List
            && let Some((_, cluster)) = call.labels.iter().find(|(name, _)| name == CLUSTER)
            && let Ok(cluster) = cluster.parse()
        {
            seen.observations.entry(cluster).or_insert_with(|| (call.project.clone(), Vec::new())).1.push(now);
        }
        if matches!(call.kind, CallKind::Create(_))
            && let Some(name) = &call.name
        {
            seen.made.entry(name.clone()).or_insert(now);
        }
        seen.agent.clone_from(&call.agent);
        for (_, waiter) in seen.awaited.extract_if(.., |(which, _)| which(call)) {
            let _gone = waiter.send(now);
        }
        !seen.unanswered.contains(&call.project)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    /// Forgets all observations.
    pub(crate) fn clear(&self) {
        self.lock().observations.clear();
    }

    /// The number of observations.
    pub(crate) fn count(&self) -> usize {
        self.lock().observations.values().map(|(_, observations)| observations.len()).sum()
    }

    /// Stops answering calls in these projects.
    pub(crate) fn stop_answering(&self, projects: &[String]) {
        self.lock().unanswered.extend(projects.iter().cloned());
    }

    /// The replica that called last.
    pub(crate) fn agent(&self) -> String {
        self.lock().agent.clone()
    }

    /// When the first resource was requested for a cluster.
    pub(crate) fn made_for(&self, cluster: &str) -> Option<Instant> {
        self.lock().made.get(&format!("kq-{}", cluster.replace('-', ""))).copied()
    }

    /// The time of the next such call.
    pub(crate) fn next(&self, which: impl Fn(&Call) -> bool + Send + 'static) -> oneshot::Receiver<Instant> {
        let (sender, receiver) = oneshot::channel();
        self.lock().awaited.push((Box::new(which), sender));
        receiver
    }

    /// Times between observations of the same cluster, in projects that are answered.
    pub(crate) fn intervals(&self) -> Times {
        let seen = self.lock();
        let answered = seen.observations.values().filter(|(project, _)| !seen.unanswered.contains(project));
        let mut times = histogram();
        for pair in answered.flat_map(|(_, observations)| observations.windows(2)) {
            times.saturating_record(micros(pair[1] - pair[0]));
        }
        times
    }

    /// By how much observations were later than one `interval`, which the product spreads a little, after the previous one.
    pub(crate) fn lateness(&self, interval: Duration) -> Times {
        let seen = self.lock();
        let mut times = histogram();
        for (cluster, (_, observations)) in &seen.observations {
            let due = spread(interval, *cluster);
            for pair in observations.windows(2) {
                times.saturating_record(micros((pair[1] - pair[0]).saturating_sub(due)));
            }
        }
        times
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// In milliseconds.
pub(crate) fn at_quantile(times: &Times, share: f64) -> f64 {
    times.value_at_quantile(share) as f64 / 1000.0
}
