//! The steps of an operation: begun, retried, held and ended, and how many of them are kept.

use std::collections::HashMap;

use chrono::TimeDelta;
use proptest::{prelude::*, sample::select};

use super::*;
use crate::reason::{ReasonCode, Responsible};

const KINDS: [StepKind; 7] = [
    StepKind::Create,
    StepKind::Resize,
    StepKind::SetNetworkPolicy,
    StepKind::Delete,
    StepKind::Wait,
    StepKind::Kubeconfig,
    StepKind::Verify,
];

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn deploy() -> Operation {
    Operation::requested(ClusterId::random(), OperationKind::Deploy, UserId::random(), at(0), at(3600))
}

fn because(cause: &str) -> Reason {
    Reason::new(ReasonCode::ProvisioningFailed, cause, Responsible::Provider, "")
}

#[test]
fn a_requested_operation_has_no_steps() {
    let operation = deploy();
    assert_eq!((operation.status, operation.attempt, operation.failures), (OperationStatus::Pending, 1, 0));
    assert_eq!((operation.ended_at, operation.next_attempt_at, operation.current()), (None, None, None));
    assert!(!operation.has_sent());
}

#[test]
fn beginning_a_step_again_counts_as_a_try() {
    let mut operation = deploy();
    operation.begin(StepKind::Create, at(1));
    assert_eq!(operation.status, OperationStatus::Running);
    operation.begin(StepKind::Create, at(9));
    let [step] = operation.steps.as_slice() else { panic!("{:?}", operation.steps) };
    assert_eq!((step.started_at, step.tried_at, step.tries), (at(1), at(9), 2));
    assert_eq!((step.ended_at, step.outcome), (None, None));
    assert_eq!(operation.current(), operation.steps.first());
}

#[test]
fn the_next_step_ends_the_current_one_as_done() {
    let mut operation = deploy();
    operation.begin(StepKind::Create, at(1));
    operation.begin(StepKind::Wait, at(5));
    assert_eq!(operation.steps[0].outcome, Some(StepOutcome::Done));
    assert_eq!(operation.accepted_at(StepKind::Create), Some(at(5)));
    assert_eq!(operation.current().map(|step| step.kind), Some(StepKind::Wait));
}

#[test]
fn a_held_step_ends_as_failed_when_the_next_one_begins() {
    let mut operation = deploy();
    operation.begin(StepKind::Create, at(1));
    operation.hold(because("busy"), at(20));
    operation.begin(StepKind::Wait, at(5));
    let step = &operation.steps[0];
    assert_eq!((step.outcome, step.reason.clone()), (Some(StepOutcome::Failed), Some(because("busy"))));
    assert_eq!(operation.accepted_at(StepKind::Create), None);
    // The provider asked for this pause, whichever call is next.
    assert_eq!(operation.next_attempt_at, Some(at(20)));
}

#[test]
fn failures_are_counted_until_a_call_succeeds() {
    let mut operation = deploy();
    operation.begin(StepKind::Create, at(1));
    for failures in 1..=3 {
        operation.hold(because(&format!("failure {failures}")), at(10 * failures));
        assert_eq!(i64::from(operation.failures), failures);
        assert_eq!(operation.next_attempt_at, Some(at(10 * failures)));
        let current = operation.current().unwrap();
        assert_eq!(current.reason, Some(because(&format!("failure {failures}"))), "the newest reason is shown");
        operation.begin(StepKind::Create, at(10 * failures));
    }
    operation.end_step(StepOutcome::Done, None, at(31));
    assert_eq!((operation.failures, operation.next_attempt_at), (0, None));
    let step = &operation.steps[0];
    assert_eq!((step.tries, step.ended_at, step.outcome), (4, Some(at(31)), Some(StepOutcome::Done)));
    assert_eq!(step.reason, None, "a step that succeeded in the end has no reason");
}

#[test]
fn a_failed_step_keeps_the_pause() {
    let mut operation = deploy();
    operation.begin(StepKind::Create, at(1));
    operation.hold(because("busy"), at(20));
    operation.end_step(StepOutcome::Failed, Some(because("refused")), at(2));
    assert_eq!((operation.failures, operation.next_attempt_at), (1, Some(at(20))));
    assert_eq!(operation.steps[0].reason, Some(because("refused")));
}

#[test]
fn acceptance_depends_on_the_newest_step_of_the_kind() {
    let mut operation = deploy();
    assert_eq!(operation.accepted_at(StepKind::Create), None);
    operation.begin(StepKind::Create, at(1));
    assert_eq!(operation.accepted_at(StepKind::Create), None, "the call was not answered");
    operation.end_step(StepOutcome::Done, None, at(2));
    operation.begin(StepKind::Wait, at(3));
    operation.begin(StepKind::Create, at(60));
    assert_eq!(operation.accepted_at(StepKind::Create), None, "the last call was not answered");
    operation.end_step(StepOutcome::Done, None, at(61));
    assert_eq!(operation.accepted_at(StepKind::Create), Some(at(61)));
    operation.begin(StepKind::Create, at(90));
    operation.end_step(StepOutcome::Failed, Some(because("refused")), at(91));
    assert_eq!(operation.accepted_at(StepKind::Create), None, "the last call was refused");
}

#[test]
fn only_steps_that_change_something_at_the_provider_count_as_sent() {
    let changing = [StepKind::Create, StepKind::Resize, StepKind::SetNetworkPolicy, StepKind::Delete];
    for kind in KINDS {
        let mut operation = deploy();
        operation.begin(kind, at(1));
        // Stored before the call is sent: it counts from then on, answered or not.
        assert_eq!(operation.has_sent(), changing.contains(&kind), "{kind:?}");
        operation.end_step(StepOutcome::Failed, Some(because("refused")), at(2));
        assert_eq!(operation.has_sent(), changing.contains(&kind), "{kind:?}");
    }
}

#[test]
fn ending_an_operation_ends_only_its_current_step() {
    let endings = [
        (OperationStatus::Succeeded, StepOutcome::Done, None),
        (OperationStatus::Failed, StepOutcome::Failed, Some(because("broken"))),
        (OperationStatus::Cancelled, StepOutcome::Stopped, Some(because("cancelled"))),
    ];
    for (status, outcome, reason) in endings {
        let mut operation = deploy();
        operation.begin(StepKind::Create, at(1));
        operation.begin(StepKind::Wait, at(2));
        operation.hold(because("throttled"), at(60));
        operation.end(status, reason.clone(), at(9));
        assert_eq!((operation.status, operation.reason.clone()), (status, reason.clone()));
        assert_eq!((operation.ended_at, operation.next_attempt_at), (Some(at(9)), None));
        assert!(!operation.status.is_unfinished());
        let ended: Vec<_> = operation.steps.iter().map(|step| (step.outcome, step.ended_at)).collect();
        assert_eq!(ended, [(Some(StepOutcome::Done), Some(at(2))), (Some(outcome), Some(at(9)))]);
        assert_eq!(operation.steps[1].reason, reason);
    }
}

#[test]
fn an_operation_can_end_before_its_first_step() {
    let mut operation = deploy();
    operation.end(OperationStatus::Cancelled, Some(because("cancelled")), at(1));
    assert_eq!((operation.status, operation.ended_at), (OperationStatus::Cancelled, Some(at(1))));
    assert!(operation.steps.is_empty());
}

/// What may happen to the current step before the next one begins.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Open,
    Held,
    Accepted,
    Refused,
}

const FATES: [Fate; 4] = [Fate::Open, Fate::Held, Fate::Accepted, Fate::Refused];

proptest! {
    /// A bounded number of steps is kept, and what decisions depend on is never dropped.
    #[test]
    fn dropping_steps_keeps_what_decisions_need(
        steps in prop::collection::vec((select(&KINDS[..]), select(&FATES[..])), 0..4 * STEPS),
    ) {
        let mut operation = deploy();
        let (mut sent, mut accepted) = (false, HashMap::new());
        let mut open: Option<(StepKind, bool)> = None;
        for (second, (kind, fate)) in (1_i64..).zip(steps) {
            let now = at(second);
            operation.begin(kind, now);
            // The model: a current step of another kind is now done, or was refused.
            let mut held = false;
            match open {
                Some((same, was_held)) if same == kind => held = was_held,
                Some((other, false)) => drop(accepted.insert(other, Some(now))),
                Some((other, true)) => drop(accepted.insert(other, None)),
                None => {}
            }
            accepted.insert(kind, None);
            sent |= !matches!(kind, StepKind::Wait | StepKind::Kubeconfig | StepKind::Verify);
            open = None;
            match fate {
                Fate::Open => open = Some((kind, held)),
                Fate::Held => {
                    operation.hold(because("held"), now + TimeDelta::seconds(5));
                    open = Some((kind, true));
                }
                Fate::Accepted => {
                    operation.end_step(StepOutcome::Done, None, now);
                    accepted.insert(kind, Some(now));
                }
                Fate::Refused => operation.end_step(StepOutcome::Failed, Some(because("refused")), now),
            }
            prop_assert!(operation.steps.len() <= STEPS);
            prop_assert_eq!(operation.has_sent(), sent);
            for kind in KINDS {
                prop_assert_eq!(operation.accepted_at(kind), accepted.get(&kind).copied().flatten(), "{:?}", kind);
            }
            prop_assert_eq!(operation.current().map(|step| step.kind), open.map(|(kind, _)| kind));
        }
        let begun: Vec<_> = operation.steps.iter().map(|step| step.started_at).collect();
        prop_assert!(begun.is_sorted(), "steps stay in the order in which they were begun");
        let open = operation.steps.iter().rev().skip(1).filter(|step| step.ended_at.is_none()).count();
        prop_assert_eq!(open, 0, "only the newest step is unfinished");
    }
}

#[test]
fn the_first_and_the_newest_steps_are_kept() {
    let mut operation = deploy();
    operation.begin(StepKind::Create, at(0));
    for second in 1..200 {
        operation.begin(if second % 2 == 0 { StepKind::Wait } else { StepKind::Kubeconfig }, at(second));
    }
    assert_eq!(operation.steps.len(), STEPS);
    let begun: Vec<_> = operation.steps.iter().map(|step| step.started_at).collect();
    let half = STEPS / 2;
    assert_eq!(begun[..half], (0..20).map(at).collect::<Vec<_>>());
    assert_eq!(begun[half..], (180..200).map(at).collect::<Vec<_>>());
}
