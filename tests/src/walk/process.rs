//! The in-memory state of a process of the product.

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

/// The timeout of operations.
pub(super) const TIMEOUT: TimeDelta = TimeDelta::seconds(3600);

/// The parts of a process.
pub struct Parts {
    pub stores: Arc<Stores>,
    pub catalog: Arc<Catalog>,
    pub use_cases: UseCases,
}

/// A process. Dropping it stops it at once.
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
    /// Starts a process on a store.
    pub async fn start(settings: Settings, model: &Model, time: &Time, agent: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(time.clone());
        let engines = EngineRegistry::default().with(Arc::new(model.engine(agent)));
        let starting = async move {
            loop {
                let catalog = Arc::new(Catalog::new());
                match storage::open(settings.clone(), catalog.clone()).await {
                    Ok(stores) => break Parts::new(stores, catalog, engines, clock),
                    // The process that has just ended may not have released the files yet.
                    Err(OpenError::InUse(_)) => tokio::task::yield_now().await,
                    Err(error) => panic!("the store cannot be opened: {error:?}"),
                }
            }
        };
        let parts = runtime.spawn(starting).await.unwrap();
        Self { parts: Arc::new(parts), runtime: Some(runtime) }
    }

    /// Runs `work` in the process.
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
            inspector: Arc::new(ReachableInspector),
            // The test decides which process reconciles, one at a time.
            leadership: Arc::new(AlwaysLeader),
            addresses: AddressRules::denying(Vec::new()),
            operation_timeout: TIMEOUT,
        });
        Self { stores, catalog, use_cases }
    }
}

struct AlwaysLeader;

impl Leadership for AlwaysLeader {
    fn term(&self) -> Option<Term> {
        Some(Term::Single)
    }
}

/// The clusters of the model provider have no API server: every probe succeeds.
struct ReachableInspector;

#[async_trait::async_trait]
impl ClusterInspector for ReachableInspector {
    async fn probe(&self, _kubeconfig: &Kubeconfig) -> ProbeResult {
        ProbeResult::Reached { version: "v1.37.2".to_owned() }
    }

    async fn status(&self, _kubeconfig: &Kubeconfig, _within: Duration) -> Result<ClusterStatus, InspectError> {
        Err(InspectError::Unreachable("there is no API server".to_owned()))
    }

    async fn topology(&self, _kubeconfig: &Kubeconfig, _within: Duration) -> Result<Topology, InspectError> {
        Err(InspectError::Unreachable("there is no API server".to_owned()))
    }
}
