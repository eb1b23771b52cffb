//! A cluster as a graph.

use std::collections::BTreeMap;

use kqueen_domain::kubernetes::{Item, Topology};
use poem_openapi::{Object, Union};
use serde::Serialize;

use super::status::{
    DeploymentView, NamespaceView, NodeView, PersistentVolumeClaimView, PersistentVolumeView, PodView, ReadErrorView,
    ReplicaSetView, ServiceView, errors,
};

/// A cluster as a graph, read live.
#[derive(Debug, Object, Serialize)]
pub struct TopologyView {
    /// The objects by their uid; `kind` of each says what it is.
    pub items: BTreeMap<String, ItemView>,
    /// The kinds of objects there are, with empty values.
    pub kinds: BTreeMap<String, String>,
    /// What belongs to what: a pod leads to its namespace, node, claims and services; a deployment to its pods and replica sets.
    pub relations: Vec<RelationView>,
    /// What could not be read and why, by kind.
    pub errors: BTreeMap<String, ReadErrorView>,
}

/// An edge of the graph. Both ends are keys of `items`.
#[derive(Debug, Object, Serialize)]
pub struct RelationView {
    /// The uid where it starts.
    pub source: String,
    /// The uid where it leads.
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
    /// A claim on a volume.
    PersistentVolumeClaim(Box<PersistentVolumeClaimView>),
    /// A volume.
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
