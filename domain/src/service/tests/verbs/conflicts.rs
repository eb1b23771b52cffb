//! What is in the way, and what others do at the same time.

use super::*;
use crate::{
    catalog::RecordId,
    invalid::FieldError,
    port::store::{RecordChange, StoreError},
    service::tests::{doubles::status, kept::words},
};

#[tokio::test]
async fn what_is_in_the_way_is_named() {
    for (state, doing) in [
        (Deploying, "to deploy the cluster"),
        (Updating, "to resize the cluster to 3 nodes"),
        (Destroying, "to destroy the cluster"),
    ] {
        let counter = Counter::with(state);
        let (me, id) = (counter.ann(), counter.id);
        let running = counter.cluster().operation.unwrap().to_string();
        for result in [
            counter.clusters.resize(&me, id, 5, None).await,
            counter.clusters.set_network_policy(&me, id, policy(true), None).await,
            counter.clusters.retry(&me, id).await,
        ] {
            let error = result.unwrap_err();
            let ServiceError::Conflict { message, details } = error else { panic!("{error:?}") };
            assert!(message.contains(&format!("operation {running} {doing}")), "{message}");
            assert!(message.contains("cluster made") && message.contains("cancel it"), "{message}");
            assert_eq!(details, [FieldError { field: "operation".into(), message: running.clone() }]);
        }
    }
}

#[tokio::test]
async fn what_has_not_failed_cannot_be_tried_again() {
    for (lifecycle, kind, status) in [
        (Lifecycle::Ready, OperationKind::Deploy, OperationStatus::Succeeded),
        // It is well again by itself: there is nothing left of the deployment to do.
        (Lifecycle::Ready, OperationKind::Deploy, OperationStatus::Failed),
    ] {
        let counter = Counter::after(lifecycle, kind, status);
        let error = counter.clusters.retry(&counter.ann(), counter.id).await.unwrap_err();
        assert!(error.to_string().contains("cluster made has not failed"), "{error}");
    }
    let counter = Counter::of(Some(Lifecycle::Ready));
    assert_eq!(status(&counter.clusters.retry(&counter.ann(), counter.id).await), 409);
}

#[tokio::test]
async fn a_failed_cluster_is_not_changed_before_it_is_well() {
    let counter = Counter::with(Failed);
    let error = counter.clusters.resize(&counter.ann(), counter.id, 5, None).await.unwrap_err();
    assert!(error.to_string().contains("cluster made has failed: retry what failed, or destroy it"), "{error}");
}

/// A verb that writes, on a cluster in the state it is for.
type Ask = for<'a> fn(&'a Counter) -> std::pin::Pin<Box<dyn Future<Output = u16> + 'a>>;

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
async fn who_was_overtaken_asks_again_of_what_is_there_now() {
    for (verb, state, ask) in verbs() {
        let counter = Counter::with(state);
        for _ in 0..2 {
            counter.kept.refusals.push(StoreError::Conflict);
        }
        // Somebody else has changed both the cluster and what runs on it.
        let (world, id) = (counter.world.clone(), counter.id);
        counter.kept.story.meanwhile("catch up", move || {
            let record = world.catalog.cluster(id).unwrap().cluster.record.clone();
            if let Some(operation) = record.operation.and_then(|id| world.catalog.operation(id)) {
                world.put_operation(Operation { failures: 3, ..operation.operation.record.clone() });
            }
            world.put_cluster(Cluster { name: "other".try_into().unwrap(), ..record });
        });
        assert_eq!(ask(&counter).await, 200, "{verb}");
        let events = counter.kept.story.take();
        let told: Vec<_> = words(&events).into_iter().filter(|word| *word != "ledger").collect();
        assert_eq!(told, ["refused", "catch up", "refused", "catch up", "commit"], "{verb}");
        let commit = &commits(events)[0];
        if let RecordChange::Put(cluster, ..) = &commit.record {
            assert_eq!(cluster.name.as_str(), "other", "{verb}");
        }
        if let Some((taken_over, Some(_))) = commit.work.operations.first() {
            assert_eq!(taken_over.failures, 3, "{verb}");
        }
    }
}

#[tokio::test]
async fn who_is_overtaken_again_and_again_is_told_so() {
    for (verb, state, ask) in verbs() {
        let counter = Counter::with(state);
        for _ in 0..50 {
            counter.kept.refusals.push(StoreError::Conflict);
        }
        assert_eq!(ask(&counter).await, 409, "{verb}");
        assert!(counter.commits().is_empty(), "{verb}");
    }
}

#[tokio::test]
async fn what_the_store_says_is_passed_on() {
    for (verb, state, ask) in verbs() {
        for (error, expected) in [(StoreError::Missing, 404), (StoreError::Unavailable("down".into()), 503)] {
            let counter = Counter::with(state);
            counter.kept.refusals.push(error);
            assert_eq!(ask(&counter).await, expected, "{verb}");
        }
    }
}

#[tokio::test]
async fn a_request_that_was_granted_is_granted_however_fast_it_is_done() {
    // The reconciler is done with the cluster before whoever asked hears of it.
    for (verb, state, ask) in verbs() {
        if matches!(verb, "detach" | "forget" | "cancel") {
            continue;
        }
        let counter = Counter::with(state);
        let (world, id) = (counter.world.clone(), counter.id);
        counter.kept.story.meanwhile("commit", move || world.deleted(RecordId::Cluster(id)));
        assert_eq!(ask(&counter).await, 200, "{verb}");
    }
}

#[tokio::test]
async fn two_who_ask_at_once_do_not_both_get_it() {
    let counter = Counter::with(Ready);
    let (world, id) = (counter.world.clone(), counter.id);
    // Ada has asked for something between ann's look and her write.
    counter.kept.refusals.push(StoreError::Conflict);
    counter.kept.story.meanwhile("catch up", move || {
        let now = world.now();
        let kind = OperationKind::Resize { node_count: 9 };
        let operation = Operation::requested(id, kind, world.people.ada.id, now, now);
        let record = world.catalog.cluster(id).unwrap().cluster.record.clone();
        let cluster = Cluster { operation: Some(operation.id), lifecycle: Lifecycle::Updating, ..record };
        world.put_operation(operation);
        world.put_cluster(cluster);
    });
    let error = counter.clusters.resize(&counter.ann(), counter.id, 5, None).await.unwrap_err();
    assert!(error.to_string().contains("to resize the cluster to 9 nodes"), "{error}");
    assert!(counter.commits().is_empty());
}

#[tokio::test]
async fn a_cluster_that_moved_on_is_left_alone_when_the_caller_says_what_it_saw() {
    let ada = |counter: &Counter| caller(&counter.world.people.ada);
    for state in [Attached, Ready] {
        let counter = Counter::with(state);
        let (me, id, clusters) = (ada(&counter), counter.id, &counter.clusters);
        let stale = Some(Revision(counter.revision().0 + 1));
        assert_eq!(status(&clusters.resize(&me, id, 5, stale).await), 412);
        assert_eq!(status(&clusters.set_network_policy(&me, id, policy(true), stale).await), 412);
        assert_eq!(status(&clusters.delete(&me, id, stale).await), 412);
        assert_eq!(status(&clusters.forget(&me, id, stale).await), 412);
        assert!(counter.commits().is_empty());
        let now = Some(counter.revision());
        assert_eq!(status(&clusters.forget(&me, id, now).await), 200);
    }
    let counter = Counter::with(Ready);
    let now = Some(counter.revision());
    assert_eq!(status(&counter.clusters.resize(&ada(&counter), counter.id, 5, now).await), 200);
}
