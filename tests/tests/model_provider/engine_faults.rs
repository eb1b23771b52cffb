//! Every request to an engine, with every fault at every call that it makes.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use kqueen_domain::{
    observation::EngineError,
    port::engine::{ClusterSpec, Engine},
};
use kqueen_tests::model::{CallKind, Effect, Event, Fault, Injection, Key, Kind, LATE, Settings, Status, Trouble};

use crate::setup::{PASSWORD, PROJECT, Setup, a_spec, calico};

/// A request to an engine, in a situation in which it has something to do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ask {
    Check,
    Observe,
    /// That many resources exist already.
    Deploy(usize),
    /// The resource of that kind has failed.
    Repair(Kind),
    Resize,
    SetNetworkPolicy,
    /// That many resources still exist.
    Destroy(usize),
    Kubeconfig,
    Inventory,
}

impl Ask {
    const ALL: [Self; 15] = [
        Self::Check,
        Self::Observe,
        Self::Deploy(0),
        Self::Deploy(1),
        Self::Deploy(2),
        Self::Repair(Kind::Network),
        Self::Repair(Kind::Cluster),
        Self::Repair(Kind::Nodepool),
        Self::Resize,
        Self::SetNetworkPolicy,
        Self::Destroy(3),
        Self::Destroy(2),
        Self::Destroy(1),
        Self::Kubeconfig,
        Self::Inventory,
    ];

    /// A provider where it has something to do, and nothing is in progress.
    async fn setup(self, spec: &ClusterSpec) -> Setup {
        let setup = Setup::with(Settings { page: 2, ..Settings::default() }).await;
        let count = match self {
            Self::Deploy(count) | Self::Destroy(count) => count,
            _ => 3,
        };
        setup.build(spec, count).await;
        if let Self::Repair(kind) = self {
            setup.model.happens(&setup.key(kind, spec), Event::Breaks("it burns".into()));
        }
        // Foreign resources: with the same names in another project, and with other names in ours.
        for kind in Kind::ALL {
            setup.model.plant(&Key::new("red", kind, &setup.key(kind, spec).name), BTreeMap::new());
            setup.model.plant(&Key::new(PROJECT, kind, "somebody-elses"), BTreeMap::new());
        }
        setup.model.clear_log();
        setup
    }

    async fn ask(self, setup: &Setup, spec: &ClusterSpec) -> Result<(), EngineError> {
        let (engine, credentials) = (&setup.engine, &setup.credentials);
        match self {
            Self::Check => engine.check(&credentials.parameters).await,
            Self::Observe => engine.observe(credentials, spec).await.map(drop),
            Self::Deploy(_) | Self::Repair(_) => engine.deploy(credentials, spec).await,
            Self::Resize => engine.resize(credentials, spec, 5).await,
            Self::SetNetworkPolicy => engine.set_network_policy(credentials, spec, &calico()).await,
            Self::Destroy(_) => engine.destroy(credentials, spec).await,
            Self::Kubeconfig => engine.kubeconfig(credentials, spec).await.map(drop),
            Self::Inventory => engine.inventory(credentials, spec.tag.installation).await.map(drop),
        }
    }

    /// Whether the request is fulfilled.
    fn is_done(self, setup: &Setup, spec: &ClusterSpec) -> bool {
        let status = |kind| setup.model.resource(&setup.key(kind, spec)).map(|thing| thing.status);
        let running = Kind::ALL.into_iter().filter(|kind| status(*kind) == Some(Status::Running)).count();
        let shape = |kind| setup.model.resource(&setup.key(kind, spec)).unwrap().shape;
        match self {
            Self::Check | Self::Observe | Self::Repair(_) | Self::Kubeconfig | Self::Inventory => running == 3,
            Self::Deploy(count) => running > count,
            Self::Resize => running == 3 && shape(Kind::Nodepool).node_count == Some(5),
            Self::SetNetworkPolicy => {
                running == 3 && shape(Kind::Cluster).network_policy.is_some_and(|policy| policy.enabled)
            }
            Self::Destroy(count) => running < count,
        }
    }
}

/// The outcome that the contract requires for a fault.
fn meaning(fault: Fault) -> &'static str {
    match fault {
        Fault::Cut(_) | Fault::Hang(_) => "unreachable",
        Fault::Answers(failures, _) => match failures {
            Trouble::Unauthenticated | Trouble::Forbidden => "denied",
            Trouble::BadRequest | Trouble::ProjectMissing | Trouble::NoSuchRoute | Trouble::Quota => "rejected",
            Trouble::Busy => "busy",
            Trouble::TooManyCalls { .. } => "throttled",
            Trouble::Internal
            | Trouble::BadGateway
            | Trouble::Unavailable
            | Trouble::NotJson
            | Trouble::WrongShape
            | Trouble::HalfABody => "unreachable",
        },
        Fault::Stale | Fault::Doomed => "done",
        Fault::CallerDies(_) => "ended",
    }
}

fn name_of(outcome: &Result<(), EngineError>) -> &'static str {
    match outcome {
        Ok(()) => "done",
        Err(EngineError::Unsupported(_)) => "unsupported",
        Err(EngineError::NotOffered) => "not offered",
        Err(EngineError::Rejected(_)) => "rejected",
        Err(EngineError::Denied(_)) => "denied",
        Err(EngineError::Busy(_)) => "busy",
        Err(EngineError::Throttled { .. }) => "throttled",
        Err(EngineError::Unreachable(_)) => "unreachable",
        Err(EngineError::Missing) => "missing",
    }
}

/// Every request, with every fault at every call: the outcome is the one the contract requires, and repeating the request completes it,
/// with every resource created once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_at_every_call_has_its_outcome_and_a_repeated_request_completes() {
    for ask in Ask::ALL {
        let spec = a_spec();
        let setup = ask.setup(&spec).await;
        ask.ask(&setup, &spec).await.unwrap();
        let calls: Vec<CallKind> = setup.model.log().iter().map(|call| call.kind).collect();
        assert!(!calls.is_empty(), "{ask:?}");
        for (position, call) in calls.iter().enumerate() {
            for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(*call)) {
                fault_case(ask, position + 1, *call, fault, LATE).await;
                if matches!(fault.effect(), Effect::Later(_)) {
                    // Repeated before the call has taken effect.
                    fault_case(ask, position + 1, *call, fault, LATE / 3).await;
                }
            }
        }
    }
}

async fn fault_case(ask: Ask, nth: usize, call: CallKind, fault: Fault, pause: TimeDelta) {
    let at = format!("{ask:?}, call {nth} {call:?}: {fault:?}");
    let spec = a_spec();
    let setup = ask.setup(&spec).await;
    let planted = setup.model.planted();
    let made = |setup: &Setup| setup.model.accounts().values().map(|account| account.made).collect::<Vec<_>>();
    let before = made(&setup);
    setup.model.inject(Injection::any(fault).nth(nth));
    let mut deaths = setup.model.deaths();
    let outcome = tokio::select! {
        outcome = ask.ask(&setup, &spec) => Some(outcome),
        _ = deaths.changed() => None,
    };
    let log = setup.model.log();
    assert_eq!(log[nth - 1].fault, Some(fault), "{at}");
    match &outcome {
        None => assert_eq!(meaning(fault), "ended", "{at}"),
        // A later call may contradict a stale read; then the engine waits.
        Some(outcome) if fault == Fault::Stale => {
            assert!(matches!(name_of(outcome), "done" | "busy"), "{at}: {outcome:?}")
        }
        Some(outcome) => assert_eq!(name_of(outcome), meaning(fault), "{at}: {outcome:?}"),
    }
    if let Some(Err(error)) = &outcome {
        let text = format!("{error} {error:?} {}", error.reason());
        let token = setup.credentials.parameters.get("token").unwrap().as_str().unwrap();
        assert!(!text.contains(token) && !text.contains(PASSWORD), "{at}: {text}");
        assert!(error.is_uncertain() || !matches!(fault.effect(), Effect::First | Effect::Later(_)), "{at}: {error:?}");
    }

    // Repeated as often as needed, as if by the next process.
    let engine = setup.model.engine("replica-2");
    let setup = Setup { engine, ..setup };
    for _ in 0..10 {
        setup.model.pass(pause);
        if ask.is_done(&setup, &spec) {
            break;
        }
        let _outcome = ask.ask(&setup, &spec).await;
    }
    setup.model.pass(TimeDelta::hours(1));
    assert!(ask.is_done(&setup, &spec), "{at}: {:?}", setup.model.resources());
    let after = made(&setup);
    let expected = if let Ask::Deploy(count) = ask { vec![1; count + 1] } else { before };
    assert_eq!(after, expected, "every resource is created once: {at}");
    assert_eq!(setup.model.planted(), planted, "{at}");
    assert!(setup.model.log().iter().all(|call| !call.touches_foreign), "{at}");
}
