//! Provisioners: what is stored, the effect of their check, and how their secrets are kept.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    doubles::{ATTACHING, Log, MAKING, engine, fields, fresh, object, sealed, status},
    world::{World, caller, cluster, provisioner},
};
use crate::{
    document::MASK,
    observation::EngineError,
    port::{
        engine::EngineRegistry,
        store::{Creation, IdempotencyRecord, MockProvisionerStore, MockReadBarrier, SecretUpdate, StoreError},
    },
    provisioner::{Provisioner, ProvisionerPhase},
    reason::{Reason, ReasonCode, Responsible},
    revision::Revision,
    secret::SecretDocument,
    service::{
        idempotency::IdempotencyKey,
        provisioners::{NewProvisioner, ProvisionerPatch},
    },
};

type Created = Log<(Provisioner, SecretUpdate<SecretDocument>, Option<IdempotencyRecord>)>;
type Written = Log<(Provisioner, SecretUpdate<SecretDocument>, Revision)>;

fn creating(created: &Created) -> MockProvisionerStore {
    let mut store = MockProvisionerStore::new();
    let created = created.clone();
    store.expect_create().returning(move |provisioner, secrets, idempotency| {
        created.push((provisioner.clone(), secrets, idempotency));
        Ok(Creation::New(Revision(77)))
    });
    store.expect_created_with().returning(|_| Ok(None));
    store
}

/// A store that answers with `conflicts` conflicts before it accepts an update.
fn updating(mut conflicts: usize, written: &Written) -> MockProvisionerStore {
    let mut store = MockProvisionerStore::new();
    let written = written.clone();
    store.expect_update().returning(move |provisioner, secrets, expected| {
        if conflicts > 0 {
            conflicts -= 1;
            return Err(StoreError::Conflict);
        }
        written.push((provisioner.clone(), secrets, expected));
        Ok(Revision(expected.0 + 1))
    });
    store
}

fn new_provisioner(parameters: Value) -> NewProvisioner {
    NewProvisioner {
        name: "new".try_into().unwrap(),
        engine: MAKING.into(),
        owner: None,
        parameters: object(parameters),
    }
}

fn renamed() -> ProvisionerPatch {
    ProvisionerPatch { name: Some("other".try_into().unwrap()), ..ProvisionerPatch::default() }
}

fn with_parameters(parameters: Value) -> ProvisionerPatch {
    ProvisionerPatch { parameters: Some(object(parameters)), ..ProvisionerPatch::default() }
}

fn checking(check: Result<(), EngineError>) -> EngineRegistry {
    EngineRegistry::default().with(Arc::new(engine(MAKING, check)))
}

#[tokio::test]
async fn it_is_stored_whatever_its_check_returns_with_separate_secrets() {
    let denied = || {
        EngineError::Denied(Reason::new(
            ReasonCode::CredentialsRejected,
            "the password is wrong",
            Responsible::Admin,
            "correct it",
        ))
    };
    let unreachable = || EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused");
    let rows = [
        (Ok(()), ProvisionerPhase::Ready, ""),
        (Err(denied()), ProvisionerPhase::Failed, "the password is wrong"),
        (Err(unreachable()), ProvisionerPhase::NotReachable, "connection refused"),
    ];
    for (check, phase, reason) in rows {
        let world = World::new();
        let created = Created::default();
        let provisioners = world.provisioners_with(creating(&created), fresh(), checking(check));
        let given = json!({"url": "https://cloud", "password": "hunter2", "extra": [{"token": "abc"}]});
        let ada = &world.people.ada;
        let view = provisioners.create(&caller(ada), new_provisioner(given.clone()), None).await.unwrap();
        let (stored, secrets, idempotency) = created.only();
        let shown = json!({"url": "https://cloud", "password": MASK, "extra": [{"token": MASK}]});
        assert_eq!(stored.parameters.to_map(), object(shown));
        assert_eq!(sealed(&secrets), Some(object(given)));
        assert_eq!((stored.check.phase, stored.check.at), (phase, world.now()));
        assert!(stored.check.reason.contains(reason) && !stored.check.reason.is_empty());
        assert_eq!((stored.state_changed_at, stored.created_at), (world.now(), world.now()));
        assert_eq!((stored.owner, stored.organization, idempotency), (ada.id, world.acme, None));
        assert_eq!((&view.provisioner.record, view.provisioner.revision), (&stored, Revision(77)));
    }
}

#[tokio::test]
async fn the_check_receives_the_secrets() {
    let world = World::new();
    let mut test_engine = crate::port::engine::MockEngine::new();
    test_engine.expect_descriptor().return_const({
        use crate::port::engine::Engine;
        engine(MAKING, Ok(())).descriptor().clone()
    });
    test_engine
        .expect_check()
        .withf(|given| given.get("password").is_some_and(|it| it == "hunter2"))
        .times(1)
        .returning(|_| Ok(()));
    let engines = EngineRegistry::default().with(Arc::new(test_engine));
    let provisioners = world.provisioners_with(creating(&Created::default()), fresh(), engines);
    let given = json!({"url": "https://cloud", "password": "hunter2"});
    let created = provisioners.create(&caller(&world.people.ada), new_provisioner(given), None).await;
    assert_eq!(status(&created), 200);
}

#[tokio::test]
async fn invalid_fields_are_named_without_calling_the_engine() {
    let world = World::new();
    let mut test_engine = crate::port::engine::MockEngine::new();
    test_engine.expect_descriptor().return_const({
        use crate::port::engine::Engine;
        engine(MAKING, Ok(())).descriptor().clone()
    });
    let engines = EngineRegistry::default().with(Arc::new(test_engine));
    let provisioners = world.provisioners_with(MockProvisionerStore::new(), fresh(), engines);
    let ada = caller(&world.people.ada);
    let rows = [
        (new_provisioner(json!({})), "parameters.url"),
        (new_provisioner(json!({"url": "u", "password": MASK})), "parameters.password"),
        (NewProvisioner { engine: "kqueen.engines.Nobody".into(), ..new_provisioner(json!({})) }, "engine"),
        // A known engine that is not offered here.
        (NewProvisioner { engine: ATTACHING.into(), ..new_provisioner(json!({})) }, "engine"),
    ];
    for (new, field) in rows {
        assert_eq!(fields(provisioners.create(&ada, new, None).await)[0].0, field);
    }
}

#[tokio::test]
async fn a_repeated_idempotency_key_returns_the_first_result() {
    let world = World::new();
    let ada = &world.people.ada;
    let once = |fingerprint| Some(IdempotencyKey { key: "k".into(), fingerprint: [fingerprint; 32] });
    let new = || new_provisioner(json!({"url": "https://cloud"}));
    let created = Created::default();
    world.provisioners(creating(&created)).create(&caller(ada), new(), once(1)).await.unwrap();
    let expected = IdempotencyRecord { caller: ada.id, key: "k".into(), fingerprint: [1; 32], at: world.now() };
    assert_eq!(created.only().2, Some(expected));

    let first = provisioner("first", MAKING, ada);
    let mut store = MockProvisionerStore::new();
    let answer = first.clone();
    store.expect_created_with().times(1).returning(|_| Ok(None));
    let earlier = first.clone();
    store
        .expect_created_with()
        .returning(move |idempotency| Ok(Some((earlier.clone(), idempotency.fingerprint == [1; 32]))));
    store
        .expect_create()
        .times(1)
        .returning(move |_, _, _| Ok(Creation::Repeated { first: answer.clone(), same_request: true }));
    let provisioners = world.provisioners(store);
    let repeated = provisioners.create(&caller(ada), new(), once(1)).await.unwrap();
    assert_eq!(repeated.provisioner.record, first);
    assert_eq!(status(&provisioners.create(&caller(ada), new(), once(2)).await), 409);
}

#[tokio::test]
async fn renaming_keeps_the_secrets_and_calls_no_provider() {
    let world = World::new();
    let written = Written::default();
    // No engine: a rename needs none.
    let provisioners = world.provisioners_with(updating(0, &written), fresh(), EngineRegistry::default());
    let ada = caller(&world.people.ada);
    provisioners.update(&ada, world.making, renamed(), None).await.unwrap();
    let (stored, secrets, _) = written.only();
    let before = world.catalog.provisioner(world.making).unwrap().provisioner.record.clone();
    assert_eq!((stored.name.as_str(), &stored.check), ("other", &before.check));
    assert!(matches!(secrets, SecretUpdate::Keep));
    assert_eq!(status(&provisioners.update(&ada, world.making, with_parameters(json!({})), None).await), 409);
}

/// A provisioner with secrets, and its sealed document.
fn with_secrets(world: &World) -> (Provisioner, SecretDocument) {
    let full = object(json!({"url": "https://cloud", "password": "hunter2", "region": "west"}));
    let split = crate::document::split(&full, &|path| path == ["password"]);
    let provisioner = Provisioner { parameters: split.shown, ..provisioner("secret", MAKING, &world.people.ada) };
    world.put_provisioner(provisioner.clone());
    (provisioner, split.sealed.unwrap())
}

#[tokio::test]
async fn a_mask_keeps_the_secret_and_null_removes_it() {
    let world = World::new();
    let (before, stored) = with_secrets(&world);
    let written = Written::default();
    let mut store = updating(0, &written);
    store.expect_secrets().returning(move |_| Ok(Some(stored.clone())));
    let provisioners = world.provisioners(store);
    let ada = caller(&world.people.ada);
    let changes = json!({"password": MASK, "url": "https://other", "region": null});
    provisioners.update(&ada, before.id, with_parameters(changes), None).await.unwrap();
    let (after, secrets, _) = written.only();
    assert_eq!(after.parameters.to_map(), object(json!({"url": "https://other", "password": MASK})));
    assert_eq!(sealed(&secrets), Some(object(json!({"url": "https://other", "password": "hunter2"}))));
    provisioners.update(&ada, before.id, with_parameters(json!({"password": null})), None).await.unwrap();
    assert!(matches!(written.only().1, SecretUpdate::Remove));
    let wrong = provisioners.update(&ada, before.id, with_parameters(json!({"url": null})), None).await;
    assert_eq!(fields(wrong)[0].0, "parameters.url");
    let wrong = provisioners.update(&ada, before.id, with_parameters(json!({"other_secret": MASK})), None).await;
    assert_eq!(fields(wrong)[0].0, "parameters.other_secret");
}

#[tokio::test]
async fn a_patch_that_changes_nothing_is_neither_checked_nor_written() {
    let world = World::new();
    let (before, stored) = with_secrets(&world);
    let written = Written::default();
    let mut store = updating(0, &written);
    store.expect_secrets().returning(move |_| Ok(Some(stored.clone())));
    world.clock.advance(TimeDelta::hours(1));
    let provisioners = world.provisioners(store);
    let ada = caller(&world.people.ada);
    let same = ProvisionerPatch {
        name: Some(before.name.clone()),
        owner: Some(before.owner),
        ..with_parameters(json!({"password": MASK, "url": "https://cloud", "gone": null}))
    };
    let entry = provisioners.get(&ada, before.id).unwrap().provisioner;
    for patch in [ProvisionerPatch::default(), with_parameters(json!({})), same] {
        let answer = provisioners.update(&ada, before.id, patch, None).await.unwrap();
        assert!(Arc::ptr_eq(&answer.provisioner, &entry));
    }
    assert_eq!(written.len(), 0);
    provisioners.update(&ada, before.id, with_parameters(json!({"password": "another"})), None).await.unwrap();
    let (after, secrets, _) = written.only();
    assert_eq!(after.parameters, before.parameters, "only the secret changed");
    assert!(!secrets.is_keep());
}

#[tokio::test]
async fn new_parameters_are_checked_and_an_unchanged_phase_keeps_its_time() {
    let rows = [
        (Ok(()), ProvisionerPhase::Ready, false),
        (
            Err(EngineError::Denied(Reason::new(ReasonCode::CredentialsRejected, "no", Responsible::Admin, ""))),
            ProvisionerPhase::Failed,
            true,
        ),
        (Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "no")), ProvisionerPhase::NotReachable, true),
    ];
    for (check, phase, changes) in rows {
        let world = World::new();
        let (before, stored) = with_secrets(&world);
        world.clock.advance(TimeDelta::hours(1));
        let written = Written::default();
        let mut store = updating(0, &written);
        store.expect_secrets().returning(move |_| Ok(Some(stored.clone())));
        let provisioners = world.provisioners_with(store, fresh(), checking(check));
        let patch = with_parameters(json!({"region": "east"}));
        provisioners.update(&caller(&world.people.ada), before.id, patch, None).await.unwrap();
        let after = written.only().0;
        assert_eq!((after.check.phase, after.check.at), (phase, world.now()));
        assert_eq!(after.state_changed_at, if changes { world.now() } else { before.state_changed_at });
    }
}

#[tokio::test]
async fn an_update_is_retried_on_the_newest_record() {
    let world = Arc::new(World::new());
    let written = Written::default();
    let (mut read_barrier, others, mut rounds) = (MockReadBarrier::new(), world.clone(), 0);
    read_barrier.expect_caught_up().returning(move || {
        rounds += 1;
        let record = others.catalog.provisioner(others.making).unwrap().provisioner.record.clone();
        let reason = format!("round {rounds}");
        let check = crate::provisioner::Check { reason, ..record.check.clone() };
        others.put_provisioner(Provisioner { check, ..record });
        Ok(())
    });
    let provisioners = world.provisioners_with(updating(2, &written), read_barrier, world.engines());
    provisioners.update(&caller(&world.people.ada), world.making, renamed(), None).await.unwrap();
    let (stored, _, expected) = written.only();
    assert_eq!((stored.name.as_str(), stored.check.reason.as_str()), ("other", "round 2"));
    assert_eq!(expected, world.catalog.provisioner(world.making).unwrap().provisioner.revision);
}

#[tokio::test]
async fn an_update_fails_after_too_many_conflicts() {
    let world = World::new();
    let written = Written::default();
    let mut store = updating(usize::MAX, &written);
    store.expect_delete().returning(|_, _| Err(StoreError::Conflict));
    let provisioners = world.provisioners(store);
    let ada = caller(&world.people.ada);
    assert_eq!(status(&provisioners.update(&ada, world.making, renamed(), None).await), 409);
    assert_eq!(status(&provisioners.delete(&ada, world.making, None).await), 409);
    assert_eq!(written.len(), 0);
}

#[tokio::test]
async fn a_stale_revision_is_refused() {
    let world = World::new();
    let written = Written::default();
    let mut store = updating(0, &written);
    store.expect_delete().times(1).returning(|_, _| Ok(()));
    let provisioners = world.provisioners(store);
    let ada = caller(&world.people.ada);
    let now = world.catalog.provisioner(world.making).unwrap().provisioner.revision;
    let stale = Some(Revision(now.0 + 1));
    assert_eq!(status(&provisioners.update(&ada, world.making, renamed(), stale).await), 412);
    assert_eq!(status(&provisioners.delete(&ada, world.making, stale).await), 412);
    assert_eq!(written.len(), 0);
    assert_eq!(status(&provisioners.update(&ada, world.making, renamed(), Some(now)).await), 200);
    assert_eq!(status(&provisioners.delete(&ada, world.making, Some(now)).await), 200);
}

#[tokio::test]
async fn a_provisioner_in_use_cannot_be_deleted_and_the_error_names_its_clusters() {
    let world = Arc::new(World::new());
    let provisioners = world.provisioners(MockProvisionerStore::new());
    let ada = caller(&world.people.ada);
    let got = provisioners.delete(&ada, world.provisioner, None).await;
    assert!(got.as_ref().unwrap_err().to_string().contains("Cluster prod"), "{got:?}");
    assert_eq!(fields(got)[0].0, format!("Cluster:{}", world.cluster));

    // A cluster was added on another replica a moment ago.
    let mut store = MockProvisionerStore::new();
    store.expect_delete().returning(|_, _| Err(StoreError::InUse));
    let (mut read_barrier, others) = (MockReadBarrier::new(), world.clone());
    read_barrier.expect_caught_up().returning(move || {
        others.put_cluster(cluster("fresh", others.making, &others.people.bob));
        Ok(())
    });
    let provisioners = world.provisioners_with(store, read_barrier, world.engines());
    let got = provisioners.delete(&ada, world.making, None).await;
    assert_eq!(status(&got), 409);
    assert!(got.unwrap_err().to_string().contains("Cluster fresh"));
}
