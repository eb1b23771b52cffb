//! The demo engine through its port, with a clock that the tests set.

use chrono::{DateTime, TimeDelta, Utc};
use kqueen_domain::{
    id::{ClusterId, ProvisionerId},
    kubeconfig::{self, AddressRules},
    ledger::{OwnershipTag, ProviderResource},
    observation::{ObservedCluster, ProvisioningState},
    port::clock::SetClock,
    reason::Responsible,
};
use serde_json::{Value, json};

use super::*;

mod changing;
mod keeping;
mod taking_down;

struct World {
    clock: Arc<SetClock>,
    engine: DemoEngine,
    credentials: ProviderCredentials,
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn object(value: Value) -> SecretMap {
    SecretValue::from(value).into_map().unwrap()
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(SetClock::at(start()));
        Self::stored_in(None, clock).await
    }

    async fn stored_in(file: Option<std::path::PathBuf>, clock: Arc<SetClock>) -> Self {
        let engine = DemoEngine::new(DemoCloud::open(file, clock.clone()).await);
        let credentials =
            ProviderCredentials { provisioner: ProvisionerId::random(), parameters: object(json!({"quota": 10})) };
        Self { clock, engine, credentials }
    }

    fn advance(&self, seconds: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "a few seconds")]
        self.clock.advance(TimeDelta::milliseconds((seconds * 1000.0) as i64));
    }

    async fn observe(&self, spec: &ClusterSpec) -> Observation {
        self.engine.observe(&self.credentials, spec).await.unwrap()
    }

    async fn observed(&self, spec: &ClusterSpec) -> ObservedCluster {
        match self.observe(spec).await {
            Observation::Present(observed) => observed,
            Observation::Absent => panic!("the cluster is absent"),
        }
    }

    async fn deploy(&self, spec: &ClusterSpec) -> Result<(), EngineError> {
        self.engine.deploy(&self.credentials, spec).await
    }

    /// A running cluster.
    async fn running(&self, name: &str) -> ClusterSpec {
        let spec = spec(name);
        self.deploy(&spec).await.unwrap();
        self.advance(20.0);
        assert_eq!(self.observed(&spec).await.state, ProvisioningState::Running);
        spec
    }

    async fn inventory(&self, installation: Uuid) -> Vec<InventoryItem> {
        self.engine.inventory(&self.credentials, installation).await.unwrap()
    }
}

fn spec(name: &str) -> ClusterSpec {
    let tag = OwnershipTag { installation: Uuid::from_u128(1), cluster: ClusterId::random() };
    ClusterSpec { tag, name: name.into(), parameters: object(json!({"node_count": 3})), known: Vec::new() }
}

fn kinds(resources: &[ProviderResource]) -> Vec<&str> {
    resources.iter().map(|resource| resource.name.kind.as_str()).collect()
}

fn rejection(result: Result<(), EngineError>) -> kqueen_domain::reason::Reason {
    match result {
        Err(EngineError::Rejected(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn deploying_takes_time_and_reports_progress() {
    let world = World::new().await;
    let spec = spec("web");
    assert_eq!(world.observe(&spec).await, Observation::Absent);
    assert!(matches!(world.engine.kubeconfig(&world.credentials, &spec).await, Err(EngineError::Missing)));
    world.deploy(&spec).await.unwrap();
    let mut reported = Vec::new();
    for second in 0..20_u8 {
        if second == 7 {
            world.deploy(&spec).await.unwrap();
        }
        let observed = world.observed(&spec).await;
        assert_eq!((&observed.state, observed.progress), (&ProvisioningState::Working, Some(second * 5)));
        assert!(matches!(world.engine.kubeconfig(&world.credentials, &spec).await, Err(EngineError::Busy(_))));
        reported.push((observed.message, observed.resources.len(), observed.node_count));
        reported.dedup();
        world.advance(1.0);
    }
    let reported: Vec<_> =
        reported.iter().map(|(message, resources, nodes)| (message.as_str(), *resources, nodes.unwrap())).collect();
    assert_eq!(
        reported,
        [
            ("creating the network (simulated)", 1, 0),
            ("starting the control plane (simulated)", 2, 0),
            ("creating the node pool (simulated)", 2, 0),
            ("starting node 1 of 3 (simulated)", 3, 0),
            ("starting node 2 of 3 (simulated)", 3, 1),
            ("starting node 3 of 3 (simulated)", 3, 2),
            ("waiting for the nodes to be ready (simulated)", 3, 3),
        ]
    );
    let observed = world.observed(&spec).await;
    assert_eq!((&observed.state, observed.progress, observed.node_count), (&ProvisioningState::Running, None, Some(3)));
    let made: Vec<_> = observed.resources.iter().map(|resource| resource.name.clone()).collect();
    assert_eq!(made, world.engine.makes(&world.credentials, &spec), "it created what `makes` lists");
    world.deploy(&spec).await.unwrap();
    assert_eq!(world.observed(&spec).await, observed, "deploying again changes nothing");
}

#[tokio::test]
async fn the_kubeconfig_is_valid_and_its_server_does_not_exist() {
    let world = World::new().await;
    let spec = world.running("web").await;
    let given = world.engine.kubeconfig(&world.credentials, &spec).await.unwrap();
    let parsed = kubeconfig::parse(&given, &AddressRules::default()).unwrap();
    let credentials = kubeconfig::ApiAccess::of(&parsed).unwrap();
    assert_eq!(credentials.server.as_str(), format!("https://{}.demo.kqueen.invalid:6443/", spec.tag.cluster));
    assert!(credentials.credentials.token.is_some());
    assert_eq!(world.engine.kubeconfig(&world.credentials, &spec).await, Ok(given));
}

#[tokio::test]
async fn a_name_makes_deploying_fail_until_it_is_changed() {
    let world = World::new().await;
    let mut spec = spec("fail-quota");
    world.deploy(&spec).await.unwrap();
    world.advance(11.9);
    assert_eq!(world.observed(&spec).await.state, ProvisioningState::Working);
    world.advance(0.1);
    let broken = world.observed(&spec).await;
    let ProvisioningState::Broken(reason) = &broken.state else { panic!("{broken:?}") };
    assert!(reason.cause.contains("quota") && reason.cause.ends_with("(simulated)"), "{reason}");
    assert!(
        reason.responsible == Responsible::Admin
            && reason.next_step.contains("rename")
            && reason.provider_message.is_some(),
        "{reason}"
    );
    assert_eq!((broken.progress, kinds(&broken.resources)), (Some(60), vec!["network", "control plane"]));
    world.advance(3600.0);
    assert_eq!(world.observed(&spec).await, broken, "it stays broken");

    world.deploy(&spec).await.unwrap();
    assert_eq!(world.observed(&spec).await.progress, Some(50), "it resumes where it failed");
    world.advance(2.0);
    assert_eq!(world.observed(&spec).await, broken);

    spec.name = "quota".into();
    spec.parameters = object(json!({"node_count": 2}));
    world.deploy(&spec).await.unwrap();
    let again = world.observed(&spec).await;
    assert_eq!((again.state, again.resources.len()), (ProvisioningState::Working, 2));
    world.advance(10.0);
    let observed = world.observed(&spec).await;
    assert_eq!((observed.state, observed.node_count), (ProvisioningState::Running, Some(2)));
}

#[tokio::test]
async fn the_quota_of_a_provisioner_is_enforced() {
    let world = World::new().await;
    let first = world.running("first").await;
    let mut second = spec("second");
    second.parameters = object(json!({"node_count": 7}));
    world.deploy(&second).await.unwrap();
    let third = spec("third");
    let reason = rejection(world.deploy(&third).await);
    assert!(
        reason.responsible == Responsible::Admin
            && reason.cause.contains("quota of 10 nodes is exceeded: 10 are in use"),
        "{reason}"
    );
    assert_eq!(world.observe(&third).await, Observation::Absent, "nothing was made");
    rejection(world.engine.resize(&world.credentials, &first, 4).await);
    world.engine.resize(&world.credentials, &first, 2).await.unwrap();
    let elsewhere = ProviderCredentials { provisioner: ProvisionerId::random(), ..world.credentials.clone() };
    assert_eq!(world.engine.deploy(&elsewhere, &third).await, Ok(()), "another account has a separate quota");
}

#[tokio::test]
async fn clusters_without_the_ownership_tag_are_not_touched() {
    let world = World::new().await;
    let spec = world.running("web").await;
    let before = world.observed(&spec).await;
    let tag = OwnershipTag { installation: Uuid::from_u128(2), ..spec.tag };
    let foreign = ClusterSpec { tag, ..spec.clone() };
    let elsewhere = ProviderCredentials { provisioner: ProvisionerId::random(), ..world.credentials.clone() };
    for (credentials, spec) in [(&world.credentials, &foreign), (&elsewhere, &spec)] {
        assert_eq!(world.engine.observe(credentials, spec).await, Ok(Observation::Absent));
        rejection(world.engine.deploy(credentials, spec).await);
        assert_eq!(world.engine.resize(credentials, spec, 1).await, Err(EngineError::Missing));
        assert_eq!(world.engine.kubeconfig(credentials, spec).await, Err(EngineError::Missing));
        assert_eq!(world.engine.destroy(credentials, spec).await, Ok(()));
    }
    assert_eq!(world.observed(&spec).await, before);
    assert!(world.inventory(Uuid::from_u128(2)).await.is_empty());
    assert!(world.engine.inventory(&elsewhere, spec.tag.installation).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_inventory_lists_all_resources_of_the_installation() {
    let world = World::new().await;
    let whole = world.running("whole").await;
    let half = spec("half");
    world.deploy(&half).await.unwrap();
    let mut expected = Vec::new();
    for spec in [&whole, &half] {
        let resources = world.observed(spec).await.resources;
        expected.extend(resources.into_iter().map(|resource| InventoryItem { cluster: spec.tag.cluster, resource }));
    }
    let mut found = world.inventory(whole.tag.installation).await;
    let by_name = |found: &InventoryItem| found.resource.name.clone();
    found.sort_by_key(by_name);
    expected.sort_by_key(by_name);
    assert_eq!((found.len(), found), (4, expected));
}

#[tokio::test]
async fn a_deployment_is_finished_in_the_region_where_it_began() {
    let mut world = World::new().await;
    let mut spec = spec("fail-web");
    world.deploy(&spec).await.unwrap();
    world.advance(20.0);
    spec.known = world.observed(&spec).await.resources;
    spec.name = "web".into();
    world.credentials.parameters = object(json!({"region": "demo-coast"}));
    world.deploy(&spec).await.unwrap();
    world.advance(20.0);
    let made: Vec<_> = world.observed(&spec).await.resources.into_iter().map(|resource| resource.name).collect();
    assert_eq!(made, world.engine.makes(&world.credentials, &spec));
}

#[tokio::test]
async fn every_message_says_that_it_is_simulated() {
    let world = World::new().await;
    assert!(world.engine.descriptor().verbose_name.contains("simulated"));
    let spec = spec("fail-delete-web");
    let mut messages = Vec::new();
    world.deploy(&spec).await.unwrap();
    for step in 0..100 {
        let observed = world.observed(&spec).await;
        messages.push(observed.message);
        if let ProvisioningState::Broken(reason) = observed.state {
            messages.push(reason.to_string());
        }
        match step {
            20 => _ = world.engine.resize(&world.credentials, &spec, 1).await,
            30 => {
                let policy = NetworkPolicy { provider: "CILIUM".into(), enabled: true };
                _ = world.engine.set_network_policy(&world.credentials, &spec, &policy).await;
            }
            40..43 => {
                messages.extend(world.engine.destroy(&world.credentials, &spec).await.err().map(|why| why.to_string()))
            }
            48 => break,
            _ => {}
        }
        world.advance(1.0);
        if world.observe(&spec).await == Observation::Absent {
            break;
        }
    }
    assert!(messages.len() > 40, "{messages:?}");
    for message in messages {
        assert!(message.contains("simulat"), "{message}");
    }
}
