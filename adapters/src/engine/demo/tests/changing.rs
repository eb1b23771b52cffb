//! Size and network policy are changed.

use super::*;

#[tokio::test]
async fn nodes_come_and_go_one_by_one() {
    let world = World::new().await;
    let spec = world.running("web").await;
    for (to, halfway) in [(5, 4), (1, 3)] {
        world.engine.resize(&world.credentials, &spec, to).await.unwrap();
        world.pass(4.0);
        world.engine.resize(&world.credentials, &spec, to).await.unwrap();
        let seen = world.seen(&spec).await;
        assert_eq!((seen.state, seen.node_count, seen.progress), (ProvisioningState::Working, Some(halfway), Some(50)));
        let other = world.engine.resize(&world.credentials, &spec, 9).await;
        assert!(matches!(other, Err(EngineError::Busy(_))), "one thing at a time");
        world.pass(4.0);
        let seen = world.seen(&spec).await;
        assert_eq!((seen.state, seen.node_count), (ProvisioningState::Running, Some(to)));
        world.engine.resize(&world.credentials, &spec, to).await.unwrap();
        assert_eq!(world.seen(&spec).await.state, ProvisioningState::Running, "there is nothing to do");
    }
    for bad in [0, 21] {
        assert_eq!(
            refusal(world.engine.resize(&world.credentials, &spec, bad).await).responsible,
            Responsible::Requester
        );
    }
}

#[tokio::test]
async fn a_name_makes_resizing_fail_halfway() {
    let world = World::new().await;
    let mut spec = world.running("fail-resize-web").await;
    world.engine.resize(&world.credentials, &spec, 7).await.unwrap();
    world.pass(8.0);
    let seen = world.seen(&spec).await;
    assert!(matches!(seen.state, ProvisioningState::Broken(_)), "{seen:?}");
    assert_eq!(seen.node_count, Some(5));
    spec.name = "web".into();
    world.engine.resize(&world.credentials, &spec, 7).await.unwrap();
    world.pass(8.0);
    let seen = world.seen(&spec).await;
    assert_eq!((seen.state, seen.node_count), (ProvisioningState::Running, Some(7)));
}

#[tokio::test]
async fn a_resize_that_broke_is_put_right_by_the_size_there_is() {
    let world = World::new().await;
    let spec = world.running("fail-resize-web").await;
    world.engine.resize(&world.credentials, &spec, 1).await.unwrap();
    world.pass(8.0);
    assert_eq!(world.seen(&spec).await.node_count, Some(2));
    world.engine.resize(&world.credentials, &spec, 2).await.unwrap();
    world.pass(8.0);
    let seen = world.seen(&spec).await;
    assert_eq!((seen.state, seen.node_count), (ProvisioningState::Running, Some(2)));
}

#[tokio::test]
async fn network_policy_is_switched() {
    let world = World::new().await;
    let spec = world.running("web").await;
    assert!(!world.seen(&spec).await.network_policy.unwrap().enabled);
    let policy = NetworkPolicy { provider: "CALICO".into(), enabled: true };
    let set = async |policy: &NetworkPolicy| world.engine.set_network_policy(&world.credentials, &spec, policy).await;
    set(&policy).await.unwrap();
    world.pass(4.9);
    set(&policy).await.unwrap();
    let seen = world.seen(&spec).await;
    assert_eq!(
        (&seen.state, seen.message.as_str()),
        (&ProvisioningState::Working, "turning network policy on (simulated)")
    );
    assert!(!seen.network_policy.unwrap().enabled, "not yet");
    world.pass(0.1);
    let seen = world.seen(&spec).await;
    assert_eq!((&seen.state, seen.network_policy.as_ref()), (&ProvisioningState::Running, Some(&policy)));
    set(&policy).await.unwrap();
    assert_eq!(world.seen(&spec).await, seen);
    let unknown = NetworkPolicy { provider: "FENCE".into(), enabled: true };
    assert_eq!(refusal(set(&unknown).await).responsible, Responsible::Requester);
}
