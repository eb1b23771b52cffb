//! Live views: what runs in a cluster right now, read from its API.

use std::{sync::Arc, time::Duration};

use crate::{
    access::Caller,
    id::ClusterId,
    kubernetes::{ClusterStatus, Topology},
    port::inspector::{ClusterInspector, InspectError},
    revision::Revision,
    secret::Kubeconfig,
    service::{ServiceError, clusters::Clusters},
};

/// Use cases that read a live cluster. They write nothing; what is stored of a cluster is kept fresh by [`reconcile`](crate::service::reconcile).
#[derive(Clone)]
pub struct LiveViews {
    /// Finds clusters and their kubeconfigs.
    pub clusters: Arc<Clusters>,
    /// Reads them.
    pub inspector: Arc<dyn ClusterInspector>,
}

/// A cluster that may be read for whoever asked. What is read of it is the same for everybody who may see it at this revision.
pub struct LiveCluster {
    revision: Revision,
    kubeconfig: Kubeconfig,
    inspector: Arc<dyn ClusterInspector>,
}

impl LiveViews {
    /// The cluster, to be read for the caller.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` without a kubeconfig.
    pub async fn open(&self, caller: &Caller, id: ClusterId) -> Result<LiveCluster, ServiceError> {
        let view = self.clusters.get(caller, id)?;
        let kubeconfig = self.clusters.stored_kubeconfig(&view).await?;
        Ok(LiveCluster { revision: view.cluster.revision, kubeconfig, inspector: self.inspector.clone() })
    }
}

impl LiveCluster {
    /// The revision of its record, which another kubeconfig moves on.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// What runs in it.
    ///
    /// # Errors
    /// It refuses us, cannot be reached, or has not answered `within` that time.
    pub async fn status(&self, within: Duration) -> Result<ClusterStatus, InspectError> {
        self.inspector.status(&self.kubeconfig, within).await
    }

    /// The same as a graph.
    ///
    /// # Errors
    /// As [`LiveCluster::status`].
    pub async fn topology(&self, within: Duration) -> Result<Topology, InspectError> {
        self.inspector.topology(&self.kubeconfig, within).await
    }
}
