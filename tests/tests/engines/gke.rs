//! The engine of Google Kubernetes Engine keeps what engines promise, at a simulated Google.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use kqueen_adapters::{
    engine::{GkeEngine, GkeUrls},
    outbound::{Outbound, Settings},
};
use kqueen_domain::{
    id::ProvisionerId,
    ledger::{OwnershipTag, ResourceRef},
    operation::NetworkPolicy,
    port::{
        clock::SetClock,
        engine::{Engine, ProviderCredentials},
    },
    secret::SecretMap,
};
use kqueen_tests::{
    contract::engine::Stage,
    simulator::{
        SimulatedClock,
        fault::{Acts, Fault, Injection},
        gke::{self, ClusterName, Event, GkeSimulator, ServiceAccount},
    },
};
use serde_json::{Value, json};
use url::Url;

const PROJECT: &str = "my-project";

struct GkeStage {
    gke: GkeSimulator,
    engine: GkeEngine,
    account: ServiceAccount,
}

async fn stage() -> Option<GkeStage> {
    let clock = Arc::new(SetClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
    let gke = gke::start(SimulatedClock::shared(clock.clone())).await;
    let account = gke.service_account("kqueen", PROJECT);
    let url = |text: &str| Url::parse(text).unwrap();
    let urls =
        GkeUrls { api: url(&gke.url), compute: url(&format!("{}/compute/v1/", gke.url)), token: url(&gke.token_url()) };
    let engine = GkeEngine::new(Outbound::new(&Settings::default()).unwrap(), urls, clock);
    Some(GkeStage { gke, engine, account })
}

fn credentials(key_file: Value) -> ProviderCredentials {
    let mut parameters = SecretMap::new();
    parameters.insert("service_account_info", key_file);
    ProviderCredentials { provisioner: ProvisionerId::random(), parameters }
}

fn cluster_name(name: &ResourceRef) -> ClusterName {
    let (project, location) = name.location.split_once('/').unwrap();
    ClusterName::new(project, location, &name.name)
}

#[async_trait]
impl Stage for GkeStage {
    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn credentials(&self) -> ProviderCredentials {
        credentials(self.account.key_file(&self.gke.token_url()))
    }

    fn refused(&self) -> ProviderCredentials {
        credentials(self.account.wrong_key_file(&self.gke.token_url()))
    }

    fn silent(&self) -> ProviderCredentials {
        self.gke.inject(Injection::on("oauth2.token", Fault::Cut(Acts::Never)).until_cleared());
        self.credentials()
    }

    fn parameters(&self, nodes: u32) -> SecretMap {
        let parameters = json!({
            "node_count": nodes, "location": "us-central1-a", "machine_type": "e2-standard-2",
            "network_policy": "PROVIDER_UNSPECIFIED",
        });
        SecretMap::from_json(&parameters.to_string()).unwrap()
    }

    fn policy(&self) -> NetworkPolicy {
        NetworkPolicy { provider: "CALICO".into(), enabled: true }
    }

    async fn plant(&self, name: &ResourceRef, tag: Option<OwnershipTag>) {
        let labels = tag.map_or_else(
            || json!({"made-by": "somebody"}),
            |tag| json!({"kqueen-installation": tag.installation, "kqueen-cluster": tag.cluster}),
        );
        self.gke.plant(&cluster_name(name), &json!({"resourceLabels": labels}));
    }

    async fn look(&self, name: &ResourceRef) -> Option<Value> {
        self.gke.look(&cluster_name(name))
    }

    async fn end(&self, name: &ResourceRef) {
        self.gke.happen(Event::Vanishes { cluster: cluster_name(name) });
    }

    async fn untag(&self, name: &ResourceRef) {
        self.gke.happen(Event::Labels { cluster: cluster_name(name), labels: json!({"made-by": "somebody"}) });
    }

    async fn pass(&self, time: TimeDelta) {
        self.gke.pass(time);
    }

    async fn changes(&self) -> u64 {
        self.gke.changes()
    }
}

kqueen_tests::engine_contract!(crate::gke::stage);
