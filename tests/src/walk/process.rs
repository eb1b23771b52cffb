//! What a process of the product holds in memory.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use kqueen_adapters::storage::{self, OpenError, Settings, Stores};
use kqueen_domain::{
    catalog::Catalog,
    kubeconfig::AddressRules,
    kubernetes::{ClusterStatus, Topology},
    observation::ProbeResult,
    port::{
        clock::Clock,
        engine::EngineRegistry,
        inspector::{ClusterInspector, InspectError},
        leader::{Leadership, Term},
    },
    secret::Kubeconfig,
    service::{
        clusters::{Clusters, orphans::Orphans},
        provisioners::{Provisioners, providers::Providers},
        reconcile::{Reconciler, orphan_collector::OrphanCollector},
    },
};
use tokio::runtime::{Builder, Runtime};

use crate::model::{Model, Time};

/// After how long an operation has failed.
pub(super) const TIMEOUT: TimeDelta = TimeDelta::seconds(3600);

/// What it is made of.
pub struct Parts {
    pub stores: Arc<Stores>,
    pub catalog: Arc<Catalog>,
    pub reconciler: Reconciler,
    pub clusters: Clusters,
    pub provisioners: Provisioners,
    pub orphans: Orphans,
    pub sweeps: OrphanCollector,
}

/// A process. Dropping it ends it at whatever it is doing.
pub struct Process {
    pub parts: Arc<Parts>,
    runtime: Option<Runtime>,
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Process {
    /// Starts on that store.
    pub async fn start(settings: Settings, model: &Model, time: &Time, agent: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(time.clone());
        let engines = EngineRegistry::default().with(Arc::new(model.engine(agent)));
        let starting = async move {
            loop {
                let catalog = Arc::new(Catalog::new());
                match storage::open(settings.clone(), catalog.clone()).await {
                    Ok(stores) => break Parts::new(stores, catalog, engines, clock),
                    // The one that has just ended lets go of the files in its own time.
                    Err(OpenError::InUse(_)) => tokio::task::yield_now().await,
                    Err(error) => panic!("the store cannot be opened: {error:?}"),
                }
            }
        };
        let parts = runtime.spawn(starting).await.unwrap();
        Self { parts: Arc::new(parts), runtime: Some(runtime) }
    }

    /// Has something done in it.
    pub async fn run<T, F>(&self, work: impl FnOnce(Arc<Parts>) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let runtime = self.runtime.as_ref().unwrap();
        runtime.spawn(work(self.parts.clone())).await.unwrap()
    }
}

impl Parts {
    fn new(stores: Stores, catalog: Arc<Catalog>, engines: EngineRegistry, clock: Arc<dyn Clock>) -> Self {
        let stores = Arc::new(stores);
        let addresses = AddressRules::denying(Vec::new());
        let providers = Providers {
            catalog: catalog.clone(),
            clusters: stores.clusters.clone(),
            provisioners: stores.provisioners.clone(),
            engines: engines.clone(),
            installation: stores.installation(),
        };
        // Who leads is the test's to decide: it has one process take a turn at a time.
        let leadership: Arc<dyn Leadership> = Arc::new(Chosen);
        Self {
            reconciler: Reconciler {
                catalog: catalog.clone(),
                store: stores.clusters.clone(),
                freshness: stores.freshness.clone(),
                providers: providers.clone(),
                inspector: Arc::new(Answering),
                leadership: leadership.clone(),
                addresses: addresses.clone(),
                clock: clock.clone(),
            },
            clusters: Clusters {
                catalog: catalog.clone(),
                store: stores.clusters.clone(),
                freshness: stores.freshness.clone(),
                engines: engines.clone(),
                addresses,
                timeout: TIMEOUT,
                clock: clock.clone(),
            },
            provisioners: Provisioners {
                catalog: catalog.clone(),
                store: stores.provisioners.clone(),
                freshness: stores.freshness.clone(),
                engines,
                clock: clock.clone(),
            },
            orphans: Orphans {
                catalog: catalog.clone(),
                store: stores.orphans.clone(),
                freshness: stores.freshness.clone(),
                clock: clock.clone(),
            },
            sweeps: OrphanCollector {
                catalog: catalog.clone(),
                store: stores.orphans.clone(),
                providers,
                leadership,
                clock,
            },
            stores,
            catalog,
        }
    }
}

struct Chosen;

impl Leadership for Chosen {
    fn term(&self) -> Option<Term> {
        Some(Term::Alone)
    }
}

/// The clusters of the model provider have no API server of their own: whoever asks finds them well.
struct Answering;

#[async_trait::async_trait]
impl ClusterInspector for Answering {
    async fn probe(&self, _kubeconfig: &Kubeconfig) -> ProbeResult {
        ProbeResult::Reached { version: "v1.37.2".to_owned() }
    }

    async fn status(&self, _kubeconfig: &Kubeconfig, _within: Duration) -> Result<ClusterStatus, InspectError> {
        Err(InspectError::Unreachable("there is nothing to read".to_owned()))
    }

    async fn topology(&self, _kubeconfig: &Kubeconfig, _within: Duration) -> Result<Topology, InspectError> {
        Err(InspectError::Unreachable("there is nothing to read".to_owned()))
    }
}
