//! Looks at clusters that were attached: what is stored when.

use super::*;
use crate::{
    cluster::Phase,
    port::store::{MockClusterStore, RecordChange},
    reason::ReasonCode,
    service::{
        reconcile::Requeue,
        tests::{doubles::noon, world},
    },
};

fn answered(version: &str) -> ProbeResult {
    ProbeResult::Reached { version: version.into() }
}

fn refused(reason: &str) -> ProbeResult {
    ProbeResult::Refused { code: ReasonCode::KubeconfigRejected, reason: reason.into() }
}

fn silent(reason: &str) -> ProbeResult {
    ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason: reason.into() }
}

/// The reconciler with a cluster that was attached.
fn attached(probe: ProbeResult) -> Stage {
    let stage = Stage::resting(Lifecycle::Ready);
    stage.probe.set(probe);
    Stage { id: stage.world.cluster, ..stage }
}

/// What the catalog holds when `look` was found at noon.
fn known(stage: &Stage, probe: ProbeResult, version: Option<&str>) {
    stage.world.put_observed(ObservedStatus {
        cluster: stage.id,
        phase: probe.phase(),
        probe: Some(probe),
        provider: None,
        version: version.map(Into::into),
        phase_changed_at: noon(),
        at: noon(),
    });
}

/// The observed status that a turn has stored, and nothing else.
fn stored(stage: &Stage) -> ObservedStatus {
    let [commit] = &stage.commits()[..] else { panic!() };
    assert!(matches!(commit.record, RecordChange::Keep(Some(seen)) if seen == stage.revision()), "{commit:?}");
    let work = &commit.work;
    assert!(work.operations.is_empty() && work.ledger.is_none() && work.timeline.is_empty(), "{work:?}");
    work.observed.clone().unwrap()
}

#[tokio::test]
async fn a_first_look_is_news_whatever_it_finds() {
    let rows = [
        (answered("v1.37.2"), Phase::Ready, Some("v1.37.2")),
        (refused("not Kubernetes"), Phase::Failed, None),
        (silent("connection refused"), Phase::Unknown, None),
    ];
    for (probe, phase, version) in rows {
        let stage = attached(probe.clone());
        let turned = stage.turn().await;
        assert_eq!((turned.requeue, turned.unchanged_at), (Requeue::Quiet, None));
        assert_eq!((turned.silent, turned.written.is_some()), (phase == Phase::Unknown, true));
        let expected = ObservedStatus {
            cluster: stage.id,
            probe: Some(probe),
            provider: None,
            version: version.map(Into::into),
            phase,
            phase_changed_at: stage.world.now(),
            at: stage.world.now(),
        };
        assert_eq!(stored(&stage), expected);
    }
}

#[tokio::test]
async fn the_same_look_again_only_moves_the_age() {
    for probe in [answered("v1.37.2"), refused("not Kubernetes"), silent("connection refused")] {
        let stage = attached(probe.clone());
        known(&stage, probe, Some("v1.37.2"));
        let turned = stage.turn().await;
        let unchanged = (turned.requeue, turned.unchanged_at, turned.written);
        assert_eq!(unchanged, (Requeue::Quiet, Some(stage.world.now()), None));
        assert_eq!(stage.words(), ["probe"], "no provider is asked, and nothing written");
    }
}

#[tokio::test]
async fn a_phase_has_changed_when_it_changed_and_a_version_is_kept_while_nobody_answers() {
    // Before, after; whether the phase is another; the version known afterwards.
    let rows = [
        (answered("v1.36.0"), answered("v1.37.2"), false, Some("v1.37.2")),
        (silent("time-out"), silent("connection refused"), false, Some("v1.36.0")),
        (refused("401"), refused("403"), false, Some("v1.36.0")),
        (answered("v1.36.0"), silent("time-out"), true, Some("v1.36.0")),
        (answered("v1.36.0"), refused("401"), true, Some("v1.36.0")),
        (silent("time-out"), refused("401"), true, Some("v1.36.0")),
        (silent("time-out"), answered("v1.37.2"), true, Some("v1.37.2")),
    ];
    for (before, after, other_phase, version) in rows {
        let stage = attached(after.clone());
        known(&stage, before.clone(), Some("v1.36.0"));
        stage.turn().await;
        let observed = stored(&stage);
        let what = format!("{before:?} then {after:?}");
        assert_eq!(observed.phase_changed_at, if other_phase { stage.world.now() } else { noon() }, "{what}");
        assert_eq!((observed.version.as_deref(), observed.phase), (version, after.phase()), "{what}");
        assert_eq!((observed.at, observed.probe), (stage.world.now(), Some(after)), "{what}");
    }
}

#[tokio::test]
async fn there_is_nothing_to_look_at_without_a_kubeconfig() {
    let stage = attached(silent("time-out"));
    let bare =
        Cluster { has_kubeconfig: false, ..world::cluster("bare", stage.world.provisioner, &stage.world.people.ann) };
    stage.world.put_cluster(bare.clone());
    assert_eq!(stage.reconciler.reconcile(bare.id).await.unwrap().requeue, Requeue::Never);
    // Nor when it went a moment ago.
    stage.kept.kubeconfig.set(None);
    assert_eq!(stage.turn().await.requeue, Requeue::Never);
    assert!(stage.words().is_empty());
}

#[tokio::test]
async fn what_cannot_be_stored_is_as_if_it_had_not_been_seen() {
    let rows = [
        (StoreError::Missing, Some(Requeue::Never)),
        (StoreError::Conflict, Some(Requeue::Now)),
        (StoreError::NotLeader, None),
        (StoreError::Unavailable("down".into()), None),
    ];
    for (error, expected) in rows {
        let what = format!("{error:?}");
        let stage = attached(silent("time-out"));
        stage.kept.refusals.push(error);
        let turned = stage.reconciler.reconcile(stage.id).await;
        assert_eq!(turned.as_ref().ok().map(|turned| turned.requeue), expected, "{what}");
        if let Ok(turned) = turned {
            assert_eq!((turned.unchanged_at, turned.written), (None, None), "{what}");
        }
    }
}

#[tokio::test]
async fn a_kubeconfig_replaced_during_a_look_is_looked_at_with() {
    let stage = Arc::new(attached(answered("v1.37.2")));
    let others = stage.clone();
    stage.kept.story.meanwhile("probe", move || {
        others.cluster_is(|_| ());
        others.probe.set(refused("401"));
    });
    assert_eq!(stage.turn().await.requeue, Requeue::Now);
    assert_eq!(stage.words(), ["probe", "catch up"]);
    stage.turn().await;
    assert_eq!(stored(&stage).probe, Some(refused("401")));
}

#[tokio::test]
async fn observation_times_are_noted_together_in_a_term_and_not_at_all_when_there_are_none() {
    let mut stage = attached(answered("v1.37.2"));
    let mut store = MockClusterStore::new();
    let times = vec![(stage.world.cluster, stage.world.now()), (stage.world.foreign_cluster, stage.world.now())];
    let (expected, term) = (times.clone(), stage.term.get());
    store
        .expect_record_observation_times()
        .withf(move |noted, given| *noted == expected && *given == term)
        .times(1)
        .returning(|_, _| Ok(()));
    stage.reconciler.store = Arc::new(store);
    stage.reconciler.record_observation_times(Vec::new()).await.unwrap();
    stage.reconciler.record_observation_times(times).await.unwrap();
}
