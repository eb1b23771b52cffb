//! Types shared by all objects.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use kqueen_domain::kubernetes;
use poem_openapi::Object;
use serde::Serialize;

use super::views;

/// Identity, labels and ownership of an object.
#[derive(Debug, Object, Serialize)]
pub struct ObjectMetaView {
    #[oai(nullable)]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Always null: Kubernetes no longer has it.
    #[oai(nullable)]
    pub cluster_name: Option<String>,
    #[oai(nullable)]
    pub creation_timestamp: Option<DateTime<Utc>>,
    #[oai(nullable)]
    pub deletion_grace_period_seconds: Option<i64>,
    #[oai(nullable)]
    pub deletion_timestamp: Option<DateTime<Utc>>,
    #[oai(nullable)]
    pub finalizers: Option<Vec<String>>,
    #[oai(nullable)]
    pub generate_name: Option<String>,
    #[oai(nullable)]
    pub generation: Option<i64>,
    /// Always null: Kubernetes no longer has it.
    #[oai(nullable)]
    pub initializers: Option<String>,
    #[oai(nullable)]
    pub labels: Option<BTreeMap<String, String>>,
    #[oai(nullable)]
    pub name: Option<String>,
    #[oai(nullable)]
    pub namespace: Option<String>,
    #[oai(nullable)]
    pub owner_references: Option<Vec<OwnerReferenceView>>,
    #[oai(nullable)]
    pub resource_version: Option<String>,
    /// Always null: Kubernetes no longer has it.
    #[oai(nullable)]
    pub self_link: Option<String>,
    #[oai(nullable)]
    pub uid: Option<String>,
}

impl From<kubernetes::ObjectMeta> for ObjectMetaView {
    fn from(it: kubernetes::ObjectMeta) -> Self {
        Self {
            annotations: it.annotations,
            cluster_name: None,
            creation_timestamp: it.creation_timestamp,
            deletion_grace_period_seconds: it.deletion_grace_period_seconds,
            deletion_timestamp: it.deletion_timestamp,
            finalizers: it.finalizers,
            generate_name: it.generate_name,
            generation: it.generation,
            initializers: None,
            labels: it.labels,
            name: it.name,
            namespace: it.namespace,
            owner_references: views(it.owner_references),
            resource_version: it.resource_version,
            self_link: None,
            uid: it.uid,
        }
    }
}

/// What an object belongs to.
#[derive(Debug, Object, Serialize)]
pub struct OwnerReferenceView {
    #[oai(nullable)]
    pub api_version: Option<String>,
    #[oai(nullable)]
    pub block_owner_deletion: Option<bool>,
    #[oai(nullable)]
    pub controller: Option<bool>,
    #[oai(nullable)]
    pub kind: Option<String>,
    #[oai(nullable)]
    pub name: Option<String>,
    #[oai(nullable)]
    pub uid: Option<String>,
}

impl From<kubernetes::OwnerReference> for OwnerReferenceView {
    fn from(it: kubernetes::OwnerReference) -> Self {
        Self {
            api_version: it.api_version,
            block_owner_deletion: it.block_owner_deletion,
            controller: it.controller,
            kind: it.kind,
            name: it.name,
            uid: it.uid,
        }
    }
}

/// One aspect of an object's state.
#[derive(Debug, Object, Serialize)]
pub struct ConditionView {
    #[oai(nullable)]
    pub last_heartbeat_time: Option<DateTime<Utc>>,
    #[oai(nullable)]
    pub last_probe_time: Option<DateTime<Utc>>,
    #[oai(nullable)]
    pub last_transition_time: Option<DateTime<Utc>>,
    #[oai(nullable)]
    pub last_update_time: Option<DateTime<Utc>>,
    #[oai(nullable)]
    pub message: Option<String>,
    #[oai(nullable)]
    pub reason: Option<String>,
    #[oai(nullable)]
    pub status: Option<String>,
    #[oai(nullable)]
    pub r#type: Option<String>,
}

impl From<kubernetes::Condition> for ConditionView {
    fn from(it: kubernetes::Condition) -> Self {
        Self {
            last_heartbeat_time: it.last_heartbeat_time,
            last_probe_time: it.last_probe_time,
            last_transition_time: it.last_transition_time,
            last_update_time: it.last_update_time,
            message: it.message,
            reason: it.reason,
            status: it.status,
            r#type: it.r#type,
        }
    }
}

/// Which objects are meant, by their labels.
#[derive(Debug, Object, Serialize)]
pub struct LabelSelectorView {
    #[oai(nullable)]
    pub match_expressions: Option<Vec<LabelRequirementView>>,
    #[oai(nullable)]
    pub match_labels: Option<BTreeMap<String, String>>,
}

impl From<kubernetes::LabelSelector> for LabelSelectorView {
    fn from(it: kubernetes::LabelSelector) -> Self {
        Self { match_expressions: views(it.match_expressions), match_labels: it.match_labels }
    }
}

/// One condition on a label.
#[derive(Debug, Object, Serialize)]
pub struct LabelRequirementView {
    #[oai(nullable)]
    pub key: Option<String>,
    #[oai(nullable)]
    pub operator: Option<String>,
    #[oai(nullable)]
    pub values: Option<Vec<String>>,
}

impl From<kubernetes::LabelRequirement> for LabelRequirementView {
    fn from(it: kubernetes::LabelRequirement) -> Self {
        Self { key: it.key, operator: it.operator, values: it.values }
    }
}

/// Amounts of resources, as Kubernetes writes quantities.
#[derive(Debug, Object, Serialize)]
pub struct ResourcesView {
    #[oai(nullable)]
    pub limits: Option<BTreeMap<String, String>>,
    #[oai(nullable)]
    pub requests: Option<BTreeMap<String, String>>,
}

impl From<kubernetes::Resources> for ResourcesView {
    fn from(it: kubernetes::Resources) -> Self {
        Self { limits: it.limits, requests: it.requests }
    }
}

/// A reference to another object.
#[derive(Debug, Object, Serialize)]
pub struct ObjectReferenceView {
    #[oai(nullable)]
    pub api_version: Option<String>,
    #[oai(nullable)]
    pub field_path: Option<String>,
    #[oai(nullable)]
    pub kind: Option<String>,
    #[oai(nullable)]
    pub name: Option<String>,
    #[oai(nullable)]
    pub namespace: Option<String>,
    #[oai(nullable)]
    pub resource_version: Option<String>,
    #[oai(nullable)]
    pub uid: Option<String>,
}

impl From<kubernetes::ObjectReference> for ObjectReferenceView {
    fn from(it: kubernetes::ObjectReference) -> Self {
        Self {
            api_version: it.api_version,
            field_path: it.field_path,
            kind: it.kind,
            name: it.name,
            namespace: it.namespace,
            resource_version: it.resource_version,
            uid: it.uid,
        }
    }
}
