//! Live views of clusters, read for people: each within the time one look may take, with whatever it has to wait for.
//!
//! A cluster that hangs holds what it was given until its time is up, so [`slots`] are given out per user and per cluster: who watches
//! clusters that hang delays nobody else. Those who ask for the same view while it is being read share one answer; what is read with a
//! cluster's kubeconfig is the same whoever asks, and [`LiveViews`] has checked before that each of them may see it.

mod single_flight;
mod slots;

use std::time::Duration;

use kqueen_domain::{
    access::Caller,
    id::ClusterId,
    port::inspector::InspectError,
    revision::Revision,
    service::{
        ServiceError,
        clusters::live::{LiveCluster, LiveViews},
    },
};
use tokio::time::Instant;

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

/// A browser opens six connections; this is more than somebody with two of them needs, and four users may do so together.
const LIMITS: Limits = Limits { per_user: 16, per_cluster: 4, overall: 64, patience: Duration::from_secs(2) };

/// Views of one kind that are being read, by cluster and revision: with another kubeconfig another one is read.
type Reading<V> = SingleFlight<(ClusterId, Revision), Result<Rendered<V>, InspectError>>;

/// Reads live views.
pub struct LiveReads {
    views: LiveViews,
    timeout: Duration,
    slots: ReadSlots,
    statuses: Reading<ClusterStatusView>,
    topologies: Reading<TopologyView>,
}

impl LiveReads {
    /// Each view is there within `timeout`, or fails.
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
    /// Those of [`LiveViews::open`] and of reading, and 429 or 503 if too many are read already.
    pub async fn status(&self, caller: &Caller, id: ClusterId) -> Result<Rendered<ClusterStatusView>, ApiError> {
        let read = |cluster: LiveCluster, within| async move {
            let status = cluster.status(within).await?;
            Ok(Rendered::aside(|| ClusterStatusView::from(status)).await)
        };
        self.read(&self.statuses, caller, id, read).await
    }

    /// The same as a graph.
    ///
    /// # Errors
    /// As [`LiveReads::status`].
    pub async fn topology(&self, caller: &Caller, id: ClusterId) -> Result<Rendered<TopologyView>, ApiError> {
        let read = |cluster: LiveCluster, within| async move {
            let topology = cluster.topology(within).await?;
            Ok(Rendered::aside(|| TopologyView::from(topology)).await)
        };
        self.read(&self.topologies, caller, id, read).await
    }

    async fn read<V: 'static, F>(
        &self,
        reading: &Reading<V>,
        caller: &Caller,
        id: ClusterId,
        read: impl FnOnce(LiveCluster, Duration) -> F + Send,
    ) -> Result<Rendered<V>, ApiError>
    where
        F: Future<Output = Result<Rendered<V>, InspectError>> + Send + 'static,
    {
        let deadline = Instant::now() + self.timeout;
        let cluster = self.views.open(caller, id).await?;
        let key = (id, cluster.revision());
        if let Some(running) = reading.join(&key) {
            return Ok(running.await.map_err(ServiceError::from)?);
        }
        // The slot comes before anything that others can join: they are not to wait for a slot of this user.
        let running = match self.slots.take(caller.user, id).await {
            Ok(slot) => {
                let read = read(cluster, deadline.saturating_duration_since(Instant::now()));
                reading.join_or_start(key, async move {
                    let _slot = slot;
                    read.await
                })
            }
            // Meanwhile somebody else may have begun.
            Err(none) => reading.join(&key).ok_or(none)?,
        };
        Ok(running.await.map_err(ServiceError::from)?)
    }
}
