//! Checks of provisioners in the background: what engines answer, and what is stored of it.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use super::{
    doubles::{Dial, Log, MAKING, object},
    kept::{Kept, Story},
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

struct Office {
    world: Arc<World>,
    story: Story,
    provider: Provider,
    stored: Log<(Checked, Term)>,
    refusals: Log<StoreError>,
    term: Dial<Option<Term>>,
    checks: Checks,
}

fn office() -> Office {
    let world = Arc::new(World::new());
    let story = Story::default();
    let provider = Provider::new(&story);
    let (stored, refusals, term) = (Log::default(), Log::default(), Dial::new(Some(TERM)));
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
            clusters: Arc::new(Kept::new(&world).store()),
            provisioners: store,
            engines: EngineRegistry::default().with(Arc::new(provider.engine())),
            installation: Uuid::from_u128(42),
        },
        leadership: Arc::new(leadership),
        clock: world.clock.clone(),
    };
    Office { world, story, provider, stored, refusals, term, checks }
}

fn reason(cause: &str) -> Reason {
    Reason::new(ReasonCode::CredentialsRejected, cause, Responsible::Admin, "do something about it")
}

#[tokio::test]
async fn every_answer_of_an_engine() {
    use ProvisionerPhase::{Failed, NotReachable, Ready};
    let rows = [
        (Ok(()), Ready, "Engine of the Tests accepts the credentials"),
        // It answers, and nothing is wrong with the credentials.
        (Err(EngineError::Busy("maintenance".into())), Ready, "Engine of the Tests answers and is busy"),
        (
            Err(EngineError::Throttled { retry_after: Duration::from_secs(9) }),
            Ready,
            "Engine of the Tests answers and is busy",
        ),
        (
            Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused")),
            NotReachable,
            "connection refused",
        ),
        (Err(EngineError::Denied(reason("the key was revoked"))), Failed, "the key was revoked"),
        (Err(EngineError::Rejected(reason("the project is gone"))), Failed, "the project is gone"),
        (Err(EngineError::Unsupported("check credentials")), Failed, "the engine cannot check credentials"),
        (Err(EngineError::Missing), Failed, "the provider does not have it"),
    ];
    for (answer, phase, says) in rows {
        let office = office();
        office.provider.check.set(answer.clone());
        let found = office.checks.check(office.world.making).await.unwrap();
        let (checked, term) = office.stored.only();
        assert_eq!((found, checked.check.phase, term), (Some(phase), phase, TERM), "{answer:?}");
        assert!(checked.check.reason.starts_with(says), "{answer:?}: {}", checked.check.reason);
        assert_eq!((checked.provisioner, checked.check.at), (office.world.making, office.world.now()), "{answer:?}");
    }
}

#[tokio::test]
async fn a_state_tells_since_when_it_holds() {
    let phases = [ProvisionerPhase::Ready, ProvisionerPhase::Failed, ProvisionerPhase::NotReachable];
    for before in phases {
        for after in phases {
            let office = office();
            let known = provisioner("known", MAKING, &office.world.people.ada);
            let check = Check { phase: before, ..known.check.clone() };
            office.world.put_provisioner(Provisioner { check, ..known.clone() });
            office.provider.check.set(match after {
                ProvisionerPhase::Ready => Ok(()),
                ProvisionerPhase::Failed => Err(EngineError::Missing),
                ProvisionerPhase::NotReachable => {
                    Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "time-out"))
                }
            });
            office.checks.check(known.id).await.unwrap();
            let since = if before == after { known.state_changed_at } else { office.world.now() };
            assert_eq!(office.stored.only().0.state_changed_at, since, "{before:?} then {after:?}");
        }
    }
}

#[tokio::test]
async fn a_check_with_credentials_that_were_replaced_meanwhile_does_not_speak_for_the_new_ones() {
    let office = office();
    office.provider.check.set(Err(EngineError::Denied(reason("the key was revoked"))));
    // While the provider thinks about the old key, somebody puts in a new one, which is checked and found good.
    let world = office.world.clone();
    office.story.meanwhile("check", move || {
        world.clock.advance(TimeDelta::seconds(5));
        let record = world.catalog.provisioner(world.making).unwrap().provisioner.record.clone();
        let check = Check { phase: ProvisionerPhase::Ready, code: None, reason: "fine".into(), at: world.now() };
        world.put_provisioner(Provisioner { check, ..record });
        world.clock.advance(TimeDelta::seconds(5));
    });
    office.checks.check(office.world.making).await.unwrap();
    let revision = office.world.next_revision();
    office.world.catalog.apply(vec![(revision, Change::Put(Record::ProvisionerCheck(office.stored.only().0)))]);
    let shown = office.world.catalog.provisioner(office.world.making).unwrap().provisioner.record.clone();
    assert_eq!(shown.check.phase, ProvisionerPhase::Ready);
}

#[tokio::test]
async fn an_engine_that_is_not_offered_any_more_is_a_failure_of_the_provisioner() {
    let mut office = office();
    office.checks.providers.engines = EngineRegistry::default();
    let found = office.checks.check(office.world.making).await.unwrap();
    assert_eq!(found, Some(ProvisionerPhase::Failed));
    let reason = office.stored.only().0.check.reason;
    assert!(reason.contains("does not offer it"), "{reason}");
}

#[tokio::test]
async fn whoever_does_not_lead_asks_nobody() {
    let office = office();
    office.term.set(None);
    assert!(matches!(office.checks.check(office.world.making).await, Err(StoreError::NotLeader)));
    assert!(office.story.take().is_empty());
}

#[tokio::test]
async fn what_is_gone_is_not_checked_and_what_went_meanwhile_is_none() {
    let office = office();
    assert_eq!(office.checks.check(ProvisionerId::random()).await.unwrap(), None);
    assert!(office.story.take().is_empty());
    office.refusals.push(StoreError::Missing);
    assert_eq!(office.checks.check(office.world.making).await.unwrap(), None);
    for error in [StoreError::NotLeader, StoreError::Unavailable("down".into())] {
        let expected = error.to_string();
        office.refusals.push(error);
        assert_eq!(office.checks.check(office.world.making).await.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn engines_are_asked_with_the_secrets() {
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
        clusters: Arc::new(Kept::new(&world).store()),
        provisioners: Arc::new(store),
        engines: EngineRegistry::default(),
        installation: Uuid::from_u128(42),
    };
    let view = world.catalog.provisioner(masked.id).unwrap();
    let credentials = providers.credentials(&view).await.unwrap();
    assert_eq!((credentials.provisioner, &credentials.parameters), (masked.id, &whole));
    assert!(!format!("{credentials:?}").contains("hunter2"));
    // Where nothing is secret the store is not asked: it would refuse to be, the second time.
    let plain = world.catalog.provisioner(world.making).unwrap();
    assert!(providers.credentials(&plain).await.unwrap().parameters.is_empty());
}
