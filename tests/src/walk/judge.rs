//! The invariants that must hold once a cluster has settled, whatever failed before.

use kqueen_domain::{
    id::ClusterId,
    ledger::{RecordState, ResourceRecord},
    operation::OperationStatus,
};

use super::{Customer, World, world};
use crate::model::Resource;

/// How long after its deadline an operation may end, in seconds: the reconciliation that ends it may have waited for the provider.
const AFTER_THE_DEADLINE: i64 = 120;

impl World {
    /// The existing resources at the provider that were created for a cluster.
    #[must_use]
    pub fn resources(&self, customer: &Customer, cluster: ClusterId) -> Vec<Resource> {
        let keys = world::keys(&customer.project, cluster);
        keys.values().filter_map(|key| self.model.resource(key)).filter(|resource| !resource.is_planted).collect()
    }

    /// The violated invariants; empty if all hold.
    pub async fn complaints(&self, customer: &Customer, cluster: ClusterId) -> Vec<String> {
        let mut complaints = self.unwritten();
        let shown = self.shown().await;
        for view in shown.catalog.operations_of(cluster) {
            let operation = &view.operation.record;
            let what = format!("{} ({:?})", operation.kind.as_str(), operation.status);
            if operation.status.is_unfinished() {
                complaints.push(format!("{what} has not ended"));
            }
            if operation.status == OperationStatus::Failed && operation.reason.is_none() {
                complaints.push(format!("{what} has no reason"));
            }
            let late = operation.ended_at.map(|at| (at - operation.deadline).num_seconds());
            if late.is_none_or(|late| late > AFTER_THE_DEADLINE) {
                complaints.push(format!("{what} ended {late:?} s after its deadline"));
            }
            if operation.steps.iter().any(|step| step.ended_at.is_none()) {
                complaints.push(format!("{what} has a step that has not ended"));
            }
        }
        for (key, account) in self.model.accounts() {
            if account.made > account.gone + 1 {
                complaints.push(format!("{key:?} exists {} times", account.made - account.gone));
            }
        }
        let recorded: Vec<ResourceRecord> = match shown.catalog.cluster(cluster) {
            Some(_) => {
                let store = shown.stores.clusters.clone();
                store.ledger(cluster).await.unwrap().map(|ledger| ledger.value.resources).unwrap_or_default()
            }
            None => shown.catalog.orphan(cluster).map(|view| view.orphan.record.resources.clone()).unwrap_or_default(),
        };
        for resource in self.resources(customer, cluster) {
            let is_recorded = recorded.iter().any(|record| {
                record.resource.name.kind == resource.key.kind.as_str()
                    && record.resource.name.name == resource.key.name
                    && record.state != RecordState::Gone
            });
            if !is_recorded {
                complaints.push(format!("{:?} exists ({:?}) and is not recorded", resource.key, resource.status));
            }
        }
        for call in self.model.log() {
            if call.touches_foreign {
                complaints
                    .push(format!("{} {} would have changed a resource that is not ours", call.method, call.path));
            }
        }
        complaints
    }
}
