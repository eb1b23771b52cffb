//! Immutable metadata: parameters the cluster was deployed with. Storing another value would not change the cluster.

use super::{Clusters, verbs::is_deployed_by_retry};
use crate::{
    catalog::ClusterView,
    invalid::{Findings, Invalid},
    parameter::{NETWORK_POLICY, NODE_COUNT},
    port::engine::EngineDescriptor,
    secret::SecretMap,
};

impl Clusters {
    /// Refuses changes to parameters of the engine's schema, unless the cluster will be deployed with them.
    pub(super) fn refuse_changes(
        &self,
        view: &ClusterView,
        engine: &EngineDescriptor,
        before: &SecretMap,
        after: &SecretMap,
    ) -> Result<(), Invalid> {
        let newest = self.newest(view);
        let newest = newest.as_ref().map(|entry| &entry.record);
        if !engine.capabilities.deploy || is_deployed_by_retry(&view.cluster.record, newest) {
            return Ok(());
        }
        let mut found = Findings::default();
        for field in engine.cluster.changed(before, after) {
            let message = match field.name.as_ref() {
                NODE_COUNT if engine.capabilities.resize => "cannot be changed here: use PATCH /clusters/{id}/resize",
                NETWORK_POLICY if engine.capabilities.set_network_policy => {
                    "cannot be changed here: use PATCH /clusters/{id}/set_network_policy"
                }
                _ => "cannot be changed after the cluster has been created",
            };
            found.add(format!("metadata.{}", field.name), message);
        }
        found.finish(Some(()))
    }
}
