//! Password hashing.

use async_trait::async_trait;

use super::BoxError;
use crate::secret::{Password, PasswordHash};

/// Hashing failed; the caller cannot do anything about it.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed")]
pub struct PasswordError(#[source] pub BoxError);

/// Hashes passwords with a slow hash function.
///
/// - Both methods take about the same time for every password. Callers verify against [`PasswordHasher::decoy`] when there is no hash, so
///   that an unknown user cannot be distinguished from a wrong password.
/// - Never blocks the runtime. A limited number run concurrently; the others wait.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// A new hash of `password`, with a new salt.
    async fn hash(&self, password: Password) -> Result<PasswordHash, PasswordError>;
    /// Whether `hash` is a hash of `password`. A hash that cannot be read matches no password.
    async fn verify(&self, password: Password, hash: PasswordHash) -> Result<bool, PasswordError>;
    /// A hash that no password matches.
    fn decoy(&self) -> PasswordHash;
}
