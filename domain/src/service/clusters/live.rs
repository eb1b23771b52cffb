//! Live views: what runs in a cluster now, read from its API.

use std::{sync::Arc, time::Duration};

use crate::{
    access::Caller,
    id::ClusterId,
    kubernetes::{ClusterStatus, Topology},
    observation::EngineError,
    port::inspector::{ClusterInspector, InspectError},
    revision::Revision,
    secret::Kubeconfig,
    service::{
        ServiceError,
        clusters::Clusters,
        provisioners::providers::{ClusterAccess, Providers},
    },
};

/// Use cases that read a live cluster. They write nothing; the stored status is updated by [`reconcile`](crate::service::reconcile).
#[derive(Clone)]
pub struct LiveViews {
    /// Finds clusters and their kubeconfigs.
    pub clusters: Arc<Clusters>,
    /// Issues tokens for those whose kubeconfig contains no credentials.
    pub providers: Providers,
    /// Reads their APIs.
    pub inspector: Arc<dyn ClusterInspector>,
}

/// A cluster that the caller may read. At one revision the answer is the same for every caller who may see the cluster.
pub struct LiveCluster {
    revision: Revision,
    access: ClusterAccess,
    inspector: Arc<dyn ClusterInspector>,
}

impl LiveViews {
    /// Opens a cluster for the caller.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` without a kubeconfig.
    pub async fn open(&self, caller: &Caller, id: ClusterId) -> Result<LiveCluster, ServiceError> {
        let view = self.clusters.get(caller, id)?;
        let stored = self.clusters.stored_kubeconfig(&view).await?;
        let access = self.providers.access(&view, stored).await?;
        Ok(LiveCluster { revision: view.cluster.revision, access, inspector: self.inspector.clone() })
    }
}

impl LiveCluster {
    /// The revision of its record. It changes when the kubeconfig is replaced.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The kubeconfig to read it with. May call the provider, whose engine ends that in half a minute: the caller limits it further.
    ///
    /// # Errors
    /// The engine issues no token.
    pub async fn kubeconfig(&self) -> Result<Kubeconfig, InspectError> {
        self.access.kubeconfig().await.map_err(|error| no_token(&error))
    }

    /// What runs in it.
    ///
    /// # Errors
    /// The cluster refuses access, cannot be reached, or does not answer `within` that time.
    pub async fn status(&self, kubeconfig: &Kubeconfig, within: Duration) -> Result<ClusterStatus, InspectError> {
        self.inspector.status(kubeconfig, within).await
    }

    /// The same, as a graph.
    ///
    /// # Errors
    /// As [`LiveCluster::status`].
    pub async fn topology(&self, kubeconfig: &Kubeconfig, within: Duration) -> Result<Topology, InspectError> {
        self.inspector.topology(kubeconfig, within).await
    }
}

fn no_token(error: &EngineError) -> InspectError {
    let message = format!("no token to access the cluster can be issued: {}", error.reason());
    match error {
        EngineError::Unreachable(_) | EngineError::Throttled { .. } | EngineError::Busy(_) => {
            InspectError::Unreachable(message)
        }
        EngineError::Unsupported(_)
        | EngineError::NotOffered
        | EngineError::Rejected(_)
        | EngineError::Denied(_)
        | EngineError::Missing => InspectError::Refused(message),
    }
}
