//! What a process of the product holds in memory.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use kqueen::compose::{Ports, UseCases};
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
};
use tokio::runtime::{Builder, Runtime};

use crate::model::{Model, Time};

/// After how long an operation has failed.
pub(super) const TIMEOUT: TimeDelta = TimeDelta::seconds(3600);

/// What it is made of.
pub struct Parts {
    pub stores: Arc<Stores>,
    pub catalog: Arc<Catalog>,
    pub use_cases: UseCases,
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
        let use_cases = UseCases::new(&Ports {
            catalog: catalog.clone(),
            stores: stores.clone(),
            clock,
            engines,
            inspector: Arc::new(Answering),
            // Who leads is the test's to decide: it has one process reconcile at a time.
            leadership: Arc::new(Chosen),
            addresses: AddressRules::denying(Vec::new()),
            operation_timeout: TIMEOUT,
        });
        Self { stores, catalog, use_cases }
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
