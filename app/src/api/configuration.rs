//! The configuration of this installation.

use crate::api::State;
use std::collections::BTreeMap;

use poem_openapi::OpenApi;

use super::{
    Tag,
    dto::configuration::{AuthModule, auth_modules},
    rendered::Rendered,
    security::Authenticated,
};
use crate::error::ApiError;

pub(super) struct ConfigurationApi;

#[OpenApi(prefix_path = "/api/v1/configurations", tag = "Tag::Configuration")]
impl ConfigurationApi {
    /// Get the enabled authentication methods, with the fields of their invitation forms.
    #[oai(path = "/auth", method = "get", operation_id = "configuration_auth")]
    async fn auth(
        &self,
        api: State<'_>,
        _caller: Authenticated,
    ) -> Result<Rendered<BTreeMap<String, AuthModule>>, ApiError> {
        Ok(Rendered::of(&auth_modules(&api.auth)))
    }
}
