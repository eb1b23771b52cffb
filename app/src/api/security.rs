//! Who is calling: the bearer token turned into a caller, once all of the request has arrived.

use kqueen_domain::{access::Caller, service::people::sessions::Session};
use poem::{Request, RequestBody, Result, http::Method};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, SecurityScheme, auth::Bearer, registry::Registry,
};

use super::body;
use crate::{error::ApiError, http::context::RequestContext};

/// A token from `POST /api/v1/auth`, sent as `Authorization: Bearer <token>`. It ends after an hour by default, and at once when the
/// user is deactivated or deleted or the password is changed.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", bearer_format = "JWT", rename = "bearer")]
struct Token(Bearer);

/// Somebody with a good token, as `T`: a [`Caller`], or a whole [`Session`].
///
/// A client may take its time over the body, and may be deactivated, demoted or given another password meanwhile. So the body is read
/// here, before a handler gets to know who is calling: handlers find it in memory, and none can act for somebody it knew earlier.
pub struct Holder<T>(pub T);

/// Who is calling.
pub type Authenticated = Holder<Caller>;

/// The same where the answer goes on: the session is kept, to end with it.
pub type Watching = Holder<Session>;

impl<'a, T: From<Session>> ApiExtractor<'a> for Holder<T> {
    const TYPES: &'static [ApiExtractorType] = Token::TYPES;

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Token::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        Token::security_schemes()
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        let Token(Bearer { token }) = Token::from_request(request, body, options).await?;
        let sessions = &RequestContext::of(request)?.sessions;
        // Before anything is read: strangers are not listened to.
        let mut session = sessions.open(&token).await.map_err(ApiError::from)?;
        if has_arrived(request, body).await? == Arrived::Since {
            session = sessions.open(&token).await.map_err(ApiError::from)?;
        }
        Ok(Self(session.into()))
    }
}

/// When a request was complete.
#[derive(PartialEq, Eq)]
enum Arrived {
    /// With its head.
    AtOnce,
    /// At some time after that.
    Since,
}

/// Waits for the body of a request, and keeps it for the handler.
async fn has_arrived(request: &Request, body: &mut RequestBody) -> Result<Arrived> {
    // A handler that has asked for the body first has it.
    let Ok(content) = body.take() else { return Ok(Arrived::AtOnce) };
    // The body of these says nothing: it is not waited for, and no handler gets it.
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE) {
        return Ok(Arrived::AtOnce);
    }
    let is_empty = content.is_empty();
    *body = RequestBody::new(content);
    if is_empty {
        return Ok(Arrived::AtOnce);
    }
    let bytes = body::read(request, body).await?;
    *body = RequestBody::new(bytes.into());
    Ok(Arrived::Since)
}
