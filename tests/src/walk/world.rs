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

/// How a cluster settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It exists, and no operation is in progress.
    There,
    /// Its record has been removed.
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
    /// The number of times a process was ended.
    pub crashes: usize,
    /// The number of reconciliations.
    pub reconciliations: usize,
    processes: Vec<Process>,
    /// The processes through whose store intents are read. Weak: a process that has ended releases its store.
    readers: Arc<Mutex<Vec<Weak<Parts>>>>,
    /// Resources whose creation was requested before they were recorded.
    unwritten: Arc<Mutex<Vec<String>>>,
    next: usize,
    customers: usize,
}

/// The maximum number of reconciliations until a cluster has settled: a deadline is an hour away, and one is due every five seconds at most.
const MAX_RECONCILIATIONS: usize = 3_000;

impl World {
    /// Creates a world on a store: with one process if the store allows only one, otherwise with two.
    pub async fn new(site: TestStore) -> Self {
        let time = Time::set();
        // Fast, so that an operation needs few reconciliations: a walk tests a fault at every call of each operation.
        let cloud = Cloud {
            creating: [5, 10, 10].map(TimeDelta::seconds),
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
        let caller = create_admin(&processes[0]).await;
        let unwritten: Arc<Mutex<Vec<String>>> = Arc::default();
        let world = Self {
            model,
            time,
            site,
            caller,
            crashes: 0,
            reconciliations: 0,
            processes,
            readers: Arc::default(),
            unwritten,
            next: 0,
            customers: 0,
        };
        world.update_readers();
        world.watch_intents();
        world
    }

    /// Checks that every resource is recorded before its creation is requested from the provider.
    fn watch_intents(&self) {
        let (readers, unwritten) = (self.readers.clone(), self.unwritten.clone());
        self.model.before_each_call(move |call| {
            let parts = readers.lock().unwrap().iter().find_map(Weak::upgrade);
            let unwritten = unwritten.clone();
            Box::pin(async move {
                let (CallKind::Create(_), Some(parts)) = (call.kind, parts) else { return };
                let Some(key) = call.key() else { return };
                let Some(cluster) = cluster_of(&key) else { return };
                let ledger = parts.stores.clusters.ledger(cluster).await;
                let records = ledger.ok().flatten().map(|ledger| ledger.value.resources).unwrap_or_default();
                let is_recorded = records.iter().any(|record| {
                    record.resource.name.name == key.name
                        && record.resource.name.kind == key.kind.as_str()
                        && record.resource.name.location == key.project
                        && record.state != RecordState::Gone
                });
                if !is_recorded {
                    unwritten.lock().unwrap().push(format!("{key:?}: {records:?}"));
                }
            })
        });
    }

    /// Resources whose creation was requested before they were recorded.
    pub fn unwritten(&self) -> Vec<String> {
        self.unwritten.lock().unwrap().clone()
    }

    /// The next process to act. Two processes alternate, so that nothing relies on state in memory.
    pub fn process(&mut self) -> &Process {
        self.next = (self.next + 1) % self.processes.len();
        &self.processes[self.next]
    }

    /// The state of the process that acted last, once it has caught up with the writes of others.
    pub async fn shown(&self) -> Arc<Parts> {
        let process = &self.processes[self.next];
        process.run(|parts| async move { parts.stores.read_barrier.caught_up().await.unwrap() }).await;
        process.parts.clone()
    }

    /// Ends the current process and starts another in its place.
    pub async fn crash(&mut self) {
        self.crashes += 1;
        let number = self.next;
        // Dropped before the next one starts: on sled it keeps the files locked.
        drop(self.processes.remove(number));
        let agent = format!("process {number} after crash {}", self.crashes);
        let started = Process::start(settings(&self.site), &self.model, &self.time, &agent).await;
        self.processes.insert(number, started);
        self.update_readers();
    }

    /// Lets intents be read through the current processes.
    fn update_readers(&self) {
        *self.readers.lock().unwrap() = self.processes.iter().map(|process| Arc::downgrade(&process.parts)).collect();
    }

    /// Creates a project with a provisioner.
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
        let created = self.process().run(move |parts| async move {
            // As every request does: another process may just have created the user.
            parts.stores.read_barrier.caught_up().await.unwrap();
            parts.use_cases.provisioners.create(&caller, new, None).await
        });
        let provisioner = created.await.unwrap().provisioner.record.id;
        Customer { project, provisioner }
    }

    /// Creates a cluster.
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
        let created = self.process().run(move |parts| async move {
            parts.stores.read_barrier.caught_up().await.unwrap();
            parts.use_cases.clusters.create(&caller, new, None).await
        });
        created.await.unwrap().view.cluster.record.id
    }

    /// Runs `work` in the next process, once it has caught up with the writes of others.
    pub async fn ask<T, F>(&mut self, work: impl FnOnce(Arc<Parts>, Caller) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let caller = self.caller;
        self.process()
            .run(move |parts| async move {
                parts.stores.read_barrier.caught_up().await.unwrap();
                work(parts, caller).await
            })
            .await
    }

    /// Requests another number of nodes.
    pub async fn resize(&mut self, cluster: ClusterId, nodes: u32) {
        self.ask(move |parts, caller| async move {
            parts.use_cases.clusters.resize(&caller, cluster, nodes, None).await.map(drop)
        })
        .await
        .unwrap();
    }

    /// Requests a network policy.
    pub async fn set_network_policy(&mut self, cluster: ClusterId) {
        let policy = NetworkPolicy { provider: "CALICO".to_owned(), enabled: true };
        self.ask(move |parts, caller| async move {
            parts.use_cases.clusters.set_network_policy(&caller, cluster, policy, None).await.map(drop)
        })
        .await
        .unwrap();
    }

    /// Requests the deletion.
    pub async fn delete(&mut self, cluster: ClusterId) {
        self.ask(move |parts, caller| async move { parts.use_cases.clusters.delete(&caller, cluster, None).await })
            .await
            .unwrap();
    }

    /// Requests a retry.
    pub async fn retry(&mut self, cluster: ClusterId) {
        self.ask(move |parts, caller| async move { parts.use_cases.clusters.retry(&caller, cluster).await.map(drop) })
            .await
            .unwrap();
    }

    /// Reconciles a cluster once in the next process; `None` if the process ended during it.
    pub async fn reconcile(&mut self, cluster: ClusterId) -> Option<Requeue> {
        self.reconciliations += 1;
        let mut deaths = self.model.deaths();
        let reconciliation = self.process().run(move |parts| async move {
            parts.stores.read_barrier.caught_up().await.unwrap();
            parts.use_cases.reconciler.reconcile(cluster).await
        });
        let result = tokio::select! {
            outcome = reconciliation => Some(outcome.unwrap().requeue),
            _ = deaths.changed() => None,
        };
        if result.is_none() {
            self.crash().await;
        }
        result
    }

    /// Reconciles until the cluster has settled, advancing the clock by the reconciler's pauses in between.
    pub async fn settle(&mut self, cluster: ClusterId) -> Rest {
        for _ in 0..MAX_RECONCILIATIONS {
            let requeue = self.reconcile(cluster).await;
            match requeue {
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
        panic!("cluster {cluster} does not settle: {:#?}", shown.catalog.operations_of(cluster));
    }

    /// Compares the provider's inventory with the resource records.
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

/// The cluster that a resource of that name was created for.
pub(super) fn cluster_of(key: &Key) -> Option<ClusterId> {
    key.name.strip_prefix("kq-")?.parse().ok()
}

/// Creates the organization and the admin who makes all requests.
async fn create_admin(process: &Process) -> Caller {
    process
        .run(|parts| async move {
            let organization = an_organization();
            parts.stores.organizations.create(&organization).await.unwrap();
            let user = User { role: Role::Admin, ..a_user(organization.id) };
            let secrets = UserSecrets { password: SecretUpdate::Keep, metadata: SecretUpdate::Keep };
            parts.stores.users.create(&user, secrets).await.unwrap();
            Caller::of(&user)
        })
        .await
}

/// The keys of a cluster's resources at the provider, by kind.
pub(super) fn keys(project: &str, cluster: ClusterId) -> BTreeMap<&'static str, Key> {
    let name = format!("kq-{}", cluster.uuid().simple());
    Kind::ALL.into_iter().map(|kind| (kind.as_str(), Key::new(project, kind, &name))).collect()
}
