//! What the pipeline knows about a request besides what it says.

use std::sync::Arc;

use kqueen_domain::service::people::sessions::Sessions;
use poem::Request;

use super::peer::Peer;
use crate::error::ApiError;

/// What handlers may ask about a request besides what it says.
#[derive(Clone)]
pub struct RequestContext {
    /// Recognises callers.
    pub sessions: Arc<Sessions>,
    /// Whose request it is, by address.
    pub peer: Peer,
    /// Most bytes its body may have.
    pub body_limit: usize,
}

impl RequestContext {
    /// Those of a request that came through the pipeline, as all do.
    ///
    /// # Errors
    /// It did not: our fault.
    pub fn of(request: &Request) -> Result<&Self, ApiError> {
        request.data().ok_or_else(|| ApiError::internal("the request came past the pipeline".into()))
    }
}
