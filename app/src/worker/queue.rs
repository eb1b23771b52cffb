//! The queue of clusters to reconcile. A cluster waits until it is due, then in the lane of its provider. Each lane runs a limited
//! number of reconciles at once, and lanes are served round-robin. The queue is a plain data structure: the time is passed in, and it
//! starts nothing itself.
//!
//! A slow provider must not hold up the others. Lanes are bounded, and a reconcile that takes long no longer counts against the limit
//! of quick ones but against the limit of slow ones.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    time::Duration,
};

use kqueen_domain::{
    id::{ClusterId, ProvisionerId},
    revision::Revision,
};
use tokio::time::Instant;

/// Clusters that share a concurrency limit: those of one provider, or a single attached cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The provider behind a provisioner.
    Provider(ProvisionerId),
    /// An attached cluster.
    Attached(ClusterId),
}

/// How many reconciles may run at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// In one lane.
    pub lane: usize,
    /// In total, among the quick ones.
    pub quick: usize,
    /// In total, among those that have turned out to be slow.
    pub slow: usize,
}

#[derive(Debug, Default)]
struct LaneState {
    waiting: VecDeque<(Instant, ClusterId)>,
    running: usize,
}

#[derive(Debug)]
struct Running {
    lane: Lane,
    slow: bool,
    /// Revisions of changes since it started. Some may be its own writes.
    changes: Vec<Revision>,
    /// Another reconcile was requested meanwhile.
    requested_again: bool,
}

/// The queue of clusters to reconcile.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    /// Clusters that are not due yet, by time.
    due: BTreeSet<(Instant, ClusterId)>,
    at: HashMap<ClusterId, Instant>,
    lanes: HashMap<Lane, LaneState>,
    /// Clusters that wait in a lane.
    in_lane: HashSet<ClusterId>,
    /// Lanes with waiting clusters and a free place, in the order in which they are served.
    ready: VecDeque<Lane>,
    running: HashMap<ClusterId, Running>,
    /// When each cluster's last reconcile started.
    started: HashMap<ClusterId, Instant>,
    slow: usize,
    lateness: Duration,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            due: BTreeSet::new(),
            at: HashMap::new(),
            lanes: HashMap::new(),
            in_lane: HashSet::new(),
            ready: VecDeque::new(),
            running: HashMap::new(),
            started: HashMap::new(),
            slow: 0,
            lateness: Duration::ZERO,
        }
    }

    /// Schedules a cluster at `at`, or leaves it where it is due earlier already.
    pub fn schedule(&mut self, cluster: ClusterId, at: Instant) {
        if let Some(running) = self.running.get_mut(&cluster) {
            running.requested_again = true;
            return;
        }
        if self.in_lane.contains(&cluster) {
            return;
        }
        match self.at.get(&cluster) {
            Some(before) if *before <= at => {}
            before => {
                if let Some(before) = before {
                    self.due.remove(&(*before, cluster));
                }
                self.due.insert((at, cluster));
                self.at.insert(cluster, at);
            }
        }
    }

    /// Requests a reconcile now, unless one is running or about to start, or the last one started less than `apart` ago. Returns whether
    /// the cluster became due.
    ///
    /// The age of an observed status does not show whether it is fresh: unchanged ages are written with a delay of a few seconds.
    pub fn request(&mut self, cluster: ClusterId, now: Instant, apart: Duration) -> bool {
        let is_fresh = self.running.contains_key(&cluster)
            || self.in_lane.contains(&cluster)
            || self.at.get(&cluster).is_some_and(|due| *due <= now)
            || self.started.get(&cluster).is_some_and(|started| now.saturating_duration_since(*started) < apart);
        if !is_fresh {
            self.schedule(cluster, now);
        }
        !is_fresh
    }

    /// A cluster was changed at `revision`. If a reconcile is running, [`Queue::done`] decides whether the change was its own write.
    pub fn changed(&mut self, cluster: ClusterId, revision: Revision, now: Instant) {
        match self.running.get_mut(&cluster) {
            Some(running) => running.changes.push(revision),
            None => self.schedule(cluster, now),
        }
    }

    /// Removes a deleted cluster.
    pub fn forget(&mut self, cluster: ClusterId) {
        self.started.remove(&cluster);
        if let Some(at) = self.at.remove(&cluster) {
            self.due.remove(&(at, cluster));
        }
    }

    /// Removes all waiting clusters; running reconciles end by themselves.
    pub fn clear(&mut self) {
        self.due.clear();
        self.at.clear();
        self.in_lane.clear();
        self.started.clear();
        self.ready.clear();
        self.lanes.retain(|_, lane| {
            lane.waiting.clear();
            lane.running > 0
        });
    }

    /// The next cluster to reconcile, if there is one. `lane` returns the lane of a cluster, or `None` if it was deleted.
    pub fn next(&mut self, now: Instant, lane: impl Fn(ClusterId) -> Option<Lane>) -> Option<ClusterId> {
        while let Some((at, cluster)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, cluster));
            self.at.remove(&cluster);
            let Some(lane) = lane(cluster) else { continue };
            let state = self.lanes.entry(lane).or_default();
            state.waiting.push_back((at, cluster));
            self.in_lane.insert(cluster);
            if state.waiting.len() == 1 && state.running < self.limits.lane {
                self.ready.push_back(lane);
            }
        }
        if self.running.len() - self.slow >= self.limits.quick {
            return None;
        }
        while let Some(lane) = self.ready.pop_front() {
            let Some(state) = self.lanes.get_mut(&lane) else { continue };
            let Some((at, cluster)) = state.waiting.pop_front() else { continue };
            self.lateness = self.lateness.max(now.saturating_duration_since(at));
            state.running += 1;
            if !state.waiting.is_empty() && state.running < self.limits.lane {
                self.ready.push_back(lane);
            }
            self.in_lane.remove(&cluster);
            let running = Running { lane, slow: false, changes: Vec::new(), requested_again: false };
            self.running.insert(cluster, running);
            self.started.insert(cluster, now);
            return Some(cluster);
        }
        None
    }

    /// Counts a long reconcile as slow, so that it no longer holds up quick ones, unless the limit of slow ones is reached.
    pub fn move_to_slow_lane(&mut self, cluster: ClusterId) {
        if self.slow < self.limits.slow
            && let Some(running) = self.running.get_mut(&cluster).filter(|running| !running.slow)
        {
            running.slow = true;
            self.slow += 1;
        }
    }

    /// A reconcile has ended. The next one is due at `next`, or at once if something has changed that this one did not write itself.
    pub fn done(&mut self, cluster: ClusterId, written: Option<Revision>, next: Option<Instant>, now: Instant) {
        let Some(ended) = self.running.remove(&cluster) else { return };
        if ended.slow {
            self.slow -= 1;
        }
        if let Some(state) = self.lanes.get_mut(&ended.lane) {
            state.running -= 1;
            if state.running == 0 && state.waiting.is_empty() {
                self.lanes.remove(&ended.lane);
            } else if !state.waiting.is_empty() && state.running + 1 == self.limits.lane {
                self.ready.push_back(ended.lane);
            }
        }
        let by_others = ended.changes.iter().any(|revision| written.is_none_or(|written| *revision > written));
        let next = if by_others || ended.requested_again { Some(now) } else { next };
        match next {
            Some(at) => self.schedule(cluster, at),
            // It may have been deleted while it was reconciled.
            None => {
                self.started.remove(&cluster);
            }
        }
    }

    /// When the next cluster is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How many clusters are due and waiting, or being reconciled.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.in_lane.len() + self.running.len()
    }

    /// The largest delay of the reconciles that started since the last call.
    pub fn take_lateness(&mut self) -> Duration {
        std::mem::take(&mut self.lateness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { lane: 2, quick: 4, slow: 3 };

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    /// A queue with clusters in the lanes of their providers.
    struct Fixture {
        queue: Queue,
        lanes: HashMap<ClusterId, Lane>,
        start: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            Self { queue: Queue::new(LIMITS), lanes: HashMap::new(), start: Instant::now() }
        }

        fn lane(&mut self, clusters: usize) -> Vec<ClusterId> {
            let lane = Lane::Provider(ProvisionerId::random());
            let new: Vec<_> = (0..clusters).map(|_| ClusterId::random()).collect();
            self.lanes.extend(new.iter().map(|cluster| (*cluster, lane)));
            new
        }

        fn next(&mut self, ms: u64) -> Option<ClusterId> {
            let lanes = &self.lanes;
            self.queue.next(after(self.start, ms), |cluster| lanes.get(&cluster).copied())
        }

        fn all(&mut self, ms: u64) -> Vec<ClusterId> {
            std::iter::from_fn(|| self.next(ms)).collect()
        }
    }

    #[tokio::test]
    async fn a_cluster_is_reconciled_at_the_earliest_scheduled_time() {
        let mut fixture = Fixture::new();
        let [cluster] = fixture.lane(1)[..] else { panic!() };
        fixture.queue.schedule(cluster, after(fixture.start, 50));
        fixture.queue.schedule(cluster, after(fixture.start, 20));
        fixture.queue.schedule(cluster, after(fixture.start, 90));
        assert_eq!(fixture.next(19), None);
        assert_eq!(fixture.queue.next_due(), Some(after(fixture.start, 20)));
        assert_eq!(fixture.next(25), Some(cluster));
        assert_eq!(fixture.queue.take_lateness(), Duration::from_millis(5));
        assert_eq!(fixture.next(1000), None, "one reconcile per cluster at a time");
        fixture.queue.done(cluster, None, Some(after(fixture.start, 2000)), after(fixture.start, 1000));
        assert_eq!((fixture.next(1999), fixture.next(2000)), (None, Some(cluster)));
    }

    #[tokio::test]
    async fn lanes_are_bounded_and_served_round_robin() {
        let mut fixture = Fixture::new();
        let (long, short) = (fixture.lane(10), fixture.lane(1));
        for cluster in long.iter().chain(&short) {
            fixture.queue.schedule(*cluster, fixture.start);
        }
        let started = fixture.all(0);
        assert_eq!(started.len(), 3, "two from the long lane, one from the short one");
        assert!(started.contains(&short[0]));
        let first = started.into_iter().find(|cluster| long.contains(cluster)).unwrap();
        fixture.queue.done(first, None, None, fixture.start);
        let next = fixture.all(0);
        assert_eq!(next.len(), 1);
        assert!(long.contains(&next[0]) && next[0] != first);
    }

    #[tokio::test]
    async fn slow_reconciles_free_places_up_to_their_limit() {
        let mut fixture = Fixture::new();
        let slow: Vec<_> = (0..6).map(|_| fixture.lane(1)[0]).collect();
        for cluster in &slow {
            fixture.queue.schedule(*cluster, fixture.start);
        }
        let started = fixture.all(0);
        assert_eq!(started.len(), LIMITS.quick);
        let quick = fixture.lane(1)[0];
        fixture.queue.schedule(quick, fixture.start);
        assert_eq!(fixture.all(1), [], "all places are taken");
        for cluster in &started {
            fixture.queue.move_to_slow_lane(*cluster);
        }
        assert_eq!(fixture.all(2).len(), LIMITS.slow, "as many places are free as reconciles may be slow");
        for cluster in &started {
            fixture.queue.done(*cluster, None, None, fixture.start);
        }
        assert_eq!(fixture.queue.busy(), 3);
        assert_eq!(fixture.queue.slow, 0);
    }

    #[tokio::test]
    async fn a_change_during_a_reconcile_triggers_another_unless_it_is_its_own_write() {
        let mut fixture = Fixture::new();
        let [cluster] = fixture.lane(1)[..] else { panic!() };
        let later = Some(after(fixture.start, 60_000));
        let mut is_due_again = |changes: &[u64], written: Option<u64>| {
            fixture.queue.forget(cluster);
            fixture.queue.schedule(cluster, fixture.start);
            assert_eq!(fixture.next(0), Some(cluster));
            for revision in changes {
                fixture.queue.changed(cluster, Revision(*revision), fixture.start);
            }
            fixture.queue.done(cluster, written.map(Revision), later, fixture.start);
            fixture.queue.next_due() == Some(fixture.start)
        };
        assert!(!is_due_again(&[], None));
        assert!(!is_due_again(&[7, 9], Some(9)), "its own writes");
        assert!(is_due_again(&[7, 10], Some(9)), "another write after its own");
        assert!(is_due_again(&[7], None), "another write, and none of its own");
    }

    #[tokio::test]
    async fn a_change_and_a_request_are_due_at_once() {
        let mut fixture = Fixture::new();
        let [one, other] = fixture.lane(2)[..] else { panic!() };
        for cluster in [one, other] {
            fixture.queue.schedule(cluster, after(fixture.start, 60_000));
        }
        fixture.queue.changed(one, Revision(3), fixture.start);
        assert_eq!(fixture.all(0), [one]);
        fixture.queue.schedule(one, fixture.start);
        fixture.queue.done(one, Some(Revision(3)), after(fixture.start, 60_000).into(), fixture.start);
        assert_eq!(fixture.all(0), [one], "it was requested during the reconcile");
    }

    #[tokio::test]
    async fn deleted_clusters_are_not_reconciled_and_leave_no_state() {
        let mut fixture = Fixture::new();
        let clusters = fixture.lane(5);
        for cluster in &clusters {
            fixture.queue.schedule(*cluster, fixture.start);
        }
        fixture.queue.forget(clusters[0]);
        fixture.lanes.remove(&clusters[1]);
        let started = fixture.all(0);
        fixture.queue.clear();
        for cluster in started {
            fixture.queue.done(cluster, None, None, fixture.start);
        }
        assert_eq!((fixture.queue.busy(), fixture.queue.next_due()), (0, None));
        assert!(fixture.queue.lanes.is_empty() && fixture.queue.at.is_empty() && fixture.queue.started.is_empty());
    }

    #[tokio::test]
    async fn repeated_requests_are_reconciled_apart() {
        const APART: Duration = Duration::from_secs(10);
        let mut fixture = Fixture::new();
        let [cluster] = fixture.lane(1)[..] else { panic!() };
        let mut started = Vec::new();
        for ms in (0..25_000).step_by(200) {
            let now = after(fixture.start, ms);
            fixture.queue.request(cluster, now, APART);
            if fixture.next(ms).is_some() {
                started.push(ms);
                fixture.queue.done(cluster, None, Some(after(now, 60_000)), now);
            }
        }
        assert_eq!(started, [0, 10_000, 20_000]);
        fixture.queue.changed(cluster, Revision(1), after(fixture.start, 25_000));
        assert_eq!(fixture.next(25_000), Some(cluster), "a change is not delayed");
    }
}
