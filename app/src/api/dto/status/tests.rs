//! The views match their declaration and the responses of 2018.

use kqueen_domain::kubernetes::{Fault, Snapshot, Topology};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::api::dto::topology::TopologyView;

fn list<T: DeserializeOwned>(object: Value) -> Vec<T> {
    vec![serde_json::from_value(object).unwrap()]
}

/// A snapshot with one object of each kind, with all fields of the recorded response.
fn snapshot() -> Snapshot {
    let meta = |uid: &str| {
        json!({
            "uid": uid, "name": uid, "namespace": "default", "resourceVersion": "1", "labels": {"run": "web"},
            "creationTimestamp": "2018-07-01T10:00:00Z",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "X", "name": "x", "uid": "x", "controller": true}],
        })
    };
    let container = json!({
        "name": "c0", "image": "img:1", "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m"}},
        "env": [{"name": "PASSWORD", "value": "s3cret"}], "ports": [{"containerPort": 80, "hostIP": "10.0.0.1"}],
        "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
    });
    let pod = json!({
        "containers": [container], "initContainers": [container], "nodeName": "node", "restartPolicy": "Always",
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "pvc", "readOnly": true}}],
        "tolerations": [{"key": "x", "tolerationSeconds": 300}], "imagePullSecrets": [{"name": "x"}],
    });
    let template = json!({"metadata": {"labels": {"run": "web"}}, "spec": pod});
    let selector =
        json!({"matchLabels": {"run": "web"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]});
    let condition = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2018-07-01T10:00:00Z"});
    let status = json!({
        "containerID": "x", "name": "c0", "image": "img:1", "imageID": "x", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2018-07-01T10:00:00Z"}},
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2018-07-01T10:00:00Z"}},
    });
    Snapshot {
        version: Some(serde_json::from_value(json!({"gitVersion": "v1.37.2", "major": "1"})).unwrap()),
        nodes: list(json!({
            "metadata": meta("node"), "spec": {"podCIDR": "10.244.0.0/24", "taints": [{"key": "x", "effect": "NoSchedule"}]},
            "status": {
                "addresses": [{"address": "10.0.0.10", "type": "InternalIP"}], "capacity": {"cpu": "2"},
                "allocatable": {"cpu": "2"}, "conditions": [condition], "images": [{"names": ["a"], "sizeBytes": 1}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                "nodeInfo": {"kubeletVersion": "v1.37.2", "machineID": "m", "bootID": "b", "systemUUID": "s"},
                "volumesAttached": [{"name": "v", "devicePath": "/dev/x"}],
            },
        })),
        pods: list(json!({
            "metadata": meta("pod"), "spec": pod,
            "status": {
                "phase": "Running", "podIP": "10.244.0.5", "hostIP": "10.0.0.10", "conditions": [condition],
                "containerStatuses": [status], "initContainerStatuses": [status], "startTime": "2018-07-01T10:00:00Z",
            },
        })),
        services: list(json!({
            "metadata": {"uid": "svc", "name": "dns", "namespace": "default", "labels": {"kubernetes.io/cluster-service": "true"}},
            "spec": {
                "clusterIP": "10.96.0.1", "type": "LoadBalancer", "selector": {"run": "web"}, "externalIPs": ["192.0.2.1"],
                "ports": [{"name": "https", "port": 443, "targetPort": 6443}, {"name": "dns", "port": 53, "targetPort": "dns"}],
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10}},
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
        })),
        deployments: list(json!({
            "metadata": meta("dep"),
            "spec": {
                "replicas": 2, "selector": selector, "template": template,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}},
            },
            "status": {"replicas": 2, "conditions": [condition]},
        })),
        replica_sets: list(json!({
            "metadata": meta("rs"), "spec": {"replicas": 2, "selector": selector, "template": template},
            "status": {"replicas": 2, "conditions": [condition]},
        })),
        namespaces: list(json!({
            "metadata": {"uid": "ns", "name": "default"}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        })),
        persistent_volumes: list(json!({
            "metadata": {"uid": "pv", "name": "pv"},
            "spec": {
                "capacity": {"storage": "5Gi"}, "hostPath": {"path": "/mnt/data", "type": ""}, "accessModes": ["ReadWriteOnce"],
                "claimRef": {"kind": "PersistentVolumeClaim", "name": "pvc", "namespace": "default"},
            },
            "status": {"phase": "Bound"},
        })),
        persistent_volume_claims: list(json!({
            "metadata": meta("pvc"),
            "spec": {"resources": {"requests": {"storage": "3Gi"}}, "accessModes": ["ReadWriteOnce"], "volumeName": "pv", "selector": selector},
            "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "5Gi"}, "conditions": [condition]},
        })),
        endpoint_slices: Vec::new(),
        errors: BTreeMap::from([(
            Section::Nodes,
            ReadError { fault: Fault::Forbidden, message: "the credentials may not read nodes".to_owned() },
        )]),
    }
}

fn status() -> Value {
    serde_json::to_value(ClusterStatusView::from(ClusterStatus::from(snapshot()))).unwrap()
}

fn topology() -> Value {
    serde_json::to_value(TopologyView::from(Topology::from(snapshot()))).unwrap()
}

/// Collects the differences between `value` and `schema`.
fn differences(registry: &Registry, schema: &MetaSchemaRef, value: &Value, path: &str, found: &mut Vec<String>) {
    let schema: &MetaSchema = match schema {
        MetaSchemaRef::Inline(schema) => schema,
        MetaSchemaRef::Reference(name) => &registry.schemas[name],
    };
    if value.is_null() {
        if !schema.nullable && !schema.ty.is_empty() {
            found.push(format!("{path} is null but not declared nullable"));
        }
        return;
    }
    if let Some(reference) = schema.all_of.iter().find(|part| matches!(part, MetaSchemaRef::Reference(_))) {
        return differences(registry, reference, value, path, found);
    }
    let either = [&schema.any_of[..], &schema.one_of[..]].concat();
    if !either.is_empty() {
        let fits = |schema: &&MetaSchemaRef| {
            let mut found = Vec::new();
            differences(registry, schema, value, path, &mut found);
            found.is_empty()
        };
        if !either.iter().any(|schema| fits(&schema)) {
            found.push(format!("{path} matches none of the declared types"));
        }
        return;
    }
    match (schema.ty, value) {
        ("object", Value::Object(fields)) => {
            for (key, value) in fields {
                let declared = schema.properties.iter().find(|(name, _)| name == key).map(|(_, schema)| schema);
                match declared.or(schema.additional_properties.as_deref()) {
                    Some(schema) => differences(registry, schema, value, &format!("{path}.{key}"), found),
                    None => found.push(format!("{path}.{key} is not declared")),
                }
            }
            for (key, _) in schema.properties.iter().filter(|(key, _)| !fields.contains_key(*key)) {
                found.push(format!("{path}.{key} is declared but missing"));
            }
        }
        ("array", Value::Array(items)) => {
            for item in items {
                differences(registry, schema.items.as_deref().unwrap(), item, &format!("{path}[]"), found);
            }
        }
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) | ("integer", Value::Number(_)) | ("", _) => {}
        (declared, value) => found.push(format!("{path} is {value} but declared {declared}")),
    }
}

#[track_caller]
fn assert_as_declared<T: Type>(value: &Value) {
    let mut registry = Registry::new();
    T::register(&mut registry);
    let mut found = Vec::new();
    differences(&registry, &T::schema_ref(), value, "", &mut found);
    found.dedup();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn views_match_their_declaration() {
    assert_as_declared::<ClusterStatusView>(&status());
    assert_as_declared::<TopologyView>(&topology());
    let nothing = ClusterStatusView::from(ClusterStatus::from(Snapshot::default()));
    assert_as_declared::<ClusterStatusView>(&serde_json::to_value(nothing).unwrap());
}

/// Collects keys of `recorded` that `shown` does not have.
fn missing(recorded: &Value, shown: &Value, path: &str, found: &mut Vec<String>) {
    match (recorded, shown) {
        (Value::Object(recorded), Value::Object(shown)) => {
            for (key, value) in recorded {
                // The keys of these are data.
                if ["labels", "match_labels", "capacity", "allocatable", "requests", "limits", "nodes_pods"]
                    .contains(&key.as_str())
                {
                    continue;
                }
                match shown.get(key) {
                    Some(shown) => missing(value, shown, &format!("{path}.{key}"), found),
                    None => found.push(format!("{path}.{key}")),
                }
            }
        }
        (Value::Array(recorded), Value::Array(shown)) => {
            for (recorded, shown) in recorded.iter().zip(shown) {
                missing(recorded, shown, &format!("{path}[]"), found);
            }
        }
        (Value::Object(_) | Value::Array(_), _) => found.push(format!("{path} has another type")),
        _ => {}
    }
}

#[test]
fn all_keys_of_2018_are_present() {
    let recorded: Value =
        serde_json::from_str(include_str!("../../../../../tests/recordings/cluster_status.json")).unwrap();
    let mut found = Vec::new();
    missing(&recorded, &status(), "", &mut found);
    assert_eq!(found, Vec::<String>::new());

    let recorded: Value =
        serde_json::from_str(include_str!("../../../../../tests/recordings/cluster_topology.json")).unwrap();
    let shown = topology();
    let mut found = Vec::new();
    missing(&recorded["items"]["dep-0"], &shown["items"]["dep"], "", &mut found);
    missing(&recorded["relations"], &shown["relations"], "", &mut found);
    missing(&recorded["kinds"], &shown["kinds"], "", &mut found);
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(shown["items"]["dep"]["kind"], "Deployment");
}

#[test]
fn values_have_the_format_that_clients_expect() {
    let status = status();
    let pod = &status["pods"][0];
    assert_eq!(pod["metadata"]["creation_timestamp"], "2018-07-01T10:00:00Z");
    assert_eq!(pod["metadata"]["cluster_name"], Value::Null);
    assert_eq!(pod["spec"]["volumes"][0]["persistent_volume_claim"], json!({"claim_name": "pvc", "read_only": true}));
    assert_eq!(pod["spec"]["containers"][0]["env"], json!([{"name": "PASSWORD", "value": null, "value_from": null}]));
    assert_eq!(pod["status"]["pod_ip"], "10.244.0.5");
    assert_eq!(status["nodes_pods"], json!({"Unknown": 0, "node": 1}));
    assert_eq!(status["services"][0]["spec"]["external_i_ps"], json!(["192.0.2.1"]));
    assert_eq!(status["services"][0]["spec"]["ports"][1]["target_port"], "dns");
    assert_eq!(status["deployments"][0]["spec"]["strategy"]["rolling_update"]["max_unavailable"], "25%");
    assert_eq!(status["addons"], json!([{"name": "dns", "link": null, "icon": null}]));
    assert_eq!(status["errors"]["nodes"]["error"], "forbidden");
    assert!(!status.to_string().contains("s3cret"));
}
