//! Who is calling: the bearer token turned into a caller.

use std::sync::Arc;

use kqueen_domain::{access::Caller, service::sessions::Sessions};
use poem::Request;
use poem_openapi::{SecurityScheme, auth::Bearer};

use super::error::Failure;

/// A token from `POST /api/v1/auth`, sent as `Authorization: Bearer <token>`. It ends after an hour by default, and at once when the
/// user is deactivated or deleted or the password is changed.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", bearer_format = "JWT", rename = "bearer", checker = "recognise")]
pub struct Authenticated(pub Caller);

async fn recognise(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    let sessions = request.data::<Arc<Sessions>>();
    let sessions = sessions.ok_or_else(|| Failure::internal("the request carries no sessions".into()))?;
    Ok(sessions.recognise(&bearer.token).await.map_err(Failure::from)?)
}
