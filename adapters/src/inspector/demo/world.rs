//! The Kubernetes objects of a simulated cluster, as its API server would list them. They depend only on the cluster's id, its nodes and
//! its network policy: another read gives the same objects with the same identities, and an additional node moves few pods.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::ClusterId,
    kubernetes::{Snapshot, VersionInfo},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::workload::{NAMESPACES, workloads};
use crate::engine::{DemoCluster, DemoMoment};

/// The label of every object, because none of them is real.
const LABEL: &str = "kqueen/simulated";
pub(super) const CSI_DRIVER: &str = "disk.demo.kqueen.invalid";

/// What the API server of `cluster` would list.
pub(super) fn snapshot(
    id: ClusterId,
    cluster: &DemoCluster,
    moment: &DemoMoment,
    now: DateTime<Utc>,
) -> serde_json::Result<Snapshot> {
    let mut world = World::new(id, cluster, moment, now);
    let policy = &moment.network_policy;
    for workload in workloads(policy.enabled.then_some(policy.provider.as_str())) {
        world.add(&workload);
    }
    world.add_kubernetes_service();
    world.add_nodes();
    Ok(Snapshot {
        version: Some(world.version_info()),
        namespaces: read(NAMESPACES.iter().map(|name| world.namespace(name)).collect())?,
        nodes: read(world.lists.nodes)?,
        pods: read(world.lists.pods)?,
        services: read(world.lists.services)?,
        deployments: read(world.lists.deployments)?,
        replica_sets: read(world.lists.replica_sets)?,
        persistent_volumes: read(world.lists.volumes)?,
        persistent_volume_claims: read(world.lists.claims)?,
        endpoint_slices: read(world.lists.slices)?,
        errors: std::collections::BTreeMap::new(),
    })
}

fn read<T: DeserializeOwned>(objects: Vec<Value>) -> serde_json::Result<Vec<T>> {
    objects.into_iter().map(serde_json::from_value).collect()
}

/// The objects that have been built so far.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) nodes: Vec<Value>,
    pub(super) pods: Vec<Value>,
    pub(super) services: Vec<Value>,
    pub(super) deployments: Vec<Value>,
    pub(super) replica_sets: Vec<Value>,
    pub(super) volumes: Vec<Value>,
    pub(super) claims: Vec<Value>,
    pub(super) slices: Vec<Value>,
}

/// A node with what has been scheduled on it so far.
pub(super) struct SimulatedNode {
    pub(super) name: String,
    pub(super) uid: Uuid,
    pub(super) joined: DateTime<Utc>,
    pub(super) pods: usize,
    pub(super) volumes: Vec<String>,
}

/// A scheduled pod, as other objects refer to it.
pub(super) struct ScheduledPod {
    pub(super) name: String,
    pub(super) uid: Uuid,
}

pub(super) struct World<'a> {
    pub(super) id: ClusterId,
    pub(super) cluster: &'a DemoCluster,
    pub(super) now: DateTime<Utc>,
    /// When the first node had joined and the cluster's objects were created.
    pub(super) began: DateTime<Utc>,
    pub(super) nodes: Vec<SimulatedNode>,
    pub(super) lists: Lists,
}

impl<'a> World<'a> {
    fn new(id: ClusterId, cluster: &'a DemoCluster, moment: &DemoMoment, now: DateTime<Utc>) -> Self {
        let mut world = Self {
            id,
            cluster,
            now,
            began: moment.nodes.first().copied().unwrap_or_default(),
            nodes: Vec::new(),
            lists: Lists::default(),
        };
        for (index, joined) in moment.nodes.iter().enumerate() {
            let name =
                format!("demo-{}-{}", world.letters("pool", "", 5), world.letters("node", &index.to_string(), 5));
            let uid = world.uid("Node", "", &name);
            world.nodes.push(SimulatedNode { name, uid, joined: *joined, pods: 0, volumes: Vec::new() });
        }
        world
    }

    pub(super) fn digest(&self, kind: &str, namespace: &str, name: &str) -> [u8; 16] {
        let text = format!("{}/{kind}/{namespace}/{name}", self.id);
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        digest.as_ref().first_chunk().copied().unwrap_or_default()
    }

    pub(super) fn uid(&self, kind: &str, namespace: &str, name: &str) -> Uuid {
        uuid::Builder::from_random_bytes(self.digest(kind, namespace, name)).into_uuid()
    }

    /// Letters like those that Kubernetes appends to generated names.
    pub(super) fn letters(&self, kind: &str, name: &str, count: usize) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let digest = self.digest(kind, "letters", name);
        digest.iter().take(count).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
    }

    /// The node that a pod runs on: the one with the highest hash for that pod, so that adding or removing a node moves only the pods
    /// of that node (rendezvous hashing).
    pub(super) fn node_for(&self, pod: &str) -> Option<usize> {
        (0..self.nodes.len()).max_by_key(|index| self.digest("place", pod, &self.nodes[*index].name))
    }

    pub(super) fn metadata(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        labels: &Value,
        owner: Option<Value>,
    ) -> Value {
        let mut labels = labels.clone();
        labels[LABEL] = "true".into();
        let mut metadata = json!({
            "name": name,
            "uid": self.uid(kind, namespace, name),
            "creationTimestamp": self.began,
            "resourceVersion": "1",
            "labels": labels,
        });
        if !namespace.is_empty() {
            metadata["namespace"] = namespace.into();
        }
        if let Some(owner) = owner {
            metadata["ownerReferences"] = json!([owner]);
        }
        metadata
    }

    pub(super) fn owner(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Value {
        json!({
            "apiVersion": api_version, "kind": kind, "name": name, "uid": self.uid(kind, namespace, name),
            "controller": true, "blockOwnerDeletion": true,
        })
    }

    fn version_info(&self) -> VersionInfo {
        let version = self.cluster.git_version();
        let mut numbers = version.trim_start_matches('v').split('.').map(str::to_owned);
        VersionInfo {
            major: numbers.next(),
            minor: numbers.next(),
            git_version: Some(version),
            git_tree_state: Some("simulated".to_owned()),
            platform: Some("linux/amd64".to_owned()),
            ..VersionInfo::default()
        }
    }

    fn namespace(&self, name: &str) -> Value {
        let labels = json!({"kubernetes.io/metadata.name": name});
        json!({
            "metadata": self.metadata("Namespace", "", name, &labels, None),
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        })
    }
}

/// The IP address of a node inside the cluster.
pub(super) fn node_ip(index: usize) -> String {
    format!("10.128.0.{}", index + 10)
}
