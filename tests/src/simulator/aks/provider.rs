//! The provider without its network: who may do what, and what time brings. What each method does is in
//! [`managed_clusters`](super::managed_clusters), [`agent_pools`](super::agent_pools) and [`arm`](super::arm).

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    API_VERSION,
    account::{ARM, Accounts, Principal, Rejected},
    catalog::Versions,
    cluster::{Cluster, ClusterName},
    control::Event,
    error, login, method,
    operation::Operation,
    permission::{is_aks, permission, scope},
    subscription::{NAMESPACES, Subscription},
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

/// Azure Kubernetes Service with what belongs to it.
pub struct Aks {
    /// Everybody who may call.
    pub accounts: Accounts,
    /// By their ids in small letters.
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    pub clusters: BTreeMap<ClusterName, Cluster>,
    /// What is offered.
    pub versions: Versions,
    /// How many clusters are on a page of a list.
    pub page_size: usize,
    /// Whether AKS refuses in the form of Resource Manager, and not in its own.
    pub is_enveloped: bool,
    pub(super) operations: BTreeMap<String, Operation>,
    /// Each cluster as it was before its last change.
    pub(super) before: BTreeMap<ClusterName, Option<Cluster>>,
    pub(super) kubernetes: Kubernetes,
    pub(super) apis: BTreeMap<ClusterName, ClusterApi>,
    pub(super) tls: Option<Tls>,
    pub(super) changes: u64,
}

impl Aks {
    /// One without customers.
    #[must_use]
    pub fn new(kubernetes: Kubernetes) -> Self {
        Self {
            accounts: Accounts::default(),
            subscriptions: BTreeMap::new(),
            clusters: BTreeMap::new(),
            versions: Versions::default(),
            page_size: 100,
            is_enveloped: false,
            operations: BTreeMap::new(),
            before: BTreeMap::new(),
            kubernetes,
            apis: BTreeMap::new(),
            tls: None,
            changes: 0,
        }
    }

    /// Makes a subscription of a tenant, if it is not there.
    pub fn add_subscription(&mut self, id: &str, tenant: &str) -> &mut Subscription {
        self.subscriptions.entry(id.to_lowercase()).or_insert_with(|| Subscription::new(id, tenant))
    }

    /// The subscription of that id.
    #[must_use]
    pub fn subscription(&self, id: &str) -> Option<&Subscription> {
        self.subscriptions.get(&id.to_lowercase())
    }

    pub(super) fn tenant_of(&self, subscription: &str) -> String {
        self.subscription(subscription).map(|subscription| subscription.tenant.clone()).unwrap_or_default()
    }

    pub(super) fn is_tenant(&self, tenant: &str) -> bool {
        self.subscriptions.values().any(|subscription| subscription.tenant.eq_ignore_ascii_case(tenant))
            || self.accounts.all().iter().any(|principal| principal.tenant.eq_ignore_ascii_case(tenant))
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
    fn admit(&self, call: &Call) -> Result<Principal, Reply> {
        let kind = call.kind();
        let id = call.parameter("subscription");
        let subscription = self.subscription(id);
        let tenant = subscription.map_or("common", |subscription| subscription.tenant.as_str());
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let caller = self.accounts.holder(call.request.bearer(), ARM).map_err(|why| match why {
            Rejected::Missing => error::no_token(tenant),
            Rejected::Unknown => error::bad_token(tenant),
            Rejected::Expired(until, now) => error::expired_token(tenant, &time(until), &time(now)),
        })?;
        let subscription = subscription.ok_or_else(|| error::no_subscription(id))?;
        if !subscription.tenant.eq_ignore_ascii_case(&caller.tenant) {
            return Err(error::wrong_tenant(tenant, &caller.tenant));
        }
        let version = call.request.query("api-version").filter(|version| !version.is_empty());
        if !version.is_some_and(|version| if is_aks(kind) { version == API_VERSION } else { is_version(version) }) {
            let location = subscription.group(call.parameter("group")).map_or("westeurope", |group| &group.location);
            return Err(error::api_version(version, is_aks(kind), location));
        }
        let has_role = caller.subscriptions.iter().any(|has| has.eq_ignore_ascii_case(id));
        let action = permission(call);
        if !has_role || action.as_ref().is_some_and(|action| !caller.may(action)) {
            let action = action.unwrap_or_else(|| "Microsoft.Resources/subscriptions/read".to_owned());
            return Err(error::lacks(&caller.client_id, &caller.object_id, &action, &scope(call)));
        }
        if subscription.is_disabled && !call.route.is_read {
            return Err(error::disabled(id));
        }
        let namespace = if kind.starts_with("resource_skus") || kind.starts_with("usage") {
            Some(NAMESPACES[1])
        } else if is_aks(kind) && (!call.route.is_read || kind == "managed_clusters.list_kubernetes_versions") {
            Some(NAMESPACES[0])
        } else {
            None
        };
        if let Some(namespace) = namespace.filter(|namespace| !subscription.is_registered(namespace)) {
            return Err(error::unregistered(namespace));
        }
        let group = Some(call.parameter("group")).filter(|group| !group.is_empty());
        match group.filter(|group| subscription.group(group).is_none()) {
            Some(group) => Err(error::no_group(group)),
            None => Ok(caller),
        }
    }

    fn answer(&mut self, call: &Call, moment: &Moment, twist: &Twist) -> Result<Reply, Reply> {
        let caller = self.admit(call)?;
        match call.kind().split_once('.').map_or("", |(of, _)| of) {
            "managed_clusters" => self.managed_clusters(call, &caller, moment, twist),
            "agent_pools" => self.agent_pools(call, moment, twist),
            _ => self.arm(call, &caller, moment),
        }
    }
}

/// Whether it looks like the version of an API: a day.
fn is_version(version: &str) -> bool {
    chrono::NaiveDate::parse_from_str(version.trim_end_matches("-preview"), "%Y-%m-%d").is_ok()
}

impl Provider for Aks {
    fn route(&self, request: &Request) -> Option<Route> {
        method::route(request)
    }

    fn unknown(&self, request: &Request) -> Reply {
        let message = format!("No HTTP resource was found that matches the request URI '{}'.", request.path);
        error::arm(404, "NotFound", message)
    }

    fn pass(&mut self, moment: &Moment) {
        self.accounts.set_now(moment.caller_now);
        for subscription in self.subscriptions.values_mut() {
            subscription.pass(moment.now);
        }
        loop {
            let due = self.operations.values().filter(|it| it.outcome.is_none() && it.ends <= moment.now);
            let Some(id) = due.min_by_key(|operation| operation.ends).map(|operation| operation.id.clone()) else {
                break;
            };
            self.finish(&id);
        }
    }

    fn act(&mut self, call: &Call, moment: &Moment, twist: &Twist) -> Reply {
        match call.kind() {
            method::TOKEN => self.token(call, moment),
            method::OPENID => self.openid_configuration(call, moment),
            _ => {
                let reply = self.answer(call, moment, twist).unwrap_or_else(|refusal| refusal);
                let reply = reply.header("x-ms-request-id", Uuid::new_v4().to_string());
                if self.is_enveloped { error::enveloped(reply) } else { reply }
            }
        }
    }

    fn trouble(&self, call: &Call, moment: &Moment, trouble: &Trouble) -> Reply {
        let kind = call.kind();
        if kind == method::TOKEN || kind == method::OPENID {
            return login::trouble(call, moment, trouble);
        }
        let id = call.parameter("subscription");
        let name = ClusterName::new(id, call.parameter("group"), call.parameter("cluster"));
        let reply = match trouble {
            Trouble::BadRequest => {
                let request = &call.request;
                let why = format!(
                    "{} {} authorization: Bearer {} {}",
                    request.method,
                    request.path,
                    request.bearer().unwrap_or_default(),
                    String::from_utf8_lossy(&request.body)
                );
                error::invalid("managedCluster", &why)
            }
            Trouble::Unauthenticated => error::bad_token(&self.tenant_of(id)),
            Trouble::Forbidden => {
                let client = self.accounts.holder(call.request.bearer(), ARM).ok();
                let (client, object) = client.map(|client| (client.client_id, client.object_id)).unwrap_or_default();
                error::lacks(&client, &object, &permission(call).unwrap_or_default(), &scope(call))
            }
            Trouble::ParentMissing if name.group.is_empty() => error::no_subscription(id),
            Trouble::ParentMissing => error::no_group(&name.group),
            Trouble::Busy if self.is_enveloped => error::old_busy("Updating"),
            Trouble::Busy => error::busy("update"),
            Trouble::Quota => error::cores(&name, "westeurope", 10, 10, 2),
            Trouble::TooManyRequests(after) => retried(too_many(kind, id), *after, moment),
            Trouble::Internal if is_aks(kind) => error::aks(500, "InternalOperationError", "Internal server error"),
            Trouble::Internal => {
                let message = "Encountered internal server error. Diagnostic information: timestamp, subscription id, \
                               tracking id, request correlation id.";
                error::arm(500, "InternalServerError", message)
            }
            _ => error::arm(503, "ServiceUnavailable", "The service is unavailable. Please retry the request."),
        };
        if self.is_enveloped { error::enveloped(reply) } else { reply }
    }

    fn limits(&self, call: &Call) -> Vec<RateLimit> {
        let kind = call.kind();
        if kind == method::TOKEN || kind == method::OPENID {
            // The login host publishes none.
            return Vec::new();
        }
        let subscription = call.parameter("subscription").to_lowercase();
        let path = call.request.path.to_lowercase();
        // Of Resource Manager: what it calls reads are those with GET.
        let (what, burst, rate) = match call.request.method.as_str() {
            "GET" => ("reads", 250.0, 25.0),
            "DELETE" => ("deletes", 200.0, 10.0),
            _ => ("writes", 200.0, 10.0),
        };
        let mut limits = vec![RateLimit::new(format!("arm/{what}/{subscription}"), burst, rate)];
        // Of AKS: of each cluster and pool, of each group, of each subscription.
        limits.extend(match kind {
            "managed_clusters.create_or_update" | "agent_pools.create_or_update" => {
                Some(RateLimit::per_minute(format!("put{path}"), 1)).map(|limit| RateLimit { burst: 20.0, ..limit })
            }
            "managed_clusters.get" => Some(RateLimit::new(format!("get{path}"), 60.0, 1.0)),
            "managed_clusters.list_by_resource_group" => Some(RateLimit::new(format!("list{path}"), 60.0, 1.0)),
            "managed_clusters.list" => Some(RateLimit::new(format!("list{path}"), 500.0, 1.0)),
            "operations.get" | "operations.result" => {
                Some(RateLimit::new(format!("operations/{subscription}"), 200.0, 2.0))
            }
            _ if is_aks(kind) => Some(RateLimit::new(format!("others/{subscription}"), 60.0, 1.0)),
            _ => None,
        });
        limits
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
            "accounts": self.accounts.save(), "subscriptions": self.subscriptions, "versions": self.versions,
            "page_size": self.page_size, "is_enveloped": self.is_enveloped,
            "clusters": self.clusters.values().collect::<Vec<_>>(),
            "operations": self.operations.values().collect::<Vec<_>>(), "changes": self.changes,
        })
    }

    fn load(&mut self, mut state: Value, _: &Moment) -> Result<(), String> {
        fn read<T: serde::de::DeserializeOwned>(state: &mut Value, field: &str) -> Result<T, String> {
            serde_json::from_value(state[field].take()).map_err(|error| format!("{field}: {error}"))
        }
        self.accounts.load(state["accounts"].take())?;
        self.subscriptions = read(&mut state, "subscriptions")?;
        self.versions = read(&mut state, "versions")?;
        self.page_size = read(&mut state, "page_size")?;
        self.is_enveloped = read(&mut state, "is_enveloped")?;
        let clusters: Vec<Cluster> = read(&mut state, "clusters")?;
        self.clusters = clusters.into_iter().map(|cluster| (cluster.name.clone(), cluster)).collect();
        let operations: Vec<Operation> = read(&mut state, "operations")?;
        self.operations = operations.into_iter().map(|operation| (operation.id.clone(), operation)).collect();
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

/// Too many calls: AKS itself and Resource Manager say so differently.
fn too_many(kind: &str, subscription: &str) -> Reply {
    if is_aks(kind) || kind.starts_with("operations.") {
        return error::aks(429, "Throttled", "The request is throttled. Please try again later.");
    }
    let message = format!(
        "Number of requests for subscription '{subscription}' exceeded the limit of '250' for time interval '00:00:10'. \
         Please try again later."
    );
    error::arm(429, "TooManyRequests", message)
}

/// A refusal that says when to come back.
pub(super) fn retried(reply: Reply, after: RetryAfter, moment: &Moment) -> Reply {
    match after {
        RetryAfter::Untold => reply,
        RetryAfter::Seconds(seconds) => reply.header("retry-after", seconds.to_string()),
        RetryAfter::Date(seconds) => {
            let at = moment.caller_now + TimeDelta::seconds(seconds.into());
            reply.header("retry-after", at.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
        }
    }
}
