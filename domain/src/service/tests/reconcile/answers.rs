//! What is stored after each answer of a provider.

use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::{
    ledger::{RecordState, SETTLE, UNCERTAIN},
    observation::{EngineError, ProvisioningState},
    operation::{StepKind, StepOutcome},
    port::store::RecordChange,
    reason::ReasonCode,
    service::{reconcile::Requeue, tests::provider::policy},
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    /// The step is done.
    Accepted,
    /// It is retried after so many seconds, and up to a fifth more unless the provider set the time.
    Held(u64),
    /// The operation has failed, and the cluster with it.
    Failed,
}

fn answers() -> [Result<(), EngineError>; 8] {
    [
        Ok(()),
        Err(EngineError::Unsupported("do that")),
        Err(EngineError::Rejected(reason("the quota is used up"))),
        Err(EngineError::Denied(reason("the key was revoked"))),
        Err(EngineError::Busy("it is rolling out".into())),
        Err(EngineError::Throttled { retry_after: Duration::from_secs(17) }),
        Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection reset")),
        Err(EngineError::Missing),
    ]
}

fn calling(kind: OperationKind) -> Fixture {
    let fixture = Fixture::requested(kind.clone());
    if kind != OperationKind::Deploy {
        fixture.provider.shows(ProvisioningState::Running);
    }
    fixture
}

#[tokio::test]
async fn every_answer_to_every_call_has_its_result() {
    use Then::{Accepted, Failed, Held};
    let change = [Accepted, Failed, Failed, Failed, Held(5), Held(17), Held(5), Failed];
    let rows = [
        (OperationKind::Deploy, change),
        (OperationKind::Resize { node_count: 5 }, change),
        (OperationKind::SetNetworkPolicy { policy: policy(true) }, change),
        // Resources that are left cost money: only a call that the engine does not support ends the operation before the deadline.
        (OperationKind::Destroy, [Accepted, Failed, Held(5), Held(5), Held(5), Held(17), Held(5), Accepted]),
    ];
    for (kind, row) in rows {
        for (answer, expected) in answers().into_iter().zip(row) {
            let what = format!("{} answered {answer:?}", kind.as_str());
            let fixture = calling(kind.clone());
            fixture.provider.answer.set(answer.clone());
            let before = fixture.cluster();
            let outcome = fixture.reconcile().await;
            let commits = fixture.commits();
            assert_eq!(commits.len(), 2, "{what}");
            let (operation, step) = (fixture.operation(), fixture.step());
            let reason = answer.err().map(|error| error.reason());
            match expected {
                Accepted => {
                    assert_eq!(
                        (step.outcome, step.ended_at),
                        (Some(StepOutcome::Done), Some(fixture.world.now())),
                        "{what}"
                    );
                    assert_eq!((operation.failures, operation.next_attempt_at), (0, None), "{what}");
                    assert_eq!((outcome.requeue, &operation.reason), (Requeue::Soon, &None), "{what}");
                }
                Held(seconds) => {
                    let Requeue::After(pause) = outcome.requeue else { panic!("{what}: {outcome:?}") };
                    let longest = if seconds == 5 { Duration::from_secs(6) } else { Duration::from_secs(seconds) };
                    assert!((Duration::from_secs(seconds)..=longest).contains(&pause), "{what}: {pause:?}");
                    let until = fixture.world.now() + TimeDelta::from_std(pause).unwrap();
                    assert_eq!((operation.failures, operation.next_attempt_at), (1, Some(until)), "{what}");
                    assert_eq!((&step.reason, step.ended_at), (&reason, None), "{what}");
                    let message =
                        format!("the attempt failed and is retried automatically: {}", reason.as_ref().unwrap().cause);
                    assert_eq!(timeline(&commits[1]), [(EventKind::Step, message.as_str())], "{what}");
                    assert_eq!(commits[1].work.timeline[0].reason, reason, "{what}");
                }
                Failed => {
                    let reason = reason.unwrap();
                    assert_eq!(
                        (step.outcome, step.reason.as_ref()),
                        (Some(StepOutcome::Failed), Some(&reason)),
                        "{what}"
                    );
                    let ended = (operation.status, operation.reason, operation.ended_at);
                    assert_eq!(
                        ended,
                        (OperationStatus::Failed, Some(reason.clone()), Some(fixture.world.now())),
                        "{what}"
                    );
                    let messages = [
                        format!("failed to {}: {}", kind.infinitive(), reason.cause),
                        format!("the cluster has failed: {}", reason.cause),
                    ];
                    let expected = [(EventKind::Ended, &*messages[0]), (EventKind::State, &*messages[1])];
                    assert_eq!(timeline(&commits[1]), expected, "{what}");
                    let after =
                        Cluster { lifecycle: Lifecycle::Failed { reason }, changed_at: fixture.world.now(), ..before };
                    assert_eq!(fixture.cluster(), after, "{what}");
                    assert_eq!(outcome.requeue, Requeue::Now, "{what}");
                    continue;
                }
            }
            assert!(operation.status.is_unfinished(), "{what}");
            assert!(matches!(commits[1].record, RecordChange::Keep(Some(_))), "{what}");
            assert_eq!(fixture.cluster(), before, "{what}");
        }
    }
}

#[tokio::test]
async fn the_uncertain_time_of_the_ledger_depends_on_the_answer() {
    for answer in answers() {
        let fixture = calling(OperationKind::Deploy);
        fixture.provider.answer.set(answer.clone());
        // The provider takes a while to answer.
        let (sent_at, clock) = (fixture.world.now(), fixture.world.clock.clone());
        fixture.fake.events.during("deploy", move || clock.advance(TimeDelta::seconds(20)));
        fixture.reconcile().await;
        let expected = match &answer {
            Ok(()) => Some(fixture.world.now() + SETTLE),
            Err(EngineError::Unreachable(_)) => Some(sent_at + UNCERTAIN),
            Err(_) => None,
        };
        assert_eq!(fixture.ledger().uncertain_until, expected, "{answer:?}");
        assert!(fixture.ledger().resources.iter().all(|record| record.state == RecordState::Intended), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_does_not_settle_an_earlier_call() {
    // The first call was not answered, and may still take effect after the second was.
    for answer in [Ok(()), Err(EngineError::Busy("it is rolling out".into()))] {
        let fixture = calling(OperationKind::Deploy);
        fixture
            .provider
            .answer
            .set(Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "the connection was cut")));
        let first_sent = fixture.world.now();
        fixture.reconcile().await;
        fixture.advance(10);
        fixture.provider.answer.set(answer.clone());
        fixture.reconcile().await;
        assert_eq!(
            (fixture.step().tries, fixture.ledger().uncertain_until),
            (2, Some(first_sent + UNCERTAIN)),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn pauses_grow_up_to_a_minute_and_are_reset_by_a_success() {
    let fixture = calling(OperationKind::Resize { node_count: 5 });
    fixture.provider.answer.set(Err(EngineError::Busy("it is rolling out".into())));
    for seconds in [5, 10, 20, 40, 60, 60, 60] {
        let Requeue::After(pause) = fixture.reconcile().await.requeue else { panic!("at {seconds}") };
        let (least, most) = (Duration::from_secs(seconds), Duration::from_secs(seconds * 6 / 5));
        assert!((least..=most).contains(&pause), "{pause:?} at {seconds}");
        fixture.call_names();
        // Triggered earlier, it waits.
        fixture.advance(1);
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Soon);
        assert_eq!(fixture.call_names(), ["observe"], "at {seconds}");
        fixture.advance(i64::try_from(pause.as_secs()).unwrap());
    }
    fixture.provider.answer.set(Ok(()));
    fixture.reconcile().await;
    assert_eq!((fixture.operation().failures, fixture.operation().next_attempt_at), (0, None));
}

#[tokio::test]
async fn the_pause_of_a_provider_is_kept_up_to_the_deadline() {
    let longest = Duration::from_secs(3600);
    for (retry_after, expected) in [(0, 0), (300, 300), (86_400, 3600), (10_000_000_000_000, 3600), (u64::MAX, 3600)] {
        let fixture = calling(OperationKind::Resize { node_count: 5 });
        let throttled = EngineError::Throttled { retry_after: Duration::from_secs(retry_after) };
        fixture.provider.answer.set(Err(throttled.clone()));
        let outcome = fixture.reconcile().await;
        assert_eq!(outcome.requeue, Requeue::After(Duration::from_secs(expected)));
        // The same when the observation is throttled.
        fixture.provider.observation.set(Err(throttled));
        assert_eq!(fixture.reconcile().await.requeue, Requeue::After(Duration::from_secs(retry_after).min(longest)));
        fixture.advance(3600);
        fixture.reconcile().await;
        assert_eq!(fixture.operation().status, OperationStatus::Failed, "it ends at its deadline");
    }
}

#[tokio::test]
async fn a_failed_observation_is_waited_for_and_reported_once() {
    let fixture = calling(OperationKind::Deploy);
    fixture.provider.does_not_answer();
    let outcome = fixture.reconcile().await;
    assert_eq!((outcome.requeue, outcome.no_answer), (Requeue::Soon, true));
    let [commit] = &fixture.commits()[..] else { panic!() };
    let message = "the provider cannot be queried: connection refused";
    assert_eq!(timeline(commit), [(EventKind::Step, StepKind::Wait.caption()), (EventKind::Step, message)]);
    assert_eq!(fixture.step().kind, StepKind::Wait);
    let outcome = fixture.reconcile().await;
    assert_eq!(
        (outcome.requeue, outcome.written, outcome.unchanged_at),
        (Requeue::Soon, None, Some(fixture.world.now()))
    );
    assert_eq!(fixture.call_names(), ["observe"], "nothing new");
    // It answers again: the step has not failed.
    fixture.provider.shows_nothing();
    fixture.reconcile().await;
    let operation = fixture.operation();
    let wait = operation.newest(StepKind::Wait).unwrap();
    assert_eq!((wait.outcome, &wait.reason), (Some(StepOutcome::Done), &None));
    assert_eq!(operation.accepted_at(StepKind::Create), Some(fixture.world.now()));
}

#[tokio::test]
async fn an_unanswered_call_is_done_once_its_effect_shows() {
    // The process ended between call and answer; then the provider does not answer for a moment.
    let fixture = calling(OperationKind::Deploy);
    let now = fixture.world.now();
    fixture.change_operation(|operation| operation.begin(StepKind::Create, now));
    fixture.provider.does_not_answer();
    fixture.reconcile().await;
    fixture.provider.shows(ProvisioningState::Working);
    fixture.reconcile().await;
    let operation = fixture.operation();
    assert_eq!(operation.newest(StepKind::Create).unwrap().outcome, Some(StepOutcome::Done));
}

#[tokio::test]
async fn a_step_with_a_call_begins_with_its_call() {
    let fixture = calling(OperationKind::Deploy);
    fixture.provider.answer.set(Err(EngineError::Busy("it is rolling out".into())));
    fixture.reconcile().await;
    // The provider works, then resources are missing: they are requested again, but only after the pause.
    fixture.provider.shows(ProvisioningState::Working);
    fixture.reconcile().await;
    fixture.provider.shows(ProvisioningState::Incomplete);
    fixture.reconcile().await;
    let count =
        |fixture: &Fixture| fixture.operation().steps.iter().filter(|step| step.kind == StepKind::Create).count();
    assert_eq!((fixture.step().kind, count(&fixture)), (StepKind::Wait, 1));
    fixture.advance(6);
    fixture.call_names();
    fixture.reconcile().await;
    assert_eq!(fixture.call_names(), ["observe", "commit", "deploy", "commit"]);
    assert_eq!((fixture.step().kind, fixture.step().tries, count(&fixture)), (StepKind::Create, 1, 2));
}

#[tokio::test]
async fn an_unreachable_provider_is_reported_once_and_the_step_keeps_its_reason() {
    let fixture = calling(OperationKind::Resize { node_count: 5 });
    let busy = EngineError::Busy("it is rolling out".into());
    fixture.provider.answer.set(Err(busy.clone()));
    fixture.reconcile().await;
    fixture.commits();
    fixture.provider.does_not_answer();
    for _ in 0..3 {
        fixture.reconcile().await;
    }
    let events: Vec<_> = fixture.commits().iter().flat_map(|commit| commit.work.timeline.clone()).collect();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].message, "the provider cannot be queried: connection refused");
    assert_eq!((fixture.step().kind, fixture.step().reason), (StepKind::Resize, Some(busy.reason())));
}

#[tokio::test]
async fn the_same_error_with_another_message_is_reported_once() {
    let rejection = |id: u32| reason("a network is in use").with_provider_message(format!("409, request {id}"));
    // In the answers to calls, and to observations.
    for observing in [false, true] {
        let fixture = calling(OperationKind::Destroy);
        let mut events = Vec::new();
        for id in 0..4 {
            let error = EngineError::Rejected(rejection(id));
            if observing {
                fixture.provider.observation.set(Err(error));
            } else {
                fixture.provider.answer.set(Err(error));
            }
            fixture.reconcile().await;
            events.extend(fixture.commits().into_iter().flat_map(|commit| commit.work.timeline));
            fixture.advance(120);
        }
        let reasons: Vec<_> = events.into_iter().filter_map(|entry| entry.reason).collect();
        assert_eq!(reasons, [rejection(0)], "observing: {observing}");
        assert_eq!(fixture.step().reason, Some(rejection(0)), "observing: {observing}");
        if observing {
            assert_eq!(fixture.observed().unwrap().provider.as_ref().unwrap().last_error, Some(rejection(0)));
            fixture.advance(1);
            assert_eq!(fixture.reconcile().await.written, None, "nothing new");
        }
        // The same code with another cause is shown, and is not reported again.
        let other = reason("a disk is in use");
        if observing {
            fixture.provider.observation.set(Err(EngineError::Rejected(other.clone())));
        } else {
            fixture.provider.answer.set(Err(EngineError::Rejected(other.clone())));
            fixture.advance(120);
        }
        fixture.reconcile().await;
        assert!(fixture.commits().iter().all(|commit| commit.work.timeline.is_empty()), "observing: {observing}");
        assert_eq!(fixture.step().reason, Some(other), "observing: {observing}");
        // Another code is reported.
        let revoked = Reason { code: ReasonCode::CredentialsRejected, ..reason("the key was revoked") };
        let other = EngineError::Denied(revoked);
        fixture.provider.observation.set(Err(other.clone()));
        fixture.reconcile().await;
        let events: Vec<_> = fixture.commits().into_iter().flat_map(|commit| commit.work.timeline).collect();
        assert_eq!(events.into_iter().filter_map(|entry| entry.reason).collect::<Vec<_>>(), [other.reason()]);
    }
}

#[tokio::test]
async fn the_rejection_is_shown_while_the_call_is_retried() {
    let fixture = calling(OperationKind::Destroy);
    let shown = || fixture.world.catalog.cluster(fixture.id).unwrap().display_status().reason;
    let refusal = reason("a load balancer uses the network");
    fixture.provider.answer.set(Err(EngineError::Rejected(refusal.clone())));
    fixture.reconcile().await;
    assert_eq!(shown(), format!("the cluster is being deleted: {refusal}"));
    fixture.commits();
    fixture.reconcile().await;
    assert_eq!((fixture.commits().len(), shown()), (0, format!("the cluster is being deleted: {refusal}")));
    // The error of the observation takes precedence.
    fixture.provider.does_not_answer();
    fixture.reconcile().await;
    assert!(shown().contains("connection refused"), "{}", shown());
    fixture.provider.shows(ProvisioningState::Running);
    fixture.provider.answer.set(Ok(()));
    fixture.advance(60);
    fixture.reconcile().await;
    assert_eq!(shown(), "the cluster is being deleted");
}
