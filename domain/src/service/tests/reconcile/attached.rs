//! Probes of attached clusters: what is stored, and when.

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

fn no_answer(reason: &str) -> ProbeResult {
    ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason: reason.into() }
}

/// The reconciler with an attached cluster.
fn attached(probe: ProbeResult) -> Fixture {
    let fixture = Fixture::resting(Lifecycle::Ready);
    fixture.probe.set(probe);
    Fixture { id: fixture.world.cluster, ..fixture }
}

/// Adds the result of a probe at noon to the catalog.
fn put_observed(fixture: &Fixture, probe: ProbeResult, version: Option<&str>) {
    fixture.world.put_observed(ObservedStatus {
        cluster: fixture.id,
        phase: probe.phase(),
        probe: Some(probe),
        provider: None,
        version: version.map(Into::into),
        phase_changed_at: noon(),
        at: noon(),
    });
}

/// The stored observed status; nothing else may be stored.
fn stored(fixture: &Fixture) -> ObservedStatus {
    let [commit] = &fixture.commits()[..] else { panic!() };
    assert!(
        matches!(commit.record, RecordChange::Keep(Some(expected)) if expected == fixture.revision()),
        "{commit:?}"
    );
    let work = &commit.work;
    assert!(work.operations.is_empty() && work.ledger.is_none() && work.timeline.is_empty(), "{work:?}");
    work.observed.clone().unwrap()
}

#[tokio::test]
async fn the_first_probe_is_stored_whatever_its_result() {
    let rows = [
        (answered("v1.37.2"), Phase::Ready, Some("v1.37.2")),
        (refused("not Kubernetes"), Phase::Failed, None),
        (no_answer("connection refused"), Phase::Unknown, None),
    ];
    for (probe, phase, version) in rows {
        let fixture = attached(probe.clone());
        let outcome = fixture.reconcile().await;
        assert_eq!((outcome.requeue, outcome.unchanged_at), (Requeue::Quiet, None));
        assert_eq!((outcome.no_answer, outcome.written.is_some()), (phase == Phase::Unknown, true));
        let expected = ObservedStatus {
            cluster: fixture.id,
            probe: Some(probe),
            provider: None,
            version: version.map(Into::into),
            phase,
            phase_changed_at: fixture.world.now(),
            at: fixture.world.now(),
        };
        assert_eq!(stored(&fixture), expected);
    }
}

#[tokio::test]
async fn an_unchanged_probe_only_updates_the_observation_time() {
    for probe in [answered("v1.37.2"), refused("not Kubernetes"), no_answer("connection refused")] {
        let fixture = attached(probe.clone());
        put_observed(&fixture, probe, Some("v1.37.2"));
        let outcome = fixture.reconcile().await;
        let unchanged = (outcome.requeue, outcome.unchanged_at, outcome.written);
        assert_eq!(unchanged, (Requeue::Quiet, Some(fixture.world.now()), None));
        assert_eq!(fixture.call_names(), ["probe"], "no provider is called, and nothing is written");
    }
}

#[tokio::test]
async fn the_phase_time_changes_only_with_the_phase_and_the_version_is_kept() {
    // Before, after; whether the phase changes; the version known afterwards.
    let rows = [
        (answered("v1.36.0"), answered("v1.37.2"), false, Some("v1.37.2")),
        (no_answer("time-out"), no_answer("connection refused"), false, Some("v1.36.0")),
        (refused("401"), refused("403"), false, Some("v1.36.0")),
        (answered("v1.36.0"), no_answer("time-out"), true, Some("v1.36.0")),
        (answered("v1.36.0"), refused("401"), true, Some("v1.36.0")),
        (no_answer("time-out"), refused("401"), true, Some("v1.36.0")),
        (no_answer("time-out"), answered("v1.37.2"), true, Some("v1.37.2")),
    ];
    for (before, after, phase_changes, version) in rows {
        let fixture = attached(after.clone());
        put_observed(&fixture, before.clone(), Some("v1.36.0"));
        fixture.reconcile().await;
        let observed = stored(&fixture);
        let what = format!("{before:?} then {after:?}");
        assert_eq!(observed.phase_changed_at, if phase_changes { fixture.world.now() } else { noon() }, "{what}");
        assert_eq!((observed.version.as_deref(), observed.phase), (version, after.phase()), "{what}");
        assert_eq!((observed.at, observed.probe), (fixture.world.now(), Some(after)), "{what}");
    }
}

#[tokio::test]
async fn without_a_kubeconfig_there_is_no_probe() {
    let fixture = attached(no_answer("time-out"));
    let bare = Cluster {
        has_kubeconfig: false,
        ..world::cluster("bare", fixture.world.provisioner, &fixture.world.people.ann)
    };
    fixture.world.put_cluster(bare.clone());
    assert_eq!(fixture.reconciler.reconcile(bare.id).await.unwrap().requeue, Requeue::Never);
    // The same when it was removed a moment ago.
    fixture.fake.kubeconfig.set(None);
    assert_eq!(fixture.reconcile().await.requeue, Requeue::Never);
    assert!(fixture.call_names().is_empty());
}

#[tokio::test]
async fn an_observation_that_cannot_be_stored_is_dropped() {
    let rows = [
        (StoreError::Missing, Some(Requeue::Never)),
        (StoreError::Conflict, Some(Requeue::Now)),
        (StoreError::NotLeader, None),
        (StoreError::Unavailable("down".into()), None),
    ];
    for (error, expected) in rows {
        let what = format!("{error:?}");
        let fixture = attached(no_answer("time-out"));
        fixture.fake.refusals.push(error);
        let outcome = fixture.reconciler.reconcile(fixture.id).await;
        assert_eq!(outcome.as_ref().ok().map(|outcome| outcome.requeue), expected, "{what}");
        if let Ok(outcome) = outcome {
            assert_eq!((outcome.unchanged_at, outcome.written), (None, None), "{what}");
        }
    }
}

#[tokio::test]
async fn a_kubeconfig_replaced_during_a_probe_is_probed_again() {
    let fixture = Arc::new(attached(answered("v1.37.2")));
    let others = fixture.clone();
    fixture.fake.events.during("probe", move || {
        others.change_cluster(|_| ());
        others.probe.set(refused("401"));
    });
    assert_eq!(fixture.reconcile().await.requeue, Requeue::Now);
    assert_eq!(fixture.call_names(), ["probe", "catch up"]);
    fixture.reconcile().await;
    assert_eq!(stored(&fixture).probe, Some(refused("401")));
}

#[tokio::test]
async fn observation_times_are_stored_together_with_the_term_if_there_are_any() {
    let mut fixture = attached(answered("v1.37.2"));
    let mut store = MockClusterStore::new();
    let times =
        vec![(fixture.world.cluster, fixture.world.now()), (fixture.world.foreign_cluster, fixture.world.now())];
    let (expected, term) = (times.clone(), fixture.term.get());
    store
        .expect_record_observation_times()
        .withf(move |stored_times, given| *stored_times == expected && *given == term)
        .times(1)
        .returning(|_, _| Ok(()));
    fixture.reconciler.store = Arc::new(store);
    fixture.reconciler.record_observation_times(Vec::new()).await.unwrap();
    fixture.reconciler.record_observation_times(times).await.unwrap();
}
