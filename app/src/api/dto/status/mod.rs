//! The Kubernetes objects in a cluster, with keys in `snake_case` and explicit nulls.
//!
//! Every view is both declared (`Object`) and serialised (`Serialize`); nullable fields are declared as such. Keys of earlier Kubernetes
//! versions that clients know are kept and are null.

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

/// The Kubernetes objects in a cluster, read live. A list that could not be read is empty and is listed in `errors`.
#[derive(Debug, Object, Serialize)]
pub struct ClusterStatusView {
    /// The services that are shown as addons: those with the label `kubernetes.io/cluster-service: "true"` or the
    /// annotation `kqueen/name`.
    pub addons: Vec<AddonView>,
    /// The Deployments.
    pub deployments: Vec<DeploymentView>,
    /// The Namespaces.
    pub namespaces: Vec<NamespaceView>,
    /// The Nodes.
    pub nodes: Vec<NodeView>,
    /// The number of Pods on each Node. `Unknown` counts Pods that are not scheduled to a Node.
    pub nodes_pods: BTreeMap<String, u64>,
    /// The PersistentVolumeClaims.
    pub persistent_volume_claims: Vec<PersistentVolumeClaimView>,
    /// The PersistentVolumes.
    pub persistent_volumes: Vec<PersistentVolumeView>,
    /// The Pods.
    pub pods: Vec<PodView>,
    /// The ReplicaSets.
    pub replica_sets: Vec<ReplicaSetView>,
    /// The Services.
    pub services: Vec<ServiceView>,
    /// The version of the API server; null if it could not be read.
    #[oai(nullable)]
    pub version: Option<VersionView>,
    /// What could not be read, with the reason. The keys are those of this object.
    pub errors: BTreeMap<String, ReadErrorView>,
}

/// A service shown as an addon.
#[derive(Debug, Object, Serialize)]
pub struct AddonView {
    /// The annotation `kqueen/name`, otherwise a label with a name, otherwise the name of the service.
    pub name: String,
    /// The annotation `kqueen/link`: the URL at which the addon is opened.
    #[oai(nullable)]
    pub link: Option<String>,
    /// The annotation `kqueen/icon`: the URL of its icon.
    #[oai(nullable)]
    pub icon: Option<String>,
}

/// The version information of an API server.
#[derive(Debug, Object, Serialize)]
pub struct VersionView {
    /// When the API server was built.
    #[oai(nullable)]
    pub build_date: Option<String>,
    /// The Go compiler it was built with.
    #[oai(nullable)]
    pub compiler: Option<String>,
    /// The Git commit it was built from.
    #[oai(nullable)]
    pub git_commit: Option<String>,
    /// The state of the Git tree: `clean` or `dirty`.
    #[oai(nullable)]
    pub git_tree_state: Option<String>,
    /// The full version, for example `v1.37.2`.
    #[oai(nullable)]
    pub git_version: Option<String>,
    /// The version of Go it was built with.
    #[oai(nullable)]
    pub go_version: Option<String>,
    /// The major version.
    #[oai(nullable)]
    pub major: Option<String>,
    /// The minor version.
    #[oai(nullable)]
    pub minor: Option<String>,
    /// The platform, for example `linux/amd64`.
    #[oai(nullable)]
    pub platform: Option<String>,
}

/// Why a part of the response could not be read.
#[derive(Debug, Object, Serialize)]
pub struct ReadErrorView {
    /// The kind of error, for programs:
    ///
    /// - `forbidden`: The credentials in the kubeconfig are not allowed to read this kind.
    /// - `not_served`: The cluster does not serve this kind.
    /// - `timed_out`: It could not be read in time.
    /// - `too_many`: The cluster has more objects than can be shown.
    /// - `failed`: Any other error.
    pub error: String,
    /// A description of the error for people.
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
