//! The provider without its network: access rights, and operations that complete over time. The calls are in [`handlers`](super::handlers).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{
    call::{Call, CallKind, Right},
    reply::Reply,
    resource::{Account, Key, Kind, Resource, Status},
    resources::Resources,
};

/// The provider's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long creating a network, a cluster and a nodepool takes.
    pub creating: [TimeDelta; 3],
    /// How long a change or a repair takes.
    pub changing: TimeDelta,
    /// How long deleting a resource takes.
    pub deleting: TimeDelta,
    /// The maximum number of resources on one page of a list.
    pub page: usize,
    /// The rate limit of a project: calls per period.
    pub rate: Option<(u32, TimeDelta)>,
    /// How long every call takes, in real time.
    pub latency: Duration,
    /// By how much a set clock advances when a call is not answered.
    pub hanging: TimeDelta,
    /// The API server named in kubeconfigs.
    pub api_server: String,
    /// The certificate authority of that API server, in PEM.
    pub api_authority: Option<String>,
    /// Whether calls are logged; off where there are millions of them.
    pub keeps_log: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            creating: [TimeDelta::seconds(5), TimeDelta::seconds(120), TimeDelta::seconds(60)],
            changing: TimeDelta::seconds(40),
            deleting: TimeDelta::seconds(30),
            page: 50,
            rate: None,
            latency: Duration::ZERO,
            hanging: TimeDelta::seconds(10),
            api_server: "https://127.0.0.1:1".to_owned(),
            api_authority: None,
            keeps_log: true,
        }
    }
}

/// A customer's project.
#[derive(Debug, Default)]
struct Project {
    /// Its quota of nodes.
    nodes: Option<u32>,
    /// When the current period of the rate limit began, and the number of calls in it.
    period: Option<(DateTime<Utc>, u32)>,
}

/// What a token grants.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) project: String,
    /// Whom the token belongs to.
    pub(super) holder: String,
    pub(super) rights: BTreeSet<Right>,
}

/// What is due at a certain time.
#[derive(Debug)]
enum Due {
    /// The operation on that version of the resource completes.
    Done(Key, u64),
    /// A call takes effect that no caller waits for any more.
    Call(Box<Call>),
}

/// The state of the provider.
#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) settings: Settings,
    pub(super) resources: Resources,
    pub(super) accounts: BTreeMap<Key, Account>,
    projects: BTreeMap<String, Project>,
    grants: HashMap<String, Grant>,
    due: BTreeMap<(DateTime<Utc>, u64), Due>,
    serial: u64,
}

/// How an injected fault changes a call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Overrides {
    /// It reads the state before the last change.
    pub(super) is_stale: bool,
    /// The operation that it starts will fail.
    pub(super) will_fail: bool,
}

impl Cloud {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            resources: Resources::default(),
            accounts: BTreeMap::new(),
            projects: BTreeMap::new(),
            grants: HashMap::new(),
            due: BTreeMap::new(),
            serial: 0,
        }
    }

    /// A number that was not used before.
    pub(super) const fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn add_project(&mut self, name: &str, nodes: Option<u32>) {
        self.projects.entry(name.to_owned()).or_default().nodes = nodes;
    }

    pub(super) fn drop_project(&mut self, name: &str) {
        self.projects.remove(name);
    }

    pub(super) fn quota(&self, project: &str) -> Option<u32> {
        self.projects.get(project)?.nodes
    }

    pub(super) fn grant(&mut self, token: String, grant: Grant) {
        self.grants.insert(token, grant);
    }

    pub(super) fn revoke(&mut self, token: &str) {
        self.grants.remove(token);
    }

    /// Whom a token belongs to.
    pub(super) fn holder(&self, token: Option<&str>) -> Option<&str> {
        Some(self.grants.get(token?)?.holder.as_str())
    }

    /// Performs a call if its caller may.
    pub(super) fn act(&mut self, call: &Call, now: DateTime<Utc>, overrides: Overrides) -> Reply {
        self.pass(now);
        match self.admit(call, now) {
            Err(error) => error,
            Ok(rights) if call.kind == CallKind::Project => {
                let rights: Vec<&str> = rights.iter().map(|right| right.as_str()).collect();
                Reply::ok(json!({"project": call.project, "rights": rights}))
            }
            Ok(_) => self.perform(call, now, overrides),
        }
    }

    /// Makes a call take effect later, whatever its caller is answered.
    pub(super) fn act_later(&mut self, call: &Call, at: DateTime<Utc>) {
        let serial = self.next_serial();
        self.due.insert((at, serial), Due::Call(Box::new(call.clone())));
    }

    /// Checks that the caller may do it, and returns the caller's rights.
    fn admit(&mut self, call: &Call, now: DateTime<Utc>) -> Result<BTreeSet<Right>, Reply> {
        let grant = call.token.as_ref().and_then(|token| self.grants.get(token));
        let grant = grant.ok_or_else(|| Reply::error(401, "unauthenticated", "unknown token"))?;
        let project = self.projects.get_mut(&call.project).ok_or_else(|| {
            let message = format!("the project {} does not exist", call.project);
            Reply::error(404, "project_not_found", message)
        })?;
        if grant.project != call.project {
            let message = format!("the token is for the project {}", grant.project);
            return Err(Reply::error(403, "forbidden", message).with("right", "projects.read"));
        }
        if let Some((limit, period)) = self.settings.rate {
            let (began, calls) = project.period.filter(|(began, _)| now - *began < period).unwrap_or((now, 0));
            if calls >= limit {
                let wait = (began + period - now).num_milliseconds().max(0);
                return Err(Reply::error(429, "too_many_calls", "too many calls").after((wait + 999) / 1_000));
            }
            project.period = Some((began, calls + 1));
        }
        match call.kind.right() {
            Some(right) if !grant.rights.contains(&right) => {
                let message = format!("the right {} is required", right.as_str());
                Err(Reply::error(403, "forbidden", message).with("right", right.as_str()))
            }
            _ => Ok(grant.rights.clone()),
        }
    }

    /// Starts an operation on `resource` that takes `duration`.
    pub(super) fn begin(
        &mut self,
        mut resource: Resource,
        status: Status,
        duration: TimeDelta,
        now: DateTime<Utc>,
        will_fail: bool,
    ) {
        let key = resource.key.clone();
        resource.status = status;
        resource.operation = Some((now, now + duration));
        resource.will_fail = will_fail;
        resource.message = None;
        self.resources.put(resource);
        let serial = self.next_serial();
        self.due.insert((now + duration, serial), Due::Done(key, self.resources.changes()));
    }

    /// How long creating a resource takes.
    pub(super) const fn creation_time(&self, kind: Kind) -> TimeDelta {
        let [network, cluster, nodepool] = self.settings.creating;
        match kind {
            Kind::Network => network,
            Kind::Cluster => cluster,
            Kind::Nodepool => nodepool,
        }
    }

    /// Does everything that is due by `now`, in order, each at its own time.
    pub(super) fn pass(&mut self, now: DateTime<Utc>) {
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), due) = entry.remove_entry();
            match due {
                Due::Done(key, version) => self.complete(&key, version, at),
                Due::Call(call) => drop(self.perform(&call, at, Overrides::default())),
            }
        }
    }

    /// Completes an operation.
    fn complete(&mut self, key: &Key, version: u64, at: DateTime<Utc>) {
        let Some(mut resource) = self.resources.get(key).filter(|resource| resource.version == version).cloned() else {
            return;
        };
        let was = resource.status;
        resource.operation = None;
        let target = resource.target.take();
        if std::mem::take(&mut resource.will_fail) {
            resource.status = Status::Error;
            resource.message = Some(format!("{} the {} failed", gerund(was), key.kind.as_str()));
        } else if was == Status::Deleting {
            return self.end(key, at);
        } else {
            resource.status = Status::Running;
            resource.has_run = true;
            resource.shape = target.unwrap_or(resource.shape);
        }
        self.resources.put(resource);
    }

    /// Removes a resource, which then costs nothing any more.
    pub(super) fn end(&mut self, key: &Key, at: DateTime<Utc>) {
        if let Some(resource) = self.resources.remove(key).filter(|resource| !resource.is_planted) {
            let account = self.accounts.entry(key.clone()).or_default();
            account.gone += 1;
            account.paid += at - resource.created_at;
        }
    }
}

const fn gerund(status: Status) -> &'static str {
    match status {
        Status::Creating => "creating",
        Status::Updating => "updating",
        Status::Deleting => "deleting",
        Status::Running | Status::Error => "running",
    }
}
