//! The engine of Google Kubernetes Engine keeps what engines promise, at a simulated Google.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use kqueen_adapters::{
    engine::{GkeEngine, GkeUrls},
    outbound::{Outbound, Settings},
};
use kqueen_domain::{
    id::ProvisionerId,
    ledger::{OwnershipTag, ProviderResource, ResourceRef},
    observation::{EngineError, ProvisioningState},
    operation::NetworkPolicy,
    parameter::{ChoiceSource, DefaultValue, FieldKind, FormField},
    port::{
        clock::SetClock,
        engine::{Engine, ProviderCredentials},
    },
    reason::{ReasonCode, Responsible},
    secret::SecretMap,
};
use kqueen_tests::{
    contract::engine::{Case, Stage},
    simulator::{
        SimulatedClock,
        fault::{Acts, Doom, Fault, Injection},
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

    fn rejected(&self) -> ProviderCredentials {
        credentials(self.account.wrong_key_file(&self.gke.token_url()))
    }

    fn unreachable(&self) -> ProviderCredentials {
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

    async fn resource(&self, name: &ResourceRef) -> Option<Value> {
        self.gke.cluster(&cluster_name(name))
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

#[tokio::test]
async fn what_was_never_created_whole_is_created_again_and_what_has_run_is_kept() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    stage.gke.inject(Injection::on("clusters.create", Fault::Doomed(Doom::default())));
    case.engine.deploy(&case.credentials, &case.spec).await.unwrap();
    let broken = case.settled().await.unwrap();
    assert!(matches!(broken.state, ProvisioningState::Broken(_)), "{broken:?}");
    // The first call deletes what there is, the next one creates it again.
    case.engine.deploy(&case.credentials, &case.spec).await.unwrap();
    let observed = case.run(1).await;
    assert_eq!(observed.node_count, Some(2));

    let name = cluster_name(&case.names()[0]);
    stage.gke.happen(Event::Breaks { cluster: name.clone(), status: "ERROR".into(), message: "no reason".into() });
    // The failed creation of before is still among the operations of this name.
    let error = case.engine.deploy(&case.credentials, &case.spec).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Rejected(reason) if reason.code == ReasonCode::ProvisioningFailed),
        "{error:?}"
    );
    assert_eq!(stage.gke.cluster(&name).unwrap()["status"], "ERROR", "it is still there");
}

#[tokio::test]
async fn a_cluster_begun_somewhere_is_not_begun_a_second_time_elsewhere() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    let begun = case.names();
    // Nothing has shown it yet, and the provisioner now points to another project.
    case.spec.known = begun.iter().map(|name| ProviderResource { name: name.clone(), provider_id: None }).collect();
    let other = stage.gke.service_account("other", "other-project").key_file(&stage.gke.token_url());
    case.credentials = credentials(other);
    assert_eq!(case.names(), begun);
    assert!(case.engine.deploy(&case.credentials, &case.spec).await.is_err(), "it has no rights there");
    assert!(stage.gke.clusters().is_empty(), "{:?}", stage.gke.clusters());
}

#[tokio::test]
async fn dataplane_v2_is_the_default_and_is_not_switched() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    let mut asked = SecretMap::from_json(r#"{"node_count_gke": 1, "zone": "europe-west1"}"#).unwrap();
    let form = &stage.engine.descriptor().cluster;
    form.normalize("metadata", &mut asked).unwrap();
    case.spec.parameters = form.validate("metadata", &asked).unwrap();
    let observed = case.run(1).await;
    assert_eq!(observed.node_count, Some(1), "in each zone");
    assert_eq!(stage.gke.cluster(&cluster_name(&case.names()[0])).unwrap()["currentNodeCount"], 3);
    let built_in = NetworkPolicy { provider: "DATAPLANE_V2".into(), enabled: true };
    assert_eq!(observed.network_policy, Some(built_in.clone()));
    let (credentials, spec) = (&case.credentials, &case.spec);
    assert_eq!(case.engine.set_network_policy(credentials, spec, &built_in).await, Ok(()));
    let error = case.engine.set_network_policy(credentials, spec, &stage.policy()).await.unwrap_err();
    assert!(matches!(&error, EngineError::Rejected(reason) if reason.code == ReasonCode::InvalidState), "{error:?}");
}

/// The fields of the form, by name.
async fn form(stage: &GkeStage, values: &[(&str, &str)]) -> BTreeMap<String, FormField> {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let offers = stage.engine.offers(&stage.credentials(), &values).await.map_err(|error| error.reason());
    let fields = stage.engine.descriptor().cluster.form(&offers);
    fields.into_iter().map(|field| (field.field.name.to_string(), field)).collect()
}

fn choices(field: &FormField) -> Vec<(&str, &str)> {
    let FieldKind::Select(choices) = &field.field.kind else { panic!("{field:?}") };
    choices.iter().map(|choice| (choice.value.as_ref(), choice.label.as_ref())).collect()
}

#[tokio::test]
async fn the_form_has_what_google_offers_in_the_chosen_location() {
    let stage = stage().await.unwrap();
    let empty = form(&stage, &[]).await;
    let locations = choices(&empty["location"]);
    assert!(locations.contains(&("us-central1", "us-central1 (region with 4 zones)")), "{locations:?}");
    assert!(locations.contains(&("us-central1-a", "us-central1-a (zone)")), "{locations:?}");
    assert_eq!(empty["machine_type"].source, ChoiceSource::Undetermined);
    assert_eq!(empty["node_count"].source, ChoiceSource::Declared);

    let zone = form(&stage, &[("location", "us-central1-a"), ("release_channel", "RAPID")]).await;
    let machines = choices(&zone["machine_type"]);
    assert_eq!(machines[0], ("e2-standard-2", "e2-standard-2: 2 vCPU, 8 GB RAM"));
    assert_eq!(zone["machine_type"].field.default, Some(DefaultValue::text("e2-standard-2")));
    let versions = choices(&zone["kubernetes_version"]);
    assert!(versions[0].1.starts_with("The default version (1."), "{versions:?}");
    let region = form(&stage, &[("location", "us-central1")]).await;
    assert_eq!(choices(&region["machine_type"]), machines);
}

#[tokio::test]
async fn offers_are_read_once_in_some_minutes() {
    let stage = stage().await.unwrap();
    let values = [("location", "us-central1-a")];
    form(&stage, &values).await;
    let before = stage.gke.calls();
    form(&stage, &values).await;
    assert_eq!(stage.gke.calls(), before);
    form(&stage, &[("location", "europe-west1-b")]).await;
    assert_eq!(stage.gke.calls(), before + 2, "machine types and versions of another location");
}

#[tokio::test]
async fn a_field_whose_offer_cannot_be_read_says_why() {
    let stage = stage().await.unwrap();
    stage.gke.inject(Injection::on("compute.zones.list", Fault::Cut(Acts::Never)).until_cleared());
    let fields = form(&stage, &[("location", "us-central1-a")]).await;
    let ChoiceSource::Unavailable(reason) = &fields["location"].source else { panic!("{:?}", fields["location"]) };
    assert_eq!(reason.responsible, Responsible::Provider);
    assert_eq!(fields["location"].field.kind, FieldKind::Text);
    assert!(matches!(fields["machine_type"].source, ChoiceSource::Offered(_)), "the others are offered");
    stage.gke.clear_faults();
    let fields = form(&stage, &[]).await;
    assert!(matches!(fields["location"].source, ChoiceSource::Offered(_)), "a failure is not kept");
}
