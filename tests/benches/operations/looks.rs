//! What the provider is asked, and when: it sees every look at a cluster, whoever takes it.

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

/// Calls that are waited for.
type Which = Box<dyn Fn(&Call) -> bool + Send>;

#[derive(Default)]
struct Seen {
    /// Of each cluster, with its project.
    looks: HashMap<ClusterId, (String, Vec<Instant>)>,
    /// Projects in which nothing is answered.
    silent: HashSet<String>,
    /// Who asked last.
    agent: String,
    awaited: Vec<(Which, oneshot::Sender<Instant>)>,
    /// When the first thing of that name was asked for.
    made: HashMap<String, Instant>,
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Looks(Mutex<Seen>);

/// Times between looks, or by how much looks were late, in microseconds.
pub(crate) type Times = hdrhistogram::Histogram<u64>;

impl Looks {
    /// Sees every call of `model` from now on.
    pub(crate) fn at(model: &Model) -> Arc<Self> {
        let looks = Arc::new(Self::default());
        let seeing = looks.clone();
        model.before_each_call(move |call| {
            let is_answered = seeing.see(&call);
            Box::pin(async move {
                if !is_answered {
                    std::future::pending::<()>().await;
                }
            })
        });
        looks
    }

    fn see(&self, call: &Call) -> bool {
        let now = Instant::now();
        let mut seen = self.lock();
        if call.kind == CallKind::List
            && let Some((_, cluster)) = call.labels.iter().find(|(name, _)| name == CLUSTER)
            && let Ok(cluster) = cluster.parse()
        {
            seen.looks.entry(cluster).or_insert_with(|| (call.project.clone(), Vec::new())).1.push(now);
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
        !seen.silent.contains(&call.project)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    /// Forgets the looks there were.
    pub(crate) fn clear(&self) {
        self.lock().looks.clear();
    }

    /// How many looks there were.
    pub(crate) fn count(&self) -> usize {
        self.lock().looks.values().map(|(_, looks)| looks.len()).sum()
    }

    /// Nothing in these projects is answered any more.
    pub(crate) fn silence(&self, projects: &[String]) {
        self.lock().silent.extend(projects.iter().cloned());
    }

    /// Who asked last.
    pub(crate) fn agent(&self) -> String {
        self.lock().agent.clone()
    }

    /// When something was first made for a cluster.
    pub(crate) fn made_for(&self, cluster: &str) -> Option<Instant> {
        self.lock().made.get(&format!("kq-{}", cluster.replace('-', ""))).copied()
    }

    /// When the next such call comes.
    pub(crate) fn next(&self, which: impl Fn(&Call) -> bool + Send + 'static) -> oneshot::Receiver<Instant> {
        let (sender, receiver) = oneshot::channel();
        self.lock().awaited.push((Box::new(which), sender));
        receiver
    }

    /// Times between looks at the same cluster, in projects that are not silent.
    pub(crate) fn intervals(&self) -> Times {
        let seen = self.lock();
        let answered = seen.looks.values().filter(|(project, _)| !seen.silent.contains(project));
        let mut times = histogram();
        for pair in answered.flat_map(|(_, looks)| looks.windows(2)) {
            times.saturating_record(micros(pair[1] - pair[0]));
        }
        times
    }

    /// By how much looks were later than one `interval` after the look before, which the product spreads a little.
    pub(crate) fn lateness(&self, interval: Duration) -> Times {
        let seen = self.lock();
        let mut times = histogram();
        for (cluster, (_, looks)) in &seen.looks {
            let due = spread(interval, *cluster);
            for pair in looks.windows(2) {
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
