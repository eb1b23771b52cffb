//! Requests that say everything by their path: their body is empty, or an empty object, as clients that always send one do.

use poem::{FromRequest, Request, RequestBody, Result};
use poem_openapi::{ApiExtractor, ExtractParamOptions};

use super::{
    body::{self, Body},
    dto::Free,
};
use crate::error::ApiError;

/// No body, or an empty object.
#[derive(Debug)]
pub(super) struct NoBody;

impl<'a> FromRequest<'a> for NoBody {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> Result<Self> {
        let bytes = body::read(request, body).await?;
        if !bytes.trim_ascii().is_empty() {
            let mut again = RequestBody::new(bytes.into());
            let body = Body::<Free>::from_request(request, &mut again, ExtractParamOptions::default()).await?;
            body.fields.finish(Some(())).map_err(ApiError::from)?;
        }
        Ok(Self)
    }
}
