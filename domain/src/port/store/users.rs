//! Storage of users.

use async_trait::async_trait;

use super::{SecretUpdate, StoreError};
use crate::{
    id::UserId,
    revision::{Revision, Versioned},
    secret::{PasswordHash, SecretDocument},
    user::User,
};

/// The secrets that belong to a user.
#[derive(Debug, Clone, Default)]
pub struct UserSecrets {
    /// The password's hash.
    pub password: SecretUpdate<PasswordHash>,
    /// `metadata` including its secret parts.
    pub metadata: SecretUpdate<SecretDocument>,
}

/// Stores users.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Stores a new user. `Taken{username}`, `Taken{email}`, `Dangling{organization}`.
    async fn create(&self, user: &User, secrets: UserSecrets) -> Result<Revision, StoreError>;
    /// Replaces one. `Missing`, `Conflict`, `Taken`, `Dangling{organization}`; `InUse` if a user who owns objects changes organization.
    ///
    /// `beside` is another user on whom the decision depends: it is a `Conflict` as well if that user's revision has changed. Of two writes
    /// that depend on each other's user exactly one succeeds.
    async fn update(
        &self,
        user: &User,
        secrets: UserSecrets,
        expected: Revision,
        beside: Option<Versioned<UserId>>,
    ) -> Result<Revision, StoreError>;
    /// Deletes one with its secrets. `Missing`, `Conflict`, `InUse`; `beside` as for `update`.
    async fn delete(&self, id: UserId, expected: Revision, beside: Option<Versioned<UserId>>)
    -> Result<(), StoreError>;
    /// The hash of the user's password, if there is one.
    async fn password_hash(&self, id: UserId) -> Result<Option<PasswordHash>, StoreError>;
    /// `metadata` including its secret parts, if there are any.
    async fn metadata(&self, id: UserId) -> Result<Option<SecretDocument>, StoreError>;
}
