//! Lists trigger observations of the clusters they show.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kqueen_tests::fixture::{
    app::{App, Options},
    kubernetes::FakeApi,
    people::new_name,
    process::eventually,
};
use serde_json::json;

/// The longest wait for a condition on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// For this many seconds after an observation, lists do not trigger another one of the cluster.
const MIN_INTERVAL: f64 = 10.0;

/// When each listed cluster was last observed.
async fn observation_times(app: &App, token: &str) -> BTreeMap<String, String> {
    let list = app.get("/clusters", token).await.ok();
    let time = |it: &serde_json::Value| {
        Some((it["name"].as_str()?.to_owned(), it["observed_at"].as_str().unwrap_or_default().to_owned()))
    };
    list.as_array().unwrap().iter().filter_map(time).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_trigger_one_probe_in_ten_seconds_and_none_of_a_cluster_that_does_not_answer() {
    const CLUSTERS: usize = 20;
    // By schedule, each is observed once.
    let app = App::start_with(Options::default().with("OBSERVE_INTERVAL", "1d").with("OBSERVE_TIMEOUT", "1s")).await;
    let token = app.admin().await;
    let provisioner = json!({"name": new_name("provisioner"), "engine": "kqueen.engines.ManualEngine"});
    let provisioner = format!("Provisioner:{}", app.post("/provisioners", &token, provisioner).await.id());
    let (unresponsive, mut healthy) = (FakeApi::silent().await, Vec::new());
    for _ in 0..CLUSTERS {
        healthy.push(FakeApi::healthy().await);
    }
    let started = Instant::now();
    for api in healthy.iter().chain([&unresponsive]) {
        let cluster =
            json!({"name": new_name("cluster"), "provisioner": provisioner, "kubeconfig": api.kubeconfig("a-token")});
        app.post("/clusters", &token, cluster).await.id();
    }
    let (app, token) = (&app, &*token);
    eventually("all are observed", PATIENCE, || async {
        observation_times(app, token).await.values().all(|at| !at.is_empty())
    })
    .await;
    let (first, before) = (observation_times(app, token).await, unresponsive.reads());
    // The list is read until it shows that all healthy clusters were observed again.
    let is_repeated = || async {
        let now = observation_times(app, token).await;
        now.iter().filter(|(name, at)| first[*name] != **at).count() >= CLUSTERS
    };
    eventually("lists trigger another observation", PATIENCE, is_repeated).await;
    // One when it was attached, and one for each ten seconds since.
    let most = 1 + (started.elapsed().as_secs_f64() / MIN_INTERVAL) as usize;
    let probes: Vec<_> = healthy.iter().map(FakeApi::reads).collect();
    assert!(probes.iter().all(|probes| (2..=most).contains(probes)), "{probes:?}, but at most {most}");
    assert_eq!(unresponsive.reads(), before, "a cluster that does not answer is observed only by schedule");
}
