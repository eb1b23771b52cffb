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
async fn nodes_come_and_go_one_by_one() {
    let world = World::new().await;
    let order = world.running("web").await;
    for (to, halfway) in [(5, 4), (1, 3)] {
        world.engine.resize(&world.access, &order, to).await.unwrap();
        world.pass(4.0);
        world.engine.resize(&world.access, &order, to).await.unwrap();
        let seen = world.seen(&order).await;
        assert_eq!((seen.condition, seen.node_count, seen.progress), (Condition::Working, Some(halfway), Some(50)));
        let other = world.engine.resize(&world.access, &order, 9).await;
        assert!(matches!(other, Err(EngineError::Busy(_))), "one thing at a time");
        world.pass(4.0);
        let seen = world.seen(&order).await;
        assert_eq!((seen.condition, seen.node_count), (Condition::Running, Some(to)));
        world.engine.resize(&world.access, &order, to).await.unwrap();
        assert_eq!(world.seen(&order).await.condition, Condition::Running, "there is nothing to do");
    }
    for bad in [0, 21] {
        assert_eq!(refusal(world.engine.resize(&world.access, &order, bad).await).fixer, Fixer::Requester);
    }
}

#[tokio::test]
async fn a_name_makes_resizing_fail_halfway() {
    let world = World::new().await;
    let mut order = world.running("fail-resize-web").await;
    world.engine.resize(&world.access, &order, 7).await.unwrap();
    world.pass(8.0);
    let seen = world.seen(&order).await;
    assert!(matches!(seen.condition, Condition::Broken(_)), "{seen:?}");
    assert_eq!(seen.node_count, Some(5));
    order.name = "web".into();
    world.engine.resize(&world.access, &order, 7).await.unwrap();
    world.pass(8.0);
    let seen = world.seen(&order).await;
    assert_eq!((seen.condition, seen.node_count), (Condition::Running, Some(7)));
}

#[tokio::test]
async fn a_resize_that_broke_is_put_right_by_the_size_there_is() {
    let world = World::new().await;
    let order = world.running("fail-resize-web").await;
    world.engine.resize(&world.access, &order, 1).await.unwrap();
    world.pass(8.0);
    assert_eq!(world.seen(&order).await.node_count, Some(2));
    world.engine.resize(&world.access, &order, 2).await.unwrap();
    world.pass(8.0);
    let seen = world.seen(&order).await;
    assert_eq!((seen.condition, seen.node_count), (Condition::Running, Some(2)));
}

#[tokio::test]
async fn network_policy_is_switched() {
    let world = World::new().await;
    let order = world.running("web").await;
    assert!(!world.seen(&order).await.network_policy.unwrap().enabled);
    let policy = NetworkPolicy { provider: "CALICO".into(), enabled: true };
    let set = async |policy: &NetworkPolicy| world.engine.set_network_policy(&world.access, &order, policy).await;
    set(&policy).await.unwrap();
    world.pass(4.9);
    set(&policy).await.unwrap();
    let seen = world.seen(&order).await;
    assert_eq!((&seen.condition, seen.words.as_str()), (&Condition::Working, "turning network policy on (simulated)"));
    assert!(!seen.network_policy.unwrap().enabled, "not yet");
    world.pass(0.1);
    let seen = world.seen(&order).await;
    assert_eq!((&seen.condition, seen.network_policy.as_ref()), (&Condition::Running, Some(&policy)));
    set(&policy).await.unwrap();
    assert_eq!(world.seen(&order).await, seen);
    let unknown = NetworkPolicy { provider: "FENCE".into(), enabled: true };
    assert_eq!(refusal(set(&unknown).await).fixer, Fixer::Requester);
}

#[tokio::test]
async fn destroying_takes_away_what_was_made_last_first() {
    let world = World::new().await;
    let order = world.running("web").await;
    world.engine.destroy(&world.access, &order).await.unwrap();
    let mut left = Vec::new();
    for _ in 0..12 {
        let seen = world.seen(&order).await;
        assert_eq!(seen.condition, Condition::Removing);
        assert!(seen.words.ends_with("(simulated)"), "{}", seen.words);
        left.push(kinds(&seen.things).len());
        world.engine.destroy(&world.access, &order).await.unwrap();
        assert!(matches!(world.deploy(&order).await, Err(EngineError::Busy(_))));
        world.pass(0.5);
    }
    left.dedup();
    assert_eq!(left, [3, 2, 1]);
    assert_eq!(world.observe(&order).await, Observation::Absent);
    assert_eq!(world.engine.destroy(&world.access, &order).await, Ok(()), "gone already is success");
    assert_eq!(world.engine.resize(&world.access, &order, 2).await, Err(EngineError::Missing));
    assert!(world.inventory(order.mark.installation).await.is_empty());
}

#[tokio::test]
async fn what_is_being_made_can_be_destroyed() {
    let world = World::new().await;
    let order = order("web");
    world.deploy(&order).await.unwrap();
    world.pass(6.0);
    world.engine.destroy(&world.access, &order).await.unwrap();
    assert_eq!(kinds(&world.seen(&order).await.things), ["network", "control plane"], "no more than there was");
    world.pass(6.0);
    assert_eq!(world.observe(&order).await, Observation::Absent);
    world.deploy(&order).await.unwrap();
    assert_eq!(world.seen(&order).await.progress, Some(0), "it can be made anew");
}

#[tokio::test]
async fn a_name_makes_deleting_be_refused_twice() {
    let world = World::new().await;
    let order = world.running("fail-delete-web").await;
    for _ in 0..2 {
        let reason = refusal(world.engine.destroy(&world.access, &order).await);
        assert!(reason.cause.contains("simulated") && !reason.next_step.is_empty(), "{reason}");
        assert_eq!(world.seen(&order).await.condition, Condition::Running);
    }
    world.engine.destroy(&world.access, &order).await.unwrap();
    assert_eq!(world.seen(&order).await.condition, Condition::Removing);
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
async fn clusters_survive_a_restart_and_go_on_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("var/kqueen.demo.json");
    let clock = Arc::new(SetClock::at(start()));
    let before = World::kept_in(Some(file.clone()), clock.clone()).await;
    let order = before.running("fail-delete-web").await;
    let kubeconfig = before.engine.kubeconfig(&before.access, &order).await.unwrap();
    refusal(before.engine.destroy(&before.access, &order).await);
    before.engine.resize(&before.access, &order, 5).await.unwrap();

    let access = before.access.clone();
    drop(before);
    clock.advance(TimeDelta::seconds(8));
    let after = World { access, ..World::kept_in(Some(file.clone()), clock.clone()).await };
    let seen = after.seen(&order).await;
    assert_eq!((seen.condition, seen.node_count), (Condition::Running, Some(5)));
    assert_eq!(after.engine.kubeconfig(&after.access, &order).await, Ok(kubeconfig));
    refusal(after.engine.destroy(&after.access, &order).await);
    assert_eq!(after.engine.destroy(&after.access, &order).await, Ok(()), "both refusals count");
    let names: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["kqueen.demo.json"], "no drafts stay");
}

#[tokio::test]
async fn a_damaged_file_is_an_empty_cloud() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kqueen.demo.json");
    let clock = Arc::new(SetClock::at(start()));
    let world = World::kept_in(Some(file.clone()), clock.clone()).await;
    let order = world.running("web").await;
    let whole = std::fs::read_to_string(&file).unwrap();
    let kept = async || World::kept_in(Some(file.clone()), clock.clone()).await.engine.cloud.clusters().len();
    assert_eq!(kept().await, 1);
    for damaged in [
        &whole[..whole.len() / 2],
        &whole.replace("\"format\":1", "\"format\":2"),
        &whole.replace("\"node_count\":3", "\"node_count\":4000000000"),
        "",
    ] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(kept().await, 0, "{damaged}");
    }
    let world = World { access: world.access, ..World::kept_in(Some(file.clone()), clock.clone()).await };
    world.deploy(&order).await.unwrap();
    assert_eq!(kept().await, 1, "it is written anew");
}

#[tokio::test]
async fn what_cannot_be_kept_has_not_happened() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let clock = Arc::new(SetClock::at(start()));
    let world = World::kept_in(Some(blocked.join("kqueen.demo.json")), clock).await;
    let order = order("web");
    let reason = refusal(world.deploy(&order).await);
    assert!(reason.fixer == Fixer::Operator && reason.cause.contains("kqueen.demo.json"), "{reason}");
    assert_eq!(world.observe(&order).await, Observation::Absent);
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
