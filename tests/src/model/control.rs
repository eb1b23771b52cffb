//! How tests control and inspect the provider.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use kqueen_domain::port::clock::Clock;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::{
    Call, Injection, Logged, Model, Right,
    cloud::Grant,
    resource::{Account, Key, Resource, Shape, Status},
    server::State,
};

/// What can happen to a resource without a call.
#[derive(Debug, Clone)]
pub enum Event {
    /// It fails.
    Breaks(String),
    /// It works again.
    Recovers,
    /// It disappears, with everything that depends on it.
    Vanishes,
    /// Its deletion starts.
    IsDeleted,
    /// It loses its labels.
    LosesLabels,
}

impl Model {
    /// Accesses the state after everything due has been done.
    fn with<T>(&self, access: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.shared.state.lock().unwrap();
        state.cloud.pass(self.shared.time.now());
        access(&mut state)
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.time.now()
    }

    /// Advances the clock.
    pub fn pass(&self, time: TimeDelta) {
        self.shared.time.pass(time);
    }

    /// Creates a project with or without a quota of nodes, or sets the quota of an existing one.
    pub fn add_project(&self, name: &str, nodes: Option<u32>) {
        self.with(|state| state.cloud.add_project(name, nodes));
    }

    /// Removes a project. Its resources stay and can be reached when the project is added again.
    pub fn drop_project(&self, name: &str) {
        self.with(|state| state.cloud.drop_project(name));
    }

    /// Creates a token for a project.
    #[must_use]
    pub fn token(&self, project: &str, holder: &str, rights: &[Right]) -> String {
        self.with(|state| {
            let token = format!("token-{}-{}", state.cloud.next_serial(), uuid::Uuid::new_v4().simple());
            let rights = rights.iter().copied().collect();
            let grant = Grant { project: project.to_owned(), holder: holder.to_owned(), rights };
            state.cloud.grant(token.clone(), grant);
            token
        })
    }

    /// Revokes a token.
    pub fn revoke(&self, token: &str) {
        self.with(|state| state.cloud.revoke(token));
    }

    /// Creates a project and returns the parameters of a provisioner for it, with every right.
    #[must_use]
    pub fn provisioner(&self, project: &str) -> Map<String, Value> {
        self.add_project(project, None);
        let token = self.token(project, project, &Right::ALL);
        self.parameters(project, &token)
    }

    /// Parameters of a provisioner.
    #[must_use]
    pub fn parameters(&self, project: &str, token: &str) -> Map<String, Value> {
        let Value::Object(parameters) = json!({"url": self.url, "project": project, "token": token}) else {
            unreachable!("the parameters are an object")
        };
        parameters
    }

    /// Injects a fault.
    pub fn inject(&self, injection: Injection) {
        self.with(|state| state.faults.add(injection));
    }

    /// Removes all injected faults; delayed calls still take effect.
    pub fn clear_faults(&self) {
        self.with(|state| state.faults.clear());
    }

    /// Runs `hook` before each call takes effect; the call waits for it.
    pub fn before_each_call(&self, hook: impl Fn(Call) -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        self.with(|state| state.hook = Some(Arc::new(hook)));
    }

    /// The number of callers that are to die. When it changes, the test has to end the calling process or its stand-in.
    #[must_use]
    pub fn deaths(&self) -> watch::Receiver<usize> {
        self.shared.deaths.subscribe()
    }

    /// Creates a running resource that is not ours.
    pub fn plant(&self, key: &Key, labels: BTreeMap<String, String>) {
        self.with(|state| {
            let now = self.shared.time.now();
            let shape = match key.kind {
                super::Kind::Nodepool => Shape { node_count: Some(7), network_policy: None },
                super::Kind::Network | super::Kind::Cluster => Shape::default(),
            };
            let id = format!("foreign-{:06}", state.cloud.next_serial());
            state.cloud.resources.put(Resource {
                key: key.clone(),
                id,
                labels,
                status: Status::Running,
                message: None,
                parent: None,
                shape,
                target: None,
                admin_password: None,
                created_at: now,
                operation: None,
                will_fail: false,
                has_run: true,
                is_planted: true,
                version: 0,
            });
        });
    }

    /// Makes `event` happen to an existing resource.
    pub fn happens(&self, key: &Key, event: Event) {
        self.with(|state| {
            let now = self.shared.time.now();
            let cloud = &mut state.cloud;
            let mut resource = cloud.resources.get(key).unwrap_or_else(|| panic!("{key:?} does not exist")).clone();
            match event {
                Event::Vanishes => {
                    let mut gone = vec![key.clone()];
                    while let Some(key) = gone.pop() {
                        gone.extend(cloud.resources.dependents_of(&key).map(|resource| resource.key.clone()));
                        cloud.end(&key, now);
                    }
                }
                Event::IsDeleted => {
                    let duration = cloud.settings.deleting;
                    cloud.begin(resource, Status::Deleting, duration, now, false);
                }
                Event::Breaks(message) => {
                    resource.status = Status::Error;
                    resource.message = Some(message);
                    resource.operation = None;
                    cloud.resources.put(resource);
                }
                Event::Recovers => {
                    resource.status = Status::Running;
                    resource.message = None;
                    resource.operation = None;
                    resource.has_run = true;
                    cloud.resources.put(resource);
                }
                Event::LosesLabels => {
                    resource.labels.clear();
                    cloud.resources.put(resource);
                }
            }
        });
    }

    /// A resource in its current state.
    #[must_use]
    pub fn resource(&self, key: &Key) -> Option<Resource> {
        self.with(|state| state.cloud.resources.get(key).cloned())
    }

    /// All existing resources that customers created.
    #[must_use]
    pub fn resources(&self) -> Vec<Resource> {
        self.with(|state| state.cloud.resources.iter().filter(|resource| !resource.is_planted).cloned().collect())
    }

    /// All existing resources that tests planted.
    #[must_use]
    pub fn planted(&self) -> Vec<Resource> {
        self.with(|state| state.cloud.resources.iter().filter(|resource| resource.is_planted).cloned().collect())
    }

    /// What was ever created under each name, and for how long it has been paid so far.
    #[must_use]
    pub fn accounts(&self) -> BTreeMap<Key, Account> {
        self.with(|state| {
            let now = self.shared.time.now();
            let mut accounts = state.cloud.accounts.clone();
            for resource in state.cloud.resources.iter().filter(|resource| !resource.is_planted) {
                accounts.entry(resource.key.clone()).or_default().paid += now - resource.created_at;
            }
            accounts
        })
    }

    /// The cost of everything so far, in resource seconds.
    #[must_use]
    pub fn price(&self) -> i64 {
        self.accounts().values().map(|account| account.paid.num_seconds()).sum()
    }

    /// All calls, in the order in which they were received.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        self.with(|state| state.log.clone())
    }

    /// Clears the log of calls.
    pub fn clear_log(&self) {
        self.with(|state| state.log.clear());
    }

    /// The number of calls, logged or not.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.with(|state| state.calls)
    }

    /// The number of changes of resources.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.with(|state| state.cloud.resources.changes())
    }
}
