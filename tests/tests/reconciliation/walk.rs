//! Every fault at every call of every operation, on sled, and on etcd with two replicas that alternate.
//!
//! An operation first runs without a fault, to record which calls it makes. Then it runs once for each fault at each of these calls, until
//! the cluster is settled, and the result is checked. Afterwards there are no more faults: a failed operation is retried, the cluster is
//! deleted, and no resource may remain. Time is simulated, so nothing sleeps.

use std::time::Instant;

use chrono::TimeDelta;
use kqueen_domain::{cluster::Lifecycle, id::ClusterId};
use kqueen_tests::{
    contract::test_store::TestStore,
    model::{CallKind, Fault, Injection},
    walk::{Customer, Rest, World},
};

/// What is done to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Deploy,
    Resize,
    SetNetworkPolicy,
    Destroy,
}

const VERBS: [Verb; 4] = [Verb::Deploy, Verb::Resize, Verb::SetNetworkPolicy, Verb::Destroy];

/// Requests the operation. A cluster that is to be changed or deleted runs already.
async fn ask(world: &mut World, verb: Verb, customer: &Customer, cluster: Option<ClusterId>) -> ClusterId {
    match (verb, cluster) {
        (Verb::Deploy, _) => world.create(customer, 2).await,
        (Verb::Resize, Some(cluster)) => {
            world.resize(cluster, 5).await;
            cluster
        }
        (Verb::SetNetworkPolicy, Some(cluster)) => {
            world.set_network_policy(cluster).await;
            cluster
        }
        (Verb::Destroy, Some(cluster)) => {
            world.delete(cluster).await;
            cluster
        }
        (verb, None) => panic!("{verb:?} needs a cluster"),
    }
}

/// A running cluster, if the verb needs one.
async fn prepared(world: &mut World, verb: Verb, customer: &Customer) -> Option<ClusterId> {
    if verb == Verb::Deploy {
        return None;
    }
    let cluster = world.create(customer, 2).await;
    assert_eq!(world.settle(cluster).await, Rest::There);
    Some(cluster)
}

/// The calls the operation makes when nothing goes wrong.
async fn calls(world: &mut World, verb: Verb) -> Vec<CallKind> {
    let customer = world.customer().await;
    let before = prepared(world, verb, &customer).await;
    world.model.clear_log();
    let cluster = ask(world, verb, &customer, before).await;
    let rest = world.settle(cluster).await;
    assert_eq!(rest == Rest::Gone, verb == Verb::Destroy, "{verb:?} without a fault");
    world.model.log().iter().map(|call| call.kind).collect()
}

/// Runs one case and describes what is wrong.
async fn case(world: &mut World, verb: Verb, nth: usize, fault: Fault) -> Vec<String> {
    let customer = world.customer().await;
    let before = prepared(world, verb, &customer).await;
    world.model.clear_log();
    let cluster = ask(world, verb, &customer, before).await;
    world.model.inject(Injection::any(fault).nth(nth));
    let rest = world.settle(cluster).await;
    world.model.clear_faults();
    let mut complaints = world.complaints(&customer, cluster).await;
    if rest == Rest::There {
        let shown = world.shown().await;
        let lifecycle = shown.catalog.cluster(cluster).map(|view| view.cluster.record.lifecycle.clone());
        if matches!(lifecycle, Some(Lifecycle::Failed { .. })) {
            world.retry(cluster).await;
            world.settle(cluster).await;
            let shown = world.shown().await;
            let after = shown.catalog.cluster(cluster).map(|view| view.cluster.record.lifecycle.clone());
            let expected = (verb != Verb::Destroy).then_some(Lifecycle::Ready);
            if after != expected {
                complaints.push(format!("a retry leads to {after:?}"));
            }
            complaints.extend(world.complaints(&customer, cluster).await);
        }
        if world.shown().await.catalog.cluster(cluster).is_some() {
            world.delete(cluster).await;
            if world.settle(cluster).await != Rest::Gone {
                complaints.push("it cannot be deleted".to_owned());
            }
        }
    }
    // Delayed calls take effect.
    world.time.pass(TimeDelta::minutes(10));
    if !world.resources(&customer, cluster).is_empty() {
        complaints.push(format!("left behind: {:?}", world.resources(&customer, cluster)));
    }
    complaints
}

/// Runs all cases and prints the progress.
async fn walk(site: TestStore, place: &str) {
    let began = Instant::now();
    let mut world = World::new(site).await;
    let (mut cases, mut failures) = (0, Vec::new());
    for verb in VERBS {
        let calls = calls(&mut world, verb).await;
        let before = cases;
        for (number, kind) in calls.iter().enumerate() {
            for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(*kind)) {
                cases += 1;
                if cases % 250 == 0 {
                    eprintln!("walk on {place}: {cases} cases so far, {} s", began.elapsed().as_secs());
                }
                let complaints = case(&mut world, verb, number + 1, fault).await;
                if !complaints.is_empty() {
                    failures.push(format!("{verb:?}, call {} {kind:?}, {fault:?}: {complaints:#?}", number + 1));
                }
                assert!(failures.len() < 10, "{failures:#?}");
            }
        }
        eprintln!("walk on {place}: {verb:?} with {} calls, {} cases", calls.len(), cases - before);
    }
    eprintln!(
        "walk on {place}: {cases} cases, {} reconciliations, {} processes killed, {} s",
        world.reconciliations,
        world.crashes,
        began.elapsed().as_secs()
    );
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(cases > 500 && world.crashes > 50, "the walk had too few cases: {cases} cases");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_at_every_call_is_recovered_from_on_sled() {
    walk(TestStore::sled().await.unwrap(), "sled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_at_every_call_is_recovered_from_on_etcd_with_two_replicas() {
    let Some(site) = TestStore::etcd().await else { return };
    walk(site, "etcd").await;
}
