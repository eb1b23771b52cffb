//! Authentication: turns the bearer token into a caller, after the whole request has arrived.

use kqueen_domain::{access::Caller, service::people::sessions::Session};
use poem::{Request, RequestBody, Result, http::Method};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, SecurityScheme, auth::Bearer, registry::Registry,
};

use super::body;
use crate::{error::ApiError, http::context::RequestContext};

/// A token from `POST /api/v1/auth`, sent as `Authorization: Bearer <token>`. It expires after one hour by default, and immediately when
/// the user is deactivated or deleted or the password is changed.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", bearer_format = "JWT", rename = "bearer")]
struct Token(Bearer);

/// The holder of a valid token, as `T`: a [`Caller`], or a whole [`Session`].
///
/// While a client sends a body, its user may be deactivated, demoted or given another password. So the body is read here and the
/// token is checked again, before a handler gets the caller: no handler acts with outdated rights.
pub struct TokenHolder<T>(pub T);

/// The authenticated caller.
pub type Authenticated = TokenHolder<Caller>;

/// The session of an event stream, which ends with it.
pub type Watching = TokenHolder<Session>;

impl<'a, T: From<Session>> ApiExtractor<'a> for TokenHolder<T> {
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
        // Before the body is read: nothing is read without a valid token.
        let mut session = sessions.open(&token).await.map_err(ApiError::from)?;
        if receive_body(request, body).await? == Arrived::Later {
            session = sessions.open(&token).await.map_err(ApiError::from)?;
        }
        Ok(Self(session.into()))
    }
}

/// When a request was complete.
#[derive(PartialEq, Eq)]
enum Arrived {
    /// Together with its head.
    WithHead,
    /// After its head.
    Later,
}

/// Reads the body of a request, and keeps it for the handler.
async fn receive_body(request: &Request, body: &mut RequestBody) -> Result<Arrived> {
    // The handler has taken the body already.
    let Ok(content) = body.take() else { return Ok(Arrived::WithHead) };
    // A body of these methods has no meaning: it is not read, and no handler gets it.
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE) {
        return Ok(Arrived::WithHead);
    }
    let is_empty = content.is_empty();
    *body = RequestBody::new(content);
    if is_empty {
        return Ok(Arrived::WithHead);
    }
    let bytes = body::read(request, body).await?;
    *body = RequestBody::new(bytes.into());
    Ok(Arrived::Later)
}
