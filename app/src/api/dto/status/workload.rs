//! Deployments and replica sets.

use kqueen_domain::kubernetes;
use poem_openapi::Object;
use serde::Serialize;

use super::{
    fragment::IntOrTextView,
    object::{ConditionView, LabelSelectorView, ObjectMetaView},
    pod::PodSpecView,
    views,
};

/// The template from which pods are created.
#[derive(Debug, Object, Serialize)]
pub struct PodTemplateView {
    /// Standard object metadata.
    pub metadata: ObjectMetaView,
    /// Desired state of the pods.
    pub spec: PodSpecView,
}

impl From<kubernetes::PodTemplate> for PodTemplateView {
    fn from(it: kubernetes::PodTemplate) -> Self {
        Self { metadata: it.metadata.into(), spec: it.spec.into() }
    }
}

/// A Deployment: it enables declarative updates for pods and replica sets.
#[derive(Debug, Object, Serialize)]
pub struct DeploymentView {
    /// The version of the API: always `apps/v1`.
    pub api_version: String,
    /// The kind: always `Deployment`.
    pub kind: String,
    /// Standard object metadata.
    pub metadata: ObjectMetaView,
    /// Desired state of the deployment.
    pub spec: DeploymentSpecView,
    /// Current state of the deployment.
    pub status: DeploymentStatusView,
}

impl From<kubernetes::Deployment> for DeploymentView {
    fn from(it: kubernetes::Deployment) -> Self {
        Self {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            metadata: it.metadata.into(),
            spec: it.spec.into(),
            status: it.status.into(),
        }
    }
}

/// Desired state of the deployment.
#[derive(Debug, Object, Serialize)]
pub struct DeploymentSpecView {
    /// The seconds that a new pod must be ready to be considered available.
    #[oai(nullable)]
    pub min_ready_seconds: Option<i64>,
    /// Whether the deployment is paused.
    #[oai(nullable)]
    pub paused: Option<bool>,
    /// The seconds that the deployment may take to make progress before it is considered failed.
    #[oai(nullable)]
    pub progress_deadline_seconds: Option<i64>,
    /// The desired number of pods.
    #[oai(nullable)]
    pub replicas: Option<i64>,
    /// The number of old replica sets to keep for rollbacks.
    #[oai(nullable)]
    pub revision_history_limit: Option<i64>,
    /// Always null: removed from Kubernetes.
    #[oai(nullable)]
    pub rollback_to: Option<String>,
    /// The label query for the pods of the deployment.
    pub selector: LabelSelectorView,
    /// The strategy by which pods are replaced.
    #[oai(nullable)]
    pub strategy: Option<DeploymentStrategyView>,
    /// The template from which pods are created.
    pub template: PodTemplateView,
}

impl From<kubernetes::DeploymentSpec> for DeploymentSpecView {
    fn from(it: kubernetes::DeploymentSpec) -> Self {
        Self {
            min_ready_seconds: it.min_ready_seconds,
            paused: it.paused,
            progress_deadline_seconds: it.progress_deadline_seconds,
            replicas: it.replicas,
            revision_history_limit: it.revision_history_limit,
            rollback_to: None,
            selector: it.selector.into(),
            strategy: it.strategy.map(Into::into),
            template: it.template.into(),
        }
    }
}

/// The strategy by which pods of a deployment are replaced.
#[derive(Debug, Object, Serialize)]
pub struct DeploymentStrategyView {
    /// The parameters of a rolling update, for the type `RollingUpdate`.
    #[oai(nullable)]
    pub rolling_update: Option<RollingUpdateView>,
    /// The type of strategy: `Recreate` or `RollingUpdate`.
    #[oai(nullable)]
    pub r#type: Option<String>,
}

impl From<kubernetes::DeploymentStrategy> for DeploymentStrategyView {
    fn from(it: kubernetes::DeploymentStrategy) -> Self {
        Self { rolling_update: it.rolling_update.map(Into::into), r#type: it.r#type }
    }
}

/// The parameters of a rolling update.
#[derive(Debug, Object, Serialize)]
pub struct RollingUpdateView {
    /// The maximum number or percentage of pods above the desired number.
    #[oai(nullable)]
    pub max_surge: Option<IntOrTextView>,
    /// The maximum number or percentage of pods that may be unavailable.
    #[oai(nullable)]
    pub max_unavailable: Option<IntOrTextView>,
}

impl From<kubernetes::RollingUpdate> for RollingUpdateView {
    fn from(it: kubernetes::RollingUpdate) -> Self {
        Self { max_surge: it.max_surge.map(Into::into), max_unavailable: it.max_unavailable.map(Into::into) }
    }
}

/// Current state of the deployment.
#[derive(Debug, Object, Serialize)]
pub struct DeploymentStatusView {
    /// The number of available pods.
    #[oai(nullable)]
    pub available_replicas: Option<i64>,
    /// The number of hash collisions of the deployment.
    #[oai(nullable)]
    pub collision_count: Option<i64>,
    /// The current conditions of the deployment.
    #[oai(nullable)]
    pub conditions: Option<Vec<ConditionView>>,
    /// The generation observed by the deployment controller.
    #[oai(nullable)]
    pub observed_generation: Option<i64>,
    /// The number of ready pods.
    #[oai(nullable)]
    pub ready_replicas: Option<i64>,
    /// The number of pods that are not terminating.
    #[oai(nullable)]
    pub replicas: Option<i64>,
    /// The number of pods that are still required for full availability.
    #[oai(nullable)]
    pub unavailable_replicas: Option<i64>,
    /// The number of pods with the desired template.
    #[oai(nullable)]
    pub updated_replicas: Option<i64>,
}

impl From<kubernetes::DeploymentStatus> for DeploymentStatusView {
    fn from(it: kubernetes::DeploymentStatus) -> Self {
        Self {
            available_replicas: it.available_replicas,
            collision_count: it.collision_count,
            conditions: views(it.conditions),
            observed_generation: it.observed_generation,
            ready_replicas: it.ready_replicas,
            replicas: it.replicas,
            unavailable_replicas: it.unavailable_replicas,
            updated_replicas: it.updated_replicas,
        }
    }
}

/// A ReplicaSet: it ensures that a specified number of pods is running.
#[derive(Debug, Object, Serialize)]
pub struct ReplicaSetView {
    /// The version of the API: always `apps/v1`.
    pub api_version: String,
    /// The kind: always `ReplicaSet`.
    pub kind: String,
    /// Standard object metadata.
    pub metadata: ObjectMetaView,
    /// Desired state of the replica set.
    pub spec: ReplicaSetSpecView,
    /// Current state of the replica set.
    pub status: ReplicaSetStatusView,
}

impl From<kubernetes::ReplicaSet> for ReplicaSetView {
    fn from(it: kubernetes::ReplicaSet) -> Self {
        Self {
            api_version: "apps/v1".to_owned(),
            kind: "ReplicaSet".to_owned(),
            metadata: it.metadata.into(),
            spec: it.spec.into(),
            status: it.status.into(),
        }
    }
}

/// Desired state of the replica set.
#[derive(Debug, Object, Serialize)]
pub struct ReplicaSetSpecView {
    /// The seconds that a new pod must be ready to be considered available.
    #[oai(nullable)]
    pub min_ready_seconds: Option<i64>,
    /// The desired number of pods.
    #[oai(nullable)]
    pub replicas: Option<i64>,
    /// The label query for the pods of the replica set.
    pub selector: LabelSelectorView,
    /// The template from which pods are created.
    pub template: PodTemplateView,
}

impl From<kubernetes::ReplicaSetSpec> for ReplicaSetSpecView {
    fn from(it: kubernetes::ReplicaSetSpec) -> Self {
        Self {
            min_ready_seconds: it.min_ready_seconds,
            replicas: it.replicas,
            selector: it.selector.into(),
            template: it.template.into(),
        }
    }
}

/// Current state of the replica set.
#[derive(Debug, Object, Serialize)]
pub struct ReplicaSetStatusView {
    /// The number of available pods.
    #[oai(nullable)]
    pub available_replicas: Option<i64>,
    /// The current conditions of the replica set.
    #[oai(nullable)]
    pub conditions: Option<Vec<ConditionView>>,
    /// The number of pods with all labels of the template.
    #[oai(nullable)]
    pub fully_labeled_replicas: Option<i64>,
    /// The generation observed by the replica set controller.
    #[oai(nullable)]
    pub observed_generation: Option<i64>,
    /// The number of ready pods.
    #[oai(nullable)]
    pub ready_replicas: Option<i64>,
    /// The number of pods.
    #[oai(nullable)]
    pub replicas: Option<i64>,
}

impl From<kubernetes::ReplicaSetStatus> for ReplicaSetStatusView {
    fn from(it: kubernetes::ReplicaSetStatus) -> Self {
        Self {
            available_replicas: it.available_replicas,
            conditions: views(it.conditions),
            fully_labeled_replicas: it.fully_labeled_replicas,
            observed_generation: it.observed_generation,
            ready_replicas: it.ready_replicas,
            replicas: it.replicas,
        }
    }
}
