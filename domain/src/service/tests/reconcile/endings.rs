//! How operations end: done, too late, stopped, or with the cluster gone.

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
            provider::{policy, seen, thing},
        },
    },
    timeline::Tombstone,
};

/// The last transaction, in which the operation has ended.
fn ending(stage: &Stage) -> Commit {
    let events = stage.happened();
    assert_eq!(words(&events).last(), Some(&"prune"), "the story is kept bounded");
    commits(events).pop().unwrap()
}

fn nodes(stage: &Stage) -> Option<Value> {
    stage.cluster().metadata.and_then(|metadata| metadata.to_map().get("node_count").cloned())
}

fn with_nodes(condition: ProvisioningState, nodes: u32) -> Observation {
    Observation::Present(ObservedCluster { node_count: Some(nodes), ..seen(condition) })
}

#[tokio::test]
async fn what_the_provider_shows_to_be_done_has_succeeded() {
    let policy_on = ObservedCluster { network_policy: Some(policy(true)), ..seen(ProvisioningState::Running) };
    let rows = [
        (OperationKind::Deploy, Observation::Present(seen(ProvisioningState::Running))),
        (OperationKind::Resize { node_count: 5 }, with_nodes(ProvisioningState::Running, 5)),
        (OperationKind::SetNetworkPolicy { policy: policy(true) }, Observation::Present(policy_on)),
    ];
    for (kind, shows) in rows {
        let stage = Stage::asked(kind.clone());
        stage.cluster_is(|cluster| cluster.has_kubeconfig = true);
        let read_at = stage.revision();
        stage.provider.observation.set(Ok(shows));
        stage.advance(9);
        assert_eq!(stage.turn().await.requeue, Requeue::Now);
        let commit = ending(&stage);
        assert!(matches!(commit.record, RecordChange::Put(_, _, seen) if seen == read_at), "{kind:?}");
        let done = format!("done: {}", kind.infinitive());
        assert_eq!(told(&commit), [(EventKind::Ended, &*done), (EventKind::State, "the cluster is well")]);
        let operation = stage.operation();
        let ended = (operation.status, operation.reason, operation.ended_at);
        assert_eq!(ended, (OperationStatus::Succeeded, None, Some(stage.world.now())), "{kind:?}");
        assert_eq!((stage.cluster().lifecycle, stage.cluster().changed_at), (Lifecycle::Ready, stage.world.now()));
        assert_eq!(stage.cluster().operation, Some(operation.id));
    }
}

#[tokio::test]
async fn network_policy_that_was_switched_is_what_the_cluster_would_be_made_with() {
    for (before, enabled, after) in [
        (json!({"network_policy": "PROVIDER_UNSPECIFIED"}), true, json!({"network_policy": "CALICO"})),
        (json!({"network_policy": "CALICO"}), false, json!({"network_policy": "PROVIDER_UNSPECIFIED"})),
        (json!({"size": "small"}), true, json!({"size": "small"})),
    ] {
        let policy = NetworkPolicy { provider: "CALICO".into(), enabled };
        let stage = Stage::asked(OperationKind::SetNetworkPolicy { policy: policy.clone() });
        stage.cluster_is(|cluster| {
            cluster.metadata = Some(document::split(&object(before.clone()), &|_| false).shown);
        });
        let done =
            Observation::Present(ObservedCluster { network_policy: Some(policy), ..seen(ProvisioningState::Running) });
        stage.provider.observation.set(Ok(done));
        stage.turn().await;
        let RecordChange::Put(cluster, ..) = ending(&stage).record else { panic!() };
        assert_eq!(cluster.metadata.unwrap().to_map(), object(after));
    }
}

#[tokio::test]
async fn a_resize_that_is_done_changes_the_size_that_is_wanted() {
    let stage = Stage::asked(OperationKind::Resize { node_count: 5 });
    stage.cluster_is(|cluster| {
        cluster.metadata = Some(document::split(&object(json!({"node_count": 3, "size": "small"})), &|_| false).shown);
    });
    stage.provider.observation.set(Ok(with_nodes(ProvisioningState::Running, 5)));
    stage.turn().await;
    let RecordChange::Put(cluster, secrets, _) = ending(&stage).record else { panic!() };
    let metadata = cluster.metadata.unwrap().to_map();
    assert_eq!(metadata, object(json!({"node_count": 5, "size": "small"})));
    assert!(matches!((secrets.kubeconfig, secrets.metadata), (SecretUpdate::Keep, SecretUpdate::Keep)));
}

#[tokio::test]
async fn a_resize_changes_what_is_sealed_as_well_as_what_is_shown() {
    let stage = Stage::asked(OperationKind::Resize { node_count: 5 });
    let whole = object(json!({"node_count": 3, "admin_password": "hunter2"}));
    let split = document::split(&whole, &|path| path == ["admin_password"]);
    stage.kept.metadata.set(split.sealed);
    stage.cluster_is(|cluster| cluster.metadata = Some(split.shown));
    stage.provider.observation.set(Ok(with_nodes(ProvisioningState::Running, 5)));
    stage.turn().await;
    let shown = stage.cluster().metadata.unwrap();
    assert_eq!(shown.to_map(), object(json!({"node_count": 5, "admin_password": MASK})));
    let whole = shown.reveal(stage.kept.metadata.get().as_ref()).unwrap();
    assert_eq!(whole, object(json!({"node_count": 5, "admin_password": "hunter2"})));
    // Whatever is made from now on is made in that size.
    stage.turn().await;
    assert_eq!(stage.provider.asked.take().pop().unwrap().1.parameters, whole);
}

#[tokio::test]
async fn a_resize_that_was_stopped_leaves_the_size_that_was_seen() {
    for (observed, expected) in [(Some(4), Some(json!(4))), (None, None)] {
        let stage = Stage::asked(OperationKind::Resize { node_count: 5 });
        let now = stage.world.now();
        stage.operation_is(|operation| operation.cancel = Some((operation.requested_by, now)));
        let shown = ObservedCluster { node_count: observed, ..seen(ProvisioningState::Working) };
        stage.provider.observation.set(Ok(Observation::Present(shown)));
        assert_eq!(stage.turn().await.requeue, Requeue::Now);
        let commit = ending(&stage);
        let cancelled = "cancelled: resize the cluster to 5 nodes";
        assert_eq!(told(&commit), [(EventKind::Ended, cancelled), (EventKind::State, "the cluster is well")]);
        assert_eq!((stage.cluster().lifecycle, nodes(&stage)), (Lifecycle::Ready, expected));
        assert_eq!(stage.operation().status, OperationStatus::Cancelled);
    }
}

#[tokio::test]
async fn a_resize_that_failed_wants_what_was_wanted_before() {
    let stage = Stage::asked(OperationKind::Resize { node_count: 5 });
    stage.provider.lacks_it();
    stage.turn().await;
    assert_eq!((stage.operation().status, nodes(&stage)), (OperationStatus::Failed, None));
}

#[tokio::test]
async fn at_its_deadline_everything_ends_with_what_was_waited_for() {
    let running = || Ok(Observation::Present(seen(ProvisioningState::Running)));
    let working = || {
        Ok(Observation::Present(ObservedCluster { message: "3 of 5 nodes".into(), ..seen(ProvisioningState::Working) }))
    };
    let rows = [
        (OperationKind::Deploy, working(), "the provider says: 3 of 5 nodes"),
        (OperationKind::Deploy, Ok(Observation::Absent), "the provider does not have the cluster"),
        (OperationKind::Resize { node_count: 5 }, working(), "the provider says: 3 of 5 nodes"),
        (OperationKind::SetNetworkPolicy { policy: policy(true) }, running(), "the provider is not done"),
        (OperationKind::Destroy, running(), "the provider is not done"),
        (OperationKind::Destroy, Err(EngineError::Denied(reason("the key was revoked"))), "the key was revoked"),
    ];
    for (kind, observation, waited_for) in rows {
        let stage = Stage::asked(kind.clone());
        stage.provider.observation.set(observation);
        stage.advance(3600);
        assert_eq!(stage.turn().await.requeue, Requeue::Now, "{kind:?}");
        let commit = ending(&stage);
        let (ended, became) = (&commit.work.timeline[0], &commit.work.timeline[1]);
        assert_eq!((ended.kind, became.kind), (EventKind::Ended, EventKind::State), "{kind:?}");
        let operation = stage.operation();
        assert_eq!(operation.status, OperationStatus::Failed, "{kind:?}");
        let reason = operation.reason.unwrap();
        let says = format!("waited 3600 s to {}: {waited_for}", kind.infinitive());
        assert_eq!(reason.cause, says, "{kind:?}");
        assert!(reason.next_step.contains("retry") && reason.next_step.contains("forget"), "{kind:?}");
        assert_eq!(stage.cluster().lifecycle, Lifecycle::Failed { reason: reason.clone() }, "{kind:?}");
        assert_eq!(ended.reason, Some(reason), "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_stopped_ends_as_far_as_it_got() {
    let deploy = OperationKind::Deploy;
    let resize = OperationKind::Resize { node_count: 5 };
    // What was sent before; whether the cluster is as it was, or what its failure says.
    let rows = [
        (deploy.clone(), None, Some("deploying was cancelled; nothing was made at the provider")),
        (
            deploy,
            Some(StepKind::Create),
            Some("what may exist at the provider: server net in west, server pool in west"),
        ),
        (resize.clone(), None, None),
        (resize, Some(StepKind::Resize), None),
        (OperationKind::Destroy, None, None),
        (OperationKind::Destroy, Some(StepKind::Delete), Some("destroying was cancelled; what may exist")),
    ];
    for (kind, sent, failure) in rows {
        let what = format!("{kind:?} after {sent:?}");
        let stage = Stage::asked(kind.clone());
        let now = stage.world.now();
        if let Some(step) = sent {
            stage.operation_is(|operation| operation.begin(step, now));
            let mut ledger = Ledger::empty(stage.id);
            ledger.observed(&[thing("net"), thing("pool")], now);
            stage.kept.put_ledger(ledger);
        }
        match (&kind, sent) {
            (OperationKind::Deploy, None) => stage.provider.lacks_it(),
            _ => stage.provider.shows(ProvisioningState::Working),
        }
        stage.operation_is(|operation| operation.cancel = Some((operation.requested_by, now)));
        stage.turn().await;
        assert_eq!(stage.words(), ["observe", "commit", "prune"], "{what}: no call");
        let operation = stage.operation();
        assert_eq!(operation.status, OperationStatus::Cancelled, "{what}");
        if sent.is_some() {
            assert_eq!(stage.step().outcome, Some(StepOutcome::Stopped), "{what}");
        }
        match (stage.cluster().lifecycle, failure) {
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
async fn a_cluster_seen_to_be_gone_leaves_and_is_remembered() {
    let missing = || Err(EngineError::Missing);
    for observation in [Ok(Observation::Absent), missing()] {
        let stage = Stage::asked(OperationKind::Destroy);
        let mut ledger = Ledger::empty(stage.id);
        ledger.observed(&[thing("net")], stage.world.now());
        stage.kept.put_ledger(ledger);
        let (cluster, read_at) = (stage.cluster(), stage.revision());
        stage.provider.observation.set(observation);
        let turned = stage.turn().await;
        assert_eq!((turned.requeue, turned.unchanged_at), (Requeue::Never, None));
        let commit = ending(&stage);
        assert!(matches!(commit.record, RecordChange::Remove(seen) if seen == read_at));
        assert!(commit.work.ledger.is_none() && commit.work.observed.is_none(), "they go with the record");
        let [(operation, Some(_))] = &commit.work.operations[..] else { panic!("{commit:?}") };
        assert_eq!((operation.status, operation.ended_at), (OperationStatus::Succeeded, Some(stage.world.now())));
        let gone = "the cluster is gone, and nothing of it is left at the provider";
        assert_eq!(told(&commit), [(EventKind::Ended, gone)]);
        assert_eq!(commit.work.timeline[0].operation, Some(operation.id));
        let tombstone = Tombstone {
            cluster: cluster.id,
            name: cluster.name,
            organization: cluster.organization,
            owner: cluster.owner,
            at: stage.world.now(),
        };
        assert_eq!(commit.work.tombstone, Some(tombstone));
        assert!(stage.world.catalog.cluster(stage.id).is_none());
    }
}

#[tokio::test]
async fn a_cluster_does_not_leave_while_a_call_may_still_make_something() {
    let stage = Stage::asked(OperationKind::Destroy);
    let mut ledger = Ledger::empty(stage.id);
    ledger.intend([thing("net").name], stage.world.now());
    stage.kept.put_ledger(ledger);
    stage.advance(UNCERTAIN.num_seconds() - 1);
    for nothing in [Ok(Observation::Absent), Err(EngineError::Missing)] {
        stage.provider.observation.set(nothing);
        assert_eq!(stage.turn().await.requeue, Requeue::Soon);
        assert_eq!((stage.step().kind, stage.step().reason), (StepKind::Verify, None));
    }
    assert_eq!(stage.words(), ["observe", "commit", "observe"], "both are the same answer");
    stage.advance(1);
    assert_eq!(stage.turn().await.requeue, Requeue::Never);
}

#[tokio::test]
async fn a_look_speaks_for_the_time_at_which_it_was_begun() {
    // Nothing was there when the provider was asked; by the time it has answered, a call may have taken effect.
    let stage = Stage::asked(OperationKind::Destroy);
    let mut ledger = Ledger::empty(stage.id);
    ledger.intend([thing("net").name], stage.world.now());
    stage.kept.put_ledger(ledger);
    stage.advance(UNCERTAIN.num_seconds() - 1);
    let clock = stage.world.clock.clone();
    stage.kept.story.meanwhile("observe", move || clock.advance(TimeDelta::seconds(30)));
    assert_eq!(stage.turn().await.requeue, Requeue::Soon);
    assert_eq!(stage.turn().await.requeue, Requeue::Never);
}

#[tokio::test]
async fn an_ending_that_somebody_overtook_is_decided_again() {
    let stage = Arc::new(Stage::asked(OperationKind::Destroy));
    let others = stage.clone();
    stage
        .kept
        .story
        .meanwhile("observe", move || others.cluster_is(|cluster| cluster.name = "other".try_into().unwrap()));
    assert_eq!(stage.turn().await.requeue, Requeue::Now);
    assert_eq!(stage.words(), ["observe", "catch up"]);
    assert_eq!(stage.turn().await.requeue, Requeue::Never);
    assert_eq!(stage.world.catalog.tombstone(stage.id).unwrap().name.as_str(), "other");
}

#[tokio::test]
async fn something_under_way_of_which_nothing_is_on_record_has_failed() {
    for lifecycle in [Lifecycle::Deploying, Lifecycle::Updating, Lifecycle::Destroying] {
        for has_pointer in [true, false] {
            let stage = Stage::new(lifecycle.clone(), true);
            if has_pointer {
                stage.cluster_is(|cluster| cluster.operation = Some(crate::id::OperationId::random()));
            }
            stage.provider.shows(ProvisioningState::Running);
            assert_eq!(stage.turn().await.requeue, Requeue::Now, "{lifecycle:?}");
            let commit = ending(&stage);
            assert_eq!(commit.work.operations, [], "{lifecycle:?}");
            let Lifecycle::Failed { reason } = stage.cluster().lifecycle else { panic!("{lifecycle:?}") };
            assert!(reason.cause.contains("not on record"), "{}", reason.cause);
            assert_eq!(commit.work.timeline[0].kind, EventKind::State);
        }
    }
}

#[tokio::test]
async fn an_ending_whose_story_cannot_be_shortened_is_stored_all_the_same() {
    let stage = Stage::asked(OperationKind::SetNetworkPolicy { policy: policy(true) });
    let policy_on = ObservedCluster { network_policy: Some(policy(true)), ..seen(ProvisioningState::Running) };
    stage.provider.observation.set(Ok(Observation::Present(policy_on)));
    let kept = stage.kept.clone();
    let mut store = MockClusterStore::new();
    store.expect_ledger().returning(|_| Ok(None));
    store.expect_commit().returning(move |id, record, work| kept.commit(id, record, work));
    store.expect_prune_timeline().returning(|_, _| Err(StoreError::Unavailable("down".into())));
    let stage = Stage { reconciler: Reconciler { store: Arc::new(store), ..stage.reconciler }, ..stage };
    assert!(matches!(stage.turn_fails().await, StoreError::Unavailable(_)));
    assert_eq!((stage.operation().status, stage.cluster().lifecycle), (OperationStatus::Succeeded, Lifecycle::Ready));
}

#[tokio::test]
async fn an_engine_that_is_not_offered_any_more_ends_what_is_under_way_but_not_what_is_to_go() {
    for (kind, ends) in [
        (OperationKind::Deploy, true),
        (OperationKind::Resize { node_count: 5 }, true),
        (OperationKind::Destroy, false),
    ] {
        let mut stage = Stage::asked(kind.clone());
        stage.reconciler.providers.engines = EngineRegistry::default();
        let turned = stage.turn().await;
        let operation = stage.operation();
        if ends {
            let reason = operation.reason.unwrap();
            assert!(reason.cause.contains("does not offer it"), "{}", reason.cause);
            assert_eq!((operation.status, turned.requeue), (OperationStatus::Failed, Requeue::Now), "{kind:?}");
        } else {
            // It may be offered again; forgetting is open all the while.
            assert!(operation.status.is_unfinished(), "{kind:?}");
            assert_eq!(turned.requeue, Requeue::Soon);
            stage.world.clock.advance(TimeDelta::hours(1));
            stage.turn().await;
            assert_eq!(stage.operation().status, OperationStatus::Failed, "{kind:?}");
        }
        assert!(stage.words().iter().all(|word| *word != "observe"), "{kind:?}");
    }
}

#[tokio::test]
async fn a_turn_tells_when_what_is_under_way_has_to_end() {
    let stage = Stage::asked(OperationKind::Deploy);
    let deadline = stage.operation().deadline;
    assert_eq!(stage.turn().await.deadline, Some(deadline), "after a call");
    stage.provider.is_silent();
    assert_eq!(stage.turn().await.deadline, Some(deadline), "while it waits");
    stage.advance(3600);
    assert_eq!(stage.turn().await.deadline, None, "it has ended");
    assert_eq!(stage.turn().await.deadline, None, "nothing is under way");
}

#[tokio::test]
async fn what_was_seen_at_work_and_breaks_has_failed_at_once() {
    let stage = Stage::asked(OperationKind::Deploy);
    stage.turn().await;
    stage.provider.shows(ProvisioningState::Working);
    stage.turn().await;
    stage.provider.shows(ProvisioningState::Broken(reason("the quota is used up")));
    stage.turn().await;
    assert_eq!(stage.operation().status, OperationStatus::Failed, "a moment after it was accepted");
}
