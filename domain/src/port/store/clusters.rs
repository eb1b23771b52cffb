//! Storage of clusters, their observed status and their operations.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Creation, IdempotencyRecord, SecretUpdate, StoreError};
use crate::{
    cluster::Cluster,
    id::{ClusterId, OperationId},
    ledger::Ledger,
    observation::ObservedStatus,
    operation::Operation,
    orphan::Orphan,
    port::leader::Term,
    revision::{Revision, Versioned},
    secret::{Kubeconfig, SecretDocument},
    timeline::{TimelineEvent, Tombstone},
};

/// The secrets that belong to a cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterSecrets {
    /// Its kubeconfig.
    pub kubeconfig: SecretUpdate<Kubeconfig>,
    /// `metadata` including its secret parts.
    pub metadata: SecretUpdate<SecretDocument>,
}

/// What is written together with a cluster, in the same transaction.
#[derive(Debug, Clone, Default)]
pub struct ClusterCommit {
    /// Operations, each with the revision it was read at, or `None` for a new one. `Conflict` if one was changed meanwhile.
    pub operations: Vec<(Operation, Option<Revision>)>,
    /// Old operations to delete.
    pub forgotten: Vec<OperationId>,
    /// The ledger with the revision it was read at, or `None` if there was none. `Conflict` if it was changed meanwhile. If the record is
    /// deleted, the ledger is only checked, and deleted as well.
    pub ledger: Option<(Ledger, Option<Revision>)>,
    /// The observed status.
    pub observed: Option<ObservedStatus>,
    /// New timeline events, in order.
    pub timeline: Vec<TimelineEvent>,
    /// The orphan that remains when the cluster is deleted.
    pub orphan: Option<Orphan>,
    /// The tombstone of a deleted cluster.
    pub tombstone: Option<Tombstone>,
    /// The write fails with `NotLeader` if this term has ended. `None` for requests of clients.
    pub term: Option<Term>,
}

/// The change of the cluster's record in the transaction of a [`ClusterCommit`].
#[derive(Debug, Clone)]
pub enum RecordChange {
    /// It is not changed. It must exist and, with a revision, must not have changed since.
    Keep(Option<Revision>),
    /// It is replaced.
    Put(Box<Cluster>, ClusterSecrets, Revision),
    /// It is deleted with its secrets, its observed status and its ledger.
    Remove(Revision),
}

/// Part of a timeline, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TimelinePage {
    /// The events.
    pub entries: Vec<TimelineEvent>,
    /// Where the next page begins, if there is more.
    pub next: Option<String>,
}

/// Stores clusters, their observed status and their operations.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ClusterStore: Send + Sync {
    /// Stores a new cluster, with the operation that deploys it. `Dangling{organization, owner, provisioner}`.
    async fn create(
        &self,
        cluster: &Cluster,
        secrets: ClusterSecrets,
        work: ClusterCommit,
        idempotency: Option<IdempotencyRecord>,
    ) -> Result<Creation<Cluster>, StoreError>;
    /// The cluster that the same caller created with the same key within the last day, and the hash of that request. A repeated request
    /// is answered like the first, whatever has changed since.
    async fn created_with(&self, idempotency: &IdempotencyRecord) -> Result<Option<(Cluster, bool)>, StoreError>;
    /// Replaces one. `Missing`, `Conflict`, `Dangling{owner}`. Provisioner and organization never change.
    async fn update(
        &self,
        cluster: &Cluster,
        secrets: ClusterSecrets,
        expected: Revision,
    ) -> Result<Revision, StoreError>;
    /// Writes a cluster's records in one transaction. `Missing`, `Conflict`, `NotLeader`. Returns the revision of everything that was
    /// written.
    async fn commit(&self, id: ClusterId, record: RecordChange, work: ClusterCommit) -> Result<Revision, StoreError>;
    /// The kubeconfig, if there is one.
    async fn kubeconfig(&self, id: ClusterId) -> Result<Option<Kubeconfig>, StoreError>;
    /// `metadata` including its secret parts, if there are any.
    async fn metadata(&self, id: ClusterId) -> Result<Option<SecretDocument>, StoreError>;
    /// The ledger, if there is one.
    async fn ledger(&self, id: ClusterId) -> Result<Option<Versioned<Ledger>>, StoreError>;
    /// Up to `limit` timeline events, newest first, from the end of an earlier page. Also for a deleted cluster.
    async fn timeline(&self, id: ClusterId, from: Option<String>, limit: usize) -> Result<TimelinePage, StoreError>;
    /// Deletes all but the newest `keep` events of a timeline.
    async fn prune_timeline(&self, id: ClusterId, keep: usize) -> Result<(), StoreError>;
    /// Deletes the tombstones from before `before`, with the operations and timelines of those clusters. Returns how many.
    async fn forget_tombstones(&self, before: DateTime<Utc>) -> Result<usize, StoreError>;
    /// Stores, in few writes, when clusters whose status did not change were last observed. Times older than the stored ones are ignored,
    /// deleted clusters are skipped. `NotLeader`.
    async fn record_observation_times(
        &self,
        observed_at: Vec<(ClusterId, DateTime<Utc>)>,
        term: Option<Term>,
    ) -> Result<(), StoreError>;
}
