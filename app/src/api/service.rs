//! Health of the service, and its API document.

use crate::api::State;
use kqueen_domain::service::{ServiceError, people::bootstrap::NO_USER_YET};
use poem_openapi::{Object, OpenApi, types::Any};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Tag, dto::FreeText, rendered::Rendered};
use crate::error::ApiError;

/// The text that clients of 2018 expect.
const READY: &str = "Kqueen ready!";

pub(super) struct ServiceApi;

/// The service is running.
#[derive(Debug, Serialize, Object)]
struct Liveness {
    /// Always `Kqueen ready!`.
    response: String,
}

/// The service can serve requests.
#[derive(Debug, Serialize, Object)]
struct Readiness {
    /// Always `Kqueen ready!`.
    response: String,
    /// What the operator should still do, for example create the first user.
    warnings: Vec<String>,
}

fn alive() -> Rendered<Liveness> {
    Rendered::of(&Liveness { response: READY.into() })
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Service")]
impl ServiceApi {
    /// Check that the service is running.
    #[oai(path = "/", method = "get", operation_id = "index")]
    async fn index(&self) -> Rendered<Liveness> {
        alive()
    }

    /// Check that the service is running.
    #[oai(path = "/health", method = "get", operation_id = "health")]
    async fn health(&self) -> Rendered<Liveness> {
        alive()
    }

    /// Check that requests can be served: the store responds and its data is loaded.
    ///
    /// `warnings` lists what the operator should still do. While no user exists, it says how to create the first one.
    #[oai(path = "/ready", method = "get", operation_id = "ready")]
    async fn ready(&self, api: State<'_>) -> Result<Rendered<Readiness>, ApiError> {
        api.read_barrier.ready().await.map_err(ServiceError::from)?;
        let mut warnings = Vec::new();
        if api.sessions.awaits_first_admin().await? {
            warnings.push(NO_USER_YET.to_owned());
        }
        Ok(Rendered::of(&Readiness { response: READY.into(), warnings }))
    }

    /// Get this document.
    #[oai(path = "/swagger", method = "get", operation_id = "swagger")]
    async fn swagger(&self, api: State<'_>) -> Result<Rendered<FreeText>, ApiError> {
        let document = RawValue::from_string(api.document.to_string());
        Ok(Rendered::of(&Any(document.map_err(|error| ApiError::internal(error.into()))?)))
    }
}
