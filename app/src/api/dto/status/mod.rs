//! What runs in a cluster: Kubernetes objects with keys in `snake_case` and explicit nulls.
//!
//! Every view is both declared (`Object`) and serialised (`Serialize`); nullable fields are declared as such. Keys of earlier Kubernetes
//! versions that clients know are kept and are null.
#![expect(missing_docs, reason = "the fields are those of the Kubernetes API reference")]

mod container;
mod fragment;
mod network;
mod node;
mod object;
mod pod;
mod storage;
mod workload;

use std::collections::BTreeMap;

pub use container::*;
pub use fragment::*;
use kqueen_domain::kubernetes::{self, ClusterStatus, ReadError, Section};
pub use network::*;
pub use node::*;
pub use object::*;
pub use pod::*;
use poem_openapi::Object;
use serde::Serialize;
pub use storage::*;
pub use workload::*;

/// What runs in a cluster, read live. A list that could not be read is empty and is listed in `errors`.
#[derive(Debug, Object, Serialize)]
pub struct ClusterStatusView {
    /// Services that come with the cluster or are meant to be opened: labeled `kubernetes.io/cluster-service: "true"` or
    /// annotated `kqueen/name`.
    pub addons: Vec<AddonView>,
    pub deployments: Vec<DeploymentView>,
    pub namespaces: Vec<NamespaceView>,
    pub nodes: Vec<NodeView>,
    /// The number of pods on each node. `Unknown` counts pods without a node.
    pub nodes_pods: BTreeMap<String, u64>,
    pub persistent_volume_claims: Vec<PersistentVolumeClaimView>,
    pub persistent_volumes: Vec<PersistentVolumeView>,
    pub pods: Vec<PodView>,
    pub replica_sets: Vec<ReplicaSetView>,
    pub services: Vec<ServiceView>,
    /// The version of the API server; null if it could not be read.
    #[oai(nullable)]
    pub version: Option<VersionView>,
    /// What could not be read and why, by the key of the list.
    pub errors: BTreeMap<String, ReadErrorView>,
}

/// A service shown as an addon.
#[derive(Debug, Object, Serialize)]
pub struct AddonView {
    /// Annotation `kqueen/name`, else a label that carries a name, else the service's name.
    pub name: String,
    /// Annotation `kqueen/link`: where to open it.
    #[oai(nullable)]
    pub link: Option<String>,
    /// Annotation `kqueen/icon`: the address of a picture.
    #[oai(nullable)]
    pub icon: Option<String>,
}

/// What an API server says about its version.
#[derive(Debug, Object, Serialize)]
pub struct VersionView {
    #[oai(nullable)]
    pub build_date: Option<String>,
    #[oai(nullable)]
    pub compiler: Option<String>,
    #[oai(nullable)]
    pub git_commit: Option<String>,
    #[oai(nullable)]
    pub git_tree_state: Option<String>,
    /// For people: `v1.37.2`.
    #[oai(nullable)]
    pub git_version: Option<String>,
    #[oai(nullable)]
    pub go_version: Option<String>,
    #[oai(nullable)]
    pub major: Option<String>,
    #[oai(nullable)]
    pub minor: Option<String>,
    #[oai(nullable)]
    pub platform: Option<String>,
}

/// Why a part of a cluster could not be read.
#[derive(Debug, Object, Serialize)]
pub struct ReadErrorView {
    /// A code for programs: `forbidden`, `not_served`, `timed_out`, `too_many` or `failed`.
    pub error: String,
    /// A description for people.
    pub message: String,
}

impl From<ReadError> for ReadErrorView {
    fn from(it: ReadError) -> Self {
        Self { error: it.fault.as_str().to_owned(), message: it.message }
    }
}

impl From<kubernetes::VersionInfo> for VersionView {
    fn from(it: kubernetes::VersionInfo) -> Self {
        Self {
            build_date: it.build_date,
            compiler: it.compiler,
            git_commit: it.git_commit,
            git_tree_state: it.git_tree_state,
            git_version: it.git_version,
            go_version: it.go_version,
            major: it.major,
            minor: it.minor,
            platform: it.platform,
        }
    }
}

impl From<ClusterStatus> for ClusterStatusView {
    fn from(it: ClusterStatus) -> Self {
        let all = it.snapshot;
        let addon = |it: kubernetes::Addon| AddonView { name: it.name, link: it.link, icon: it.icon };
        Self {
            addons: it.addons.into_iter().map(addon).collect(),
            deployments: all.deployments.into_iter().map(Into::into).collect(),
            namespaces: all.namespaces.into_iter().map(Into::into).collect(),
            nodes: all.nodes.into_iter().map(Into::into).collect(),
            nodes_pods: it.nodes_pods,
            persistent_volume_claims: all.persistent_volume_claims.into_iter().map(Into::into).collect(),
            persistent_volumes: all.persistent_volumes.into_iter().map(Into::into).collect(),
            pods: all.pods.into_iter().map(Into::into).collect(),
            replica_sets: all.replica_sets.into_iter().map(Into::into).collect(),
            services: all.services.into_iter().map(Into::into).collect(),
            version: all.version.map(Into::into),
            errors: errors(all.errors),
        }
    }
}

/// Errors by the key of the list they concern.
pub(super) fn errors(errors: BTreeMap<Section, ReadError>) -> BTreeMap<String, ReadErrorView> {
    errors.into_iter().map(|(section, error)| (section.key().to_owned(), error.into())).collect()
}

fn views<T, V: From<T>>(list: Option<Vec<T>>) -> Option<Vec<V>> {
    list.map(|list| list.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests;
