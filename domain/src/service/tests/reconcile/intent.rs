//! What is to be done is stored before it is done, and is done only by whoever leads.

use serde_json::json;

use super::*;
use crate::{
    document,
    ledger::{OwnershipTag, RecordState, UNCERTAIN},
    observation::{Observation, ProvisioningState},
    operation::{OperationStatus, StepKind},
    port::store::RecordChange,
    service::{
        reconcile::Requeue,
        tests::{
            doubles::object,
            provider::{policy, seen, thing},
        },
    },
};

/// Every call that changes something at a provider: what is asked, how the cluster is then, and the step that calls.
fn calls() -> [(&'static str, OperationKind, Observation, StepKind); 4] {
    let running = || Observation::Present(seen(ProvisioningState::Running));
    let policy = policy(true);
    [
        ("deploy", OperationKind::Deploy, Observation::Absent, StepKind::Create),
        ("resize", OperationKind::Resize { node_count: 5 }, running(), StepKind::Resize),
        ("set network policy", OperationKind::SetNetworkPolicy { policy }, running(), StepKind::SetNetworkPolicy),
        ("destroy", OperationKind::Destroy, running(), StepKind::Delete),
    ]
}

fn stage(kind: OperationKind, shows: Observation) -> Stage {
    let stage = Stage::asked(kind);
    stage.provider.observation.set(Ok(shows));
    stage
}

#[tokio::test]
async fn before_every_call_its_intent_is_stored() {
    for (call, kind, shows, step) in calls() {
        let stage = stage(kind, shows);
        let read_at = stage.revision();
        let turned = stage.turn().await;
        let events = stage.happened();
        assert_eq!(words(&events), ["ledger", "observe", "commit", call, "commit"]);
        let intent = &commits(events)[0];
        assert!(matches!(intent.record, RecordChange::Keep(Some(seen)) if seen == read_at), "{call}: {intent:?}");
        let [(operation, Some(_))] = &intent.work.operations[..] else { panic!("{call}: {intent:?}") };
        assert_eq!(operation.status, OperationStatus::Running, "{call}");
        let begun = operation.current().unwrap();
        assert_eq!((begun.kind, begun.tries, begun.started_at), (step, 1, stage.world.now()), "{call}");
        assert_eq!(told(intent), [(EventKind::Step, step.caption())], "{call}");
        assert_eq!(intent.work.timeline[0].operation, Some(operation.id), "{call}");
        assert_eq!(turned.requeue, Requeue::Soon, "{call}");
    }
}

#[tokio::test]
async fn what_may_come_of_a_call_is_in_the_ledger_before_it() {
    for (call, kind, shows, _) in calls() {
        let stage = stage(kind, shows);
        stage.turn().await;
        let intent = stage.commits().remove(0);
        let (ledger, before) = intent.work.ledger.unwrap();
        let rows: Vec<_> = ledger.resources.iter().map(|row| (row.resource.name.name.as_str(), row.state)).collect();
        let state = match call {
            "deploy" => RecordState::Intended,
            "destroy" => RecordState::Deleting,
            // They change what is there.
            _ => RecordState::Present,
        };
        assert_eq!(rows, [("net", state), ("pool", state)], "{call}");
        assert_eq!(before, None, "{call}");
        let until = (call == "deploy").then(|| stage.world.now() + UNCERTAIN);
        assert_eq!(ledger.uncertain_until, until, "{call}");
    }
}

#[tokio::test]
async fn a_call_whose_intent_is_not_stored_is_not_made() {
    for (call, kind, shows, _) in calls() {
        let refused = |error| {
            let stage = stage(kind.clone(), shows.clone());
            stage.kept.refusals.push(error);
            stage
        };
        let stage = refused(StoreError::Conflict);
        assert_eq!(stage.turn().await.requeue, Requeue::Now, "{call}");
        assert_eq!(stage.words(), ["observe", "refused", "catch up"], "{call}");
        let stage = refused(StoreError::Missing);
        assert_eq!(stage.turn().await.requeue, Requeue::Never, "{call}");
        assert_eq!(stage.words(), ["observe", "refused"], "{call}");
        for error in [StoreError::NotLeader, StoreError::Unavailable("down".into())] {
            let expected = error.to_string();
            let stage = refused(error);
            assert_eq!(stage.turn_fails().await.to_string(), expected, "{call}");
            assert_eq!(stage.words(), ["observe", "refused"], "{call}");
        }
    }
}

#[tokio::test]
async fn whoever_ceases_to_lead_before_a_call_does_not_make_it() {
    // No longer the leader, or elected again since: somebody else may have acted in between.
    for now in [None, Some(Term::Held(Revision(8))), Some(Term::Alone)] {
        for (call, kind, shows, step) in calls() {
            let stage = stage(kind, shows);
            let term = stage.term.clone();
            stage.kept.story.meanwhile("commit", move || term.set(now));
            assert!(matches!(stage.turn_fails().await, StoreError::NotLeader), "{call}");
            assert_eq!(stage.words(), ["observe", "commit"], "{call}");
            // Whoever leads next makes it.
            stage.term.set(Some(Term::Held(Revision(7))));
            stage.turn().await;
            assert_eq!(stage.words(), ["observe", "commit", call, "commit"]);
            assert_eq!((stage.step().kind, stage.step().tries), (step, 2), "{call}");
        }
    }
}

#[tokio::test]
async fn without_a_term_nobody_is_asked() {
    let stage = Stage::asked(OperationKind::Deploy);
    stage.term.set(None);
    assert!(matches!(stage.turn_fails().await, StoreError::NotLeader));
    assert!(matches!(
        stage.reconciler.record_observation_times(vec![(stage.id, stage.world.now())]).await,
        Err(StoreError::NotLeader)
    ));
    assert!(stage.happened().is_empty());
}

#[tokio::test]
async fn a_cluster_that_is_not_there_has_no_turns() {
    let stage = Stage::asked(OperationKind::Deploy);
    let turned = stage.reconciler.reconcile(ClusterId::random()).await.unwrap();
    assert_eq!((turned.requeue, turned.unchanged_at), (Requeue::Never, None));
    assert!(stage.happened().is_empty());
}

#[tokio::test]
async fn what_changed_while_a_call_was_made_is_never_overwritten() {
    for (call, kind, shows, _) in calls() {
        let stage = std::sync::Arc::new(stage(kind, shows));
        let others = stage.clone();
        stage
            .kept
            .story
            .meanwhile(call, move || others.cluster_is(|cluster| cluster.name = "other".try_into().unwrap()));
        assert_eq!(stage.turn().await.requeue, Requeue::Now, "{call}");
        assert_eq!(stage.words(), ["observe", "commit", call, "catch up"]);
        // What is known is what was intended: the same turn again does the right thing.
        assert_eq!((stage.cluster().name.as_str(), stage.step().ended_at), ("other", None), "{call}");
        stage.turn().await;
        assert_eq!(stage.words(), ["observe", "commit", call, "commit"]);
        assert_eq!(stage.step().tries, 2, "{call}");
    }
}

#[tokio::test]
async fn a_request_to_stop_that_came_while_a_call_was_made_is_not_lost() {
    for (call, kind, shows, _) in calls() {
        let stage = std::sync::Arc::new(stage(kind, shows));
        let others = stage.clone();
        let cancel = Some((stage.world.people.ann.id, stage.world.now()));
        stage.kept.story.meanwhile(call, move || others.operation_is(|operation| operation.cancel = cancel));
        assert_eq!(stage.turn().await.requeue, Requeue::Now, "{call}");
        assert_eq!((stage.operation().cancel, stage.step().ended_at), (cancel, None), "{call}");
        stage.words();
        stage.turn().await;
        assert_eq!(stage.words(), ["observe", "commit", "prune"], "{call}: no call any more");
        assert_eq!(stage.operation().status, OperationStatus::Cancelled, "{call}");
    }
}

#[tokio::test]
async fn a_cluster_forgotten_while_a_call_was_made_has_no_more_turns() {
    let stage = std::sync::Arc::new(Stage::asked(OperationKind::Deploy));
    let others = stage.clone();
    stage.kept.story.meanwhile("deploy", move || others.world.deleted(crate::catalog::RecordId::Cluster(others.id)));
    assert_eq!(stage.turn().await.requeue, Requeue::Never);
    assert_eq!(stage.words(), ["observe", "commit", "deploy"]);
}

#[tokio::test]
async fn a_step_tried_again_is_counted_and_told_once() {
    let stage = Stage::asked(OperationKind::Deploy);
    stage.provider.answer.set(Err(crate::observation::EngineError::Busy("it is rolling out".into())));
    stage.turn().await;
    assert_eq!(stage.commits().iter().flat_map(told).count(), 2, "begun, and not done");
    stage.advance(60);
    stage.turn().await;
    let [intent, outcome] = &stage.commits()[..] else { panic!() };
    assert_eq!((told(intent), told(outcome)), (vec![], vec![]), "nothing new");
    let step = stage.step();
    assert_eq!((step.tries, step.tried_at - step.started_at), (2, chrono::TimeDelta::seconds(60)));
}

#[tokio::test]
async fn an_engine_is_given_the_tag_the_secrets_and_what_is_known() {
    let stage = Stage::asked(OperationKind::Destroy);
    let whole = object(json!({"node_count": 3, "admin_password": "hunter2"}));
    let split = document::split(&whole, &|path| path == ["admin_password"]);
    stage.kept.metadata.set(split.sealed);
    stage.cluster_is(|cluster| cluster.metadata = Some(split.shown));
    let mut ledger = Ledger::empty(stage.id);
    ledger.observed(&[thing("net"), thing("gone")], stage.world.now());
    ledger.observed(&[thing("net")], stage.world.now());
    stage.kept.put_ledger(ledger);
    stage.provider.shows(ProvisioningState::Running);
    stage.turn().await;
    let tag = OwnershipTag { installation: Uuid::from_u128(42), cluster: stage.id };
    let asked = stage.provider.asked.take();
    assert_eq!(asked.len(), 2, "observe, destroy");
    for (credentials, spec) in &asked {
        assert_eq!((credentials.provisioner, spec.tag, spec.name.as_str()), (stage.world.making, tag, "made"));
        assert_eq!(spec.parameters, whole);
    }
    assert_eq!(asked[0].1.known, [thing("net")]);
    assert_eq!(asked[1].1.known, [thing("net"), thing("pool")], "and what was seen just now");
}
