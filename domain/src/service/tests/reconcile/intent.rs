//! Every intent is stored before its call, and only the leader makes calls.

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
            provider::{observed_cluster, policy, resource},
        },
    },
};

/// Every call that changes something at a provider: its name, the operation, the observation, and the step.
fn calls() -> [(&'static str, OperationKind, Observation, StepKind); 4] {
    let running = || Observation::Present(observed_cluster(ProvisioningState::Running));
    let policy = policy(true);
    [
        ("deploy", OperationKind::Deploy, Observation::Absent, StepKind::Create),
        ("resize", OperationKind::Resize { node_count: 5 }, running(), StepKind::Resize),
        ("set network policy", OperationKind::SetNetworkPolicy { policy }, running(), StepKind::SetNetworkPolicy),
        ("destroy", OperationKind::Destroy, running(), StepKind::Delete),
    ]
}

fn fixture(kind: OperationKind, shows: Observation) -> Fixture {
    let fixture = Fixture::requested(kind);
    fixture.provider.observation.set(Ok(shows));
    fixture
}

#[tokio::test]
async fn the_intent_is_stored_before_every_call() {
    for (call, kind, shows, step) in calls() {
        let fixture = fixture(kind, shows);
        let read_at = fixture.revision();
        let outcome = fixture.reconcile().await;
        let events = fixture.take_events();
        assert_eq!(call_names(&events), ["ledger", "observe", "commit", call, "commit"]);
        let intent = &commits(events)[0];
        assert!(matches!(intent.record, RecordChange::Keep(Some(seen)) if seen == read_at), "{call}: {intent:?}");
        let [(operation, Some(_))] = &intent.work.operations[..] else { panic!("{call}: {intent:?}") };
        assert_eq!(operation.status, OperationStatus::Running, "{call}");
        let begun = operation.current().unwrap();
        assert_eq!((begun.kind, begun.tries, begun.started_at), (step, 1, fixture.world.now()), "{call}");
        assert_eq!(timeline(intent), [(EventKind::Step, step.caption())], "{call}");
        assert_eq!(intent.work.timeline[0].operation, Some(operation.id), "{call}");
        assert_eq!(outcome.requeue, Requeue::Soon, "{call}");
    }
}

#[tokio::test]
async fn the_possible_effects_of_a_call_are_in_the_ledger_before_it() {
    for (call, kind, shows, _) in calls() {
        let fixture = fixture(kind, shows);
        fixture.reconcile().await;
        let intent = fixture.commits().remove(0);
        let (ledger, before) = intent.work.ledger.unwrap();
        let records: Vec<_> =
            ledger.resources.iter().map(|record| (record.resource.name.name.as_str(), record.state)).collect();
        let state = match call {
            "deploy" => RecordState::Intended,
            "destroy" => RecordState::Deleting,
            // They change existing resources.
            _ => RecordState::Present,
        };
        assert_eq!(records, [("net", state), ("pool", state)], "{call}");
        assert_eq!(before, None, "{call}");
        let until = (call == "deploy").then(|| fixture.world.now() + UNCERTAIN);
        assert_eq!(ledger.uncertain_until, until, "{call}");
    }
}

#[tokio::test]
async fn a_call_whose_intent_is_not_stored_is_not_made() {
    for (call, kind, shows, _) in calls() {
        let refused = |error| {
            let fixture = fixture(kind.clone(), shows.clone());
            fixture.fake.refusals.push(error);
            fixture
        };
        let fixture = refused(StoreError::Conflict);
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Now, "{call}");
        assert_eq!(fixture.call_names(), ["observe", "refused", "catch up"], "{call}");
        let fixture = refused(StoreError::Missing);
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Never, "{call}");
        assert_eq!(fixture.call_names(), ["observe", "refused"], "{call}");
        for error in [StoreError::NotLeader, StoreError::Unavailable("down".into())] {
            let expected = error.to_string();
            let fixture = refused(error);
            assert_eq!(fixture.reconcile_error().await.to_string(), expected, "{call}");
            assert_eq!(fixture.call_names(), ["observe", "refused"], "{call}");
        }
    }
}

#[tokio::test]
async fn after_losing_leadership_no_call_is_made() {
    // No longer the leader, or elected again since: another replica may have acted in between.
    for now in [None, Some(Term::Held(Revision(8))), Some(Term::Single)] {
        for (call, kind, shows, step) in calls() {
            let fixture = fixture(kind, shows);
            let term = fixture.term.clone();
            fixture.fake.events.during("commit", move || term.set(now));
            assert!(matches!(fixture.reconcile_error().await, StoreError::NotLeader), "{call}");
            assert_eq!(fixture.call_names(), ["observe", "commit"], "{call}");
            // The next leader makes it.
            fixture.term.set(Some(Term::Held(Revision(7))));
            fixture.reconcile().await;
            assert_eq!(fixture.call_names(), ["observe", "commit", call, "commit"]);
            assert_eq!((fixture.step().kind, fixture.step().tries), (step, 2), "{call}");
        }
    }
}

#[tokio::test]
async fn without_a_term_nothing_is_called() {
    let fixture = Fixture::requested(OperationKind::Deploy);
    fixture.term.set(None);
    assert!(matches!(fixture.reconcile_error().await, StoreError::NotLeader));
    assert!(matches!(
        fixture.reconciler.record_observation_times(vec![(fixture.id, fixture.world.now())]).await,
        Err(StoreError::NotLeader)
    ));
    assert!(fixture.take_events().is_empty());
}

#[tokio::test]
async fn a_missing_cluster_is_not_reconciled() {
    let fixture = Fixture::requested(OperationKind::Deploy);
    let outcome = fixture.reconciler.reconcile(ClusterId::random()).await.unwrap();
    assert_eq!((outcome.requeue, outcome.unchanged_at), (Requeue::Never, None));
    assert!(fixture.take_events().is_empty());
}

#[tokio::test]
async fn a_change_during_a_call_is_not_overwritten() {
    for (call, kind, shows, _) in calls() {
        let fixture = std::sync::Arc::new(fixture(kind, shows));
        let others = fixture.clone();
        fixture
            .fake
            .events
            .during(call, move || others.change_cluster(|cluster| cluster.name = "other".try_into().unwrap()));
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Now, "{call}");
        assert_eq!(fixture.call_names(), ["observe", "commit", call, "catch up"]);
        // The intent is known: reconciling again makes the call again.
        assert_eq!((fixture.cluster().name.as_str(), fixture.step().ended_at), ("other", None), "{call}");
        fixture.reconcile().await;
        assert_eq!(fixture.call_names(), ["observe", "commit", call, "commit"]);
        assert_eq!(fixture.step().tries, 2, "{call}");
    }
}

#[tokio::test]
async fn a_cancel_during_a_call_is_not_lost() {
    for (call, kind, shows, _) in calls() {
        let fixture = std::sync::Arc::new(fixture(kind, shows));
        let others = fixture.clone();
        let cancel = Some((fixture.world.people.ann.id, fixture.world.now()));
        fixture.fake.events.during(call, move || others.change_operation(|operation| operation.cancel = cancel));
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Now, "{call}");
        assert_eq!((fixture.operation().cancel, fixture.step().ended_at), (cancel, None), "{call}");
        fixture.call_names();
        fixture.reconcile().await;
        assert_eq!(fixture.call_names(), ["observe", "commit", "prune"], "{call}: no more calls");
        assert_eq!(fixture.operation().status, OperationStatus::Cancelled, "{call}");
    }
}

#[tokio::test]
async fn a_cluster_forgotten_during_a_call_is_not_reconciled_again() {
    let fixture = std::sync::Arc::new(Fixture::requested(OperationKind::Deploy));
    let others = fixture.clone();
    fixture.fake.events.during("deploy", move || others.world.deleted(crate::catalog::RecordId::Cluster(others.id)));
    assert_eq!(fixture.reconcile().await.requeue, Requeue::Never);
    assert_eq!(fixture.call_names(), ["observe", "commit", "deploy"]);
}

#[tokio::test]
async fn a_retried_step_is_counted_and_reported_once() {
    let fixture = Fixture::requested(OperationKind::Deploy);
    fixture.provider.answer.set(Err(crate::observation::EngineError::Busy("it is rolling out".into())));
    fixture.reconcile().await;
    assert_eq!(fixture.commits().iter().flat_map(timeline).count(), 2, "it began, and did not succeed");
    fixture.advance(60);
    fixture.reconcile().await;
    let [intent, outcome] = &fixture.commits()[..] else { panic!() };
    assert_eq!((timeline(intent), timeline(outcome)), (vec![], vec![]), "nothing new");
    let step = fixture.step();
    assert_eq!((step.tries, step.tried_at - step.started_at), (2, chrono::TimeDelta::seconds(60)));
}

#[tokio::test]
async fn an_engine_receives_the_tag_the_secrets_and_the_known_resources() {
    let fixture = Fixture::requested(OperationKind::Destroy);
    let whole = object(json!({"node_count": 3, "admin_password": "hunter2"}));
    let split = document::split(&whole, &|path| path == ["admin_password"]);
    fixture.fake.metadata.set(split.sealed);
    fixture.change_cluster(|cluster| cluster.metadata = Some(split.shown));
    let mut ledger = Ledger::empty(fixture.id);
    ledger.observed(&[resource("net"), resource("gone")], fixture.world.now());
    ledger.observed(&[resource("net")], fixture.world.now());
    fixture.fake.put_ledger(ledger);
    fixture.provider.shows(ProvisioningState::Running);
    fixture.reconcile().await;
    let tag = OwnershipTag { installation: Uuid::from_u128(42), cluster: fixture.id };
    let calls = fixture.provider.calls.take();
    assert_eq!(calls.len(), 2, "observe, destroy");
    for (credentials, spec) in &calls {
        assert_eq!((credentials.provisioner, spec.tag, spec.name.as_str()), (fixture.world.making, tag, "made"));
        assert_eq!(spec.parameters, whole);
    }
    assert_eq!(calls[0].1.known, [resource("net")]);
    assert_eq!(calls[1].1.known, [resource("net"), resource("pool")], "and what was observed just now");
}
