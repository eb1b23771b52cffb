//! What exactly is stored when something is asked for.

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
    service::tests::{doubles::fields, provider::seen},
    timeline::Tombstone,
};

/// What `Put` puts, with nothing done to secrets.
fn put(commit: &Commit) -> (Cluster, Revision) {
    let RecordChange::Put(cluster, ClusterSecrets { kubeconfig, metadata }, seen) = commit.record.clone() else {
        panic!("{commit:?}")
    };
    assert!(matches!((kubeconfig, metadata), (SecretUpdate::Keep, SecretUpdate::Keep)));
    (*cluster, seen)
}

/// The operation that was asked for, which is the last one written.
fn asked(commit: &Commit) -> &Operation {
    let (operation, seen) = commit.work.operations.last().unwrap();
    assert_eq!(*seen, None, "a new one");
    operation
}

/// What destroying writes that takes over from `running`.
fn takes_over(counter: &Counter, running: &Shown<Operation>) -> OperationId {
    let commit = counter.commit();
    let [(before, seen), (operation, None)] = &commit.work.operations[..] else { panic!("{commit:?}") };
    let ann = &counter.world.people.ann;
    let (ended, told) = stopped(&running.record, "destroying the cluster was asked for", ann, counter);
    assert_eq!((before, *seen), (&ended, Some(running.revision)));
    assert_eq!((&operation.kind, operation.attempt, operation.cancel), (&OperationKind::Destroy, 1, None));
    let asked = counter.told(ann, Some(operation.id), "asked to destroy the cluster");
    assert_eq!(commit.work.timeline, [asked, told]);
    assert_eq!(put(&commit).0.operation, Some(operation.id));
    operation.id
}

#[tokio::test]
async fn whatever_is_asked_for_becomes_the_operation_of_the_cluster() {
    let resize = || OperationKind::Resize { node_count: 5 };
    let switch = || OperationKind::SetNetworkPolicy { policy: policy(true) };
    let failed = || Lifecycle::Failed { reason: failure() };
    let ended = |lifecycle, kind, status| Counter::after(lifecycle, kind, status);
    // How it is, what is asked, what it becomes, how often it was tried then.
    let rows = [
        (Counter::with(Ready), "resize", resize(), Lifecycle::Updating, 1),
        (Counter::with(Ready), "policy", switch(), Lifecycle::Updating, 1),
        (Counter::with(Ready), "delete", OperationKind::Destroy, Lifecycle::Destroying, 1),
        (Counter::with(Failed), "delete", OperationKind::Destroy, Lifecycle::Destroying, 1),
        (Counter::with(Failed), "retry", OperationKind::Deploy, Lifecycle::Deploying, 2),
        (ended(failed(), resize(), OperationStatus::Failed), "retry", resize(), Lifecycle::Updating, 2),
        (ended(failed(), switch(), OperationStatus::Failed), "retry", switch(), Lifecycle::Updating, 2),
        (
            ended(failed(), OperationKind::Destroy, OperationStatus::Failed),
            "retry",
            OperationKind::Destroy,
            Lifecycle::Destroying,
            2,
        ),
        // Cancelled before it had an effect, the cluster is as it was.
        (ended(Lifecycle::Ready, resize(), OperationStatus::Cancelled), "retry", resize(), Lifecycle::Updating, 2),
        // A cluster that failed on its own is deployed again.
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
    for (counter, verb, kind, becomes, attempt) in rows {
        let what = format!("{verb}: {kind:?}");
        let (before, read_at, me) = (counter.cluster(), counter.revision(), counter.ann());
        let (clusters, id) = (&counter.clusters, counter.id);
        match verb {
            "resize" => drop(clusters.resize(&me, id, 5, None).await.unwrap()),
            "policy" => drop(clusters.set_network_policy(&me, id, policy(true), None).await.unwrap()),
            "delete" => clusters.delete(&me, id, None).await.unwrap(),
            _ => drop(clusters.retry(&me, id).await.unwrap()),
        }
        let (commit, now) = (counter.commit(), counter.world.now());
        let operation = asked(&commit);
        let expected = Operation::requested(id, kind.clone(), me.user, now, now + TimeDelta::hours(1));
        assert_eq!(*operation, Operation { id: operation.id, attempt, ..expected }, "{what}");
        let cluster = Cluster { lifecycle: becomes, changed_at: now, operation: Some(operation.id), ..before };
        assert_eq!(put(&commit), (cluster, read_at), "{what}");
        let again = if verb == "retry" { "try again to " } else { "" };
        let message = format!("asked to {again}{}", kind.infinitive());
        let told = counter.told(&counter.world.people.ann, Some(operation.id), &message);
        assert_eq!(commit.work.timeline, [told], "{what}");
        assert_eq!(commit.work.operations.len(), 1, "{what}: what has ended is left alone");
        let work = &commit.work;
        assert!(work.forgotten.is_empty() && work.ledger.is_none() && work.observed.is_none(), "{what}");
        assert!(work.orphan.is_none() && work.tombstone.is_none(), "{what}");
    }
}

#[tokio::test]
async fn destroying_takes_over_from_what_is_under_way() {
    for state in [Deploying, Updating] {
        let counter = Counter::with(state);
        let running = counter.newest().operation;
        counter.clusters.delete(&counter.ann(), counter.id, None).await.unwrap();
        takes_over(&counter, &running);
    }
}

#[tokio::test]
async fn destroying_asked_for_again_is_under_way_already() {
    let counter = Counter::with(Destroying);
    let read_at = counter.revision();
    for _ in 0..3 {
        counter.clusters.delete(&counter.ann(), counter.id, None).await.unwrap();
    }
    assert_eq!((counter.commits().len(), counter.revision()), (0, read_at));
}

#[tokio::test]
async fn destroying_that_somebody_stopped_a_moment_ago_is_asked_for_anew() {
    let counter = Counter::with(Destroying);
    let running = counter.newest().operation.record.id;
    counter.clusters.cancel(&caller(&counter.world.people.ada), running).await.unwrap();
    counter.commits();
    let cancelled = counter.newest().operation;
    counter.clusters.delete(&counter.ann(), counter.id, None).await.unwrap();
    let operation = takes_over(&counter, &cancelled);
    assert_eq!(counter.cluster().operation, Some(operation));
}

#[tokio::test]
async fn destroying_of_which_nothing_is_on_record_is_asked_for_anew() {
    let counter = Counter::of(Some(Lifecycle::Destroying));
    counter.clusters.delete(&counter.ann(), counter.id, None).await.unwrap();
    assert_eq!(asked(&counter.commit()).kind, OperationKind::Destroy);
}

#[tokio::test]
async fn detaching_is_done_at_once() {
    let counter = Counter::with(Attached);
    let (before, read_at) = (counter.cluster(), counter.revision());
    counter.clusters.delete(&counter.ann(), counter.id, None).await.unwrap();
    let (commit, now) = (counter.commit(), counter.world.now());
    assert!(matches!(commit.record, RecordChange::Remove(seen) if seen == read_at), "{commit:?}");
    let operation = asked(&commit);
    let mut expected = Operation::requested(counter.id, OperationKind::Detach, before.owner, now, now);
    expected.end(OperationStatus::Succeeded, None, now);
    assert_eq!(*operation, Operation { id: operation.id, ..expected });
    let told = counter.told(&counter.world.people.ann, Some(operation.id), "the cluster was detached");
    assert_eq!(commit.work.timeline, [told]);
    let tombstone = Tombstone {
        cluster: counter.id,
        name: before.name,
        organization: before.organization,
        owner: before.owner,
        at: now,
    };
    assert_eq!(commit.work.tombstone, Some(tombstone));
    assert!(commit.work.orphan.is_none(), "nothing was made");
}

#[tokio::test]
async fn asking_to_stop_is_noted_with_the_operation() {
    for state in [Deploying, Updating, Destroying] {
        let counter = Counter::with(state);
        let (before, read_at) = (counter.newest().operation, counter.revision());
        let view = counter.clusters.cancel(&counter.ann(), before.record.id).await.unwrap();
        let commit = counter.commit();
        assert!(matches!(commit.record, RecordChange::Keep(None)), "{commit:?}");
        let cancel = Some((counter.ann().user, counter.world.now()));
        let expected = Operation { cancel, ..before.record.clone() };
        assert_eq!(commit.work.operations, [(expected.clone(), Some(before.revision))], "{state:?}");
        let message = format!("asked to stop: {}", expected.kind.infinitive());
        let told = counter.told(&counter.world.people.ann, Some(expected.id), &message);
        assert_eq!(commit.work.timeline, [told], "{state:?}");
        assert_eq!(view.operation.record, expected);
        assert_eq!(counter.revision(), read_at, "{state:?}: the cluster is stopped by the reconciler");
        // Again, by whomever: it is noted already.
        let ada = caller(&counter.world.people.ada);
        let again = counter.clusters.cancel(&ada, expected.id).await.unwrap();
        assert_eq!((again.operation.record.cancel, counter.commits().len()), (cancel, 0));
    }
}

#[tokio::test]
async fn what_has_ended_cannot_be_stopped_also_when_its_cluster_has_left() {
    let counter = Counter::with(Attached);
    counter.clusters.delete(&counter.ann(), counter.id, None).await.unwrap();
    let ended = counter.newest().operation.record.id;
    let error = counter.clusters.cancel(&counter.ann(), ended).await.unwrap_err();
    let ServiceError::Conflict { message, .. } = error else { panic!("{error:?}") };
    assert!(message.contains("has ended already: it succeeded"), "{message}");
}

#[tokio::test]
async fn twenty_operations_are_kept_of_a_cluster() {
    for before in [18, 19, 20, 25] {
        let counter = Counter::of(Some(Lifecycle::Ready));
        let mut kept: Vec<_> = (0..before)
            .map(|_| counter.put_operation(OperationKind::Resize { node_count: 4 }, OperationStatus::Succeeded))
            .collect();
        counter.clusters.resize(&counter.ann(), counter.id, 5, None).await.unwrap();
        let commit = counter.commit();
        // The newest nineteen stay, and make room for nothing else.
        let outdated: Vec<_> = kept.drain(..kept.len().saturating_sub(19)).collect();
        let mut forgotten = commit.work.forgotten.clone();
        forgotten.reverse();
        assert_eq!(forgotten, outdated, "after {before}");
        let shown = counter.world.catalog.operations_of(counter.id);
        assert_eq!(shown.len(), 20.min(before + 1), "after {before}");
    }
}

#[tokio::test]
async fn a_deadline_past_the_end_of_time_is_the_end_of_time() {
    let mut counter = Counter::with(Ready);
    counter.clusters.timeout = TimeDelta::MAX;
    counter.clusters.resize(&counter.ann(), counter.id, 5, None).await.unwrap();
    assert_eq!(asked(&counter.commit()).deadline, chrono::DateTime::<chrono::Utc>::MAX_UTC);
}

/// A cluster that its provider does not have any more, or not all of it: how the reconciler says so.
fn lacking() -> [Reason; 2] {
    let missing = |condition: Option<ProvisioningState>| {
        let cluster = {
            let world = World::new();
            Cluster { lifecycle: Lifecycle::Ready, ..cluster("made", world.making, &world.people.ann) }
        };
        let observation = Ok(condition.map_or(Observation::Absent, |condition| Observation::Present(seen(condition))));
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
async fn what_is_missing_at_the_provider_is_deployed_again_whatever_failed() {
    use OperationStatus::{Cancelled, Failed, Succeeded};
    for reason in lacking() {
        assert!(reason.next_step.contains("retry"), "{reason}");
        for (kind, status) in [
            (OperationKind::Resize { node_count: 5 }, Failed),
            (OperationKind::SetNetworkPolicy { policy: policy(true) }, Cancelled),
            (OperationKind::Destroy, Cancelled),
            (OperationKind::Deploy, Succeeded),
        ] {
            let counter = Counter::after(Lifecycle::Failed { reason: reason.clone() }, kind.clone(), status);
            counter.clusters.retry(&counter.ann(), counter.id).await.unwrap();
            let commit = counter.commit();
            assert_eq!((&asked(&commit).kind, asked(&commit).attempt), (&OperationKind::Deploy, 1), "{kind:?}");
            // It will have another address, and other credentials.
            let RecordChange::Put(cluster, secrets, _) = &commit.record else { panic!("{commit:?}") };
            assert!(
                matches!((cluster.has_kubeconfig, &secrets.kubeconfig), (false, SecretUpdate::Remove)),
                "{secrets:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_broke_after_somebody_thought_better_of_destroying_it_is_not_destroyed() {
    let counter = Counter::after(Lifecycle::Ready, OperationKind::Destroy, OperationStatus::Cancelled);
    let (lifecycle, changed_at) = (Lifecycle::Failed { reason: failure() }, counter.world.now());
    counter.world.put_cluster(Cluster { lifecycle, changed_at, ..counter.cluster() });
    counter.clusters.retry(&counter.ann(), counter.id).await.unwrap();
    assert_eq!(asked(&counter.commit()).kind, OperationKind::Deploy);
}

#[tokio::test]
async fn detaching_needs_no_engine() {
    let mut counter = Counter::with(Attached);
    counter.clusters.engines = EngineRegistry::default();
    counter.clusters.delete(&counter.ann(), counter.id, None).await.unwrap();
    let commit = counter.commit();
    assert!(matches!(commit.record, RecordChange::Remove(_)), "{commit:?}");
    assert_eq!(asked(&commit).kind, OperationKind::Detach);
}

#[tokio::test]
async fn what_the_engine_would_not_create_cannot_be_changed_to() {
    let counter = Counter::with(Ready);
    let (clusters, me, id) = (&counter.clusters, counter.ann(), counter.id);
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
    assert!(counter.commits().is_empty());
    assert_eq!(counter.cluster().lifecycle, Lifecycle::Ready);

    // What it would create is asked for in its own words.
    let policy = NetworkPolicy { provider: "calico".into(), enabled: true };
    clusters.set_network_policy(&me, id, policy, None).await.unwrap();
    let policy = NetworkPolicy { provider: "CALICO".into(), enabled: true };
    assert_eq!(asked(&counter.commit()).kind, OperationKind::SetNetworkPolicy { policy });
}
