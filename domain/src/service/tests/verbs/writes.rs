//! What exactly is stored for a request.

use chrono::TimeDelta;

use super::*;
use crate::{
    catalog::Stored as Shown,
    cluster::{
        ClusterEvent,
        plan::{Decision, Situation, plan},
    },
    ledger::Ledger,
    observation::{Observation, ProvisioningState},
    operation::NetworkPolicy,
    port::store::{ClusterSecrets, RecordChange, SecretUpdate},
    service::tests::{doubles::fields, provider::observed_cluster},
    timeline::Tombstone,
};

/// The cluster and the expected revision of a `Put` that keeps the secrets.
fn put(commit: &Commit) -> (Cluster, Revision) {
    let RecordChange::Put(cluster, ClusterSecrets { kubeconfig, metadata }, expected) = commit.record.clone() else {
        panic!("{commit:?}")
    };
    assert!(matches!((kubeconfig, metadata), (SecretUpdate::Keep, SecretUpdate::Keep)));
    (*cluster, expected)
}

/// The requested operation, which is the last one written.
fn requested(commit: &Commit) -> &Operation {
    let (operation, expected) = commit.work.operations.last().unwrap();
    assert_eq!(*expected, None, "the operation is new");
    operation
}

/// Checks the writes of a destroy that replaces `running`; returns the new operation.
fn check_replacement(fixture: &Fixture, running: &Shown<Operation>) -> OperationId {
    let commit = fixture.commit();
    let [(before, expected), (operation, None)] = &commit.work.operations[..] else { panic!("{commit:?}") };
    let ann = &fixture.world.people.ann;
    let (ended, ended_event) = stopped(&running.record, "replaced by a request to destroy the cluster", ann, fixture);
    assert_eq!((before, *expected), (&ended, Some(running.revision)));
    assert_eq!((&operation.kind, operation.attempt, operation.cancel), (&OperationKind::Destroy, 1, None));
    let requested_event = fixture.timeline_event(ann, Some(operation.id), "requested: destroy the cluster");
    assert_eq!(commit.work.timeline, [requested_event, ended_event]);
    assert_eq!(put(&commit).0.operation, Some(operation.id));
    operation.id
}

#[tokio::test]
async fn every_request_becomes_the_operation_of_the_cluster() {
    let resize = || OperationKind::Resize { node_count: 5 };
    let switch = || OperationKind::SetNetworkPolicy { policy: policy(true) };
    let failed = || Lifecycle::Failed { reason: failure() };
    let ended = |lifecycle, kind, status| Fixture::after(lifecycle, kind, status);
    // Before, the verb, the operation, the state afterwards, the attempt.
    let rows = [
        (Fixture::with(Ready), "resize", resize(), Lifecycle::Updating, 1),
        (Fixture::with(Ready), "policy", switch(), Lifecycle::Updating, 1),
        (Fixture::with(Ready), "delete", OperationKind::Destroy, Lifecycle::Destroying, 1),
        (Fixture::with(Failed), "delete", OperationKind::Destroy, Lifecycle::Destroying, 1),
        (Fixture::with(Failed), "retry", OperationKind::Deploy, Lifecycle::Deploying, 2),
        (ended(failed(), resize(), OperationStatus::Failed), "retry", resize(), Lifecycle::Updating, 2),
        (ended(failed(), switch(), OperationStatus::Failed), "retry", switch(), Lifecycle::Updating, 2),
        (
            ended(failed(), OperationKind::Destroy, OperationStatus::Failed),
            "retry",
            OperationKind::Destroy,
            Lifecycle::Destroying,
            2,
        ),
        // Cancelled before it had an effect: the cluster is unchanged.
        (ended(Lifecycle::Ready, resize(), OperationStatus::Cancelled), "retry", resize(), Lifecycle::Updating, 2),
        // A cluster that failed without an operation is deployed again.
        (
            ended(failed(), OperationKind::Deploy, OperationStatus::Succeeded),
            "retry",
            OperationKind::Deploy,
            Lifecycle::Deploying,
            1,
        ),
        (
            ended(failed(), resize(), OperationStatus::Succeeded),
            "retry",
            OperationKind::Deploy,
            Lifecycle::Deploying,
            1,
        ),
    ];
    for (fixture, verb, kind, becomes, attempt) in rows {
        let what = format!("{verb}: {kind:?}");
        let (before, read_at, me) = (fixture.cluster(), fixture.revision(), fixture.ann());
        let (clusters, id) = (&fixture.clusters, fixture.id);
        match verb {
            "resize" => drop(clusters.resize(&me, id, 5, None).await.unwrap()),
            "policy" => drop(clusters.set_network_policy(&me, id, policy(true), None).await.unwrap()),
            "delete" => clusters.delete(&me, id, None).await.unwrap(),
            _ => drop(clusters.retry(&me, id).await.unwrap()),
        }
        let (commit, now) = (fixture.commit(), fixture.world.now());
        let operation = requested(&commit);
        let expected = Operation::requested(id, kind.clone(), me.user, now, now + TimeDelta::hours(1));
        assert_eq!(*operation, Operation { id: operation.id, attempt, ..expected }, "{what}");
        let cluster = Cluster { lifecycle: becomes, changed_at: now, operation: Some(operation.id), ..before };
        assert_eq!(put(&commit), (cluster, read_at), "{what}");
        let begins = if verb == "retry" { "retry requested" } else { "requested" };
        let message = format!("{begins}: {}", kind.infinitive());
        let event = fixture.timeline_event(&fixture.world.people.ann, Some(operation.id), &message);
        assert_eq!(commit.work.timeline, [event], "{what}");
        assert_eq!(commit.work.operations.len(), 1, "{what}: ended operations are unchanged");
        let work = &commit.work;
        assert!(work.forgotten.is_empty() && work.ledger.is_none() && work.observed.is_none(), "{what}");
        assert!(work.orphan.is_none() && work.tombstone.is_none(), "{what}");
    }
}

#[tokio::test]
async fn destroying_replaces_the_current_operation() {
    for state in [Deploying, Updating] {
        let fixture = Fixture::with(state);
        let running = fixture.newest().operation;
        fixture.clusters.delete(&fixture.ann(), fixture.id, None).await.unwrap();
        check_replacement(&fixture, &running);
    }
}

#[tokio::test]
async fn a_second_destroy_changes_nothing() {
    let fixture = Fixture::with(Destroying);
    let read_at = fixture.revision();
    for _ in 0..3 {
        fixture.clusters.delete(&fixture.ann(), fixture.id, None).await.unwrap();
    }
    assert_eq!((fixture.commits().len(), fixture.revision()), (0, read_at));
}

#[tokio::test]
async fn a_destroy_after_a_cancelled_destroy_is_a_new_operation() {
    let fixture = Fixture::with(Destroying);
    let running = fixture.newest().operation.record.id;
    fixture.clusters.cancel(&caller(&fixture.world.people.ada), running).await.unwrap();
    fixture.commits();
    let cancelled = fixture.newest().operation;
    fixture.clusters.delete(&fixture.ann(), fixture.id, None).await.unwrap();
    let operation = check_replacement(&fixture, &cancelled);
    assert_eq!(fixture.cluster().operation, Some(operation));
}

#[tokio::test]
async fn a_destroy_without_a_stored_operation_is_a_new_operation() {
    let fixture = Fixture::of(Some(Lifecycle::Destroying));
    fixture.clusters.delete(&fixture.ann(), fixture.id, None).await.unwrap();
    assert_eq!(requested(&fixture.commit()).kind, OperationKind::Destroy);
}

#[tokio::test]
async fn detaching_is_done_at_once() {
    let fixture = Fixture::with(Attached);
    let (before, read_at) = (fixture.cluster(), fixture.revision());
    fixture.clusters.delete(&fixture.ann(), fixture.id, None).await.unwrap();
    let (commit, now) = (fixture.commit(), fixture.world.now());
    assert!(matches!(commit.record, RecordChange::Remove(expected) if expected == read_at), "{commit:?}");
    let operation = requested(&commit);
    let mut expected = Operation::requested(fixture.id, OperationKind::Detach, before.owner, now, now);
    expected.end(OperationStatus::Succeeded, None, now);
    assert_eq!(*operation, Operation { id: operation.id, ..expected });
    let event = fixture.timeline_event(&fixture.world.people.ann, Some(operation.id), "the cluster was detached");
    assert_eq!(commit.work.timeline, [event]);
    let tombstone = Tombstone {
        cluster: fixture.id,
        name: before.name,
        organization: before.organization,
        owner: before.owner,
        at: now,
    };
    assert_eq!(commit.work.tombstone, Some(tombstone));
    assert!(commit.work.orphan.is_none(), "nothing was made");
}

#[tokio::test]
async fn a_cancel_is_stored_with_the_operation() {
    for state in [Deploying, Updating, Destroying] {
        let fixture = Fixture::with(state);
        let (before, read_at) = (fixture.newest().operation, fixture.revision());
        let view = fixture.clusters.cancel(&fixture.ann(), before.record.id).await.unwrap();
        let commit = fixture.commit();
        assert!(matches!(commit.record, RecordChange::Keep(None)), "{commit:?}");
        let cancel = Some((fixture.ann().user, fixture.world.now()));
        let expected = Operation { cancel, ..before.record.clone() };
        assert_eq!(commit.work.operations, [(expected.clone(), Some(before.revision))], "{state:?}");
        let message = format!("cancellation requested: {}", expected.kind.infinitive());
        let event = fixture.timeline_event(&fixture.world.people.ann, Some(expected.id), &message);
        assert_eq!(commit.work.timeline, [event], "{state:?}");
        assert_eq!(view.operation.record, expected);
        assert_eq!(fixture.revision(), read_at, "{state:?}: the reconciler changes the cluster");
        // A repeated request changes nothing, whoever sends it.
        let ada = caller(&fixture.world.people.ada);
        let again = fixture.clusters.cancel(&ada, expected.id).await.unwrap();
        assert_eq!((again.operation.record.cancel, fixture.commits().len()), (cancel, 0));
    }
}

#[tokio::test]
async fn an_ended_operation_of_a_deleted_cluster_cannot_be_cancelled() {
    let fixture = Fixture::with(Attached);
    fixture.clusters.delete(&fixture.ann(), fixture.id, None).await.unwrap();
    let ended = fixture.newest().operation.record.id;
    let error = fixture.clusters.cancel(&fixture.ann(), ended).await.unwrap_err();
    let ServiceError::Conflict { message, .. } = error else { panic!("{error:?}") };
    assert!(message.contains("has already ended: it succeeded"), "{message}");
}

#[tokio::test]
async fn the_newest_twenty_operations_are_kept() {
    for before in [18, 19, 20, 25] {
        let fixture = Fixture::of(Some(Lifecycle::Ready));
        let mut operations: Vec<_> = (0..before)
            .map(|_| fixture.put_operation(OperationKind::Resize { node_count: 4 }, OperationStatus::Succeeded))
            .collect();
        fixture.clusters.resize(&fixture.ann(), fixture.id, 5, None).await.unwrap();
        let commit = fixture.commit();
        // The newest nineteen are kept beside the new one.
        let outdated: Vec<_> = operations.drain(..operations.len().saturating_sub(19)).collect();
        let mut forgotten = commit.work.forgotten.clone();
        forgotten.reverse();
        assert_eq!(forgotten, outdated, "after {before}");
        let shown = fixture.world.catalog.operations_of(fixture.id);
        assert_eq!(shown.len(), 20.min(before + 1), "after {before}");
    }
}

#[tokio::test]
async fn a_deadline_beyond_the_latest_time_is_capped() {
    let mut fixture = Fixture::with(Ready);
    fixture.clusters.timeout = TimeDelta::MAX;
    fixture.clusters.resize(&fixture.ann(), fixture.id, 5, None).await.unwrap();
    assert_eq!(requested(&fixture.commit()).deadline, chrono::DateTime::<chrono::Utc>::MAX_UTC);
}

/// The reasons of the reconciler for a cluster that is absent or incomplete at the provider.
fn missing_reasons() -> [Reason; 2] {
    let missing = |state: Option<ProvisioningState>| {
        let cluster = {
            let world = World::new();
            Cluster { lifecycle: Lifecycle::Ready, ..cluster("made", world.making, &world.people.ann) }
        };
        let observation = Ok(state.map_or(Observation::Absent, |state| Observation::Present(observed_cluster(state))));
        let ledger = Ledger::empty(cluster.id);
        let now = World::new().now();
        let (cluster, observation) = (&cluster, &observation);
        match plan(&Situation { cluster, operation: None, ledger: &ledger, observation, now }) {
            Decision::Move(ClusterEvent::EngineFailed(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    [missing(None), missing(Some(ProvisioningState::Incomplete))]
}

#[tokio::test]
async fn a_retry_of_a_missing_cluster_deploys_it_again() {
    use OperationStatus::{Cancelled, Failed, Succeeded};
    for reason in missing_reasons() {
        assert!(reason.next_step.contains("retry"), "{reason}");
        for (kind, status) in [
            (OperationKind::Resize { node_count: 5 }, Failed),
            (OperationKind::SetNetworkPolicy { policy: policy(true) }, Cancelled),
            (OperationKind::Destroy, Cancelled),
            (OperationKind::Deploy, Succeeded),
        ] {
            let fixture = Fixture::after(Lifecycle::Failed { reason: reason.clone() }, kind.clone(), status);
            fixture.clusters.retry(&fixture.ann(), fixture.id).await.unwrap();
            let commit = fixture.commit();
            assert_eq!((&requested(&commit).kind, requested(&commit).attempt), (&OperationKind::Deploy, 1), "{kind:?}");
            // The new cluster has another address and other credentials.
            let RecordChange::Put(cluster, secrets, _) = &commit.record else { panic!("{commit:?}") };
            assert!(
                matches!((cluster.has_kubeconfig, &secrets.kubeconfig), (false, SecretUpdate::Remove)),
                "{secrets:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_retry_after_a_cancelled_destroy_does_not_destroy() {
    let fixture = Fixture::after(Lifecycle::Ready, OperationKind::Destroy, OperationStatus::Cancelled);
    let (lifecycle, changed_at) = (Lifecycle::Failed { reason: failure() }, fixture.world.now());
    fixture.world.put_cluster(Cluster { lifecycle, changed_at, ..fixture.cluster() });
    fixture.clusters.retry(&fixture.ann(), fixture.id).await.unwrap();
    assert_eq!(requested(&fixture.commit()).kind, OperationKind::Deploy);
}

#[tokio::test]
async fn detaching_needs_no_engine() {
    let mut fixture = Fixture::with(Attached);
    fixture.clusters.engines = EngineRegistry::default();
    fixture.clusters.delete(&fixture.ann(), fixture.id, None).await.unwrap();
    let commit = fixture.commit();
    assert!(matches!(commit.record, RecordChange::Remove(_)), "{commit:?}");
    assert_eq!(requested(&commit).kind, OperationKind::Detach);
}

#[tokio::test]
async fn changes_are_validated_like_new_clusters() {
    let fixture = Fixture::with(Ready);
    let (clusters, me, id) = (&fixture.clusters, fixture.ann(), fixture.id);
    for count in [0, 21, 10_000] {
        let refused = fields(clusters.resize(&me, id, count, None).await);
        assert_eq!(refused, [("node_count".to_owned(), "must be from 1 to 20".to_owned())], "{count}");
    }
    let enforced = "must be one of CALICO, CILIUM";
    let named = "must be one of PROVIDER_UNSPECIFIED, CALICO, CILIUM";
    for (provider, enabled, message) in
        [("WEAVE", true, enforced), ("PROVIDER_UNSPECIFIED", true, enforced), ("WEAVE", false, named)]
    {
        let policy = NetworkPolicy { provider: provider.into(), enabled };
        let refused = fields(clusters.set_network_policy(&me, id, policy, None).await);
        assert_eq!(refused, [("provider".to_owned(), message.to_owned())], "{provider} {enabled}");
    }
    assert!(fixture.commits().is_empty());
    assert_eq!(fixture.cluster().lifecycle, Lifecycle::Ready);

    // An accepted provider is stored in the engine's spelling.
    let policy = NetworkPolicy { provider: "calico".into(), enabled: true };
    clusters.set_network_policy(&me, id, policy, None).await.unwrap();
    let policy = NetworkPolicy { provider: "CALICO".into(), enabled: true };
    assert_eq!(requested(&fixture.commit()).kind, OperationKind::SetNetworkPolicy { policy });
}
