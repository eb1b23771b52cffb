//! Login.

use crate::api::State;
use poem::Request;
use poem_openapi::OpenApi;

use super::{
    Tag,
    body::Body,
    dto::session::{Credentials, Token},
    rendered::Rendered,
};
use crate::{error::ApiError, http::context::RequestContext};

pub(super) struct AuthApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Auth")]
impl AuthApi {
    /// Log in: exchange user name and password for a token.
    ///
    /// Attempts are limited per user name and per client address. Further attempts are answered with 429 and `Retry-After`. Clients whose
    /// address a trusted proxy does not report, or reports inconsistently, share one limit.
    #[oai(path = "/auth", method = "post", operation_id = "auth")]
    async fn auth(
        &self,
        api: State<'_>,
        request: &Request,
        body: Body<Credentials>,
    ) -> Result<Rendered<Token>, ApiError> {
        let (username, password) = body.read()?;
        let origin = RequestContext::of(request)?.peer.origin;
        let access_token = api.sessions.log_in(&username, password, origin).await?;
        Ok(Rendered::of(&Token { access_token }))
    }
}
