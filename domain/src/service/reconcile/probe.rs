//! Probing attached clusters, which are only observed.

use chrono::{DateTime, Utc};

use super::{Outcome, Reconciler, Requeue};
use crate::{
    catalog::ClusterView,
    id::ClusterId,
    observation::{ObservedStatus, ProbeResult},
    port::{
        leader::Term,
        store::{ClusterCommit, RecordChange, StoreError},
    },
};

impl Reconciler {
    /// Probes one attached cluster and stores the status if it changed.
    pub(super) async fn probe_attached(&self, view: &ClusterView, term: Term) -> Result<Outcome, StoreError> {
        let cluster = &view.cluster.record;
        let kubeconfig = if cluster.has_kubeconfig { self.store.kubeconfig(cluster.id).await? } else { None };
        let Some(kubeconfig) = kubeconfig else { return Ok(Outcome::after(Requeue::Never)) };
        let probe = self.inspector.probe(&kubeconfig).await;
        let now = self.clock.now();
        let no_answer = matches!(probe, ProbeResult::NoAnswer { .. });
        let observed = ObservedStatus::after(view.observed.as_deref(), cluster.id, Some(probe), None, now);
        let unchanged_at = observed.is_none().then_some(now);
        let mut written = None;
        if observed.is_some() {
            let work = ClusterCommit { observed, term: Some(term), ..ClusterCommit::default() };
            // A result is invalid if the kubeconfig was replaced meanwhile.
            let record = RecordChange::Keep(Some(view.cluster.revision));
            written = Some(self.store.commit(cluster.id, record, work).await?);
        }
        Ok(Outcome { requeue: Requeue::Quiet, no_answer, unchanged_at, written, deadline: None })
    }

    /// Stores when clusters whose status did not change were last observed.
    ///
    /// # Errors
    /// `NotLeader`, `Unavailable`.
    pub async fn record_observation_times(
        &self,
        observed_at: Vec<(ClusterId, DateTime<Utc>)>,
    ) -> Result<(), StoreError> {
        if observed_at.is_empty() {
            return Ok(());
        }
        let term = self.leadership.term().ok_or(StoreError::NotLeader)?;
        self.store.record_observation_times(observed_at, Some(term)).await
    }
}
