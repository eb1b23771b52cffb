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

/// A Node: a worker machine in the cluster.
#[derive(Debug, Object, Serialize)]
pub struct NodeView {
    /// The version of the API: always `v1`.
    pub api_version: String,
    /// The kind: always `Node`.
    pub kind: String,
    /// Standard object metadata.
    pub metadata: ObjectMetaView,
    /// Desired state of the node.
    pub spec: NodeSpecView,
    /// Current state of the node.
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

/// Desired state of the node.
#[derive(Debug, Object, Serialize)]
pub struct NodeSpecView {
    /// Always null: removed from Kubernetes.
    #[oai(nullable)]
    pub config_source: Option<String>,
    /// Deprecated: not set by current versions of Kubernetes.
    #[oai(nullable)]
    pub external_id: Option<String>,
    /// The IP range from which pods on the node get their addresses.
    #[oai(nullable)]
    pub pod_cidr: Option<String>,
    /// The ID of the node assigned by the cloud provider, in the form `<provider>://<id>`.
    #[oai(nullable)]
    pub provider_id: Option<String>,
    /// The taints of the node.
    #[oai(nullable)]
    pub taints: Option<Vec<TaintView>>,
    /// Whether new pods cannot be scheduled to the node.
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

/// A taint of a node: it has the effect on every pod that does not tolerate it.
#[derive(Debug, Object, Serialize)]
pub struct TaintView {
    /// The effect on pods that do not tolerate the taint: `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    #[oai(nullable)]
    pub effect: Option<String>,
    /// The taint key.
    #[oai(nullable)]
    pub key: Option<String>,
    /// When the taint was added.
    #[oai(nullable)]
    pub time_added: Option<DateTime<Utc>>,
    /// The taint value.
    #[oai(nullable)]
    pub value: Option<String>,
}

impl From<kubernetes::Taint> for TaintView {
    fn from(it: kubernetes::Taint) -> Self {
        Self { effect: it.effect, key: it.key, time_added: it.time_added, value: it.value }
    }
}

/// Current state of the node.
#[derive(Debug, Object, Serialize)]
pub struct NodeStatusView {
    /// The addresses of the node.
    #[oai(nullable)]
    pub addresses: Option<Vec<NodeAddressView>>,
    /// The resources of the node that are available for scheduling.
    #[oai(nullable)]
    pub allocatable: Option<BTreeMap<String, String>>,
    /// The total resources of the node.
    #[oai(nullable)]
    pub capacity: Option<BTreeMap<String, String>>,
    /// The current conditions of the node.
    #[oai(nullable)]
    pub conditions: Option<Vec<ConditionView>>,
    /// The endpoints of daemons that run on the node.
    #[oai(nullable)]
    pub daemon_endpoints: Option<DaemonEndpointsView>,
    /// The container images on the node.
    #[oai(nullable)]
    pub images: Option<Vec<ContainerImageView>>,
    /// Identifiers and versions of the node.
    #[oai(nullable)]
    pub node_info: Option<NodeInfoView>,
    /// Deprecated: not set by current versions of Kubernetes.
    #[oai(nullable)]
    pub phase: Option<String>,
    /// The volumes that are attached to the node.
    #[oai(nullable)]
    pub volumes_attached: Option<Vec<AttachedVolumeView>>,
    /// The attachable volumes that are mounted on the node.
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
    /// The address.
    #[oai(nullable)]
    pub address: Option<String>,
    /// The address type: `Hostname`, `ExternalIP`, `InternalIP`, `ExternalDNS` or `InternalDNS`.
    #[oai(nullable)]
    pub r#type: Option<String>,
}

impl From<kubernetes::NodeAddress> for NodeAddressView {
    fn from(it: kubernetes::NodeAddress) -> Self {
        Self { address: it.address, r#type: it.r#type }
    }
}

/// The endpoints of daemons that run on a node.
#[derive(Debug, Object, Serialize)]
pub struct DaemonEndpointsView {
    /// The endpoint on which the kubelet listens.
    #[oai(nullable)]
    pub kubelet_endpoint: Option<DaemonEndpointView>,
}

impl From<kubernetes::DaemonEndpoints> for DaemonEndpointsView {
    fn from(it: kubernetes::DaemonEndpoints) -> Self {
        Self { kubelet_endpoint: it.kubelet_endpoint.map(Into::into) }
    }
}

/// The endpoint of a daemon.
#[derive(Debug, Object, Serialize)]
pub struct DaemonEndpointView {
    /// The port number.
    #[oai(nullable)]
    pub port: Option<i64>,
}

impl From<kubernetes::DaemonEndpoint> for DaemonEndpointView {
    fn from(it: kubernetes::DaemonEndpoint) -> Self {
        Self { port: it.port }
    }
}

/// A container image on a node.
#[derive(Debug, Object, Serialize)]
pub struct ContainerImageView {
    /// The names by which the image is known.
    #[oai(nullable)]
    pub names: Option<Vec<String>>,
    /// The size of the image in bytes.
    #[oai(nullable)]
    pub size_bytes: Option<i64>,
}

impl From<kubernetes::ContainerImage> for ContainerImageView {
    fn from(it: kubernetes::ContainerImage) -> Self {
        Self { names: it.names, size_bytes: it.size_bytes }
    }
}

/// A volume that is attached to a node.
#[derive(Debug, Object, Serialize)]
pub struct AttachedVolumeView {
    /// The device path at which the volume is available.
    #[oai(nullable)]
    pub device_path: Option<String>,
    /// The name of the volume.
    #[oai(nullable)]
    pub name: Option<String>,
}

impl From<kubernetes::AttachedVolume> for AttachedVolumeView {
    fn from(it: kubernetes::AttachedVolume) -> Self {
        Self { device_path: it.device_path, name: it.name }
    }
}

/// Identifiers and versions of a node.
#[derive(Debug, Object, Serialize)]
pub struct NodeInfoView {
    /// The architecture, for example `amd64`.
    #[oai(nullable)]
    pub architecture: Option<String>,
    /// The boot ID.
    #[oai(nullable)]
    pub boot_id: Option<String>,
    /// The version of the container runtime, for example `containerd://2.1.4`.
    #[oai(nullable)]
    pub container_runtime_version: Option<String>,
    /// The kernel version.
    #[oai(nullable)]
    pub kernel_version: Option<String>,
    /// Deprecated: the version of kube-proxy.
    #[oai(nullable)]
    pub kube_proxy_version: Option<String>,
    /// The version of the kubelet.
    #[oai(nullable)]
    pub kubelet_version: Option<String>,
    /// The machine ID.
    #[oai(nullable)]
    pub machine_id: Option<String>,
    /// The operating system, for example `linux`.
    #[oai(nullable)]
    pub operating_system: Option<String>,
    /// The name of the operating system image.
    #[oai(nullable)]
    pub os_image: Option<String>,
    /// The system UUID.
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
