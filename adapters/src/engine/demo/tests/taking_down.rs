//! Clusters are destroyed.

use super::*;

#[tokio::test]
async fn destroying_deletes_resources_in_reverse_order() {
    let world = World::new().await;
    let spec = world.running("web").await;
    world.engine.destroy(&world.credentials, &spec).await.unwrap();
    let mut left = Vec::new();
    for _ in 0..12 {
        let observed = world.observed(&spec).await;
        assert_eq!(observed.state, ProvisioningState::Removing);
        assert!(observed.message.ends_with("(simulated)"), "{}", observed.message);
        left.push(kinds(&observed.resources).len());
        world.engine.destroy(&world.credentials, &spec).await.unwrap();
        assert!(matches!(world.deploy(&spec).await, Err(EngineError::Busy(_))));
        world.advance(0.5);
    }
    left.dedup();
    assert_eq!(left, [3, 2, 1]);
    assert_eq!(world.observe(&spec).await, Observation::Absent);
    assert_eq!(world.engine.destroy(&world.credentials, &spec).await, Ok(()), "what is gone already is success");
    assert_eq!(world.engine.resize(&world.credentials, &spec, 2).await, Err(EngineError::Missing));
    assert!(world.inventory(spec.tag.installation).await.is_empty());
}

#[tokio::test]
async fn a_cluster_can_be_destroyed_while_it_is_deployed() {
    let world = World::new().await;
    let spec = spec("web");
    world.deploy(&spec).await.unwrap();
    world.advance(6.0);
    world.engine.destroy(&world.credentials, &spec).await.unwrap();
    assert_eq!(kinds(&world.observed(&spec).await.resources), ["network", "control plane"], "nothing more was created");
    world.advance(6.0);
    assert_eq!(world.observe(&spec).await, Observation::Absent);
    world.deploy(&spec).await.unwrap();
    assert_eq!(world.observed(&spec).await.progress, Some(0), "it can be deployed again");
}

#[tokio::test]
async fn a_name_makes_deletion_fail_twice() {
    let world = World::new().await;
    let spec = world.running("fail-delete-web").await;
    for _ in 0..2 {
        let reason = rejection(world.engine.destroy(&world.credentials, &spec).await);
        assert!(reason.cause.contains("simulated") && !reason.next_step.is_empty(), "{reason}");
        assert_eq!(world.observed(&spec).await.state, ProvisioningState::Running);
    }
    world.engine.destroy(&world.credentials, &spec).await.unwrap();
    assert_eq!(world.observed(&spec).await.state, ProvisioningState::Removing);
}
