//! Session tokens.

use chrono::{DateTime, Utc};

use super::BoxError;
use crate::id::UserId;

/// The claims of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// The user it was issued to.
    pub identity: UserId,
    /// The user's token generation when it was issued. The token is invalid once the user's generation changes.
    pub generation: u64,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
}

/// Why a token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not one of our tokens: malformed, another algorithm, wrong signature.
    #[error("the token is not valid")]
    Invalid,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It cannot be signed.
    #[error("the token cannot be signed")]
    Signing(#[source] BoxError),
}

/// Signs and checks tokens.
///
/// - A token signed by another key, or by no key, is `Invalid`; a token past `expires_at` is `Expired`.
/// - Pure computation of a few microseconds: may be called on the runtime.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait TokenSigner: Send + Sync {
    /// Signs a token.
    ///
    /// # Errors
    /// [`TokenError::Signing`].
    fn sign(&self, claims: &Claims) -> Result<String, TokenError>;
    /// Verifies `token` and returns its claims.
    ///
    /// # Errors
    /// [`TokenError::Invalid`], [`TokenError::Expired`].
    fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError>;
}
