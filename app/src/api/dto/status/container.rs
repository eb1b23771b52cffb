//! Containers of pods.

use chrono::{DateTime, Utc};
use kqueen_domain::kubernetes;
use poem_openapi::Object;
use serde::Serialize;

use super::{
    fragment::{FragmentView, fragment},
    object::ResourcesView,
    views,
};

/// A container as it is meant to run.
#[derive(Debug, Object, Serialize)]
pub struct ContainerView {
    #[oai(nullable)]
    pub args: Option<Vec<String>>,
    #[oai(nullable)]
    pub command: Option<Vec<String>>,
    #[oai(nullable)]
    pub env: Option<Vec<EnvVarView>>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub env_from: Option<FragmentView>,
    #[oai(nullable)]
    pub image: Option<String>,
    #[oai(nullable)]
    pub image_pull_policy: Option<String>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub lifecycle: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub liveness_probe: Option<FragmentView>,
    #[oai(nullable)]
    pub name: Option<String>,
    #[oai(nullable)]
    pub ports: Option<Vec<ContainerPortView>>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub readiness_probe: Option<FragmentView>,
    #[oai(nullable)]
    pub resources: Option<ResourcesView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub security_context: Option<FragmentView>,
    #[oai(nullable)]
    pub stdin: Option<bool>,
    #[oai(nullable)]
    pub stdin_once: Option<bool>,
    #[oai(nullable)]
    pub termination_message_path: Option<String>,
    #[oai(nullable)]
    pub termination_message_policy: Option<String>,
    #[oai(nullable)]
    pub tty: Option<bool>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub volume_devices: Option<FragmentView>,
    /// As Kubernetes describes it, with keys in `snake_case`.
    #[oai(nullable)]
    pub volume_mounts: Option<FragmentView>,
    #[oai(nullable)]
    pub working_dir: Option<String>,
}

impl From<kubernetes::Container> for ContainerView {
    fn from(it: kubernetes::Container) -> Self {
        Self {
            args: it.args,
            command: it.command,
            env: views(it.env),
            env_from: fragment(it.env_from),
            image: it.image,
            image_pull_policy: it.image_pull_policy,
            lifecycle: fragment(it.lifecycle),
            liveness_probe: fragment(it.liveness_probe),
            name: it.name,
            ports: views(it.ports),
            readiness_probe: fragment(it.readiness_probe),
            resources: it.resources.map(Into::into),
            security_context: fragment(it.security_context),
            stdin: it.stdin,
            stdin_once: it.stdin_once,
            termination_message_path: it.termination_message_path,
            termination_message_policy: it.termination_message_policy,
            tty: it.tty,
            volume_devices: fragment(it.volume_devices),
            volume_mounts: fragment(it.volume_mounts),
            working_dir: it.working_dir,
        }
    }
}

/// An environment variable of a container. Its value is not read: it is often a password.
#[derive(Debug, Object, Serialize)]
pub struct EnvVarView {
    #[oai(nullable)]
    pub name: Option<String>,
    /// Always null: not shown.
    #[oai(nullable)]
    pub value: Option<String>,
    /// Always null: not shown.
    #[oai(nullable)]
    pub value_from: Option<String>,
}

impl From<kubernetes::EnvVar> for EnvVarView {
    fn from(it: kubernetes::EnvVar) -> Self {
        Self { name: it.name, value: None, value_from: None }
    }
}

/// A port of a container.
#[derive(Debug, Object, Serialize)]
pub struct ContainerPortView {
    #[oai(nullable)]
    pub container_port: Option<i64>,
    #[oai(nullable)]
    pub host_ip: Option<String>,
    #[oai(nullable)]
    pub host_port: Option<i64>,
    #[oai(nullable)]
    pub name: Option<String>,
    #[oai(nullable)]
    pub protocol: Option<String>,
}

impl From<kubernetes::ContainerPort> for ContainerPortView {
    fn from(it: kubernetes::ContainerPort) -> Self {
        Self {
            container_port: it.container_port,
            host_ip: it.host_ip,
            host_port: it.host_port,
            name: it.name,
            protocol: it.protocol,
        }
    }
}

/// What a container is.
#[derive(Debug, Object, Serialize)]
pub struct ContainerStatusView {
    #[oai(nullable)]
    pub container_id: Option<String>,
    #[oai(nullable)]
    pub image: Option<String>,
    #[oai(nullable)]
    pub image_id: Option<String>,
    pub last_state: ContainerStateView,
    #[oai(nullable)]
    pub name: Option<String>,
    #[oai(nullable)]
    pub ready: Option<bool>,
    #[oai(nullable)]
    pub restart_count: Option<i64>,
    pub state: ContainerStateView,
}

impl From<kubernetes::ContainerStatus> for ContainerStatusView {
    fn from(it: kubernetes::ContainerStatus) -> Self {
        Self {
            container_id: it.container_id,
            image: it.image,
            image_id: it.image_id,
            last_state: it.last_state.into(),
            name: it.name,
            ready: it.ready,
            restart_count: it.restart_count,
            state: it.state.into(),
        }
    }
}

/// The state of a container. At most one of these is set.
#[derive(Debug, Object, Serialize)]
pub struct ContainerStateView {
    #[oai(nullable)]
    pub running: Option<ContainerRunningView>,
    #[oai(nullable)]
    pub terminated: Option<ContainerTerminatedView>,
    #[oai(nullable)]
    pub waiting: Option<ContainerWaitingView>,
}

impl From<kubernetes::ContainerState> for ContainerStateView {
    fn from(it: kubernetes::ContainerState) -> Self {
        Self {
            running: it.running.map(Into::into),
            terminated: it.terminated.map(Into::into),
            waiting: it.waiting.map(Into::into),
        }
    }
}

/// It is running.
#[derive(Debug, Object, Serialize)]
pub struct ContainerRunningView {
    #[oai(nullable)]
    pub started_at: Option<DateTime<Utc>>,
}

impl From<kubernetes::ContainerRunning> for ContainerRunningView {
    fn from(it: kubernetes::ContainerRunning) -> Self {
        Self { started_at: it.started_at }
    }
}

/// It has terminated.
#[derive(Debug, Object, Serialize)]
pub struct ContainerTerminatedView {
    #[oai(nullable)]
    pub container_id: Option<String>,
    #[oai(nullable)]
    pub exit_code: Option<i64>,
    #[oai(nullable)]
    pub finished_at: Option<DateTime<Utc>>,
    #[oai(nullable)]
    pub message: Option<String>,
    #[oai(nullable)]
    pub reason: Option<String>,
    #[oai(nullable)]
    pub signal: Option<i64>,
    #[oai(nullable)]
    pub started_at: Option<DateTime<Utc>>,
}

impl From<kubernetes::ContainerTerminated> for ContainerTerminatedView {
    fn from(it: kubernetes::ContainerTerminated) -> Self {
        Self {
            container_id: it.container_id,
            exit_code: it.exit_code,
            finished_at: it.finished_at,
            message: it.message,
            reason: it.reason,
            signal: it.signal,
            started_at: it.started_at,
        }
    }
}

/// It is waiting to start.
#[derive(Debug, Object, Serialize)]
pub struct ContainerWaitingView {
    #[oai(nullable)]
    pub message: Option<String>,
    #[oai(nullable)]
    pub reason: Option<String>,
}

impl From<kubernetes::ContainerWaiting> for ContainerWaitingView {
    fn from(it: kubernetes::ContainerWaiting) -> Self {
        Self { message: it.message, reason: it.reason }
    }
}
