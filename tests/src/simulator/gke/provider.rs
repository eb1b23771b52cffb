//! The provider without its network: who may do what, and what time brings. What each method does is in
//! [`container`](super::container) and [`compute`](super::compute).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    account::{Accounts, Rejected, ServiceAccount},
    catalog::Versions,
    cluster::{Cluster, ClusterName},
    control::Event,
    encoding, error,
    method::{self, Method},
    operation::Operation,
    project::Project,
};
use crate::simulator::{
    call::{Call, Reply, Request, Route},
    fault::{RetryAfter, Trouble, Twist},
    journal::Exchange,
    kubernetes::{ClusterApi, Kubernetes},
    provider::{Moment, Provider},
    rate_limit::RateLimit,
    tls::Tls,
};

/// The services, by what people call them.
const CONTAINER: (&str, &str) = ("container.googleapis.com", "Kubernetes Engine API");
const COMPUTE: (&str, &str) = ("compute.googleapis.com", "Compute Engine API");

/// Google Kubernetes Engine with what belongs to it.
pub struct Gke {
    /// Everybody who may call.
    pub accounts: Accounts,
    pub projects: BTreeMap<String, Project>,
    pub clusters: BTreeMap<ClusterName, Cluster>,
    /// What is offered.
    pub versions: Versions,
    /// Zones that cannot be reached at the moment.
    pub zones_down: BTreeSet<String>,
    pub(super) operations: BTreeMap<String, Operation>,
    /// Each cluster as it was before its last change.
    pub(super) before: BTreeMap<ClusterName, Option<Cluster>>,
    pub(super) kubernetes: Kubernetes,
    pub(super) apis: BTreeMap<ClusterName, ClusterApi>,
    pub(super) tls: Option<Tls>,
    pub(super) changes: u64,
    pub(super) serial: u64,
}

impl Gke {
    /// One without customers.
    #[must_use]
    pub fn new(kubernetes: Kubernetes) -> Self {
        let accounts = Accounts::default();
        if let Kubernetes::Given(given) = &kubernetes {
            accounts.set_fixed_token(given.token.clone());
        }
        Self {
            accounts,
            projects: BTreeMap::new(),
            clusters: BTreeMap::new(),
            versions: Versions::default(),
            zones_down: BTreeSet::new(),
            operations: BTreeMap::new(),
            before: BTreeMap::new(),
            kubernetes,
            apis: BTreeMap::new(),
            tls: None,
            changes: 0,
            serial: 0,
        }
    }

    /// A project, which is made if it is not there.
    pub fn project(&mut self, name: &str) -> &mut Project {
        let number = 100_000_000_000 + self.projects.len() as u64;
        self.projects.entry(name.to_owned()).or_insert_with(|| Project::new(name, number))
    }

    pub(super) const fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn number(&self, project: &str) -> u64 {
        self.projects.get(project).map_or(0, |project| project.number)
    }

    /// To be called before a cluster is changed.
    pub(super) fn remember(&mut self, name: &ClusterName) {
        self.changes += 1;
        let before = self.clusters.get(name).cloned();
        self.before.insert(name.clone(), before);
        let changes = self.changes;
        if let Some(cluster) = self.clusters.get_mut(name) {
            cluster.change = changes;
        }
    }

    /// A cluster as it is, or as it was before its last change.
    pub(super) fn seen(&self, name: &ClusterName, twist: &Twist) -> Option<&Cluster> {
        if twist.is_stale
            && let Some(before) = self.before.get(name)
        {
            return before.as_ref();
        }
        self.clusters.get(name)
    }

    /// Whether the caller may do it; who it is.
    fn admit(&self, call: &Call) -> Result<ServiceAccount, Reply> {
        let kind = call.kind();
        let account = self.accounts.holder(call.request.bearer()).map_err(|why| match why {
            Rejected::Missing => error::no_token(kind),
            Rejected::Unknown => error::bad_token(kind),
            Rejected::Expired => error::expired_token(kind),
        })?;
        let name = call.parameter("project");
        let resource = format!("projects/{name}");
        let project = self.projects.get(name).ok_or_else(|| error::no_project(name))?;
        let permission = permission(kind);
        if account.project != name {
            return Err(error::lacks(permission.unwrap_or("container.clusters.list"), &resource));
        }
        let (service, title) = if kind.starts_with("compute.") { COMPUTE } else { CONTAINER };
        let is_enabled = if service == COMPUTE.0 { project.compute_is_enabled } else { project.container_is_enabled };
        if !is_enabled {
            return Err(error::disabled(service, title, name, project.number));
        }
        if !project.has_billing && !call.route.is_read {
            return Err(error::no_billing(service, project.number));
        }
        match (permission, &account.permissions) {
            (Some(permission), Some(permissions)) if !permissions.contains(permission) => {
                Err(error::lacks(permission, &resource))
            }
            _ => Ok(account),
        }
    }

    /// The body with names for enums, if it is what the schema says.
    fn body(call: &Call, method: &Method) -> Result<Value, Reply> {
        let Some(schema) = &method.request else { return Ok(Value::Null) };
        let mut body = if call.request.body.is_empty() {
            json!({})
        } else {
            let unread = || error::bad_body(&["Unable to parse: the body is not JSON.".to_owned()]);
            call.request.json().ok_or_else(unread)?
        };
        encoding::to_names(schema, &mut body);
        let violations = encoding::CONTAINER.violations(schema, &body);
        if violations.is_empty() { Ok(body) } else { Err(error::bad_body(&violations)) }
    }

    fn answer(&mut self, call: &Call, moment: &Moment, twist: &Twist) -> Result<Value, Reply> {
        let account = self.admit(call)?;
        let method = Method::named(call.kind()).ok_or_else(|| unimplemented(call.kind()))?;
        if call.kind().starts_with("compute.") {
            return self.compute(call);
        }
        let body = Self::body(call, method)?;
        let mut answer = self.container(call, &account, &body, moment, twist)?;
        if encoding::wants_numbers(&call.request) {
            encoding::to_numbers(method.response.as_deref().unwrap_or_default(), &mut answer);
        }
        Ok(answer)
    }
}

/// The method is published, but not simulated.
pub(super) fn unimplemented(kind: &str) -> Reply {
    error::plain("UNIMPLEMENTED", format!("{kind} is not part of this simulator."))
}

/// A method without where it is: `clusters.create`.
pub(super) fn action(kind: &str) -> &str {
    let rest = kind.strip_prefix("container.projects.").unwrap_or(kind);
    rest.strip_prefix("locations.").or_else(|| rest.strip_prefix("zones.")).unwrap_or(rest)
}

/// The permission that a method needs.
fn permission(kind: &str) -> Option<&'static str> {
    Some(match action(kind) {
        "clusters.create" => "container.clusters.create",
        "clusters.delete" => "container.clusters.delete",
        "clusters.list" => "container.clusters.list",
        "clusters.get" | "clusters.nodePools.get" | "clusters.nodePools.list" | "clusters.fetchClusterUpgradeInfo" => {
            "container.clusters.get"
        }
        "operations.get" => "container.operations.get",
        "operations.list" => "container.operations.list",
        "getServerConfig" | "getServerconfig" => return None,
        "compute.zones.list" => "compute.zones.list",
        "compute.regions.list" => "compute.regions.list",
        "compute.regions.get" => "compute.regions.get",
        "compute.machineTypes.list" => "compute.machineTypes.list",
        _ => "container.clusters.update",
    })
}

impl Provider for Gke {
    fn route(&self, request: &Request) -> Option<Route> {
        method::route(request)
    }

    fn unknown(&self, request: &Request) -> Reply {
        let page = format!(
            "<!DOCTYPE html><html lang=en><title>Error 404 (Not Found)!!1</title><p>The requested URL <code>{}</code> was \
             not found on this server.</html>",
            request.path
        );
        Reply::page(404, page)
    }

    fn pass(&mut self, moment: &Moment) {
        self.accounts.set_now(moment.caller_now);
        loop {
            let due = self.operations.values().filter(|operation| !operation.is_done && operation.ends <= moment.now);
            let Some(name) = due.min_by_key(|operation| operation.ends).map(|operation| operation.name.clone()) else {
                break;
            };
            self.finish(&name);
        }
    }

    fn act(&mut self, call: &Call, moment: &Moment, twist: &Twist) -> Reply {
        if call.kind() == method::TOKEN {
            return self.accounts.grant(&call.request, &format!("{}/token", call.request.origin));
        }
        match self.answer(call, moment, twist) {
            Ok(answer) => Reply::ok(answer),
            Err(refusal) => refusal,
        }
    }

    fn trouble(&self, call: &Call, moment: &Moment, trouble: &Trouble) -> Reply {
        let kind = call.kind();
        let project = Some(call.parameter("project")).filter(|project| !project.is_empty()).unwrap_or("p");
        let service = if kind.starts_with("compute.") { COMPUTE.0 } else { CONTAINER.0 };
        if kind == method::TOKEN {
            return token_trouble(trouble, moment);
        }
        match trouble {
            Trouble::BadRequest => {
                let request = &call.request;
                error::invalid(format!(
                    "Request contains an invalid argument: {} {} authorization: Bearer {} {}",
                    request.method,
                    request.path,
                    request.bearer().unwrap_or_default(),
                    String::from_utf8_lossy(&request.body),
                ))
            }
            Trouble::Unauthenticated => error::bad_token(kind),
            Trouble::Forbidden => {
                error::lacks(permission(kind).unwrap_or("container.clusters.list"), &format!("projects/{project}"))
            }
            Trouble::ParentMissing => {
                error::plain("NOT_FOUND", format!("The resource \"projects/{project}\" was not found."))
            }
            Trouble::Busy => error::busy("operation-1800000000000-00000000-0000-4000-8000-000000000000"),
            Trouble::Quota => error::quota(project, "CPUS", 48.0, 24.0, 0.0),
            Trouble::TooManyRequests(after) => retried(error::too_many(service, self.number(project)), *after, moment),
            Trouble::Internal => error::plain("INTERNAL", "Internal error encountered."),
            _ => error::plain("UNAVAILABLE", "The service is currently unavailable."),
        }
    }

    fn limits(&self, call: &Call) -> Vec<RateLimit> {
        // The token endpoint publishes none.
        let project = call.parameter("project");
        let kind = call.kind();
        if kind == method::TOKEN {
            return Vec::new();
        }
        if kind.starts_with("compute.") {
            return vec![RateLimit::per_minute(format!("compute/{project}"), 1_500)];
        }
        vec![RateLimit::per_minute(format!("container/{project}"), 3_000)]
    }

    fn check(&self, exchange: &Exchange) -> Option<Vec<String>> {
        super::check::violations(exchange)
    }

    fn changes(&self) -> u64 {
        self.changes
    }

    fn control(&mut self, event: &Value, moment: &Moment) -> Result<Value, String> {
        let event: Event = serde_json::from_value(event.clone()).map_err(|error| error.to_string())?;
        self.happen(event, moment)?;
        Ok(json!({"changes": self.changes}))
    }

    fn save(&self) -> Value {
        json!({
            "accounts": self.accounts.save(), "projects": self.projects, "versions": self.versions,
            "zones_down": self.zones_down, "clusters": self.clusters.values().collect::<Vec<_>>(),
            "operations": self.operations.values().collect::<Vec<_>>(), "serial": self.serial, "changes": self.changes,
        })
    }

    fn load(&mut self, mut state: Value, _: &Moment) -> Result<(), String> {
        fn read<T: serde::de::DeserializeOwned>(state: &mut Value, field: &str) -> Result<T, String> {
            serde_json::from_value(state[field].take()).map_err(|error| format!("{field}: {error}"))
        }
        self.accounts.load(state["accounts"].take())?;
        self.projects = read(&mut state, "projects")?;
        self.versions = read(&mut state, "versions")?;
        self.zones_down = read(&mut state, "zones_down")?;
        let clusters: Vec<Cluster> = read(&mut state, "clusters")?;
        self.clusters = clusters.into_iter().map(|cluster| (cluster.name.clone(), cluster)).collect();
        let operations: Vec<Operation> = read(&mut state, "operations")?;
        self.operations = operations.into_iter().map(|operation| (operation.name.clone(), operation)).collect();
        self.serial = read(&mut state, "serial")?;
        self.changes = read(&mut state, "changes")?;
        // Their API servers ended with the last run.
        let served: Vec<ClusterName> =
            self.clusters.values().filter(|cluster| cluster.endpoint.is_some()).map(|it| it.name.clone()).collect();
        for name in served {
            self.serve(&name);
        }
        Ok(())
    }
}

/// A refusal that says when to come back.
fn retried(reply: Reply, after: RetryAfter, moment: &Moment) -> Reply {
    match after {
        RetryAfter::Untold => reply,
        RetryAfter::Seconds(seconds) => reply.header("retry-after", seconds.to_string()),
        RetryAfter::Date(seconds) => reply.header("retry-after", http_date(moment.caller_now, seconds)),
    }
}

/// A time as HTTP writes it.
fn http_date(now: DateTime<Utc>, seconds: u32) -> String {
    let at = now + chrono::TimeDelta::seconds(seconds.into());
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// What goes wrong at the token endpoint, which has errors of its own.
fn token_trouble(trouble: &Trouble, moment: &Moment) -> Reply {
    match trouble {
        Trouble::TooManyRequests(after) => {
            let reply =
                Reply::json(429, json!({"error": "rate_limit_exceeded", "error_description": "Too many requests."}));
            retried(reply, *after, moment)
        }
        Trouble::Internal => {
            Reply::json(500, json!({"error": "internal_failure", "error_description": "Backend Error"}))
        }
        Trouble::Unavailable => {
            Reply::json(503, json!({"error": "temporarily_unavailable", "error_description": "Service Unavailable"}))
        }
        Trouble::Forbidden => {
            Reply::json(403, json!({"error": "access_denied", "error_description": "Account restricted"}))
        }
        Trouble::ParentMissing => error::grant("invalid_grant", "Invalid grant: account not found"),
        Trouble::BadRequest => error::grant("invalid_request", "Bad Request"),
        _ => error::grant("invalid_grant", "Invalid JWT Signature."),
    }
}
