//! The decision of every reconciliation: from what is stored and observed to what is done next. A pure, total function: no I/O, and the
//! time is an argument.
//!
//! Guarantees, whatever is stored and whatever providers answer:
//! - An unfinished operation ends at its deadline at the latest: from then on every decision is [`Decision::End`] or [`Decision::Leave`].
//! - The cluster's state machine accepts every event it returns.
//! - A cluster's record is removed only when its provider was read, has nothing of it, and no earlier call can still create resources.
//!   An attached cluster is removed at once: nothing was created for it.

use chrono::{DateTime, Utc};

use super::{Cluster, ClusterEvent, Lifecycle};
use crate::{
    ledger::{Ledger, SETTLE},
    observation::{EngineError, Observation, ObservedCluster, ProvisioningState},
    operation::{Operation, OperationKind, OperationStatus, StepKind},
    reason::{Reason, ReasonCode, Responsible},
};

/// Everything the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The cluster as stored.
    pub cluster: &'a Cluster,
    /// Its newest operation.
    pub operation: Option<&'a Operation>,
    /// The resource records. Not used without a running operation.
    pub ledger: &'a Ledger,
    /// Its state at the provider, as [`Observation::of`] reads the engine's answer.
    pub observation: &'a Result<Observation, EngineError>,
    /// When the provider was asked. Its answer may be that old.
    pub now: DateTime<Utc>,
}

/// A call to an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `deploy`
    Deploy,
    /// `resize`
    Resize(u32),
    /// `set_network_policy`
    SetNetworkPolicy(crate::operation::NetworkPolicy),
    /// `destroy`
    Destroy,
    /// `kubeconfig`
    Kubeconfig,
}

impl Call {
    /// The step of an operation that makes this call.
    #[must_use]
    pub const fn step(&self) -> StepKind {
        match self {
            Self::Deploy => StepKind::Create,
            Self::Resize(_) => StepKind::Resize,
            Self::SetNetworkPolicy(_) => StepKind::SetNetworkPolicy,
            Self::Destroy => StepKind::Delete,
            Self::Kubeconfig => StepKind::Kubeconfig,
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing; observe again at the regular interval.
    Rest,
    /// Wait, in this step of the operation.
    Wait(StepKind),
    /// Record the possible effects, then make this call.
    Call(Call),
    /// End the operation and apply the event to the cluster.
    End {
        /// How the operation ends.
        status: OperationStatus,
        /// Why, if it did not succeed.
        reason: Option<Reason>,
        /// The event of the cluster.
        event: ClusterEvent,
    },
    /// Apply the event to the cluster, which changed at its provider without a running operation.
    Move(ClusterEvent),
    /// Nothing is left at the provider: remove the record and end the operation as succeeded.
    Leave,
}

fn succeeded() -> Decision {
    Decision::End { status: OperationStatus::Succeeded, reason: None, event: ClusterEvent::Finished }
}

fn failed(reason: Reason) -> Decision {
    let event = ClusterEvent::EngineFailed(reason.clone());
    Decision::End { status: OperationStatus::Failed, reason: Some(reason), event }
}

/// The provider does not have the cluster any more.
fn vanished() -> Reason {
    Reason::new(
        ReasonCode::ClusterMissing,
        "the cluster no longer exists at the provider",
        Responsible::Admin,
        "retry to deploy it again, or destroy it to remove its record",
    )
}

fn being_removed() -> Reason {
    Reason::new(
        ReasonCode::DeletedElsewhere,
        "the cluster is being deleted at the provider, but the deletion was not requested in KQueen",
        Responsible::Admin,
        "find out who is deleting it; destroy it in KQueen to remove its record",
    )
}

fn incomplete() -> Reason {
    Reason::new(
        ReasonCode::ClusterIncomplete,
        "some resources of the cluster are missing at the provider",
        Responsible::Admin,
        "retry to create the missing resources, or destroy the cluster",
    )
}

/// Whether resources are missing at the provider, so that deploying repairs the cluster.
#[must_use]
pub const fn is_repaired_by_deploying(reason: &Reason) -> bool {
    matches!(reason.code, ReasonCode::ClusterMissing | ReasonCode::ClusterIncomplete)
}

/// What to do next.
#[must_use]
pub fn plan(situation: &Situation<'_>) -> Decision {
    let decision = match situation.operation.filter(|operation| operation.status.is_unfinished()) {
        None => without_operation(situation),
        Some(operation) => with_operation(situation, operation),
    };
    match decision {
        // The stored state does not match the operation: the cluster fails when the operation ends.
        Decision::End { status, reason, event } if situation.cluster.lifecycle.clone().on(event.clone()).is_err() => {
            let event = ClusterEvent::EngineFailed(reason.clone().unwrap_or_else(interrupted));
            Decision::End { status, reason, event }
        }
        other => other,
    }
}

fn with_operation(situation: &Situation<'_>, operation: &Operation) -> Decision {
    let next = match &operation.kind {
        OperationKind::Deploy => deploy(situation, operation),
        OperationKind::Resize { node_count } => {
            let done = |observed: &ObservedCluster| observed.node_count.map(|now| now == *node_count);
            change(situation, operation, Call::Resize(*node_count), done)
        }
        OperationKind::SetNetworkPolicy { policy } => {
            // The provider of a disabled policy does not matter.
            let done = |observed: &ObservedCluster| {
                let now = observed.network_policy.as_ref()?;
                Some(now.enabled == policy.enabled && (!policy.enabled || now.provider == policy.provider))
            };
            change(situation, operation, Call::SetNetworkPolicy(policy.clone()), done)
        }
        OperationKind::Destroy => destroy(situation, operation),
        OperationKind::Detach => Decision::Leave,
    };
    match next {
        // It ends anyway.
        Decision::End { .. } | Decision::Leave => next,
        Decision::Rest | Decision::Wait(_) | Decision::Call(_) | Decision::Move(_) => {
            if operation.cancel.is_some() {
                cancelled(situation, operation)
            } else if situation.now >= operation.deadline {
                overdue(situation, operation)
            } else if let Decision::Call(call) = &next
                && operation.next_attempt_at.is_some_and(|at| at > situation.now)
            {
                Decision::Wait(call.step())
            } else {
                next
            }
        }
    }
}

/// Whether the provider may not show yet what it accepted in a step. What it does not show after that time is requested again.
fn is_settling(operation: &Operation, step: StepKind, now: DateTime<Utc>) -> bool {
    operation.accepted_at(step).is_some_and(|at| now - at < SETTLE)
}

/// Whether a failure that the provider shows may be older than what it accepted in a step: until it was observed working on that.
fn may_be_older(operation: &Operation, step: StepKind, now: DateTime<Utc>) -> bool {
    !operation.was_taken_up && is_settling(operation, step, now)
}

/// Waits in the current step, or in `default` if there is none.
fn keep_waiting(operation: &Operation, default: StepKind) -> Decision {
    Decision::Wait(operation.current().map_or(default, |step| step.kind))
}

/// The decision when the observation failed: wait, unless the provider denies access and no call was made yet.
fn without_observation(operation: &Operation, error: &EngineError) -> Decision {
    match error {
        EngineError::Unsupported(_) | EngineError::NotOffered => failed(error.reason()),
        EngineError::Denied(reason) | EngineError::Rejected(reason) if !operation.has_sent() => failed(reason.clone()),
        EngineError::Denied(_)
        | EngineError::Rejected(_)
        | EngineError::Busy(_)
        | EngineError::Throttled { .. }
        | EngineError::Unreachable(_)
        | EngineError::Missing => keep_waiting(operation, StepKind::Wait),
    }
}

fn deploy(situation: &Situation<'_>, operation: &Operation) -> Decision {
    let now = situation.now;
    let observed = match situation.observation {
        Ok(Observation::Present(observed)) => observed,
        Ok(Observation::Absent) => {
            return if is_settling(operation, StepKind::Create, now) {
                Decision::Wait(StepKind::Wait)
            } else {
                Decision::Call(Call::Deploy)
            };
        }
        Err(error) => return without_observation(operation, error),
    };
    match &observed.state {
        ProvisioningState::Working | ProvisioningState::Removing => Decision::Wait(StepKind::Wait),
        ProvisioningState::Incomplete => Decision::Call(Call::Deploy),
        ProvisioningState::Running if situation.cluster.has_kubeconfig => succeeded(),
        ProvisioningState::Running => Decision::Call(Call::Kubeconfig),
        // Deploying is requested once more for a cluster that was broken before; if it breaks after that, the operation fails.
        ProvisioningState::Broken(_) if operation.accepted_at(StepKind::Create).is_none() => {
            Decision::Call(Call::Deploy)
        }
        ProvisioningState::Broken(_) if may_be_older(operation, StepKind::Create, now) => {
            Decision::Wait(StepKind::Wait)
        }
        ProvisioningState::Broken(reason) => failed(reason.clone()),
    }
}

/// Resizing and the like: `done` is whether the provider shows the requested value, or `None` if it does not report it.
fn change(
    situation: &Situation<'_>,
    operation: &Operation,
    call: Call,
    done: impl Fn(&ObservedCluster) -> Option<bool>,
) -> Decision {
    let step = call.step();
    let observed = match situation.observation {
        Ok(Observation::Present(observed)) => observed,
        Ok(Observation::Absent) => return failed(vanished()),
        Err(error) => return without_observation(operation, error),
    };
    let accepted = operation.accepted_at(step).is_some();
    match &observed.state {
        // It may be working on something else: only the answer to the call shows that it accepted the request.
        ProvisioningState::Working => keep_waiting(operation, StepKind::Wait),
        ProvisioningState::Removing => failed(being_removed()),
        ProvisioningState::Incomplete => failed(incomplete()),
        ProvisioningState::Running => match done(observed) {
            Some(true) => succeeded(),
            _ if is_settling(operation, step, situation.now) => Decision::Wait(StepKind::Wait),
            None if accepted => succeeded(),
            Some(false) | None => Decision::Call(call),
        },
        ProvisioningState::Broken(_) if may_be_older(operation, step, situation.now) => Decision::Wait(StepKind::Wait),
        ProvisioningState::Broken(reason) if accepted => failed(reason.clone()),
        ProvisioningState::Broken(_) => Decision::Call(call),
    }
}

fn destroy(situation: &Situation<'_>, operation: &Operation) -> Decision {
    let now = situation.now;
    match situation.observation {
        Ok(Observation::Absent) => {
            if situation.ledger.is_uncertain(now) {
                Decision::Wait(StepKind::Verify)
            } else {
                Decision::Leave
            }
        }
        Ok(Observation::Present(observed)) => match observed.state {
            ProvisioningState::Removing => Decision::Wait(StepKind::Verify),
            ProvisioningState::Working
            | ProvisioningState::Running
            | ProvisioningState::Incomplete
            | ProvisioningState::Broken(_) => {
                if is_settling(operation, StepKind::Delete, now) {
                    Decision::Wait(StepKind::Verify)
                } else {
                    Decision::Call(Call::Destroy)
                }
            }
        },
        // Retry until the deadline: the obstacle may be removed meanwhile.
        Err(_) => keep_waiting(operation, StepKind::Verify),
    }
}

/// The operation was cancelled and has not ended otherwise.
fn cancelled(situation: &Situation<'_>, operation: &Operation) -> Decision {
    let reason =
        |cause: String, next_step: &str| Reason::new(ReasonCode::Cancelled, cause, Responsible::Requester, next_step);
    let exists: Vec<String> = situation.ledger.remaining().map(|record| record.resource.name.to_string()).collect();
    let exists = if exists.is_empty() {
        "nothing was created at the provider".to_owned()
    } else {
        format!("resources that may exist at the provider: {}", exists.join(", "))
    };
    let (reason, event) = match &operation.kind {
        OperationKind::Deploy => {
            let reason = reason(
                format!("the deployment was cancelled; {exists}"),
                "retry to continue the deployment, or destroy the cluster",
            );
            (reason.clone(), ClusterEvent::Stopped(reason))
        }
        kind @ (OperationKind::Resize { .. } | OperationKind::SetNetworkPolicy { .. }) => {
            let reason =
                reason(format!("the request to {} was cancelled", kind.infinitive()), "retry to request it again");
            (reason, ClusterEvent::Released)
        }
        OperationKind::Destroy | OperationKind::Detach if !operation.has_sent() => {
            (reason("the deletion was cancelled before it started".to_owned(), ""), ClusterEvent::Released)
        }
        OperationKind::Destroy | OperationKind::Detach => {
            let reason = reason(format!("the deletion was cancelled; {exists}"), "retry to continue the deletion");
            (reason.clone(), ClusterEvent::Stopped(reason))
        }
    };
    Decision::End { status: OperationStatus::Cancelled, reason: Some(reason), event }
}

/// The deadline has passed, and the operation has not ended otherwise.
fn overdue(situation: &Situation<'_>, operation: &Operation) -> Decision {
    let waited = (operation.deadline - operation.requested_at).num_seconds();
    let last = operation.current().and_then(|step| step.reason.clone());
    let reason = match (situation.observation, last) {
        (Err(error), _) => error.reason(),
        (Ok(_), Some(last)) => last,
        (Ok(observation), None) => {
            let text = match observation {
                Observation::Absent => "the cluster does not exist at the provider".to_owned(),
                Observation::Present(observed) if observed.message.is_empty() => {
                    "the provider has not finished".to_owned()
                }
                Observation::Present(observed) => format!("the provider reports: {}", observed.message),
            };
            Reason::new(ReasonCode::DeadlineExceeded, text, Responsible::Provider, "")
        }
    };
    let reason = Reason {
        code: ReasonCode::DeadlineExceeded,
        cause: format!(
            "the operation to {} did not finish within {waited} s: {}",
            operation.kind.infinitive(),
            reason.cause
        ),
        next_step: "retry when the problem is fixed; an admin can forget the cluster".to_owned(),
        ..reason
    };
    let event = ClusterEvent::TimedOut(reason.clone());
    // Only a transient state can time out; the stored state may not match the operation.
    let event =
        if situation.cluster.lifecycle.is_transient() { event } else { ClusterEvent::EngineFailed(reason.clone()) };
    Decision::End { status: OperationStatus::Failed, reason: Some(reason), event }
}

fn without_operation(situation: &Situation<'_>) -> Decision {
    let cluster = situation.cluster;
    let state = match situation.observation {
        Ok(Observation::Absent) => None,
        Ok(Observation::Present(observed)) => Some(&observed.state),
        Err(_) if cluster.lifecycle.is_transient() => return Decision::Move(ClusterEvent::EngineFailed(interrupted())),
        Err(_) => return Decision::Rest,
    };
    match (&cluster.lifecycle, state) {
        (Lifecycle::Deploying | Lifecycle::Updating | Lifecycle::Destroying, _) => {
            Decision::Move(ClusterEvent::EngineFailed(interrupted()))
        }
        (Lifecycle::Ready, None) => Decision::Move(ClusterEvent::EngineFailed(vanished())),
        (Lifecycle::Ready, Some(ProvisioningState::Running)) if !cluster.has_kubeconfig => {
            Decision::Call(Call::Kubeconfig)
        }
        (Lifecycle::Ready, Some(ProvisioningState::Running | ProvisioningState::Working)) => Decision::Rest,
        (Lifecycle::Ready, Some(ProvisioningState::Broken(reason))) => {
            Decision::Move(ClusterEvent::EngineFailed(reason.clone()))
        }
        (Lifecycle::Ready, Some(ProvisioningState::Removing)) => {
            Decision::Move(ClusterEvent::EngineFailed(being_removed()))
        }
        (Lifecycle::Ready, Some(ProvisioningState::Incomplete)) => {
            Decision::Move(ClusterEvent::EngineFailed(incomplete()))
        }
        (Lifecycle::Failed { .. }, Some(ProvisioningState::Running)) if may_recover(situation.operation) => {
            if cluster.has_kubeconfig {
                Decision::Move(ClusterEvent::Finished)
            } else {
                Decision::Call(Call::Kubeconfig)
            }
        }
        (Lifecycle::Failed { .. }, _) => Decision::Rest,
    }
}

/// A failed cluster that runs becomes ready again, unless its deployment was cancelled or it is to be destroyed. A cancelled operation
/// without effect does not prevent that.
fn may_recover(operation: Option<&Operation>) -> bool {
    operation.is_none_or(|operation| {
        let cancelled = operation.status == OperationStatus::Cancelled;
        match &operation.kind {
            OperationKind::Deploy => !cancelled,
            OperationKind::Resize { .. } | OperationKind::SetNetworkPolicy { .. } => true,
            OperationKind::Destroy | OperationKind::Detach => cancelled && !operation.has_sent(),
        }
    })
}

/// The state is transient, but there is no unfinished operation.
fn interrupted() -> Reason {
    Reason::new(
        ReasonCode::OperationLost,
        "an operation on the cluster was interrupted and is no longer on record",
        Responsible::Admin,
        "retry, or destroy the cluster",
    )
}

#[cfg(test)]
mod tests;
