//! Background checks of provisioners: the answers of engines, and what is stored.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use super::{
    doubles::{Log, MAKING, Setting, object},
    kept::{EventLog, FakeStore},
    provider::Provider,
    world::{World, provisioner},
};
use crate::{
    catalog::{Change, Record},
    document,
    id::ProvisionerId,
    observation::EngineError,
    port::{
        engine::EngineRegistry,
        leader::{MockLeadership, Term},
        store::{MockProvisionerStore, StoreError},
    },
    provisioner::{Check, Checked, Provisioner, ProvisionerPhase},
    reason::{Reason, ReasonCode, Responsible},
    revision::Revision,
    service::provisioners::{checks::Checks, providers::Providers},
};

const TERM: Term = Term::Held(Revision(7));

struct Fixture {
    world: Arc<World>,
    events: EventLog,
    provider: Provider,
    stored: Log<(Checked, Term)>,
    refusals: Log<StoreError>,
    term: Setting<Option<Term>>,
    checks: Checks,
}

fn fixture() -> Fixture {
    let world = Arc::new(World::new());
    let events = EventLog::default();
    let provider = Provider::new(&events);
    let (stored, refusals, term) = (Log::default(), Log::default(), Setting::new(Some(TERM)));
    let mut store = MockProvisionerStore::new();
    let (log, refused): (Log<(Checked, Term)>, Log<StoreError>) = (stored.clone(), refusals.clone());
    store.expect_record_check().returning(move |checked, term| match refused.next() {
        Some(refusal) => Err(refusal),
        None => {
            log.push((checked.clone(), term));
            Ok(())
        }
    });
    store.expect_secrets().returning(|_| Ok(None));
    let store: Arc<dyn crate::port::store::ProvisionerStore> = Arc::new(store);
    let mut leadership = MockLeadership::new();
    let held = term.clone();
    leadership.expect_term().returning(move || held.get());
    let checks = Checks {
        catalog: world.catalog.clone(),
        store: store.clone(),
        providers: Providers {
            catalog: world.catalog.clone(),
            clusters: Arc::new(FakeStore::new(&world).store()),
            provisioners: store,
            engines: EngineRegistry::default().with(Arc::new(provider.engine())),
            installation: Uuid::from_u128(42),
        },
        leadership: Arc::new(leadership),
        clock: world.clock.clone(),
    };
    Fixture { world, events, provider, stored, refusals, term, checks }
}

fn reason(cause: &str) -> Reason {
    Reason::new(ReasonCode::CredentialsRejected, cause, Responsible::Admin, "do something about it")
}

#[tokio::test]
async fn every_engine_answer_gives_its_phase() {
    use ProvisionerPhase::{Failed, NotReachable, Ready};
    let rows = [
        (Ok(()), Ready, "Test Engine accepts the credentials"),
        // It answers, and nothing is wrong with the credentials.
        (Err(EngineError::Busy("maintenance".into())), Ready, "Test Engine is reachable but busy"),
        (
            Err(EngineError::Throttled { retry_after: Duration::from_secs(9) }),
            Ready,
            "Test Engine is reachable but busy",
        ),
        (
            Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused")),
            NotReachable,
            "connection refused",
        ),
        (Err(EngineError::Denied(reason("the key was revoked"))), Failed, "the key was revoked"),
        (Err(EngineError::Rejected(reason("the project is gone"))), Failed, "the project is gone"),
        (Err(EngineError::Unsupported("check credentials")), Failed, "the engine cannot check credentials"),
        (Err(EngineError::Missing), Failed, "the resource does not exist at the provider"),
    ];
    for (answer, phase, message) in rows {
        let fixture = fixture();
        fixture.provider.check.set(answer.clone());
        let found = fixture.checks.check(fixture.world.making).await.unwrap();
        let (checked, term) = fixture.stored.only();
        assert_eq!((found, checked.check.phase, term), (Some(phase), phase, TERM), "{answer:?}");
        assert!(checked.check.reason.starts_with(message), "{answer:?}: {}", checked.check.reason);
        assert_eq!((checked.provisioner, checked.check.at), (fixture.world.making, fixture.world.now()), "{answer:?}");
    }
}

#[tokio::test]
async fn an_unchanged_phase_keeps_its_time() {
    let phases = [ProvisionerPhase::Ready, ProvisionerPhase::Failed, ProvisionerPhase::NotReachable];
    for before in phases {
        for after in phases {
            let fixture = fixture();
            let known = provisioner("known", MAKING, &fixture.world.people.ada);
            let check = Check { phase: before, ..known.check.clone() };
            fixture.world.put_provisioner(Provisioner { check, ..known.clone() });
            fixture.provider.check.set(match after {
                ProvisionerPhase::Ready => Ok(()),
                ProvisionerPhase::Failed => Err(EngineError::Missing),
                ProvisionerPhase::NotReachable => {
                    Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "time-out"))
                }
            });
            fixture.checks.check(known.id).await.unwrap();
            let since = if before == after { known.state_changed_at } else { fixture.world.now() };
            assert_eq!(fixture.stored.only().0.state_changed_at, since, "{before:?} then {after:?}");
        }
    }
}

#[tokio::test]
async fn a_check_of_replaced_credentials_does_not_override_a_newer_check() {
    let fixture = fixture();
    fixture.provider.check.set(Err(EngineError::Denied(reason("the key was revoked"))));
    // During the check of the old key a user stores a new one, whose check succeeds.
    let world = fixture.world.clone();
    fixture.events.during("check", move || {
        world.clock.advance(TimeDelta::seconds(5));
        let record = world.catalog.provisioner(world.making).unwrap().provisioner.record.clone();
        let check = Check { phase: ProvisionerPhase::Ready, code: None, reason: "fine".into(), at: world.now() };
        world.put_provisioner(Provisioner { check, ..record });
        world.clock.advance(TimeDelta::seconds(5));
    });
    fixture.checks.check(fixture.world.making).await.unwrap();
    let revision = fixture.world.next_revision();
    fixture.world.catalog.apply(vec![(revision, Change::Put(Record::ProvisionerCheck(fixture.stored.only().0)))]);
    let shown = fixture.world.catalog.provisioner(fixture.world.making).unwrap().provisioner.record.clone();
    assert_eq!(shown.check.phase, ProvisionerPhase::Ready);
}

#[tokio::test]
async fn without_its_engine_a_provisioner_has_failed() {
    let mut fixture = fixture();
    fixture.checks.providers.engines = EngineRegistry::default();
    let found = fixture.checks.check(fixture.world.making).await.unwrap();
    assert_eq!(found, Some(ProvisionerPhase::Failed));
    let reason = fixture.stored.only().0.check.reason;
    assert!(reason.contains("does not offer it"), "{reason}");
}

#[tokio::test]
async fn only_the_leader_checks() {
    let fixture = fixture();
    fixture.term.set(None);
    assert!(matches!(fixture.checks.check(fixture.world.making).await, Err(StoreError::NotLeader)));
    assert!(fixture.events.take().is_empty());
}

#[tokio::test]
async fn a_deleted_provisioner_is_not_checked() {
    let fixture = fixture();
    assert_eq!(fixture.checks.check(ProvisionerId::random()).await.unwrap(), None);
    assert!(fixture.events.take().is_empty());
    fixture.refusals.push(StoreError::Missing);
    assert_eq!(fixture.checks.check(fixture.world.making).await.unwrap(), None);
    for error in [StoreError::NotLeader, StoreError::Unavailable("down".into())] {
        let expected = error.to_string();
        fixture.refusals.push(error);
        assert_eq!(fixture.checks.check(fixture.world.making).await.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn engines_receive_the_secrets() {
    let world = Arc::new(World::new());
    let whole = object(json!({"url": "https://cloud", "password": "hunter2"}));
    let split = document::split(&whole, &|path| path == ["password"]);
    let masked = Provisioner { parameters: split.shown, ..provisioner("masked", MAKING, &world.people.ada) };
    world.put_provisioner(masked.clone());
    let mut store = MockProvisionerStore::new();
    let sealed = split.sealed;
    store.expect_secrets().times(1).returning(move |_| Ok(sealed.clone()));
    let providers = Providers {
        catalog: world.catalog.clone(),
        clusters: Arc::new(FakeStore::new(&world).store()),
        provisioners: Arc::new(store),
        engines: EngineRegistry::default(),
        installation: Uuid::from_u128(42),
    };
    let view = world.catalog.provisioner(masked.id).unwrap();
    let credentials = providers.credentials(&view).await.unwrap();
    assert_eq!((credentials.provisioner, &credentials.parameters), (masked.id, &whole));
    assert!(!format!("{credentials:?}").contains("hunter2"));
    // Without secrets the store is not called: the mock allows only one call.
    let plain = world.catalog.provisioner(world.making).unwrap();
    assert!(providers.credentials(&plain).await.unwrap().parameters.is_empty());
}
