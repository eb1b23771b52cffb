//! Storage of the domain's records, one trait per kind of record.
//!
//! Guarantees of every implementation:
//! - A write that returned `Ok` is durable, and the [`Catalog`](crate::catalog::Catalog) that the store feeds already shows it.
//! - Each write is one transaction: record, secrets, uniqueness and references change together or not at all.
//! - `update` and `delete` succeed only if `expected` is still the newest revision, else [`StoreError::Conflict`]; of two concurrent
//!   writes exactly one succeeds.
//! - User names, e-mail addresses (case-insensitive) and namespaces are unique, also under concurrent writes.
//! - What a record refers to exists when the record is written ([`StoreError::Dangling`]), and a record that others refer to cannot be
//!   deleted ([`StoreError::InUse`]): an organization by its users, provisioners and clusters, a user by what it owns, a provisioner by its
//!   clusters and undecided orphans.
//! - Secrets are sealed with authenticated encryption bound to the record they belong to.

mod barrier;
mod clusters;
mod organizations;
mod orphans;
mod provisioners;
mod users;

use std::fmt;

use chrono::{DateTime, Utc};

#[cfg(any(test, feature = "mock"))]
pub use self::{
    barrier::MockReadBarrier, clusters::MockClusterStore, organizations::MockOrganizationStore,
    orphans::MockOrphanStore, provisioners::MockProvisionerStore, users::MockUserStore,
};
pub use self::{
    barrier::ReadBarrier,
    clusters::{ClusterCommit, ClusterSecrets, ClusterStore, RecordChange, TimelinePage},
    organizations::OrganizationStore,
    orphans::OrphanStore,
    provisioners::ProvisionerStore,
    users::{UserSecrets, UserStore},
};
use super::BoxError;
use crate::{id::UserId, revision::Revision};

/// Errors of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The record does not exist.
    #[error("the record does not exist")]
    Missing,
    /// The record has changed since it was read: read and decide again.
    #[error("the record has changed since it was read")]
    Conflict,
    /// A value that must be unique is in use: `username`, `email`, `namespace`.
    #[error("{field} is already in use")]
    Taken {
        /// Which value.
        field: &'static str,
    },
    /// Other records refer to the record that was to be deleted or moved.
    #[error("the record is in use")]
    InUse,
    /// A record that this one refers to does not exist: `organization`, `owner`, `provisioner`.
    #[error("{field} refers to an object that does not exist")]
    Dangling {
        /// Which reference.
        field: &'static str,
    },
    /// The store cannot be reached or does not accept writes. Retrying may help.
    #[error("the store is not available")]
    Unavailable(#[source] BoxError),
    /// The write carried a [`Term`](crate::port::leader::Term) that has ended: another replica leads.
    #[error("another replica leads")]
    NotLeader,
    /// A stored record cannot be read: damaged, in a newer format, or sealed with an unknown key.
    #[error("a stored record cannot be read")]
    Unreadable(#[source] BoxError),
}

/// How to change a secret of a record.
#[derive(Clone, Default)]
pub enum SecretUpdate<T> {
    /// Leave it as it is.
    #[default]
    Keep,
    /// Store this one.
    Set(T),
    /// Remove it.
    Remove,
}

impl<T> fmt::Debug for SecretUpdate<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Set(_) => "Set(hidden)",
            Self::Remove => "Remove",
        })
    }
}

impl<T> SecretUpdate<T> {
    /// Whether the secret stays as it is.
    #[must_use]
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

impl<T> From<Option<T>> for SecretUpdate<T> {
    /// `None` removes.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Remove, Self::Set)
    }
}

/// An idempotency key with its request: makes the creation happen once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// The caller. Keys of different users are independent.
    pub caller: UserId,
    /// The key of the client, at most 255 bytes.
    pub key: String,
    /// A hash of the request, to detect a key that is reused for another request. The request may contain secrets that can be guessed: a
    /// store keeps no more of the hash than a hash keyed with its secret key.
    pub fingerprint: [u8; 32],
    /// When it was requested. The record expires a day later.
    pub at: DateTime<Utc>,
}

/// The result of a creation, with or without an [`IdempotencyRecord`].
#[derive(Debug, Clone, PartialEq)]
pub enum Creation<T> {
    /// The record was created.
    New(Revision),
    /// The key was used before.
    Repeated {
        /// The record as it was created then.
        first: T,
        /// Whether that request has the same fingerprint.
        same_request: bool,
    },
}
