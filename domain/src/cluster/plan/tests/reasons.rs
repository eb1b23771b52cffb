//! The reasons of operations that end early: what was waited for, what went wrong, and what exists now.

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
    // Requested an hour before `now`.
    let operation = Operation { deadline: now() - TimeDelta::seconds(1), ..operation };
    reason(&operation, &ledger(&[], None), observation)
}

fn working_with(message: &str) -> Result<Observation, EngineError> {
    Ok(Observation::Present(ObservedCluster {
        message: message.into(),
        ..observed_cluster(ProvisioningState::Working)
    }))
}

#[test]
fn a_missed_deadline_names_the_goal_and_the_length_of_the_wait() {
    let cases = [
        (
            OperationKind::Deploy,
            "the operation to deploy the cluster did not finish within 3599 s: the provider reports: 1 of 3 nodes",
        ),
        (
            resize(),
            "the operation to resize the cluster to 5 nodes did not finish within 3599 s: the provider reports: 1 of 3 nodes",
        ),
        (
            set_policy(),
            "the operation to turn network policy on (CALICO) did not finish within 3599 s: the provider reports: 1 of 3 nodes",
        ),
        (
            OperationKind::Destroy,
            "the operation to destroy the cluster did not finish within 3599 s: the provider reports: 1 of 3 nodes",
        ),
    ];
    for (kind, cause) in cases {
        let reason = overdue_reason(requested(kind), working_with("1 of 3 nodes"));
        assert_eq!((reason.cause.as_str(), reason.responsible), (cause, Responsible::Provider));
        assert_eq!(reason.next_step, "retry when the problem is fixed; an admin can forget the cluster");
    }
}

#[test]
fn a_missed_deadline_names_the_newest_known_cause() {
    let deploy = || requested(OperationKind::Deploy);
    let quota = Reason::new(ReasonCode::QuotaExceeded, "the quota is used up", Responsible::Admin, "raise it")
        .with_provider_message("QUOTA_EXCEEDED");
    let mut held = deploy();
    held.begin(StepKind::Create, now());
    held.hold(quota.clone(), now());
    let unreachable = || Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "no route to the provider"));
    let denied = || Err(EngineError::Denied(because("the token has expired")));
    let throttled = || Err(EngineError::Throttled { retry_after: Duration::from_secs(9) });
    let cases = [
        (deploy(), working_with(""), "the provider has not finished"),
        (deploy(), Ok(Observation::Absent), "the cluster does not exist at the provider"),
        (deploy(), unreachable(), "no route to the provider"),
        (deploy(), throttled(), "the provider limits the rate of requests"),
        // The error of the call counts for more than the observed state, but for less than the error of the observation.
        (held.clone(), Ok(Observation::Absent), "the quota is used up"),
        (held.clone(), denied(), "the token has expired"),
    ];
    for (operation, observation, cause) in cases {
        let reason = overdue_reason(operation, observation);
        assert_eq!(reason.cause, format!("the operation to deploy the cluster did not finish within 3599 s: {cause}"));
    }
    // The responsible party and the provider message are kept.
    let reason = overdue_reason(held, Ok(Observation::Absent));
    assert_eq!((reason.responsible, reason.provider_message), (quota.responsible, quota.provider_message));
}

#[test]
fn a_cancelled_operation_lists_what_exists() {
    let records = [
        ("a", RecordState::Present),
        ("b", RecordState::Intended),
        ("c", RecordState::Deleting),
        ("d", RecordState::Gone),
    ];
    let exists = "resources that may exist at the provider: server a in here, server b in here, server c in here";
    let nothing = "nothing was created at the provider";
    let mut begun = requested(OperationKind::Destroy);
    begun.begin(StepKind::Delete, now());
    let table = [
        (requested(OperationKind::Deploy), &records[..], format!("the deployment was cancelled; {exists}")),
        (requested(OperationKind::Deploy), &records[3..], format!("the deployment was cancelled; {nothing}")),
        (requested(OperationKind::Deploy), &[], format!("the deployment was cancelled; {nothing}")),
        (begun, &records[..], format!("the deletion was cancelled; {exists}")),
        (requested(OperationKind::Destroy), &records[..], "the deletion was cancelled before it started".into()),
        (requested(resize()), &records[..], "the request to resize the cluster to 5 nodes was cancelled".into()),
        (requested(set_policy()), &records[..], "the request to turn network policy on (CALICO) was cancelled".into()),
    ];
    for (operation, records, cause) in table {
        let operation = Operation { cancel: Some((UserId::random(), now())), ..operation };
        let reason = reason(&operation, &ledger(records, None), working_with(""));
        assert_eq!((reason.cause, reason.responsible), (cause, Responsible::Requester));
    }
}
