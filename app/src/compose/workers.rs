//! Builds the background work: the reconcile loop, the provisioner monitor and the maintenance of the store.

use std::sync::Arc;

use super::use_cases::{Ports, UseCases};
use crate::{
    config::Config,
    worker::{
        maintenance::Maintenance,
        provisioner_monitor::ProvisionerMonitor,
        queue::Limits,
        reconcile::{ReconcileLoop, ReconcilerMetrics},
        trigger::Trigger,
    },
};

/// Maximum number of slow reconciles, which wait for a provider or cluster that does not answer. Each is a task and a connection.
const SLOW_RECONCILES: usize = 1024;

/// The workers of a replica.
pub(super) struct Workers {
    pub(super) reconcile_loop: ReconcileLoop,
    pub(super) provisioner_monitor: ProvisionerMonitor,
    pub(super) maintenance: Maintenance,
    /// Triggers reconciles.
    pub(super) trigger: Trigger,
}

impl Workers {
    pub(super) fn new(config: &Config, ports: &Ports, use_cases: &UseCases, metrics: Arc<ReconcilerMetrics>) -> Self {
        let Ports { catalog, stores, clock, .. } = ports;
        let (lane, quick) = (config.observe.per_provisioner, config.observe.parallel);
        let trigger = Trigger::new(clock.clone(), Limits { lane, quick, slow: SLOW_RECONCILES });
        catalog.subscribe(Arc::new(trigger.clone()));
        Self {
            reconcile_loop: ReconcileLoop {
                reconciler: use_cases.reconciler.clone(),
                catalog: catalog.clone(),
                trigger: trigger.clone(),
                interval: config.observe.interval,
                metrics,
            },
            provisioner_monitor: ProvisionerMonitor {
                catalog: catalog.clone(),
                checks: use_cases.checks.clone(),
                orphan_collector: use_cases.orphan_collector.clone(),
                check_every: config.provisioners.check_interval,
                sweep_every: config.provisioners.inventory_interval,
            },
            maintenance: Maintenance { stores: stores.clone(), clock: clock.clone() },
            trigger,
        }
    }
}
