//! What is stored after each answer of a provider.

use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::{
    ledger::{RowState, UNCERTAIN},
    operation::{StepKind, StepOutcome},
    port::{
        engine::{Condition, EngineError},
        store::ClusterRecord,
    },
    service::{reconcile::Again, tests::provider::policy},
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
        Err(EngineError::Unreachable("connection reset".into())),
        Err(EngineError::Missing),
    ]
}

fn calling(kind: OperationKind) -> Stage {
    let stage = Stage::asked(kind.clone());
    if kind != OperationKind::Deploy {
        stage.provider.shows(Condition::Running);
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
                    assert_eq!((turned.again, &operation.reason), (Again::Soon, &None), "{what}");
                }
                Held(seconds) => {
                    let Again::After(pause) = turned.again else { panic!("{what}: {turned:?}") };
                    let longest = if seconds == 5 { Duration::from_secs(6) } else { Duration::from_secs(seconds) };
                    assert!((Duration::from_secs(seconds)..=longest).contains(&pause), "{what}: {pause:?}");
                    let until = stage.world.now() + TimeDelta::from_std(pause).unwrap();
                    assert_eq!((operation.failures, operation.next_attempt_at), (1, Some(until)), "{what}");
                    assert_eq!((&step.reason, step.ended_at), (&reason, None), "{what}");
                    let message = format!("it did not succeed and is tried again: {}", reason.as_ref().unwrap().cause);
                    assert_eq!(told(&commits[1]), [(Happening::Step, message.as_str())], "{what}");
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
                    let expected = [(Happening::Ended, &*messages[0]), (Happening::State, &*messages[1])];
                    assert_eq!(told(&commits[1]), expected, "{what}");
                    let after =
                        Cluster { lifecycle: Lifecycle::Failed { reason }, changed_at: stage.world.now(), ..before };
                    assert_eq!(stage.cluster(), after, "{what}");
                    assert_eq!(turned.again, Again::Now, "{what}");
                    continue;
                }
            }
            assert!(operation.status.is_unfinished(), "{what}");
            assert!(matches!(commits[1].record, ClusterRecord::Keep(Some(_))), "{what}");
            assert_eq!(stage.cluster(), before, "{what}");
        }
    }
}

#[tokio::test]
async fn only_silence_leaves_it_open_whether_something_was_made() {
    for answer in answers() {
        let stage = calling(OperationKind::Deploy);
        stage.provider.answer.set(answer.clone());
        let sent_at = stage.world.now();
        stage.turn().await;
        let open = stage.ledger().unanswered_since;
        let silent = matches!(answer, Err(EngineError::Unreachable(_)));
        assert_eq!(open, silent.then_some(sent_at), "{answer:?}");
        assert!(stage.ledger().rows.iter().all(|row| row.state == RowState::Intended), "{answer:?}");
    }
}

#[tokio::test]
async fn pauses_grow_with_every_failure_in_a_row_up_to_a_minute_and_begin_anew_after_a_success() {
    let stage = calling(OperationKind::Resize { node_count: 5 });
    stage.provider.answer.set(Err(EngineError::Busy("it is rolling out".into())));
    for seconds in [5, 10, 20, 40, 60, 60, 60] {
        let Again::After(pause) = stage.turn().await.again else { panic!("at {seconds}") };
        let (least, most) = (Duration::from_secs(seconds), Duration::from_secs(seconds * 6 / 5));
        assert!((least..=most).contains(&pause), "{pause:?} at {seconds}");
        stage.words();
        // Woken before, it waits.
        stage.advance(1);
        assert_eq!(stage.turn().await.again, Again::Soon);
        assert_eq!(stage.words(), ["observe"], "at {seconds}");
        stage.advance(i64::try_from(pause.as_secs()).unwrap());
    }
    stage.provider.answer.set(Ok(()));
    stage.turn().await;
    assert_eq!((stage.operation().failures, stage.operation().next_attempt_at), (0, None));
}
