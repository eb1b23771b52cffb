//! Reading live clusters: a real control plane with every kind of credentials, healthy and failing, small and large.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use kqueen_adapters::inspector::{KubeInspector, Limits};
use kqueen_domain::{
    kubeconfig::{self, AddressRules},
    kubernetes::{Fault, Section, Topology},
    observation::ProbeResult,
    port::inspector::{ClusterInspector, InspectError},
    reason::ReasonCode,
    secret::Kubeconfig,
};
use kqueen_tests::fixture::{
    kubernetes::{Authority, ControlPlane, Options, Who, base64, kubeconfig as config},
    process::eventually,
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// How long a view may take on a busy machine.
const VIEW: Duration = Duration::from_secs(20);
/// The same for a cluster that may hang.
const SHORT_VIEW: Duration = Duration::from_secs(4);

fn anywhere() -> AddressRules {
    AddressRules::denying(Vec::new())
}

fn checked(document: &Value) -> Kubeconfig {
    kubeconfig::parse(&document.clone().into(), &anywhere()).unwrap()
}

fn inspector() -> KubeInspector {
    KubeInspector::new(anywhere(), Limits::default())
}

/// The control plane of the tests that only read, shared by all that run at the same time.
async fn shared() -> Option<Arc<ControlPlane>> {
    static SHARED: Mutex<Weak<ControlPlane>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(plane) = shared.upgrade() {
        return Some(plane);
    }
    let plane = Arc::new(ControlPlane::start(Options::bare()).await?);
    *shared = Arc::downgrade(&plane);
    Some(plane)
}

#[track_caller]
fn assert_reached(probe: &ProbeResult) {
    assert_eq!(*probe, ProbeResult::Reached { version: "v1.37.2".to_owned() });
}

#[track_caller]
fn assert_refused(probe: ProbeResult, is: ReasonCode, text: &str) -> String {
    match probe {
        ProbeResult::Refused { code, reason } if code == is && reason.contains(text) => reason,
        other => panic!("not refused as {is} with {text:?}: {other:?}"),
    }
}

#[track_caller]
fn assert_no_answer(probe: ProbeResult, is: ReasonCode, text: &str) -> String {
    match probe {
        ProbeResult::NoAnswer { code, reason } if code == is && reason.contains(text) => reason,
        other => panic!("not unanswered as {is} with {text:?}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn problems_with_credentials_are_distinguished() {
    let Some(plane) = shared().await else { return };
    let inspector = inspector();
    for who in [Who::Certificate, Who::Token, Who::Reader] {
        assert_reached(&inspector.probe(&checked(&plane.kubeconfig(who))).await);
    }
    let unknown = assert_refused(
        inspector.probe(&checked(&plane.kubeconfig(Who::WrongToken))).await,
        ReasonCode::KubeconfigRejected,
        "(401)",
    );
    let nothing = assert_refused(
        inspector.probe(&checked(&plane.kubeconfig(Who::Stranger))).await,
        ReasonCode::KubeconfigLacksRights,
        "(403)",
    );
    assert_ne!(unknown, nothing);
    let anonymous = config(&plane.server, Some(&plane.authority()), json!({}));
    assert_refused(inspector.probe(&checked(&anonymous)).await, ReasonCode::KubeconfigRejected, "(401)");
    let password = config(&plane.server, Some(&plane.authority()), json!({"username": "ann", "password": "wrong"}));
    assert_refused(inspector.probe(&checked(&password)).await, ReasonCode::KubeconfigRejected, "(401)");
    // A client certificate of another authority is the same as none.
    let foreign = Authority::new().client("admin", "system:masters");
    let user = json!({
        "client-certificate-data": base64(&foreign.certificate), "client-key-data": base64(&foreign.key),
    });
    assert_refused(
        inspector.probe(&checked(&config(&plane.server, Some(&plane.authority()), user))).await,
        ReasonCode::KubeconfigRejected,
        "(401)",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_checked_as_the_kubeconfig_says() {
    let Some(plane) = shared().await else { return };
    let inspector = inspector();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = plane.kubeconfig(Who::Token);
        change(&mut document["clusters"][0]["cluster"]);
        checked(&document)
    };
    let named = |name: &'static str| move |cluster: &mut Value| cluster["tls-server-name"] = name.into();
    assert_reached(&inspector.probe(&with(&named("kubernetes.test"))).await);
    assert_refused(
        inspector.probe(&with(&named("other.test"))).await,
        ReasonCode::CertificateRejected,
        "not valid for the server address",
    );
    let without = |cluster: &mut Value| drop(cluster.as_object_mut().unwrap().remove("certificate-authority-data"));
    assert_refused(
        inspector.probe(&with(&without)).await,
        ReasonCode::CertificateRejected,
        "not signed by the authority",
    );
    let skipping = |cluster: &mut Value| {
        without(cluster);
        cluster["insecure-skip-tls-verify"] = true.into();
    };
    assert_reached(&inspector.probe(&with(&skipping)).await);
    let plain = |cluster: &mut Value| cluster["server"] = plane.server.replace("https", "http").into();
    assert_refused(inspector.probe(&with(&plain)).await, ReasonCode::WrongEndpoint, "requires TLS");
    let elsewhere = |cluster: &mut Value| cluster["server"] = format!("{}/no/such/path", plane.server).into();
    assert_refused(inspector.probe(&with(&elsewhere)).await, ReasonCode::WrongEndpoint, "not a Kubernetes API server");
    let by_name = |cluster: &mut Value| cluster["server"] = plane.server.replace("127.0.0.1", "localhost").into();
    assert_reached(&inspector.probe(&with(&by_name)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denied_addresses_are_not_connected_to() {
    let Some(plane) = shared().await else { return };
    let inspector = KubeInspector::new(AddressRules::default(), Limits::default());
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        let mut document = plane.kubeconfig(Who::Token);
        document["clusters"][0]["cluster"]["server"] = plane.server.replace("127.0.0.1", host).into();
        let document = checked(&document);
        assert_no_answer(inspector.probe(&document).await, ReasonCode::AddressDenied, "does not connect to");
        assert!(matches!(inspector.status(&document, VIEW).await, Err(InspectError::Unreachable(_))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sections_that_may_not_be_read_are_named_and_the_rest_is_shown() {
    let Some(plane) = shared().await else { return };
    let inspector = inspector();
    let reader = checked(&plane.kubeconfig(Who::Reader));
    let status = inspector.status(&reader, VIEW).await.unwrap();
    assert!(status.snapshot.namespaces.iter().any(|it| it.metadata.name.as_deref() == Some("default")));
    assert!(status.snapshot.services.iter().any(|it| it.metadata.name.as_deref() == Some("kubernetes")));
    assert_eq!(status.snapshot.version.unwrap().git_version.as_deref(), Some("v1.37.2"));
    let forbidden: Vec<_> = status.snapshot.errors.keys().copied().collect();
    assert_eq!(
        forbidden,
        [
            Section::Nodes,
            Section::Deployments,
            Section::ReplicaSets,
            Section::PersistentVolumes,
            Section::PersistentVolumeClaims,
        ]
    );
    for (section, error) in &status.snapshot.errors {
        assert_eq!(error.fault, Fault::Forbidden);
        assert!(error.message.contains(section.title()), "{}", error.message);
    }
    let topology = inspector.topology(&reader, VIEW).await.unwrap();
    assert!(topology.errors.contains_key(&Section::EndpointSlices) && topology.kinds().contains("Service"));
    for (who, text) in [(Who::Stranger, "(403)"), (Who::WrongToken, "(401)")] {
        match inspector.status(&checked(&plane.kubeconfig(who)), VIEW).await {
            Err(InspectError::Refused(reason)) => assert!(reason.contains(text), "{reason}"),
            other => panic!("{who:?}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_a_control_plane_are_distinguished_and_pass() {
    let Some(plane) = ControlPlane::start(Options::bare()).await else { return };
    let limits = Limits { probe: Duration::from_secs(3), ..Limits::default() };
    let inspector = KubeInspector::new(anywhere(), limits);
    let token = checked(&plane.kubeconfig(Who::Token));
    assert_reached(&inspector.probe(&token).await);
    let mut reasons = Vec::new();

    plane.freeze();
    let started = Instant::now();
    reasons.push(assert_no_answer(
        inspector.probe(&token).await,
        ReasonCode::ClusterTimedOut,
        "did not respond in time",
    ));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let started = Instant::now();
    assert!(matches!(inspector.status(&token, SHORT_VIEW).await, Err(InspectError::TimedOut(_))));
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    plane.thaw();
    eventually("the thawed cluster answers", Duration::from_secs(30), || async {
        matches!(inspector.probe(&token).await, ProbeResult::Reached { .. })
    })
    .await;

    plane.end();
    reasons.push(assert_no_answer(inspector.probe(&token).await, ReasonCode::ClusterUnreachable, "connection refused"));
    assert!(matches!(inspector.status(&token, SHORT_VIEW).await, Err(InspectError::Unreachable(_))));
    plane.restart().await;
    // The inspector still keeps a connection from before the restart.
    assert_reached(&inspector.probe(&token).await);
    assert!(inspector.status(&token, SHORT_VIEW).await.unwrap().snapshot.errors.is_empty());

    plane.restart_with_another_authority().await;
    reasons.push(assert_refused(
        inspector.probe(&token).await,
        ReasonCode::CertificateRejected,
        "not signed by the authority",
    ));
    assert!(matches!(inspector.topology(&token, SHORT_VIEW).await, Err(InspectError::Refused(_))));
    assert_reached(&inspector.probe(&checked(&plane.kubeconfig(Who::Token))).await);
    reasons.push(assert_refused(
        inspector.probe(&checked(&plane.kubeconfig(Who::WrongToken))).await,
        ReasonCode::KubeconfigRejected,
        "(401)",
    ));

    let distinct: std::collections::BTreeSet<_> = reasons.iter().collect();
    assert_eq!(distinct.len(), reasons.len(), "{reasons:?}");
}

/// How many edges lead from one kind to another.
fn edges(topology: &Topology, from: &str, to: &str) -> usize {
    let kind = |uid: &String| topology.items[uid].kind();
    topology.relations.iter().filter(|it| kind(&it.source) == from && kind(&it.target) == to).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_cluster_is_read_with_its_relations() {
    let Some(plane) = ControlPlane::start(Options::whole()).await else { return };
    let (api, inspector) = (plane.api(), inspector());
    let document = checked(&plane.kubeconfig(Who::Certificate));
    api.create_deployments("web", 3, |_| 1).await;
    api.create_services("web", 3).await;
    for number in 0..3 {
        api.wait_for_replicas(&format!("web-{number}"), 1, Duration::from_secs(120)).await;
    }
    eventually("services have their pods", Duration::from_secs(60), || async {
        edges(&inspector.topology(&document, VIEW).await.unwrap(), "Pod", "Service") == 3
    })
    .await;
    let status = inspector.status(&document, VIEW).await.unwrap();
    let all = &status.snapshot;
    assert_eq!((all.nodes.len(), all.pods.len(), all.deployments.len(), all.replica_sets.len()), (3, 3, 3, 3));
    // One more for the API server itself.
    assert_eq!((all.services.len(), all.errors.len()), (4, 0));
    assert_eq!(status.nodes_pods.values().sum::<u64>(), 3);
    assert_eq!((status.nodes_pods.len(), status.nodes_pods["Unknown"]), (4, 0));
    assert!(all.pods.iter().all(|pod| pod.status.phase.as_deref() == Some("Running") && pod.status.pod_ip.is_some()));
    let topology = inspector.topology(&document, VIEW).await.unwrap();
    for (from, to, count) in [
        ("Pod", "Namespace", 3),
        ("Pod", "Node", 3),
        ("Pod", "Service", 3),
        ("Deployment", "Pod", 3),
        ("Deployment", "ReplicaSet", 3),
        ("ReplicaSet", "Pod", 3),
        ("Deployment", "Namespace", 3),
        ("Service", "Namespace", 4),
    ] {
        assert_eq!(edges(&topology, from, to), count, "{from} to {to}");
    }
}
