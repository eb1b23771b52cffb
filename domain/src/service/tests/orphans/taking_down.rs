//! Deleting orphans: they are destroyed at the provider, and errors are stored until they are gone.

use super::*;
use crate::{
    ledger::{OwnershipTag, UNCERTAIN},
    observation::{EngineError, Observation, ProvisioningState},
    port::engine::{Capabilities, EngineDescriptor},
    service::tests::provider::{able, observed_cluster},
};

/// A fixture with a deleting orphan, at a provider without an inventory.
fn fixture(last_error: Option<Reason>) -> (Fixture, Orphan) {
    let fixture = Fixture::new();
    let capabilities = Capabilities { deploy: true, ..Capabilities::default() };
    fixture.provider.descriptor.set(EngineDescriptor { capabilities, ..able() });
    let orphan = fixture.put(fixture.deleting(last_error));
    (fixture, orphan)
}

fn last_error(fixture: &Fixture, orphan: &Orphan) -> Option<Reason> {
    match fixture.shown(orphan.cluster).unwrap().state {
        OrphanState::Deleting { last_error, .. } => last_error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_observation_and_answer_has_its_result() {
    let shown = |state| Ok(Observation::Present(observed_cluster(state)));
    let denied = || EngineError::Denied(reason("the key was revoked"));
    let busy = || EngineError::Busy("it is rolling out".into());
    // The observation, the answer to destroy; whether destroy is called, and the error stored then.
    let rows = [
        (shown(ProvisioningState::Running), Ok(()), true, None),
        (shown(ProvisioningState::Working), Ok(()), true, None),
        (shown(ProvisioningState::Incomplete), Ok(()), true, None),
        (shown(ProvisioningState::Broken(reason("the disk is full"))), Ok(()), true, None),
        (shown(ProvisioningState::Removing), Err(busy()), false, None),
        (shown(ProvisioningState::Running), Err(denied()), true, Some(denied())),
        (shown(ProvisioningState::Running), Err(busy()), true, Some(busy())),
        (shown(ProvisioningState::Running), Err(EngineError::Missing), true, None),
        (Err(denied()), Ok(()), false, Some(denied())),
        (Err(busy()), Ok(()), false, Some(busy())),
    ];
    for (observation, answer, calls_destroy, error) in rows {
        for before in [None, Some(reason("something else"))] {
            let what = format!("{observation:?} {answer:?} {before:?}");
            let (fixture, orphan) = fixture(before.clone());
            fixture.provider.observation.set(observation.clone());
            fixture.provider.answer.set(answer.clone());
            fixture.sweep().await.unwrap();
            assert_eq!(
                fixture.call_names(),
                if calls_destroy { vec!["observe", "destroy"] } else { vec!["observe"] },
                "{what}"
            );
            let expected = error.as_ref().map(EngineError::reason);
            assert_eq!(last_error(&fixture, &orphan), expected, "{what}");
            // Written only when it changed.
            assert_eq!(fixture.written.len(), usize::from(before != expected), "{what}");
        }
    }
}

#[tokio::test]
async fn an_absent_orphan_is_removed_from_the_list() {
    for gone in [Ok(Observation::Absent), Err(EngineError::Missing)] {
        let (fixture, orphan) = fixture(None);
        fixture.provider.observation.set(gone.clone());
        fixture.sweep().await.unwrap();
        assert_eq!(fixture.call_names(), ["observe"]);
        assert_eq!(fixture.written.only(), Write::Removed(orphan.cluster, Some(Term::Held(Revision(7)))));

        // Unless a resource may still appear.
        let young = Orphan { listed_at: fixture.world.now() - UNCERTAIN, ..fixture.orphan(fixture.deleting(None)) };
        fixture.world.put_orphan(young.clone());
        fixture.sweep().await.unwrap();
        assert_eq!((fixture.call_names(), fixture.written.len()), (vec!["observe", "destroy"], 0));
        assert!(fixture.shown(young.cluster).is_some());
    }
}

#[tokio::test]
async fn only_deleting_orphans_are_destroyed() {
    let (fixture, deleting) = fixture(None);
    fixture.put(OrphanState::Listed);
    fixture.put(fixture.ignored());
    fixture.provider.shows(ProvisioningState::Running);
    fixture.sweep().await.unwrap();
    assert_eq!(fixture.call_names(), ["observe", "destroy"]);
    let tag = OwnershipTag { installation: Uuid::from_u128(42), cluster: deleting.cluster };
    let calls = fixture.provider.calls.take();
    assert_eq!(calls.len(), 2);
    for (credentials, spec) in calls {
        assert_eq!((credentials.provisioner, spec.tag, spec.name.as_str()), (fixture.world.making, tag, "left"));
        assert_eq!(spec.known, [resource("net"), resource("pool")]);
    }
}

#[tokio::test]
async fn after_losing_leadership_nothing_is_destroyed() {
    for now in [None, Some(Term::Held(Revision(9)))] {
        let (fixture, _) = fixture(None);
        fixture.provider.shows(ProvisioningState::Running);
        let term = fixture.term.clone();
        fixture.events.during("observe", move || term.set(now));
        assert!(matches!(fixture.sweep().await, Err(StoreError::NotLeader)));
        assert_eq!(fixture.call_names(), ["observe"]);
    }
}

#[tokio::test]
async fn a_concurrent_decision_is_not_overwritten() {
    let (fixture, orphan) = fixture(None);
    fixture.provider.observation.set(Err(EngineError::Denied(reason("the key was revoked"))));
    let (world, ignored) = (fixture.world.clone(), Orphan { state: fixture.ignored(), ..orphan.clone() });
    fixture.events.during("observe", move || world.put_orphan(ignored));
    fixture.sweep().await.unwrap();
    assert!(matches!(fixture.shown(orphan.cluster).unwrap().state, OrphanState::Ignored { .. }));
}

#[tokio::test]
async fn without_its_engine_a_deleting_orphan_has_an_error() {
    let (fixture, orphan) = fixture(None);
    let listed = fixture.put(OrphanState::Listed);
    let mut collector = fixture.orphan_collector();
    collector.providers.engines = EngineRegistry::default();
    collector.sweep(fixture.world.making).await.unwrap();
    let last_error = last_error(&fixture, &orphan).unwrap();
    assert!(last_error.cause.contains("does not offer it"), "{}", last_error.cause);
    assert_eq!(fixture.shown(listed.cluster), Some(listed), "the listed orphan is unchanged");
    fixture.written.take();
    collector.sweep(fixture.world.making).await.unwrap();
    assert_eq!(fixture.written.len(), 0, "written once");
}

#[tokio::test]
async fn the_same_error_with_another_message_is_written_once() {
    let (fixture, orphan) = fixture(None);
    fixture.provider.shows(ProvisioningState::Running);
    let rejected = |id: u32| reason("a network is in use").with_provider_message(format!("409, request {id}"));
    for id in 0..3 {
        fixture.provider.answer.set(Err(EngineError::Rejected(rejected(id))));
        fixture.sweep().await.unwrap();
        assert_eq!(last_error(&fixture, &orphan), Some(rejected(0)));
    }
    assert_eq!(fixture.written.len(), 1);
}
