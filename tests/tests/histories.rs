//! Long histories by chance, and many short lives: whatever is asked in whatever order, whatever goes wrong meanwhile, nothing is left
//! unlisted, nothing foreign is touched, nothing is made twice. The seed of a history is printed when it fails, and `KQUEEN_SEED` runs
//! that one alone.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs, reason = "test code: a failure is a panic")]

use std::time::Instant;

use chrono::TimeDelta;
use kqueen_domain::{id::ClusterId, service::ServiceError};
use kqueen_tests::{
    contract::test_store::TestStore,
    model::{Acts, CallKind, Fault, Injection},
    walk::{Customer, Rest, World},
};

const HISTORIES: u64 = 500;
const CYCLES: usize = 1_000;
/// How much is done in one history.
const DEEDS: usize = 12;

/// Numbers by chance, the same for the same seed (xorshift, Marsaglia 2003).
struct Chance(u64);

impl Chance {
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

/// Asks for something that may be refused: what does not go with the state of things is, and the reason is for people.
async fn ask(world: &mut World, deed: usize, cluster: ClusterId, nodes: u32) {
    let asked: Result<(), ServiceError> = world
        .ask(move |parts, caller| async move {
            let newest = parts.catalog.operations_of(cluster).first().map(|view| view.operation.record.id);
            match (deed, newest) {
                (0, _) => parts.use_cases.clusters.resize(&caller, cluster, nodes, None).await.map(drop),
                (1, _) => parts.use_cases.clusters.retry(&caller, cluster).await.map(drop),
                (2, Some(operation)) => parts.use_cases.clusters.cancel(&caller, operation).await.map(drop),
                (3, _) => parts.use_cases.clusters.delete(&caller, cluster, None).await,
                (4, _) => parts.use_cases.clusters.forget(&caller, cluster, None).await.map(drop),
                _ => Ok(()),
            }
        })
        .await;
    match asked {
        Ok(()) | Err(ServiceError::Conflict { .. } | ServiceError::NotFound(_)) => {}
        Err(error) => panic!("an answer that is nobody's fault: {error:?}"),
    }
}

/// One history: what speaks against it.
async fn history(world: &mut World, seed: u64) -> Vec<String> {
    let mut chance = Chance::new(seed);
    let customer = world.customer().await;
    world.model.clear_log();
    let cluster = world.create(&customer, 2).await;
    for _ in 0..DEEDS {
        match chance.below(8) {
            deed @ 0..=2 => ask(world, deed, cluster, 1 + u32::try_from(chance.below(6)).unwrap()).await,
            3 if chance.below(3) == 0 => ask(world, 3, cluster, 0).await,
            4 if chance.below(6) == 0 => ask(world, 4, cluster, 0).await,
            5 => {
                let fault = chance.pick(&Fault::ALL);
                let call = chance.pick(&CallKind::ALL);
                if fault.fits(call) {
                    world.model.inject(Injection::on(call, fault).times(1 + chance.below(3)));
                }
            }
            6 => world.crash().await,
            _ => world.time.pass(TimeDelta::seconds(i64::try_from(chance.below(300)).unwrap())),
        }
        for _ in 0..chance.below(6) {
            let _again = world.turn(cluster).await;
            world.time.pass(TimeDelta::seconds(5));
        }
    }
    world.model.clear_faults();
    let rest = world.settle(cluster).await;
    let mut complaints = world.complaints(&customer, cluster).await;
    if rest == Rest::There {
        world.delete(cluster).await;
        if world.settle(cluster).await != Rest::Gone {
            complaints.push("it cannot be taken down".to_owned());
        }
    }
    complaints.extend(nothing_remains(world, &customer, cluster).await);
    complaints
}

/// What was on its way arrives; what a forgotten cluster has left is found, listed, and taken down when it is asked for.
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
    let left = world.things(customer, cluster);
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
        "histories on {place}: {HISTORIES} with {} turns, {} processes ended, {} s",
        world.turns,
        world.crashes,
        began.elapsed().as_secs()
    );
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_histories_by_chance_on_sled() {
    histories(TestStore::sled().await.unwrap(), "sled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_histories_by_chance_on_etcd_with_two_replicas() {
    let Some(site) = TestStore::etcd().await else { return };
    histories(site, "etcd").await;
}

/// A cluster is asked for, the process ends at a call of its making, another goes on, and the cluster is taken down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_lives_that_begin_with_the_end_of_a_process_leave_nothing() {
    let began = Instant::now();
    let mut world = World::new(TestStore::sled().await.unwrap()).await;
    let customer = world.customer().await;
    for life in 0..CYCLES {
        let mut chance = Chance::new(u64::try_from(life).unwrap() + 1);
        let acts = chance.pick(&[Acts::Never, Acts::First]);
        let cluster = world.create(&customer, 1).await;
        world.model.inject(Injection::any(Fault::CallerDies(acts)).nth(1 + chance.below(24)));
        if chance.below(2) == 0 {
            world.settle(cluster).await;
        } else {
            // It is not even waited for.
            for _ in 0..chance.below(8) {
                let _again = world.turn(cluster).await;
                world.time.pass(TimeDelta::seconds(5));
            }
        }
        world.model.clear_faults();
        world.delete(cluster).await;
        assert_eq!(world.settle(cluster).await, Rest::Gone, "life {life}");
        assert!(world.things(&customer, cluster).is_empty(), "life {life} has left something");
        if life % 100 == 99 {
            let complaints = world.complaints(&customer, cluster).await;
            assert!(complaints.is_empty(), "life {life}: {complaints:#?}");
            world.model.clear_log();
        }
    }
    let shown = world.shown().await;
    let running = shown.catalog.observation_times().len();
    assert_eq!((running, shown.catalog.orphan_count(), world.model.things().len()), (0, 0, 0));
    assert!(world.model.accounts().values().all(|account| account.made == account.gone), "something was made twice");
    eprintln!("{CYCLES} lives: {} processes ended, {} s", world.crashes, began.elapsed().as_secs());
}
