//! How this installation is set up.

use std::collections::BTreeMap;

use poem_openapi::OpenApi;

use super::{
    Api, Tag,
    dto::configuration::{AuthModule, auth_modules},
    error::ApiError,
    ready,
    rendered::Rendered,
    security::Authenticated,
};

pub(super) struct ConfigurationApi(pub(super) Option<Api>);

#[OpenApi(prefix_path = "/api/v1/configurations", tag = "Tag::Configuration")]
impl ConfigurationApi {
    /// Show the enabled ways of authenticating, with the fields an invitation asks for.
    #[oai(path = "/auth", method = "get", operation_id = "configuration_auth")]
    async fn auth(&self, _caller: Authenticated) -> Result<Rendered<BTreeMap<String, AuthModule>>, ApiError> {
        Ok(Rendered::of(&auth_modules(&ready(self.0.as_ref())?.auth)))
    }
}
