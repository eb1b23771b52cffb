//! Password hashing.

use async_trait::async_trait;

use super::BoxError;
use crate::secret::{Password, PasswordHash};

/// Hashing failed; there is nothing a caller can do about it.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed")]
pub struct PasswordError(#[source] pub BoxError);

/// Hashes passwords with a slow function.
///
/// - Both methods take about the same time, whatever the password, so that an unknown user cannot be told from a wrong password:
///   callers verify against [`PasswordHasher::decoy`] when there is no hash.
/// - Never blocks the runtime; a bounded number run at once, the others wait for their turn.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// A new hash of `password` with a salt of its own.
    async fn hash(&self, password: Password) -> Result<PasswordHash, PasswordError>;
    /// Whether `hash` is one of `password`. A hash that cannot be read matches nothing.
    async fn verify(&self, password: Password, hash: PasswordHash) -> Result<bool, PasswordError>;
    /// A hash no password matches.
    fn decoy(&self) -> PasswordHash;
}
