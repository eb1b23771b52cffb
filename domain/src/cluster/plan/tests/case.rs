//! The rows and columns of the tables: every observation and every progress of an operation, by name; and the word for every decision.

use std::time::Duration;

use chrono::TimeDelta;

use super::super::*;
use crate::{
    cluster::tests::{at, because},
    id::{ClusterId, UserId},
    ledger::{ProviderResource, RecordState, ResourceRecord, ResourceRef},
    operation::{NetworkPolicy, StepOutcome},
    reason::ReasonCode,
};

/// The time of every decision.
pub(super) fn now() -> DateTime<Utc> {
    at(10_000)
}

fn ago(time: TimeDelta) -> DateTime<Utc> {
    now() - time
}

const SECOND: TimeDelta = TimeDelta::seconds(1);
const HOUR: TimeDelta = TimeDelta::hours(1);

pub(super) fn policy(provider: &str, enabled: bool) -> NetworkPolicy {
    NetworkPolicy { provider: provider.into(), enabled }
}

pub(super) fn resize() -> OperationKind {
    OperationKind::Resize { node_count: 5 }
}

pub(super) fn set_policy() -> OperationKind {
    OperationKind::SetNetworkPolicy { policy: policy("CALICO", true) }
}

pub(super) fn resource(name: &str) -> ProviderResource {
    let name = ResourceRef { kind: "server".into(), name: name.into(), location: "here".into() };
    ProviderResource { name, provider_id: None }
}

pub(super) fn ledger(resources: &[(&str, RecordState)], uncertain_until: Option<DateTime<Utc>>) -> Ledger {
    let record = |(name, state): &(&str, RecordState)| ResourceRecord {
        resource: resource(name),
        state: *state,
        since: ago(HOUR),
    };
    Ledger { cluster: ClusterId::random(), resources: resources.iter().map(record).collect(), uncertain_until }
}

/// A cluster in which both changes of the tables have been made already.
pub(super) fn observed_cluster(state: ProvisioningState) -> ObservedCluster {
    ObservedCluster {
        state,
        progress: None,
        node_count: Some(5),
        network_policy: Some(policy("CALICO", true)),
        message: String::new(),
        resources: vec![resource("a")],
    }
}

/// Everything that can be observed. Every state shows the requested values; they must count only in `running`.
pub(super) fn observations() -> Vec<(&'static str, Result<Observation, EngineError>)> {
    let running = observed_cluster(ProvisioningState::Running);
    let otherwise =
        ObservedCluster { node_count: Some(3), network_policy: Some(policy("CALICO", false)), ..running.clone() };
    let unknown = ObservedCluster { node_count: None, network_policy: None, ..running.clone() };
    let present = |cluster| Ok(Observation::Present(cluster));
    vec![
        ("absent", Ok(Observation::Absent)),
        ("incomplete", present(observed_cluster(ProvisioningState::Incomplete))),
        ("working", present(observed_cluster(ProvisioningState::Working))),
        ("running-as-asked", present(running)),
        ("running-otherwise", present(otherwise)),
        ("running-unknown", present(unknown)),
        ("removing", present(observed_cluster(ProvisioningState::Removing))),
        ("broken", present(observed_cluster(ProvisioningState::Broken(because("broken"))))),
        ("unsupported", Err(EngineError::Unsupported("do it"))),
        ("rejected", Err(EngineError::Rejected(because("rejected")))),
        ("denied", Err(EngineError::Denied(because("denied")))),
        ("busy", Err(EngineError::Busy("upgrading".into()))),
        ("throttled", Err(EngineError::Throttled { retry_after: Duration::from_secs(60) })),
        ("unreachable", Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "no answer"))),
    ]
}

/// An operation that was requested an hour ago and has an hour left.
pub(super) fn requested(kind: OperationKind) -> Operation {
    Operation::requested(ClusterId::random(), kind, UserId::random(), ago(HOUR), now() + HOUR)
}

/// The progress that an operation with its call in `step` can have. All operations of one entry must get the same decision.
pub(super) fn progress(kind: &OperationKind, step: StepKind) -> Vec<(&'static str, Vec<Operation>)> {
    let waits_in = if *kind == OperationKind::Destroy { StepKind::Verify } else { StepKind::Wait };
    let unsent = || requested(kind.clone());
    let called = |time| {
        let mut operation = unsent();
        operation.begin(step, time);
        operation
    };
    let held = |until| {
        let mut operation = called(ago(SECOND * 10));
        operation.hold(because("busy"), until);
        operation
    };
    let accepted = |time| {
        let mut operation = called(time - SECOND);
        operation.end_step(StepOutcome::Done, None, time);
        operation
    };
    let then = |mut operation: Operation, step| {
        operation.begin(step, ago(SECOND * 5));
        operation
    };
    let fetching = || then(accepted(ago(HOUR / 2)), StepKind::Kubeconfig);
    let fetch_held = || {
        let mut operation = fetching();
        operation.hold(because("busy"), now() + SECOND);
        operation
    };
    vec![
        ("unsent", vec![unsent(), then(unsent(), waits_in)]),
        ("unanswered", vec![called(ago(SECOND * 10)), called(ago(HOUR / 2))]),
        ("due", vec![held(now()), held(ago(SECOND))]),
        ("held", vec![held(now() + SECOND), held(now() + HOUR)]),
        (
            "settling",
            [now(), ago(SETTLE - SECOND)]
                .into_iter()
                .flat_map(|t| [accepted(t), then(accepted(t), waits_in)])
                .collect(),
        ),
        (
            "accepted",
            [ago(SETTLE), ago(HOUR / 2)].into_iter().flat_map(|t| [accepted(t), then(accepted(t), waits_in)]).collect(),
        ),
        ("fetching", vec![fetching()]),
        ("fetch-held", vec![fetch_held()]),
    ]
}

/// The word for a decision: the step for a call, the step in parentheses for waiting, an exclamation mark and the reason for a failed
/// operation.
pub(super) fn word(step: &Decision) -> String {
    match step {
        Decision::Rest => "rest".into(),
        Decision::Wait(kind) => format!("({})", kind.as_str()),
        Decision::Call(call) => match call {
            Call::Resize(5) => "resize".into(),
            Call::SetNetworkPolicy(to) if *to == policy("CALICO", true) => "set_network_policy".into(),
            Call::Deploy | Call::Destroy | Call::Kubeconfig => call.step().as_str().into(),
            other => format!("{other:?}"),
        },
        Decision::Move(ClusterEvent::Finished) => "well".into(),
        Decision::Move(ClusterEvent::EngineFailed(reason)) => format!("fails:{}", word_of(reason)),
        Decision::Leave => "leave".into(),
        Decision::End { status: OperationStatus::Succeeded, reason: None, event: ClusterEvent::Finished } => {
            "done".into()
        }
        Decision::End { status: OperationStatus::Failed, reason: Some(reason), event } => match event {
            ClusterEvent::EngineFailed(cause) if cause == reason => format!("!{}", word_of(reason)),
            ClusterEvent::TimedOut(cause) if cause == reason => "timed-out".into(),
            _ => format!("{step:?}"),
        },
        Decision::End { status: OperationStatus::Cancelled, reason: Some(reason), event } => match event {
            ClusterEvent::Released => "released".into(),
            ClusterEvent::Stopped(cause) if cause == reason => "stopped".into(),
            _ => format!("{step:?}"),
        },
        other => format!("{other:?}"),
    }
}

fn word_of(reason: &Reason) -> &str {
    let known = [
        (vanished(), "vanished"),
        (being_removed(), "removing"),
        (incomplete(), "incomplete"),
        (interrupted(), "interrupted"),
        (EngineError::Unsupported("do it").reason(), "unsupported"),
    ];
    known.into_iter().find(|(known, _)| known == reason).map_or(&reason.cause, |(_, word)| word)
}
