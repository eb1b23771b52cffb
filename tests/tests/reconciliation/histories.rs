//! Long random histories, and many short lifecycles: whatever is requested in whatever order, and whatever fails meanwhile, every resource
//! is listed, no foreign resource is touched, and none is created twice. The seed of a failing history is printed, and `KQUEEN_SEED` runs
//! only that one.

use std::time::Instant;

use chrono::TimeDelta;
use kqueen_domain::{id::ClusterId, service::ServiceError};
use kqueen_tests::{
    contract::test_store::TestStore,
    model::{CallKind, Effect, Fault, Injection},
    walk::{Customer, Rest, World},
};

const HISTORIES: u64 = 500;
const CYCLES: usize = 1_000;
/// The number of steps in one history.
const STEPS: usize = 12;

/// Pseudo-random numbers, the same for the same seed (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Sends a request, which may be rejected if it does not fit the state of the cluster.
async fn ask(world: &mut World, step: usize, cluster: ClusterId, nodes: u32) {
    let answer: Result<(), ServiceError> = world
        .ask(move |parts, caller| async move {
            let newest = parts.catalog.operations_of(cluster).first().map(|view| view.operation.record.id);
            match (step, newest) {
                (0, _) => parts.use_cases.clusters.resize(&caller, cluster, nodes, None).await.map(drop),
                (1, _) => parts.use_cases.clusters.retry(&caller, cluster).await.map(drop),
                (2, Some(operation)) => parts.use_cases.clusters.cancel(&caller, operation).await.map(drop),
                (3, _) => parts.use_cases.clusters.delete(&caller, cluster, None).await,
                (4, _) => parts.use_cases.clusters.forget(&caller, cluster, None).await.map(drop),
                _ => Ok(()),
            }
        })
        .await;
    match answer {
        Ok(()) | Err(ServiceError::Conflict { .. } | ServiceError::NotFound(_)) => {}
        Err(error) => panic!("unexpected error: {error:?}"),
    }
}

/// Runs one history and describes what is wrong.
async fn history(world: &mut World, seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let customer = world.customer().await;
    world.model.clear_log();
    let cluster = world.create(&customer, 2).await;
    for _ in 0..STEPS {
        match random.below(8) {
            step @ 0..=2 => ask(world, step, cluster, 1 + u32::try_from(random.below(6)).unwrap()).await,
            3 if random.below(3) == 0 => ask(world, 3, cluster, 0).await,
            4 if random.below(6) == 0 => ask(world, 4, cluster, 0).await,
            5 => {
                let fault = random.pick(&Fault::ALL);
                let call = random.pick(&CallKind::ALL);
                if fault.fits(call) {
                    world.model.inject(Injection::on(call, fault).times(1 + random.below(3)));
                }
            }
            6 => world.crash().await,
            _ => world.time.pass(TimeDelta::seconds(i64::try_from(random.below(300)).unwrap())),
        }
        for _ in 0..random.below(6) {
            let _again = world.reconcile(cluster).await;
            world.time.pass(TimeDelta::seconds(5));
        }
    }
    world.model.clear_faults();
    let rest = world.settle(cluster).await;
    let mut complaints = world.complaints(&customer, cluster).await;
    if rest == Rest::There {
        world.delete(cluster).await;
        if world.settle(cluster).await != Rest::Gone {
            complaints.push("it cannot be deleted".to_owned());
        }
    }
    complaints.extend(nothing_remains(world, &customer, cluster).await);
    complaints
}

/// Delayed calls take effect; what a forgotten cluster has left is found, listed, and deleted on request.
async fn nothing_remains(world: &mut World, customer: &Customer, cluster: ClusterId) -> Vec<String> {
    world.time.pass(TimeDelta::minutes(10));
    world.sweep(customer).await;
    let mut complaints = world.complaints(customer, cluster).await;
    for _ in 0..20 {
        let shown = world.shown().await;
        if shown.catalog.orphan(cluster).is_none() {
            break;
        }
        world
            .ask(move |parts, caller| async move { parts.use_cases.orphans.delete(&caller, cluster).await.map(drop) })
            .await
            .unwrap();
        world.sweep(customer).await;
        world.time.pass(TimeDelta::seconds(60));
    }
    let left = world.resources(customer, cluster);
    if !left.is_empty() {
        complaints.push(format!("left behind: {left:?}"));
    }
    complaints
}

async fn histories(site: TestStore, place: &str) {
    let began = Instant::now();
    let mut world = World::new(site).await;
    let chosen = std::env::var("KQUEEN_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds = chosen.map_or(1..=HISTORIES, |seed| seed..=seed);
    let mut failures = Vec::new();
    for seed in seeds {
        let complaints = history(&mut world, seed).await;
        if !complaints.is_empty() {
            failures.push(format!("KQUEEN_SEED={seed}: {complaints:#?}"));
        }
        assert!(failures.len() < 5, "{failures:#?}");
    }
    eprintln!(
        "histories on {place}: {HISTORIES} with {} reconciliations, {} processes killed, {} s",
        world.reconciliations,
        world.crashes,
        began.elapsed().as_secs()
    );
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_leave_nothing_behind_on_sled() {
    histories(TestStore::sled().await.unwrap(), "sled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_leave_nothing_behind_on_etcd_with_two_replicas() {
    let Some(site) = TestStore::etcd().await else { return };
    histories(site, "etcd").await;
}

/// A cluster is requested, the process is killed at one of the calls that create it, another continues, and the cluster is deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clusters_whose_creation_is_interrupted_leave_nothing_behind() {
    let began = Instant::now();
    let mut world = World::new(TestStore::sled().await.unwrap()).await;
    let customer = world.customer().await;
    for cycle in 0..CYCLES {
        let mut random = Random::new(u64::try_from(cycle).unwrap() + 1);
        let acts = random.pick(&[Effect::Never, Effect::First]);
        let cluster = world.create(&customer, 1).await;
        world.model.inject(Injection::any(Fault::CallerDies(acts)).nth(1 + random.below(24)));
        if random.below(2) == 0 {
            world.settle(cluster).await;
        } else {
            // The creation is not awaited.
            for _ in 0..random.below(8) {
                let _again = world.reconcile(cluster).await;
                world.time.pass(TimeDelta::seconds(5));
            }
        }
        world.model.clear_faults();
        world.delete(cluster).await;
        assert_eq!(world.settle(cluster).await, Rest::Gone, "cycle {cycle}");
        assert!(world.resources(&customer, cluster).is_empty(), "cycle {cycle} has left something");
        if cycle % 100 == 99 {
            let complaints = world.complaints(&customer, cluster).await;
            assert!(complaints.is_empty(), "cycle {cycle}: {complaints:#?}");
            world.model.clear_log();
        }
    }
    let shown = world.shown().await;
    let running = shown.catalog.observation_times().len();
    assert_eq!((running, shown.catalog.orphan_count(), world.model.resources().len()), (0, 0, 0));
    assert!(
        world.model.accounts().values().all(|account| account.made == account.gone),
        "a resource was created and not deleted"
    );
    eprintln!("{CYCLES} cycles: {} processes killed, {} s", world.crashes, began.elapsed().as_secs());
}
