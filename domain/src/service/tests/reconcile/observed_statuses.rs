//! What was seen is stored when it is new, apart from the cluster's record; otherwise only its age moves.

use super::*;
use crate::{
    cluster::Phase,
    observation::{EngineError, Observation, ObservedCluster, ProviderStatus, ProvisioningState},
    port::store::RecordChange,
    reason::ReasonCode,
    service::{
        reconcile::Requeue,
        tests::provider::{policy, seen},
    },
};

fn told_running() -> ProviderStatus {
    ProviderStatus { node_count: Some(3), network_policy: Some(policy(false)), ..ProviderStatus::default() }
}

#[tokio::test]
async fn a_first_look_is_stored_and_the_same_again_is_not() {
    let stage = Stage::resting(Lifecycle::Ready);
    stage.provider.shows(ProvisioningState::Running);
    let read_at = stage.revision();
    let turned = stage.turn().await;
    assert_eq!((turned.requeue, turned.silent, turned.unchanged_at), (Requeue::Quiet, false, None));
    let events = stage.happened();
    assert_eq!(words(&events), ["observe", "probe", "commit"]);
    let [commit] = &commits(events)[..] else { panic!() };
    assert_eq!(turned.written, Some(commit.revision));
    // A user's change meanwhile is a reason to look again, and not one to be written over.
    assert!(matches!(commit.record, RecordChange::Keep(Some(seen)) if seen == read_at), "{commit:?}");
    let observed = ObservedStatus {
        cluster: stage.id,
        probe: Some(ProbeResult::Reached { version: "v1.37.2".into() }),
        provider: Some(told_running()),
        version: Some("v1.37.2".into()),
        phase: Phase::Ready,
        phase_changed_at: stage.world.now(),
        at: stage.world.now(),
    };
    assert_eq!(commit.work.observed.as_ref(), Some(&observed));
    let work = &commit.work;
    assert!(work.operations.is_empty() && work.ledger.is_none() && work.timeline.is_empty(), "{work:?}");
    assert_eq!(stage.revision(), read_at, "the record has not moved");

    stage.advance(60);
    let turned = stage.turn().await;
    let unchanged = (turned.requeue, turned.unchanged_at, turned.written);
    assert_eq!(unchanged, (Requeue::Quiet, Some(stage.world.now()), None));
    assert_eq!(stage.words(), ["observe", "probe"]);
}

#[tokio::test]
async fn whatever_is_new_is_stored() {
    type Happens = fn(&Stage);
    let news: [(&str, Happens); 6] = [
        ("another version", |stage| stage.probe.set(ProbeResult::Reached { version: "v1.38.0".into() })),
        ("silence", |stage| {
            stage.probe.set(ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason: "time-out".into() })
        }),
        ("a refusal", |stage| {
            stage.probe.set(ProbeResult::Refused { code: ReasonCode::KubeconfigRejected, reason: "401".into() })
        }),
        ("another size", |stage| {
            let seen = ObservedCluster { node_count: Some(4), ..seen(ProvisioningState::Running) };
            stage.provider.observation.set(Ok(Observation::Present(seen)));
        }),
        ("other words", |stage| {
            let seen = ObservedCluster { message: "repairing a node".into(), ..seen(ProvisioningState::Running) };
            stage.provider.observation.set(Ok(Observation::Present(seen)));
        }),
        ("a provider that is silent", |stage| stage.provider.is_silent()),
    ];
    for (what, happens) in news {
        let stage = Stage::resting(Lifecycle::Ready);
        stage.provider.shows(ProvisioningState::Running);
        stage.turn().await;
        stage.words();
        happens(&stage);
        stage.advance(60);
        stage.turn().await;
        assert_eq!(stage.words(), ["observe", "probe", "commit"], "{what}");
        assert_eq!(stage.observed().unwrap().at, stage.world.now(), "{what}");
        stage.turn().await;
        assert_eq!(stage.words(), ["observe", "probe"], "{what}");
    }
}

#[tokio::test]
async fn what_a_provider_said_is_kept_while_it_cannot_be_asked() {
    let stage = Stage::resting(Lifecycle::Ready);
    stage.provider.shows(ProvisioningState::Running);
    stage.turn().await;
    stage.provider.is_silent();
    let turned = stage.turn().await;
    assert!(turned.silent);
    let trouble = EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused").reason();
    let told = stage.observed().unwrap().provider.clone();
    assert_eq!(told, Some(ProviderStatus { last_error: Some(trouble), ..told_running() }));
    // What is gone has nothing to say.
    stage.provider.lacks_it();
    stage.turn().await;
    assert_eq!(stage.observed().unwrap().provider, Some(ProviderStatus::default()));
}

#[tokio::test]
async fn a_cluster_or_a_provider_that_does_not_answer_is_silent() {
    for (probe, provider_is_silent, silent) in [
        (ProbeResult::Reached { version: "v1.37.2".into() }, false, false),
        (ProbeResult::Refused { code: ReasonCode::KubeconfigRejected, reason: "401".into() }, false, false),
        (ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason: "time-out".into() }, false, true),
        (ProbeResult::Reached { version: "v1.37.2".into() }, true, true),
    ] {
        let stage = Stage::resting(Lifecycle::Ready);
        stage.provider.shows(ProvisioningState::Running);
        if provider_is_silent {
            stage.provider.is_silent();
        }
        stage.probe.set(probe.clone());
        assert_eq!(stage.turn().await.silent, silent, "{probe:?} {provider_is_silent}");
    }
}

#[tokio::test]
async fn a_cluster_that_is_worked_on_is_not_looked_at_and_keeps_its_last_look() {
    for kind in [OperationKind::Resize { node_count: 5 }, OperationKind::Destroy] {
        let stage = Stage::asked(kind);
        let before = ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason: "time-out".into() };
        let now = stage.world.now();
        let observed =
            ObservedStatus::after(None, stage.id, Some(before.clone()), Some(ProviderStatus::default()), now);
        stage.world.put_observed(observed.unwrap());
        stage.provider.shows(ProvisioningState::Working);
        stage.turn().await;
        assert!(!stage.words().contains(&"probe"));
        assert_eq!(stage.observed().unwrap().probe, Some(before));
    }
    // Nor is one without a kubeconfig.
    let stage = Stage::asked(OperationKind::Deploy);
    stage.provider.shows(ProvisioningState::Working);
    stage.turn().await;
    assert!(!stage.words().contains(&"probe"));
    assert_eq!(stage.observed().unwrap().probe, None);
}

#[tokio::test]
async fn progress_is_stored_while_something_is_waited_for() {
    let stage = Stage::asked(OperationKind::Deploy);
    for percent in [10, 10, 60] {
        let seen = ObservedCluster { progress: Some(percent), ..seen(ProvisioningState::Working) };
        stage.provider.observation.set(Ok(Observation::Present(seen)));
        stage.turn().await;
        assert_eq!(stage.observed().unwrap().provider.as_ref().unwrap().progress, Some(percent));
    }
    assert_eq!(stage.commits().len(), 2, "the same twice is written once");
}

#[tokio::test]
async fn the_age_moves_also_while_a_call_is_tried_again_and_again() {
    let stage = Stage::asked(OperationKind::Deploy);
    stage.provider.answer.set(Err(EngineError::Busy("it is rolling out".into())));
    let turned = stage.turn().await;
    assert_eq!(turned.unchanged_at, None, "a first look is written with its time");
    stage.advance(60);
    let turned = stage.turn().await;
    assert!(turned.written.is_some());
    assert_eq!(turned.unchanged_at, Some(stage.world.now()), "it was looked at, and nothing new was seen");
}

#[tokio::test]
async fn what_somebody_changed_during_a_look_is_looked_at_again() {
    let stage = Arc::new(Stage::resting(Lifecycle::Ready));
    stage.provider.shows(ProvisioningState::Running);
    let others = stage.clone();
    stage
        .kept
        .story
        .meanwhile("probe", move || others.cluster_is(|cluster| cluster.name = "other".try_into().unwrap()));
    assert_eq!(stage.turn().await.requeue, Requeue::Now);
    assert_eq!(stage.words(), ["observe", "probe", "catch up"]);
    assert!(stage.observed().is_none());
}

#[tokio::test]
async fn a_kubeconfig_that_is_not_stored_after_all_is_no_look() {
    let stage = Stage::resting(Lifecycle::Ready);
    stage.kept.kubeconfig.set(None);
    stage.provider.shows(ProvisioningState::Running);
    stage.turn().await;
    assert_eq!(stage.observed().unwrap().probe, None);
}
