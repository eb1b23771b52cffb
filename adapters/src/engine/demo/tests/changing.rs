//! Changes of size and network policy.

use super::*;

#[tokio::test]
async fn nodes_are_added_and_removed_one_by_one() {
    let world = World::new().await;
    let spec = world.running("web").await;
    for (to, halfway) in [(5, 4), (1, 3)] {
        world.engine.resize(&world.credentials, &spec, to).await.unwrap();
        world.advance(4.0);
        world.engine.resize(&world.credentials, &spec, to).await.unwrap();
        let observed = world.observed(&spec).await;
        assert_eq!(
            (observed.state, observed.node_count, observed.progress),
            (ProvisioningState::Working, Some(halfway), Some(50))
        );
        let other = world.engine.resize(&world.credentials, &spec, 9).await;
        assert!(matches!(other, Err(EngineError::Busy(_))), "one thing at a time");
        world.advance(4.0);
        let observed = world.observed(&spec).await;
        assert_eq!((observed.state, observed.node_count), (ProvisioningState::Running, Some(to)));
        world.engine.resize(&world.credentials, &spec, to).await.unwrap();
        assert_eq!(world.observed(&spec).await.state, ProvisioningState::Running, "there is nothing to do");
    }
    for bad in [0, 21] {
        assert_eq!(
            rejection(world.engine.resize(&world.credentials, &spec, bad).await).responsible,
            Responsible::Requester
        );
    }
}

#[tokio::test]
async fn a_name_makes_resizing_fail_halfway() {
    let world = World::new().await;
    let mut spec = world.running("fail-resize-web").await;
    world.engine.resize(&world.credentials, &spec, 7).await.unwrap();
    world.advance(8.0);
    let observed = world.observed(&spec).await;
    assert!(matches!(observed.state, ProvisioningState::Broken(_)), "{observed:?}");
    assert_eq!(observed.node_count, Some(5));
    spec.name = "web".into();
    world.engine.resize(&world.credentials, &spec, 7).await.unwrap();
    world.advance(8.0);
    let observed = world.observed(&spec).await;
    assert_eq!((observed.state, observed.node_count), (ProvisioningState::Running, Some(7)));
}

#[tokio::test]
async fn a_failed_resize_is_repaired_by_requesting_the_current_size() {
    let world = World::new().await;
    let spec = world.running("fail-resize-web").await;
    world.engine.resize(&world.credentials, &spec, 1).await.unwrap();
    world.advance(8.0);
    assert_eq!(world.observed(&spec).await.node_count, Some(2));
    world.engine.resize(&world.credentials, &spec, 2).await.unwrap();
    world.advance(8.0);
    let observed = world.observed(&spec).await;
    assert_eq!((observed.state, observed.node_count), (ProvisioningState::Running, Some(2)));
}

#[tokio::test]
async fn network_policy_can_be_switched() {
    let world = World::new().await;
    let spec = world.running("web").await;
    assert!(!world.observed(&spec).await.network_policy.unwrap().enabled);
    let policy = NetworkPolicy { provider: "CALICO".into(), enabled: true };
    let set = async |policy: &NetworkPolicy| world.engine.set_network_policy(&world.credentials, &spec, policy).await;
    set(&policy).await.unwrap();
    world.advance(4.9);
    set(&policy).await.unwrap();
    let observed = world.observed(&spec).await;
    assert_eq!(
        (&observed.state, observed.message.as_str()),
        (&ProvisioningState::Working, "turning network policy on (simulated)")
    );
    assert!(!observed.network_policy.unwrap().enabled, "not yet");
    world.advance(0.1);
    let observed = world.observed(&spec).await;
    assert_eq!((&observed.state, observed.network_policy.as_ref()), (&ProvisioningState::Running, Some(&policy)));
    set(&policy).await.unwrap();
    assert_eq!(world.observed(&spec).await, observed);
    let unknown = NetworkPolicy { provider: "FENCE".into(), enabled: true };
    assert_eq!(rejection(set(&unknown).await).responsible, Responsible::Requester);
}
