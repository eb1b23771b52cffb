//! Whose turn it is. Clusters wait for their time; when it has come they wait in the lane of their provider, of which a few are served
//! at once; lanes are served in turn. A pure structure: it knows the time only as an argument and starts nothing itself.
//!
//! So that nobody's slowness is everybody's: lanes are bounded, and a turn that takes long stops counting among the quick ones, whose
//! number is bounded, and counts among the slow ones from then on.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    time::Duration,
};

use kqueen_domain::{
    id::{ClusterId, ProvisionerId},
    revision::Revision,
};
use tokio::time::Instant;

/// Who is served together: the clusters of one provider, or one cluster that was attached and is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The provider behind a provisioner.
    Provider(ProvisionerId),
    /// An attached cluster.
    Attached(ClusterId),
}

/// How many at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of one lane.
    pub lane: usize,
    /// Altogether, of those that are quick.
    pub quick: usize,
    /// Altogether, of those that have turned out to be slow.
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
    /// Something that is not the turn's own doing may have changed at that revision.
    noticed: Vec<Revision>,
    /// Somebody asked for another turn meanwhile.
    again: bool,
}

/// Whose turn it is.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    /// Clusters that wait for their time.
    due: BTreeSet<(Instant, ClusterId)>,
    at: HashMap<ClusterId, Instant>,
    lanes: HashMap<Lane, LaneState>,
    /// Clusters that wait in a lane.
    in_lane: HashSet<ClusterId>,
    /// Lanes that have somebody waiting and may serve one more, in turn.
    ready: VecDeque<Lane>,
    running: HashMap<ClusterId, Running>,
    /// When each cluster's last turn began.
    begun: HashMap<ClusterId, Instant>,
    slow: usize,
    late: Duration,
}

impl Queue {
    /// Nobody waits.
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
            begun: HashMap::new(),
            slow: 0,
            late: Duration::ZERO,
        }
    }

    /// A cluster is due then, or earlier if it was due earlier.
    pub fn schedule(&mut self, cluster: ClusterId, at: Instant) {
        if let Some(running) = self.running.get_mut(&cluster) {
            running.again = true;
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

    /// Somebody wants to know how a cluster is: it is due now, unless its turn runs or waits to begin already, or the last one began
    /// less than `apart` ago. Whether that made it due.
    ///
    /// What a turn found is shown to lists only when it was written, some seconds later, so the age they show does not tell.
    pub fn wanted(&mut self, cluster: ClusterId, now: Instant, apart: Duration) -> bool {
        let is_fresh = self.running.contains_key(&cluster)
            || self.in_lane.contains(&cluster)
            || self.at.get(&cluster).is_some_and(|due| *due <= now)
            || self.begun.get(&cluster).is_some_and(|begun| now.saturating_duration_since(*begun) < apart);
        if !is_fresh {
            self.schedule(cluster, now);
        }
        !is_fresh
    }

    /// Something about a cluster was changed at that revision. If its turn is running, only the turn can tell whether that was itself.
    pub fn notice(&mut self, cluster: ClusterId, revision: Revision, now: Instant) {
        match self.running.get_mut(&cluster) {
            Some(running) => running.noticed.push(revision),
            None => self.schedule(cluster, now),
        }
    }

    /// A cluster is gone.
    pub fn forget(&mut self, cluster: ClusterId) {
        self.begun.remove(&cluster);
        if let Some(at) = self.at.remove(&cluster) {
            self.due.remove(&(at, cluster));
        }
    }

    /// Nobody waits any more; turns that run end by themselves.
    pub fn clear(&mut self) {
        self.due.clear();
        self.at.clear();
        self.in_lane.clear();
        self.begun.clear();
        self.ready.clear();
        self.lanes.retain(|_, lane| {
            lane.waiting.clear();
            lane.running > 0
        });
    }

    /// The next cluster whose turn may begin, if there is one. `lane` tells a cluster's lane, or `None` if it is gone.
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
            self.late = self.late.max(now.saturating_duration_since(at));
            state.running += 1;
            if !state.waiting.is_empty() && state.running < self.limits.lane {
                self.ready.push_back(lane);
            }
            self.in_lane.remove(&cluster);
            let running = Running { lane, slow: false, noticed: Vec::new(), again: false };
            self.running.insert(cluster, running);
            self.begun.insert(cluster, now);
            return Some(cluster);
        }
        None
    }

    /// A turn takes long: it does not keep quick ones waiting any more, as far as the number of slow ones allows.
    pub fn move_to_slow_lane(&mut self, cluster: ClusterId) {
        if self.slow < self.limits.slow
            && let Some(running) = self.running.get_mut(&cluster).filter(|running| !running.slow)
        {
            running.slow = true;
            self.slow += 1;
        }
    }

    /// A turn has ended; the next is due then, or at once if something has changed meanwhile that the turn did not write itself.
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
        let by_others = ended.noticed.iter().any(|revision| written.is_none_or(|written| *revision > written));
        let next = if by_others || ended.again { Some(now) } else { next };
        match next {
            Some(at) => self.schedule(cluster, at),
            // It may have gone while its turn ran.
            None => {
                self.begun.remove(&cluster);
            }
        }
    }

    /// When somebody is due next.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How many are due and wait, or have their turn.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.in_lane.len() + self.running.len()
    }

    /// How late the latest turn began of those that began since this was last asked.
    pub fn take_lateness(&mut self) -> Duration {
        std::mem::take(&mut self.late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { lane: 2, quick: 4, slow: 3 };

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    /// Clusters in lanes of providers.
    struct World {
        queue: Queue,
        lanes: HashMap<ClusterId, Lane>,
        start: Instant,
    }

    impl World {
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
    async fn a_cluster_waits_for_its_time_and_the_earlier_time_counts() {
        let mut world = World::new();
        let [cluster] = world.lane(1)[..] else { panic!() };
        world.queue.schedule(cluster, after(world.start, 50));
        world.queue.schedule(cluster, after(world.start, 20));
        world.queue.schedule(cluster, after(world.start, 90));
        assert_eq!(world.next(19), None);
        assert_eq!(world.queue.next_due(), Some(after(world.start, 20)));
        assert_eq!(world.next(25), Some(cluster));
        assert_eq!(world.queue.take_lateness(), Duration::from_millis(5));
        assert_eq!(world.next(1000), None, "it has one turn at a time");
        world.queue.done(cluster, None, Some(after(world.start, 2000)), after(world.start, 1000));
        assert_eq!((world.next(1999), world.next(2000)), (None, Some(cluster)));
    }

    #[tokio::test]
    async fn a_lane_serves_few_at_once_and_lanes_take_turns() {
        let mut world = World::new();
        let (many, few) = (world.lane(10), world.lane(1));
        for cluster in many.iter().chain(&few) {
            world.queue.schedule(*cluster, world.start);
        }
        let begun = world.all(0);
        assert_eq!(begun.len(), 3, "two of the long lane, one of the short one");
        assert!(begun.contains(&few[0]));
        let first = begun.into_iter().find(|cluster| many.contains(cluster)).unwrap();
        world.queue.done(first, None, None, world.start);
        let next = world.all(0);
        assert_eq!(next.len(), 1);
        assert!(many.contains(&next[0]) && next[0] != first);
    }

    #[tokio::test]
    async fn slow_turns_make_room_for_quick_ones_up_to_a_number() {
        let mut world = World::new();
        let hanging: Vec<_> = (0..6).map(|_| world.lane(1)[0]).collect();
        for cluster in &hanging {
            world.queue.schedule(*cluster, world.start);
        }
        let begun = world.all(0);
        assert_eq!(begun.len(), LIMITS.quick);
        let well = world.lane(1)[0];
        world.queue.schedule(well, world.start);
        assert_eq!(world.all(1), [], "everything is taken");
        for cluster in &begun {
            world.queue.move_to_slow_lane(*cluster);
        }
        assert_eq!(world.all(2).len(), LIMITS.slow, "as many as may be slow have made room");
        for cluster in &begun {
            world.queue.done(*cluster, None, None, world.start);
        }
        assert_eq!(world.queue.busy(), 3);
        assert_eq!(world.queue.slow, 0);
    }

    #[tokio::test]
    async fn what_changes_during_a_turn_leads_to_another_unless_the_turn_wrote_it() {
        let mut world = World::new();
        let [cluster] = world.lane(1)[..] else { panic!() };
        let later = Some(after(world.start, 60_000));
        let mut turn = |noticed: &[u64], written: Option<u64>| {
            world.queue.forget(cluster);
            world.queue.schedule(cluster, world.start);
            assert_eq!(world.next(0), Some(cluster));
            for revision in noticed {
                world.queue.notice(cluster, Revision(*revision), world.start);
            }
            world.queue.done(cluster, written.map(Revision), later, world.start);
            world.queue.next_due() == Some(world.start)
        };
        assert!(!turn(&[], None));
        assert!(!turn(&[7, 9], Some(9)), "its own writes");
        assert!(turn(&[7, 10], Some(9)), "somebody wrote after it");
        assert!(turn(&[7], None), "somebody wrote, and the turn did not");
    }

    #[tokio::test]
    async fn a_notice_and_a_request_wake_at_once() {
        let mut world = World::new();
        let [one, other] = world.lane(2)[..] else { panic!() };
        for cluster in [one, other] {
            world.queue.schedule(cluster, after(world.start, 60_000));
        }
        world.queue.notice(one, Revision(3), world.start);
        assert_eq!(world.all(0), [one]);
        world.queue.schedule(one, world.start);
        world.queue.done(one, Some(Revision(3)), after(world.start, 60_000).into(), world.start);
        assert_eq!(world.all(0), [one], "it was asked for during its turn");
    }

    #[tokio::test]
    async fn what_is_gone_has_no_turn_and_leaves_nothing() {
        let mut world = World::new();
        let clusters = world.lane(5);
        for cluster in &clusters {
            world.queue.schedule(*cluster, world.start);
        }
        world.queue.forget(clusters[0]);
        world.lanes.remove(&clusters[1]);
        let begun = world.all(0);
        world.queue.clear();
        for cluster in begun {
            world.queue.done(cluster, None, None, world.start);
        }
        assert_eq!((world.queue.busy(), world.queue.next_due()), (0, None));
        assert!(world.queue.lanes.is_empty() && world.queue.at.is_empty() && world.queue.begun.is_empty());
    }

    #[tokio::test]
    async fn a_cluster_that_is_wanted_again_and_again_has_its_turns_apart() {
        const APART: Duration = Duration::from_secs(10);
        let mut world = World::new();
        let [cluster] = world.lane(1)[..] else { panic!() };
        let mut began = Vec::new();
        for ms in (0..25_000).step_by(200) {
            let now = after(world.start, ms);
            world.queue.wanted(cluster, now, APART);
            if world.next(ms).is_some() {
                began.push(ms);
                world.queue.done(cluster, None, Some(after(now, 60_000)), now);
            }
        }
        assert_eq!(began, [0, 10_000, 20_000]);
        world.queue.notice(cluster, Revision(1), after(world.start, 25_000));
        assert_eq!(world.next(25_000), Some(cluster), "a change does not wait");
    }
}
