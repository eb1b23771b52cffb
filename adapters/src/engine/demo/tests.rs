//! The demo engine from outside, with a clock that is set.

use chrono::{DateTime, TimeDelta, Utc};
use kqueen_domain::{
    id::{ClusterId, ProvisionerId},
    kubeconfig::{self, AddressRules},
    ledger::{Mark, Thing},
    port::{
        clock::SetClock,
        engine::{Condition, Seen},
    },
    reason::Fixer,
};
use serde_json::json;

use super::*;

mod changing;
mod keeping;
mod taking_down;

struct World {
    clock: Arc<SetClock>,
    engine: DemoEngine,
    access: Access,
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("not an object") };
    map
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(SetClock::at(start()));
        Self::kept_in(None, clock).await
    }

    async fn kept_in(file: Option<std::path::PathBuf>, clock: Arc<SetClock>) -> Self {
        let engine = DemoEngine::new(DemoCloud::open(file, clock.clone()).await);
        let access = Access { provisioner: ProvisionerId::random(), parameters: object(json!({"quota": 10})) };
        Self { clock, engine, access }
    }

    fn pass(&self, seconds: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "a few seconds")]
        self.clock.advance(TimeDelta::milliseconds((seconds * 1000.0) as i64));
    }

    async fn observe(&self, order: &Order) -> Observation {
        self.engine.observe(&self.access, order).await.unwrap()
    }

    async fn seen(&self, order: &Order) -> Seen {
        match self.observe(order).await {
            Observation::Seen(seen) => seen,
            Observation::Absent => panic!("it is not there"),
        }
    }

    async fn deploy(&self, order: &Order) -> Result<(), EngineError> {
        self.engine.deploy(&self.access, order).await
    }

    /// A cluster that runs.
    async fn running(&self, name: &str) -> Order {
        let order = order(name);
        self.deploy(&order).await.unwrap();
        self.pass(20.0);
        assert_eq!(self.seen(&order).await.condition, Condition::Running);
        order
    }

    async fn inventory(&self, installation: Uuid) -> Vec<Found> {
        self.engine.inventory(&self.access, installation).await.unwrap()
    }
}

fn order(name: &str) -> Order {
    let mark = Mark { installation: Uuid::from_u128(1), cluster: ClusterId::random() };
    Order { mark, name: name.into(), parameters: object(json!({"node_count": 3})), known: Vec::new() }
}

fn kinds(things: &[Thing]) -> Vec<&str> {
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
    let order = order("web");
    assert_eq!(world.observe(&order).await, Observation::Absent);
    assert!(matches!(world.engine.kubeconfig(&world.access, &order).await, Err(EngineError::Missing)));
    world.deploy(&order).await.unwrap();
    let mut told = Vec::new();
    for second in 0..20_u8 {
        if second == 7 {
            world.deploy(&order).await.unwrap();
        }
        let seen = world.seen(&order).await;
        assert_eq!((&seen.condition, seen.progress), (&Condition::Working, Some(second * 5)));
        assert!(matches!(world.engine.kubeconfig(&world.access, &order).await, Err(EngineError::Busy(_))));
        told.push((seen.words, seen.things.len(), seen.node_count));
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
    let seen = world.seen(&order).await;
    assert_eq!((&seen.condition, seen.progress, seen.node_count), (&Condition::Running, None, Some(3)));
    let made: Vec<_> = seen.things.iter().map(|thing| thing.name.clone()).collect();
    assert_eq!(made, world.engine.makes(&world.access, &order), "it made what it said it would");
    world.deploy(&order).await.unwrap();
    assert_eq!(world.seen(&order).await, seen, "deploying again changes nothing");
}

#[tokio::test]
async fn the_kubeconfig_is_accepted_and_leads_nowhere() {
    let world = World::new().await;
    let order = world.running("web").await;
    let given = world.engine.kubeconfig(&world.access, &order).await.unwrap();
    let parsed = kubeconfig::parse(&given, &AddressRules::default()).unwrap();
    let access = kubeconfig::Access::of(&parsed).unwrap();
    assert_eq!(access.server.as_str(), format!("https://{}.demo.kqueen.invalid:6443/", order.mark.cluster));
    assert!(access.credentials.token.is_some());
    assert_eq!(world.engine.kubeconfig(&world.access, &order).await, Ok(given));
}

#[tokio::test]
async fn a_name_makes_deploying_fail_until_it_is_changed() {
    let world = World::new().await;
    let mut order = order("fail-quota");
    world.deploy(&order).await.unwrap();
    world.pass(11.9);
    assert_eq!(world.seen(&order).await.condition, Condition::Working);
    world.pass(0.1);
    let broken = world.seen(&order).await;
    let Condition::Broken(reason) = &broken.condition else { panic!("{broken:?}") };
    assert!(reason.cause.contains("quota") && reason.cause.ends_with("(simulated)"), "{reason}");
    assert!(reason.fixer == Fixer::Admin && reason.next_step.contains("rename") && reason.words.is_some(), "{reason}");
    assert_eq!((broken.progress, kinds(&broken.things)), (Some(60), vec!["network", "control plane"]));
    world.pass(3600.0);
    assert_eq!(world.seen(&order).await, broken, "it stays so");

    world.deploy(&order).await.unwrap();
    assert_eq!(world.seen(&order).await.progress, Some(50), "it goes on from where it stands");
    world.pass(2.0);
    assert_eq!(world.seen(&order).await, broken);

    order.name = "quota".into();
    order.parameters = object(json!({"node_count": 2}));
    world.deploy(&order).await.unwrap();
    let again = world.seen(&order).await;
    assert_eq!((again.condition, again.things.len()), (Condition::Working, 2));
    world.pass(10.0);
    let seen = world.seen(&order).await;
    assert_eq!((seen.condition, seen.node_count), (Condition::Running, Some(2)));
}

#[tokio::test]
async fn the_quota_of_a_provisioner_is_kept() {
    let world = World::new().await;
    let first = world.running("first").await;
    let mut second = order("second");
    second.parameters = object(json!({"node_count": 7}));
    world.deploy(&second).await.unwrap();
    let third = order("third");
    let reason = refusal(world.deploy(&third).await);
    assert!(reason.fixer == Fixer::Admin && reason.cause.contains("quota of 10 nodes has 10 in use"), "{reason}");
    assert_eq!(world.observe(&third).await, Observation::Absent, "nothing was made");
    refusal(world.engine.resize(&world.access, &first, 4).await);
    world.engine.resize(&world.access, &first, 2).await.unwrap();
    let elsewhere = Access { provisioner: ProvisionerId::random(), ..world.access.clone() };
    assert_eq!(world.engine.deploy(&elsewhere, &third).await, Ok(()), "another account has a quota of its own");
}

#[tokio::test]
async fn what_does_not_carry_the_mark_is_left_alone() {
    let world = World::new().await;
    let order = world.running("web").await;
    let before = world.seen(&order).await;
    let mark = Mark { installation: Uuid::from_u128(2), ..order.mark };
    let foreign = Order { mark, ..order.clone() };
    let elsewhere = Access { provisioner: ProvisionerId::random(), ..world.access.clone() };
    for (access, order) in [(&world.access, &foreign), (&elsewhere, &order)] {
        assert_eq!(world.engine.observe(access, order).await, Ok(Observation::Absent));
        refusal(world.engine.deploy(access, order).await);
        assert_eq!(world.engine.resize(access, order, 1).await, Err(EngineError::Missing));
        assert_eq!(world.engine.kubeconfig(access, order).await, Err(EngineError::Missing));
        assert_eq!(world.engine.destroy(access, order).await, Ok(()));
    }
    assert_eq!(world.seen(&order).await, before);
    assert!(world.inventory(Uuid::from_u128(2)).await.is_empty());
    assert!(world.engine.inventory(&elsewhere, order.mark.installation).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_inventory_has_everything_of_the_installation() {
    let world = World::new().await;
    let whole = world.running("whole").await;
    let half = order("half");
    world.deploy(&half).await.unwrap();
    let mut expected = Vec::new();
    for order in [&whole, &half] {
        let things = world.seen(order).await.things;
        expected.extend(things.into_iter().map(|thing| Found { cluster: order.mark.cluster, thing }));
    }
    let mut found = world.inventory(whole.mark.installation).await;
    let by_name = |found: &Found| found.thing.name.clone();
    found.sort_by_key(by_name);
    expected.sort_by_key(by_name);
    assert_eq!((found.len(), found), (4, expected));
}

#[tokio::test]
async fn what_was_begun_in_one_region_is_finished_there() {
    let mut world = World::new().await;
    let mut order = order("fail-web");
    world.deploy(&order).await.unwrap();
    world.pass(20.0);
    order.known = world.seen(&order).await.things;
    order.name = "web".into();
    world.access.parameters = object(json!({"region": "demo-coast"}));
    world.deploy(&order).await.unwrap();
    world.pass(20.0);
    let made: Vec<_> = world.seen(&order).await.things.into_iter().map(|thing| thing.name).collect();
    assert_eq!(made, world.engine.makes(&world.access, &order));
}

#[tokio::test]
async fn everything_it_says_names_itself_simulated() {
    let world = World::new().await;
    assert!(world.engine.descriptor().verbose_name.contains("simulated"));
    let order = order("fail-delete-web");
    let mut said = Vec::new();
    world.deploy(&order).await.unwrap();
    for step in 0..100 {
        let seen = world.seen(&order).await;
        said.push(seen.words);
        if let Condition::Broken(reason) = seen.condition {
            said.push(reason.to_string());
        }
        match step {
            20 => _ = world.engine.resize(&world.access, &order, 1).await,
            30 => {
                let policy = NetworkPolicy { provider: "CILIUM".into(), enabled: true };
                _ = world.engine.set_network_policy(&world.access, &order, &policy).await;
            }
            40..43 => said.extend(world.engine.destroy(&world.access, &order).await.err().map(|why| why.to_string())),
            48 => break,
            _ => {}
        }
        world.pass(1.0);
        if world.observe(&order).await == Observation::Absent {
            break;
        }
    }
    assert!(said.len() > 40, "{said:?}");
    for words in said {
        assert!(words.contains("simulat"), "{words}");
    }
}
