//! Storage of clusters, of what was last observed of them, and of what is done to them.

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
    /// `metadata` with its secret parts.
    pub metadata: SecretUpdate<SecretDocument>,
}

/// What is written together with a cluster, in the same transaction.
#[derive(Debug, Clone, Default)]
pub struct ClusterCommit {
    /// Operations, each with the revision it was read at, or `None` for a new one. `Conflict` when one has changed meanwhile.
    pub operations: Vec<(Operation, Option<Revision>)>,
    /// Old operations that are not kept any longer.
    pub forgotten: Vec<OperationId>,
    /// The ledger with the revision it was read at, or `None` if there was none. `Conflict` when it has changed meanwhile. With a record
    /// that is deleted it is only compared, and goes as well.
    pub ledger: Option<(Ledger, Option<Revision>)>,
    /// What is known from looking at it.
    pub observed: Option<ObservedStatus>,
    /// New entries of its timeline, in the order in which it happened.
    pub timeline: Vec<TimelineEvent>,
    /// What becomes an orphan when the cluster leaves.
    pub orphan: Option<Orphan>,
    /// What is remembered of a cluster that leaves.
    pub tombstone: Option<Tombstone>,
    /// The write is refused, as `NotLeader`, if this term has ended. `None` for what people ask for.
    pub term: Option<Term>,
}

/// What happens to a cluster's own record in a [`ClusterCommit`]'s transaction.
#[derive(Debug, Clone)]
pub enum RecordChange {
    /// It is not touched; it must be there, and with a revision it must not have changed since.
    Keep(Option<Revision>),
    /// It is replaced.
    Put(Box<Cluster>, ClusterSecrets, Revision),
    /// It is deleted with its secrets, its observed status and its ledger.
    Remove(Revision),
}

/// Part of a timeline, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TimelinePage {
    /// The entries.
    pub entries: Vec<TimelineEvent>,
    /// Where the next page begins, if there is more.
    pub next: Option<String>,
}

/// Stores clusters, what was last seen of them, and what is done to them.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ClusterStore: Send + Sync {
    /// Stores a new cluster, with the operation that makes it. `Dangling{organization, owner, provisioner}`.
    async fn create(
        &self,
        cluster: &Cluster,
        secrets: ClusterSecrets,
        work: ClusterCommit,
        claim: Option<IdempotencyRecord>,
    ) -> Result<Creation<Cluster>, StoreError>;
    /// The cluster that the claim's caller made with its key within a day before, with the hash of that request; so that a repeated
    /// request is answered as the first was, whatever has changed since.
    async fn claimed(&self, claim: &IdempotencyRecord) -> Result<Option<(Cluster, [u8; 32])>, StoreError>;
    /// Replaces one. `Missing`, `Conflict`, `Dangling{owner}`. Provisioner and organization never change.
    async fn update(
        &self,
        cluster: &Cluster,
        secrets: ClusterSecrets,
        expected: Revision,
    ) -> Result<Revision, StoreError>;
    /// Writes what belongs to a cluster, all of it or nothing. `Missing`, `Conflict`, `NotLeader`. The revision is that of everything
    /// that was written.
    async fn commit(&self, id: ClusterId, record: RecordChange, work: ClusterCommit) -> Result<Revision, StoreError>;
    /// Its kubeconfig, if it has one.
    async fn kubeconfig(&self, id: ClusterId) -> Result<Option<Kubeconfig>, StoreError>;
    /// `metadata` with its secret parts, if it has any.
    async fn metadata(&self, id: ClusterId) -> Result<Option<SecretDocument>, StoreError>;
    /// What was made for it, if anything was.
    async fn ledger(&self, id: ClusterId) -> Result<Option<Versioned<Ledger>>, StoreError>;
    /// Up to `limit` entries of its timeline, newest first, from where an earlier page ended. Also of a cluster that is gone.
    async fn timeline(&self, id: ClusterId, from: Option<String>, limit: usize) -> Result<TimelinePage, StoreError>;
    /// Forgets all but the newest `keep` entries of a timeline.
    async fn prune_timeline(&self, id: ClusterId, keep: usize) -> Result<(), StoreError>;
    /// Forgets clusters that left before `before`, with their operations and timelines; how many.
    async fn forget_tombstones(&self, before: DateTime<Utc>) -> Result<usize, StoreError>;
    /// Notes, in few writes, when clusters were last observed whose observed status did not change. Older times than those known are
    /// ignored; clusters that are gone are skipped. `NotLeader`.
    async fn record_observation_times(
        &self,
        observed_at: Vec<(ClusterId, DateTime<Utc>)>,
        term: Option<Term>,
    ) -> Result<(), StoreError>;
}
