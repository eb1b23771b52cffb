//! What a probe of a cluster costs.

use std::sync::mpsc;

use kqueen_adapters::inspector::{KubeInspector, Limits};
use kqueen_domain::{
    kubeconfig::{self, AddressRules},
    observation::ProbeResult,
    port::inspector::ClusterInspector,
};
use kqueen_tests::{bench::api_server::ApiServer, fixture::kubernetes::kubeconfig as config};
use serde_json::json;

/// A thread for each of many probes would cost more memory than all their clients.
#[test]
fn a_probe_with_a_certificate_authority_needs_no_blocking_thread() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).enable_all().build();
    let runtime = runtime.unwrap();
    let (release, held) = mpsc::channel::<()>();
    // The only blocking thread is in use.
    runtime.spawn_blocking(move || held.recv());
    let probe = runtime.block_on(async {
        let server = ApiServer::start().await;
        let rules = AddressRules::denying(Vec::new());
        let document = config(&server.url, Some(&server.authority), json!({"token": "a-token"}));
        let kubeconfig = kubeconfig::parse(&document.into(), &rules).unwrap();
        KubeInspector::new(rules, Limits::default()).probe(&kubeconfig).await
    });
    drop(release);
    assert!(matches!(probe, ProbeResult::Reached { .. }), "{probe:?}");
}
