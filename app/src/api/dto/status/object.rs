//! Types shared by all objects.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use kqueen_domain::kubernetes;
use poem_openapi::Object;
use serde::Serialize;

use super::views;

/// Standard metadata of a Kubernetes object.
#[derive(Debug, Object, Serialize)]
pub struct ObjectMetaView {
    /// Arbitrary metadata that tools store with the object.
    #[oai(nullable)]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Always null: removed from Kubernetes.
    #[oai(nullable)]
    pub cluster_name: Option<String>,
    /// When the object was created.
    #[oai(nullable)]
    pub creation_timestamp: Option<DateTime<Utc>>,
    /// The seconds allowed for the object to terminate gracefully. Only set while it is being deleted.
    #[oai(nullable)]
    pub deletion_grace_period_seconds: Option<i64>,
    /// When the object will be deleted. Only set while it is being deleted.
    #[oai(nullable)]
    pub deletion_timestamp: Option<DateTime<Utc>>,
    /// Values that must be empty before the object is removed.
    #[oai(nullable)]
    pub finalizers: Option<Vec<String>>,
    /// The prefix from which a unique name was generated.
    #[oai(nullable)]
    pub generate_name: Option<String>,
    /// The sequence number of the desired state.
    #[oai(nullable)]
    pub generation: Option<i64>,
    /// Always null: removed from Kubernetes.
    #[oai(nullable)]
    pub initializers: Option<String>,
    /// Labels to organize and select objects.
    #[oai(nullable)]
    pub labels: Option<BTreeMap<String, String>>,
    /// The name of the object, unique within its namespace.
    #[oai(nullable)]
    pub name: Option<String>,
    /// The namespace of the object; null for objects without one.
    #[oai(nullable)]
    pub namespace: Option<String>,
    /// The objects that this object depends on.
    #[oai(nullable)]
    pub owner_references: Option<Vec<OwnerReferenceView>>,
    /// The internal version of the object.
    #[oai(nullable)]
    pub resource_version: Option<String>,
    /// Always null: removed from Kubernetes.
    #[oai(nullable)]
    pub self_link: Option<String>,
    /// The unique ID of the object, which is never reused.
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

/// A reference to an owner of an object.
#[derive(Debug, Object, Serialize)]
pub struct OwnerReferenceView {
    /// The API version of the owner.
    #[oai(nullable)]
    pub api_version: Option<String>,
    /// Whether the owner cannot be deleted from the store until this reference is removed.
    #[oai(nullable)]
    pub block_owner_deletion: Option<bool>,
    /// Whether the owner is the managing controller.
    #[oai(nullable)]
    pub controller: Option<bool>,
    /// The kind of the owner.
    #[oai(nullable)]
    pub kind: Option<String>,
    /// The name of the owner.
    #[oai(nullable)]
    pub name: Option<String>,
    /// The UID of the owner.
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

/// A condition: one aspect of the current state of an object.
#[derive(Debug, Object, Serialize)]
pub struct ConditionView {
    /// When the condition was last confirmed. Only for nodes.
    #[oai(nullable)]
    pub last_heartbeat_time: Option<DateTime<Utc>>,
    /// When the condition was last probed. Only for Pods and PersistentVolumeClaims.
    #[oai(nullable)]
    pub last_probe_time: Option<DateTime<Utc>>,
    /// When the condition last changed from one status to another.
    #[oai(nullable)]
    pub last_transition_time: Option<DateTime<Utc>>,
    /// When the condition was last updated. Only for Deployments.
    #[oai(nullable)]
    pub last_update_time: Option<DateTime<Utc>>,
    /// A message with details about the last transition.
    #[oai(nullable)]
    pub message: Option<String>,
    /// The reason for the last transition.
    #[oai(nullable)]
    pub reason: Option<String>,
    /// The status of the condition: `True`, `False` or `Unknown`.
    #[oai(nullable)]
    pub status: Option<String>,
    /// The type of the condition, for example `Ready`.
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

/// A label query over a set of objects. All requirements must be met.
#[derive(Debug, Object, Serialize)]
pub struct LabelSelectorView {
    /// The label selector requirements.
    #[oai(nullable)]
    pub match_expressions: Option<Vec<LabelRequirementView>>,
    /// Labels that objects must have.
    #[oai(nullable)]
    pub match_labels: Option<BTreeMap<String, String>>,
}

impl From<kubernetes::LabelSelector> for LabelSelectorView {
    fn from(it: kubernetes::LabelSelector) -> Self {
        Self { match_expressions: views(it.match_expressions), match_labels: it.match_labels }
    }
}

/// A label selector requirement.
#[derive(Debug, Object, Serialize)]
pub struct LabelRequirementView {
    /// The label key.
    #[oai(nullable)]
    pub key: Option<String>,
    /// The relation between the key and the values: `In`, `NotIn`, `Exists` or `DoesNotExist`.
    #[oai(nullable)]
    pub operator: Option<String>,
    /// The values; empty for `Exists` and `DoesNotExist`.
    #[oai(nullable)]
    pub values: Option<Vec<String>>,
}

impl From<kubernetes::LabelRequirement> for LabelRequirementView {
    fn from(it: kubernetes::LabelRequirement) -> Self {
        Self { key: it.key, operator: it.operator, values: it.values }
    }
}

/// Resource requirements, as Kubernetes quantities.
#[derive(Debug, Object, Serialize)]
pub struct ResourcesView {
    /// The maximum amount of each resource.
    #[oai(nullable)]
    pub limits: Option<BTreeMap<String, String>>,
    /// The minimum amount of each resource.
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
    /// The API version of the object.
    #[oai(nullable)]
    pub api_version: Option<String>,
    /// The part of the object that is referred to.
    #[oai(nullable)]
    pub field_path: Option<String>,
    /// The kind of the object.
    #[oai(nullable)]
    pub kind: Option<String>,
    /// The name of the object.
    #[oai(nullable)]
    pub name: Option<String>,
    /// The namespace of the object.
    #[oai(nullable)]
    pub namespace: Option<String>,
    /// The version of the object that the reference was made to.
    #[oai(nullable)]
    pub resource_version: Option<String>,
    /// The UID of the object.
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
