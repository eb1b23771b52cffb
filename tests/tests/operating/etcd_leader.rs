//! An etcd of three members loses its leader while two replicas operate clusters on it.

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

/// Waits until the provider has made that many more changes: operations are in progress.
async fn wait_for_changes(model: &Model, changes: u64) {
    let before = model.changes();
    eventually("operations are in progress", PATIENCE, || async { model.changes() >= before + changes }).await;
}

/// Kills the leader of etcd and returns its index.
async fn kill_the_leader(members: &[Etcd]) -> usize {
    let lost = leader(members).await;
    members[lost].kill();
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_continue_when_etcd_loses_its_leader() {
    let Some(members) = Etcd::cluster(3, Options { durable: true, ..Options::default() }).await else { return };
    let model = provider(TimeDelta::seconds(1)).await;
    let start = |agent| App::start_with(options(agent).on_members(&members, "/operating"));
    let (one, other) = (start("one").await, start("other").await);
    let customer = Customer::new(&one, &model).await;
    let apps = [&one, &other];

    let clusters: Vec<String> = join_all((0..CLUSTERS).map(|n| customer.deploy(apps[n % 2]))).await;
    wait_for_changes(&model, 10).await;
    let lost = kill_the_leader(&members).await;
    // Both replicas accept requests, also while etcd has no leader.
    let late = join_all((0..2).map(|n| customer.deploy(apps[n]))).await;
    let clusters: Vec<String> = clusters.into_iter().chain(late).collect();
    let mut complaints = Vec::new();
    for (n, cluster) in clusters.iter().enumerate() {
        complaints.extend(customer.complaints(apps[n % 2], &model, cluster).await);
    }
    members[lost].restart().await;

    // Half of the clusters are being deleted and half resized when the next leader is lost.
    for (n, cluster) in clusters.iter().enumerate() {
        if n % 2 == 0 { customer.destroy(&one, cluster).await } else { customer.resize(&other, cluster).await }
    }
    wait_for_changes(&model, 5).await;
    kill_the_leader(&members).await;
    for cluster in clusters.iter().skip(1).step_by(2) {
        complaints.extend(customer.complaints(&one, &model, cluster).await);
        customer.destroy(&one, cluster).await;
    }
    for cluster in &clusters {
        complaints.extend(customer.complaints_after_deletion(&other, &model, cluster).await);
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(model.resources(), []);
}
