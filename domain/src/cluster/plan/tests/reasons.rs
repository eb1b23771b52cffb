//! What people are told when an operation ends early: what was waited for, what is the matter, and what exists now.

use std::time::Duration;

use chrono::TimeDelta;

use super::{super::*, case::*};
use crate::{
    cluster::tests::{because, cluster},
    id::UserId,
    ledger::RecordState,
    reason::ReasonCode,
};

/// The reason with which `operation` ends now.
fn reason(operation: &Operation, ledger: &Ledger, observation: Result<Observation, EngineError>) -> Reason {
    let decision = plan(&Situation {
        cluster: &cluster(Lifecycle::Deploying, now()),
        operation: Some(operation),
        ledger,
        observation: &observation,
        now: now(),
    });
    match decision {
        Decision::End { reason: Some(reason), .. } => reason,
        other => panic!("{other:?}"),
    }
}

fn overdue_reason(operation: Operation, observation: Result<Observation, EngineError>) -> Reason {
    // Asked for an hour before `now`.
    let operation = Operation { deadline: now() - TimeDelta::seconds(1), ..operation };
    reason(&operation, &ledger(&[], None), observation)
}

fn working(words: &str) -> Result<Observation, EngineError> {
    Ok(Observation::Present(ObservedCluster { message: words.into(), ..seen(ProvisioningState::Working) }))
}

#[test]
fn a_missed_deadline_tells_how_long_was_waited_for_what() {
    let rows = [
        (OperationKind::Deploy, "waited 3599 s to deploy the cluster: the provider says: 1 of 3 nodes"),
        (resize(), "waited 3599 s to resize the cluster to 5 nodes: the provider says: 1 of 3 nodes"),
        (set_policy(), "waited 3599 s to turn network policy on (CALICO): the provider says: 1 of 3 nodes"),
        (OperationKind::Destroy, "waited 3599 s to destroy the cluster: the provider says: 1 of 3 nodes"),
    ];
    for (kind, cause) in rows {
        let reason = overdue_reason(requested(kind), working("1 of 3 nodes"));
        assert_eq!((reason.cause.as_str(), reason.responsible), (cause, Responsible::Provider));
        assert_eq!(reason.next_step, "retry when that is put right; an admin can forget the cluster");
    }
}

#[test]
fn a_missed_deadline_tells_the_newest_thing_that_is_known() {
    let asked = || requested(OperationKind::Deploy);
    let quota = Reason::new(ReasonCode::QuotaExceeded, "the quota is used up", Responsible::Admin, "raise it")
        .with_words("QUOTA_EXCEEDED");
    let mut held = asked();
    held.begin(StepKind::Create, now());
    held.hold(quota.clone(), now());
    let away = || Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "no route to the provider"));
    let denied = || Err(EngineError::Denied(because("the token has expired")));
    let throttled = || Err(EngineError::Throttled { retry_after: Duration::from_secs(9) });
    let rows = [
        (asked(), working(""), "the provider is not done"),
        (asked(), Ok(Observation::Absent), "the provider does not have the cluster"),
        (asked(), away(), "no route to the provider"),
        (asked(), throttled(), "the provider wants fewer calls"),
        // Why the call was not made counts for more than what the provider shows meanwhile, but not for more than why it shows nothing.
        (held.clone(), Ok(Observation::Absent), "the quota is used up"),
        (held.clone(), denied(), "the token has expired"),
    ];
    for (operation, observation, cause) in rows {
        let reason = overdue_reason(operation, observation);
        assert_eq!(reason.cause, format!("waited 3599 s to deploy the cluster: {cause}"));
    }
    // Whose job it is, and the provider's own words, are kept.
    let reason = overdue_reason(held, Ok(Observation::Absent));
    assert_eq!((reason.responsible, reason.provider_message), (quota.responsible, quota.provider_message));
}

#[test]
fn a_cancelled_operation_tells_what_exists_now() {
    let rows = [
        ("a", RecordState::Present),
        ("b", RecordState::Intended),
        ("c", RecordState::Deleting),
        ("d", RecordState::Gone),
    ];
    let exists = "what may exist at the provider: server a in here, server b in here, server c in here";
    let nothing = "nothing was made at the provider";
    let mut begun = requested(OperationKind::Destroy);
    begun.begin(StepKind::Delete, now());
    let table = [
        (requested(OperationKind::Deploy), &rows[..], format!("deploying was cancelled; {exists}")),
        (requested(OperationKind::Deploy), &rows[3..], format!("deploying was cancelled; {nothing}")),
        (requested(OperationKind::Deploy), &[], format!("deploying was cancelled; {nothing}")),
        (begun, &rows[..], format!("destroying was cancelled; {exists}")),
        (requested(OperationKind::Destroy), &rows[..], "destroying was cancelled before it began".into()),
        (requested(resize()), &rows[..], "the request to resize the cluster to 5 nodes was cancelled".into()),
        (requested(set_policy()), &rows[..], "the request to turn network policy on (CALICO) was cancelled".into()),
    ];
    for (operation, rows, cause) in table {
        let operation = Operation { cancel: Some((UserId::random(), now())), ..operation };
        let reason = reason(&operation, &ledger(rows, None), working(""));
        assert_eq!((reason.cause, reason.responsible), (cause, Responsible::Requester));
    }
}
