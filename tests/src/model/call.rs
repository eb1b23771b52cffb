//! The calls of the provider's API: their kinds, and how a request is parsed.

use hyper::{Method, header, http::request::Parts};
use reqwest::Url;
use serde_json::Value;

use super::{
    reply::Reply,
    resource::{Key, Kind},
};

/// A kind of call. The same action on another kind of resource is another kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    /// `GET /v1/projects/{project}`: whether it exists, and the token's rights in it.
    Project,
    /// `GET /v1/projects/{project}/things?label=name=value&page=…`: all resources with these labels, in pages.
    List,
    /// `GET /v1/projects/{project}/{kinds}/{name}`
    Get(Kind),
    /// `POST /v1/projects/{project}/{kinds}`
    Create(Kind),
    /// `POST /v1/projects/{project}/{kinds}/{name}/repair`: retries what failed.
    Repair(Kind),
    /// `DELETE /v1/projects/{project}/{kinds}/{name}`
    Delete(Kind),
    /// `POST /v1/projects/{project}/nodepools/{name}/resize`
    Resize,
    /// `POST /v1/projects/{project}/clusters/{name}/network-policy`
    SetNetworkPolicy,
    /// `GET /v1/projects/{project}/clusters/{name}/kubeconfig`
    Kubeconfig,
}

impl CallKind {
    /// Every kind of call.
    pub const ALL: [Self; 17] = [
        Self::Project,
        Self::List,
        Self::Get(Kind::Network),
        Self::Get(Kind::Cluster),
        Self::Get(Kind::Nodepool),
        Self::Create(Kind::Network),
        Self::Create(Kind::Cluster),
        Self::Create(Kind::Nodepool),
        Self::Repair(Kind::Network),
        Self::Repair(Kind::Cluster),
        Self::Repair(Kind::Nodepool),
        Self::Delete(Kind::Network),
        Self::Delete(Kind::Cluster),
        Self::Delete(Kind::Nodepool),
        Self::Resize,
        Self::SetNetworkPolicy,
        Self::Kubeconfig,
    ];

    /// Whether it only reads.
    #[must_use]
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Project | Self::List | Self::Get(_) | Self::Kubeconfig)
    }

    /// The right that the call requires. Every token may read its own rights.
    #[must_use]
    pub const fn right(self) -> Option<Right> {
        match self {
            Self::Project => None,
            Self::List | Self::Get(_) => Some(Right::Read),
            Self::Create(_) => Some(Right::Create),
            Self::Repair(_) | Self::Resize | Self::SetNetworkPolicy => Some(Right::Change),
            Self::Delete(_) => Some(Right::Delete),
            Self::Kubeconfig => Some(Right::Kubeconfig),
        }
    }
}

/// A right that a token can grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    Read,
    Create,
    Change,
    Delete,
    Kubeconfig,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 5] = [Self::Read, Self::Create, Self::Change, Self::Delete, Self::Kubeconfig];

    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "things.read",
            Self::Create => "things.create",
            Self::Change => "things.change",
            Self::Delete => "things.delete",
            Self::Kubeconfig => "clusters.kubeconfig",
        }
    }
}

/// A received call.
#[derive(Debug, Clone)]
pub struct Call {
    pub kind: CallKind,
    pub method: Method,
    /// Path and query.
    pub path: String,
    pub project: String,
    /// The name of the resource; a create call has it in its body.
    pub name: Option<String>,
    pub labels: Vec<(String, String)>,
    pub page: Option<String>,
    /// The call applies only if the resource has this id.
    pub only_id: Option<String>,
    pub body: Value,
    pub token: Option<String>,
    /// The id that the caller gave the call.
    pub id: String,
    /// The caller's user agent, which distinguishes replicas.
    pub agent: String,
}

impl Call {
    /// The resource that the call addresses, if any.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        let kind = match self.kind {
            CallKind::Project | CallKind::List => return None,
            CallKind::Get(kind) | CallKind::Create(kind) | CallKind::Repair(kind) | CallKind::Delete(kind) => kind,
            CallKind::Resize => Kind::Nodepool,
            CallKind::SetNetworkPolicy | CallKind::Kubeconfig => Kind::Cluster,
        };
        Some(Key::new(&self.project, kind, self.name.as_deref()?))
    }

    /// Parses a request.
    pub(super) fn read(head: &Parts, body: &[u8]) -> Result<Self, Reply> {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let no_such_route = || Reply::error(404, "no_such_route", "no such route");
        let url = Url::parse(&format!("http://model{path}")).map_err(|_| no_such_route())?;
        let parts: Vec<&str> = url.path().split('/').skip(1).collect();
        let ["v1", "projects", project, rest @ ..] = parts.as_slice() else { return Err(no_such_route()) };
        let (kind, mut name) = route(&head.method, rest).ok_or_else(no_such_route)?;
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(body).map_err(|_| Reply::error(400, "invalid", "the body is not JSON"))?
        };
        if matches!(kind, CallKind::Create(_)) {
            name = body["name"].as_str().map(str::to_owned);
        }
        let query = |wanted: &'static str| {
            url.query_pairs().filter(move |(key, _)| key == wanted).map(|(_, value)| value.into_owned())
        };
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self {
            kind,
            method: head.method.clone(),
            project: (*project).to_owned(),
            name,
            labels: query("label").filter_map(|label| label.split_once('=').map(owned)).collect(),
            page: query("page").next(),
            only_id: query("id").next(),
            body,
            token: header(header::AUTHORIZATION.as_str()).strip_prefix("Bearer ").map(str::to_owned),
            id: header("x-call").to_owned(),
            agent: header(header::USER_AGENT.as_str()).to_owned(),
            path,
        })
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn route(method: &Method, rest: &[&str]) -> Option<(CallKind, Option<String>)> {
    let kind = |plural: &str| Kind::ALL.into_iter().find(|kind| kind.plural() == plural);
    let (get, post, delete) = (*method == Method::GET, *method == Method::POST, *method == Method::DELETE);
    let (call, name) = match *rest {
        [] if get => (CallKind::Project, None),
        ["things"] if get => (CallKind::List, None),
        [plural] if post => (CallKind::Create(kind(plural)?), None),
        [plural, name] if get => (CallKind::Get(kind(plural)?), Some(name)),
        [plural, name] if delete => (CallKind::Delete(kind(plural)?), Some(name)),
        [plural, name, "repair"] if post => (CallKind::Repair(kind(plural)?), Some(name)),
        ["nodepools", name, "resize"] if post => (CallKind::Resize, Some(name)),
        ["clusters", name, "network-policy"] if post => (CallKind::SetNetworkPolicy, Some(name)),
        ["clusters", name, "kubeconfig"] if get => (CallKind::Kubeconfig, Some(name)),
        _ => return None,
    };
    Some((call, name.map(str::to_owned)))
}
