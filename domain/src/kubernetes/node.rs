//! Nodes.
#![expect(missing_docs, reason = "the fields are those of the Kubernetes API reference")]

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{
    fragment::null_is_default,
    object::{Condition, ObjectMeta},
};

/// A machine of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Node {
    #[serde(deserialize_with = "null_is_default")]
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "null_is_default")]
    pub spec: NodeSpec,
    #[serde(deserialize_with = "null_is_default")]
    pub status: NodeStatus,
}

/// The desired state of a node.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    #[serde(rename = "externalID")]
    pub external_id: Option<String>,
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Option<String>,
    #[serde(rename = "providerID")]
    pub provider_id: Option<String>,
    pub taints: Option<Vec<Taint>>,
    pub unschedulable: Option<bool>,
}

/// A taint, which repels pods from a node.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Taint {
    pub effect: Option<String>,
    pub key: Option<String>,
    pub time_added: Option<DateTime<Utc>>,
    pub value: Option<String>,
}

/// The observed state of a node.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    pub addresses: Option<Vec<NodeAddress>>,
    pub allocatable: Option<BTreeMap<String, String>>,
    pub capacity: Option<BTreeMap<String, String>>,
    pub conditions: Option<Vec<Condition>>,
    pub daemon_endpoints: Option<DaemonEndpoints>,
    pub images: Option<Vec<ContainerImage>>,
    pub node_info: Option<NodeInfo>,
    pub phase: Option<String>,
    pub volumes_attached: Option<Vec<AttachedVolume>>,
    pub volumes_in_use: Option<Vec<String>>,
}

/// An address of a node.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeAddress {
    pub address: Option<String>,
    pub r#type: Option<String>,
}

/// The ports of the daemons on a node.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonEndpoints {
    pub kubelet_endpoint: Option<DaemonEndpoint>,
}

/// A port of a daemon.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonEndpoint {
    #[serde(rename = "Port")]
    pub port: Option<i64>,
}

/// An image that is present on a node.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerImage {
    pub names: Option<Vec<String>>,
    pub size_bytes: Option<i64>,
}

/// A volume attached to a node.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachedVolume {
    pub device_path: Option<String>,
    pub name: Option<String>,
}

/// Versions and identities of a node.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    pub architecture: Option<String>,
    #[serde(rename = "bootID")]
    pub boot_id: Option<String>,
    pub container_runtime_version: Option<String>,
    pub kernel_version: Option<String>,
    pub kube_proxy_version: Option<String>,
    pub kubelet_version: Option<String>,
    #[serde(rename = "machineID")]
    pub machine_id: Option<String>,
    pub operating_system: Option<String>,
    pub os_image: Option<String>,
    #[serde(rename = "systemUUID")]
    pub system_uuid: Option<String>,
}
