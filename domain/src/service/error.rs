//! Why a use case failed, grouped by what the caller can do about it.

use std::time::Duration;

use crate::{
    invalid::{FieldError, Invalid},
    port::{BoxError, inspector::InspectError, password::PasswordError, store::StoreError, token::TokenError},
};

/// Why a use case failed. Texts are for people: they name the object and the next step.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The caller is not authenticated, or not any more.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The caller may see the object but not perform the action.
    #[error("{0}")]
    Forbidden(String),
    /// The object does not exist, or the caller may not see it.
    #[error("{0}")]
    NotFound(String),
    /// The input is well-formed but not acceptable.
    #[error("some fields are invalid: {0}")]
    Invalid(#[from] Invalid),
    /// The request conflicts with what exists: a duplicate, a wrong state, an object still in use.
    #[error("{message}")]
    Conflict {
        /// What conflicts, and what to do.
        message: String,
        /// Each object that conflicts.
        details: Vec<FieldError>,
    },
    /// The engine cannot do this.
    #[error("{0}")]
    Unsupported(String),
    /// The record does not have the revision the caller expects.
    #[error("{0}")]
    ChangedMeanwhile(String),
    /// Too many attempts.
    #[error("too many attempts; try again in {} s", .retry_after.as_secs().max(1))]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// A cluster or provider refused the request, or cannot be reached.
    #[error("{0}")]
    Upstream(String),
    /// A cluster or provider did not answer in time.
    #[error("{0}")]
    UpstreamTimeout(String),
    /// The store does not answer.
    #[error("the store is unavailable; try again later")]
    Unavailable(#[source] BoxError),
    /// An error in KQueen itself.
    #[error("internal error")]
    Internal(#[source] BoxError),
}

impl ServiceError {
    /// A conflict without further details.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict { message: message.into(), details: Vec::new() }
    }

    /// No `object` with that id is visible to the caller.
    #[must_use]
    pub fn not_found(object: &str, id: impl std::fmt::Display) -> Self {
        Self::NotFound(format!("{object} {id} does not exist"))
    }

    /// One field that is not acceptable.
    #[must_use]
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(Invalid::field(field, message))
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing => Self::NotFound("the object no longer exists".into()),
            StoreError::Conflict => Self::conflict("the object is being changed by other requests; try again"),
            StoreError::Taken { field } => Self::Conflict {
                message: format!("this {field} is already in use; choose another"),
                details: vec![FieldError { field: field.into(), message: "is already in use".into() }],
            },
            StoreError::InUse => Self::conflict("the object is still in use"),
            StoreError::Dangling { field } => Self::field(field, super::references::NOT_THERE),
            StoreError::Unavailable(cause) => Self::Unavailable(cause),
            // Only writes of the reconciler carry a term.
            StoreError::NotLeader => Self::Unavailable(Box::new(error)),
            StoreError::Unreadable(cause) => Self::Internal(cause),
        }
    }
}

impl From<PasswordError> for ServiceError {
    fn from(error: PasswordError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<TokenError> for ServiceError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid => Self::Unauthenticated("the token is not valid; log in again"),
            TokenError::Expired => Self::Unauthenticated("the token has expired; log in again"),
            TokenError::Signing(cause) => Self::Internal(cause),
        }
    }
}

impl From<InspectError> for ServiceError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Refused(message) | InspectError::Unreachable(message) => Self::Upstream(message),
            InspectError::TimedOut(message) => Self::UpstreamTimeout(message),
        }
    }
}
