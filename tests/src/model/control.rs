//! What tests do with the provider, and what they ask it.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use kqueen_domain::port::clock::Clock;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::{
    Call, Injection, Logged, Model, Right,
    cloud::Grant,
    server::State,
    thing::{Account, Key, Shape, Status, Thing},
};

/// What a provider may do to a thing on its own.
#[derive(Debug, Clone)]
pub enum Event {
    /// It fails.
    Breaks(String),
    /// It is well again.
    Recovers,
    /// It is gone, with everything that stands on it.
    Vanishes,
    /// It begins to be taken down.
    IsDeleted,
    /// It loses its labels.
    LosesLabels,
}

impl Model {
    /// Everything that is due has happened.
    fn with<T>(&self, ask: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.shared.state.lock().unwrap();
        state.cloud.pass(self.shared.time.now());
        ask(&mut state)
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.time.now()
    }

    /// Lets time pass.
    pub fn pass(&self, time: TimeDelta) {
        self.shared.time.pass(time);
    }

    /// Makes a project, with a quota of nodes or without. One that is there gets that quota.
    pub fn add_project(&self, name: &str, nodes: Option<u32>) {
        self.with(|state| state.cloud.add_project(name, nodes));
    }

    /// A project is not there any more. What is in it stays, and can be reached when it is there again.
    pub fn drop_project(&self, name: &str) {
        self.with(|state| state.cloud.drop_project(name));
    }

    /// A new token for a project.
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

    /// A token is not good for anything any more.
    pub fn revoke(&self, token: &str) {
        self.with(|state| state.cloud.revoke(token));
    }

    /// Parameters of a provisioner in a project that is made for it, with every right.
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
            unreachable!("it is an object")
        };
        parameters
    }

    /// Has something go wrong.
    pub fn inject(&self, injection: Injection) {
        self.with(|state| state.faults.add(injection));
    }

    /// Nothing goes wrong any more, but for late calls that are on their way.
    pub fn clear_faults(&self) {
        self.with(|state| state.faults.clear());
    }

    /// Has `hook` done before each call takes effect; the call waits for it.
    pub fn before_each_call(&self, hook: impl Fn(Call) -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        self.with(|state| state.hook = Some(Arc::new(hook)));
    }

    /// Counts callers that are to die: when it changes, the test has to end the process, or what stands for it.
    #[must_use]
    pub fn deaths(&self) -> watch::Receiver<usize> {
        self.shared.deaths.subscribe()
    }

    /// Puts something there that is not ours and runs.
    pub fn plant(&self, key: &Key, labels: BTreeMap<String, String>) {
        self.with(|state| {
            let now = self.shared.time.now();
            let shape = match key.kind {
                super::Kind::Nodepool => Shape { node_count: Some(7), network_policy: None },
                super::Kind::Network | super::Kind::Cluster => Shape::default(),
            };
            let id = format!("foreign-{:06}", state.cloud.next_serial());
            state.cloud.things.put(Thing {
                key: key.clone(),
                id,
                labels,
                status: Status::Running,
                message: None,
                on: None,
                shape,
                target: None,
                admin_password: None,
                made_at: now,
                under_way: None,
                is_doomed: false,
                has_run: true,
                is_planted: true,
                version: 0,
            });
        });
    }

    /// Something happens to a thing, which must be there, without anybody having asked for it.
    pub fn happens(&self, key: &Key, event: Event) {
        self.with(|state| {
            let now = self.shared.time.now();
            let cloud = &mut state.cloud;
            let mut thing = cloud.things.get(key).unwrap_or_else(|| panic!("there is no {key:?}")).clone();
            match event {
                Event::Vanishes => {
                    let mut gone = vec![key.clone()];
                    while let Some(key) = gone.pop() {
                        gone.extend(cloud.things.standing_on(&key).map(|thing| thing.key.clone()));
                        cloud.end(&key, now);
                    }
                }
                Event::IsDeleted => {
                    let takes = cloud.settings.deleting;
                    cloud.begin(thing, Status::Deleting, takes, now, false);
                }
                Event::Breaks(message) => {
                    thing.status = Status::Error;
                    thing.message = Some(message);
                    thing.under_way = None;
                    cloud.things.put(thing);
                }
                Event::Recovers => {
                    thing.status = Status::Running;
                    thing.message = None;
                    thing.under_way = None;
                    thing.has_run = true;
                    cloud.things.put(thing);
                }
                Event::LosesLabels => {
                    thing.labels.clear();
                    cloud.things.put(thing);
                }
            }
        });
    }

    /// A thing as it is now.
    #[must_use]
    pub fn thing(&self, key: &Key) -> Option<Thing> {
        self.with(|state| state.cloud.things.get(key).cloned())
    }

    /// Everything that customers have made and that is there now.
    #[must_use]
    pub fn things(&self) -> Vec<Thing> {
        self.with(|state| state.cloud.things.iter().filter(|thing| !thing.is_planted).cloned().collect())
    }

    /// Everything that tests have planted and that is there now.
    #[must_use]
    pub fn planted(&self) -> Vec<Thing> {
        self.with(|state| state.cloud.things.iter().filter(|thing| thing.is_planted).cloned().collect())
    }

    /// What was ever made under each name, and for how long it was paid until now.
    #[must_use]
    pub fn accounts(&self) -> BTreeMap<Key, Account> {
        self.with(|state| {
            let now = self.shared.time.now();
            let mut accounts = state.cloud.accounts.clone();
            for thing in state.cloud.things.iter().filter(|thing| !thing.is_planted) {
                accounts.entry(thing.key.clone()).or_default().paid += now - thing.made_at;
            }
            accounts
        })
    }

    /// What everything has cost until now: things times seconds.
    #[must_use]
    pub fn price(&self) -> i64 {
        self.accounts().values().map(|account| account.paid.num_seconds()).sum()
    }

    /// Every call there was, in the order in which they took effect.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        self.with(|state| state.log.clone())
    }

    /// Forgets the calls there were.
    pub fn clear_log(&self) {
        self.with(|state| state.log.clear());
    }

    /// How many calls there were, logged or not.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.with(|state| state.calls)
    }

    /// How many changes of things there were.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.with(|state| state.cloud.things.changes())
    }
}
