//! Live views of clusters. Each request ends within the observation timeout, including the time it waits.
//!
//! A read of a hanging cluster keeps its slot until the timeout. So [`slots`] are limited per user, per cluster and per organization: a
//! user who reads hanging clusters delays nobody else, and all users of an organization together delay no other organization. Concurrent
//! requests for the same view share one read: the result depends only on the cluster's kubeconfig, not on the caller, and [`LiveViews`] has
//! already checked that each caller may see it.

mod single_flight;
mod slots;

use std::time::Duration;

use kqueen_domain::{
    access::Caller,
    id::ClusterId,
    port::inspector::InspectError,
    revision::Revision,
    secret::Kubeconfig,
    service::{
        ServiceError,
        clusters::live::{LiveCluster, LiveViews},
    },
};
use tokio::time::{Instant, timeout_at};

pub use slots::NoSlot;

use self::{
    single_flight::SingleFlight,
    slots::{Limits, ReadSlots},
};
use super::{
    dto::{status::ClusterStatusView, topology::TopologyView},
    rendered::Rendered,
};
use crate::error::ApiError;

/// A browser opens six connections: `per_user` is more than two browsers need, and `overall` allows that for four users at once, of whom no
/// more than two are of the same organization.
const LIMITS: Limits =
    Limits { per_user: 16, per_cluster: 4, per_organization: 32, overall: 64, max_wait: Duration::from_secs(2) };

/// Running reads of one kind of view, by cluster and revision, which changes with the kubeconfig.
type RunningReads<V> = SingleFlight<(ClusterId, Revision), Result<Rendered<V>, InspectError>>;

/// Reads live views.
pub struct LiveReads {
    views: LiveViews,
    timeout: Duration,
    slots: ReadSlots,
    statuses: RunningReads<ClusterStatusView>,
    topologies: RunningReads<TopologyView>,
}

impl LiveReads {
    /// Reads that fail after `timeout`.
    #[must_use]
    pub fn new(views: LiveViews, timeout: Duration) -> Self {
        Self {
            views,
            timeout,
            slots: ReadSlots::new(LIMITS),
            statuses: SingleFlight::default(),
            topologies: SingleFlight::default(),
        }
    }

    /// What runs in the cluster.
    ///
    /// # Errors
    /// Those of [`LiveViews::open`] and of the read, and 429 or 503 if too many reads are running.
    pub async fn status(&self, caller: &Caller, id: ClusterId) -> Result<Rendered<ClusterStatusView>, ApiError> {
        let read = |cluster: LiveCluster, deadline| async move {
            let (kubeconfig, within) = access(&cluster, deadline).await?;
            let status = cluster.status(&kubeconfig, within).await?;
            Ok(Rendered::blocking(|| ClusterStatusView::from(status)).await)
        };
        self.read(&self.statuses, caller, id, read).await
    }

    /// What runs in the cluster, as a graph.
    ///
    /// # Errors
    /// As [`LiveReads::status`].
    pub async fn topology(&self, caller: &Caller, id: ClusterId) -> Result<Rendered<TopologyView>, ApiError> {
        let read = |cluster: LiveCluster, deadline| async move {
            let (kubeconfig, within) = access(&cluster, deadline).await?;
            let topology = cluster.topology(&kubeconfig, within).await?;
            Ok(Rendered::blocking(|| TopologyView::from(topology)).await)
        };
        self.read(&self.topologies, caller, id, read).await
    }

    async fn read<V: 'static, F>(
        &self,
        reads: &RunningReads<V>,
        caller: &Caller,
        id: ClusterId,
        read: impl FnOnce(LiveCluster, Instant) -> F + Send,
    ) -> Result<Rendered<V>, ApiError>
    where
        F: Future<Output = Result<Rendered<V>, InspectError>> + Send + 'static,
    {
        let deadline = Instant::now() + self.timeout;
        let cluster = self.views.open(caller, id).await?;
        let key = (id, cluster.revision());
        if let Some(running) = reads.join(&key) {
            return Ok(running.await.map_err(ServiceError::from)?);
        }
        // Take the slot before starting a read that others can join, so that they do not wait for a slot of this user.
        let running = match self.slots.take(caller, id).await {
            Ok(slot) => {
                let read = read(cluster, deadline);
                reads.join_or_start(key, async move {
                    let _slot = slot;
                    read.await
                })
            }
            // Another request may have started the read meanwhile.
            Err(none) => reads.join(&key).ok_or(none)?,
        };
        Ok(running.await.map_err(ServiceError::from)?)
    }
}

/// The kubeconfig to read a cluster with, and the time that is left for reading. A provider that does not issue a token by `deadline`
/// takes all of it.
async fn access(cluster: &LiveCluster, deadline: Instant) -> Result<(Kubeconfig, Duration), InspectError> {
    let late =
        |_| InspectError::TimedOut("the provider did not issue a token to access the cluster in time".to_owned());
    let kubeconfig = timeout_at(deadline, cluster.kubeconfig()).await.map_err(late)??;
    Ok((kubeconfig, deadline.saturating_duration_since(Instant::now())))
}
