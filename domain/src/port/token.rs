//! Session tokens.

use chrono::{DateTime, Utc};

use super::BoxError;
use crate::id::UserId;

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// Whom it was issued to.
    pub identity: UserId,
    /// The user's generation of tokens when it was issued; it ends when the user's number moves on.
    pub generation: u64,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// Why a token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not a token of ours: malformed, other algorithm, wrong signature.
    #[error("the token is not valid")]
    Invalid,
    /// It was one, and has ended.
    #[error("the token has expired")]
    Expired,
    /// It cannot be signed.
    #[error("the token cannot be signed")]
    Signing(#[source] BoxError),
}

/// Signs and checks tokens.
///
/// - A token signed by another key, or by no key, is `Invalid`; a token past `expires_at` is `Expired`.
/// - Pure computation of some microseconds; callers may call it on the runtime.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait TokenSigner: Send + Sync {
    /// The token's text.
    ///
    /// # Errors
    /// [`TokenError::Signing`].
    fn sign(&self, claims: &Claims) -> Result<String, TokenError>;
    /// What `token` says.
    ///
    /// # Errors
    /// [`TokenError::Invalid`], [`TokenError::Expired`].
    fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError>;
}
