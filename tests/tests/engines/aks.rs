//! The engine of Azure Kubernetes Service keeps what engines promise, at a simulated Azure, and avoids the pitfalls of its API.

use std::{collections::BTreeMap, net::TcpListener, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use kqueen_adapters::{
    engine::{AksEngine, AksUrls},
    inspector::{KubeInspector, Limits},
    outbound::{Outbound, Settings},
};
use kqueen_domain::{
    id::ProvisionerId,
    kubeconfig::{self, AddressRules},
    ledger::{OwnershipTag, ProviderResource, ResourceRef},
    observation::{EngineError, Observation, ObservedCluster, ProbeResult, ProvisioningState},
    operation::NetworkPolicy,
    parameter::NOBODY,
    port::{
        clock::SetClock,
        engine::{Engine, ProviderCredentials},
        inspector::ClusterInspector,
    },
    reason::ReasonCode,
    secret::SecretMap,
};
use kqueen_tests::{
    contract::engine::{Case, Stage},
    simulator::{
        SimulatedClock,
        aks::{self, AksSimulator, ClusterName, Event, Principal},
        fault::{Acts, Doom, Fault, Injection, Trouble},
    },
};
use serde_json::{Value, json};
use url::Url;

const GROUP: &str = "rg";

struct AksStage {
    aks: AksSimulator,
    engine: AksEngine,
    principal: Principal,
}

async fn stage() -> Option<AksStage> {
    let clock = Arc::new(SetClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
    let aks = aks::start(SimulatedClock::shared(clock.clone())).await;
    let principal = aks.principal(1, GROUP);
    let url = Url::parse(&aks.url).unwrap();
    let certificates = aks.authority.clone().map(String::into_bytes);
    let outbound = Outbound::new(&Settings { certificates, ..Settings::default() }).unwrap();
    let engine = AksEngine::new(outbound, AksUrls { arm: url.clone(), login: url }, clock);
    Some(AksStage { aks, engine, principal })
}

fn credentials(principal: &Principal, group: &str) -> ProviderCredentials {
    let parameters = json!({
        "client_id": principal.client_id, "secret": principal.secret, "tenant": principal.tenant,
        "subscription_id": principal.subscriptions.first(), "resource_group_name": group,
    });
    let parameters = SecretMap::from_json(&parameters.to_string()).unwrap();
    ProviderCredentials { provisioner: ProvisionerId::random(), parameters }
}

fn cluster_name(name: &ResourceRef) -> ClusterName {
    let (subscription, group) = name.location.split_once('/').unwrap();
    ClusterName::new(subscription, group, &name.name)
}

fn policy(provider: &str) -> NetworkPolicy {
    NetworkPolicy { provider: provider.into(), enabled: provider != NOBODY }
}

#[async_trait]
impl Stage for AksStage {
    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn credentials(&self) -> ProviderCredentials {
        credentials(&self.principal, GROUP)
    }

    fn rejected(&self) -> ProviderCredentials {
        credentials(&Principal { secret: "sim~0f1e2d3c4b5a".into(), ..self.principal.clone() }, GROUP)
    }

    fn unreachable(&self) -> ProviderCredentials {
        self.aks.inject(Injection::on("oauth2.token", Fault::Cut(Acts::Never)).until_cleared());
        self.credentials()
    }

    fn parameters(&self, nodes: u32) -> SecretMap {
        let parameters = json!({
            "node_count": nodes, "location": "westeurope", "vm_size": "Standard_D2s_v5", "network_policy": NOBODY,
        });
        SecretMap::from_json(&parameters.to_string()).unwrap()
    }

    fn policy(&self) -> NetworkPolicy {
        policy("calico")
    }

    async fn plant(&self, name: &ResourceRef, tag: Option<OwnershipTag>) {
        self.aks.plant(&cluster_name(name), &json!({"tags": tag.map_or_else(|| json!({"made-by": "somebody"}), tags)}));
    }

    async fn resource(&self, name: &ResourceRef) -> Option<Value> {
        self.aks.cluster(&cluster_name(name))
    }

    async fn end(&self, name: &ResourceRef) {
        self.aks.happen(Event::Vanishes { cluster: cluster_name(name) });
    }

    async fn untag(&self, name: &ResourceRef) {
        let tags = BTreeMap::from([("made-by".to_owned(), "somebody".to_owned())]);
        self.aks.happen(Event::Tags { cluster: cluster_name(name), tags });
    }

    async fn pass(&self, time: TimeDelta) {
        self.aks.pass(time);
    }

    async fn changes(&self) -> u64 {
        self.aks.changes()
    }
}

fn tags(tag: OwnershipTag) -> Value {
    json!({"kqueen-installation": tag.installation, "kqueen-cluster": tag.cluster})
}

impl AksStage {
    fn subscription(&self) -> String {
        self.principal.subscriptions.first().unwrap().clone()
    }

    /// The cluster of a case as Azure shows it.
    fn shown(&self, case: &Case<'_>) -> Value {
        self.aks.cluster(&cluster_name(&case.names()[0])).unwrap()
    }
}

#[track_caller]
fn code(outcome: Result<(), EngineError>) -> ReasonCode {
    match outcome {
        Err(EngineError::Rejected(reason) | EngineError::Denied(reason)) => reason.code,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_busy(outcome: &Result<(), EngineError>) {
    assert!(matches!(outcome, Err(EngineError::Busy(_))), "{outcome:?}");
}

kqueen_tests::engine_contract!(crate::aks::stage);

#[tokio::test]
async fn every_request_and_response_of_a_life_is_as_published() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    case.run(1).await;
    case.engine.resize(&case.credentials, &case.spec, 3).await.unwrap();
    case.settled().await.unwrap();
    case.engine.set_network_policy(&case.credentials, &case.spec, &stage.policy()).await.unwrap();
    case.settled().await.unwrap();
    case.engine.inventory(&case.credentials, case.spec.tag.installation).await.unwrap();
    case.destroy(1).await;
    stage.aks.check().assert_clean();
}

#[tokio::test]
async fn names_are_the_same_whatever_the_case_of_ids_and_groups() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    let before = case.run(1).await;
    case.credentials = credentials(&stage.principal, "RG");
    assert_eq!(case.names(), [before.resources[0].name.clone()]);
    assert_eq!(case.observe().await.unwrap().resources, before.resources);
    let found = case.engine.inventory(&case.credentials, case.spec.tag.installation).await.unwrap();
    let found: Vec<ProviderResource> = found.into_iter().map(|item| item.resource).collect();
    assert_eq!(found, before.resources);
}

#[tokio::test]
async fn a_cluster_whose_pool_scales_is_working_though_azure_calls_it_succeeded() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    case.run(1).await;
    case.engine.resize(&case.credentials, &case.spec, 3).await.unwrap();
    assert_eq!(stage.shown(&case)["properties"]["provisioningState"], "Succeeded");
    let ObservedCluster { state, message, .. } = case.observe().await.unwrap();
    assert_eq!((state, message.as_str()), (ProvisioningState::Working, "Azure: scaling agent pool agentpool"));
    let cluster = cluster_name(&case.names()[0]);
    case.settled().await.unwrap();
    let message = "no capacity".to_owned();
    stage.aks.happen(Event::PoolBreaks { cluster, pool: "agentpool".into(), message });
    assert!(matches!(case.observe().await.unwrap().state, ProvisioningState::Broken(_)));
    // The number of nodes is that, but the pool has failed: it is requested again.
    case.engine.resize(&case.credentials, &case.spec, 3).await.unwrap();
    assert_eq!(case.settled().await.unwrap().state, ProvisioningState::Running);
}

#[tokio::test]
async fn a_pool_that_was_changed_meanwhile_is_read_again() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    case.run(1).await;
    stage.aks.inject(Injection::on("agent_pools.get", Fault::Stale));
    assert_busy(&case.engine.resize(&case.credentials, &case.spec, 3).await);
    case.engine.resize(&case.credentials, &case.spec, 3).await.unwrap();
    assert_eq!(case.settled().await.unwrap().node_count, Some(3));
}

#[tokio::test]
async fn a_pool_that_scales_itself_is_not_resized() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    let pool = json!({"name": "agentpool", "mode": "System", "vmSize": "Standard_D2s_v5", "count": 2,
        "enableAutoScaling": true, "minCount": 1, "maxCount": 5});
    let asked = json!({"tags": tags(case.spec.tag), "properties": {"agentPoolProfiles": [pool]}});
    stage.aks.plant(&cluster_name(&case.names()[0]), &asked);
    assert_eq!(case.observe().await.unwrap().node_count, None);
    assert_eq!(code(case.engine.resize(&case.credentials, &case.spec, 3).await), ReasonCode::InvalidState);
}

#[tokio::test]
async fn tags_and_everything_else_survive_a_put() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    case.run(1).await;
    let mut all: BTreeMap<String, String> = serde_json::from_value(tags(case.spec.tag)).unwrap();
    all.insert("team".into(), "payments".into());
    stage.aks.happen(Event::Tags { cluster: cluster_name(&case.names()[0]), tags: all.clone() });
    let before = stage.shown(&case);
    for (provider, changed) in [("calico", "calico"), (NOBODY, "none")] {
        case.engine.set_network_policy(&case.credentials, &case.spec, &policy(provider)).await.unwrap();
        assert_eq!(case.settled().await.unwrap().network_policy.unwrap().enabled, provider != NOBODY);
        let mut after = stage.shown(&case);
        assert_eq!(after["properties"]["networkProfile"]["networkPolicy"], changed);
        assert_eq!(after["tags"], json!(all));
        after["properties"]["networkProfile"]["networkPolicy"] = "none".into();
        assert_eq!(after, before);
    }
}

#[tokio::test]
async fn cilium_is_the_default_and_permanent() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    let of_2018 =
        r#"{"node_count_aks": 1, "location": "westeurope", "vm_size": "Standard_D2s_v5", "ssh_key": "ssh-ed25519 A"}"#;
    let mut asked = SecretMap::from_json(of_2018).unwrap();
    let form = &stage.engine.descriptor().cluster;
    form.normalize("metadata", &mut asked).unwrap();
    case.spec.parameters = form.validate("metadata", &asked).unwrap();
    let observed = case.run(1).await;
    assert_eq!((observed.node_count, observed.network_policy), (Some(1), Some(policy("cilium"))));
    for (provider, refused) in [("cilium", false), ("calico", true), (NOBODY, true)] {
        let outcome = case.engine.set_network_policy(&case.credentials, &case.spec, &policy(provider)).await;
        if refused {
            assert_eq!(code(outcome), ReasonCode::InvalidState, "{provider}");
        } else {
            outcome.unwrap();
        }
    }
    stage.aks.check().assert_clean();
}

#[tokio::test]
async fn a_cluster_without_network_policy_can_get_cilium() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    case.run(1).await;
    case.engine.set_network_policy(&case.credentials, &case.spec, &policy("cilium")).await.unwrap();
    assert_eq!(case.settled().await.unwrap().network_policy, Some(policy("cilium")));
}

#[tokio::test]
async fn a_cluster_with_a_service_principal_is_resized_but_not_put_back_without_its_secret() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    let asked = json!({"tags": tags(case.spec.tag), "properties": {
        "servicePrincipalProfile": {"clientId": stage.principal.client_id, "secret": "its-secret"},
    }});
    stage.aks.plant(&cluster_name(&case.names()[0]), &asked);
    let before = stage.aks.changes();
    let outcome = case.engine.set_network_policy(&case.credentials, &case.spec, &stage.policy()).await;
    assert_eq!((code(outcome), stage.aks.changes()), (ReasonCode::InvalidState, before));
    case.engine.resize(&case.credentials, &case.spec, 4).await.unwrap();
    assert_eq!(case.settled().await.unwrap().node_count, Some(4));
}

#[tokio::test]
async fn the_kubeconfig_leads_to_its_server_and_not_to_the_fqdn() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    case.run(1).await;
    let given = case.engine.kubeconfig(&case.credentials, &case.spec).await.unwrap();
    let rules = AddressRules::denying(Vec::new());
    let config = kubeconfig::parse(&given, &rules).unwrap();
    let probe = KubeInspector::new(rules, Limits::default()).probe(&config).await;
    assert!(matches!(probe, ProbeResult::Reached { .. }), "{probe:?}");
}

#[tokio::test]
async fn without_local_accounts_there_is_an_explanation_instead_of_a_kubeconfig() {
    let stage = stage().await.unwrap();
    let case = Case::new(&stage.engine, &stage);
    let asked = json!({"tags": tags(case.spec.tag), "properties": {"disableLocalAccounts": true}});
    stage.aks.plant(&cluster_name(&case.names()[0]), &asked);
    let given = case.engine.kubeconfig(&case.credentials, &case.spec).await;
    assert_eq!(code(given.map(drop)), ReasonCode::KubeconfigUnusable);
}

#[tokio::test]
async fn both_shapes_of_errors_are_understood() {
    for is_enveloped in [false, true] {
        let stage = stage().await.unwrap();
        stage.aks.happen(Event::ErrorForm { is_enveloped });
        let mut case = Case::new(&stage.engine, &stage);
        stage
            .aks
            .inject(Injection::on("managed_clusters.create_or_update", Fault::Answers(Trouble::Quota, Acts::Never)));
        let outcome = case.engine.deploy(&case.credentials, &case.spec).await;
        assert_eq!(code(outcome), ReasonCode::QuotaExceeded, "{is_enveloped}");
        case.run(1).await;
        case.engine.resize(&case.credentials, &case.spec, 3).await.unwrap();
        assert_busy(&case.engine.destroy(&case.credentials, &case.spec).await);
    }
}

#[tokio::test]
async fn a_missing_resource_group_does_not_mean_that_the_cluster_is_gone() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    case.run(1).await;
    stage.aks.happen(Event::Group { subscription: stage.subscription(), group: GROUP.into(), location: None });
    for outcome in [
        case.engine.check(&case.credentials.parameters).await,
        case.engine.observe(&case.credentials, &case.spec).await.map(drop),
        case.engine.deploy(&case.credentials, &case.spec).await,
        case.engine.destroy(&case.credentials, &case.spec).await,
        case.engine.inventory(&case.credentials, case.spec.tag.installation).await.map(drop),
    ] {
        assert_eq!(code(outcome), ReasonCode::NotFound);
    }
    assert!(stage.aks.clusters().is_empty(), "the group was not created again");
}

#[tokio::test]
async fn another_cluster_at_the_path_of_one_that_is_gone_is_not_taken_for_it() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    case.run(1).await;
    let name = case.names()[0].clone();
    stage.end(&name).await;
    stage.pass(TimeDelta::seconds(60)).await;
    stage.plant(&name, None).await;
    assert_eq!(case.engine.observe(&case.credentials, &case.spec).await, Ok(Observation::Absent));
    case.engine.destroy(&case.credentials, &case.spec).await.unwrap();
    assert!(stage.resource(&name).await.is_some());
}

#[tokio::test]
async fn all_pages_of_a_list_are_read_and_only_at_its_own_host() {
    let stage = stage().await.unwrap();
    stage.aks.with(|aks, _| aks.page_size = 2);
    let case = Case::new(&stage.engine, &stage);
    for _ in 0..5 {
        let other = Case::of(&stage.engine, &stage, case.spec.tag.installation);
        stage.plant(&other.names()[0], Some(other.spec.tag)).await;
    }
    let found = case.engine.inventory(&case.credentials, case.spec.tag.installation).await.unwrap();
    assert_eq!(found.len(), 5);

    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let next = format!("https://{}/subscriptions", elsewhere.local_addr().unwrap());
    let body = json!({"value": [], "nextLink": next}).to_string();
    let page = Trouble::Exactly { status: 200, headers: Vec::new(), body };
    stage.aks.inject(Injection::on("list_by_resource_group", Fault::Answers(page, Acts::Never)));
    let failed = case.engine.inventory(&case.credentials, case.spec.tag.installation).await;
    assert!(
        matches!(&failed, Err(EngineError::Unreachable(reason)) if reason.code == ReasonCode::UnexpectedAnswer),
        "{failed:?}"
    );
    assert!(elsewhere.accept().is_err(), "nothing was sent there");
}

#[tokio::test]
async fn a_response_of_something_else_is_not_a_cluster_that_is_gone() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    case.run(1).await;
    for trouble in [Trouble::NoSuchRoute, Trouble::WrongShape, Trouble::EmptyBody, Trouble::NotJson] {
        stage.aks.inject(Injection::on("managed_clusters.get", Fault::Answers(trouble.clone(), Acts::Never)));
        let seen = case.engine.observe(&case.credentials, &case.spec).await;
        assert!(seen.is_err(), "{trouble:?}: {seen:?}");
        stage.aks.inject(Injection::on("list_by_resource_group", Fault::Answers(trouble.clone(), Acts::Never)));
        let found = case.engine.inventory(&case.credentials, case.spec.tag.installation).await;
        assert!(found.is_err(), "{trouble:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_missing_registration_of_the_resource_provider_is_made_up_for() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    let (subscription, namespace) = (stage.subscription(), "Microsoft.ContainerService".to_owned());
    stage.aks.happen(Event::Registration { subscription, namespace, is_registered: false });
    for _ in 0..2 {
        assert_busy(&case.engine.deploy(&case.credentials, &case.spec).await);
        assert_eq!(case.observe().await, None);
    }
    stage.pass(TimeDelta::seconds(120)).await;
    case.engine.deploy(&case.credentials, &case.spec).await.unwrap();
    assert!(case.observe().await.is_some());
}

#[tokio::test]
async fn who_may_not_register_the_resource_provider_learns_that_it_is_not_registered() {
    let stage = stage().await.unwrap();
    let case = Case::new(&stage.engine, &stage);
    let (subscription, namespace) = (stage.subscription(), "Microsoft.ContainerService".to_owned());
    stage.aks.happen(Event::Registration { subscription, namespace, is_registered: false });
    let permissions = Some(vec!["Microsoft.ContainerService/managedClusters/*".to_owned()]);
    stage.aks.happen(Event::Permissions { client_id: stage.principal.client_id.clone(), permissions });
    assert_eq!(code(case.engine.deploy(&case.credentials, &case.spec).await), ReasonCode::ServiceNotEnabled);
}

#[tokio::test]
async fn what_failed_is_repaired_in_place_and_never_deleted() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    stage.aks.inject(Injection::on("managed_clusters.create_or_update", Fault::Doomed(Doom::default())));
    case.engine.deploy(&case.credentials, &case.spec).await.unwrap();
    let broken = case.settled().await.unwrap();
    assert!(matches!(broken.state, ProvisioningState::Broken(_)), "{broken:?}");
    case.engine.deploy(&case.credentials, &case.spec).await.unwrap();
    let observed = case.run(1).await;
    assert_eq!((observed.node_count, &observed.resources), (Some(2), &broken.resources));

    let cluster = cluster_name(&case.names()[0]);
    let breaks =
        || Event::Breaks { cluster: cluster.clone(), code: "InternalOperationError".into(), message: "why".into() };
    stage.aks.happen(breaks());
    assert!(matches!(case.observe().await.unwrap().state, ProvisioningState::Broken(_)));
    case.engine.deploy(&case.credentials, &case.spec).await.unwrap();
    assert_eq!(case.run(1).await.resources, observed.resources, "it is the same cluster");

    // Azure does not change the VM size of a pool.
    stage.aks.happen(breaks());
    case.spec.parameters.insert("vm_size", Value::from("Standard_D4s_v5"));
    assert_eq!(code(case.engine.deploy(&case.credentials, &case.spec).await), ReasonCode::InvalidState);
}

#[tokio::test]
async fn a_creation_that_azure_completes_after_it_failed_is_noticed() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    stage.aks.inject(Injection::on("managed_clusters.create_or_update", Fault::Doomed(Doom::default())));
    case.engine.deploy(&case.credentials, &case.spec).await.unwrap();
    case.settled().await.unwrap();
    stage.aks.happen(Event::Recovers { cluster: cluster_name(&case.names()[0]) });
    assert_eq!(case.observe().await.unwrap().state, ProvisioningState::Running);
}

#[tokio::test]
async fn unknown_states_are_waited_for_and_shown_in_words() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    case.run(1).await;
    stage.aks.happen(Event::Shows { cluster: cluster_name(&case.names()[0]), state: "DefragmentingNodes".into() });
    let ObservedCluster { state, message, .. } = case.observe().await.unwrap();
    assert_eq!((state, message.as_str()), (ProvisioningState::Working, "Azure: defragmenting nodes"));
}

#[tokio::test]
async fn only_a_creation_without_any_effect_is_called_rejected() {
    let stage = stage().await.unwrap();
    for fault in Fault::all() {
        // Those take as long as the client waits, or need a process that ends.
        if matches!(fault, Fault::Hang(_) | Fault::CallerDies(_)) || !fault.fits(false) {
            continue;
        }
        let case = Case::new(&stage.engine, &stage);
        stage.aks.inject(Injection::on("managed_clusters.create_or_update", fault.clone()));
        let outcome = case.engine.deploy(&case.credentials, &case.spec).await;
        stage.aks.clear_faults();
        let is_uncertain = outcome.as_ref().is_err_and(EngineError::is_uncertain);
        match (fault.acts(), stage.resource(&case.names()[0]).await) {
            (Acts::Never, found) => assert!(found.is_none() || outcome.is_ok(), "{fault:?}: {outcome:?}"),
            (Acts::First, found) => {
                assert!(found.is_some() && (outcome.is_ok() || is_uncertain), "{fault:?}: {outcome:?}");
            }
            (Acts::Later(_), _) => assert!(outcome.is_ok() || is_uncertain, "{fault:?}: {outcome:?}"),
        }
        // Repeating the call is a success, with one cluster.
        if !matches!(fault.acts(), Acts::Later(_)) {
            case.engine.deploy(&case.credentials, &case.spec).await.unwrap();
            assert!(stage.resource(&case.names()[0]).await.is_some(), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_token_that_was_revoked_is_replaced() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    case.run(1).await;
    stage.aks.happen(Event::TokensExpire);
    assert!(case.observe().await.is_some());
}

#[tokio::test]
async fn a_cluster_begun_somewhere_is_not_begun_a_second_time_elsewhere() {
    let stage = stage().await.unwrap();
    let mut case = Case::new(&stage.engine, &stage);
    let begun = case.names();
    // Nothing has shown it yet, and the provisioner now points to another subscription.
    case.spec.known = begun.iter().map(|name| ProviderResource { name: name.clone(), provider_id: None }).collect();
    case.credentials = credentials(&stage.aks.principal(2, GROUP), GROUP);
    assert_eq!(case.names(), begun);
    let outcome = case.engine.deploy(&case.credentials, &case.spec).await;
    assert!(matches!(outcome, Err(EngineError::Denied(_))), "it has no rights there: {outcome:?}");
    assert!(stage.aks.clusters().is_empty(), "{:?}", stage.aks.clusters());
}
