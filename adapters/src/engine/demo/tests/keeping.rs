//! What the cloud stores, also across restarts.

use super::*;

#[tokio::test]
async fn clusters_survive_a_restart_and_progress_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("var/kqueen.demo.json");
    let clock = Arc::new(SetClock::at(start()));
    let before = World::stored_in(Some(file.clone()), clock.clone()).await;
    let spec = before.running("fail-delete-web").await;
    let kubeconfig = before.engine.kubeconfig(&before.credentials, &spec).await.unwrap();
    rejection(before.engine.destroy(&before.credentials, &spec).await);
    before.engine.resize(&before.credentials, &spec, 5).await.unwrap();

    let credentials = before.credentials.clone();
    drop(before);
    clock.advance(TimeDelta::seconds(8));
    let after = World { credentials, ..World::stored_in(Some(file.clone()), clock.clone()).await };
    let observed = after.observed(&spec).await;
    assert_eq!((observed.state, observed.node_count), (ProvisioningState::Running, Some(5)));
    assert_eq!(after.engine.kubeconfig(&after.credentials, &spec).await, Ok(kubeconfig));
    rejection(after.engine.destroy(&after.credentials, &spec).await);
    assert_eq!(after.engine.destroy(&after.credentials, &spec).await, Ok(()), "both rejections count");
    let names: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["kqueen.demo.json"], "no drafts remain");
}

#[tokio::test]
async fn a_damaged_file_is_an_empty_cloud() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kqueen.demo.json");
    let clock = Arc::new(SetClock::at(start()));
    let world = World::stored_in(Some(file.clone()), clock.clone()).await;
    let spec = world.running("web").await;
    let whole = std::fs::read_to_string(&file).unwrap();
    let loaded = async || World::stored_in(Some(file.clone()), clock.clone()).await.engine.cloud.clusters().len();
    assert_eq!(loaded().await, 1);
    for damaged in [
        &whole[..whole.len() / 2],
        &whole.replace("\"format\":2", "\"format\":3"),
        &whole.replace("\"node_count\":3", "\"node_count\":4000000000"),
        "",
    ] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(loaded().await, 0, "{damaged}");
    }
    let world = World { credentials: world.credentials, ..World::stored_in(Some(file.clone()), clock.clone()).await };
    world.deploy(&spec).await.unwrap();
    assert_eq!(loaded().await, 1, "it is written again");
}

#[tokio::test]
async fn a_change_that_cannot_be_saved_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let clock = Arc::new(SetClock::at(start()));
    let world = World::stored_in(Some(blocked.join("kqueen.demo.json")), clock).await;
    let spec = spec("web");
    let reason = rejection(world.deploy(&spec).await);
    assert!(reason.responsible == Responsible::Operator && reason.cause.contains("kqueen.demo.json"), "{reason}");
    assert_eq!(world.observe(&spec).await, Observation::Absent);
}
