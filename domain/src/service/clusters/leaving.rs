//! Removing a cluster's record at once, without calling its provider: detach and forget.

use chrono::{DateTime, Utc};

use super::{
    Clusters,
    verbs::{cancel_unfinished, request_event},
};
use crate::{
    access::{Action, Caller},
    catalog::ClusterView,
    id::ClusterId,
    ledger::{Ledger, ResourceRecord},
    operation::{Operation, OperationKind, OperationStatus},
    orphan::{Orphan, OrphanState},
    port::store::{ClusterCommit, RecordChange},
    service::{
        Expected, ServiceError,
        change::{check_expected, retry_on_conflict},
    },
    timeline::Tombstone,
};

/// The result of forgetting a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Forgotten {
    /// The cluster.
    pub cluster: ClusterId,
    /// What may remain at the provider. Unless empty, it is listed as an orphan from now on.
    pub remaining: Vec<ResourceRecord>,
}

impl Clusters {
    /// Removes the record of an attached cluster.
    pub(super) async fn detach(&self, caller: &Caller, id: ClusterId, expected: Expected) -> Result<(), ServiceError> {
        retry_on_conflict(&*self.read_barrier, || async {
            let view = self.permitted(caller, Action::ClusterDelete, id)?;
            check_expected(expected, view.cluster.revision, "the cluster")?;
            let now = self.clock.now();
            let mut operation = Operation::requested(id, OperationKind::Detach, caller.user, now, now);
            operation.end(OperationStatus::Succeeded, None, now);
            let event = request_event(&view, caller, now, Some(operation.id), "the cluster was detached".to_owned());
            let work = ClusterCommit {
                operations: vec![(operation, None)],
                timeline: vec![event],
                tombstone: Some(tombstone(&view, now)),
                ..ClusterCommit::default()
            };
            self.store.commit(id, RecordChange::Remove(view.cluster.revision), work).await?;
            Ok(())
        })
        .await
    }

    /// Removes a cluster's record without calling its provider, even while an operation is running. What may remain at the provider is
    /// listed as an orphan.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `ChangedMeanwhile`.
    pub async fn forget(&self, caller: &Caller, id: ClusterId, expected: Expected) -> Result<Forgotten, ServiceError> {
        retry_on_conflict(&*self.read_barrier, || async {
            let view = self.permitted(caller, Action::ClusterForget, id)?;
            check_expected(expected, view.cluster.revision, "the cluster")?;
            let now = self.clock.now();
            let stored = self.store.ledger(id).await?;
            let revision = stored.as_ref().map(|stored| stored.revision);
            let ledger = stored.map_or_else(|| Ledger::empty(id), |stored| stored.value);
            let remaining: Vec<ResourceRecord> = ledger.remaining().cloned().collect();
            let mut work = ClusterCommit {
                timeline: vec![request_event(&view, caller, now, None, "the cluster was forgotten".to_owned())],
                tombstone: Some(tombstone(&view, now)),
                // Checked for conflicts: the ledger may change without the record or the operation changing.
                ledger: Some((ledger, revision)),
                ..ClusterCommit::default()
            };
            let unfinished = self.newest(&view).filter(|entry| entry.record.status.is_unfinished());
            if let Some(entry) = &unfinished {
                cancel_unfinished(entry, "the cluster was forgotten", caller, now, &mut work);
            }
            if !remaining.is_empty() {
                work.orphan = Some(orphan(&view, remaining.clone(), now));
            }
            self.store.commit(id, RecordChange::Remove(view.cluster.revision), work).await?;
            Ok(Forgotten { cluster: id, remaining })
        })
        .await
    }
}

fn tombstone(view: &ClusterView, now: DateTime<Utc>) -> Tombstone {
    let cluster = &view.cluster.record;
    Tombstone {
        cluster: cluster.id,
        name: cluster.name.clone(),
        organization: cluster.organization,
        owner: cluster.owner,
        at: now,
    }
}

fn orphan(view: &ClusterView, resources: Vec<ResourceRecord>, now: DateTime<Utc>) -> Orphan {
    let cluster = &view.cluster.record;
    Orphan {
        cluster: cluster.id,
        name: Some(cluster.name.to_string()),
        organization: cluster.organization,
        provisioner: cluster.provisioner,
        resources,
        state: OrphanState::Listed,
        listed_at: now,
        seen_at: None,
    }
}
