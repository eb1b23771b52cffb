//! A provider, a store, and the processes on it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, Weak},
};

use chrono::TimeDelta;
use kqueen_adapters::storage::Settings;
use kqueen_domain::{
    access::Caller,
    id::{ClusterId, ProvisionerId},
    ledger::RecordState,
    name::ResourceName,
    operation::NetworkPolicy,
    port::store::{SecretUpdate, UserSecrets},
    service::{clusters::NewCluster, provisioners::NewProvisioner, reconcile::Requeue},
    user::{Role, User},
};
use serde_json::{Map, json};

use super::process::{Parts, Process};
use crate::{
    contract::{
        records::{a_user, an_organization},
        test_store::{KEY, TestStore},
    },
    model::{CallKind, Key, Kind, Model, Settings as Cloud, Time},
};

/// How a cluster came to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It is there, and nothing is being done to it.
    There,
    /// Its record has left.
    Gone,
}

/// A project at the provider with a provisioner for it.
#[derive(Debug, Clone)]
pub struct Customer {
    pub project: String,
    pub provisioner: ProvisionerId,
}

/// A provider, a store, and the processes on it.
pub struct World {
    pub model: Model,
    pub time: Time,
    pub site: TestStore,
    pub caller: Caller,
    /// How often a process was ended.
    pub crashes: usize,
    /// How many turns there were.
    pub turns: usize,
    processes: Vec<Process>,
    /// Whose store the provider reads intents from. Weak: a process that has ended lets go of its store.
    witnesses: Arc<Mutex<Vec<Weak<Parts>>>>,
    /// What was asked of the provider without having been written down before.
    unwritten: Arc<Mutex<Vec<String>>>,
    next: usize,
    customers: usize,
}

/// The most turns a cluster may take until it is at rest: a deadline is an hour away, and a turn is due every five seconds at most.
const MOST_TURNS: usize = 3_000;

impl World {
    /// A new world on that store: one process where only one may have it, two where several may.
    pub async fn new(site: TestStore) -> Self {
        let time = Time::set();
        // Quick, so that an operation is waited for in few turns: a walk goes through every call of each.
        let cloud = Cloud {
            making: [5, 10, 10].map(TimeDelta::seconds),
            changing: TimeDelta::seconds(10),
            deleting: TimeDelta::seconds(5),
            ..Cloud::default()
        };
        let model = Model::start(time.clone(), cloud).await;
        let count = if site.is_shareable() && site.etcd.is_some() { 2 } else { 1 };
        let mut processes = Vec::new();
        for number in 0..count {
            processes.push(Process::start(settings(&site), &model, &time, &format!("process {number}")).await);
        }
        let caller = found(&processes[0]).await;
        let unwritten: Arc<Mutex<Vec<String>>> = Arc::default();
        let world = Self {
            model,
            time,
            site,
            caller,
            crashes: 0,
            turns: 0,
            processes,
            witnesses: Arc::default(),
            unwritten,
            next: 0,
            customers: 0,
        };
        world.see();
        world.watch_intents();
        world
    }

    /// Before anything is made at the provider, the ledger must name it.
    fn watch_intents(&self) {
        let (witnesses, unwritten) = (self.witnesses.clone(), self.unwritten.clone());
        self.model.before_each_call(move |call| {
            let parts = witnesses.lock().unwrap().iter().find_map(Weak::upgrade);
            let unwritten = unwritten.clone();
            Box::pin(async move {
                let (CallKind::Create(_), Some(parts)) = (call.kind, parts) else { return };
                let Some(key) = call.key() else { return };
                let Some(cluster) = cluster_of(&key) else { return };
                let ledger = parts.stores.clusters.ledger(cluster).await;
                let rows = ledger.ok().flatten().map(|ledger| ledger.value.resources).unwrap_or_default();
                let is_named = rows.iter().any(|row| {
                    row.resource.name.name == key.name
                        && row.resource.name.kind == key.kind.as_str()
                        && row.resource.name.location == key.project
                        && row.state != RecordState::Gone
                });
                if !is_named {
                    unwritten.lock().unwrap().push(format!("{key:?}: {rows:?}"));
                }
            })
        });
    }

    /// What was made, or asked for, without having been written down before.
    pub fn unwritten(&self) -> Vec<String> {
        self.unwritten.lock().unwrap().clone()
    }

    /// The process that acts next; where there are two, they take turns, so that nothing is carried on in memory.
    pub fn process(&mut self) -> &Process {
        self.next = (self.next + 1) % self.processes.len();
        &self.processes[self.next]
    }

    /// What the process shows that acted last, once it has seen what others have written.
    pub async fn shown(&self) -> Arc<Parts> {
        let process = &self.processes[self.next];
        process.run(|parts| async move { parts.stores.freshness.caught_up().await.unwrap() }).await;
        process.parts.clone()
    }

    /// Ends the process that acts, and starts another in its place.
    pub async fn crash(&mut self) {
        self.crashes += 1;
        let number = self.next;
        // Dropped before the next one starts: on sled it holds the files.
        drop(self.processes.remove(number));
        let agent = format!("process {number} after crash {}", self.crashes);
        let started = Process::start(settings(&self.site), &self.model, &self.time, &agent).await;
        self.processes.insert(number, started);
        self.see();
    }

    /// The provider reads intents from the processes there are now.
    fn see(&self) {
        *self.witnesses.lock().unwrap() = self.processes.iter().map(|process| Arc::downgrade(&process.parts)).collect();
    }

    /// A new project with a provisioner.
    pub async fn customer(&mut self) -> Customer {
        self.customers += 1;
        let project = format!("project-{}", self.customers);
        let parameters = self.model.provisioner(&project);
        let caller = self.caller;
        let new = NewProvisioner {
            name: ResourceName::try_from("model").unwrap(),
            engine: crate::model::engine::NAME.to_owned(),
            owner: None,
            parameters: parameters.into(),
        };
        let made = self.process().run(move |parts| async move {
            // As every request does: another process may have made the people only now.
            parts.stores.freshness.caught_up().await.unwrap();
            parts.use_cases.provisioners.create(&caller, new, None).await
        });
        let provisioner = made.await.unwrap().provisioner.record.id;
        Customer { project, provisioner }
    }

    /// Asks for a cluster.
    pub async fn create(&mut self, customer: &Customer, nodes: u32) -> ClusterId {
        let caller = self.caller;
        let metadata = Map::from_iter([
            ("node_count".to_owned(), json!(nodes)),
            ("admin_password".to_owned(), json!("a password nobody may see")),
        ]);
        let new = NewCluster {
            name: ResourceName::try_from("walked").unwrap(),
            provisioner: customer.provisioner,
            owner: None,
            metadata: Some(metadata.into()),
            kubeconfig: None,
        };
        self.shown().await;
        let made = self.process().run(move |parts| async move {
            parts.stores.freshness.caught_up().await.unwrap();
            parts.use_cases.clusters.create(&caller, new, None).await
        });
        made.await.unwrap().view.cluster.record.id
    }

    /// Has a use case of clusters done by the process whose turn it is, once it has seen what others have written.
    pub async fn ask<T, F>(&mut self, work: impl FnOnce(Arc<Parts>, Caller) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let caller = self.caller;
        self.process()
            .run(move |parts| async move {
                parts.stores.freshness.caught_up().await.unwrap();
                work(parts, caller).await
            })
            .await
    }

    /// Asks for another number of nodes.
    pub async fn resize(&mut self, cluster: ClusterId, nodes: u32) {
        self.ask(move |parts, caller| async move {
            parts.use_cases.clusters.resize(&caller, cluster, nodes, None).await.map(drop)
        })
        .await
        .unwrap();
    }

    /// Asks for network policy.
    pub async fn set_network_policy(&mut self, cluster: ClusterId) {
        let policy = NetworkPolicy { provider: "CALICO".to_owned(), enabled: true };
        self.ask(move |parts, caller| async move {
            parts.use_cases.clusters.set_network_policy(&caller, cluster, policy, None).await.map(drop)
        })
        .await
        .unwrap();
    }

    /// Asks for the end.
    pub async fn delete(&mut self, cluster: ClusterId) {
        self.ask(move |parts, caller| async move { parts.use_cases.clusters.delete(&caller, cluster, None).await })
            .await
            .unwrap();
    }

    /// Asks for another try.
    pub async fn retry(&mut self, cluster: ClusterId) {
        self.ask(move |parts, caller| async move { parts.use_cases.clusters.retry(&caller, cluster).await.map(drop) })
            .await
            .unwrap();
    }

    /// One turn of a cluster by the process whose turn it is; `None` if the process ended in it.
    pub async fn turn(&mut self, cluster: ClusterId) -> Option<Requeue> {
        self.turns += 1;
        let mut deaths = self.model.deaths();
        let turn = self.process().run(move |parts| async move {
            parts.stores.freshness.caught_up().await.unwrap();
            parts.use_cases.reconciler.reconcile(cluster).await
        });
        let turned = tokio::select! {
            turned = turn => Some(turned.unwrap().requeue),
            _ = deaths.changed() => None,
        };
        if turned.is_none() {
            self.crash().await;
        }
        turned
    }

    /// Takes turns, and lets the time pass in between that the reconciler would wait, until the cluster is at rest.
    pub async fn settle(&mut self, cluster: ClusterId) -> Rest {
        for _ in 0..MOST_TURNS {
            let again = self.turn(cluster).await;
            match again {
                None | Some(Requeue::Now) => {}
                Some(Requeue::Soon) => self.time.pass(TimeDelta::seconds(5)),
                Some(Requeue::After(pause)) => {
                    self.time.pass(TimeDelta::from_std(pause).unwrap().max(TimeDelta::seconds(1)))
                }
                Some(Requeue::Never) => return Rest::Gone,
                Some(Requeue::Quiet) => {
                    let shown = self.shown().await;
                    let view = shown.catalog.cluster(cluster);
                    match view {
                        None => return Rest::Gone,
                        Some(view) if !view.cluster.record.lifecycle.is_transient() => return Rest::There,
                        Some(_) => self.time.pass(TimeDelta::seconds(60)),
                    }
                }
            }
        }
        let shown = self.shown().await;
        panic!("cluster {cluster} does not come to rest: {:#?}", shown.catalog.operations_of(cluster));
    }

    /// Compares what is at the provider with what is on record.
    pub async fn sweep(&mut self, customer: &Customer) {
        let provisioner = customer.provisioner;
        self.ask(move |parts, _| async move { parts.use_cases.orphan_collector.sweep(provisioner).await })
            .await
            .unwrap();
    }
}

fn settings(site: &TestStore) -> Settings {
    site.settings(KEY, &[])
}

/// The cluster that a thing of that name was made for.
pub(super) fn cluster_of(key: &Key) -> Option<ClusterId> {
    key.name.strip_prefix("kq-")?.parse().ok()
}

/// Makes the organization and the admin everything is done by.
async fn found(process: &Process) -> Caller {
    process
        .run(|parts| async move {
            let organization = an_organization();
            parts.stores.organizations.create(&organization).await.unwrap();
            let user = User { role: Role::Admin, ..a_user(organization.id) };
            let secrets = UserSecrets { password: SecretUpdate::Keep, metadata: SecretUpdate::Keep };
            parts.stores.users.create(&user, secrets).await.unwrap();
            Caller { user: user.id, organization: organization.id, role: Role::Admin }
        })
        .await
}

/// What each kind of thing of a cluster is called at the provider.
pub(super) fn keys(project: &str, cluster: ClusterId) -> BTreeMap<&'static str, Key> {
    let name = format!("kq-{}", cluster.uuid().simple());
    Kind::ALL.into_iter().map(|kind| (kind.as_str(), Key::new(project, kind, &name))).collect()
}
