//! Simulated clusters as their users see them.

use std::{collections::BTreeSet, sync::Mutex};

use chrono::{DateTime, TimeDelta};
use kqueen_domain::{
    id::ProvisionerId,
    kubeconfig::{AddressRules, parse},
    kubernetes::{ObjectMeta, Pod},
    ledger::OwnershipTag,
    operation::NetworkPolicy,
    port::{
        clock::{Clock, SetClock},
        engine::{ClusterSpec, Engine, ProviderCredentials},
    },
    reason::ReasonCode,
    secret::{SecretMap, SecretValue},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::engine::DemoEngine;

/// Time limit of a view; these views take no time.
const WITHIN: Duration = Duration::from_secs(1);

/// Counts its calls, and rejects all of them.
#[derive(Default)]
struct Elsewhere(Mutex<u32>);

impl Elsewhere {
    fn calls(&self) -> u32 {
        *self.0.lock().unwrap()
    }

    fn refuse(&self) -> InspectError {
        *self.0.lock().unwrap() += 1;
        InspectError::Refused("elsewhere".to_owned())
    }
}

#[async_trait]
impl ClusterInspector for Elsewhere {
    async fn probe(&self, _: &Kubeconfig) -> ProbeResult {
        ProbeResult::Refused { code: ReasonCode::KubeconfigRejected, reason: self.refuse().to_string() }
    }
    async fn status(&self, _: &Kubeconfig, _: Duration) -> Result<ClusterStatus, InspectError> {
        Err(self.refuse())
    }
    async fn topology(&self, _: &Kubeconfig, _: Duration) -> Result<Topology, InspectError> {
        Err(self.refuse())
    }
}

struct World {
    clock: Arc<SetClock>,
    engine: DemoEngine,
    elsewhere: Arc<Elsewhere>,
    inspector: DemoInspector,
    credentials: ProviderCredentials,
    spec: ClusterSpec,
}

impl World {
    /// A running cluster.
    async fn new(parameters: Value) -> (Self, Kubeconfig) {
        let clock = Arc::new(SetClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
        let cloud = DemoCloud::open(None, clock.clone()).await;
        let elsewhere = Arc::new(Elsewhere::default());
        let parameters = SecretValue::from(parameters).into_map().unwrap();
        let tag = OwnershipTag { installation: Uuid::from_u128(1), cluster: ClusterId::from(Uuid::from_u128(7)) };
        let world = Self {
            clock,
            engine: DemoEngine::new(cloud.clone()),
            inspector: DemoInspector::new(elsewhere.clone(), cloud),
            elsewhere,
            credentials: ProviderCredentials { provisioner: ProvisionerId::random(), parameters: SecretMap::new() },
            spec: ClusterSpec { tag, name: "web".into(), parameters, known: Vec::new() },
        };
        world.engine.deploy(&world.credentials, &world.spec).await.unwrap();
        world.advance(20);
        let given = world.engine.kubeconfig(&world.credentials, &world.spec).await.unwrap();
        (world, parse(&given, &AddressRules::default()).unwrap())
    }

    fn advance(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    async fn resize(&self, node_count: u32) {
        self.engine.resize(&self.credentials, &self.spec, node_count).await.unwrap();
        self.advance(8);
    }
}

fn kubeconfig(given: &Value) -> Kubeconfig {
    parse(&given.clone().into(), &AddressRules::default()).unwrap()
}

fn pointing_to(server: &str, token: &str) -> Kubeconfig {
    kubeconfig(&json!({
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }))
}

/// Every object in the snapshot, with its kind.
fn objects(snapshot: &Snapshot) -> Vec<(&'static str, &ObjectMeta)> {
    let mut all: Vec<(&'static str, &ObjectMeta)> = Vec::new();
    all.extend(snapshot.namespaces.iter().map(|it| ("Namespace", &it.metadata)));
    all.extend(snapshot.nodes.iter().map(|it| ("Node", &it.metadata)));
    all.extend(snapshot.pods.iter().map(|it| ("Pod", &it.metadata)));
    all.extend(snapshot.services.iter().map(|it| ("Service", &it.metadata)));
    all.extend(snapshot.deployments.iter().map(|it| ("Deployment", &it.metadata)));
    all.extend(snapshot.replica_sets.iter().map(|it| ("ReplicaSet", &it.metadata)));
    all.extend(snapshot.persistent_volumes.iter().map(|it| ("PersistentVolume", &it.metadata)));
    all.extend(snapshot.persistent_volume_claims.iter().map(|it| ("PersistentVolumeClaim", &it.metadata)));
    all.extend(snapshot.endpoint_slices.iter().map(|it| ("EndpointSlice", &it.metadata)));
    all
}

/// Kind, namespace, name and uid of an object.
type Identity = (String, String, String, String);

fn identities(snapshot: &Snapshot) -> BTreeSet<Identity> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let objects = objects(snapshot).into_iter();
    objects.map(|(kind, it)| (kind.to_owned(), text(&it.namespace), text(&it.name), text(&it.uid))).collect()
}

fn uids<'a, T: 'a>(objects: &'a [T], metadata: impl Fn(&'a T) -> &'a ObjectMeta) -> BTreeSet<&'a str> {
    objects.iter().filter_map(|it| metadata(it).uid.as_deref()).collect()
}

fn label<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(name).map(String::as_str)
}

/// The claims a pod's volumes name.
fn claims(pod: &Pod) -> Vec<String> {
    let Some(volumes) = &pod.spec.volumes else { return Vec::new() };
    let volumes: Value = serde_json::from_str(volumes.raw().get()).unwrap();
    let claims =
        volumes.as_array().unwrap().iter().map(|volume| volume["persistent_volume_claim"]["claim_name"].as_str());
    claims.map(|claim| claim.expect("only claims are used").to_owned()).collect()
}

#[tokio::test]
async fn all_references_resolve() {
    for parameters in [
        json!({"node_count": 1}),
        json!({"node_count": 3, "network_policy": "CALICO"}),
        json!({"node_count": 20, "network_policy": "CILIUM", "size": "large", "kubernetes_version": "1.32.10"}),
    ] {
        let (world, kubeconfig) = World::new(parameters.clone()).await;
        let snapshot = world.inspector.status(&kubeconfig, WITHIN).await.unwrap().snapshot;
        assert!(snapshot.errors.is_empty());
        assert_objects_are_valid(&snapshot);
        assert_references_resolve(&snapshot);
        assert_workloads_are_consistent(&snapshot);
        assert_eq!(snapshot.nodes.len(), usize::try_from(parameters["node_count"].as_u64().unwrap()).unwrap());
    }
}

/// Each object has a unique identity, is labelled, and is in a namespace that exists.
fn assert_objects_are_valid(snapshot: &Snapshot) {
    let all = objects(snapshot);
    assert_eq!(identities(snapshot).len(), all.len());
    assert_eq!(all.iter().map(|(_, it)| it.uid.as_deref().unwrap()).collect::<BTreeSet<_>>().len(), all.len());
    let namespaces: BTreeSet<_> = snapshot.namespaces.iter().map(|it| it.metadata.name.as_deref()).collect();
    for (kind, metadata) in all {
        assert_eq!(label(metadata, "kqueen/simulated"), Some("true"), "{kind} {:?}", metadata.name);
        assert!(metadata.creation_timestamp.is_some() && metadata.name.is_some());
        let is_cluster_scoped = ["Namespace", "Node", "PersistentVolume"].contains(&kind);
        assert_eq!(metadata.namespace.is_none(), is_cluster_scoped, "{kind} {:?}", metadata.name);
        assert!(is_cluster_scoped || namespaces.contains(&metadata.namespace.as_deref()), "{:?}", metadata.namespace);
    }
}

fn assert_references_resolve(snapshot: &Snapshot) {
    let existing = identities(snapshot);
    for (kind, metadata) in objects(snapshot) {
        let owners = metadata.owner_references.as_deref().unwrap_or_default();
        let must_have_one = ["Pod", "ReplicaSet", "EndpointSlice"].contains(&kind);
        assert_eq!(owners.len(), usize::from(must_have_one), "{kind} {:?}", metadata.name);
        for owner in owners {
            let owner_kind = owner.kind.clone().unwrap();
            let namespace = if owner_kind == "Node" { None } else { metadata.namespace.clone() };
            let identity =
                (owner_kind, namespace.unwrap_or_default(), owner.name.clone().unwrap(), owner.uid.clone().unwrap());
            assert!(existing.contains(&identity), "{kind} {:?} belongs to {identity:?}", metadata.name);
        }
    }
    for pod in &snapshot.pods {
        let node = snapshot.nodes.iter().find(|node| node.metadata.name == pod.spec.node_name);
        let addresses = node.expect("a pod is on a node").status.addresses.as_ref().unwrap();
        assert!(addresses.iter().any(|it| it.address == pod.status.host_ip), "{:?}", pod.metadata.name);
        for claim in claims(pod) {
            let claims = &snapshot.persistent_volume_claims;
            assert!(claims.iter().any(|it| {
                it.metadata.name.as_ref() == Some(&claim) && it.metadata.namespace == pod.metadata.namespace
            }));
        }
    }
    for claim in &snapshot.persistent_volume_claims {
        let volumes = snapshot.persistent_volumes.iter().filter(|it| it.metadata.name == claim.spec.volume_name);
        let bound: Vec<_> = volumes.map(|it| it.spec.claim_ref.as_ref().unwrap().uid.as_deref()).collect();
        assert_eq!(bound, [claim.metadata.uid.as_deref()]);
    }
    assert_eq!(snapshot.persistent_volumes.len(), snapshot.persistent_volume_claims.len());
    let pods = uids(&snapshot.pods, |it| &it.metadata);
    for slice in &snapshot.endpoint_slices {
        let service = label(&slice.metadata, "kubernetes.io/service-name").unwrap();
        let targets: Vec<_> = slice.endpoints.iter().filter_map(|it| it.target_ref.as_ref()).collect();
        assert_eq!(targets.is_empty(), service == "kubernetes", "{service}");
        assert!(targets.iter().all(|it| pods.contains(it.uid.as_deref().unwrap())), "{service}");
    }
}

fn assert_workloads_are_consistent(snapshot: &Snapshot) {
    for set in &snapshot.replica_sets {
        let owned = snapshot
            .pods
            .iter()
            .filter(|pod| pod.metadata.owner_references.as_ref().unwrap()[0].uid == set.metadata.uid);
        assert_eq!(i64::try_from(owned.count()).unwrap(), set.spec.replicas.unwrap(), "{:?}", set.metadata.name);
    }
    for service in &snapshot.services {
        let Some(selector) = &service.spec.selector else { continue };
        let selected = snapshot.pods.iter().filter(|pod| {
            pod.metadata.namespace == service.metadata.namespace
                && selector.iter().all(|(key, value)| label(&pod.metadata, key) == Some(value))
        });
        let selected: BTreeSet<_> = selected.filter_map(|pod| pod.metadata.uid.as_deref()).collect();
        let slices = snapshot.endpoint_slices.iter().filter(|slice| {
            slice.metadata.namespace == service.metadata.namespace
                && label(&slice.metadata, "kubernetes.io/service-name") == service.metadata.name.as_deref()
        });
        let reached: BTreeSet<_> = slices
            .flat_map(|slice| slice.endpoints.iter().filter_map(|it| it.target_ref.as_ref()?.uid.as_deref()))
            .collect();
        assert_eq!(reached, selected, "{:?}", service.metadata.name);
    }
    let addresses = |all: Vec<Option<&str>>| {
        assert_eq!(all.iter().copied().flatten().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    };
    addresses(snapshot.services.iter().map(|it| it.spec.cluster_ip.as_deref()).collect());
    let with_pod_ip = snapshot.pods.iter().filter(|it| it.spec.host_network != Some(true));
    addresses(with_pod_ip.map(|it| it.status.pod_ip.as_deref()).collect());
    let attached: usize = snapshot.nodes.iter().map(|it| it.status.volumes_attached.as_ref().map_or(0, Vec::len)).sum();
    assert_eq!(attached, snapshot.persistent_volumes.len());
}

#[tokio::test]
async fn a_cluster_shows_the_requested_parameters() {
    let parameters = json!({"node_count": 2, "size": "small", "kubernetes_version": "1.33.6"});
    let (world, kubeconfig) = World::new(parameters).await;
    let version = "v1.33.6-simulated".to_owned();
    assert_eq!(world.inspector.probe(&kubeconfig).await, ProbeResult::Reached { version: version.clone() });
    let status = world.inspector.status(&kubeconfig, WITHIN).await.unwrap();
    let reported = status.snapshot.version.as_ref().unwrap();
    assert_eq!(
        (reported.git_version.as_ref(), reported.major.as_deref(), reported.minor.as_deref()),
        (Some(&version), Some("1"), Some("33"))
    );
    for node in &status.snapshot.nodes {
        assert_eq!(node.status.capacity.as_ref().unwrap()["cpu"], "2");
        let conditions = node.status.conditions.as_ref().unwrap();
        let ready = conditions.iter().find(|it| it.r#type.as_deref() == Some("Ready")).unwrap();
        assert_eq!((ready.status.as_deref(), ready.last_heartbeat_time), (Some("True"), Some(world.clock.now())));
    }
    assert_eq!(status.nodes_pods[ClusterStatus::NO_NODE], 0);
    assert_eq!(status.nodes_pods.values().sum::<u64>(), u64::try_from(status.snapshot.pods.len()).unwrap());
    let addons: Vec<_> = status.addons.iter().map(|addon| addon.name.as_str()).collect();
    assert_eq!(addons, ["CoreDNS (simulated)", "Metrics Server (simulated)", "Grafana (simulated)"]);
    assert!(status.addons[2].link.as_ref().unwrap().ends_with(".demo.kqueen.invalid/"));
}

#[tokio::test]
async fn the_graph_has_every_kind_and_no_isolated_object() {
    let (world, kubeconfig) = World::new(json!({})).await;
    let graph = world.inspector.topology(&kubeconfig, WITHIN).await.unwrap();
    assert_eq!(graph.kinds().len(), 8);
    let linked: BTreeSet<_> = graph.relations.iter().flat_map(|it| [&it.source, &it.target]).collect();
    let isolated: Vec<_> = graph.items.iter().filter(|(uid, _)| !linked.contains(uid)).map(|(_, item)| item).collect();
    // Namespaces that come with a cluster may be empty.
    assert!(isolated.iter().all(|item| item.kind() == "Namespace"), "{isolated:?}");
    let leads = |from: &str, to: &str| {
        graph.relations.iter().any(|it| graph.items[&it.source].kind() == from && graph.items[&it.target].kind() == to)
    };
    for (from, to) in [
        ("Pod", "Node"),
        ("Pod", "Service"),
        ("Pod", "PersistentVolumeClaim"),
        ("PersistentVolumeClaim", "PersistentVolume"),
        ("Deployment", "ReplicaSet"),
        ("ReplicaSet", "Pod"),
    ] {
        assert!(leads(from, to), "{from} {to}");
    }
}

#[tokio::test]
async fn the_same_cluster_has_the_same_objects_each_time() {
    let (world, kubeconfig) = World::new(json!({"node_count": 3})).await;
    let first = world.inspector.status(&kubeconfig, WITHIN).await.unwrap().snapshot;
    world.advance(3600);
    let second = world.inspector.status(&kubeconfig, WITHIN).await.unwrap().snapshot;
    assert_eq!(identities(&first), identities(&second));
    assert_eq!(first.pods, second.pods);

    world.resize(5).await;
    let larger = world.inspector.status(&kubeconfig, WITHIN).await.unwrap().snapshot;
    assert_references_resolve(&larger);
    assert_workloads_are_consistent(&larger);
    let nodes = |snapshot: &Snapshot| uids(&snapshot.nodes, |it| &it.metadata).len();
    assert_eq!((nodes(&first), nodes(&larger)), (3, 5));
    let (before, after) = (identities(&first), identities(&larger));
    let removed_kinds: BTreeSet<_> = before.difference(&after).map(|(kind, ..)| kind.as_str()).collect();
    assert!(removed_kinds.is_subset(&BTreeSet::from(["Pod"])), "only pods move: {removed_kinds:?}");
    assert!(before.intersection(&after).any(|(kind, ..)| kind == "Pod"), "and not all of them");
    let joined: Vec<_> = larger.nodes.iter().map(|it| it.metadata.creation_timestamp.unwrap()).collect();
    assert!(joined.is_sorted() && joined[3] > joined[2] + TimeDelta::minutes(50), "{joined:?}");

    world.resize(3).await;
    let again = world.inspector.status(&kubeconfig, WITHIN).await.unwrap().snapshot;
    assert_eq!(identities(&again), before, "the same objects are back");
}

#[tokio::test]
async fn the_network_policy_provider_is_shown() {
    let (world, kubeconfig) = World::new(json!({})).await;
    let enforcers = async || {
        let deployments = world.inspector.status(&kubeconfig, WITHIN).await.unwrap().snapshot.deployments;
        let names = deployments.into_iter().filter_map(|it| it.metadata.name);
        names.filter(|name| name.starts_with("calico") || name.starts_with("cilium")).collect::<Vec<_>>()
    };
    assert!(enforcers().await.is_empty());
    let policy = NetworkPolicy { provider: "CALICO".into(), enabled: true };
    world.engine.set_network_policy(&world.credentials, &world.spec, &policy).await.unwrap();
    world.advance(5);
    assert_eq!(enforcers().await, ["calico-kube-controllers", "calico-typha"]);
}

#[tokio::test]
async fn a_missing_cluster_does_not_answer() {
    let (world, kubeconfig) = World::new(json!({})).await;
    world.engine.destroy(&world.credentials, &world.spec).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(world.inspector.probe(&kubeconfig).await, ProbeResult::NoAnswer { .. }));
        assert!(matches!(world.inspector.status(&kubeconfig, WITHIN).await, Err(InspectError::Unreachable(_))));
        assert!(matches!(world.inspector.topology(&kubeconfig, WITHIN).await, Err(InspectError::Unreachable(_))));
        world.advance(6);
    }
    world.engine.deploy(&world.credentials, &world.spec).await.unwrap();
    assert!(
        matches!(world.inspector.probe(&kubeconfig).await, ProbeResult::NoAnswer { .. }),
        "nor while it is being created"
    );
    assert_eq!(world.elsewhere.calls(), 0);
}

#[tokio::test]
async fn the_id_of_a_cluster_alone_gives_no_access() {
    let (world, _) = World::new(json!({})).await;
    let server = format!("https://{}.demo.kqueen.invalid:6443", world.spec.tag.cluster);
    let guessed = pointing_to(&server, "simulated-00000000000000000000000000000000");
    assert!(
        matches!(world.inspector.probe(&guessed).await, ProbeResult::Refused { reason, .. } if reason.contains("credentials"))
    );
    assert!(matches!(world.inspector.status(&guessed, WITHIN).await, Err(InspectError::Refused(_))));
}

#[tokio::test]
async fn other_clusters_are_read_by_the_inner_inspector() {
    let (world, _) = World::new(json!({})).await;
    for server in [
        "https://10.0.0.1:6443",
        "https://demo.kqueen.invalid:6443",
        "https://web.demo.kqueen.invalid:6443",
        "https://00000000-0000-0000-0000-000000000007.demo.kqueen.invalid.example:6443",
    ] {
        let (before, kubeconfig) = (world.elsewhere.calls(), pointing_to(server, "t"));
        assert!(
            matches!(world.inspector.probe(&kubeconfig).await, ProbeResult::Refused { reason, .. } if reason == "elsewhere")
        );
        assert!(
            world.inspector.status(&kubeconfig, WITHIN).await.is_err()
                && world.inspector.topology(&kubeconfig, WITHIN).await.is_err()
        );
        assert_eq!(world.elsewhere.calls(), before + 3, "{server}");
    }
}
