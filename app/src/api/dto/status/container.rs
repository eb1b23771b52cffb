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

/// A container of a pod, as specified.
#[derive(Debug, Object, Serialize)]
pub struct ContainerView {
    /// Arguments to the entrypoint.
    #[oai(nullable)]
    pub args: Option<Vec<String>>,
    /// The entrypoint; it is not run in a shell.
    #[oai(nullable)]
    pub command: Option<Vec<String>>,
    /// Environment variables to set in the container. Their values are not shown.
    #[oai(nullable)]
    pub env: Option<Vec<EnvVarView>>,
    /// Sources to populate environment variables from. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub env_from: Option<FragmentView>,
    /// The name of the container image.
    #[oai(nullable)]
    pub image: Option<String>,
    /// When the image is pulled: `Always`, `Never` or `IfNotPresent`.
    #[oai(nullable)]
    pub image_pull_policy: Option<String>,
    /// Actions to run after the container starts and before it stops. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub lifecycle: Option<FragmentView>,
    /// The periodic probe of whether the container is alive. The container is restarted if it fails. As in the Kubernetes API, with keys in
    /// `snake_case`.
    #[oai(nullable)]
    pub liveness_probe: Option<FragmentView>,
    /// The name of the container, unique within the pod.
    #[oai(nullable)]
    pub name: Option<String>,
    /// The ports to expose from the container.
    #[oai(nullable)]
    pub ports: Option<Vec<ContainerPortView>>,
    /// The periodic probe of whether the container is ready to serve requests. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub readiness_probe: Option<FragmentView>,
    /// The compute resources that the container requires.
    #[oai(nullable)]
    pub resources: Option<ResourcesView>,
    /// The security options that the container runs with. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub security_context: Option<FragmentView>,
    /// Whether a buffer for stdin is allocated.
    #[oai(nullable)]
    pub stdin: Option<bool>,
    /// Whether stdin is closed after a single attach.
    #[oai(nullable)]
    pub stdin_once: Option<bool>,
    /// The path of the file to which the container writes its termination message.
    #[oai(nullable)]
    pub termination_message_path: Option<String>,
    /// Where the termination message is taken from: `File` or `FallbackToLogsOnError`.
    #[oai(nullable)]
    pub termination_message_policy: Option<String>,
    /// Whether a TTY is allocated.
    #[oai(nullable)]
    pub tty: Option<bool>,
    /// The block devices used by the container. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub volume_devices: Option<FragmentView>,
    /// The volumes to mount into the container's filesystem. As in the Kubernetes API, with keys in `snake_case`.
    #[oai(nullable)]
    pub volume_mounts: Option<FragmentView>,
    /// The working directory of the container.
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

/// An environment variable of a container. Its value is not read, because it is often a password.
#[derive(Debug, Object, Serialize)]
pub struct EnvVarView {
    /// The name of the variable.
    #[oai(nullable)]
    pub name: Option<String>,
    /// Always null: values are not shown.
    #[oai(nullable)]
    pub value: Option<String>,
    /// Always null: values are not shown.
    #[oai(nullable)]
    pub value_from: Option<String>,
}

impl From<kubernetes::EnvVar> for EnvVarView {
    fn from(it: kubernetes::EnvVar) -> Self {
        Self { name: it.name, value: None, value_from: None }
    }
}

/// A network port of a container.
#[derive(Debug, Object, Serialize)]
pub struct ContainerPortView {
    /// The port on the pod's IP address.
    #[oai(nullable)]
    pub container_port: Option<i64>,
    /// The host IP address that the port is bound to.
    #[oai(nullable)]
    pub host_ip: Option<String>,
    /// The port on the host.
    #[oai(nullable)]
    pub host_port: Option<i64>,
    /// The name of the port, unique within the pod. Services can refer to it.
    #[oai(nullable)]
    pub name: Option<String>,
    /// The protocol: `UDP`, `TCP` or `SCTP`.
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

/// The current status of a container.
#[derive(Debug, Object, Serialize)]
pub struct ContainerStatusView {
    /// The ID of the container, in the form `<type>://<container_id>`.
    #[oai(nullable)]
    pub container_id: Option<String>,
    /// The name of the container image that the container runs.
    #[oai(nullable)]
    pub image: Option<String>,
    /// The ID of the container image.
    #[oai(nullable)]
    pub image_id: Option<String>,
    /// The last termination state of the container.
    pub last_state: ContainerStateView,
    /// The name of the container.
    #[oai(nullable)]
    pub name: Option<String>,
    /// Whether the container passes its readiness probe.
    #[oai(nullable)]
    pub ready: Option<bool>,
    /// The number of times the container has been restarted.
    #[oai(nullable)]
    pub restart_count: Option<i64>,
    /// The current state of the container.
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

/// The state of a container. At most one of its members is set.
#[derive(Debug, Object, Serialize)]
pub struct ContainerStateView {
    /// Details about a running container.
    #[oai(nullable)]
    pub running: Option<ContainerRunningView>,
    /// Details about a terminated container.
    #[oai(nullable)]
    pub terminated: Option<ContainerTerminatedView>,
    /// Details about a waiting container.
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

/// A running state of a container.
#[derive(Debug, Object, Serialize)]
pub struct ContainerRunningView {
    /// When the container was last started or restarted.
    #[oai(nullable)]
    pub started_at: Option<DateTime<Utc>>,
}

impl From<kubernetes::ContainerRunning> for ContainerRunningView {
    fn from(it: kubernetes::ContainerRunning) -> Self {
        Self { started_at: it.started_at }
    }
}

/// A terminated state of a container.
#[derive(Debug, Object, Serialize)]
pub struct ContainerTerminatedView {
    /// The ID of the container, in the form `<type>://<container_id>`.
    #[oai(nullable)]
    pub container_id: Option<String>,
    /// The exit status of the last termination.
    #[oai(nullable)]
    pub exit_code: Option<i64>,
    /// When the container last terminated.
    #[oai(nullable)]
    pub finished_at: Option<DateTime<Utc>>,
    /// A message about the last termination.
    #[oai(nullable)]
    pub message: Option<String>,
    /// A brief reason for the last termination.
    #[oai(nullable)]
    pub reason: Option<String>,
    /// The signal of the last termination.
    #[oai(nullable)]
    pub signal: Option<i64>,
    /// When the previous execution of the container started.
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

/// A waiting state of a container.
#[derive(Debug, Object, Serialize)]
pub struct ContainerWaitingView {
    /// A message about why the container is not yet running.
    #[oai(nullable)]
    pub message: Option<String>,
    /// A brief reason why the container is not yet running.
    #[oai(nullable)]
    pub reason: Option<String>,
}

impl From<kubernetes::ContainerWaiting> for ContainerWaitingView {
    fn from(it: kubernetes::ContainerWaiting) -> Self {
        Self { message: it.message, reason: it.reason }
    }
}
