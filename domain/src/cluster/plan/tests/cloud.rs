//! A provider that does what it accepts and shows what exists, with a delay. Calls are refused or lost, answers are lost, and the
//! reconciler crashes. Still every existing resource must be recorded, none may be left behind, and undisturbed operations must succeed.

use chrono::TimeDelta;
use proptest::{prelude::*, sample::select, test_runner::TestCaseResult};

use super::{super::*, case::*, replay::*};
use crate::ledger::{RecordState, ResourceRef, UNCERTAIN};
use crate::reason::ReasonCode;

/// How long it takes to create and to delete a resource, in seconds.
const WORK: i64 = 40;
/// The longest time until an accepted call shows. Less than [`SETTLE`] by the time the answer takes.
const LAG: i64 = 29;
/// The longest time until an unanswered call takes effect, so that it shows before [`UNCERTAIN`] is over.
const DELAY: i64 = 60;

#[test]
fn the_simulated_delays_are_within_the_assumed_limits() {
    assert!(TimeDelta::seconds(LAG) < SETTLE);
    assert!(TimeDelta::seconds(DELAY + LAG) < UNCERTAIN);
}

/// The result of a call.
#[derive(Debug, Clone)]
enum CallResult {
    Accepted,
    /// Refused: it has no effect.
    Refused(EngineError),
    /// It does not arrive.
    Lost,
    /// It takes effect after so many seconds, and the answer is lost.
    Unanswered(i64),
}

/// A resource that was made, or will be.
#[derive(Debug, Clone)]
struct Made {
    name: ResourceRef,
    /// When it exists and costs money.
    from: DateTime<Utc>,
    /// When it shows.
    shows: DateTime<Utc>,
    /// When its deletion begins, and when it is gone.
    deletion: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Made {
    fn exists(&self, now: DateTime<Utc>) -> bool {
        self.from <= now && self.deletion.is_none_or(|(_, gone)| now < gone)
    }

    fn shows(&self, now: DateTime<Utc>) -> bool {
        self.shows <= now && self.exists(now)
    }

    fn is_being_deleted(&self, now: DateTime<Utc>) -> bool {
        self.deletion.is_some_and(|(begins, _)| begins <= now)
    }
}

/// What happens in one reconciliation.
#[derive(Debug, Clone)]
struct Conditions {
    /// The error of the observation.
    observe_error: Option<EngineError>,
    result: CallResult,
    /// How long until a call shows, in seconds.
    lag: i64,
    disturbance: Disturbance,
}

/// A reconciliation in which nothing fails.
fn undisturbed() -> Conditions {
    Conditions {
        observe_error: None,
        result: CallResult::Accepted,
        lag: 3,
        disturbance: Disturbance { observing: 1, calling: 1, ..Disturbance::default() },
    }
}

struct Cloud {
    made: Vec<Made>,
    /// Node counts with the time from which they show; the last one counts.
    nodes: Vec<(DateTime<Utc>, u32)>,
    /// Whether the cluster is broken once it is made.
    flawed: bool,
    /// How many resources one call makes.
    at_once: usize,
    conditions: Conditions,
}

impl Cloud {
    fn shown(&self, now: DateTime<Utc>) -> Vec<&Made> {
        self.made.iter().filter(|made| made.shows(now)).collect()
    }

    /// Applies a call that was accepted or not answered.
    fn act(&mut self, call: &Call, now: DateTime<Utc>) {
        let effect = match self.conditions.result {
            CallResult::Unanswered(delay) => now + TimeDelta::seconds(delay),
            CallResult::Accepted | CallResult::Refused(_) | CallResult::Lost => now,
        };
        let shows = effect + TimeDelta::seconds(self.conditions.lag);
        match call {
            Call::Deploy => {
                let gone = |name: &ResourceRef| {
                    self.made
                        .iter()
                        .all(|made| made.name != *name || made.deletion.is_some_and(|(_, gone)| gone <= now))
                };
                let missing: Vec<_> = makes().into_iter().filter(gone).take(self.at_once).collect();
                let made = missing.into_iter().map(|name| Made { name, from: effect, shows, deletion: None });
                self.made.extend(made);
            }
            // The engine can name only what it was shown.
            Call::Destroy => {
                for made in self.made.iter_mut().filter(|made| made.shows(now) && made.deletion.is_none()) {
                    made.deletion = Some((effect, effect + TimeDelta::seconds(WORK)));
                }
            }
            Call::Resize(to) => self.nodes.push((shows, *to)),
            Call::SetNetworkPolicy(_) | Call::Kubeconfig => {}
        }
    }

    /// Whether nothing exists and nothing will.
    fn is_clean(&self, now: DateTime<Utc>) -> bool {
        self.made.iter().all(|made| made.deletion.is_some_and(|(_, gone)| gone <= now))
    }
}

impl Provider for Cloud {
    fn observe(&mut self, now: DateTime<Utc>) -> Result<Observation, EngineError> {
        if let Some(error) = &self.conditions.observe_error {
            return Err(error.clone());
        }
        let shown = self.shown(now);
        let Some(newest) = shown.iter().map(|made| made.shows).max() else { return Ok(Observation::Absent) };
        let state = if shown.iter().any(|made| made.is_being_deleted(now)) {
            ProvisioningState::Removing
        } else if shown.len() < makes().len() {
            ProvisioningState::Incomplete
        } else if now < newest + TimeDelta::seconds(WORK) {
            ProvisioningState::Working
        } else if self.flawed {
            ProvisioningState::Broken(interrupted())
        } else {
            ProvisioningState::Running
        };
        let node_count = self.nodes.iter().rev().find(|(from, _)| *from <= now).map(|(_, nodes)| *nodes);
        let resources = shown
            .iter()
            .map(|made| crate::ledger::ProviderResource { name: made.name.clone(), provider_id: None })
            .collect();
        Ok(Observation::Present(ObservedCluster { node_count, resources, ..observed_cluster(state) }))
    }

    fn call(&mut self, call: &Call, now: DateTime<Utc>) -> Result<(), EngineError> {
        let lost = || Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "no answer"));
        match self.conditions.result.clone() {
            CallResult::Accepted
                if *call == Call::Deploy
                    && self.made.iter().any(|made| made.is_being_deleted(now) && made.exists(now)) =>
            {
                Err(EngineError::Busy("it is being taken down".into()))
            }
            CallResult::Accepted => {
                self.act(call, now);
                Ok(())
            }
            CallResult::Refused(error) => Err(error),
            CallResult::Lost => lost(),
            CallResult::Unanswered(_) => {
                self.act(call, now);
                lost()
            }
        }
    }
}

fn random_conditions() -> impl Strategy<Value = Conditions> {
    let throttled = EngineError::Throttled { retry_after: std::time::Duration::from_secs(20) };
    let refused = vec![
        EngineError::Busy("upgrading".into()),
        throttled.clone(),
        EngineError::Rejected(crate::cluster::tests::because("the quota is used up")),
    ];
    let observe_error = vec![EngineError::unreachable(ReasonCode::ProviderUnreachable, "no answer"), throttled];
    let result = prop_oneof![
        6 => Just(CallResult::Accepted),
        2 => select(refused).prop_map(CallResult::Refused),
        1 => Just(CallResult::Lost),
        3 => (0..=DELAY).prop_map(CallResult::Unanswered),
    ];
    let crash =
        prop_oneof![6 => Just(None), 1 => Just(Some(Crash::BeforeTheCall)), 1 => Just(Some(Crash::AfterTheCall))];
    let request = prop_oneof![14 => Just(None), 1 => Just(Some(Request::Cancel)), 1 => Just(Some(Request::Destroy))];
    let observe_error = prop::option::weighted(0.2, select(observe_error));
    (observe_error, result, 0..=LAG, 0..=ANSWER, 0..=ANSWER, crash, request).prop_map(
        |(observe_error, result, lag, observing, calling, crash, request)| Conditions {
            observe_error,
            result,
            lag,
            disturbance: Disturbance { observing, calling, crash, request },
        },
    )
}

/// One cluster at its provider.
struct World {
    replay: Replay,
    cloud: Cloud,
}

impl World {
    fn new(flawed: bool, at_once: usize) -> Self {
        let cloud = Cloud { made: vec![], nodes: vec![(now(), 3)], flawed, at_once, conditions: undisturbed() };
        Self { replay: Replay::of(OperationKind::Deploy, Lifecycle::Deploying), cloud }
    }

    /// Reconciles until the operation has ended, with the given conditions and then undisturbed.
    fn run(&mut self, conditions: &mut impl Iterator<Item = Conditions>) -> TestCaseResult {
        while self.replay.is_busy() {
            self.cloud.conditions = conditions.next().unwrap_or_else(undisturbed);
            let disturbance = self.cloud.conditions.disturbance.clone();
            self.replay.reconcile(&mut self.cloud, &disturbance)?;
            self.check()?;
        }
        Ok(())
    }

    /// Every resource that exists and costs money is recorded.
    fn check(&self) -> TestCaseResult {
        let now = self.replay.now;
        let ledger = &self.replay.stored.ledger;
        let recorded = |made: &Made| {
            ledger.resources.iter().any(|record| record.resource.name == made.name && record.state != RecordState::Gone)
        };
        if self.replay.is_removed() {
            prop_assert!(self.cloud.is_clean(now), "left behind at {}: {:?}", now, self.cloud.made);
        } else {
            let unrecorded = self.cloud.made.iter().find(|made| made.exists(now) && !recorded(made));
            prop_assert!(unrecorded.is_none(), "{:?} at {} is not in {:?}", unrecorded, now, ledger);
        }
        Ok(())
    }

    fn succeeded(&self) -> bool {
        self.replay.stored.operation.status == OperationStatus::Succeeded
    }
}

proptest! {
    #[test]
    fn every_resource_is_recorded_and_none_is_left_behind(
        flawed in prop::bool::weighted(0.1),
        at_once in 1_usize..=2,
        conditions in prop::collection::vec(random_conditions(), 0..40),
    ) {
        let mut world = World::new(flawed, at_once);
        let mut conditions = conditions.into_iter();
        world.run(&mut conditions)?;
        if world.succeeded() && !world.replay.is_removed() {
            world.replay.request(resize(), ClusterEvent::ChangeRequested);
            world.run(&mut conditions)?;
        }
        // Whatever the result: repeated deletion removes everything.
        for _ in 0..2 {
            if !world.replay.is_removed() {
                world.replay.request(OperationKind::Destroy, ClusterEvent::DeleteRequested);
                world.run(&mut conditions)?;
            }
        }
        if !world.replay.is_removed() {
            world.replay.request(OperationKind::Destroy, ClusterEvent::DeleteRequested);
            world.run(&mut std::iter::empty())?;
        }
        prop_assert!(world.replay.is_removed(), "{:?}", world.replay.stored.operation);
    }
}

#[test]
fn undisturbed_operations_succeed() {
    for at_once in [1, 2] {
        let mut world = World::new(false, at_once);
        world.run(&mut std::iter::empty()).unwrap();
        assert!(world.succeeded(), "{:?}", world.replay.stored);
        assert!(world.replay.stored.cluster.as_ref().unwrap().has_kubeconfig);
        world.replay.request(resize(), ClusterEvent::ChangeRequested);
        world.run(&mut std::iter::empty()).unwrap();
        assert!(world.succeeded(), "{:?}", world.replay.stored);
        assert_eq!(world.cloud.nodes.last().unwrap().1, 5);
        world.replay.request(OperationKind::Destroy, ClusterEvent::DeleteRequested);
        world.run(&mut std::iter::empty()).unwrap();
        assert!(world.replay.is_removed());
    }
}
