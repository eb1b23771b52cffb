//! Pods and their containers.
#![expect(missing_docs, reason = "the fields are those of the Kubernetes API reference")]

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{
    fragment::{Fragment, null_is_default},
    object::{Condition, ObjectMeta, Resources},
};

/// A group of containers that run together.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    #[serde(deserialize_with = "null_is_default")]
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "null_is_default")]
    pub spec: PodSpec,
    #[serde(deserialize_with = "null_is_default")]
    pub status: PodStatus,
}

/// The desired state of a pod.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    pub active_deadline_seconds: Option<i64>,
    pub affinity: Option<Fragment>,
    pub automount_service_account_token: Option<bool>,
    #[serde(deserialize_with = "null_is_default")]
    pub containers: Vec<Container>,
    pub dns_config: Option<Fragment>,
    pub dns_policy: Option<String>,
    pub host_aliases: Option<Fragment>,
    #[serde(rename = "hostIPC")]
    pub host_ipc: Option<bool>,
    pub host_network: Option<bool>,
    #[serde(rename = "hostPID")]
    pub host_pid: Option<bool>,
    pub hostname: Option<String>,
    pub image_pull_secrets: Option<Vec<LocalReference>>,
    pub init_containers: Option<Vec<Container>>,
    pub node_name: Option<String>,
    pub node_selector: Option<BTreeMap<String, String>>,
    pub priority: Option<i64>,
    pub priority_class_name: Option<String>,
    pub restart_policy: Option<String>,
    pub scheduler_name: Option<String>,
    pub security_context: Option<Fragment>,
    pub service_account: Option<String>,
    pub service_account_name: Option<String>,
    pub share_process_namespace: Option<bool>,
    pub subdomain: Option<String>,
    pub termination_grace_period_seconds: Option<i64>,
    pub tolerations: Option<Vec<Toleration>>,
    pub volumes: Option<Fragment>,
}

/// The name of an object in the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LocalReference {
    pub name: Option<String>,
}

/// A taint that a pod tolerates.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    pub effect: Option<String>,
    pub key: Option<String>,
    pub operator: Option<String>,
    pub toleration_seconds: Option<i64>,
    pub value: Option<String>,
}

/// The desired state of a container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    pub args: Option<Vec<String>>,
    pub command: Option<Vec<String>>,
    pub env: Option<Vec<EnvVar>>,
    pub env_from: Option<Fragment>,
    pub image: Option<String>,
    pub image_pull_policy: Option<String>,
    pub lifecycle: Option<Fragment>,
    pub liveness_probe: Option<Fragment>,
    pub name: Option<String>,
    pub ports: Option<Vec<ContainerPort>>,
    pub readiness_probe: Option<Fragment>,
    pub resources: Option<Resources>,
    pub security_context: Option<Fragment>,
    pub stdin: Option<bool>,
    pub stdin_once: Option<bool>,
    pub termination_message_path: Option<String>,
    pub termination_message_policy: Option<String>,
    pub tty: Option<bool>,
    pub volume_devices: Option<Fragment>,
    pub volume_mounts: Option<Fragment>,
    pub working_dir: Option<String>,
}

/// An environment variable of a container. Its value is not read: it is often a password.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    pub name: Option<String>,
}

/// A port of a container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    pub container_port: Option<i64>,
    #[serde(rename = "hostIP")]
    pub host_ip: Option<String>,
    pub host_port: Option<i64>,
    pub name: Option<String>,
    pub protocol: Option<String>,
}

/// The observed state of a pod.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    pub conditions: Option<Vec<Condition>>,
    pub container_statuses: Option<Vec<ContainerStatus>>,
    #[serde(rename = "hostIP")]
    pub host_ip: Option<String>,
    pub init_container_statuses: Option<Vec<ContainerStatus>>,
    pub message: Option<String>,
    pub nominated_node_name: Option<String>,
    pub phase: Option<String>,
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    pub qos_class: Option<String>,
    pub reason: Option<String>,
    pub start_time: Option<DateTime<Utc>>,
}

/// The observed state of a container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    #[serde(rename = "containerID")]
    pub container_id: Option<String>,
    pub image: Option<String>,
    #[serde(rename = "imageID")]
    pub image_id: Option<String>,
    #[serde(deserialize_with = "null_is_default")]
    pub last_state: ContainerState,
    pub name: Option<String>,
    pub ready: Option<bool>,
    pub restart_count: Option<i64>,
    #[serde(deserialize_with = "null_is_default")]
    pub state: ContainerState,
}

/// A state of a container: at most one of these is set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerState {
    pub running: Option<ContainerRunning>,
    pub terminated: Option<ContainerTerminated>,
    pub waiting: Option<ContainerWaiting>,
}

/// The container runs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerRunning {
    pub started_at: Option<DateTime<Utc>>,
}

/// The container has terminated.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerTerminated {
    #[serde(rename = "containerID")]
    pub container_id: Option<String>,
    pub exit_code: Option<i64>,
    pub finished_at: Option<DateTime<Utc>>,
    pub message: Option<String>,
    pub reason: Option<String>,
    pub signal: Option<i64>,
    pub started_at: Option<DateTime<Utc>>,
}

/// The container has not started yet.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerWaiting {
    pub message: Option<String>,
    pub reason: Option<String>,
}
