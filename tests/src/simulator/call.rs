//! Requests as they arrive, what they ask for, and the answers to them.

use std::{borrow::Cow, collections::BTreeMap};

use hyper::{HeaderMap, Method, body::Bytes, header, http::request::Parts};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde_json::Value;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    /// The path as it was sent, percent-encoded.
    pub path: String,
    /// The query as it was sent, without the question mark.
    pub raw_query: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Where the simulator was reached: `http://127.0.0.1:<port>`.
    pub origin: String,
}

impl Request {
    /// Reads the head of a request.
    #[must_use]
    pub fn new(head: &Parts, body: Bytes, origin: &str) -> Self {
        let path = head.uri.path().to_owned();
        let raw_query = head.uri.query().unwrap_or_default().to_owned();
        let query = Url::parse(&format!("http://simulator/?{raw_query}"))
            .map(|url| url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
            .unwrap_or_default();
        let (method, headers, origin) = (head.method.clone(), head.headers.clone(), origin.to_owned());
        Self { method, path, raw_query, query, headers, body, origin }
    }

    /// The parts of the path, decoded.
    #[must_use]
    pub fn segments(&self) -> Vec<String> {
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        self.path.split('/').skip(1).map(decode).collect()
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token it was sent with.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        self.header(header::AUTHORIZATION.as_str())?.strip_prefix("Bearer ")
    }

    /// A parameter of the query.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `None` if it is empty or something else.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as an HTML form.
    #[must_use]
    pub fn form(&self) -> BTreeMap<String, String> {
        let text = String::from_utf8_lossy(&self.body);
        let url = Url::parse(&format!("http://simulator/?{text}"));
        url.map(|url| url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
            .unwrap_or_default()
    }
}

/// What a request asks for, by the provider's published names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The name of the method: `container.projects.locations.clusters.create`.
    pub kind: Cow<'static, str>,
    /// Whether it changes nothing.
    pub is_read: bool,
    /// What the path says.
    pub parameters: BTreeMap<String, String>,
}

impl Route {
    #[must_use]
    pub fn new(kind: impl Into<Cow<'static, str>>, is_read: bool) -> Self {
        Self { kind: kind.into(), is_read, parameters: BTreeMap::new() }
    }

    /// With one more thing that the path says.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }
}

/// A request that the provider knows.
#[derive(Debug, Clone)]
pub struct Call {
    pub request: Request,
    pub route: Route,
}

impl Call {
    /// The name of the method.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.route.kind
    }

    /// What the path says; empty if it says nothing of that.
    #[must_use]
    pub fn parameter(&self, name: &str) -> &str {
        self.route.parameters.get(name).map_or("", String::as_str)
    }
}

/// An answer before it becomes HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Empty,
    Json(Value),
    /// Text and its media type.
    Text(String, &'static str),
    /// This much of a JSON body that is announced as longer; then the connection is cut.
    Half(String),
}

impl Reply {
    #[must_use]
    pub const fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Body::Json(body) }
    }

    #[must_use]
    pub const fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty }
    }

    /// A page for people, as load balancers and maintenance servers answer.
    #[must_use]
    pub fn page(status: u16, page: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Text(page.into(), "text/html; charset=UTF-8") }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Whether it says that it was done.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The body as JSON.
    #[must_use]
    pub const fn value(&self) -> Option<&Value> {
        match &self.body {
            Body::Json(value) => Some(value),
            Body::Empty | Body::Text(..) | Body::Half(_) => None,
        }
    }
}
