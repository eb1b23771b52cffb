//! What was made is taken down.

use super::*;

#[tokio::test]
async fn destroying_takes_away_what_was_made_last_first() {
    let world = World::new().await;
    let spec = world.running("web").await;
    world.engine.destroy(&world.credentials, &spec).await.unwrap();
    let mut left = Vec::new();
    for _ in 0..12 {
        let seen = world.seen(&spec).await;
        assert_eq!(seen.state, ProvisioningState::Removing);
        assert!(seen.message.ends_with("(simulated)"), "{}", seen.message);
        left.push(kinds(&seen.resources).len());
        world.engine.destroy(&world.credentials, &spec).await.unwrap();
        assert!(matches!(world.deploy(&spec).await, Err(EngineError::Busy(_))));
        world.pass(0.5);
    }
    left.dedup();
    assert_eq!(left, [3, 2, 1]);
    assert_eq!(world.observe(&spec).await, Observation::Absent);
    assert_eq!(world.engine.destroy(&world.credentials, &spec).await, Ok(()), "gone already is success");
    assert_eq!(world.engine.resize(&world.credentials, &spec, 2).await, Err(EngineError::Missing));
    assert!(world.inventory(spec.tag.installation).await.is_empty());
}

#[tokio::test]
async fn what_is_being_made_can_be_destroyed() {
    let world = World::new().await;
    let spec = spec("web");
    world.deploy(&spec).await.unwrap();
    world.pass(6.0);
    world.engine.destroy(&world.credentials, &spec).await.unwrap();
    assert_eq!(kinds(&world.seen(&spec).await.resources), ["network", "control plane"], "no more than there was");
    world.pass(6.0);
    assert_eq!(world.observe(&spec).await, Observation::Absent);
    world.deploy(&spec).await.unwrap();
    assert_eq!(world.seen(&spec).await.progress, Some(0), "it can be made anew");
}

#[tokio::test]
async fn a_name_makes_deleting_be_refused_twice() {
    let world = World::new().await;
    let spec = world.running("fail-delete-web").await;
    for _ in 0..2 {
        let reason = refusal(world.engine.destroy(&world.credentials, &spec).await);
        assert!(reason.cause.contains("simulated") && !reason.next_step.is_empty(), "{reason}");
        assert_eq!(world.seen(&spec).await.state, ProvisioningState::Running);
    }
    world.engine.destroy(&world.credentials, &spec).await.unwrap();
    assert_eq!(world.seen(&spec).await.state, ProvisioningState::Removing);
}
