//! Storage of the domain's records, one trait per kind of record.
//!
//! What every implementation promises:
//! - A write that returned `Ok` survives the end of the process at any later moment, and the [`Catalog`](crate::catalog::Catalog)
//!   that the store feeds already shows it.
//! - Each write is one transaction: record, secrets, uniqueness and references change together or not at all.
//! - `update` and `delete` succeed only if `seen` is still the newest revision, else [`StoreError::Conflict`]; of two racing
//!   writes one wins.
//! - Usernames, e-mail addresses (capitals do not tell them apart) and namespaces are unique, under concurrent writers too.
//! - What a record refers to exists when it is written ([`StoreError::Dangling`]), and nothing that is referred to can be deleted
//!   ([`StoreError::InUse`]): an organization by its users, provisioners and clusters, a user by what it owns, a provisioner by its
//!   clusters and by the orphans that wait for somebody to decide.
//! - Secrets are sealed with authenticated encryption bound to the record they belong to.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{BoxError, leader::Term};
use crate::{
    cluster::Cluster,
    id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId},
    ledger::Ledger,
    observation::ObservedStatus,
    operation::Operation,
    organization::Organization,
    orphan::Orphan,
    provisioner::{Checked, Provisioner},
    secret::{Kubeconfig, PasswordHash, SecretDocument},
    timeline::{TimelineEvent, Tombstone},
    user::User,
};

/// A record's version: a store's revisions only grow, and never repeat for one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// A record with the revision it was read at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The record.
    pub value: T,
    /// Its revision.
    pub revision: Revision,
}

/// Why storage did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such record.
    #[error("there is no such record")]
    Missing,
    /// The record has changed since it was read; read again and decide again.
    #[error("the record was changed meanwhile")]
    Conflict,
    /// A value that must be unique is in use: `username`, `email`, `namespace`.
    #[error("{field} is already in use")]
    Taken {
        /// Which value.
        field: &'static str,
    },
    /// Something refers to the record that was to be deleted or moved.
    #[error("the record is in use")]
    InUse,
    /// Something the record refers to is not there: `organization`, `owner`, `provisioner`.
    #[error("{field} refers to something that is not there")]
    Dangling {
        /// Which reference.
        field: &'static str,
    },
    /// The store cannot be reached or does not accept writes; trying later may help.
    #[error("the store is not available")]
    Unavailable(#[source] BoxError),
    /// The write carried a [`Term`] that has ended: another replica leads.
    #[error("another replica leads")]
    NotLeader,
    /// What is stored cannot be read: damaged, of a newer format, or sealed with a key we do not have.
    #[error("a stored record cannot be read")]
    Unreadable(#[source] BoxError),
}

/// What to do with a secret that belongs to a record.
#[derive(Debug, Clone, Default)]
pub enum SecretUpdate<T> {
    /// Leave it as it is.
    #[default]
    Keep,
    /// Store this one.
    Set(T),
    /// Remove it.
    Remove,
}

impl<T> From<Option<T>> for SecretUpdate<T> {
    /// `None` removes.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Remove, Self::Set)
    }
}

/// Asks that a creation be done once, however often it is requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Who asks; keys of different users are different.
    pub caller: UserId,
    /// The key the client chose, at most 255 bytes.
    pub key: String,
    /// A hash of the request, to notice a key used for something else.
    pub fingerprint: [u8; 32],
    /// When it was asked; a claim is forgotten a day later.
    pub at: DateTime<Utc>,
}

/// What became of a creation with or without a [`IdempotencyRecord`].
#[derive(Debug, Clone, PartialEq)]
pub enum Creation<T> {
    /// The record was created.
    New(Revision),
    /// The claim's key was used before.
    Repeated {
        /// The record as it was created then.
        first: T,
        /// The hash of that request.
        fingerprint: [u8; 32],
    },
}

/// Stores organizations. A namespace never changes.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait OrganizationStore: Send + Sync {
    /// Stores a new organization. `Taken{namespace}`.
    async fn create(&self, organization: &Organization) -> Result<Revision, StoreError>;
    /// Replaces one. `Missing`, `Conflict`.
    async fn update(&self, organization: &Organization, seen: Revision) -> Result<Revision, StoreError>;
    /// Deletes one. `Missing`, `Conflict`, `InUse`.
    async fn delete(&self, id: OrganizationId, seen: Revision) -> Result<(), StoreError>;
}

/// The secrets that belong to a user.
#[derive(Debug, Clone, Default)]
pub struct UserSecrets {
    /// The password's hash.
    pub password: SecretUpdate<PasswordHash>,
    /// `metadata` with its secret parts.
    pub metadata: SecretUpdate<SecretDocument>,
}

/// Stores users.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Stores a new user. `Taken{username}`, `Taken{email}`, `Dangling{organization}`.
    async fn create(&self, user: &User, secrets: UserSecrets) -> Result<Revision, StoreError>;
    /// Replaces one. `Missing`, `Conflict`, `Taken`, `Dangling{organization}`; `InUse` when a user who owns things changes organization.
    ///
    /// `beside` is another user whom the decision depends on: if that one is not any more as seen, it is a `Conflict` as well. Of two
    /// writes that depend on each other's user one wins.
    async fn update(
        &self,
        user: &User,
        secrets: UserSecrets,
        seen: Revision,
        beside: Option<Versioned<UserId>>,
    ) -> Result<Revision, StoreError>;
    /// Deletes one with its secrets. `Missing`, `Conflict`, `InUse`; `beside` as for `update`.
    async fn delete(&self, id: UserId, seen: Revision, beside: Option<Versioned<UserId>>) -> Result<(), StoreError>;
    /// The hash of the user's password, if there is one.
    async fn password_hash(&self, id: UserId) -> Result<Option<PasswordHash>, StoreError>;
    /// `metadata` with its secret parts, if it has any.
    async fn metadata(&self, id: UserId) -> Result<Option<SecretDocument>, StoreError>;
}

/// Stores provisioners.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ProvisionerStore: Send + Sync {
    /// Stores a new provisioner. `Dangling{organization, owner}`.
    async fn create(
        &self,
        provisioner: &Provisioner,
        secrets: SecretUpdate<SecretDocument>,
        claim: Option<IdempotencyRecord>,
    ) -> Result<Creation<Provisioner>, StoreError>;
    /// The provisioner that the claim's caller made with its key within a day before, with the hash of that request; so that a repeated
    /// request is answered as the first was, whatever has changed since.
    async fn claimed(&self, claim: &IdempotencyRecord) -> Result<Option<(Provisioner, [u8; 32])>, StoreError>;
    /// Replaces one. `Missing`, `Conflict`, `Dangling{owner}`. Engine and organization never change.
    async fn update(
        &self,
        provisioner: &Provisioner,
        secrets: SecretUpdate<SecretDocument>,
        seen: Revision,
    ) -> Result<Revision, StoreError>;
    /// Replaces what the last check found; does not touch the provisioner's revision. `Missing`, `NotLeader`.
    async fn record_check(&self, checked: &Checked, term: Term) -> Result<(), StoreError>;
    /// Deletes one with its secrets. `Missing`, `Conflict`, `InUse`.
    async fn delete(&self, id: ProvisionerId, seen: Revision) -> Result<(), StoreError>;
    /// `parameters` with their secret parts, if they have any.
    async fn secrets(&self, id: ProvisionerId) -> Result<Option<SecretDocument>, StoreError>;
}

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
    async fn update(&self, cluster: &Cluster, secrets: ClusterSecrets, seen: Revision) -> Result<Revision, StoreError>;
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

/// Stores orphans.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait OrphanStore: Send + Sync {
    /// Stores one that is not listed yet (`seen` is `None`) or replaces one. `Conflict`, `Missing`, `NotLeader`; `Dangling{provisioner}`
    /// when it waits for somebody to decide and its provisioner is gone.
    async fn put(&self, orphan: &Orphan, seen: Option<Revision>, term: Option<Term>) -> Result<Revision, StoreError>;
    /// Takes one off the list. `Missing`, `Conflict`, `NotLeader`.
    async fn remove(&self, cluster: ClusterId, seen: Revision, term: Option<Term>) -> Result<(), StoreError>;
}

/// Tells how far the catalog is.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ReadBarrier: Send + Sync {
    /// Returns once the catalog shows every write that any replica acknowledged before this call. `Unavailable` when that cannot be
    /// known within a few seconds.
    async fn caught_up(&self) -> Result<(), StoreError>;
    /// Whether the store answers and the catalog has been filled; what is missing, if not.
    async fn ready(&self) -> Result<(), StoreError>;
}
