//! The objects read from a cluster at one time, and the read errors.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Addon, Deployment, EndpointSlice, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, ReplicaSet,
    Service,
};

/// A section of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The version.
    Version,
    /// Nodes.
    Nodes,
    /// Pods.
    Pods,
    /// Services.
    Services,
    /// Deployments.
    Deployments,
    /// Replica sets.
    ReplicaSets,
    /// Namespaces.
    Namespaces,
    /// Persistent volumes.
    PersistentVolumes,
    /// Persistent volume claims.
    PersistentVolumeClaims,
    /// Endpoint slices: which pods are behind a service.
    EndpointSlices,
}

impl Section {
    /// The sections of a [`ClusterStatus`] that are lists of objects.
    pub const LISTS: [Self; 8] = [
        Self::Nodes,
        Self::Pods,
        Self::Services,
        Self::Deployments,
        Self::ReplicaSets,
        Self::Namespaces,
        Self::PersistentVolumes,
        Self::PersistentVolumeClaims,
    ];

    /// Its key in the API.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Nodes => "nodes",
            Self::Pods => "pods",
            Self::Services => "services",
            Self::Deployments => "deployments",
            Self::ReplicaSets => "replica_sets",
            Self::Namespaces => "namespaces",
            Self::PersistentVolumes => "persistent_volumes",
            Self::PersistentVolumeClaims => "persistent_volume_claims",
            Self::EndpointSlices => "endpoint_slices",
        }
    }

    /// Its title for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Version => "the version",
            Self::Nodes => "nodes",
            Self::Pods => "pods",
            Self::Services => "services",
            Self::Deployments => "deployments",
            Self::ReplicaSets => "replica sets",
            Self::Namespaces => "namespaces",
            Self::PersistentVolumes => "persistent volumes",
            Self::PersistentVolumeClaims => "persistent volume claims",
            Self::EndpointSlices => "endpoint slices",
        }
    }
}

/// Why a section could not be read, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The credentials may not read it.
    Forbidden,
    /// The cluster does not serve this kind.
    NotServed,
    /// It was not read in time.
    TimedOut,
    /// There are more objects than are shown.
    TooMany,
    /// Anything else.
    Failed,
}

impl Fault {
    /// The value in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::NotServed => "not_served",
            Self::TimedOut => "timed_out",
            Self::TooMany => "too_many",
            Self::Failed => "failed",
        }
    }
}

/// Why a section could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// For programs.
    pub fault: Fault,
    /// For people; contains nothing secret.
    pub message: String,
}

/// The version that an API server reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are those of the Kubernetes API reference")]
pub struct VersionInfo {
    pub build_date: Option<String>,
    pub compiler: Option<String>,
    pub git_commit: Option<String>,
    pub git_tree_state: Option<String>,
    pub git_version: Option<String>,
    pub go_version: Option<String>,
    pub major: Option<String>,
    pub minor: Option<String>,
    pub platform: Option<String>,
}

/// The objects read from a cluster. A section in `errors` is empty, or contains what was read before the error.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The version.
    pub version: Option<VersionInfo>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Pods of all namespaces, like the following.
    pub pods: Vec<Pod>,
    /// Services.
    pub services: Vec<Service>,
    /// Deployments.
    pub deployments: Vec<Deployment>,
    /// Replica sets.
    pub replica_sets: Vec<ReplicaSet>,
    /// Namespaces.
    pub namespaces: Vec<Namespace>,
    /// Persistent volumes.
    pub persistent_volumes: Vec<PersistentVolume>,
    /// Persistent volume claims.
    pub persistent_volume_claims: Vec<PersistentVolumeClaim>,
    /// Endpoint slices.
    pub endpoint_slices: Vec<EndpointSlice>,
    /// Which sections could not be read, and why.
    pub errors: BTreeMap<Section, ReadError>,
}

/// What runs in a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterStatus {
    /// The services that are addons.
    pub addons: Vec<Addon>,
    /// The number of pods on each node, by node name. Pods without a node are counted as [`ClusterStatus::NO_NODE`].
    pub nodes_pods: BTreeMap<String, u64>,
    /// The objects and the read errors.
    pub snapshot: Snapshot,
}

impl ClusterStatus {
    /// The name that stands for no node. It is no valid node name.
    pub const NO_NODE: &'static str = "Unknown";
}

impl From<Snapshot> for ClusterStatus {
    fn from(snapshot: Snapshot) -> Self {
        let mut nodes_pods = BTreeMap::from([(Self::NO_NODE.to_owned(), 0)]);
        for name in snapshot.nodes.iter().filter_map(|node| node.metadata.name.as_ref()) {
            nodes_pods.insert(name.clone(), 0);
        }
        for pod in &snapshot.pods {
            let node = pod.spec.node_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(Self::NO_NODE);
            match nodes_pods.get_mut(node) {
                Some(count) => *count += 1,
                // The node was deleted, or nodes may not be read.
                None => _ = nodes_pods.insert(node.to_owned(), 1),
            }
        }
        Self { addons: snapshot.services.iter().filter_map(Addon::of).collect(), nodes_pods, snapshot }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_are_counted_by_node() {
        let pod = |node: Option<&str>| serde_json::from_value(json!({"spec": {"nodeName": node}})).unwrap();
        let node = |name: &str| serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        let status = ClusterStatus::from(Snapshot {
            nodes: vec![node("a"), node("b")],
            pods: vec![pod(Some("a")), pod(Some("a")), pod(None), pod(Some("")), pod(Some("gone"))],
            ..Snapshot::default()
        });
        let expected = [("Unknown", 2), ("a", 2), ("b", 0), ("gone", 1)].map(|(node, pods)| (node.to_owned(), pods));
        assert_eq!(status.nodes_pods, BTreeMap::from(expected));
    }

    #[test]
    fn null_and_missing_lists_are_read() {
        let pod: super::super::Pod = serde_json::from_value(json!({
            "metadata": {"name": "web", "annotations": {"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "s3cret"},
                         "managedFields": [{"fieldsV1": {}}]},
            "spec": {"containers": null},
            "status": {"podIP": "10.0.0.1", "containerStatuses": [{"name": "c", "lastState": {}, "restartCount": 2}]},
        }))
        .unwrap();
        assert_eq!(pod.metadata.annotations, Some(BTreeMap::from([("a".to_owned(), "b".to_owned())])));
        assert_eq!(pod.status.pod_ip.as_deref(), Some("10.0.0.1"));
        assert_eq!(pod.status.container_statuses.unwrap()[0].restart_count, Some(2));
        assert!(pod.spec.containers.is_empty() && pod.status.init_container_statuses.is_none());
    }
}
