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

/// What pods are made from.
#[derive(Debug, Object, Serialize)]
pub struct PodTemplateView {
    pub metadata: ObjectMetaView,
    pub spec: PodSpecView,
}

impl From<kubernetes::PodTemplate> for PodTemplateView {
    fn from(it: kubernetes::PodTemplate) -> Self {
        Self { metadata: it.metadata.into(), spec: it.spec.into() }
    }
}

/// Keeps a number of equal pods and replaces them step by step.
#[derive(Debug, Object, Serialize)]
pub struct DeploymentView {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    pub metadata: ObjectMetaView,
    pub spec: DeploymentSpecView,
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

/// What a deployment is meant to be.
#[derive(Debug, Object, Serialize)]
pub struct DeploymentSpecView {
    #[oai(nullable)]
    pub min_ready_seconds: Option<i64>,
    #[oai(nullable)]
    pub paused: Option<bool>,
    #[oai(nullable)]
    pub progress_deadline_seconds: Option<i64>,
    #[oai(nullable)]
    pub replicas: Option<i64>,
    #[oai(nullable)]
    pub revision_history_limit: Option<i64>,
    /// Always null: Kubernetes no longer has it.
    #[oai(nullable)]
    pub rollback_to: Option<String>,
    pub selector: LabelSelectorView,
    #[oai(nullable)]
    pub strategy: Option<DeploymentStrategyView>,
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

/// How pods are replaced.
#[derive(Debug, Object, Serialize)]
pub struct DeploymentStrategyView {
    #[oai(nullable)]
    pub rolling_update: Option<RollingUpdateView>,
    #[oai(nullable)]
    pub r#type: Option<String>,
}

impl From<kubernetes::DeploymentStrategy> for DeploymentStrategyView {
    fn from(it: kubernetes::DeploymentStrategy) -> Self {
        Self { rolling_update: it.rolling_update.map(Into::into), r#type: it.r#type }
    }
}

/// How many pods are replaced at a time.
#[derive(Debug, Object, Serialize)]
pub struct RollingUpdateView {
    #[oai(nullable)]
    pub max_surge: Option<IntOrTextView>,
    #[oai(nullable)]
    pub max_unavailable: Option<IntOrTextView>,
}

impl From<kubernetes::RollingUpdate> for RollingUpdateView {
    fn from(it: kubernetes::RollingUpdate) -> Self {
        Self { max_surge: it.max_surge.map(Into::into), max_unavailable: it.max_unavailable.map(Into::into) }
    }
}

/// What a deployment is.
#[derive(Debug, Object, Serialize)]
pub struct DeploymentStatusView {
    #[oai(nullable)]
    pub available_replicas: Option<i64>,
    #[oai(nullable)]
    pub collision_count: Option<i64>,
    #[oai(nullable)]
    pub conditions: Option<Vec<ConditionView>>,
    #[oai(nullable)]
    pub observed_generation: Option<i64>,
    #[oai(nullable)]
    pub ready_replicas: Option<i64>,
    #[oai(nullable)]
    pub replicas: Option<i64>,
    #[oai(nullable)]
    pub unavailable_replicas: Option<i64>,
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

/// Keeps a number of equal pods.
#[derive(Debug, Object, Serialize)]
pub struct ReplicaSetView {
    /// `apps/v1`.
    pub api_version: String,
    /// `ReplicaSet`.
    pub kind: String,
    pub metadata: ObjectMetaView,
    pub spec: ReplicaSetSpecView,
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

/// What a replica set is meant to be.
#[derive(Debug, Object, Serialize)]
pub struct ReplicaSetSpecView {
    #[oai(nullable)]
    pub min_ready_seconds: Option<i64>,
    #[oai(nullable)]
    pub replicas: Option<i64>,
    pub selector: LabelSelectorView,
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

/// What a replica set is.
#[derive(Debug, Object, Serialize)]
pub struct ReplicaSetStatusView {
    #[oai(nullable)]
    pub available_replicas: Option<i64>,
    #[oai(nullable)]
    pub conditions: Option<Vec<ConditionView>>,
    #[oai(nullable)]
    pub fully_labeled_replicas: Option<i64>,
    #[oai(nullable)]
    pub observed_generation: Option<i64>,
    #[oai(nullable)]
    pub ready_replicas: Option<i64>,
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
