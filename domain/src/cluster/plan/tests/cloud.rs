//! An honest provider: it does what it accepts and shows what is there, if late. Calls are refused and lost, answers are lost, the
//! reconciler crashes. Then nothing may be there that is not written down, nothing may be left behind, and what nothing stands in the
//! way of must be done.

use chrono::TimeDelta;
use proptest::{prelude::*, sample::select, test_runner::TestCaseResult};

use super::{super::*, case::*, replay::*};
use crate::ledger::{RecordState, ResourceRef, UNCERTAIN};
use crate::reason::ReasonCode;

/// How long the provider works on what it makes, and how long a thing takes to go.
const WORK: i64 = 40;
/// How long what it was told does not show, at most. Less than [`SETTLE`] by the time the answer takes.
const LAG: i64 = 29;
/// How long after it was sent a call can take effect that was not answered: so that it has shown before [`UNCERTAIN`] is over.
const DELAY: i64 = 60;

#[test]
fn the_provider_keeps_to_what_is_known_of_providers() {
    assert!(TimeDelta::seconds(LAG) < SETTLE);
    assert!(TimeDelta::seconds(DELAY + LAG) < UNCERTAIN);
}

/// What becomes of a call.
#[derive(Debug, Clone)]
enum Fate {
    Accepted,
    /// Refused for sure.
    Refused(EngineError),
    /// It does not arrive.
    Lost,
    /// It takes effect after so many seconds, and the answer is lost.
    Unanswered(i64),
}

/// A thing that was made, or will be.
#[derive(Debug, Clone)]
struct Made {
    name: ResourceRef,
    /// When it is there and costs money.
    from: DateTime<Utc>,
    /// When it shows.
    shows: DateTime<Utc>,
    /// When it begins to go, and when it is gone.
    goes: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Made {
    fn is_there(&self, now: DateTime<Utc>) -> bool {
        self.from <= now && self.goes.is_none_or(|(_, gone)| now < gone)
    }

    fn shows(&self, now: DateTime<Utc>) -> bool {
        self.shows <= now && self.is_there(now)
    }

    fn is_going(&self, now: DateTime<Utc>) -> bool {
        self.goes.is_some_and(|(begins, _)| begins <= now)
    }
}

/// What happens in one turn.
#[derive(Debug, Clone)]
struct Weather {
    /// The look fails.
    blind: Option<EngineError>,
    fate: Fate,
    /// How long what is told now does not show.
    lag: i64,
    luck: Luck,
}

/// Nothing stands in the way.
fn fair() -> Weather {
    Weather { blind: None, fate: Fate::Accepted, lag: 3, luck: Luck { looking: 1, calling: 1, ..Luck::default() } }
}

struct Cloud {
    made: Vec<Made>,
    /// How many nodes there are from when on; what was told last counts.
    nodes: Vec<(DateTime<Utc>, u32)>,
    /// Whether what is made breaks.
    flawed: bool,
    /// How many things are made by one call.
    at_once: usize,
    weather: Weather,
}

impl Cloud {
    fn shown(&self, now: DateTime<Utc>) -> Vec<&Made> {
        self.made.iter().filter(|made| made.shows(now)).collect()
    }

    /// What was accepted, or was not answered, takes effect.
    fn act(&mut self, call: &Call, now: DateTime<Utc>) {
        let effect = match self.weather.fate {
            Fate::Unanswered(delay) => now + TimeDelta::seconds(delay),
            Fate::Accepted | Fate::Refused(_) | Fate::Lost => now,
        };
        let shows = effect + TimeDelta::seconds(self.weather.lag);
        match call {
            Call::Deploy => {
                let gone = |name: &ResourceRef| {
                    self.made.iter().all(|made| made.name != *name || made.goes.is_some_and(|(_, gone)| gone <= now))
                };
                let missing: Vec<_> = makes().into_iter().filter(gone).take(self.at_once).collect();
                let made = missing.into_iter().map(|name| Made { name, from: effect, shows, goes: None });
                self.made.extend(made);
            }
            // The engine can name only what it was shown.
            Call::Destroy => {
                for made in self.made.iter_mut().filter(|made| made.shows(now) && made.goes.is_none()) {
                    made.goes = Some((effect, effect + TimeDelta::seconds(WORK)));
                }
            }
            Call::Resize(to) => self.nodes.push((shows, *to)),
            Call::SetNetworkPolicy(_) | Call::Kubeconfig => {}
        }
    }

    /// Whether anything is there, or will be.
    fn is_clean(&self, now: DateTime<Utc>) -> bool {
        self.made.iter().all(|made| made.goes.is_some_and(|(_, gone)| gone <= now))
    }
}

impl Provider for Cloud {
    fn observe(&mut self, now: DateTime<Utc>) -> Result<Observation, EngineError> {
        if let Some(error) = &self.weather.blind {
            return Err(error.clone());
        }
        let shown = self.shown(now);
        let Some(newest) = shown.iter().map(|made| made.shows).max() else { return Ok(Observation::Absent) };
        let condition = if shown.iter().any(|made| made.is_going(now)) {
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
        let things = shown
            .iter()
            .map(|made| crate::ledger::ProviderResource { name: made.name.clone(), provider_id: None })
            .collect();
        Ok(Observation::Present(ObservedCluster { node_count, resources: things, ..seen(condition) }))
    }

    fn call(&mut self, call: &Call, now: DateTime<Utc>) -> Result<(), EngineError> {
        let lost = || Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "no answer"));
        match self.weather.fate.clone() {
            Fate::Accepted
                if *call == Call::Deploy && self.made.iter().any(|made| made.is_going(now) && made.is_there(now)) =>
            {
                Err(EngineError::Busy("it is being taken down".into()))
            }
            Fate::Accepted => {
                self.act(call, now);
                Ok(())
            }
            Fate::Refused(error) => Err(error),
            Fate::Lost => lost(),
            Fate::Unanswered(_) => {
                self.act(call, now);
                lost()
            }
        }
    }
}

fn weathers() -> impl Strategy<Value = Weather> {
    let throttled = EngineError::Throttled { retry_after: std::time::Duration::from_secs(20) };
    let refused = vec![
        EngineError::Busy("upgrading".into()),
        throttled.clone(),
        EngineError::Rejected(crate::cluster::tests::because("the quota is used up")),
    ];
    let blind = vec![EngineError::unreachable(ReasonCode::ProviderUnreachable, "no answer"), throttled];
    let fate = prop_oneof![
        6 => Just(Fate::Accepted),
        2 => select(refused).prop_map(Fate::Refused),
        1 => Just(Fate::Lost),
        3 => (0..=DELAY).prop_map(Fate::Unanswered),
    ];
    let crash =
        prop_oneof![6 => Just(None), 1 => Just(Some(Crash::BeforeTheCall)), 1 => Just(Some(Crash::AfterTheCall))];
    let request = prop_oneof![14 => Just(None), 1 => Just(Some(Request::Cancel)), 1 => Just(Some(Request::Destroy))];
    let blind = prop::option::weighted(0.2, select(blind));
    (blind, fate, 0..=LAG, 0..=ANSWER, 0..=ANSWER, crash, request).prop_map(
        |(blind, fate, lag, looking, calling, crash, request)| Weather {
            blind,
            fate,
            lag,
            luck: Luck { looking, calling, crash, request },
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
        let cloud = Cloud { made: vec![], nodes: vec![(now(), 3)], flawed, at_once, weather: fair() };
        Self { replay: Replay::of(OperationKind::Deploy, Lifecycle::Deploying), cloud }
    }

    /// Turns until nothing is under way, in the weather there is and then in fair weather.
    fn run(&mut self, weather: &mut impl Iterator<Item = Weather>) -> TestCaseResult {
        while self.replay.is_busy() {
            self.cloud.weather = weather.next().unwrap_or_else(fair);
            let luck = self.cloud.weather.luck.clone();
            self.replay.turn(&mut self.cloud, &luck)?;
            self.check()?;
        }
        Ok(())
    }

    /// What is there and costs money is written down.
    fn check(&self) -> TestCaseResult {
        let now = self.replay.now;
        let ledger = &self.replay.stored.ledger;
        let listed = |made: &Made| {
            ledger.resources.iter().any(|row| row.resource.name == made.name && row.state != RecordState::Gone)
        };
        if self.replay.has_left() {
            prop_assert!(self.cloud.is_clean(now), "left behind at {}: {:?}", now, self.cloud.made);
        } else {
            let unlisted = self.cloud.made.iter().find(|made| made.is_there(now) && !listed(made));
            prop_assert!(unlisted.is_none(), "{:?} at {} is not in {:?}", unlisted, now, ledger);
        }
        Ok(())
    }

    fn succeeded(&self) -> bool {
        self.replay.stored.operation.status == OperationStatus::Succeeded
    }
}

proptest! {
    #[test]
    fn nothing_is_unlisted_and_nothing_is_left_behind(
        flawed in prop::bool::weighted(0.1),
        at_once in 1_usize..=2,
        weather in prop::collection::vec(weathers(), 0..40),
    ) {
        let mut world = World::new(flawed, at_once);
        let mut weather = weather.into_iter();
        world.run(&mut weather)?;
        if world.succeeded() && !world.replay.has_left() {
            world.replay.ask(resize(), ClusterEvent::ChangeRequested);
            world.run(&mut weather)?;
        }
        // However that went: whoever asks until it works gets rid of all of it.
        for _ in 0..2 {
            if !world.replay.has_left() {
                world.replay.ask(OperationKind::Destroy, ClusterEvent::DeleteRequested);
                world.run(&mut weather)?;
            }
        }
        if !world.replay.has_left() {
            world.replay.ask(OperationKind::Destroy, ClusterEvent::DeleteRequested);
            world.run(&mut std::iter::empty())?;
        }
        prop_assert!(world.replay.has_left(), "{:?}", world.replay.stored.operation);
    }
}

#[test]
fn what_nothing_stands_in_the_way_of_is_done() {
    for at_once in [1, 2] {
        let mut world = World::new(false, at_once);
        world.run(&mut std::iter::empty()).unwrap();
        assert!(world.succeeded(), "{:?}", world.replay.stored);
        assert!(world.replay.stored.cluster.as_ref().unwrap().has_kubeconfig);
        world.replay.ask(resize(), ClusterEvent::ChangeRequested);
        world.run(&mut std::iter::empty()).unwrap();
        assert!(world.succeeded(), "{:?}", world.replay.stored);
        assert_eq!(world.cloud.nodes.last().unwrap().1, 5);
        world.replay.ask(OperationKind::Destroy, ClusterEvent::DeleteRequested);
        world.run(&mut std::iter::empty()).unwrap();
        assert!(world.replay.has_left());
    }
}
