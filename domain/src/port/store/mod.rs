//! Storage of the domain's records, one trait per kind of record.
//!
//! What every implementation promises:
//! - A write that returned `Ok` survives the end of the process at any later moment, and the [`Catalog`](crate::catalog::Catalog)
//!   that the store feeds already shows it.
//! - Each write is one transaction: record, secrets, uniqueness and references change together or not at all.
//! - `update` and `delete` succeed only if `expected` is still the newest revision, else [`StoreError::Conflict`]; of two racing
//!   writes one wins.
//! - Usernames, e-mail addresses (capitals do not tell them apart) and namespaces are unique, under concurrent writers too.
//! - What a record refers to exists when it is written ([`StoreError::Dangling`]), and nothing that is referred to can be deleted
//!   ([`StoreError::InUse`]): an organization by its users, provisioners and clusters, a user by what it owns, a provisioner by its
//!   clusters and by the orphans that wait for somebody to decide.
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
    /// The write carried a [`Term`](crate::port::leader::Term) that has ended: another replica leads.
    #[error("another replica leads")]
    NotLeader,
    /// What is stored cannot be read: damaged, of a newer format, or sealed with a key we do not have.
    #[error("a stored record cannot be read")]
    Unreadable(#[source] BoxError),
}

/// What to do with a secret that belongs to a record.
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
