//! The context that the pipeline attaches to a request.

use std::sync::Arc;

use kqueen_domain::service::people::sessions::Sessions;
use poem::Request;

use super::peer::Peer;
use crate::error::ApiError;

/// What handlers know about a request beyond its own data.
#[derive(Clone)]
pub struct RequestContext {
    /// Authenticates callers.
    pub sessions: Arc<Sessions>,
    /// The client's address.
    pub peer: Peer,
    /// Maximum size of the body in bytes.
    pub body_limit: usize,
}

impl RequestContext {
    /// The context of a request.
    ///
    /// # Errors
    /// The request did not come through the pipeline: an internal error.
    pub fn of(request: &Request) -> Result<&Self, ApiError> {
        request.data().ok_or_else(|| {
            ApiError::internal("the request has no context: it did not come through the pipeline".into())
        })
    }
}
