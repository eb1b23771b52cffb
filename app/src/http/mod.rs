//! The HTTP pipeline around every request: request id, client address, time limit, HTTP semantics, metrics and the access log.

pub mod compress;
pub mod context;
pub mod deadlines;
pub mod docs;
pub mod drain;
mod forwarded;
pub mod parameters;
pub mod peer;
pub mod routes;
pub mod scrape;
pub mod serve;

use std::{
    borrow::Cow,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use context::RequestContext;
use futures::{FutureExt, future::BoxFuture};
use ipnet::IpNet;
use kqueen_domain::{invalid::Invalid, service::people::sessions::Sessions};
use peer::Peer;
use poem::{
    Endpoint, IntoResponse, Request, Response, Result, Route,
    endpoint::{BoxEndpoint, DynEndpoint},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::PathAndQuery},
};
use routes::Routes;
use uuid::Uuid;

use crate::{error::ApiError, metrics::Metrics};

/// The header with the request id.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum size of a request's path and headers in bytes. The server reads up to [twice as much](serve), so that the response can say why
/// a request is rejected.
const MAX_HEAD: usize = 32 * 1024;

/// A request that takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);

/// The prefix of the API's paths.
pub const API: &str = "/api/v1";
/// The login path.
pub const AUTH: &str = "/api/v1/auth";

/// Marks a response whose body is an endless stream: it is neither compressed nor buffered.
#[derive(Debug, Clone, Copy)]
pub struct StreamingBody;

/// The pipeline around the routes.
pub struct Pipeline {
    /// The endpoint for `/api/v1`.
    pub api: BoxEndpoint<'static>,
    /// The endpoints for all other paths.
    pub others: Route,
    /// The known paths.
    pub routes: Routes,
    /// Authenticates callers.
    pub sessions: Arc<Sessions>,
    /// Counts requests.
    pub metrics: Arc<Metrics>,
    /// The networks of proxies whose forwarding headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Maximum size of a body in bytes.
    pub body_limit: usize,
    /// Time limit of a request.
    pub time_limit: Duration,
    /// The authentication realm, sent with 401.
    pub realm: String,
    /// A second login path, if one is configured.
    pub auth_alias: Option<String>,
}

impl Endpoint for Pipeline {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let started = Instant::now();
        let name = request_id(request.headers());
        let id = name.to_str().unwrap_or_default();
        let method = request.method().clone();
        let accepts_gzip = compress::accepts_gzip(request.headers());
        let peer = Peer::of(&request, &self.trusted_proxies);
        self.normalise(&mut request);
        let route = self.routes.find(request.uri().path());
        let metrics = route.map_or(&self.routes.unknown, |route| &route.metrics);
        let mut response = match route {
            _ if head_length(&request) > MAX_HEAD => Err(ApiError::head_too_large(MAX_HEAD)),
            None => Err(ApiError::no_such_path()),
            Some(route) if !route.allows(&method) => {
                Err(ApiError::method_not_allowed(&route.allow)).or_else(|failure: ApiError| {
                    let mut response = failure.into_response(id, &self.realm);
                    allow(&mut response, &route.allow);
                    Ok(response)
                })
            }
            Some(route) if method == Method::OPTIONS => {
                let mut response = StatusCode::NO_CONTENT.into_response();
                allow(&mut response, &route.allow);
                Ok(response)
            }
            Some(route) => {
                if method == Method::HEAD {
                    request.set_method(Method::GET);
                }
                let (sessions, body_limit) = (self.sessions.clone(), self.body_limit);
                request.set_data(RequestContext { sessions, peer, body_limit });
                match check_query(&mut request, route) {
                    Ok(()) => self.answer(request).await,
                    Err(invalid) => Err(invalid.into()),
                }
            }
        }
        .unwrap_or_else(|failure| failure.into_response(id, &self.realm));
        let is_streaming = response.data::<StreamingBody>().is_some();
        if !is_streaming {
            response = compress::compressed(response, accepts_gzip).await;
        }
        match method {
            Method::HEAD if is_streaming => drop(response.take_body()),
            Method::HEAD => without_body(&mut response).await,
            _ => {}
        }
        let (status, took) = (response.status(), started.elapsed());
        self.metrics.request(metrics, &method, status, took);
        log(id, &method, &metrics.endpoint, status, took);
        set_headers(response.headers_mut(), name);
        Ok(response)
    }
}

impl Pipeline {
    /// The response of the routes.
    async fn answer(&self, request: Request) -> Result<Response, ApiError> {
        match bounded(self.dispatch(request), self.time_limit).await? {
            Ok(response) => Ok(response),
            Err(error) if error.is::<ApiError>() => match error.downcast::<ApiError>() {
                Ok(failure) => Err(failure),
                Err(error) => Err(ApiError::from_framework(&error)),
            },
            Err(error) if error.is_from_response() => Ok(error.into_response()),
            Err(error) => Err(ApiError::from_framework(&error)),
        }
    }

    fn dispatch(&self, request: Request) -> BoxFuture<'_, Result<Response>> {
        // Not nested in a route of the framework, which would match and record every path twice.
        if request.uri().path().strip_prefix(API).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            DynEndpoint::call(&*self.api, request)
        } else {
            self.others.call(request).boxed()
        }
    }

    /// Removes trailing slashes, and replaces the login alias.
    fn normalise(&self, request: &mut Request) {
        let path = request.uri().path();
        let trimmed = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        let path = match &self.auth_alias {
            Some(alias) if trimmed == alias => AUTH,
            _ if trimmed == path => return,
            _ => trimmed,
        };
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        let query = request.uri().query().map(str::to_owned);
        retarget(request, path, query.as_deref());
    }
}

/// Replaces the path and query of a request.
fn retarget(request: &mut Request, path: String, query: Option<&str>) {
    let mut target = path;
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    // A trimmed path is always valid. If it were not, the old path would stay, which is not found.
    if let Ok(target) = PathAndQuery::try_from(target) {
        *request.uri_mut() = target.into();
    }
}

/// Rejects query parameters that the operation does not declare, and removes those without a value.
fn check_query(request: &mut Request, route: &routes::Route) -> Result<(), Invalid> {
    let Some(parameters) = route.parameters(request.method()) else { return Ok(()) };
    let Some(query) = request.uri().query() else { return Ok(()) };
    if let Cow::Owned(query) = parameters.read(query)? {
        let path = request.uri().path().to_owned();
        retarget(request, path, Some(&query).filter(|query| !query.is_empty()).map(String::as_str));
    }
    Ok(())
}

/// The result of a handler, or an error if it panics or takes longer than `limit`.
async fn bounded<T>(answer: BoxFuture<'_, T>, limit: Duration) -> Result<T, ApiError> {
    let answer = AssertUnwindSafe(answer).catch_unwind();
    let answered = tokio::time::timeout(limit, answer).await.map_err(|_late| ApiError::timed_out())?;
    answered.map_err(|_panic| ApiError::internal("a handler panicked".into()))
}

/// Logs a request. Successful reads are logged at debug level, because consoles poll.
fn log(id: &str, method: &Method, endpoint: &str, status: StatusCode, took: Duration) {
    let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let is_success = status.as_u16() < 400 && took < SLOW;
    let (status, ms) = (status.as_u16(), took.as_secs_f64() * 1000.0);
    if is_read && is_success {
        tracing::debug!(request_id = id, %method, endpoint, status, duration_ms = ms, "request");
    } else {
        tracing::info!(request_id = id, %method, endpoint, status, duration_ms = ms, "request");
    }
}

fn head_length(request: &Request) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    target + request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

/// The client's request id, if it can be safely repeated in headers and logs; otherwise a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let good = |id: &&HeaderValue| {
        let id = id.as_bytes();
        (1..=64).contains(&id.len()) && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    };
    let given = headers.get(&REQUEST_ID).filter(good).cloned();
    // A UUID is always a valid header value.
    let new = || HeaderValue::try_from(Uuid::new_v4().to_string()).unwrap_or(HeaderValue::from_static("-"));
    given.unwrap_or_else(new)
}

fn allow(response: &mut Response, methods: &str) {
    if let Ok(value) = HeaderValue::try_from(methods) {
        response.headers_mut().insert(header::ALLOW, value);
    }
}

/// Removes the body of a response to HEAD, and keeps its length.
async fn without_body(response: &mut Response) {
    let body = response.take_body().into_bytes().await.unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
}

/// Sets the headers of every response.
fn set_headers(headers: &mut HeaderMap, id: HeaderValue) {
    headers.insert(&REQUEST_ID, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Responses depend on the caller and the time; no cache may store them.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_panics_or_takes_too_long_gets_an_error_response() {
        let limit = Duration::from_secs(30);
        let status = |failure: ApiError| failure.into_response("id", "realm").status().as_u16();
        let wait = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        assert_eq!(bounded(async { 1 }.boxed(), limit).await.map_err(status), Ok(1));
        assert_eq!(bounded(wait(29).map(|()| 2).boxed(), limit).await.map_err(status), Ok(2));
        assert_eq!(bounded(wait(31).boxed(), limit).await.map_err(status), Err(504));
        let panics = async { panic!("at once") };
        assert_eq!(bounded::<()>(panics.boxed(), limit).await.map_err(status), Err(500));
        let panics = wait(1).map(|()| panic!("later"));
        assert_eq!(bounded::<()>(panics.boxed(), limit).await.map_err(status), Err(500));
    }

    #[test]
    fn a_safe_request_id_is_kept() {
        let id = |sent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(&REQUEST_ID, sent.parse().unwrap());
            request_id(&headers)
        };
        for good in ["a", "7f3e_b.c-D", &"x".repeat(64)] {
            assert_eq!(id(good), good);
        }
        for bad in ["", "a b", "a\"b", "a;b", &"x".repeat(65)] {
            assert_eq!(id(bad).len(), 36, "{bad}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
