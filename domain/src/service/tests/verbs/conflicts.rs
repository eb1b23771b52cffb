//! Conflicts with running operations and with concurrent changes.

use super::*;
use crate::{
    catalog::RecordId,
    invalid::FieldError,
    port::store::{RecordChange, StoreError},
    service::tests::{doubles::status, kept::call_names},
};

#[tokio::test]
async fn the_conflicting_operation_is_named() {
    for (state, description) in [
        (Deploying, "to deploy the cluster"),
        (Updating, "to resize the cluster to 3 nodes"),
        (Destroying, "to destroy the cluster"),
    ] {
        let fixture = Fixture::with(state);
        let (me, id) = (fixture.ann(), fixture.id);
        let running = fixture.cluster().operation.unwrap().to_string();
        for result in [
            fixture.clusters.resize(&me, id, 5, None).await,
            fixture.clusters.set_network_policy(&me, id, policy(true), None).await,
            fixture.clusters.retry(&me, id).await,
        ] {
            let error = result.unwrap_err();
            let ServiceError::Conflict { message, details } = error else { panic!("{error:?}") };
            assert!(message.contains(&format!("operation {running} {description}")), "{message}");
            assert!(message.contains("cluster made") && message.contains("cancel it"), "{message}");
            assert_eq!(details, [FieldError { field: "operation".into(), message: running.clone() }]);
        }
    }
}

#[tokio::test]
async fn a_cluster_that_has_not_failed_cannot_be_retried() {
    for (lifecycle, kind, status) in [
        (Lifecycle::Ready, OperationKind::Deploy, OperationStatus::Succeeded),
        // It recovered: nothing of the deployment is left to do.
        (Lifecycle::Ready, OperationKind::Deploy, OperationStatus::Failed),
    ] {
        let fixture = Fixture::after(lifecycle, kind, status);
        let error = fixture.clusters.retry(&fixture.ann(), fixture.id).await.unwrap_err();
        assert!(error.to_string().contains("cluster made has not failed"), "{error}");
    }
    let fixture = Fixture::of(Some(Lifecycle::Ready));
    assert_eq!(status(&fixture.clusters.retry(&fixture.ann(), fixture.id).await), 409);
}

#[tokio::test]
async fn a_failed_cluster_cannot_be_changed() {
    let fixture = Fixture::with(Failed);
    let error = fixture.clusters.resize(&fixture.ann(), fixture.id, 5, None).await.unwrap_err();
    assert!(
        error.to_string().contains("cluster made has failed: retry the failed operation, or destroy the cluster"),
        "{error}"
    );
}

/// A request that writes, on a cluster in a matching state.
type Ask = for<'a> fn(&'a Fixture) -> std::pin::Pin<Box<dyn Future<Output = u16> + 'a>>;

fn verbs() -> [(&'static str, State, Ask); 7] {
    [
        ("resize", Ready, |c| Box::pin(async { status(&c.clusters.resize(&c.ann(), c.id, 5, None).await) })),
        ("policy", Ready, |c| {
            Box::pin(async { status(&c.clusters.set_network_policy(&c.ann(), c.id, policy(true), None).await) })
        }),
        ("destroy", Updating, |c| Box::pin(async { status(&c.clusters.delete(&c.ann(), c.id, None).await) })),
        ("detach", Attached, |c| Box::pin(async { status(&c.clusters.delete(&c.ann(), c.id, None).await) })),
        ("retry", Failed, |c| Box::pin(async { status(&c.clusters.retry(&c.ann(), c.id).await) })),
        ("cancel", Updating, |c| {
            Box::pin(async { status(&c.clusters.cancel(&c.ann(), c.cluster().operation.unwrap()).await) })
        }),
        ("forget", Updating, |c| {
            Box::pin(async { status(&c.clusters.forget(&caller(&c.world.people.ada), c.id, None).await) })
        }),
    ]
}

#[tokio::test]
async fn a_request_is_retried_on_the_newest_state() {
    for (verb, state, ask) in verbs() {
        let fixture = Fixture::with(state);
        for _ in 0..2 {
            fixture.fake.refusals.push(StoreError::Conflict);
        }
        // Another request changed both the cluster and its operation.
        let (world, id) = (fixture.world.clone(), fixture.id);
        fixture.fake.events.during("catch up", move || {
            let record = world.catalog.cluster(id).unwrap().cluster.record.clone();
            if let Some(operation) = record.operation.and_then(|id| world.catalog.operation(id)) {
                world.put_operation(Operation { failures: 3, ..operation.operation.record.clone() });
            }
            world.put_cluster(Cluster { name: "other".try_into().unwrap(), ..record });
        });
        assert_eq!(ask(&fixture).await, 200, "{verb}");
        let events = fixture.fake.events.take();
        let calls: Vec<_> = call_names(&events).into_iter().filter(|call| *call != "ledger").collect();
        assert_eq!(calls, ["refused", "catch up", "refused", "catch up", "commit"], "{verb}");
        let commit = &commits(events)[0];
        if let RecordChange::Put(cluster, ..) = &commit.record {
            assert_eq!(cluster.name.as_str(), "other", "{verb}");
        }
        if let Some((cancelled, Some(_))) = commit.work.operations.first() {
            assert_eq!(cancelled.failures, 3, "{verb}");
        }
    }
}

#[tokio::test]
async fn a_request_fails_after_too_many_conflicts() {
    for (verb, state, ask) in verbs() {
        let fixture = Fixture::with(state);
        for _ in 0..50 {
            fixture.fake.refusals.push(StoreError::Conflict);
        }
        assert_eq!(ask(&fixture).await, 409, "{verb}");
        assert!(fixture.commits().is_empty(), "{verb}");
    }
}

#[tokio::test]
async fn store_errors_are_passed_on() {
    for (verb, state, ask) in verbs() {
        for (error, expected) in [(StoreError::Missing, 404), (StoreError::Unavailable("down".into()), 503)] {
            let fixture = Fixture::with(state);
            fixture.fake.refusals.push(error);
            assert_eq!(ask(&fixture).await, expected, "{verb}");
        }
    }
}

#[tokio::test]
async fn a_request_succeeds_even_if_the_cluster_is_removed_at_once() {
    // The reconciler removes the cluster before the caller gets the answer.
    for (verb, state, ask) in verbs() {
        if matches!(verb, "detach" | "forget" | "cancel") {
            continue;
        }
        let fixture = Fixture::with(state);
        let (world, id) = (fixture.world.clone(), fixture.id);
        fixture.fake.events.during("commit", move || world.deleted(RecordId::Cluster(id)));
        assert_eq!(ask(&fixture).await, 200, "{verb}");
    }
}

#[tokio::test]
async fn of_two_concurrent_requests_only_one_succeeds() {
    let fixture = Fixture::with(Ready);
    let (world, id) = (fixture.world.clone(), fixture.id);
    // Ada requested a resize between ann's read and write.
    fixture.fake.refusals.push(StoreError::Conflict);
    fixture.fake.events.during("catch up", move || {
        let now = world.now();
        let kind = OperationKind::Resize { node_count: 9 };
        let operation = Operation::requested(id, kind, world.people.ada.id, now, now);
        let record = world.catalog.cluster(id).unwrap().cluster.record.clone();
        let cluster = Cluster { operation: Some(operation.id), lifecycle: Lifecycle::Updating, ..record };
        world.put_operation(operation);
        world.put_cluster(cluster);
    });
    let error = fixture.clusters.resize(&fixture.ann(), fixture.id, 5, None).await.unwrap_err();
    assert!(error.to_string().contains("to resize the cluster to 9 nodes"), "{error}");
    assert!(fixture.commits().is_empty());
}

#[tokio::test]
async fn a_stale_revision_is_refused() {
    let ada = |fixture: &Fixture| caller(&fixture.world.people.ada);
    for state in [Attached, Ready] {
        let fixture = Fixture::with(state);
        let (me, id, clusters) = (ada(&fixture), fixture.id, &fixture.clusters);
        let stale = Some(Revision(fixture.revision().0 + 1));
        assert_eq!(status(&clusters.resize(&me, id, 5, stale).await), 412);
        assert_eq!(status(&clusters.set_network_policy(&me, id, policy(true), stale).await), 412);
        assert_eq!(status(&clusters.delete(&me, id, stale).await), 412);
        assert_eq!(status(&clusters.forget(&me, id, stale).await), 412);
        assert!(fixture.commits().is_empty());
        let now = Some(fixture.revision());
        assert_eq!(status(&clusters.forget(&me, id, now).await), 200);
    }
    let fixture = Fixture::with(Ready);
    let now = Some(fixture.revision());
    assert_eq!(status(&fixture.clusters.resize(&ada(&fixture), fixture.id, 5, now).await), 200);
}
