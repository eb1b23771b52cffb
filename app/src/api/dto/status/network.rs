//! Namespaces and services.

use std::collections::BTreeMap;

use kqueen_domain::kubernetes;
use poem_openapi::Object;
use serde::Serialize;

use super::{
    fragment::{FragmentView, IntOrTextView, fragment},
    object::ObjectMetaView,
    views,
};

/// A Namespace: a scope for names.
#[derive(Debug, Object, Serialize)]
pub struct NamespaceView {
    /// The version of the API: always `v1`.
    pub api_version: String,
    /// The kind: always `Namespace`.
    pub kind: String,
    /// Standard object metadata.
    pub metadata: ObjectMetaView,
    /// Desired state of the namespace.
    pub spec: NamespaceSpecView,
    /// Current state of the namespace.
    pub status: NamespaceStatusView,
}

impl From<kubernetes::Namespace> for NamespaceView {
    fn from(it: kubernetes::Namespace) -> Self {
        Self {
            api_version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            metadata: it.metadata.into(),
            spec: it.spec.into(),
            status: it.status.into(),
        }
    }
}

/// Desired state of the namespace.
#[derive(Debug, Object, Serialize)]
pub struct NamespaceSpecView {
    /// Values that must be empty before the namespace is permanently removed.
    #[oai(nullable)]
    pub finalizers: Option<Vec<String>>,
}

impl From<kubernetes::NamespaceSpec> for NamespaceSpecView {
    fn from(it: kubernetes::NamespaceSpec) -> Self {
        Self { finalizers: it.finalizers }
    }
}

/// Current state of the namespace.
#[derive(Debug, Object, Serialize)]
pub struct NamespaceStatusView {
    /// The lifecycle phase of the namespace: `Active` or `Terminating`.
    #[oai(nullable)]
    pub phase: Option<String>,
}

impl From<kubernetes::NamespaceStatus> for NamespaceStatusView {
    fn from(it: kubernetes::NamespaceStatus) -> Self {
        Self { phase: it.phase }
    }
}

/// A Service: a named abstraction of a network service that is provided by a set of pods.
#[derive(Debug, Object, Serialize)]
pub struct ServiceView {
    /// The version of the API: always `v1`.
    pub api_version: String,
    /// The kind: always `Service`.
    pub kind: String,
    /// Standard object metadata.
    pub metadata: ObjectMetaView,
    /// Desired state of the service.
    pub spec: ServiceSpecView,
    /// Current state of the service.
    pub status: ServiceStatusView,
}

impl From<kubernetes::Service> for ServiceView {
    fn from(it: kubernetes::Service) -> Self {
        Self {
            api_version: "v1".to_owned(),
            kind: "Service".to_owned(),
            metadata: it.metadata.into(),
            spec: it.spec.into(),
            status: it.status.into(),
        }
    }
}

/// Desired state of the service.
#[derive(Debug, Object, Serialize)]
pub struct ServiceSpecView {
    /// The IP address of the service; `None` for a headless service.
    #[oai(nullable)]
    pub cluster_ip: Option<String>,
    /// IP addresses for which nodes in the cluster also accept traffic for this service.
    #[oai(nullable)]
    pub external_i_ps: Option<Vec<String>>,
    /// The DNS name that a service of type `ExternalName` resolves to.
    #[oai(nullable)]
    pub external_name: Option<String>,
    /// How nodes distribute external traffic: `Cluster` or `Local`.
    #[oai(nullable)]
    pub external_traffic_policy: Option<String>,
    /// The node port for health checks, if the external traffic policy is `Local`.
    #[oai(nullable)]
    pub health_check_node_port: Option<i64>,
    /// The IP address requested for the load balancer.
    #[oai(nullable)]
    pub load_balancer_ip: Option<String>,
    /// The client IP ranges to which traffic through the load balancer is restricted.
    #[oai(nullable)]
    pub load_balancer_source_ranges: Option<Vec<String>>,
    /// The ports that the service exposes.
    #[oai(nullable)]
    pub ports: Option<Vec<ServicePortView>>,
    /// Whether endpoints are published before their pods are ready.
    #[oai(nullable)]
    pub publish_not_ready_addresses: Option<bool>,
    /// The labels of the pods that traffic is routed to.
    #[oai(nullable)]
    pub selector: Option<BTreeMap<String, String>>,
    /// The session affinity: `ClientIP` or `None`.
    #[oai(nullable)]
    pub session_affinity: Option<String>,
    /// The configuration of session affinity. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub session_affinity_config: Option<FragmentView>,
    /// How the service is exposed: `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[oai(nullable)]
    pub r#type: Option<String>,
}

impl From<kubernetes::ServiceSpec> for ServiceSpecView {
    fn from(it: kubernetes::ServiceSpec) -> Self {
        Self {
            cluster_ip: it.cluster_ip,
            external_i_ps: it.external_i_ps,
            external_name: it.external_name,
            external_traffic_policy: it.external_traffic_policy,
            health_check_node_port: it.health_check_node_port,
            load_balancer_ip: it.load_balancer_ip,
            load_balancer_source_ranges: it.load_balancer_source_ranges,
            ports: views(it.ports),
            publish_not_ready_addresses: it.publish_not_ready_addresses,
            selector: it.selector,
            session_affinity: it.session_affinity,
            session_affinity_config: fragment(it.session_affinity_config),
            r#type: it.r#type,
        }
    }
}

/// A port of a service.
#[derive(Debug, Object, Serialize)]
pub struct ServicePortView {
    /// The name of the port, unique within the service.
    #[oai(nullable)]
    pub name: Option<String>,
    /// The port on each node on which the service is exposed.
    #[oai(nullable)]
    pub node_port: Option<i64>,
    /// The port that the service exposes.
    #[oai(nullable)]
    pub port: Option<i64>,
    /// The IP protocol: `TCP`, `UDP` or `SCTP`.
    #[oai(nullable)]
    pub protocol: Option<String>,
    /// The number or name of the port on the pods that the service targets.
    #[oai(nullable)]
    pub target_port: Option<IntOrTextView>,
}

impl From<kubernetes::ServicePort> for ServicePortView {
    fn from(it: kubernetes::ServicePort) -> Self {
        Self {
            name: it.name,
            node_port: it.node_port,
            port: it.port,
            protocol: it.protocol,
            target_port: it.target_port.map(Into::into),
        }
    }
}

/// Current state of the service.
#[derive(Debug, Object, Serialize)]
pub struct ServiceStatusView {
    /// Current state of the load balancer, if there is one.
    pub load_balancer: LoadBalancerView,
}

impl From<kubernetes::ServiceStatus> for ServiceStatusView {
    fn from(it: kubernetes::ServiceStatus) -> Self {
        Self { load_balancer: it.load_balancer.into() }
    }
}

/// The status of a load balancer.
#[derive(Debug, Object, Serialize)]
pub struct LoadBalancerView {
    /// The ingress points of the load balancer. Traffic for the service is sent to them.
    #[oai(nullable)]
    pub ingress: Option<Vec<LoadBalancerIngressView>>,
}

impl From<kubernetes::LoadBalancer> for LoadBalancerView {
    fn from(it: kubernetes::LoadBalancer) -> Self {
        Self { ingress: views(it.ingress) }
    }
}

/// An ingress point of a load balancer.
#[derive(Debug, Object, Serialize)]
pub struct LoadBalancerIngressView {
    /// The host name, for load balancers that are based on DNS.
    #[oai(nullable)]
    pub hostname: Option<String>,
    /// The IP address, for load balancers that are based on IP addresses.
    #[oai(nullable)]
    pub ip: Option<String>,
}

impl From<kubernetes::LoadBalancerIngress> for LoadBalancerIngressView {
    fn from(it: kubernetes::LoadBalancerIngress) -> Self {
        Self { hostname: it.hostname, ip: it.ip }
    }
}
