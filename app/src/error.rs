//! Maps errors to HTTP statuses and to the error body of the API.

use kqueen_domain::{
    invalid::{FieldError, Invalid},
    service::ServiceError,
};
use poem::{
    Response,
    error::{ParsePathError, ResponseError},
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    error::{AuthorizationError, ContentTypeError, ParseParamError, ParsePathError as OpenApiPathError},
    registry::{MetaResponses, Registry},
};
use serde::Serialize;

use crate::{
    api::{live::NoSlot, rendered::JSON},
    events::Full,
};

/// `Retry-After` in seconds when too many event streams are open.
const STREAM_RETRY_AFTER: u64 = 30;
/// `Retry-After` in seconds when too many live views are being read: hanging reads end within the observation timeout.
const VIEW_RETRY_AFTER: u64 = 5;

/// Maximum number of invalid fields listed in `details`.
const MAX_DETAILS: usize = 100;

/// An invalid field of a request, or an object that prevents the request.
#[derive(Debug, Clone, Serialize, Object)]
pub struct ErrorDetail {
    /// The path of the field, with dots between levels (`metadata.node_count`), or the reference of the object.
    pub field: String,
    /// What is wrong, as the rest of a sentence that starts with `field`.
    pub message: String,
}

/// The body of every error.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "Error")]
pub struct ErrorBody {
    /// The HTTP status.
    pub code: u16,
    /// The HTTP status again, under the name that the 2018 release used in some of its responses.
    pub status_code: u16,
    /// A stable code for programs, for example `not_found`, `conflict`, `unsupported` or `changed_meanwhile`.
    pub error: String,
    /// A description for people, with the object and the next step.
    pub description: String,
    /// All invalid fields, or all objects that prevent the request. Otherwise empty.
    pub details: Vec<ErrorDetail>,
    /// The id of this request in the logs.
    pub request_id: String,
}

/// An error response.
#[derive(Debug, thiserror::Error)]
#[error("{description}")]
pub struct ApiError {
    status: StatusCode,
    error: &'static str,
    description: String,
    details: Vec<FieldError>,
    retry_after: Option<u64>,
    /// The internal cause, only for the log.
    #[source]
    cause: Option<kqueen_domain::port::BoxError>,
}

impl ApiError {
    /// An error with a status, a stable code and a description.
    #[must_use]
    pub fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into(), details: Vec::new(), retry_after: None, cause: None }
    }

    /// The request is not valid JSON, or malformed.
    #[must_use]
    pub fn bad_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", description)
    }

    /// Nothing is served at this path.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "this path does not exist; see /api/docs/")
    }

    /// The path does not support this method.
    #[must_use]
    pub fn method_not_allowed(allowed: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("this path supports {allowed}"))
    }

    /// The body is too long.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the request body must not be longer than {limit} bytes"),
        )
    }

    /// The body is not JSON.
    #[must_use]
    pub fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send the body as JSON with the Content-Type application/json",
        )
    }

    /// The request line and headers are too long.
    #[must_use]
    pub fn head_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head_too_large",
            format!("the path and headers of a request must not be longer than {limit} bytes in total"),
        )
    }

    /// The body is compressed.
    #[must_use]
    pub fn unsupported_encoding() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send the body uncompressed, without Content-Encoding",
        )
    }

    /// The request exceeded its time limit.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "the request took too long; try again")
    }

    /// The client accepts no media type that the operation returns.
    #[must_use]
    pub fn not_acceptable(kind: &str) -> Self {
        let description = format!("this path responds only with {kind}; include it in Accept, or omit Accept");
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", description)
    }

    /// Too many event streams are open.
    #[must_use]
    pub fn too_many_streams(full: Full) -> Self {
        let failure = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", full.to_string());
        Self { retry_after: Some(STREAM_RETRY_AFTER), ..failure }
    }

    /// An internal error.
    #[must_use]
    pub fn internal(cause: kqueen_domain::port::BoxError) -> Self {
        let description = "internal error; the details are in the log under this request id";
        let failure = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", description);
        Self { cause: Some(cause), ..failure }
    }

    /// Converts an error of the framework.
    #[must_use]
    pub fn from_framework(error: &poem::Error) -> Self {
        if let Some(param) = error.downcast_ref::<ParseParamError>() {
            return Invalid::field(param.name, reworded(&param.reason)).into();
        }
        if error.is::<ParsePathError>() || error.is::<OpenApiPathError>() {
            return Self::new(StatusCode::NOT_FOUND, "not_found", "no object has this id; an id is a UUID");
        }
        if error.is::<AuthorizationError>() {
            return unauthenticated("a token is required: send Authorization: Bearer <token from POST /api/v1/auth>");
        }
        if error.is::<ContentTypeError>() {
            return Self::unsupported_media_type();
        }
        match error.status() {
            StatusCode::NOT_FOUND => Self::no_such_path(),
            StatusCode::METHOD_NOT_ALLOWED => Self::method_not_allowed("other methods"),
            StatusCode::UNAUTHORIZED => unauthenticated("log in again"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::unsupported_media_type(),
            status if status.is_client_error() => Self::bad_request("the request is not valid"),
            _ => Self::internal(error.to_string().into()),
        }
    }

    /// The response, with the request id.
    #[must_use]
    pub fn into_response(self, request_id: &str, realm: &str) -> Response {
        if let Some(cause) = &self.cause {
            let causes = std::iter::successors(Some(&**cause as &dyn std::error::Error), |error| error.source());
            let causes = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
            tracing::error!(request_id, status = self.status.as_u16(), error = causes, "request failed");
        }
        let body = ErrorBody {
            code: self.status.as_u16(),
            status_code: self.status.as_u16(),
            error: self.error.to_owned(),
            description: self.description,
            details: self
                .details
                .into_iter()
                .map(|FieldError { field, message }| ErrorDetail { field, message })
                .collect(),
            request_id: request_id.to_owned(),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::builder().status(self.status).content_type(JSON).body(body);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED
            && let Ok(challenge) = HeaderValue::try_from(format!("Bearer realm=\"{realm}\""))
        {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Rewords the framework's message for a violated rule: `verification failed. minimum(1, exclusive: false)`.
fn reworded(reason: &str) -> String {
    let rule = reason.strip_prefix("verification failed. ").and_then(|rule| rule.split_once('('));
    match rule.and_then(|(rule, rest)| Some((rule, rest.split([',', ')']).next()?))) {
        Some(("minimum", least)) => format!("must be at least {least}"),
        Some(("maximum", most)) => format!("must be at most {most}"),
        _ => reason.to_owned(),
    }
}

fn unauthenticated(description: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthenticated", description)
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        let mut details = invalid.0;
        let description = match &details[..] {
            [only] => format!("{} {}", only.field, only.message),
            several if several.len() > MAX_DETAILS => {
                format!("{} fields are invalid; details lists the first {MAX_DETAILS}", several.len())
            }
            several => format!("{} fields are invalid; see details", several.len()),
        };
        // A longer list comes from a program and would not be read.
        details.truncate(MAX_DETAILS);
        Self { details, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", description) }
    }
}

impl From<NoSlot> for ApiError {
    fn from(none: NoSlot) -> Self {
        let (status, error) = match none {
            NoSlot::User(_) | NoSlot::Cluster(_) | NoSlot::Organization(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_requests")
            }
            NoSlot::Overall(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self { retry_after: Some(VIEW_RETRY_AFTER), ..Self::new(status, error, none.to_string()) }
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        let description = error.to_string();
        match error {
            ServiceError::Unauthenticated(text) => unauthenticated(text),
            ServiceError::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", description),
            ServiceError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not_found", description),
            ServiceError::Invalid(invalid) => invalid.into(),
            ServiceError::Conflict { message, details } => {
                Self { details, ..Self::new(StatusCode::CONFLICT, "conflict", message) }
            }
            ServiceError::Unsupported(_) => Self::new(StatusCode::CONFLICT, "unsupported", description),
            ServiceError::ChangedMeanwhile(_) => {
                Self::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", description)
            }
            ServiceError::Throttled { retry_after } => Self {
                retry_after: Some(retry_after.as_secs_f64().ceil().max(1.0) as u64),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", description)
            },
            ServiceError::Upstream(_) => Self::new(StatusCode::BAD_GATEWAY, "upstream_failed", description),
            ServiceError::UpstreamTimeout(_) => Self::new(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", description),
            ServiceError::Unavailable(cause) => Self {
                retry_after: Some(5),
                cause: Some(cause),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", description)
            },
            ServiceError::Internal(cause) => Self::internal(cause),
        }
    }
}

impl ResponseError for ApiError {
    fn status(&self) -> StatusCode {
        self.status
    }
}

/// The statuses of each operation and the body are declared in [`document`](crate::api::document()).
impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        MetaResponses { responses: Vec::new() }
    }

    fn register(_registry: &mut Registry) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_framework_are_reworded() {
        let table = [
            ("verification failed. minimum(1, exclusive: false)", "must be at least 1"),
            ("verification failed. maximum(200, exclusive: false)", "must be at most 200"),
            ("must be a UUID", "must be a UUID"),
        ];
        for (original, reworded_to) in table {
            assert_eq!(reworded(original), reworded_to);
        }
    }
}
