//! `/metrics/`: open to the addresses in `KQUEEN_PROMETHEUS_WHITELIST`; others need a token.

use std::sync::Arc;

use ipnet::IpNet;
use poem::{
    Endpoint, Request, Response, Result,
    web::headers::{Authorization, HeaderMapExt, authorization::Bearer},
};

use super::context::RequestContext;
use crate::{error::ApiError, metrics::Metrics};

/// The endpoint for Prometheus.
pub struct Scrape {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The networks that need no token.
    pub whitelist: Vec<IpNet>,
}

impl Endpoint for Scrape {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let RequestContext { sessions, peer, .. } = RequestContext::of(&request)?;
        if !peer.is_in(&self.whitelist) {
            let token = request.headers().typed_get::<Authorization<Bearer>>();
            let token = token.ok_or_else(|| {
                ApiError::from(kqueen_domain::service::ServiceError::Unauthenticated(
                    "metrics can be read without a token only from the addresses in KQUEEN_PROMETHEUS_WHITELIST; send a token",
                ))
            })?;
            sessions.recognise(token.token()).await.map_err(ApiError::from)?;
        }
        let text = self.metrics.text().map_err(|error| ApiError::internal(error.into()))?;
        Ok(Response::builder().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
    }
}
