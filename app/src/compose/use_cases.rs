//! The use cases of clusters and provisioners, built from ports. Tests build the same ones from their own ports.

use std::sync::Arc;

use chrono::TimeDelta;
use kqueen_adapters::storage::Stores;
use kqueen_domain::{
    catalog::Catalog,
    kubeconfig::AddressRules,
    port::{clock::Clock, engine::EngineRegistry, inspector::ClusterInspector, leader::Leadership},
    service::{
        clusters::{Clusters, live::LiveViews, orphans::Orphans},
        provisioners::{Provisioners, checks::Checks, providers::Providers},
        reconcile::{Reconciler, orphan_collector::OrphanCollector},
    },
};

/// The ports that the use cases need.
#[derive(Clone)]
pub struct Ports {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Storage.
    pub stores: Arc<Stores>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The available engines.
    pub engines: EngineRegistry,
    /// Reads live clusters.
    pub inspector: Arc<dyn ClusterInspector>,
    /// Whether this replica leads.
    pub leadership: Arc<dyn Leadership>,
    /// Which cluster addresses may be connected to.
    pub addresses: AddressRules,
    /// How long an operation may take.
    pub operation_timeout: TimeDelta,
}

/// The use cases of clusters and provisioners, for callers and for the leading replica.
#[derive(Clone)]
pub struct UseCases {
    /// Clusters.
    pub clusters: Arc<Clusters>,
    /// Live views of clusters.
    pub live: LiveViews,
    /// Orphans, as callers list and handle them.
    pub orphans: Arc<Orphans>,
    /// Provisioners.
    pub provisioners: Arc<Provisioners>,
    /// Checks of provisioners.
    pub checks: Arc<Checks>,
    /// Reconciles clusters.
    pub reconciler: Arc<Reconciler>,
    /// Collects orphans.
    pub orphan_collector: Arc<OrphanCollector>,
}

impl UseCases {
    /// Builds the use cases.
    #[must_use]
    pub fn new(ports: &Ports) -> Self {
        let Ports { catalog, stores, clock, engines, inspector, leadership, addresses, operation_timeout } = ports;
        let providers = Providers {
            catalog: catalog.clone(),
            clusters: stores.clusters.clone(),
            provisioners: stores.provisioners.clone(),
            engines: engines.clone(),
            installation: stores.installation(),
        };
        let clusters = Arc::new(Clusters {
            catalog: catalog.clone(),
            store: stores.clusters.clone(),
            read_barrier: stores.read_barrier.clone(),
            engines: engines.clone(),
            addresses: addresses.clone(),
            timeout: *operation_timeout,
            clock: clock.clone(),
        });
        Self {
            live: LiveViews { clusters: clusters.clone(), providers: providers.clone(), inspector: inspector.clone() },
            clusters,
            orphans: Arc::new(Orphans {
                catalog: catalog.clone(),
                store: stores.orphans.clone(),
                read_barrier: stores.read_barrier.clone(),
                clock: clock.clone(),
            }),
            provisioners: Arc::new(Provisioners {
                catalog: catalog.clone(),
                store: stores.provisioners.clone(),
                read_barrier: stores.read_barrier.clone(),
                engines: engines.clone(),
                clock: clock.clone(),
            }),
            checks: Arc::new(Checks {
                catalog: catalog.clone(),
                store: stores.provisioners.clone(),
                providers: providers.clone(),
                leadership: leadership.clone(),
                clock: clock.clone(),
            }),
            reconciler: Arc::new(Reconciler {
                catalog: catalog.clone(),
                store: stores.clusters.clone(),
                read_barrier: stores.read_barrier.clone(),
                providers: providers.clone(),
                inspector: inspector.clone(),
                leadership: leadership.clone(),
                addresses: addresses.clone(),
                clock: clock.clone(),
            }),
            orphan_collector: Arc::new(OrphanCollector {
                catalog: catalog.clone(),
                store: stores.orphans.clone(),
                providers,
                leadership: leadership.clone(),
                clock: clock.clone(),
            }),
        }
    }
}
