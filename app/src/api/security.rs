//! Who is calling: the bearer token turned into a caller.

use kqueen_domain::{access::Caller, service::sessions::Session};
use poem::Request;
use poem_openapi::{SecurityScheme, auth::Bearer};

use super::error::ApiError;
use crate::http::RequestContext;

/// A token from `POST /api/v1/auth`, sent as `Authorization: Bearer <token>`. It ends after an hour by default, and at once when the
/// user is deactivated or deleted or the password is changed.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", bearer_format = "JWT", rename = "bearer", checker = "recognise")]
pub struct Authenticated(pub Caller);

/// A token from `POST /api/v1/auth`, sent as `Authorization: Bearer <token>`. It ends after an hour by default, and at once when the
/// user is deactivated or deleted or the password is changed.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", bearer_format = "JWT", rename = "bearer", checker = "open")]
pub struct Watching(pub Session);

async fn recognise(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    Ok(open(request, bearer).await?.caller)
}

/// The same scheme where the answer goes on: the session is kept, to end with it.
async fn open(request: &Request, bearer: Bearer) -> poem::Result<Session> {
    let sessions = &RequestContext::of(request)?.sessions;
    Ok(sessions.open(&bearer.token).await.map_err(ApiError::from)?)
}
