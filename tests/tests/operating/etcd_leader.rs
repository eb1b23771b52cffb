//! An etcd of three members loses the one that leads, while two replicas operate clusters on it.

use chrono::TimeDelta;
use futures::future::join_all;
use kqueen_tests::{
    fixture::{
        app::App,
        etcd::{Etcd, Options, leader},
        process::eventually,
    },
    model::Model,
};

use super::{Customer, PATIENCE, options, provider};

const CLUSTERS: usize = 12;

/// Waits until so many more things were made or changed at the provider: operations are under way.
async fn under_way(model: &Model, changes: u64) {
    let before = model.changes();
    eventually("operations are under way", PATIENCE, || async { model.changes() >= before + changes }).await;
}

/// Kills the member that leads.
async fn lose_the_leader(members: &[Etcd]) -> usize {
    let lost = leader(members).await;
    members[lost].kill();
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_go_on_when_etcd_loses_its_leader() {
    let Some(members) = Etcd::cluster(3, Options { durable: true, ..Options::default() }).await else { return };
    let model = provider(TimeDelta::seconds(1)).await;
    let start = |agent| App::start_with(options(agent).on_members(&members, "/operating"));
    let (one, other) = (start("one").await, start("other").await);
    let customer = Customer::new(&one, &model).await;
    let apps = [&one, &other];

    let clusters: Vec<String> = join_all((0..CLUSTERS).map(|n| customer.deploy(apps[n % 2]))).await;
    under_way(&model, 10).await;
    let lost = lose_the_leader(&members).await;
    // Whichever replica is asked, also while nobody leads etcd.
    let late = join_all((0..2).map(|n| customer.deploy(apps[n]))).await;
    let clusters: Vec<String> = clusters.into_iter().chain(late).collect();
    let mut complaints = Vec::new();
    for (n, cluster) in clusters.iter().enumerate() {
        complaints.extend(customer.complaints(apps[n % 2], &model, cluster).await);
    }
    members[lost].restart().await;

    // Half is taken down and half is changed when the next leader is lost.
    for (n, cluster) in clusters.iter().enumerate() {
        if n % 2 == 0 { customer.destroy(&one, cluster).await } else { customer.resize(&other, cluster).await }
    }
    under_way(&model, 5).await;
    lose_the_leader(&members).await;
    for cluster in clusters.iter().skip(1).step_by(2) {
        complaints.extend(customer.complaints(&one, &model, cluster).await);
        customer.destroy(&one, cluster).await;
    }
    for cluster in &clusters {
        complaints.extend(customer.tombstone(&other, &model, cluster).await);
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(model.things(), []);
}
