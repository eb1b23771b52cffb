//! Pods.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use kqueen_domain::kubernetes;
use poem_openapi::Object;
use serde::Serialize;

use super::{
    container::{ContainerStatusView, ContainerView},
    fragment::{FragmentView, fragment},
    object::{ConditionView, ObjectMetaView},
    views,
};

/// Containers that run together.
#[derive(Debug, Object, Serialize)]
pub struct PodView {
    /// `v1`.
    pub api_version: String,
    /// `Pod`.
    pub kind: String,
    pub metadata: ObjectMetaView,
    pub spec: PodSpecView,
    pub status: PodStatusView,
}

impl From<kubernetes::Pod> for PodView {
    fn from(it: kubernetes::Pod) -> Self {
        Self {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            metadata: it.metadata.into(),
            spec: it.spec.into(),
            status: it.status.into(),
        }
    }
}

/// What a pod is meant to be.
#[derive(Debug, Object, Serialize)]
pub struct PodSpecView {
    #[oai(nullable)]
    pub active_deadline_seconds: Option<i64>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub affinity: Option<FragmentView>,
    #[oai(nullable)]
    pub automount_service_account_token: Option<bool>,
    pub containers: Vec<ContainerView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub dns_config: Option<FragmentView>,
    #[oai(nullable)]
    pub dns_policy: Option<String>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub host_aliases: Option<FragmentView>,
    #[oai(nullable)]
    pub host_ipc: Option<bool>,
    #[oai(nullable)]
    pub host_network: Option<bool>,
    #[oai(nullable)]
    pub host_pid: Option<bool>,
    #[oai(nullable)]
    pub hostname: Option<String>,
    #[oai(nullable)]
    pub image_pull_secrets: Option<Vec<LocalReferenceView>>,
    #[oai(nullable)]
    pub init_containers: Option<Vec<ContainerView>>,
    #[oai(nullable)]
    pub node_name: Option<String>,
    #[oai(nullable)]
    pub node_selector: Option<BTreeMap<String, String>>,
    #[oai(nullable)]
    pub priority: Option<i64>,
    #[oai(nullable)]
    pub priority_class_name: Option<String>,
    #[oai(nullable)]
    pub restart_policy: Option<String>,
    #[oai(nullable)]
    pub scheduler_name: Option<String>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub security_context: Option<FragmentView>,
    #[oai(nullable)]
    pub service_account: Option<String>,
    #[oai(nullable)]
    pub service_account_name: Option<String>,
    #[oai(nullable)]
    pub share_process_namespace: Option<bool>,
    #[oai(nullable)]
    pub subdomain: Option<String>,
    #[oai(nullable)]
    pub termination_grace_period_seconds: Option<i64>,
    #[oai(nullable)]
    pub tolerations: Option<Vec<TolerationView>>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub volumes: Option<FragmentView>,
}

impl From<kubernetes::PodSpec> for PodSpecView {
    fn from(it: kubernetes::PodSpec) -> Self {
        Self {
            active_deadline_seconds: it.active_deadline_seconds,
            affinity: fragment(it.affinity),
            automount_service_account_token: it.automount_service_account_token,
            containers: it.containers.into_iter().map(Into::into).collect(),
            dns_config: fragment(it.dns_config),
            dns_policy: it.dns_policy,
            host_aliases: fragment(it.host_aliases),
            host_ipc: it.host_ipc,
            host_network: it.host_network,
            host_pid: it.host_pid,
            hostname: it.hostname,
            image_pull_secrets: views(it.image_pull_secrets),
            init_containers: views(it.init_containers),
            node_name: it.node_name,
            node_selector: it.node_selector,
            priority: it.priority,
            priority_class_name: it.priority_class_name,
            restart_policy: it.restart_policy,
            scheduler_name: it.scheduler_name,
            security_context: fragment(it.security_context),
            service_account: it.service_account,
            service_account_name: it.service_account_name,
            share_process_namespace: it.share_process_namespace,
            subdomain: it.subdomain,
            termination_grace_period_seconds: it.termination_grace_period_seconds,
            tolerations: views(it.tolerations),
            volumes: fragment(it.volumes),
        }
    }
}

/// The name of an object in the same namespace.
#[derive(Debug, Object, Serialize)]
pub struct LocalReferenceView {
    #[oai(nullable)]
    pub name: Option<String>,
}

impl From<kubernetes::LocalReference> for LocalReferenceView {
    fn from(it: kubernetes::LocalReference) -> Self {
        Self { name: it.name }
    }
}

/// A taint that does not keep a pod off.
#[derive(Debug, Object, Serialize)]
pub struct TolerationView {
    #[oai(nullable)]
    pub effect: Option<String>,
    #[oai(nullable)]
    pub key: Option<String>,
    #[oai(nullable)]
    pub operator: Option<String>,
    #[oai(nullable)]
    pub toleration_seconds: Option<i64>,
    #[oai(nullable)]
    pub value: Option<String>,
}

impl From<kubernetes::Toleration> for TolerationView {
    fn from(it: kubernetes::Toleration) -> Self {
        Self {
            effect: it.effect,
            key: it.key,
            operator: it.operator,
            toleration_seconds: it.toleration_seconds,
            value: it.value,
        }
    }
}

/// What a pod is.
#[derive(Debug, Object, Serialize)]
pub struct PodStatusView {
    #[oai(nullable)]
    pub conditions: Option<Vec<ConditionView>>,
    #[oai(nullable)]
    pub container_statuses: Option<Vec<ContainerStatusView>>,
    #[oai(nullable)]
    pub host_ip: Option<String>,
    #[oai(nullable)]
    pub init_container_statuses: Option<Vec<ContainerStatusView>>,
    #[oai(nullable)]
    pub message: Option<String>,
    #[oai(nullable)]
    pub nominated_node_name: Option<String>,
    #[oai(nullable)]
    pub phase: Option<String>,
    #[oai(nullable)]
    pub pod_ip: Option<String>,
    #[oai(nullable)]
    pub qos_class: Option<String>,
    #[oai(nullable)]
    pub reason: Option<String>,
    #[oai(nullable)]
    pub start_time: Option<DateTime<Utc>>,
}

impl From<kubernetes::PodStatus> for PodStatusView {
    fn from(it: kubernetes::PodStatus) -> Self {
        Self {
            conditions: views(it.conditions),
            container_statuses: views(it.container_statuses),
            host_ip: it.host_ip,
            init_container_statuses: views(it.init_container_statuses),
            message: it.message,
            nominated_node_name: it.nominated_node_name,
            phase: it.phase,
            pod_ip: it.pod_ip,
            qos_class: it.qos_class,
            reason: it.reason,
            start_time: it.start_time,
        }
    }
}
