//! Clusters at rest: what providers do on their own.

use std::time::Duration;

use super::*;
use crate::{
    observation::{EngineError, Observation, ProvisioningState},
    operation::StepKind,
    port::store::RecordChange,
    reason::ReasonCode,
    service::{
        reconcile::Requeue,
        tests::provider::{seen, thing},
    },
};

fn shown(condition: ProvisioningState) -> Result<Observation, EngineError> {
    Ok(Observation::Present(seen(condition)))
}

/// What is said of a cluster that failed on its own; `None` where it is left as it is.
async fn becomes(stage: &Stage, observation: Result<Observation, EngineError>) -> Option<String> {
    let before = stage.cluster();
    let read_at = stage.revision();
    stage.provider.observation.set(observation);
    stage.advance(9);
    let turned = stage.turn().await;
    let events = stage.happened();
    let after = stage.cluster();
    if after.lifecycle == before.lifecycle {
        assert_eq!((turned.requeue, &after), (Requeue::Quiet, &before));
        return None;
    }
    assert_eq!((turned.requeue, after.changed_at), (Requeue::Now, stage.world.now()));
    let words: Vec<_> = words(&events).into_iter().filter(|word| *word != "ledger").collect();
    assert_eq!(words, ["observe", "probe", "commit", "prune"]);
    let commit = &commits(events)[0];
    assert!(matches!(commit.record, RecordChange::Put(_, _, seen) if seen == read_at), "{commit:?}");
    assert!(commit.work.operations.is_empty() && commit.work.ledger.is_none(), "{commit:?}");
    let [entry] = &commit.work.timeline[..] else { panic!("{commit:?}") };
    assert_eq!((entry.kind, entry.operation), (EventKind::State, None), "nothing was asked for");
    match after.lifecycle {
        Lifecycle::Failed { reason } => {
            assert_eq!(entry.message, format!("the cluster has failed: {}", reason.cause));
            assert_eq!(entry.reason.as_ref(), Some(&reason));
            Some(reason.cause)
        }
        Lifecycle::Ready => Some(entry.message.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_cluster_that_was_well_can_fail_or_vanish() {
    let broken = ProvisioningState::Broken(reason("the disk is full"));
    let rows = [
        (shown(ProvisioningState::Running), None),
        (shown(ProvisioningState::Working), None),
        (shown(broken), Some("the disk is full")),
        (shown(ProvisioningState::Removing), Some("being taken down at the provider")),
        (shown(ProvisioningState::Incomplete), Some("is missing at the provider")),
        (Ok(Observation::Absent), Some("does not have the cluster any more")),
        (Err(EngineError::Missing), Some("does not have the cluster any more")),
        (Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused")), None),
        (Err(EngineError::Denied(reason("the key was revoked"))), None),
        (Err(EngineError::Rejected(reason("the project is gone"))), None),
        (Err(EngineError::Busy("it is upgraded".into())), None),
        (Err(EngineError::Throttled { retry_after: Duration::from_secs(1) }), None),
    ];
    for (observation, expected) in rows {
        let became = becomes(&Stage::resting(Lifecycle::Ready), observation.clone()).await;
        assert_eq!(became.is_some(), expected.is_some(), "{observation:?}: {became:?}");
        assert!(became.unwrap_or_default().contains(expected.unwrap_or_default()), "{observation:?}");
    }
}

#[tokio::test]
async fn a_cluster_that_has_failed_can_be_well_again() {
    let rows = [
        (shown(ProvisioningState::Running), Some("the cluster is well")),
        (shown(ProvisioningState::Working), None),
        (shown(ProvisioningState::Broken(reason("the disk is full"))), None),
        (shown(ProvisioningState::Incomplete), None),
        (Ok(Observation::Absent), None),
        (Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused")), None),
    ];
    for (observation, expected) in rows {
        let became = becomes(&Stage::resting(failed()), observation.clone()).await;
        assert_eq!(became.as_deref(), expected, "{observation:?}");
    }
}

#[tokio::test]
async fn what_somebody_stopped_or_wants_gone_does_not_recover_by_itself() {
    let ends = [
        (OperationKind::Deploy, OperationStatus::Failed, true),
        (OperationKind::Deploy, OperationStatus::Cancelled, false),
        (OperationKind::Resize { node_count: 5 }, OperationStatus::Failed, true),
        (OperationKind::Destroy, OperationStatus::Failed, false),
        (OperationKind::Destroy, OperationStatus::Cancelled, false),
    ];
    for (kind, status, recovers) in ends {
        let stage = Stage::new(failed(), true);
        stage.put_operation(kind.clone());
        let now = stage.world.now();
        stage.operation_is(|operation| {
            operation.begin(StepKind::Delete, now);
            operation.end(status, Some(reason("it did not work")), now);
        });
        let became = becomes(&stage, shown(ProvisioningState::Running)).await;
        assert_eq!(became.is_some(), recovers, "{kind:?} {status:?}");
    }
    let stage = Stage::new(failed(), true);
    assert!(becomes(&stage, shown(ProvisioningState::Running)).await.is_some(), "nothing was asked for");
}

#[tokio::test]
async fn a_cluster_whose_engine_is_not_offered_any_more_is_still_looked_at() {
    for lifecycle in [Lifecycle::Ready, failed()] {
        let mut stage = Stage::resting(lifecycle.clone());
        stage.reconciler.providers.engines = EngineRegistry::default();
        assert_eq!(stage.turn().await.requeue, Requeue::Quiet);
        assert_eq!(stage.words(), ["probe", "commit"]);
        assert_eq!(stage.cluster().lifecycle, lifecycle);
        let observed = stage.observed().unwrap();
        assert!(matches!(observed.probe, Some(ProbeResult::Reached { .. })));
        let trouble = observed.provider.as_ref().unwrap().last_error.clone().unwrap();
        assert!(trouble.cause.contains("does not offer it"), "{}", trouble.cause);
        stage.turn().await;
        assert_eq!(stage.words(), ["probe"], "nothing new");
    }
}

#[tokio::test]
async fn a_provider_that_wants_to_be_left_alone_for_long_is_left_alone() {
    for (retry_after, expected) in [(5, Requeue::Quiet), (300, Requeue::After(Duration::from_secs(300)))] {
        let stage = Stage::resting(Lifecycle::Ready);
        let throttled = EngineError::Throttled { retry_after: Duration::from_secs(retry_after) };
        stage.provider.observation.set(Err(throttled));
        assert_eq!(stage.turn().await.requeue, expected);
    }
}

#[tokio::test]
async fn what_is_not_where_it_would_be_made_now_is_looked_for_where_it_was_made() {
    let denied = Err(EngineError::Denied(reason("the key is for another project")));
    let rows = [
        // What a look shows that knows of the things; whether the cluster fails.
        (denied, false),
        (shown(ProvisioningState::Running), false),
        (Ok(Observation::Absent), true),
    ];
    for (second, fails) in rows {
        let stage = Stage::resting(Lifecycle::Ready);
        let mut ledger = Ledger::empty(stage.id);
        ledger.observed(&[thing("net")], stage.world.now());
        stage.kept.put_ledger(ledger);
        stage.provider.lacks_it();
        let (observation, then) = (stage.provider.observation.clone(), second.clone());
        stage.kept.story.meanwhile("ledger", move || observation.set(then));
        stage.turn().await;
        assert_eq!(words(&stage.happened())[..4], ["observe", "ledger", "observe", "probe"], "{second:?}");
        let known: Vec<_> = stage.provider.asked.take().into_iter().map(|(_, spec)| spec.known).collect();
        assert_eq!(known, [vec![], vec![thing("net")]], "{second:?}");
        assert_eq!(matches!(stage.cluster().lifecycle, Lifecycle::Failed { .. }), fails, "{second:?}");
    }
}
