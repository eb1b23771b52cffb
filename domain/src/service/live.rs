//! Live views: what runs in a cluster right now, read from its API.

use std::sync::Arc;

use super::{ServiceError, clusters::Clusters};
use crate::{
    access::Caller,
    id::ClusterId,
    kubernetes::{ClusterStatus, Topology},
    port::inspector::ClusterInspector,
};

/// Use cases that read a live cluster. They write nothing; what is stored of a cluster is kept fresh by [`super::reconcile`].
pub struct LiveViews {
    /// Finds clusters and their kubeconfigs.
    pub clusters: Arc<Clusters>,
    /// Reads them.
    pub inspector: Arc<dyn ClusterInspector>,
}

impl LiveViews {
    /// What runs in the cluster.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` without a kubeconfig; `Upstream`, `UpstreamTimeout`.
    pub async fn status(&self, caller: &Caller, id: ClusterId) -> Result<ClusterStatus, ServiceError> {
        let view = self.clusters.get(caller, id)?;
        let kubeconfig = self.clusters.stored_kubeconfig(&view).await?;
        Ok(self.inspector.status(&kubeconfig).await?)
    }

    /// The same as a graph.
    ///
    /// # Errors
    /// As [`LiveViews::status`].
    pub async fn topology(&self, caller: &Caller, id: ClusterId) -> Result<Topology, ServiceError> {
        let view = self.clusters.get(caller, id)?;
        let kubeconfig = self.clusters.stored_kubeconfig(&view).await?;
        Ok(self.inspector.topology(&kubeconfig).await?)
    }
}
