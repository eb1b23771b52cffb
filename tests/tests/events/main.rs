//! The event stream: what it reports to whom, how it resumes, and when it ends.
#![allow(clippy::unwrap_used, missing_docs, reason = "test code: a failure is a panic")]

mod delivery;
mod ended;
mod many;
mod resumed;

use kqueen_tests::fixture::{
    app::{App, Options},
    etcd::{Etcd, Options as EtcdOptions},
    people::{Tenant, new_name},
    process::eventually,
    sse::PATIENCE,
};
use serde_json::json;

/// Two replicas on a new etcd.
async fn replicas(options: Options) -> Option<(Etcd, App, App)> {
    let etcd = Etcd::start(EtcdOptions::default()).await?;
    let options = options.on_etcd(&etcd, "/events");
    let (one, other) = tokio::join!(App::start_with(options.clone()), App::start_with(options));
    Some((etcd, one, other))
}

/// Clusters of the tenant's member that have been observed, so that only the test changes them.
async fn quiet_clusters(app: &App, tenant: &Tenant, count: usize) -> Vec<String> {
    let mut clusters = Vec::new();
    for _ in 0..count {
        clusters.push(app.cluster(&tenant.provisioner, &tenant.member).await);
    }
    for cluster in &clusters {
        let path = format!("/clusters/{cluster}");
        let is_seen = || async { app.get(&path, &tenant.member.token).await.ok()["phase"] == "Unknown" };
        eventually("the cluster is observed as unreachable", PATIENCE, is_seen).await;
    }
    clusters
}

/// Changes a cluster.
async fn change(app: &App, tenant: &Tenant, cluster: &str) {
    let body = json!({"name": new_name("renamed")});
    app.patch(&format!("/clusters/{cluster}"), &tenant.member.token, body).await.ok();
}
