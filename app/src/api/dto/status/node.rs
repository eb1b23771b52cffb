//! Nodes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use kqueen_domain::kubernetes;
use poem_openapi::Object;
use serde::Serialize;

use super::{
    object::{ConditionView, ObjectMetaView},
    views,
};

/// A machine of the cluster.
#[derive(Debug, Object, Serialize)]
pub struct NodeView {
    /// `v1`.
    pub api_version: String,
    /// `Node`.
    pub kind: String,
    pub metadata: ObjectMetaView,
    pub spec: NodeSpecView,
    pub status: NodeStatusView,
}

impl From<kubernetes::Node> for NodeView {
    fn from(it: kubernetes::Node) -> Self {
        Self {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            metadata: it.metadata.into(),
            spec: it.spec.into(),
            status: it.status.into(),
        }
    }
}

/// What a node is meant to be.
#[derive(Debug, Object, Serialize)]
pub struct NodeSpecView {
    /// Always null: Kubernetes no longer has it.
    #[oai(nullable)]
    pub config_source: Option<String>,
    #[oai(nullable)]
    pub external_id: Option<String>,
    #[oai(nullable)]
    pub pod_cidr: Option<String>,
    #[oai(nullable)]
    pub provider_id: Option<String>,
    #[oai(nullable)]
    pub taints: Option<Vec<TaintView>>,
    #[oai(nullable)]
    pub unschedulable: Option<bool>,
}

impl From<kubernetes::NodeSpec> for NodeSpecView {
    fn from(it: kubernetes::NodeSpec) -> Self {
        Self {
            config_source: None,
            external_id: it.external_id,
            pod_cidr: it.pod_cidr,
            provider_id: it.provider_id,
            taints: views(it.taints),
            unschedulable: it.unschedulable,
        }
    }
}

/// What keeps pods off a node.
#[derive(Debug, Object, Serialize)]
pub struct TaintView {
    #[oai(nullable)]
    pub effect: Option<String>,
    #[oai(nullable)]
    pub key: Option<String>,
    #[oai(nullable)]
    pub time_added: Option<DateTime<Utc>>,
    #[oai(nullable)]
    pub value: Option<String>,
}

impl From<kubernetes::Taint> for TaintView {
    fn from(it: kubernetes::Taint) -> Self {
        Self { effect: it.effect, key: it.key, time_added: it.time_added, value: it.value }
    }
}

/// What a node is.
#[derive(Debug, Object, Serialize)]
pub struct NodeStatusView {
    #[oai(nullable)]
    pub addresses: Option<Vec<NodeAddressView>>,
    #[oai(nullable)]
    pub allocatable: Option<BTreeMap<String, String>>,
    #[oai(nullable)]
    pub capacity: Option<BTreeMap<String, String>>,
    #[oai(nullable)]
    pub conditions: Option<Vec<ConditionView>>,
    #[oai(nullable)]
    pub daemon_endpoints: Option<DaemonEndpointsView>,
    #[oai(nullable)]
    pub images: Option<Vec<ContainerImageView>>,
    #[oai(nullable)]
    pub node_info: Option<NodeInfoView>,
    #[oai(nullable)]
    pub phase: Option<String>,
    #[oai(nullable)]
    pub volumes_attached: Option<Vec<AttachedVolumeView>>,
    #[oai(nullable)]
    pub volumes_in_use: Option<Vec<String>>,
}

impl From<kubernetes::NodeStatus> for NodeStatusView {
    fn from(it: kubernetes::NodeStatus) -> Self {
        Self {
            addresses: views(it.addresses),
            allocatable: it.allocatable,
            capacity: it.capacity,
            conditions: views(it.conditions),
            daemon_endpoints: it.daemon_endpoints.map(Into::into),
            images: views(it.images),
            node_info: it.node_info.map(Into::into),
            phase: it.phase,
            volumes_attached: views(it.volumes_attached),
            volumes_in_use: it.volumes_in_use,
        }
    }
}

/// An address of a node.
#[derive(Debug, Object, Serialize)]
pub struct NodeAddressView {
    #[oai(nullable)]
    pub address: Option<String>,
    #[oai(nullable)]
    pub r#type: Option<String>,
}

impl From<kubernetes::NodeAddress> for NodeAddressView {
    fn from(it: kubernetes::NodeAddress) -> Self {
        Self { address: it.address, r#type: it.r#type }
    }
}

/// Where the daemons of a node listen.
#[derive(Debug, Object, Serialize)]
pub struct DaemonEndpointsView {
    #[oai(nullable)]
    pub kubelet_endpoint: Option<DaemonEndpointView>,
}

impl From<kubernetes::DaemonEndpoints> for DaemonEndpointsView {
    fn from(it: kubernetes::DaemonEndpoints) -> Self {
        Self { kubelet_endpoint: it.kubelet_endpoint.map(Into::into) }
    }
}

/// A port of a daemon.
#[derive(Debug, Object, Serialize)]
pub struct DaemonEndpointView {
    #[oai(nullable)]
    pub port: Option<i64>,
}

impl From<kubernetes::DaemonEndpoint> for DaemonEndpointView {
    fn from(it: kubernetes::DaemonEndpoint) -> Self {
        Self { port: it.port }
    }
}

/// An image that is present on a node.
#[derive(Debug, Object, Serialize)]
pub struct ContainerImageView {
    #[oai(nullable)]
    pub names: Option<Vec<String>>,
    #[oai(nullable)]
    pub size_bytes: Option<i64>,
}

impl From<kubernetes::ContainerImage> for ContainerImageView {
    fn from(it: kubernetes::ContainerImage) -> Self {
        Self { names: it.names, size_bytes: it.size_bytes }
    }
}

/// A volume attached to a node.
#[derive(Debug, Object, Serialize)]
pub struct AttachedVolumeView {
    #[oai(nullable)]
    pub device_path: Option<String>,
    #[oai(nullable)]
    pub name: Option<String>,
}

impl From<kubernetes::AttachedVolume> for AttachedVolumeView {
    fn from(it: kubernetes::AttachedVolume) -> Self {
        Self { device_path: it.device_path, name: it.name }
    }
}

/// Versions and identities of a node.
#[derive(Debug, Object, Serialize)]
pub struct NodeInfoView {
    #[oai(nullable)]
    pub architecture: Option<String>,
    #[oai(nullable)]
    pub boot_id: Option<String>,
    #[oai(nullable)]
    pub container_runtime_version: Option<String>,
    #[oai(nullable)]
    pub kernel_version: Option<String>,
    #[oai(nullable)]
    pub kube_proxy_version: Option<String>,
    #[oai(nullable)]
    pub kubelet_version: Option<String>,
    #[oai(nullable)]
    pub machine_id: Option<String>,
    #[oai(nullable)]
    pub operating_system: Option<String>,
    #[oai(nullable)]
    pub os_image: Option<String>,
    #[oai(nullable)]
    pub system_uuid: Option<String>,
}

impl From<kubernetes::NodeInfo> for NodeInfoView {
    fn from(it: kubernetes::NodeInfo) -> Self {
        Self {
            architecture: it.architecture,
            boot_id: it.boot_id,
            container_runtime_version: it.container_runtime_version,
            kernel_version: it.kernel_version,
            kube_proxy_version: it.kube_proxy_version,
            kubelet_version: it.kubelet_version,
            machine_id: it.machine_id,
            operating_system: it.operating_system,
            os_image: it.os_image,
            system_uuid: it.system_uuid,
        }
    }
}
