//! What is to go goes, and says why while it does not.

use super::*;
use crate::{
    ledger::{OwnershipTag, UNCERTAIN},
    observation::{EngineError, Observation, ProvisioningState},
    port::engine::{Capabilities, EngineDescriptor},
    service::tests::provider::{able, seen},
};

/// With an orphan that is to go, at a provider that lists nothing.
fn yard(trouble: Option<Reason>) -> (Yard, Orphan) {
    let yard = Yard::new();
    let capabilities = Capabilities { deploy: true, ..Capabilities::default() };
    yard.provider.descriptor.set(EngineDescriptor { capabilities, ..able() });
    let orphan = yard.put(yard.deleting(trouble));
    (yard, orphan)
}

fn trouble(yard: &Yard, orphan: &Orphan) -> Option<Reason> {
    match yard.shown(orphan.cluster).unwrap().state {
        OrphanState::Deleting { last_error: trouble, .. } => trouble,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_look_and_every_answer() {
    let shown = |condition| Ok(Observation::Present(seen(condition)));
    let denied = || EngineError::Denied(reason("the key was revoked"));
    let busy = || EngineError::Busy("it is rolling out".into());
    // What is seen, what destroying answers; whether it is asked for, and what the trouble is then.
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
    for (observation, answer, asks, error) in rows {
        for before in [None, Some(reason("something else"))] {
            let what = format!("{observation:?} {answer:?} {before:?}");
            let (yard, orphan) = yard(before.clone());
            yard.provider.observation.set(observation.clone());
            yard.provider.answer.set(answer.clone());
            yard.sweep().await.unwrap();
            assert_eq!(yard.words(), if asks { vec!["observe", "destroy"] } else { vec!["observe"] }, "{what}");
            let expected = error.as_ref().map(EngineError::reason);
            assert_eq!(trouble(&yard, &orphan), expected, "{what}");
            // Written only when it is another.
            assert_eq!(yard.written.len(), usize::from(before != expected), "{what}");
        }
    }
}

#[tokio::test]
async fn what_is_seen_to_be_gone_leaves_the_list() {
    for gone in [Ok(Observation::Absent), Err(EngineError::Missing)] {
        let (yard, orphan) = yard(None);
        yard.provider.observation.set(gone.clone());
        yard.sweep().await.unwrap();
        assert_eq!(yard.words(), ["observe"]);
        assert_eq!(yard.written.only(), Write::Removed(orphan.cluster, Some(Term::Held(Revision(7)))));

        // Unless something may still appear.
        let young = Orphan { listed_at: yard.world.now() - UNCERTAIN, ..yard.orphan(yard.deleting(None)) };
        yard.world.put_orphan(young.clone());
        yard.sweep().await.unwrap();
        assert_eq!((yard.words(), yard.written.len()), (vec!["observe", "destroy"], 0));
        assert!(yard.shown(young.cluster).is_some());
    }
}

#[tokio::test]
async fn only_what_is_to_go_is_touched() {
    let (yard, going) = yard(None);
    yard.put(OrphanState::Listed);
    yard.put(yard.ignored());
    yard.provider.shows(ProvisioningState::Running);
    yard.sweep().await.unwrap();
    assert_eq!(yard.words(), ["observe", "destroy"]);
    let tag = OwnershipTag { installation: Uuid::from_u128(42), cluster: going.cluster };
    let asked = yard.provider.asked.take();
    assert_eq!(asked.len(), 2);
    for (credentials, spec) in asked {
        assert_eq!((credentials.provisioner, spec.tag, spec.name.as_str()), (yard.world.making, tag, "left"));
        assert_eq!(spec.known, [thing("net"), thing("pool")]);
    }
}

#[tokio::test]
async fn whoever_ceased_to_lead_takes_nothing_down() {
    for now in [None, Some(Term::Held(Revision(9)))] {
        let (yard, _) = yard(None);
        yard.provider.shows(ProvisioningState::Running);
        let term = yard.term.clone();
        yard.story.meanwhile("observe", move || term.set(now));
        assert!(matches!(yard.sweep().await, Err(StoreError::NotLeader)));
        assert_eq!(yard.words(), ["observe"]);
    }
}

#[tokio::test]
async fn a_decision_made_meanwhile_is_not_overwritten() {
    let (yard, orphan) = yard(None);
    yard.provider.observation.set(Err(EngineError::Denied(reason("the key was revoked"))));
    let (world, ignored) = (yard.world.clone(), Orphan { state: yard.ignored(), ..orphan.clone() });
    yard.story.meanwhile("observe", move || world.put_orphan(ignored));
    yard.sweep().await.unwrap();
    assert!(matches!(yard.shown(orphan.cluster).unwrap().state, OrphanState::Ignored { .. }));
}

#[tokio::test]
async fn an_engine_that_is_not_offered_any_more_is_why_it_is_not_gone() {
    let (yard, orphan) = yard(None);
    let listed = yard.put(OrphanState::Listed);
    let mut collector = yard.orphan_collector();
    collector.providers.engines = EngineRegistry::default();
    collector.sweep(yard.world.making).await.unwrap();
    let trouble = trouble(&yard, &orphan).unwrap();
    assert!(trouble.cause.contains("does not offer it"), "{}", trouble.cause);
    assert_eq!(yard.shown(listed.cluster), Some(listed), "which is as it was");
    yard.written.take();
    collector.sweep(yard.world.making).await.unwrap();
    assert_eq!(yard.written.len(), 0, "said once");
}

#[tokio::test]
async fn the_same_trouble_in_other_words_is_written_once() {
    let (yard, orphan) = yard(None);
    yard.provider.shows(ProvisioningState::Running);
    let said = |id: u32| reason("a network is in use").with_words(format!("409, request {id}"));
    for id in 0..3 {
        yard.provider.answer.set(Err(EngineError::Rejected(said(id))));
        yard.sweep().await.unwrap();
        assert_eq!(trouble(&yard, &orphan), Some(said(0)));
    }
    assert_eq!(yard.written.len(), 1);
}
