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
    /// It is tried again after so many seconds, and up to a fifth more unless the provider said when.
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

fn calling(kind: OperationKind) -> Stage {
    let stage = Stage::asked(kind.clone());
    if kind != OperationKind::Deploy {
        stage.provider.shows(ProvisioningState::Running);
    }
    stage
}

#[tokio::test]
async fn every_call_with_every_answer() {
    use Then::{Accepted, Failed, Held};
    let change = [Accepted, Failed, Failed, Failed, Held(5), Held(17), Held(5), Failed];
    let rows = [
        (OperationKind::Deploy, change),
        (OperationKind::Resize { node_count: 5 }, change),
        (OperationKind::SetNetworkPolicy { policy: policy(true) }, change),
        // Nobody wants to pay for what was to go: only what the engine cannot do at all ends it before the deadline.
        (OperationKind::Destroy, [Accepted, Failed, Held(5), Held(5), Held(5), Held(17), Held(5), Accepted]),
    ];
    for (kind, row) in rows {
        for (answer, expected) in answers().into_iter().zip(row) {
            let what = format!("{} answered {answer:?}", kind.as_str());
            let stage = calling(kind.clone());
            stage.provider.answer.set(answer.clone());
            let before = stage.cluster();
            let turned = stage.turn().await;
            let commits = stage.commits();
            assert_eq!(commits.len(), 2, "{what}");
            let (operation, step) = (stage.operation(), stage.step());
            let reason = answer.err().map(|error| error.reason());
            match expected {
                Accepted => {
                    assert_eq!(
                        (step.outcome, step.ended_at),
                        (Some(StepOutcome::Done), Some(stage.world.now())),
                        "{what}"
                    );
                    assert_eq!((operation.failures, operation.next_attempt_at), (0, None), "{what}");
                    assert_eq!((turned.requeue, &operation.reason), (Requeue::Soon, &None), "{what}");
                }
                Held(seconds) => {
                    let Requeue::After(pause) = turned.requeue else { panic!("{what}: {turned:?}") };
                    let longest = if seconds == 5 { Duration::from_secs(6) } else { Duration::from_secs(seconds) };
                    assert!((Duration::from_secs(seconds)..=longest).contains(&pause), "{what}: {pause:?}");
                    let until = stage.world.now() + TimeDelta::from_std(pause).unwrap();
                    assert_eq!((operation.failures, operation.next_attempt_at), (1, Some(until)), "{what}");
                    assert_eq!((&step.reason, step.ended_at), (&reason, None), "{what}");
                    let message = format!("it did not succeed and is tried again: {}", reason.as_ref().unwrap().cause);
                    assert_eq!(told(&commits[1]), [(EventKind::Step, message.as_str())], "{what}");
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
                        (OperationStatus::Failed, Some(reason.clone()), Some(stage.world.now())),
                        "{what}"
                    );
                    let messages = [
                        format!("failed to {}: {}", kind.infinitive(), reason.cause),
                        format!("the cluster has failed: {}", reason.cause),
                    ];
                    let expected = [(EventKind::Ended, &*messages[0]), (EventKind::State, &*messages[1])];
                    assert_eq!(told(&commits[1]), expected, "{what}");
                    let after =
                        Cluster { lifecycle: Lifecycle::Failed { reason }, changed_at: stage.world.now(), ..before };
                    assert_eq!(stage.cluster(), after, "{what}");
                    assert_eq!(turned.requeue, Requeue::Now, "{what}");
                    continue;
                }
            }
            assert!(operation.status.is_unfinished(), "{what}");
            assert!(matches!(commits[1].record, RecordChange::Keep(Some(_))), "{what}");
            assert_eq!(stage.cluster(), before, "{what}");
        }
    }
}

#[tokio::test]
async fn what_was_accepted_shows_soon_what_was_refused_never_and_after_silence_nobody_knows() {
    for answer in answers() {
        let stage = calling(OperationKind::Deploy);
        stage.provider.answer.set(answer.clone());
        // The provider takes a while to answer.
        let (sent_at, clock) = (stage.world.now(), stage.world.clock.clone());
        stage.kept.story.meanwhile("deploy", move || clock.advance(TimeDelta::seconds(20)));
        stage.turn().await;
        let expected = match &answer {
            Ok(()) => Some(stage.world.now() + SETTLE),
            Err(EngineError::Unreachable(_)) => Some(sent_at + UNCERTAIN),
            Err(_) => None,
        };
        assert_eq!(stage.ledger().uncertain_until, expected, "{answer:?}");
        assert!(stage.ledger().resources.iter().all(|row| row.state == RecordState::Intended), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_does_not_speak_for_an_earlier_call() {
    // The first call was not answered, and may still take effect when the second has been.
    for answer in [Ok(()), Err(EngineError::Busy("it is rolling out".into()))] {
        let stage = calling(OperationKind::Deploy);
        stage
            .provider
            .answer
            .set(Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "the connection was cut")));
        let first_sent = stage.world.now();
        stage.turn().await;
        stage.advance(10);
        stage.provider.answer.set(answer.clone());
        stage.turn().await;
        assert_eq!(
            (stage.step().tries, stage.ledger().uncertain_until),
            (2, Some(first_sent + UNCERTAIN)),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn pauses_grow_with_every_failure_in_a_row_up_to_a_minute_and_begin_anew_after_a_success() {
    let stage = calling(OperationKind::Resize { node_count: 5 });
    stage.provider.answer.set(Err(EngineError::Busy("it is rolling out".into())));
    for seconds in [5, 10, 20, 40, 60, 60, 60] {
        let Requeue::After(pause) = stage.turn().await.requeue else { panic!("at {seconds}") };
        let (least, most) = (Duration::from_secs(seconds), Duration::from_secs(seconds * 6 / 5));
        assert!((least..=most).contains(&pause), "{pause:?} at {seconds}");
        stage.words();
        // Woken before, it waits.
        stage.advance(1);
        assert_eq!(stage.turn().await.requeue, Requeue::Soon);
        assert_eq!(stage.words(), ["observe"], "at {seconds}");
        stage.advance(i64::try_from(pause.as_secs()).unwrap());
    }
    stage.provider.answer.set(Ok(()));
    stage.turn().await;
    assert_eq!((stage.operation().failures, stage.operation().next_attempt_at), (0, None));
}

#[tokio::test]
async fn the_pause_a_provider_asks_for_is_kept_but_not_past_the_deadline() {
    let longest = Duration::from_secs(3600);
    for (retry_after, expected) in [(0, 0), (300, 300), (86_400, 3600), (10_000_000_000_000, 3600), (u64::MAX, 3600)] {
        let stage = calling(OperationKind::Resize { node_count: 5 });
        let throttled = EngineError::Throttled { retry_after: Duration::from_secs(retry_after) };
        stage.provider.answer.set(Err(throttled.clone()));
        let turned = stage.turn().await;
        assert_eq!(turned.requeue, Requeue::After(Duration::from_secs(expected)));
        // The same when already the look is answered so.
        stage.provider.observation.set(Err(throttled));
        assert_eq!(stage.turn().await.requeue, Requeue::After(Duration::from_secs(retry_after).min(longest)));
        stage.advance(3600);
        stage.turn().await;
        assert_eq!(stage.operation().status, OperationStatus::Failed, "it ends at its deadline");
    }
}

#[tokio::test]
async fn a_look_that_fails_is_waited_for_and_told_once() {
    let stage = calling(OperationKind::Deploy);
    stage.provider.is_silent();
    let turned = stage.turn().await;
    assert_eq!((turned.requeue, turned.silent), (Requeue::Soon, true));
    let [commit] = &stage.commits()[..] else { panic!() };
    let trouble = "the provider cannot be asked: connection refused";
    assert_eq!(told(commit), [(EventKind::Step, StepKind::Wait.caption()), (EventKind::Step, trouble)]);
    assert_eq!(stage.step().kind, StepKind::Wait);
    let turned = stage.turn().await;
    assert_eq!((turned.requeue, turned.written, turned.unchanged_at), (Requeue::Soon, None, Some(stage.world.now())));
    assert_eq!(stage.words(), ["observe"], "nothing new");
    // It answers again, and the step has not failed for that.
    stage.provider.lacks_it();
    stage.turn().await;
    let operation = stage.operation();
    let waited = operation.newest(StepKind::Wait).unwrap();
    assert_eq!((waited.outcome, &waited.reason), (Some(StepOutcome::Done), &None));
    assert_eq!(operation.accepted_at(StepKind::Create), Some(stage.world.now()));
}

#[tokio::test]
async fn a_call_that_nobody_saw_answered_has_not_failed_when_it_shows() {
    // We ended between call and answer; the provider then does not answer for a moment.
    let stage = calling(OperationKind::Deploy);
    let now = stage.world.now();
    stage.operation_is(|operation| operation.begin(StepKind::Create, now));
    stage.provider.is_silent();
    stage.turn().await;
    stage.provider.shows(ProvisioningState::Working);
    stage.turn().await;
    let operation = stage.operation();
    assert_eq!(operation.newest(StepKind::Create).unwrap().outcome, Some(StepOutcome::Done));
}

#[tokio::test]
async fn a_step_that_calls_is_not_begun_before_its_call() {
    let stage = calling(OperationKind::Deploy);
    stage.provider.answer.set(Err(EngineError::Busy("it is rolling out".into())));
    stage.turn().await;
    // Something happens there meanwhile, and then some of it is missing: it is asked for again, but not yet.
    stage.provider.shows(ProvisioningState::Working);
    stage.turn().await;
    stage.provider.shows(ProvisioningState::Incomplete);
    stage.turn().await;
    let count = |stage: &Stage| stage.operation().steps.iter().filter(|step| step.kind == StepKind::Create).count();
    assert_eq!((stage.step().kind, count(&stage)), (StepKind::Wait, 1));
    stage.advance(6);
    stage.words();
    stage.turn().await;
    assert_eq!(stage.words(), ["observe", "commit", "deploy", "commit"]);
    assert_eq!((stage.step().kind, stage.step().tries, count(&stage)), (StepKind::Create, 1, 2));
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_between_two_calls_is_told_once_and_the_call_keeps_its_answer() {
    let stage = calling(OperationKind::Resize { node_count: 5 });
    let busy = EngineError::Busy("it is rolling out".into());
    stage.provider.answer.set(Err(busy.clone()));
    stage.turn().await;
    stage.commits();
    stage.provider.is_silent();
    for _ in 0..3 {
        stage.turn().await;
    }
    let told: Vec<_> = stage.commits().iter().flat_map(|commit| commit.work.timeline.clone()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].message, "the provider cannot be asked: connection refused");
    assert_eq!((stage.step().kind, stage.step().reason), (StepKind::Resize, Some(busy.reason())));
}

#[tokio::test]
async fn what_is_said_again_in_other_words_is_told_once_in_the_first() {
    let said = |id: u32| reason("a network is in use").with_words(format!("409, request {id}"));
    // To each call, and to each look.
    for looks in [false, true] {
        let stage = calling(OperationKind::Destroy);
        let mut told = Vec::new();
        for id in 0..4 {
            let error = EngineError::Rejected(said(id));
            if looks {
                stage.provider.observation.set(Err(error));
            } else {
                stage.provider.answer.set(Err(error));
            }
            stage.turn().await;
            told.extend(stage.commits().into_iter().flat_map(|commit| commit.work.timeline));
            stage.advance(120);
        }
        let reasons: Vec<_> = told.into_iter().filter_map(|entry| entry.reason).collect();
        assert_eq!(reasons, [said(0)], "looks: {looks}");
        assert_eq!(stage.step().reason, Some(said(0)), "looks: {looks}");
        if looks {
            assert_eq!(stage.observed().unwrap().provider.as_ref().unwrap().last_error, Some(said(0)));
            stage.advance(1);
            assert_eq!(stage.turn().await.written, None, "nothing new");
        }
        // The same kind of trouble with another cause is shown, and is not told again.
        let other = reason("a disk is in use");
        if looks {
            stage.provider.observation.set(Err(EngineError::Rejected(other.clone())));
        } else {
            stage.provider.answer.set(Err(EngineError::Rejected(other.clone())));
            stage.advance(120);
        }
        stage.turn().await;
        assert!(stage.commits().iter().all(|commit| commit.work.timeline.is_empty()), "looks: {looks}");
        assert_eq!(stage.step().reason, Some(other), "looks: {looks}");
        // Another matter is news.
        let revoked = Reason { code: ReasonCode::CredentialsRejected, ..reason("the key was revoked") };
        let other = EngineError::Denied(revoked);
        stage.provider.observation.set(Err(other.clone()));
        stage.turn().await;
        let told: Vec<_> = stage.commits().into_iter().flat_map(|commit| commit.work.timeline).collect();
        assert_eq!(told.into_iter().filter_map(|entry| entry.reason).collect::<Vec<_>>(), [other.reason()]);
    }
}

#[tokio::test]
async fn why_it_is_refused_is_shown_while_it_is_tried_again() {
    let stage = calling(OperationKind::Destroy);
    let shown = || stage.world.catalog.cluster(stage.id).unwrap().display_status().reason;
    let refusal = reason("a load balancer uses the network");
    stage.provider.answer.set(Err(EngineError::Rejected(refusal.clone())));
    stage.turn().await;
    assert_eq!(shown(), format!("the cluster is being taken down: {refusal}"));
    stage.commits();
    stage.turn().await;
    assert_eq!((stage.commits().len(), shown()), (0, format!("the cluster is being taken down: {refusal}")));
    // What keeps it from being asked at all comes first.
    stage.provider.is_silent();
    stage.turn().await;
    assert!(shown().contains("connection refused"), "{}", shown());
    stage.provider.shows(ProvisioningState::Running);
    stage.provider.answer.set(Ok(()));
    stage.advance(60);
    stage.turn().await;
    assert_eq!(shown(), "the cluster is being taken down");
}
