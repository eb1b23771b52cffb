//! The demo engine from outside, with a clock that is set.

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
        Self::kept_in(None, clock).await
    }

    async fn kept_in(file: Option<std::path::PathBuf>, clock: Arc<SetClock>) -> Self {
        let engine = DemoEngine::new(DemoCloud::open(file, clock.clone()).await);
        let credentials =
            ProviderCredentials { provisioner: ProvisionerId::random(), parameters: object(json!({"quota": 10})) };
        Self { clock, engine, credentials }
    }

    fn pass(&self, seconds: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "a few seconds")]
        self.clock.advance(TimeDelta::milliseconds((seconds * 1000.0) as i64));
    }

    async fn observe(&self, spec: &ClusterSpec) -> Observation {
        self.engine.observe(&self.credentials, spec).await.unwrap()
    }

    async fn seen(&self, spec: &ClusterSpec) -> ObservedCluster {
        match self.observe(spec).await {
            Observation::Present(seen) => seen,
            Observation::Absent => panic!("it is not there"),
        }
    }

    async fn deploy(&self, spec: &ClusterSpec) -> Result<(), EngineError> {
        self.engine.deploy(&self.credentials, spec).await
    }

    /// A cluster that runs.
    async fn running(&self, name: &str) -> ClusterSpec {
        let spec = spec(name);
        self.deploy(&spec).await.unwrap();
        self.pass(20.0);
        assert_eq!(self.seen(&spec).await.state, ProvisioningState::Running);
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

fn kinds(things: &[ProviderResource]) -> Vec<&str> {
    things.iter().map(|thing| thing.name.kind.as_str()).collect()
}

fn refusal(result: Result<(), EngineError>) -> kqueen_domain::reason::Reason {
    match result {
        Err(EngineError::Rejected(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn deploying_takes_its_time_and_tells_how_far_it_is() {
    let world = World::new().await;
    let spec = spec("web");
    assert_eq!(world.observe(&spec).await, Observation::Absent);
    assert!(matches!(world.engine.kubeconfig(&world.credentials, &spec).await, Err(EngineError::Missing)));
    world.deploy(&spec).await.unwrap();
    let mut told = Vec::new();
    for second in 0..20_u8 {
        if second == 7 {
            world.deploy(&spec).await.unwrap();
        }
        let seen = world.seen(&spec).await;
        assert_eq!((&seen.state, seen.progress), (&ProvisioningState::Working, Some(second * 5)));
        assert!(matches!(world.engine.kubeconfig(&world.credentials, &spec).await, Err(EngineError::Busy(_))));
        told.push((seen.message, seen.resources.len(), seen.node_count));
        told.dedup();
        world.pass(1.0);
    }
    let told: Vec<_> = told.iter().map(|(words, things, nodes)| (words.as_str(), *things, nodes.unwrap())).collect();
    assert_eq!(
        told,
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
    let seen = world.seen(&spec).await;
    assert_eq!((&seen.state, seen.progress, seen.node_count), (&ProvisioningState::Running, None, Some(3)));
    let made: Vec<_> = seen.resources.iter().map(|thing| thing.name.clone()).collect();
    assert_eq!(made, world.engine.makes(&world.credentials, &spec), "it made what it said it would");
    world.deploy(&spec).await.unwrap();
    assert_eq!(world.seen(&spec).await, seen, "deploying again changes nothing");
}

#[tokio::test]
async fn the_kubeconfig_is_accepted_and_leads_nowhere() {
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
    world.pass(11.9);
    assert_eq!(world.seen(&spec).await.state, ProvisioningState::Working);
    world.pass(0.1);
    let broken = world.seen(&spec).await;
    let ProvisioningState::Broken(reason) = &broken.state else { panic!("{broken:?}") };
    assert!(reason.cause.contains("quota") && reason.cause.ends_with("(simulated)"), "{reason}");
    assert!(
        reason.responsible == Responsible::Admin
            && reason.next_step.contains("rename")
            && reason.provider_message.is_some(),
        "{reason}"
    );
    assert_eq!((broken.progress, kinds(&broken.resources)), (Some(60), vec!["network", "control plane"]));
    world.pass(3600.0);
    assert_eq!(world.seen(&spec).await, broken, "it stays so");

    world.deploy(&spec).await.unwrap();
    assert_eq!(world.seen(&spec).await.progress, Some(50), "it goes on from where it stands");
    world.pass(2.0);
    assert_eq!(world.seen(&spec).await, broken);

    spec.name = "quota".into();
    spec.parameters = object(json!({"node_count": 2}));
    world.deploy(&spec).await.unwrap();
    let again = world.seen(&spec).await;
    assert_eq!((again.state, again.resources.len()), (ProvisioningState::Working, 2));
    world.pass(10.0);
    let seen = world.seen(&spec).await;
    assert_eq!((seen.state, seen.node_count), (ProvisioningState::Running, Some(2)));
}

#[tokio::test]
async fn the_quota_of_a_provisioner_is_kept() {
    let world = World::new().await;
    let first = world.running("first").await;
    let mut second = spec("second");
    second.parameters = object(json!({"node_count": 7}));
    world.deploy(&second).await.unwrap();
    let third = spec("third");
    let reason = refusal(world.deploy(&third).await);
    assert!(
        reason.responsible == Responsible::Admin && reason.cause.contains("quota of 10 nodes has 10 in use"),
        "{reason}"
    );
    assert_eq!(world.observe(&third).await, Observation::Absent, "nothing was made");
    refusal(world.engine.resize(&world.credentials, &first, 4).await);
    world.engine.resize(&world.credentials, &first, 2).await.unwrap();
    let elsewhere = ProviderCredentials { provisioner: ProvisionerId::random(), ..world.credentials.clone() };
    assert_eq!(world.engine.deploy(&elsewhere, &third).await, Ok(()), "another account has a quota of its own");
}

#[tokio::test]
async fn what_does_not_carry_the_tag_is_left_alone() {
    let world = World::new().await;
    let spec = world.running("web").await;
    let before = world.seen(&spec).await;
    let tag = OwnershipTag { installation: Uuid::from_u128(2), ..spec.tag };
    let foreign = ClusterSpec { tag, ..spec.clone() };
    let elsewhere = ProviderCredentials { provisioner: ProvisionerId::random(), ..world.credentials.clone() };
    for (credentials, spec) in [(&world.credentials, &foreign), (&elsewhere, &spec)] {
        assert_eq!(world.engine.observe(credentials, spec).await, Ok(Observation::Absent));
        refusal(world.engine.deploy(credentials, spec).await);
        assert_eq!(world.engine.resize(credentials, spec, 1).await, Err(EngineError::Missing));
        assert_eq!(world.engine.kubeconfig(credentials, spec).await, Err(EngineError::Missing));
        assert_eq!(world.engine.destroy(credentials, spec).await, Ok(()));
    }
    assert_eq!(world.seen(&spec).await, before);
    assert!(world.inventory(Uuid::from_u128(2)).await.is_empty());
    assert!(world.engine.inventory(&elsewhere, spec.tag.installation).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_inventory_has_everything_of_the_installation() {
    let world = World::new().await;
    let whole = world.running("whole").await;
    let half = spec("half");
    world.deploy(&half).await.unwrap();
    let mut expected = Vec::new();
    for spec in [&whole, &half] {
        let things = world.seen(spec).await.resources;
        expected.extend(things.into_iter().map(|thing| InventoryItem { cluster: spec.tag.cluster, resource: thing }));
    }
    let mut found = world.inventory(whole.tag.installation).await;
    let by_name = |found: &InventoryItem| found.resource.name.clone();
    found.sort_by_key(by_name);
    expected.sort_by_key(by_name);
    assert_eq!((found.len(), found), (4, expected));
}

#[tokio::test]
async fn what_was_begun_in_one_region_is_finished_there() {
    let mut world = World::new().await;
    let mut spec = spec("fail-web");
    world.deploy(&spec).await.unwrap();
    world.pass(20.0);
    spec.known = world.seen(&spec).await.resources;
    spec.name = "web".into();
    world.credentials.parameters = object(json!({"region": "demo-coast"}));
    world.deploy(&spec).await.unwrap();
    world.pass(20.0);
    let made: Vec<_> = world.seen(&spec).await.resources.into_iter().map(|thing| thing.name).collect();
    assert_eq!(made, world.engine.makes(&world.credentials, &spec));
}

#[tokio::test]
async fn everything_it_says_names_itself_simulated() {
    let world = World::new().await;
    assert!(world.engine.descriptor().verbose_name.contains("simulated"));
    let spec = spec("fail-delete-web");
    let mut said = Vec::new();
    world.deploy(&spec).await.unwrap();
    for step in 0..100 {
        let seen = world.seen(&spec).await;
        said.push(seen.message);
        if let ProvisioningState::Broken(reason) = seen.state {
            said.push(reason.to_string());
        }
        match step {
            20 => _ = world.engine.resize(&world.credentials, &spec, 1).await,
            30 => {
                let policy = NetworkPolicy { provider: "CILIUM".into(), enabled: true };
                _ = world.engine.set_network_policy(&world.credentials, &spec, &policy).await;
            }
            40..43 => {
                said.extend(world.engine.destroy(&world.credentials, &spec).await.err().map(|why| why.to_string()))
            }
            48 => break,
            _ => {}
        }
        world.pass(1.0);
        if world.observe(&spec).await == Observation::Absent {
            break;
        }
    }
    assert!(said.len() > 40, "{said:?}");
    for words in said {
        assert!(words.contains("simulat"), "{words}");
    }
}
