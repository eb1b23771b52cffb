//! A changed observation is stored apart from the cluster's record; otherwise only its time is updated.

use super::*;
use crate::{
    cluster::Phase,
    observation::{EngineError, Observation, ObservedCluster, ProviderStatus, ProvisioningState},
    port::store::RecordChange,
    reason::ReasonCode,
    service::{
        reconcile::Requeue,
        tests::provider::{observed_cluster, policy},
    },
};

fn running_status() -> ProviderStatus {
    ProviderStatus { node_count: Some(3), network_policy: Some(policy(false)), ..ProviderStatus::default() }
}

#[tokio::test]
async fn the_first_observation_is_stored_and_an_unchanged_one_is_not() {
    let fixture = Fixture::resting(Lifecycle::Ready);
    fixture.provider.shows(ProvisioningState::Running);
    let read_at = fixture.revision();
    let outcome = fixture.reconcile().await;
    assert_eq!((outcome.requeue, outcome.no_answer, outcome.unchanged_at), (Requeue::Quiet, false, None));
    let events = fixture.take_events();
    assert_eq!(call_names(&events), ["observe", "probe", "commit"]);
    let [commit] = &commits(events)[..] else { panic!() };
    assert_eq!(outcome.written, Some(commit.revision));
    // If a user changes the cluster meanwhile, it is observed again and not overwritten.
    assert!(matches!(commit.record, RecordChange::Keep(Some(expected)) if expected == read_at), "{commit:?}");
    let observed = ObservedStatus {
        cluster: fixture.id,
        probe: Some(ProbeResult::Reached { version: "v1.37.2".into() }),
        provider: Some(running_status()),
        version: Some("v1.37.2".into()),
        phase: Phase::Ready,
        phase_changed_at: fixture.world.now(),
        at: fixture.world.now(),
    };
    assert_eq!(commit.work.observed.as_ref(), Some(&observed));
    let work = &commit.work;
    assert!(work.operations.is_empty() && work.ledger.is_none() && work.timeline.is_empty(), "{work:?}");
    assert_eq!(fixture.revision(), read_at, "the record is unchanged");

    fixture.advance(60);
    let outcome = fixture.reconcile().await;
    let unchanged = (outcome.requeue, outcome.unchanged_at, outcome.written);
    assert_eq!(unchanged, (Requeue::Quiet, Some(fixture.world.now()), None));
    assert_eq!(fixture.call_names(), ["observe", "probe"]);
}

#[tokio::test]
async fn every_change_is_stored() {
    type Change = fn(&Fixture);
    let changes: [(&str, Change); 6] = [
        ("another version", |fixture| fixture.probe.set(ProbeResult::Reached { version: "v1.38.0".into() })),
        ("no answer", |fixture| {
            fixture.probe.set(ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason: "time-out".into() })
        }),
        ("a refusal", |fixture| {
            fixture.probe.set(ProbeResult::Refused { code: ReasonCode::KubeconfigRejected, reason: "401".into() })
        }),
        ("another size", |fixture| {
            let cluster = ObservedCluster { node_count: Some(4), ..observed_cluster(ProvisioningState::Running) };
            fixture.provider.observation.set(Ok(Observation::Present(cluster)));
        }),
        ("another message", |fixture| {
            let cluster =
                ObservedCluster { message: "repairing a node".into(), ..observed_cluster(ProvisioningState::Running) };
            fixture.provider.observation.set(Ok(Observation::Present(cluster)));
        }),
        ("an unreachable provider", |fixture| fixture.provider.does_not_answer()),
    ];
    for (what, change) in changes {
        let fixture = Fixture::resting(Lifecycle::Ready);
        fixture.provider.shows(ProvisioningState::Running);
        fixture.reconcile().await;
        fixture.call_names();
        change(&fixture);
        fixture.advance(60);
        fixture.reconcile().await;
        assert_eq!(fixture.call_names(), ["observe", "probe", "commit"], "{what}");
        assert_eq!(fixture.observed().unwrap().at, fixture.world.now(), "{what}");
        fixture.reconcile().await;
        assert_eq!(fixture.call_names(), ["observe", "probe"], "{what}");
    }
}

#[tokio::test]
async fn the_provider_status_is_kept_while_the_provider_is_unreachable() {
    let fixture = Fixture::resting(Lifecycle::Ready);
    fixture.provider.shows(ProvisioningState::Running);
    fixture.reconcile().await;
    fixture.provider.does_not_answer();
    let outcome = fixture.reconcile().await;
    assert!(outcome.no_answer);
    let last_error = EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused").reason();
    let status = fixture.observed().unwrap().provider.clone();
    assert_eq!(status, Some(ProviderStatus { last_error: Some(last_error), ..running_status() }));
    // A cluster that is gone has no status.
    fixture.provider.shows_nothing();
    fixture.reconcile().await;
    assert_eq!(fixture.observed().unwrap().provider, Some(ProviderStatus::default()));
}

#[tokio::test]
async fn an_outcome_notes_a_cluster_or_provider_that_does_not_answer() {
    for (probe, provider_is_unreachable, no_answer) in [
        (ProbeResult::Reached { version: "v1.37.2".into() }, false, false),
        (ProbeResult::Refused { code: ReasonCode::KubeconfigRejected, reason: "401".into() }, false, false),
        (ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason: "time-out".into() }, false, true),
        (ProbeResult::Reached { version: "v1.37.2".into() }, true, true),
    ] {
        let fixture = Fixture::resting(Lifecycle::Ready);
        fixture.provider.shows(ProvisioningState::Running);
        if provider_is_unreachable {
            fixture.provider.does_not_answer();
        }
        fixture.probe.set(probe.clone());
        assert_eq!(fixture.reconcile().await.no_answer, no_answer, "{probe:?} {provider_is_unreachable}");
    }
}

#[tokio::test]
async fn during_an_operation_the_cluster_is_not_probed_and_keeps_its_last_probe() {
    for kind in [OperationKind::Resize { node_count: 5 }, OperationKind::Destroy] {
        let fixture = Fixture::requested(kind);
        let before = ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason: "time-out".into() };
        let now = fixture.world.now();
        let observed =
            ObservedStatus::after(None, fixture.id, Some(before.clone()), Some(ProviderStatus::default()), now);
        fixture.world.put_observed(observed.unwrap());
        fixture.provider.shows(ProvisioningState::Working);
        fixture.reconcile().await;
        assert!(!fixture.call_names().contains(&"probe"));
        assert_eq!(fixture.observed().unwrap().probe, Some(before));
    }
    // Neither is one without a kubeconfig.
    let fixture = Fixture::requested(OperationKind::Deploy);
    fixture.provider.shows(ProvisioningState::Working);
    fixture.reconcile().await;
    assert!(!fixture.call_names().contains(&"probe"));
    assert_eq!(fixture.observed().unwrap().probe, None);
}

#[tokio::test]
async fn progress_is_stored_while_an_operation_waits() {
    let fixture = Fixture::requested(OperationKind::Deploy);
    for percent in [10, 10, 60] {
        let cluster = ObservedCluster { progress: Some(percent), ..observed_cluster(ProvisioningState::Working) };
        fixture.provider.observation.set(Ok(Observation::Present(cluster)));
        fixture.reconcile().await;
        assert_eq!(fixture.observed().unwrap().provider.as_ref().unwrap().progress, Some(percent));
    }
    assert_eq!(fixture.commits().len(), 2, "the same twice is written once");
}

#[tokio::test]
async fn the_observation_time_is_updated_while_a_call_is_retried() {
    let fixture = Fixture::requested(OperationKind::Deploy);
    fixture.provider.answer.set(Err(EngineError::Busy("it is rolling out".into())));
    let outcome = fixture.reconcile().await;
    assert_eq!(outcome.unchanged_at, None, "the first observation is written with its time");
    fixture.advance(60);
    let outcome = fixture.reconcile().await;
    assert!(outcome.written.is_some());
    assert_eq!(outcome.unchanged_at, Some(fixture.world.now()), "it was observed, and is unchanged");
}

#[tokio::test]
async fn a_cluster_changed_during_an_observation_is_observed_again() {
    let fixture = Arc::new(Fixture::resting(Lifecycle::Ready));
    fixture.provider.shows(ProvisioningState::Running);
    let others = fixture.clone();
    fixture
        .fake
        .events
        .during("probe", move || others.change_cluster(|cluster| cluster.name = "other".try_into().unwrap()));
    assert_eq!(fixture.reconcile().await.requeue, Requeue::Now);
    assert_eq!(fixture.call_names(), ["observe", "probe", "catch up"]);
    assert!(fixture.observed().is_none());
}

#[tokio::test]
async fn without_a_stored_kubeconfig_there_is_no_probe() {
    let fixture = Fixture::resting(Lifecycle::Ready);
    fixture.fake.kubeconfig.set(None);
    fixture.provider.shows(ProvisioningState::Running);
    fixture.reconcile().await;
    assert_eq!(fixture.observed().unwrap().probe, None);
}
