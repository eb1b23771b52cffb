//! Graphs of small clusters.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::kubernetes::Fault;

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn meta(uid: &str, namespace: Option<&str>) -> Value {
    json!({"uid": uid, "name": format!("{uid}-name"), "namespace": namespace})
}

fn owned(uid: &str, owner: &str) -> Value {
    let mut meta = meta(uid, Some("ns-name"));
    meta["ownerReferences"] = json!([
        {"uid": "not-the-controller", "controller": false}, {"uid": owner, "controller": true, "kind": "X", "name": "x"},
    ]);
    meta
}

fn namespaces() -> Vec<Namespace> {
    vec![object(json!({"metadata": meta("ns", None)}))]
}

fn pod(uid: &str, labels: Value) -> Pod {
    let mut metadata = meta(uid, Some("ns-name"));
    metadata["labels"] = labels;
    object(json!({ "metadata": metadata }))
}

fn service(uid: &str, spec: Value) -> Service {
    object(json!({"metadata": meta(uid, Some("ns-name")), "spec": spec}))
}

fn edges(snapshot: Snapshot) -> Vec<String> {
    let graph = Topology::from(snapshot);
    for relation in &graph.relations {
        assert!(
            graph.items.contains_key(&relation.source) && graph.items.contains_key(&relation.target),
            "{relation:?}"
        );
    }
    graph.relations.iter().map(|relation| format!("{} {}", relation.source, relation.target)).collect()
}

#[test]
fn pods_are_linked_to_their_namespace_node_and_deployment() {
    let snapshot = Snapshot {
        namespaces: namespaces(),
        nodes: vec![object(json!({"metadata": meta("node", None)}))],
        deployments: vec![object(json!({"metadata": meta("dep", Some("ns-name"))}))],
        replica_sets: vec![
            object(json!({"metadata": owned("rs", "dep"), "spec": {"replicas": 1}})),
            object(json!({"metadata": owned("old", "dep"), "spec": {"replicas": 0}, "status": {"replicas": 0}})),
        ],
        pods: vec![object(json!({"metadata": owned("pod", "rs"), "spec": {"nodeName": "node-name"}}))],
        services: vec![service("svc", json!({}))],
        ..Snapshot::default()
    };
    let graph = Topology::from(snapshot.clone());
    assert_eq!(graph.items.keys().collect::<Vec<_>>(), ["dep", "node", "ns", "pod", "rs", "svc"]);
    assert_eq!(
        graph.kinds().into_iter().collect::<Vec<_>>(),
        ["Deployment", "Namespace", "Node", "Pod", "ReplicaSet", "Service"]
    );
    assert_eq!(edges(snapshot), ["pod ns", "pod node", "dep pod", "rs pod", "svc ns", "dep ns", "rs ns", "dep rs"]);
}

#[test]
fn a_replica_set_that_scales_to_zero_keeps_its_pods() {
    let snapshot = Snapshot {
        replica_sets: vec![object(
            json!({"metadata": owned("rs", "gone"), "spec": {"replicas": 0}, "status": {"replicas": 1}}),
        )],
        pods: vec![object(json!({"metadata": owned("pod", "rs")}))],
        ..Snapshot::default()
    };
    assert_eq!(edges(snapshot), ["rs pod"]);
}

#[test]
fn edges_to_missing_objects_are_left_out() {
    let snapshot = Snapshot {
        pods: vec![object(json!({
            "metadata": owned("pod", "daemon-set"),
            "spec": {"nodeName": "gone", "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "gone"}}]},
        }))],
        services: vec![service("svc", json!({}))],
        persistent_volume_claims: vec![object(
            json!({"metadata": meta("pvc", Some("x")), "spec": {"volumeName": "gone"}}),
        )],
        ..Snapshot::default()
    };
    assert_eq!(edges(snapshot), Vec::<String>::new());
}

#[test]
fn endpoint_slices_link_services_to_pods() {
    let slice = |service: &str, pods: &[&str]| {
        let endpoints: Vec<_> = pods.iter().map(|uid| json!({"targetRef": {"kind": "Pod", "uid": uid}})).collect();
        let labels = json!({"kubernetes.io/service-name": service});
        object(json!({"metadata": {"namespace": "ns-name", "labels": labels}, "endpoints": endpoints}))
    };
    let snapshot = Snapshot {
        pods: vec![pod("a", json!({"app": "web"})), pod("b", json!({"app": "web"}))],
        services: vec![
            service("plain", json!({"selector": {"app": "web"}})),
            service("manual", json!({})),
            service("empty", json!({"selector": {"app": "web"}})),
        ],
        endpoint_slices: vec![
            slice("plain-name", &["a", "gone"]),
            slice("plain-name", &["a"]),
            slice("manual-name", &["b"]),
            object(
                json!({"metadata": {"namespace": "ns-name", "labels": {"kubernetes.io/service-name": "empty-name"}},
                          "endpoints": null}),
            ),
            slice("gone-name", &["a"]),
        ],
        ..Snapshot::default()
    };
    assert_eq!(edges(snapshot), ["a plain", "b manual"]);
}

#[test]
fn selectors_link_services_without_endpoint_slices() {
    for (spec, expected) in [
        (json!({"selector": {"app": "web"}}), vec!["a svc", "b svc"]),
        (json!({"selector": {"app": "web", "tier": "x"}}), vec!["b svc"]),
        (json!({"selector": {"app": "other"}}), vec![]),
        (json!({"selector": {}}), vec![]),
        (json!({"selector": null}), vec![]),
        (json!({"selector": {"app": "web"}, "type": "ExternalName"}), vec![]),
    ] {
        let mut elsewhere = pod("elsewhere", json!({"app": "web"}));
        elsewhere.metadata.namespace = Some("other".to_owned());
        let snapshot = Snapshot {
            pods: vec![
                pod("a", json!({"app": "web"})),
                pod("b", json!({"app": "web", "tier": "x"})),
                pod("bare", Value::Null),
                elsewhere,
            ],
            services: vec![service("svc", spec.clone())],
            ..Snapshot::default()
        };
        assert_eq!(edges(snapshot), expected, "{spec}");
    }
}

#[test]
fn claims_are_linked_to_their_volumes() {
    let claim = |uid: &str, name: &str, volume: &str| {
        object(json!({"metadata": {"uid": uid, "name": name, "namespace": "ns-name"}, "spec": {"volumeName": volume}}))
    };
    let snapshot = Snapshot {
        pods: vec![object(json!({
            "metadata": meta("pod", Some("ns-name")),
            "spec": {"volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "scratch", "ephemeral": {}},
                {"name": "conf", "configMap": {"name": "x"}},
            ]},
        }))],
        persistent_volume_claims: vec![claim("pvc", "data", "pv-name"), claim("eph", "pod-name-scratch", "")],
        persistent_volumes: vec![object(json!({"metadata": meta("pv", None)}))],
        ..Snapshot::default()
    };
    assert_eq!(edges(snapshot), ["pod pvc", "pod eph", "pvc pv"]);
}

#[test]
fn read_errors_are_reported() {
    let error = ReadError { fault: Fault::Forbidden, message: "no".to_owned() };
    let errors = BTreeMap::from([(Section::Version, error.clone()), (Section::Pods, error.clone())]);
    let graph = Topology::from(Snapshot { errors, ..Snapshot::default() });
    assert_eq!(graph.errors, BTreeMap::from([(Section::Pods, error)]));
}
