//! Deployments and replica sets.
#![expect(missing_docs, reason = "the fields are those of the Kubernetes API reference")]

use serde::Deserialize;

use super::{
    fragment::{IntOrText, null_is_default},
    object::{Condition, LabelSelector, ObjectMeta},
    pod::PodSpec,
};

/// The template for pods.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplate {
    #[serde(deserialize_with = "null_is_default")]
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "null_is_default")]
    pub spec: PodSpec,
}

/// Runs a number of identical pods and updates them gradually.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Deployment {
    #[serde(deserialize_with = "null_is_default")]
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "null_is_default")]
    pub spec: DeploymentSpec,
    #[serde(deserialize_with = "null_is_default")]
    pub status: DeploymentStatus,
}

/// The desired state of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentSpec {
    pub min_ready_seconds: Option<i64>,
    pub paused: Option<bool>,
    pub progress_deadline_seconds: Option<i64>,
    pub replicas: Option<i64>,
    pub revision_history_limit: Option<i64>,
    #[serde(deserialize_with = "null_is_default")]
    pub selector: LabelSelector,
    pub strategy: Option<DeploymentStrategy>,
    #[serde(deserialize_with = "null_is_default")]
    pub template: PodTemplate,
}

/// How pods are updated.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStrategy {
    pub rolling_update: Option<RollingUpdate>,
    pub r#type: Option<String>,
}

/// How many pods are updated at a time.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    pub max_surge: Option<IntOrText>,
    pub max_unavailable: Option<IntOrText>,
}

/// The observed state of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    pub available_replicas: Option<i64>,
    pub collision_count: Option<i64>,
    pub conditions: Option<Vec<Condition>>,
    pub observed_generation: Option<i64>,
    pub ready_replicas: Option<i64>,
    pub replicas: Option<i64>,
    pub unavailable_replicas: Option<i64>,
    pub updated_replicas: Option<i64>,
}

/// Runs a number of identical pods.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSet {
    #[serde(deserialize_with = "null_is_default")]
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "null_is_default")]
    pub spec: ReplicaSetSpec,
    #[serde(deserialize_with = "null_is_default")]
    pub status: ReplicaSetStatus,
}

/// The desired state of a replica set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetSpec {
    pub min_ready_seconds: Option<i64>,
    pub replicas: Option<i64>,
    #[serde(deserialize_with = "null_is_default")]
    pub selector: LabelSelector,
    #[serde(deserialize_with = "null_is_default")]
    pub template: PodTemplate,
}

/// The observed state of a replica set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetStatus {
    pub available_replicas: Option<i64>,
    pub conditions: Option<Vec<Condition>>,
    pub fully_labeled_replicas: Option<i64>,
    pub observed_generation: Option<i64>,
    pub ready_replicas: Option<i64>,
    pub replicas: Option<i64>,
}
