//! The decision of every turn of the reconciler: from what is stored and what was observed to the one thing to do next. Pure and total;
//! it does no I/O and knows the time only as an argument.
//!
//! What it promises, whatever is stored and whatever providers say:
//! - An unfinished operation ends at its deadline at the latest: every turn from then on is [`Decision::End`] or [`Decision::Leave`].
//! - Every event it proposes is one the cluster's state machine accepts.
//! - A cluster's record leaves only when its provider was read, nothing of it was there, and no call is open that might still make
//!   something. What was attached leaves at once: nothing was made for it.

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
    /// What was made for it; for a cluster at rest it does not matter.
    pub ledger: &'a Ledger,
    /// How it is at its provider, as [`Observation::of`] reads the engine's answer.
    pub observation: &'a Result<Observation, EngineError>,
    /// Now: when the provider was asked. What it said may be that old.
    pub now: DateTime<Utc>,
}

/// A call of an engine.
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
    /// Nothing; look again when it is due.
    Rest,
    /// Nothing but waiting, in that step of the operation.
    Wait(StepKind),
    /// Write down what may come of it, then make this call.
    Call(Call),
    /// The operation ends, and the cluster moves on.
    End {
        /// How the operation ends.
        status: OperationStatus,
        /// Why, if it did not succeed.
        reason: Option<Reason>,
        /// What happens to the cluster.
        event: ClusterEvent,
    },
    /// A cluster at rest has changed on its own.
    Move(ClusterEvent),
    /// Everything is proven to be gone: the record leaves, and the operation has succeeded.
    Leave,
}

fn succeeded() -> Decision {
    Decision::End { status: OperationStatus::Succeeded, reason: None, event: ClusterEvent::Finished }
}

fn failed(reason: Reason) -> Decision {
    let event = ClusterEvent::EngineFailed(reason.clone());
    Decision::End { status: OperationStatus::Failed, reason: Some(reason), event }
}

/// Why a cluster that the provider does not have any more has failed.
fn vanished() -> Reason {
    Reason::new(
        ReasonCode::ClusterMissing,
        "the provider does not have the cluster any more",
        Responsible::Admin,
        "deploy it again by retrying, or destroy it to drop its record",
    )
}

fn being_removed() -> Reason {
    Reason::new(
        ReasonCode::DeletedElsewhere,
        "the cluster is being taken down at the provider, which was not asked for here",
        Responsible::Admin,
        "find out who is deleting it; destroy it here to drop its record",
    )
}

fn incomplete() -> Reason {
    Reason::new(
        ReasonCode::ClusterIncomplete,
        "some of what makes up the cluster is missing at the provider",
        Responsible::Admin,
        "retry to make what is missing, or destroy the cluster",
    )
}

/// Whether a cluster that failed for that reason lacks something at its provider, so that deploying it is what helps.
#[must_use]
pub const fn is_mended_by_deploying(reason: &Reason) -> bool {
    matches!(reason.code, ReasonCode::ClusterMissing | ReasonCode::ClusterIncomplete)
}

/// What to do next.
#[must_use]
pub fn plan(situation: &Situation<'_>) -> Decision {
    let step = match situation.operation.filter(|operation| operation.status.is_unfinished()) {
        None => at_rest(situation),
        Some(operation) => under_way(situation, operation),
    };
    match step {
        // A stored state that does not go with the operation: the end of the operation is a failure of the cluster.
        Decision::End { status, reason, event } if situation.cluster.lifecycle.clone().on(event.clone()).is_err() => {
            let event = ClusterEvent::EngineFailed(reason.clone().unwrap_or_else(interrupted));
            Decision::End { status, reason, event }
        }
        other => other,
    }
}

fn under_way(situation: &Situation<'_>, operation: &Operation) -> Decision {
    let next = match &operation.kind {
        OperationKind::Deploy => deploy(situation, operation),
        OperationKind::Resize { node_count } => {
            let done = |seen: &ObservedCluster| seen.node_count.map(|now| now == *node_count);
            change(situation, operation, Call::Resize(*node_count), done)
        }
        OperationKind::SetNetworkPolicy { policy } => {
            // Who enforces a policy that is off does not matter.
            let done = |seen: &ObservedCluster| {
                let now = seen.network_policy.as_ref()?;
                Some(now.enabled == policy.enabled && (!policy.enabled || now.provider == policy.provider))
            };
            change(situation, operation, Call::SetNetworkPolicy(policy.clone()), done)
        }
        OperationKind::Destroy => destroy(situation, operation),
        OperationKind::Detach => Decision::Leave,
    };
    match next {
        // It is over anyway.
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

/// Whether what the provider accepted in a step may not show there yet. What does not show afterwards is asked for again.
fn is_settling(operation: &Operation, step: StepKind, now: DateTime<Utc>) -> bool {
    operation.accepted_at(step).is_some_and(|at| now - at < SETTLE)
}

/// Whether a failure that the provider shows may be from before what it accepted in a step: until it was seen at work on that.
fn is_from_before(operation: &Operation, step: StepKind, now: DateTime<Utc>) -> bool {
    !operation.was_taken_up && is_settling(operation, step, now)
}

/// Waits in the step that is under way, or in `otherwise` if none is.
fn stay(operation: &Operation, otherwise: StepKind) -> Decision {
    Decision::Wait(operation.current().map_or(otherwise, |step| step.kind))
}

/// What a look that failed means for an operation that was begun: waiting, unless the provider refuses us and nothing was sent yet.
fn unseen(operation: &Operation, error: &EngineError) -> Decision {
    match error {
        EngineError::Unsupported(_) | EngineError::NotOffered => failed(error.reason()),
        EngineError::Denied(reason) | EngineError::Rejected(reason) if !operation.has_sent() => failed(reason.clone()),
        EngineError::Denied(_)
        | EngineError::Rejected(_)
        | EngineError::Busy(_)
        | EngineError::Throttled { .. }
        | EngineError::Unreachable(_)
        | EngineError::Missing => stay(operation, StepKind::Wait),
    }
}

fn deploy(situation: &Situation<'_>, operation: &Operation) -> Decision {
    let now = situation.now;
    let seen = match situation.observation {
        Ok(Observation::Present(seen)) => seen,
        Ok(Observation::Absent) => {
            return if is_settling(operation, StepKind::Create, now) {
                Decision::Wait(StepKind::Wait)
            } else {
                Decision::Call(Call::Deploy)
            };
        }
        Err(error) => return unseen(operation, error),
    };
    match &seen.state {
        ProvisioningState::Working | ProvisioningState::Removing => Decision::Wait(StepKind::Wait),
        ProvisioningState::Incomplete => Decision::Call(Call::Deploy),
        ProvisioningState::Running if situation.cluster.has_kubeconfig => succeeded(),
        ProvisioningState::Running => Decision::Call(Call::Kubeconfig),
        // What was broken before is asked for again once; what breaks after that stays broken.
        ProvisioningState::Broken(_) if operation.accepted_at(StepKind::Create).is_none() => {
            Decision::Call(Call::Deploy)
        }
        ProvisioningState::Broken(_) if is_from_before(operation, StepKind::Create, now) => {
            Decision::Wait(StepKind::Wait)
        }
        ProvisioningState::Broken(reason) => failed(reason.clone()),
    }
}

/// Resizing and the like: `done` tells whether the provider shows what was asked for, or `None` where it cannot tell.
fn change(
    situation: &Situation<'_>,
    operation: &Operation,
    call: Call,
    done: impl Fn(&ObservedCluster) -> Option<bool>,
) -> Decision {
    let step = call.step();
    let seen = match situation.observation {
        Ok(Observation::Present(seen)) => seen,
        Ok(Observation::Absent) => return failed(vanished()),
        Err(error) => return unseen(operation, error),
    };
    let accepted = operation.accepted_at(step).is_some();
    match &seen.state {
        // It may work on something else: only an answer tells that it has accepted what we ask for.
        ProvisioningState::Working => stay(operation, StepKind::Wait),
        ProvisioningState::Removing => failed(being_removed()),
        ProvisioningState::Incomplete => failed(incomplete()),
        ProvisioningState::Running => match done(seen) {
            Some(true) => succeeded(),
            _ if is_settling(operation, step, situation.now) => Decision::Wait(StepKind::Wait),
            None if accepted => succeeded(),
            Some(false) | None => Decision::Call(call),
        },
        ProvisioningState::Broken(_) if is_from_before(operation, step, situation.now) => {
            Decision::Wait(StepKind::Wait)
        }
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
        Ok(Observation::Present(seen)) => match seen.state {
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
        // Until the deadline: what stands in the way may be put right meanwhile.
        Err(_) => stay(operation, StepKind::Verify),
    }
}

/// Somebody stopped it, and it is not over by itself.
fn cancelled(situation: &Situation<'_>, operation: &Operation) -> Decision {
    let reason =
        |cause: String, next_step: &str| Reason::new(ReasonCode::Cancelled, cause, Responsible::Requester, next_step);
    let exists: Vec<String> = situation.ledger.remaining().map(|row| row.resource.name.to_string()).collect();
    let exists = if exists.is_empty() {
        "nothing was made at the provider".to_owned()
    } else {
        format!("what may exist at the provider: {}", exists.join(", "))
    };
    let (reason, event) = match &operation.kind {
        OperationKind::Deploy => {
            let reason = reason(
                format!("deploying was cancelled; {exists}"),
                "retry to go on making it, or destroy the cluster",
            );
            (reason.clone(), ClusterEvent::Stopped(reason))
        }
        kind @ (OperationKind::Resize { .. } | OperationKind::SetNetworkPolicy { .. }) => {
            let reason = reason(format!("the request to {} was cancelled", kind.infinitive()), "retry to ask again");
            (reason, ClusterEvent::Released)
        }
        OperationKind::Destroy | OperationKind::Detach if !operation.has_sent() => {
            (reason("destroying was cancelled before it began".to_owned(), ""), ClusterEvent::Released)
        }
        OperationKind::Destroy | OperationKind::Detach => {
            let reason = reason(format!("destroying was cancelled; {exists}"), "retry to go on destroying it");
            (reason.clone(), ClusterEvent::Stopped(reason))
        }
    };
    Decision::End { status: OperationStatus::Cancelled, reason: Some(reason), event }
}

/// The deadline has passed, and it is not over by itself.
fn overdue(situation: &Situation<'_>, operation: &Operation) -> Decision {
    let waited = (operation.deadline - operation.requested_at).num_seconds();
    let last = operation.current().and_then(|step| step.reason.clone());
    let reason = match (situation.observation, last) {
        (Err(error), _) => error.reason(),
        (Ok(_), Some(last)) => last,
        (Ok(observation), None) => {
            let says = match observation {
                Observation::Absent => "the provider does not have the cluster".to_owned(),
                Observation::Present(seen) if seen.message.is_empty() => "the provider is not done".to_owned(),
                Observation::Present(seen) => format!("the provider says: {}", seen.message),
            };
            Reason::new(ReasonCode::DeadlineExceeded, says, Responsible::Provider, "")
        }
    };
    let reason = Reason {
        code: ReasonCode::DeadlineExceeded,
        cause: format!("waited {waited} s to {}: {}", operation.kind.infinitive(), reason.cause),
        next_step: "retry when that is put right; an admin can forget the cluster".to_owned(),
        ..reason
    };
    let event = ClusterEvent::TimedOut(reason.clone());
    // A cluster at rest, whose operation should have ended long ago, has no deadline to miss.
    let event =
        if situation.cluster.lifecycle.is_transient() { event } else { ClusterEvent::EngineFailed(reason.clone()) };
    Decision::End { status: OperationStatus::Failed, reason: Some(reason), event }
}

fn at_rest(situation: &Situation<'_>) -> Decision {
    let cluster = situation.cluster;
    let condition = match situation.observation {
        Ok(Observation::Absent) => None,
        Ok(Observation::Present(seen)) => Some(&seen.state),
        Err(_) if cluster.lifecycle.is_transient() => return Decision::Move(ClusterEvent::EngineFailed(interrupted())),
        Err(_) => return Decision::Rest,
    };
    match (&cluster.lifecycle, condition) {
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

/// A failed cluster that runs is well again, unless somebody stopped its making or wants it gone. What was cancelled and left it as it
/// was has no part in that.
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

/// Something was under way that nothing is known of.
fn interrupted() -> Reason {
    Reason::new(
        ReasonCode::OperationLost,
        "something was being done to the cluster that is not on record any more",
        Responsible::Admin,
        "retry, or destroy the cluster",
    )
}

#[cfg(test)]
mod tests;
