//! What lists make the service do at the clusters they show.

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

/// How long what has to happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long lists do not make the service look again at a cluster that was looked at.
const APART: f64 = 10.0;

/// When each cluster of a list was last looked at.
async fn ages(app: &App, token: &str) -> BTreeMap<String, String> {
    let list = app.get("/clusters", token).await.ok();
    let age = |it: &serde_json::Value| {
        Some((it["name"].as_str()?.to_owned(), it["observed_at"].as_str().unwrap_or_default().to_owned()))
    };
    list.as_array().unwrap().iter().filter_map(age).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_cause_one_look_in_ten_seconds_and_none_at_a_cluster_that_does_not_answer() {
    const CLUSTERS: usize = 20;
    // By their schedule, each is looked at once.
    let app = App::start_with(Options::default().with("OBSERVE_INTERVAL", "1d").with("OBSERVE_TIMEOUT", "1s")).await;
    let token = app.admin().await;
    let provisioner = json!({"name": new_name("provisioner"), "engine": "kqueen.engines.ManualEngine"});
    let provisioner = format!("Provisioner:{}", app.post("/provisioners", &token, provisioner).await.id());
    let (silent, mut healthy) = (FakeApi::silent().await, Vec::new());
    for _ in 0..CLUSTERS {
        healthy.push(FakeApi::healthy().await);
    }
    let started = Instant::now();
    for api in healthy.iter().chain([&silent]) {
        let cluster =
            json!({"name": new_name("cluster"), "provisioner": provisioner, "kubeconfig": api.kubeconfig("a-token")});
        app.post("/clusters", &token, cluster).await.id();
    }
    let (app, token) = (&app, &*token);
    eventually("all are looked at", PATIENCE, || async { ages(app, token).await.values().all(|at| !at.is_empty()) })
        .await;
    let (first, before) = (ages(app, token).await, silent.reads());
    // They are listed all the time, while their looks grow old, are repeated, and until lists show that they were.
    let is_repeated = || async {
        let now = ages(app, token).await;
        now.iter().filter(|(name, at)| first[*name] != **at).count() >= CLUSTERS
    };
    eventually("lists make the service look again", PATIENCE, is_repeated).await;
    // One when it was attached, and one for each ten seconds since.
    let most = 1 + (started.elapsed().as_secs_f64() / APART) as usize;
    let looks: Vec<_> = healthy.iter().map(FakeApi::reads).collect();
    assert!(looks.iter().all(|looks| (2..=most).contains(looks)), "{looks:?}, but at most {most}");
    assert_eq!(silent.reads(), before, "what does not answer is left to its schedule");
}
