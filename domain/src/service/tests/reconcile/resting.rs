//! Clusters at rest: changes at the provider without an operation.

use std::time::Duration;

use super::*;
use crate::{
    observation::{EngineError, Observation, ProvisioningState},
    operation::StepKind,
    port::store::RecordChange,
    reason::ReasonCode,
    service::{
        reconcile::Requeue,
        tests::provider::{observed_cluster, resource},
    },
};

fn shown(state: ProvisioningState) -> Result<Observation, EngineError> {
    Ok(Observation::Present(observed_cluster(state)))
}

/// The message of the state change after an observation; `None` if the state stays.
async fn state_change(fixture: &Fixture, observation: Result<Observation, EngineError>) -> Option<String> {
    let before = fixture.cluster();
    let read_at = fixture.revision();
    fixture.provider.observation.set(observation);
    fixture.advance(9);
    let outcome = fixture.reconcile().await;
    let events = fixture.take_events();
    let after = fixture.cluster();
    if after.lifecycle == before.lifecycle {
        assert_eq!((outcome.requeue, &after), (Requeue::Quiet, &before));
        return None;
    }
    assert_eq!((outcome.requeue, after.changed_at), (Requeue::Now, fixture.world.now()));
    let call_names: Vec<_> = call_names(&events).into_iter().filter(|call| *call != "ledger").collect();
    assert_eq!(call_names, ["observe", "probe", "commit", "prune"]);
    let commit = &commits(events)[0];
    assert!(matches!(commit.record, RecordChange::Put(_, _, expected) if expected == read_at), "{commit:?}");
    assert!(commit.work.operations.is_empty() && commit.work.ledger.is_none(), "{commit:?}");
    let [entry] = &commit.work.timeline[..] else { panic!("{commit:?}") };
    assert_eq!((entry.kind, entry.operation), (EventKind::State, None), "there is no operation");
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
async fn a_ready_cluster_can_fail_or_vanish() {
    let broken = ProvisioningState::Broken(reason("the disk is full"));
    let rows = [
        (shown(ProvisioningState::Running), None),
        (shown(ProvisioningState::Working), None),
        (shown(broken), Some("the disk is full")),
        (shown(ProvisioningState::Removing), Some("being deleted at the provider")),
        (shown(ProvisioningState::Incomplete), Some("are missing at the provider")),
        (Ok(Observation::Absent), Some("no longer exists at the provider")),
        (Err(EngineError::Missing), Some("no longer exists at the provider")),
        (Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused")), None),
        (Err(EngineError::Denied(reason("the key was revoked"))), None),
        (Err(EngineError::Rejected(reason("the project is gone"))), None),
        (Err(EngineError::Busy("it is upgraded".into())), None),
        (Err(EngineError::Throttled { retry_after: Duration::from_secs(1) }), None),
    ];
    for (observation, expected) in rows {
        let change = state_change(&Fixture::resting(Lifecycle::Ready), observation.clone()).await;
        assert_eq!(change.is_some(), expected.is_some(), "{observation:?}: {change:?}");
        assert!(change.unwrap_or_default().contains(expected.unwrap_or_default()), "{observation:?}");
    }
}

#[tokio::test]
async fn a_failed_cluster_can_recover() {
    let rows = [
        (shown(ProvisioningState::Running), Some("the cluster is ready")),
        (shown(ProvisioningState::Working), None),
        (shown(ProvisioningState::Broken(reason("the disk is full"))), None),
        (shown(ProvisioningState::Incomplete), None),
        (Ok(Observation::Absent), None),
        (Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused")), None),
    ];
    for (observation, expected) in rows {
        let change = state_change(&Fixture::resting(failed()), observation.clone()).await;
        assert_eq!(change.as_deref(), expected, "{observation:?}");
    }
}

#[tokio::test]
async fn a_cluster_does_not_recover_after_a_cancelled_deployment_or_a_destroy() {
    let ends = [
        (OperationKind::Deploy, OperationStatus::Failed, true),
        (OperationKind::Deploy, OperationStatus::Cancelled, false),
        (OperationKind::Resize { node_count: 5 }, OperationStatus::Failed, true),
        (OperationKind::Destroy, OperationStatus::Failed, false),
        (OperationKind::Destroy, OperationStatus::Cancelled, false),
    ];
    for (kind, status, recovers) in ends {
        let fixture = Fixture::new(failed(), true);
        fixture.put_operation(kind.clone());
        let now = fixture.world.now();
        fixture.change_operation(|operation| {
            operation.begin(StepKind::Delete, now);
            operation.end(status, Some(reason("it did not work")), now);
        });
        let change = state_change(&fixture, shown(ProvisioningState::Running)).await;
        assert_eq!(change.is_some(), recovers, "{kind:?} {status:?}");
    }
    let fixture = Fixture::new(failed(), true);
    assert!(state_change(&fixture, shown(ProvisioningState::Running)).await.is_some(), "there is no operation");
}

#[tokio::test]
async fn a_cluster_without_its_engine_is_still_probed() {
    for lifecycle in [Lifecycle::Ready, failed()] {
        let mut fixture = Fixture::resting(lifecycle.clone());
        fixture.reconciler.providers.engines = EngineRegistry::default();
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Quiet);
        assert_eq!(fixture.call_names(), ["probe", "commit"]);
        assert_eq!(fixture.cluster().lifecycle, lifecycle);
        let observed = fixture.observed().unwrap();
        assert!(matches!(observed.probe, Some(ProbeResult::Reached { .. })));
        let last_error = observed.provider.as_ref().unwrap().last_error.clone().unwrap();
        assert!(last_error.cause.contains("does not offer it"), "{}", last_error.cause);
        fixture.reconcile().await;
        assert_eq!(fixture.call_names(), ["probe"], "nothing new");
    }
}

#[tokio::test]
async fn a_long_pause_of_the_provider_is_kept() {
    for (retry_after, expected) in [(5, Requeue::Quiet), (300, Requeue::After(Duration::from_secs(300)))] {
        let fixture = Fixture::resting(Lifecycle::Ready);
        let throttled = EngineError::Throttled { retry_after: Duration::from_secs(retry_after) };
        fixture.provider.observation.set(Err(throttled));
        assert_eq!(fixture.reconcile().await.requeue, expected);
    }
}

#[tokio::test]
async fn an_absent_cluster_is_observed_again_with_its_known_resources() {
    let denied = Err(EngineError::Denied(reason("the key is for another project")));
    let rows = [
        // The observation with the known resources; whether the cluster fails.
        (denied, false),
        (shown(ProvisioningState::Running), false),
        (Ok(Observation::Absent), true),
    ];
    for (second, fails) in rows {
        let fixture = Fixture::resting(Lifecycle::Ready);
        let mut ledger = Ledger::empty(fixture.id);
        ledger.observed(&[resource("net")], fixture.world.now());
        fixture.fake.put_ledger(ledger);
        fixture.provider.shows_nothing();
        let (observation, then) = (fixture.provider.observation.clone(), second.clone());
        fixture.fake.events.during("ledger", move || observation.set(then));
        fixture.reconcile().await;
        assert_eq!(call_names(&fixture.take_events())[..4], ["observe", "ledger", "observe", "probe"], "{second:?}");
        let known: Vec<_> = fixture.provider.calls.take().into_iter().map(|(_, spec)| spec.known).collect();
        assert_eq!(known, [vec![], vec![resource("net")]], "{second:?}");
        assert_eq!(matches!(fixture.cluster().lifecycle, Lifecycle::Failed { .. }), fails, "{second:?}");
    }
}
