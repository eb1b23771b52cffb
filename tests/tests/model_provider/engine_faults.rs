//! Everything an engine is asked, with every fault at every call that it makes for it.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use kqueen_domain::{
    observation::EngineError,
    port::engine::{ClusterSpec, Engine},
};
use kqueen_tests::model::{Acts, CallKind, Event, Fault, Injection, Key, Kind, LATE, Settings, Status, Trouble};

use crate::site::{PASSWORD, PROJECT, Site, a_spec, calico};

/// Something an engine is asked, in a situation in which it has something to do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ask {
    Check,
    Observe,
    /// So many things are there already.
    Deploy(usize),
    /// The thing of that kind has failed.
    Repair(Kind),
    Resize,
    SetNetworkPolicy,
    /// So many things are still there.
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

    /// A provider where it has something to do, and nothing is under way.
    async fn site(self, spec: &ClusterSpec) -> Site {
        let site = Site::with(Settings { page: 2, ..Settings::default() }).await;
        let things = match self {
            Self::Deploy(things) | Self::Destroy(things) => things,
            _ => 3,
        };
        site.build(spec, things).await;
        if let Self::Repair(kind) = self {
            site.model.happens(&site.key(kind, spec), Event::Breaks("it burns".into()));
        }
        // Under the same names elsewhere, and with our names' neighbours: none of our business.
        for kind in Kind::ALL {
            site.model.plant(&Key::new("red", kind, &site.key(kind, spec).name), BTreeMap::new());
            site.model.plant(&Key::new(PROJECT, kind, "somebody-elses"), BTreeMap::new());
        }
        site.model.clear_log();
        site
    }

    async fn ask(self, site: &Site, spec: &ClusterSpec) -> Result<(), EngineError> {
        let (engine, credentials) = (&site.engine, &site.credentials);
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

    /// What it was asked for is so.
    fn is_done(self, site: &Site, spec: &ClusterSpec) -> bool {
        let status = |kind| site.model.thing(&site.key(kind, spec)).map(|thing| thing.status);
        let running = Kind::ALL.into_iter().filter(|kind| status(*kind) == Some(Status::Running)).count();
        let shape = |kind| site.model.thing(&site.key(kind, spec)).unwrap().shape;
        match self {
            Self::Check | Self::Observe | Self::Repair(_) | Self::Kubeconfig | Self::Inventory => running == 3,
            Self::Deploy(things) => running > things,
            Self::Resize => running == 3 && shape(Kind::Nodepool).node_count == Some(5),
            Self::SetNetworkPolicy => {
                running == 3 && shape(Kind::Cluster).network_policy.is_some_and(|policy| policy.enabled)
            }
            Self::Destroy(things) => running < things,
        }
    }
}

/// What the contract says of a fault.
fn meaning(fault: Fault) -> &'static str {
    match fault {
        Fault::Cut(_) | Fault::Hang(_) => "unreachable",
        Fault::Answers(trouble, _) => match trouble {
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

fn told(outcome: &Result<(), EngineError>) -> &'static str {
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

/// Everything an engine is asked, with every fault at every call that it makes for it: what it says, and that asking again leads where
/// it should, with everything made once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_at_every_call_is_told_as_what_it_is_and_mended_by_asking_again() {
    for ask in Ask::ALL {
        let spec = a_spec();
        let site = ask.site(&spec).await;
        ask.ask(&site, &spec).await.unwrap();
        let calls: Vec<CallKind> = site.model.log().iter().map(|call| call.kind).collect();
        assert!(!calls.is_empty(), "{ask:?}");
        for (position, call) in calls.iter().enumerate() {
            for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(*call)) {
                trouble(ask, position + 1, *call, fault, LATE).await;
                if matches!(fault.acts(), Acts::Later(_)) {
                    // Asked again before it has taken effect.
                    trouble(ask, position + 1, *call, fault, LATE / 3).await;
                }
            }
        }
    }
}

async fn trouble(ask: Ask, nth: usize, call: CallKind, fault: Fault, pause: TimeDelta) {
    let at = format!("{ask:?}, call {nth} {call:?}: {fault:?}");
    let spec = a_spec();
    let site = ask.site(&spec).await;
    let planted = site.model.planted();
    let made = |site: &Site| site.model.accounts().values().map(|account| account.made).collect::<Vec<_>>();
    let before = made(&site);
    site.model.inject(Injection::any(fault).nth(nth));
    let mut deaths = site.model.deaths();
    let outcome = tokio::select! {
        outcome = ask.ask(&site, &spec) => Some(outcome),
        _ = deaths.changed() => None,
    };
    let log = site.model.log();
    assert_eq!(log[nth - 1].fault, Some(fault), "{at}");
    match &outcome {
        None => assert_eq!(meaning(fault), "ended", "{at}"),
        // What is stale may be contradicted by what comes next: that is to be waited for.
        Some(outcome) if fault == Fault::Stale => {
            assert!(matches!(told(outcome), "done" | "busy"), "{at}: {outcome:?}")
        }
        Some(outcome) => assert_eq!(told(outcome), meaning(fault), "{at}: {outcome:?}"),
    }
    if let Some(Err(error)) = &outcome {
        let text = format!("{error} {error:?} {}", error.reason());
        let token = site.credentials.parameters.get("token").unwrap().as_str().unwrap();
        assert!(!text.contains(token) && !text.contains(PASSWORD), "{at}: {text}");
        assert!(error.is_uncertain() || !matches!(fault.acts(), Acts::First | Acts::Later(_)), "{at}: {error:?}");
    }

    // Asked again, as often as it takes, and as if by the next process.
    let engine = site.model.engine("replica-2");
    let site = Site { engine, ..site };
    for _ in 0..10 {
        site.model.pass(pause);
        if ask.is_done(&site, &spec) {
            break;
        }
        let _told = ask.ask(&site, &spec).await;
    }
    site.model.pass(TimeDelta::hours(1));
    assert!(ask.is_done(&site, &spec), "{at}: {:?}", site.model.things());
    let after = made(&site);
    let expected = if let Ask::Deploy(things) = ask { vec![1; things + 1] } else { before };
    assert_eq!(after, expected, "everything is made once: {at}");
    assert_eq!(site.model.planted(), planted, "{at}");
    assert!(site.model.log().iter().all(|call| !call.touches_foreign), "{at}");
}
