//! The contract of engines, as far as it applies to a simulated provider: it has no credentials, always answers, and nothing else
//! creates or deletes resources there.

use std::{
    hash::{Hash, Hasher},
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use kqueen_adapters::engine::{DemoCloud, DemoEngine};
use kqueen_domain::{
    id::ProvisionerId,
    ledger::{OwnershipTag, ResourceRef},
    observation::Observation,
    operation::NetworkPolicy,
    port::{
        clock::SetClock,
        engine::{ClusterSpec, Engine, ProviderCredentials},
    },
    secret::SecretMap,
};
use kqueen_tests::contract::engine::Stage;
use serde_json::{Value, json};
use tempfile::TempDir;

struct DemoStage {
    clock: Arc<SetClock>,
    engine: DemoEngine,
    credentials: ProviderCredentials,
    file: PathBuf,
    _folder: TempDir,
}

async fn stage() -> Option<DemoStage> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kqueen.demo.json");
    let clock = Arc::new(SetClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
    let engine = DemoEngine::new(DemoCloud::open(Some(file.clone()), clock.clone()).await);
    let credentials = ProviderCredentials { provisioner: ProvisionerId::random(), parameters: SecretMap::new() };
    Some(DemoStage { clock, engine, credentials, file, _folder: folder })
}

impl DemoStage {
    /// The clusters in the provider's file.
    fn stored(&self) -> Vec<Value> {
        let Ok(text) = std::fs::read_to_string(&self.file) else { return Vec::new() };
        serde_json::from_str::<Value>(&text).unwrap()["clusters"].as_array().unwrap().clone()
    }
}

#[async_trait]
impl Stage for DemoStage {
    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn credentials(&self) -> ProviderCredentials {
        self.credentials.clone()
    }

    fn rejected(&self) -> ProviderCredentials {
        unreachable!("all credentials are accepted")
    }

    fn unreachable(&self) -> ProviderCredentials {
        unreachable!("the provider always answers")
    }

    fn parameters(&self, nodes: u32) -> SecretMap {
        let mut parameters = SecretMap::new();
        parameters.insert("node_count", json!(nodes));
        parameters
    }

    fn policy(&self) -> NetworkPolicy {
        NetworkPolicy { provider: "CALICO".into(), enabled: true }
    }

    async fn plant(&self, _: &ResourceRef, tag: Option<OwnershipTag>) {
        assert_eq!(tag, None, "every resource there has an ownership tag");
    }

    async fn resource(&self, name: &ResourceRef) -> Option<Value> {
        for cluster in self.stored() {
            let tag: OwnershipTag = serde_json::from_value(cluster["tag"].clone()).unwrap();
            let spec = ClusterSpec { tag, name: String::new(), parameters: SecretMap::new(), known: Vec::new() };
            let Observation::Present(seen) = self.engine.observe(&self.credentials, &spec).await.unwrap() else {
                continue;
            };
            if let Some(resource) = seen.resources.iter().find(|resource| resource.name == *name) {
                return Some(json!([resource.provider_id, seen.node_count, seen.message]));
            }
        }
        None
    }

    async fn end(&self, _: &ResourceRef) {
        unreachable!("nothing else deletes resources there")
    }

    async fn untag(&self, _: &ResourceRef) {
        unreachable!("resources are identified by their ownership tag")
    }

    async fn pass(&self, time: TimeDelta) {
        self.clock.advance(time);
    }

    async fn changes(&self) -> u64 {
        // The file is always written as a whole; identical content is no change.
        let mut hasher = std::hash::DefaultHasher::new();
        self.stored().hash(&mut hasher);
        hasher.finish()
    }
}

kqueen_tests::engine_promises! { crate::demo::stage,
    life: [
        the_declared_parameters_are_those_it_reads, good_credentials_are_accepted, names_are_those_of_the_cluster,
        a_cluster_is_deployed_and_destroyed, deploying_again_creates_nothing_more, resizing_again_is_success,
        switching_network_policy_again_is_success, destroying_again_is_success, calls_for_an_absent_cluster_return_missing,
        an_orphan_is_destroyed_by_its_tag, reads_change_nothing, progress_is_reported_during_deployment,
    ]
    others: [clusters_do_not_affect_each_other, an_inventory_is_all_resources_of_the_installation]
}
