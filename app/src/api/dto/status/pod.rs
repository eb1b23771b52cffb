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

/// A Pod: a collection of containers that run on a node.
#[derive(Debug, Object, Serialize)]
pub struct PodView {
    /// The version of the API: always `v1`.
    pub api_version: String,
    /// The kind: always `Pod`.
    pub kind: String,
    /// Standard object metadata.
    pub metadata: ObjectMetaView,
    /// Desired state of the pod.
    pub spec: PodSpecView,
    /// Current state of the pod.
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

/// Desired state of the pod.
#[derive(Debug, Object, Serialize)]
pub struct PodSpecView {
    /// The seconds that the pod may be active on the node before it is terminated.
    #[oai(nullable)]
    pub active_deadline_seconds: Option<i64>,
    /// The scheduling constraints. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub affinity: Option<FragmentView>,
    /// Whether a service account token is mounted automatically.
    #[oai(nullable)]
    pub automount_service_account_token: Option<bool>,
    /// The containers of the pod.
    pub containers: Vec<ContainerView>,
    /// The DNS parameters of the pod. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub dns_config: Option<FragmentView>,
    /// The DNS policy: `ClusterFirstWithHostNet`, `ClusterFirst`, `Default` or `None`.
    #[oai(nullable)]
    pub dns_policy: Option<String>,
    /// Additional entries of the hosts file of the pod. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub host_aliases: Option<FragmentView>,
    /// Whether the pod uses the IPC namespace of the host.
    #[oai(nullable)]
    pub host_ipc: Option<bool>,
    /// Whether the pod uses the network namespace of the host.
    #[oai(nullable)]
    pub host_network: Option<bool>,
    /// Whether the pod uses the PID namespace of the host.
    #[oai(nullable)]
    pub host_pid: Option<bool>,
    /// The host name of the pod.
    #[oai(nullable)]
    pub hostname: Option<String>,
    /// The Secrets with which images are pulled.
    #[oai(nullable)]
    pub image_pull_secrets: Option<Vec<LocalReferenceView>>,
    /// The init containers, which run in order before the containers start.
    #[oai(nullable)]
    pub init_containers: Option<Vec<ContainerView>>,
    /// The node to which the pod is scheduled.
    #[oai(nullable)]
    pub node_name: Option<String>,
    /// The labels that a node must have for the pod to be scheduled to it.
    #[oai(nullable)]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// The priority of the pod.
    #[oai(nullable)]
    pub priority: Option<i64>,
    /// The name of the PriorityClass of the pod.
    #[oai(nullable)]
    pub priority_class_name: Option<String>,
    /// The restart policy of all containers: `Always`, `OnFailure` or `Never`.
    #[oai(nullable)]
    pub restart_policy: Option<String>,
    /// The scheduler that schedules the pod.
    #[oai(nullable)]
    pub scheduler_name: Option<String>,
    /// Security attributes of the pod and default settings of its containers. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub security_context: Option<FragmentView>,
    /// Deprecated: the same as `service_account_name`.
    #[oai(nullable)]
    pub service_account: Option<String>,
    /// The name of the ServiceAccount that the pod runs as.
    #[oai(nullable)]
    pub service_account_name: Option<String>,
    /// Whether the containers share one process namespace.
    #[oai(nullable)]
    pub share_process_namespace: Option<bool>,
    /// The subdomain of the pod's host name.
    #[oai(nullable)]
    pub subdomain: Option<String>,
    /// The seconds that the pod has to terminate gracefully.
    #[oai(nullable)]
    pub termination_grace_period_seconds: Option<i64>,
    /// The tolerations of the pod.
    #[oai(nullable)]
    pub tolerations: Option<Vec<TolerationView>>,
    /// The volumes that containers of the pod can mount. As in the Kubernetes API, with keys in `snake_case`.
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

/// A reference to an object in the same namespace.
#[derive(Debug, Object, Serialize)]
pub struct LocalReferenceView {
    /// The name of the object.
    #[oai(nullable)]
    pub name: Option<String>,
}

impl From<kubernetes::LocalReference> for LocalReferenceView {
    fn from(it: kubernetes::LocalReference) -> Self {
        Self { name: it.name }
    }
}

/// A toleration: the pod tolerates taints that match it.
#[derive(Debug, Object, Serialize)]
pub struct TolerationView {
    /// The taint effect to match; null matches all effects.
    #[oai(nullable)]
    pub effect: Option<String>,
    /// The taint key to match; null matches all keys.
    #[oai(nullable)]
    pub key: Option<String>,
    /// The relation between the key and the value: `Exists` or `Equal`.
    #[oai(nullable)]
    pub operator: Option<String>,
    /// How long a taint with the effect `NoExecute` is tolerated; null for always.
    #[oai(nullable)]
    pub toleration_seconds: Option<i64>,
    /// The taint value to match.
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

/// Current state of the pod.
#[derive(Debug, Object, Serialize)]
pub struct PodStatusView {
    /// The current conditions of the pod.
    #[oai(nullable)]
    pub conditions: Option<Vec<ConditionView>>,
    /// The statuses of the containers.
    #[oai(nullable)]
    pub container_statuses: Option<Vec<ContainerStatusView>>,
    /// The IP address of the node to which the pod is scheduled.
    #[oai(nullable)]
    pub host_ip: Option<String>,
    /// The statuses of the init containers.
    #[oai(nullable)]
    pub init_container_statuses: Option<Vec<ContainerStatusView>>,
    /// A message about why the pod is in this state.
    #[oai(nullable)]
    pub message: Option<String>,
    /// The node on which the pod preempts other pods to be scheduled.
    #[oai(nullable)]
    pub nominated_node_name: Option<String>,
    /// The phase of the pod: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[oai(nullable)]
    pub phase: Option<String>,
    /// The IP address of the pod.
    #[oai(nullable)]
    pub pod_ip: Option<String>,
    /// The quality of service class: `Guaranteed`, `Burstable` or `BestEffort`.
    #[oai(nullable)]
    pub qos_class: Option<String>,
    /// A brief reason why the pod is in this state.
    #[oai(nullable)]
    pub reason: Option<String>,
    /// When the kubelet acknowledged the pod.
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
