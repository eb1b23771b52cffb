//! What the cloud keeps, over restarts too.

use super::*;

#[tokio::test]
async fn clusters_survive_a_restart_and_go_on_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("var/kqueen.demo.json");
    let clock = Arc::new(SetClock::at(start()));
    let before = World::kept_in(Some(file.clone()), clock.clone()).await;
    let spec = before.running("fail-delete-web").await;
    let kubeconfig = before.engine.kubeconfig(&before.credentials, &spec).await.unwrap();
    refusal(before.engine.destroy(&before.credentials, &spec).await);
    before.engine.resize(&before.credentials, &spec, 5).await.unwrap();

    let credentials = before.credentials.clone();
    drop(before);
    clock.advance(TimeDelta::seconds(8));
    let after = World { credentials, ..World::kept_in(Some(file.clone()), clock.clone()).await };
    let seen = after.seen(&spec).await;
    assert_eq!((seen.state, seen.node_count), (ProvisioningState::Running, Some(5)));
    assert_eq!(after.engine.kubeconfig(&after.credentials, &spec).await, Ok(kubeconfig));
    refusal(after.engine.destroy(&after.credentials, &spec).await);
    assert_eq!(after.engine.destroy(&after.credentials, &spec).await, Ok(()), "both refusals count");
    let names: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["kqueen.demo.json"], "no drafts stay");
}

#[tokio::test]
async fn a_damaged_file_is_an_empty_cloud() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kqueen.demo.json");
    let clock = Arc::new(SetClock::at(start()));
    let world = World::kept_in(Some(file.clone()), clock.clone()).await;
    let spec = world.running("web").await;
    let whole = std::fs::read_to_string(&file).unwrap();
    let kept = async || World::kept_in(Some(file.clone()), clock.clone()).await.engine.cloud.clusters().len();
    assert_eq!(kept().await, 1);
    for damaged in [
        &whole[..whole.len() / 2],
        &whole.replace("\"format\":2", "\"format\":3"),
        &whole.replace("\"node_count\":3", "\"node_count\":4000000000"),
        "",
    ] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(kept().await, 0, "{damaged}");
    }
    let world = World { credentials: world.credentials, ..World::kept_in(Some(file.clone()), clock.clone()).await };
    world.deploy(&spec).await.unwrap();
    assert_eq!(kept().await, 1, "it is written anew");
}

#[tokio::test]
async fn what_cannot_be_kept_has_not_happened() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let clock = Arc::new(SetClock::at(start()));
    let world = World::kept_in(Some(blocked.join("kqueen.demo.json")), clock).await;
    let spec = spec("web");
    let reason = refusal(world.deploy(&spec).await);
    assert!(reason.responsible == Responsible::Operator && reason.cause.contains("kqueen.demo.json"), "{reason}");
    assert_eq!(world.observe(&spec).await, Observation::Absent);
}
