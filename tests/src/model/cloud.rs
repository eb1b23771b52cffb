//! The provider without its network: who may do what, and what time brings. What calls do is in [`acts`](super::acts).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{
    call::{Call, CallKind, Right},
    reply::Reply,
    thing::{Account, Key, Kind, Status, Thing},
    things::Things,
};

/// How the provider behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long making things takes: a network, a cluster, a nodepool.
    pub making: [TimeDelta; 3],
    /// How long changing and repairing take.
    pub changing: TimeDelta,
    /// How long taking one thing down takes.
    pub deleting: TimeDelta,
    /// Most things on one page of a list.
    pub page: usize,
    /// How many calls a project may make in which time.
    pub rate: Option<(u32, TimeDelta)>,
    /// How long every call takes, of real time.
    pub latency: Duration,
    /// How much time passes on a set clock while a caller waits in vain.
    pub hanging: TimeDelta,
    /// Where kubeconfigs point to.
    pub api_server: String,
    /// The authority that vouches for the server there, in PEM.
    pub api_authority: Option<String>,
    /// Whether calls are logged. Where there are millions of them they need not be.
    pub keeps_log: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            making: [TimeDelta::seconds(5), TimeDelta::seconds(120), TimeDelta::seconds(60)],
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
    /// How many nodes it may have.
    nodes: Option<u32>,
    /// When the present period of its rate began, and how many calls there were in it.
    period: Option<(DateTime<Utc>, u32)>,
}

/// What somebody's token is good for.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) project: String,
    /// Whose it is.
    pub(super) holder: String,
    pub(super) rights: BTreeSet<Right>,
}

/// What time brings.
#[derive(Debug)]
enum Due {
    /// What is under way with that version of the thing is done.
    Done(Key, u64),
    /// A call takes effect that nobody waits for any more.
    Call(Box<Call>),
}

/// Everything the provider knows.
#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) settings: Settings,
    pub(super) things: Things,
    pub(super) accounts: BTreeMap<Key, Account>,
    projects: BTreeMap<String, Project>,
    grants: HashMap<String, Grant>,
    due: BTreeMap<(DateTime<Utc>, u64), Due>,
    serial: u64,
}

/// What is special about a call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Twist {
    /// It reads what was before the last change.
    pub(super) is_stale: bool,
    /// What it begins fails.
    pub(super) is_doomed: bool,
}

impl Cloud {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            things: Things::default(),
            accounts: BTreeMap::new(),
            projects: BTreeMap::new(),
            grants: HashMap::new(),
            due: BTreeMap::new(),
            serial: 0,
        }
    }

    /// A number that was not given out before.
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

    /// Whose token that is.
    pub(super) fn holder(&self, token: Option<&str>) -> Option<&str> {
        Some(self.grants.get(token?)?.holder.as_str())
    }

    /// Does what a call asks for, if its caller may.
    pub(super) fn act(&mut self, call: &Call, now: DateTime<Utc>, twist: Twist) -> Reply {
        self.pass(now);
        match self.admit(call, now) {
            Err(refusal) => refusal,
            Ok(rights) if call.kind == CallKind::Project => {
                let rights: Vec<&str> = rights.iter().map(|right| right.as_str()).collect();
                Reply::ok(json!({"project": call.project, "rights": rights}))
            }
            Ok(_) => self.perform(call, now, twist),
        }
    }

    /// Has a call take effect later, whatever its caller hears.
    pub(super) fn act_later(&mut self, call: &Call, at: DateTime<Utc>) {
        let serial = self.next_serial();
        self.due.insert((at, serial), Due::Call(Box::new(call.clone())));
    }

    /// Whether the caller may do it; its rights.
    fn admit(&mut self, call: &Call, now: DateTime<Utc>) -> Result<BTreeSet<Right>, Reply> {
        let grant = call.token.as_ref().and_then(|token| self.grants.get(token));
        let grant = grant.ok_or_else(|| Reply::refuse(401, "unauthenticated", "the token is not known"))?;
        let project = self.projects.get_mut(&call.project).ok_or_else(|| {
            let message = format!("there is no project {}", call.project);
            Reply::refuse(404, "project_not_found", message)
        })?;
        if grant.project != call.project {
            let message = format!("the token is for the project {}", grant.project);
            return Err(Reply::refuse(403, "forbidden", message).with("right", "projects.read"));
        }
        if let Some((most, period)) = self.settings.rate {
            let (began, calls) = project.period.filter(|(began, _)| now - *began < period).unwrap_or((now, 0));
            if calls >= most {
                let wait = (began + period - now).num_milliseconds().max(0);
                return Err(Reply::refuse(429, "too_many_calls", "slow down").after((wait + 999) / 1_000));
            }
            project.period = Some((began, calls + 1));
        }
        match call.kind.right() {
            Some(right) if !grant.rights.contains(&right) => {
                let message = format!("{} is needed", right.as_str());
                Err(Reply::refuse(403, "forbidden", message).with("right", right.as_str()))
            }
            _ => Ok(grant.rights.clone()),
        }
    }

    /// Something begins with `thing` that takes so long.
    pub(super) fn begin(
        &mut self,
        mut thing: Thing,
        status: Status,
        takes: TimeDelta,
        now: DateTime<Utc>,
        doomed: bool,
    ) {
        let key = thing.key.clone();
        thing.status = status;
        thing.under_way = Some((now, now + takes));
        thing.is_doomed = doomed;
        thing.message = None;
        self.things.put(thing);
        let serial = self.next_serial();
        self.due.insert((now + takes, serial), Due::Done(key, self.things.changes()));
    }

    /// How long it takes to make a thing.
    pub(super) const fn making(&self, kind: Kind) -> TimeDelta {
        let [network, cluster, nodepool] = self.settings.making;
        match kind {
            Kind::Network => network,
            Kind::Cluster => cluster,
            Kind::Nodepool => nodepool,
        }
    }

    /// Everything happens that is due, in its order and at its time.
    pub(super) fn pass(&mut self, now: DateTime<Utc>) {
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), due) = entry.remove_entry();
            match due {
                Due::Done(key, version) => self.done(&key, version, at),
                Due::Call(call) => drop(self.perform(&call, at, Twist::default())),
            }
        }
    }

    /// What was under way is done.
    fn done(&mut self, key: &Key, version: u64, at: DateTime<Utc>) {
        let Some(mut thing) = self.things.get(key).filter(|thing| thing.version == version).cloned() else { return };
        let began = thing.status;
        thing.under_way = None;
        let target = thing.target.take();
        if std::mem::take(&mut thing.is_doomed) {
            thing.status = Status::Error;
            thing.message = Some(format!("{} the {} failed", gerund(began), key.kind.as_str()));
        } else if began == Status::Deleting {
            return self.end(key, at);
        } else {
            thing.status = Status::Running;
            thing.has_run = true;
            thing.shape = target.unwrap_or(thing.shape);
        }
        self.things.put(thing);
    }

    /// A thing is gone, and costs nothing any more.
    pub(super) fn end(&mut self, key: &Key, at: DateTime<Utc>) {
        if let Some(thing) = self.things.remove(key).filter(|thing| !thing.is_planted) {
            let account = self.accounts.entry(key.clone()).or_default();
            account.gone += 1;
            account.paid += at - thing.made_at;
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
