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

/// A scope for names in the cluster.
#[derive(Debug, Object, Serialize)]
pub struct NamespaceView {
    /// `v1`.
    pub api_version: String,
    /// `Namespace`.
    pub kind: String,
    pub metadata: ObjectMetaView,
    pub spec: NamespaceSpecView,
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

/// What a namespace is meant to be.
#[derive(Debug, Object, Serialize)]
pub struct NamespaceSpecView {
    #[oai(nullable)]
    pub finalizers: Option<Vec<String>>,
}

impl From<kubernetes::NamespaceSpec> for NamespaceSpecView {
    fn from(it: kubernetes::NamespaceSpec) -> Self {
        Self { finalizers: it.finalizers }
    }
}

/// What a namespace is.
#[derive(Debug, Object, Serialize)]
pub struct NamespaceStatusView {
    #[oai(nullable)]
    pub phase: Option<String>,
}

impl From<kubernetes::NamespaceStatus> for NamespaceStatusView {
    fn from(it: kubernetes::NamespaceStatus) -> Self {
        Self { phase: it.phase }
    }
}

/// One address for a group of pods.
#[derive(Debug, Object, Serialize)]
pub struct ServiceView {
    /// `v1`.
    pub api_version: String,
    /// `Service`.
    pub kind: String,
    pub metadata: ObjectMetaView,
    pub spec: ServiceSpecView,
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

/// What a service is meant to be.
#[derive(Debug, Object, Serialize)]
pub struct ServiceSpecView {
    #[oai(nullable)]
    pub cluster_ip: Option<String>,
    #[oai(nullable)]
    pub external_i_ps: Option<Vec<String>>,
    #[oai(nullable)]
    pub external_name: Option<String>,
    #[oai(nullable)]
    pub external_traffic_policy: Option<String>,
    #[oai(nullable)]
    pub health_check_node_port: Option<i64>,
    #[oai(nullable)]
    pub load_balancer_ip: Option<String>,
    #[oai(nullable)]
    pub load_balancer_source_ranges: Option<Vec<String>>,
    #[oai(nullable)]
    pub ports: Option<Vec<ServicePortView>>,
    #[oai(nullable)]
    pub publish_not_ready_addresses: Option<bool>,
    #[oai(nullable)]
    pub selector: Option<BTreeMap<String, String>>,
    #[oai(nullable)]
    pub session_affinity: Option<String>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub session_affinity_config: Option<FragmentView>,
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
    #[oai(nullable)]
    pub name: Option<String>,
    #[oai(nullable)]
    pub node_port: Option<i64>,
    #[oai(nullable)]
    pub port: Option<i64>,
    #[oai(nullable)]
    pub protocol: Option<String>,
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

/// What a service is.
#[derive(Debug, Object, Serialize)]
pub struct ServiceStatusView {
    pub load_balancer: LoadBalancerView,
}

impl From<kubernetes::ServiceStatus> for ServiceStatusView {
    fn from(it: kubernetes::ServiceStatus) -> Self {
        Self { load_balancer: it.load_balancer.into() }
    }
}

/// How a service is reached from outside.
#[derive(Debug, Object, Serialize)]
pub struct LoadBalancerView {
    #[oai(nullable)]
    pub ingress: Option<Vec<LoadBalancerIngressView>>,
}

impl From<kubernetes::LoadBalancer> for LoadBalancerView {
    fn from(it: kubernetes::LoadBalancer) -> Self {
        Self { ingress: views(it.ingress) }
    }
}

/// An address of a load balancer.
#[derive(Debug, Object, Serialize)]
pub struct LoadBalancerIngressView {
    #[oai(nullable)]
    pub hostname: Option<String>,
    #[oai(nullable)]
    pub ip: Option<String>,
}

impl From<kubernetes::LoadBalancerIngress> for LoadBalancerIngressView {
    fn from(it: kubernetes::LoadBalancerIngress) -> Self {
        Self { hostname: it.hostname, ip: it.ip }
    }
}
