//! How operations end: done, timed out, cancelled, or with the cluster gone.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::*;
use crate::{
    document::{self, MASK},
    ledger::UNCERTAIN,
    observation::{EngineError, Observation, ObservedCluster, ProvisioningState},
    operation::{NetworkPolicy, StepKind, StepOutcome},
    port::store::{MockClusterStore, RecordChange, SecretUpdate},
    service::{
        reconcile::Requeue,
        tests::{
            doubles::object,
            provider::{observed_cluster, policy, resource},
        },
    },
    timeline::Tombstone,
};

/// The last transaction, in which the operation has ended.
fn ending(fixture: &Fixture) -> Commit {
    let events = fixture.take_events();
    assert_eq!(call_names(&events).last(), Some(&"prune"), "the timeline is pruned");
    commits(events).pop().unwrap()
}

fn nodes(fixture: &Fixture) -> Option<Value> {
    fixture.cluster().metadata.and_then(|metadata| metadata.to_map().get("node_count").cloned())
}

fn with_nodes(state: ProvisioningState, nodes: u32) -> Observation {
    Observation::Present(ObservedCluster { node_count: Some(nodes), ..observed_cluster(state) })
}

#[tokio::test]
async fn an_operation_succeeds_once_the_provider_shows_its_result() {
    let policy_on =
        ObservedCluster { network_policy: Some(policy(true)), ..observed_cluster(ProvisioningState::Running) };
    let rows = [
        (OperationKind::Deploy, Observation::Present(observed_cluster(ProvisioningState::Running))),
        (OperationKind::Resize { node_count: 5 }, with_nodes(ProvisioningState::Running, 5)),
        (OperationKind::SetNetworkPolicy { policy: policy(true) }, Observation::Present(policy_on)),
    ];
    for (kind, shows) in rows {
        let fixture = Fixture::requested(kind.clone());
        fixture.change_cluster(|cluster| cluster.has_kubeconfig = true);
        let read_at = fixture.revision();
        fixture.provider.observation.set(Ok(shows));
        fixture.advance(9);
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Now);
        let commit = ending(&fixture);
        assert!(matches!(commit.record, RecordChange::Put(_, _, expected) if expected == read_at), "{kind:?}");
        let done = format!("done: {}", kind.infinitive());
        assert_eq!(timeline(&commit), [(EventKind::Ended, &*done), (EventKind::State, "the cluster is ready")]);
        let operation = fixture.operation();
        let ended = (operation.status, operation.reason, operation.ended_at);
        assert_eq!(ended, (OperationStatus::Succeeded, None, Some(fixture.world.now())), "{kind:?}");
        assert_eq!(
            (fixture.cluster().lifecycle, fixture.cluster().changed_at),
            (Lifecycle::Ready, fixture.world.now())
        );
        assert_eq!(fixture.cluster().operation, Some(operation.id));
    }
}

#[tokio::test]
async fn switching_network_policy_updates_the_metadata() {
    for (before, enabled, after) in [
        (json!({"network_policy": "PROVIDER_UNSPECIFIED"}), true, json!({"network_policy": "CALICO"})),
        (json!({"network_policy": "CALICO"}), false, json!({"network_policy": "PROVIDER_UNSPECIFIED"})),
        (json!({"size": "small"}), true, json!({"size": "small"})),
    ] {
        let policy = NetworkPolicy { provider: "CALICO".into(), enabled };
        let fixture = Fixture::requested(OperationKind::SetNetworkPolicy { policy: policy.clone() });
        fixture.change_cluster(|cluster| {
            cluster.metadata = Some(document::split(&object(before.clone()), &|_| false).shown);
        });
        let done = Observation::Present(ObservedCluster {
            network_policy: Some(policy),
            ..observed_cluster(ProvisioningState::Running)
        });
        fixture.provider.observation.set(Ok(done));
        fixture.reconcile().await;
        let RecordChange::Put(cluster, ..) = ending(&fixture).record else { panic!() };
        assert_eq!(cluster.metadata.unwrap().to_map(), object(after));
    }
}

#[tokio::test]
async fn a_finished_resize_updates_the_metadata() {
    let fixture = Fixture::requested(OperationKind::Resize { node_count: 5 });
    fixture.change_cluster(|cluster| {
        cluster.metadata = Some(document::split(&object(json!({"node_count": 3, "size": "small"})), &|_| false).shown);
    });
    fixture.provider.observation.set(Ok(with_nodes(ProvisioningState::Running, 5)));
    fixture.reconcile().await;
    let RecordChange::Put(cluster, secrets, _) = ending(&fixture).record else { panic!() };
    let metadata = cluster.metadata.unwrap().to_map();
    assert_eq!(metadata, object(json!({"node_count": 5, "size": "small"})));
    assert!(matches!((secrets.kubeconfig, secrets.metadata), (SecretUpdate::Keep, SecretUpdate::Keep)));
}

#[tokio::test]
async fn a_resize_updates_the_sealed_and_the_shown_metadata() {
    let fixture = Fixture::requested(OperationKind::Resize { node_count: 5 });
    let whole = object(json!({"node_count": 3, "admin_password": "hunter2"}));
    let split = document::split(&whole, &|path| path == ["admin_password"]);
    fixture.fake.metadata.set(split.sealed);
    fixture.change_cluster(|cluster| cluster.metadata = Some(split.shown));
    fixture.provider.observation.set(Ok(with_nodes(ProvisioningState::Running, 5)));
    fixture.reconcile().await;
    let shown = fixture.cluster().metadata.unwrap();
    assert_eq!(shown.to_map(), object(json!({"node_count": 5, "admin_password": MASK})));
    let whole = shown.reveal(fixture.fake.metadata.get().as_ref()).unwrap();
    assert_eq!(whole, object(json!({"node_count": 5, "admin_password": "hunter2"})));
    // From now on the engine receives the new size.
    fixture.reconcile().await;
    assert_eq!(fixture.provider.calls.take().pop().unwrap().1.parameters, whole);
}

#[tokio::test]
async fn a_cancelled_resize_stores_the_observed_size() {
    for (observed, expected) in [(Some(4), Some(json!(4))), (None, None)] {
        let fixture = Fixture::requested(OperationKind::Resize { node_count: 5 });
        let now = fixture.world.now();
        fixture.change_operation(|operation| operation.cancel = Some((operation.requested_by, now)));
        let shown = ObservedCluster { node_count: observed, ..observed_cluster(ProvisioningState::Working) };
        fixture.provider.observation.set(Ok(Observation::Present(shown)));
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Now);
        let commit = ending(&fixture);
        let cancelled = "cancelled: resize the cluster to 5 nodes";
        assert_eq!(timeline(&commit), [(EventKind::Ended, cancelled), (EventKind::State, "the cluster is ready")]);
        assert_eq!((fixture.cluster().lifecycle, nodes(&fixture)), (Lifecycle::Ready, expected));
        assert_eq!(fixture.operation().status, OperationStatus::Cancelled);
    }
}

#[tokio::test]
async fn a_failed_resize_keeps_the_metadata() {
    let fixture = Fixture::requested(OperationKind::Resize { node_count: 5 });
    fixture.provider.shows_nothing();
    fixture.reconcile().await;
    assert_eq!((fixture.operation().status, nodes(&fixture)), (OperationStatus::Failed, None));
}

#[tokio::test]
async fn at_its_deadline_an_operation_fails_with_what_it_waited_for() {
    let running = || Ok(Observation::Present(observed_cluster(ProvisioningState::Running)));
    let working = || {
        Ok(Observation::Present(ObservedCluster {
            message: "3 of 5 nodes".into(),
            ..observed_cluster(ProvisioningState::Working)
        }))
    };
    let rows = [
        (OperationKind::Deploy, working(), "the provider reports: 3 of 5 nodes"),
        (OperationKind::Deploy, Ok(Observation::Absent), "the cluster does not exist at the provider"),
        (OperationKind::Resize { node_count: 5 }, working(), "the provider reports: 3 of 5 nodes"),
        (OperationKind::SetNetworkPolicy { policy: policy(true) }, running(), "the provider has not finished"),
        (OperationKind::Destroy, running(), "the provider has not finished"),
        (OperationKind::Destroy, Err(EngineError::Denied(reason("the key was revoked"))), "the key was revoked"),
    ];
    for (kind, observation, waited_for) in rows {
        let fixture = Fixture::requested(kind.clone());
        fixture.provider.observation.set(observation);
        fixture.advance(3600);
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Now, "{kind:?}");
        let commit = ending(&fixture);
        let (ended, became) = (&commit.work.timeline[0], &commit.work.timeline[1]);
        assert_eq!((ended.kind, became.kind), (EventKind::Ended, EventKind::State), "{kind:?}");
        let operation = fixture.operation();
        assert_eq!(operation.status, OperationStatus::Failed, "{kind:?}");
        let reason = operation.reason.unwrap();
        let expected = format!("the operation to {} did not finish within 3600 s: {waited_for}", kind.infinitive());
        assert_eq!(reason.cause, expected, "{kind:?}");
        assert!(reason.next_step.contains("retry") && reason.next_step.contains("forget"), "{kind:?}");
        assert_eq!(fixture.cluster().lifecycle, Lifecycle::Failed { reason: reason.clone() }, "{kind:?}");
        assert_eq!(ended.reason, Some(reason), "{kind:?}");
    }
}

#[tokio::test]
async fn a_cancelled_operation_ends_according_to_its_progress() {
    let deploy = OperationKind::Deploy;
    let resize = OperationKind::Resize { node_count: 5 };
    // The step sent before; the failure, or `None` if the cluster is ready again.
    let rows = [
        (deploy.clone(), None, Some("the deployment was cancelled; nothing was created at the provider")),
        (
            deploy,
            Some(StepKind::Create),
            Some("resources that may exist at the provider: server net in west, server pool in west"),
        ),
        (resize.clone(), None, None),
        (resize, Some(StepKind::Resize), None),
        (OperationKind::Destroy, None, None),
        (OperationKind::Destroy, Some(StepKind::Delete), Some("the deletion was cancelled; resources that may exist")),
    ];
    for (kind, sent, failure) in rows {
        let what = format!("{kind:?} after {sent:?}");
        let fixture = Fixture::requested(kind.clone());
        let now = fixture.world.now();
        if let Some(step) = sent {
            fixture.change_operation(|operation| operation.begin(step, now));
            let mut ledger = Ledger::empty(fixture.id);
            ledger.observed(&[resource("net"), resource("pool")], now);
            fixture.fake.put_ledger(ledger);
        }
        match (&kind, sent) {
            (OperationKind::Deploy, None) => fixture.provider.shows_nothing(),
            _ => fixture.provider.shows(ProvisioningState::Working),
        }
        fixture.change_operation(|operation| operation.cancel = Some((operation.requested_by, now)));
        fixture.reconcile().await;
        assert_eq!(fixture.call_names(), ["observe", "commit", "prune"], "{what}: no call");
        let operation = fixture.operation();
        assert_eq!(operation.status, OperationStatus::Cancelled, "{what}");
        if sent.is_some() {
            assert_eq!(fixture.step().outcome, Some(StepOutcome::Stopped), "{what}");
        }
        match (fixture.cluster().lifecycle, failure) {
            (Lifecycle::Ready, None) => {}
            (Lifecycle::Failed { reason }, Some(failure)) => {
                assert!(reason.cause.contains(failure), "{what}: {}", reason.cause);
                assert_eq!(operation.reason, Some(reason), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_cluster_that_is_gone_is_removed_and_leaves_a_tombstone() {
    let missing = || Err(EngineError::Missing);
    for observation in [Ok(Observation::Absent), missing()] {
        let fixture = Fixture::requested(OperationKind::Destroy);
        let mut ledger = Ledger::empty(fixture.id);
        ledger.observed(&[resource("net")], fixture.world.now());
        fixture.fake.put_ledger(ledger);
        let (cluster, read_at) = (fixture.cluster(), fixture.revision());
        fixture.provider.observation.set(observation);
        let outcome = fixture.reconcile().await;
        assert_eq!((outcome.requeue, outcome.unchanged_at), (Requeue::Never, None));
        let commit = ending(&fixture);
        assert!(matches!(commit.record, RecordChange::Remove(expected) if expected == read_at));
        assert!(commit.work.ledger.is_none() && commit.work.observed.is_none(), "they are removed with the record");
        let [(operation, Some(_))] = &commit.work.operations[..] else { panic!("{commit:?}") };
        assert_eq!((operation.status, operation.ended_at), (OperationStatus::Succeeded, Some(fixture.world.now())));
        let gone = "the cluster was deleted, and no resources are left at the provider";
        assert_eq!(timeline(&commit), [(EventKind::Ended, gone)]);
        assert_eq!(commit.work.timeline[0].operation, Some(operation.id));
        let tombstone = Tombstone {
            cluster: cluster.id,
            name: cluster.name,
            organization: cluster.organization,
            owner: cluster.owner,
            at: fixture.world.now(),
        };
        assert_eq!(commit.work.tombstone, Some(tombstone));
        assert!(fixture.world.catalog.cluster(fixture.id).is_none());
    }
}

#[tokio::test]
async fn a_cluster_is_not_removed_while_a_call_may_still_make_something() {
    let fixture = Fixture::requested(OperationKind::Destroy);
    let mut ledger = Ledger::empty(fixture.id);
    ledger.intend([resource("net").name], fixture.world.now());
    fixture.fake.put_ledger(ledger);
    fixture.advance(UNCERTAIN.num_seconds() - 1);
    for nothing in [Ok(Observation::Absent), Err(EngineError::Missing)] {
        fixture.provider.observation.set(nothing);
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Soon);
        assert_eq!((fixture.step().kind, fixture.step().reason), (StepKind::Verify, None));
    }
    assert_eq!(fixture.call_names(), ["observe", "commit", "observe"], "both answers mean the same");
    fixture.advance(1);
    assert_eq!(fixture.reconcile().await.requeue, Requeue::Never);
}

#[tokio::test]
async fn an_observation_counts_from_the_time_it_began() {
    // Nothing existed when the provider was asked; by the time it answered, a call may have taken effect.
    let fixture = Fixture::requested(OperationKind::Destroy);
    let mut ledger = Ledger::empty(fixture.id);
    ledger.intend([resource("net").name], fixture.world.now());
    fixture.fake.put_ledger(ledger);
    fixture.advance(UNCERTAIN.num_seconds() - 1);
    let clock = fixture.world.clock.clone();
    fixture.fake.events.during("observe", move || clock.advance(TimeDelta::seconds(30)));
    assert_eq!(fixture.reconcile().await.requeue, Requeue::Soon);
    assert_eq!(fixture.reconcile().await.requeue, Requeue::Never);
}

#[tokio::test]
async fn an_end_that_conflicts_is_decided_again() {
    let fixture = Arc::new(Fixture::requested(OperationKind::Destroy));
    let others = fixture.clone();
    fixture
        .fake
        .events
        .during("observe", move || others.change_cluster(|cluster| cluster.name = "other".try_into().unwrap()));
    assert_eq!(fixture.reconcile().await.requeue, Requeue::Now);
    assert_eq!(fixture.call_names(), ["observe", "catch up"]);
    assert_eq!(fixture.reconcile().await.requeue, Requeue::Never);
    assert_eq!(fixture.world.catalog.tombstone(fixture.id).unwrap().name.as_str(), "other");
}

#[tokio::test]
async fn a_transient_state_without_an_operation_fails() {
    for lifecycle in [Lifecycle::Deploying, Lifecycle::Updating, Lifecycle::Destroying] {
        for has_pointer in [true, false] {
            let fixture = Fixture::new(lifecycle.clone(), true);
            if has_pointer {
                fixture.change_cluster(|cluster| cluster.operation = Some(crate::id::OperationId::random()));
            }
            fixture.provider.shows(ProvisioningState::Running);
            assert_eq!(fixture.reconcile().await.requeue, Requeue::Now, "{lifecycle:?}");
            let commit = ending(&fixture);
            assert_eq!(commit.work.operations, [], "{lifecycle:?}");
            let Lifecycle::Failed { reason } = fixture.cluster().lifecycle else { panic!("{lifecycle:?}") };
            assert!(reason.cause.contains("no longer on record"), "{}", reason.cause);
            assert_eq!(commit.work.timeline[0].kind, EventKind::State);
        }
    }
}

#[tokio::test]
async fn an_end_is_stored_even_if_the_timeline_cannot_be_pruned() {
    let fixture = Fixture::requested(OperationKind::SetNetworkPolicy { policy: policy(true) });
    let policy_on =
        ObservedCluster { network_policy: Some(policy(true)), ..observed_cluster(ProvisioningState::Running) };
    fixture.provider.observation.set(Ok(Observation::Present(policy_on)));
    let fake = fixture.fake.clone();
    let mut store = MockClusterStore::new();
    store.expect_ledger().returning(|_| Ok(None));
    store.expect_commit().returning(move |id, record, work| fake.commit(id, record, work));
    store.expect_prune_timeline().returning(|_, _| Err(StoreError::Unavailable("down".into())));
    let fixture = Fixture { reconciler: Reconciler { store: Arc::new(store), ..fixture.reconciler }, ..fixture };
    assert!(matches!(fixture.reconcile_error().await, StoreError::Unavailable(_)));
    assert_eq!(
        (fixture.operation().status, fixture.cluster().lifecycle),
        (OperationStatus::Succeeded, Lifecycle::Ready)
    );
}

#[tokio::test]
async fn without_its_engine_every_operation_but_destroy_fails() {
    for (kind, ends) in [
        (OperationKind::Deploy, true),
        (OperationKind::Resize { node_count: 5 }, true),
        (OperationKind::Destroy, false),
    ] {
        let mut fixture = Fixture::requested(kind.clone());
        fixture.reconciler.providers.engines = EngineRegistry::default();
        let outcome = fixture.reconcile().await;
        let operation = fixture.operation();
        if ends {
            let reason = operation.reason.unwrap();
            assert!(reason.cause.contains("does not offer it"), "{}", reason.cause);
            assert_eq!((operation.status, outcome.requeue), (OperationStatus::Failed, Requeue::Now), "{kind:?}");
        } else {
            // The engine may be offered again; the cluster can be forgotten at any time.
            assert!(operation.status.is_unfinished(), "{kind:?}");
            assert_eq!(outcome.requeue, Requeue::Soon);
            fixture.world.clock.advance(TimeDelta::hours(1));
            fixture.reconcile().await;
            assert_eq!(fixture.operation().status, OperationStatus::Failed, "{kind:?}");
        }
        assert!(fixture.call_names().iter().all(|call| *call != "observe"), "{kind:?}");
    }
}

#[tokio::test]
async fn an_outcome_has_the_deadline_of_the_operation() {
    let fixture = Fixture::requested(OperationKind::Deploy);
    let deadline = fixture.operation().deadline;
    assert_eq!(fixture.reconcile().await.deadline, Some(deadline), "after a call");
    fixture.provider.does_not_answer();
    assert_eq!(fixture.reconcile().await.deadline, Some(deadline), "while it waits");
    fixture.advance(3600);
    assert_eq!(fixture.reconcile().await.deadline, None, "it has ended");
    assert_eq!(fixture.reconcile().await.deadline, None, "there is no operation");
}

#[tokio::test]
async fn a_cluster_that_breaks_after_progress_fails_at_once() {
    let fixture = Fixture::requested(OperationKind::Deploy);
    fixture.reconcile().await;
    fixture.provider.shows(ProvisioningState::Working);
    fixture.reconcile().await;
    fixture.provider.shows(ProvisioningState::Broken(reason("the quota is used up")));
    fixture.reconcile().await;
    assert_eq!(fixture.operation().status, OperationStatus::Failed, "although the call was accepted a moment ago");
}
