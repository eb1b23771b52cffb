//! A cluster as a graph.

use std::collections::BTreeMap;

use kqueen_domain::kubernetes::{Item, Topology};
use poem_openapi::{Object, Union};
use serde::Serialize;

use super::status::{
    DeploymentView, NamespaceView, NodeView, PersistentVolumeClaimView, PersistentVolumeView, PodView, ReadErrorView,
    ReplicaSetView, ServiceView, errors,
};

/// The Kubernetes objects in a cluster as a graph, read live.
#[derive(Debug, Object, Serialize)]
pub struct TopologyView {
    /// The objects by UID, each with its `kind`.
    pub items: BTreeMap<String, ItemView>,
    /// The kinds of the objects, as keys with empty values.
    pub kinds: BTreeMap<String, String>,
    /// The relations between objects: from a pod to its namespace, node, claims and services, from a deployment to its pods and replica
    /// sets, from a replica set to its pods, from a claim to its volume, and from objects to their namespace.
    pub relations: Vec<RelationView>,
    /// What could not be read, with the reason, by kind.
    pub errors: BTreeMap<String, ReadErrorView>,
}

/// A directed edge of the graph. Both ends are keys of `items`.
#[derive(Debug, Object, Serialize)]
pub struct RelationView {
    /// The UID of the object from which it leads.
    pub source: String,
    /// The UID of the object to which it leads.
    pub target: String,
}

/// An object of the graph.
#[derive(Debug, Union, Serialize)]
#[serde(untagged)]
pub enum ItemView {
    /// A pod.
    Pod(Box<PodView>),
    /// A service.
    Service(Box<ServiceView>),
    /// A node.
    Node(Box<NodeView>),
    /// A namespace.
    Namespace(Box<NamespaceView>),
    /// A deployment.
    Deployment(Box<DeploymentView>),
    /// A replica set.
    ReplicaSet(Box<ReplicaSetView>),
    /// A persistent volume claim.
    PersistentVolumeClaim(Box<PersistentVolumeClaimView>),
    /// A persistent volume.
    PersistentVolume(Box<PersistentVolumeView>),
}

impl From<Item> for ItemView {
    fn from(item: Item) -> Self {
        match item {
            Item::Pod(it) => Self::Pod(Box::new(it.into())),
            Item::Service(it) => Self::Service(Box::new(it.into())),
            Item::Node(it) => Self::Node(Box::new(it.into())),
            Item::Namespace(it) => Self::Namespace(Box::new(it.into())),
            Item::Deployment(it) => Self::Deployment(Box::new(it.into())),
            Item::ReplicaSet(it) => Self::ReplicaSet(Box::new(it.into())),
            Item::PersistentVolumeClaim(it) => Self::PersistentVolumeClaim(Box::new(it.into())),
            Item::PersistentVolume(it) => Self::PersistentVolume(Box::new(it.into())),
        }
    }
}

impl From<Topology> for TopologyView {
    fn from(it: Topology) -> Self {
        let kinds = it.kinds().into_iter().map(|kind| (kind.to_owned(), String::new())).collect();
        let relation = |it: kqueen_domain::kubernetes::Relation| RelationView { source: it.source, target: it.target };
        Self {
            items: it.items.into_iter().map(|(uid, item)| (uid, item.into())).collect(),
            kinds,
            relations: it.relations.into_iter().map(relation).collect(),
            errors: errors(it.errors),
        }
    }
}
