//! Requests that say everything by their path: their body is empty, or an empty object, as clients that always send one do.

use poem::{FromRequest, Request, RequestBody, Result};
use poem_openapi::{ApiExtractor, ExtractParamOptions};

use super::{
    body::{Body, BodyLimit},
    dto::Free,
    error::Failure,
};

/// No body, or an empty object.
#[derive(Debug)]
pub(super) struct NoBody;

impl<'a> FromRequest<'a> for NoBody {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> Result<Self> {
        let BodyLimit(limit) = request.data().copied().unwrap_or_default();
        let bytes = body.take()?.into_bytes_limit(limit).await.map_err(|error| match error {
            poem::error::ReadBodyError::PayloadTooLarge => Failure::too_large(limit),
            _ => Failure::bad_request("the body could not be read to its end"),
        })?;
        if !bytes.trim_ascii().is_empty() {
            let mut again = RequestBody::new(bytes.into());
            let body = Body::<Free>::from_request(request, &mut again, ExtractParamOptions::default()).await?;
            body.fields.finish(Some(())).map_err(Failure::from)?;
        }
        Ok(Self)
    }
}
