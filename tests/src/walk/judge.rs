//! What must be true once a cluster is at rest, whatever went wrong before.

use kqueen_domain::{
    id::ClusterId,
    ledger::{RecordState, ResourceRecord},
    operation::OperationStatus,
};

use super::{Customer, World, world};
use crate::model::Thing;

/// By how much an operation may end after its deadline: the turn in which it ends may have waited for the provider.
const AFTER_THE_DEADLINE: i64 = 120;

impl World {
    /// What was made for a cluster and is at the provider now.
    #[must_use]
    pub fn things(&self, customer: &Customer, cluster: ClusterId) -> Vec<Thing> {
        let keys = world::keys(&customer.project, cluster);
        keys.values().filter_map(|key| self.model.thing(key)).filter(|thing| !thing.is_planted).collect()
    }

    /// What speaks against this world, in words; empty if nothing does.
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
                complaints.push(format!("{what} does not say why"));
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
                complaints.push(format!("{key:?} is there {} times", account.made - account.gone));
            }
        }
        let listed: Vec<ResourceRecord> = match shown.catalog.cluster(cluster) {
            Some(_) => {
                let store = shown.stores.clusters.clone();
                store.ledger(cluster).await.unwrap().map(|ledger| ledger.value.resources).unwrap_or_default()
            }
            None => shown.catalog.orphan(cluster).map(|view| view.orphan.record.resources.clone()).unwrap_or_default(),
        };
        for thing in self.things(customer, cluster) {
            let is_listed = listed.iter().any(|row| {
                row.resource.name.kind == thing.key.kind.as_str()
                    && row.resource.name.name == thing.key.name
                    && row.state != RecordState::Gone
            });
            if !is_listed {
                complaints.push(format!("{:?} is there ({:?}) and nowhere listed", thing.key, thing.status));
            }
        }
        for call in self.model.log() {
            if call.touches_foreign {
                complaints.push(format!("{} {} would have changed something that is not ours", call.method, call.path));
            }
        }
        complaints
    }
}
