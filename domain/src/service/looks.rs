//! Looking at clusters in the background: what was seen is stored when it changed, its age otherwise.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::ServiceError;
use crate::{
    catalog::{Catalog, ClusterView},
    cluster::{Cluster, Look, Sighting, overdue},
    id::ClusterId,
    port::{
        clock::Clock,
        inspector::ClusterInspector,
        store::{ClusterSecrets, ClusterStore, StoreError},
    },
};

/// What became of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// Something is different; it has been stored.
    Changed,
    /// Nothing is different; only the age is to be noted, which is done for many clusters at once.
    Same(DateTime<Utc>),
    /// There is nothing to look at: no such cluster any more, or no kubeconfig.
    Nothing,
}

/// Looks at clusters.
pub struct Looks {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where sightings are stored.
    pub store: Arc<dyn ClusterStore>,
    /// Reads live clusters.
    pub inspector: Arc<dyn ClusterInspector>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Looks {
    /// Looks at one cluster and stores what has changed.
    ///
    /// # Errors
    /// The store's.
    pub async fn look_at(&self, id: ClusterId) -> Result<Looked, ServiceError> {
        let Some(view) = self.catalog.cluster(id).filter(|view| view.cluster.record.has_kubeconfig) else {
            return Ok(Looked::Nothing);
        };
        let Some(kubeconfig) = self.store.kubeconfig(id).await? else { return Ok(Looked::Nothing) };
        let look = self.inspector.look(&kubeconfig).await;
        let now = self.clock.now();
        let Some(sighting) = sighting_after(&view, look, now) else { return Ok(Looked::Same(now)) };
        match self.store.record_sighting(&sighting).await {
            Ok(()) => Ok(Looked::Changed),
            Err(StoreError::Missing) => Ok(Looked::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes when clusters were last looked at whose sighting did not change.
    ///
    /// # Errors
    /// The store's.
    pub async fn note_ages(&self, looked_at: Vec<(ClusterId, DateTime<Utc>)>) -> Result<(), ServiceError> {
        if looked_at.is_empty() { Ok(()) } else { Ok(self.store.record_ages(looked_at).await?) }
    }

    /// Ends what has been under way for longer than `timeout`, with what was being waited for. How many there were.
    ///
    /// # Errors
    /// The store's.
    pub async fn end_overdue(&self, timeout: TimeDelta) -> Result<usize, ServiceError> {
        let now = self.clock.now();
        let mut ended = 0;
        for entry in self.catalog.transient_since(now - timeout) {
            let Some(event) = overdue(&entry.record, now, timeout) else { continue };
            let Ok(lifecycle) = entry.record.lifecycle.clone().on(event) else { continue };
            let cluster = Cluster { lifecycle, changed_at: now, ..entry.record.clone() };
            match self.store.update(&cluster, ClusterSecrets::default(), entry.revision).await {
                Ok(_) => ended += 1,
                // Somebody else was faster; the next round looks again.
                Err(StoreError::Conflict | StoreError::Missing) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ended)
    }
}

/// What is known after `look`, if that is different from what was known.
fn sighting_after(view: &ClusterView, look: Look, now: DateTime<Utc>) -> Option<Sighting> {
    let before = view.sighting.as_deref();
    if before.is_some_and(|before| before.look == look) {
        return None;
    }
    let version = match &look {
        Look::Answered { version } => Some(version.clone()),
        Look::Refused { .. } | Look::Silent { .. } => before.and_then(|before| before.version.clone()),
    };
    let phase = look.phase();
    let phase_changed_at = match before {
        Some(before) if before.phase == phase => before.phase_changed_at,
        _ => now,
    };
    Some(Sighting { cluster: view.cluster.record.id, look, version, phase, phase_changed_at, at: now })
}
