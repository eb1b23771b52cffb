//! Requests without a body. An empty object is accepted as well, because some clients always send one.

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
            let mut buffered = RequestBody::new(bytes.into());
            let body = Body::<Free>::from_request(request, &mut buffered, ExtractParamOptions::default()).await?;
            body.fields.finish(Some(())).map_err(ApiError::from)?;
        }
        Ok(Self)
    }
}
