//! Operations on a cluster: requested changes, done in steps, with a deadline. They are stored, so that another leader can continue
//! them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{ClusterId, OperationId, UserId},
    reason::Reason,
};

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// Deploys the cluster at its provider.
    Deploy,
    /// Changes the number of nodes.
    Resize {
        /// The new number.
        node_count: u32,
    },
    /// Sets the network policy.
    SetNetworkPolicy {
        /// The new policy.
        policy: NetworkPolicy,
    },
    /// Destroys the cluster at its provider, then removes its record.
    Destroy,
    /// Removes the record of an attached cluster.
    Detach,
}

/// Network policy of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NetworkPolicy {
    /// What enforces it, for example `CALICO`.
    pub provider: String,
    /// Whether it is on.
    pub enabled: bool,
}

impl OperationKind {
    /// The value in the API.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Resize { .. } => "resize",
            Self::SetNetworkPolicy { .. } => "set_network_policy",
            Self::Destroy => "destroy",
            Self::Detach => "detach",
        }
    }

    /// The action, for the middle of a sentence: "to …".
    #[must_use]
    pub fn infinitive(&self) -> String {
        match self {
            Self::Deploy => "deploy the cluster".into(),
            Self::Resize { node_count } => format!("resize the cluster to {node_count} nodes"),
            Self::SetNetworkPolicy { policy } => {
                let turned = if policy.enabled { "on" } else { "off" };
                format!("turn network policy {turned} ({})", policy.provider)
            }
            Self::Destroy => "destroy the cluster".into(),
            Self::Detach => "detach the cluster".into(),
        }
    }
}

/// The status of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationStatus {
    /// Requested, not started.
    Pending,
    /// Started, not ended.
    Running,
    /// Ended successfully.
    Succeeded,
    /// Failed, or exceeded its deadline.
    Failed,
    /// Cancelled by a user.
    Cancelled,
}

impl OperationStatus {
    /// The value in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it has not ended.
    #[must_use]
    pub const fn is_unfinished(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// Requests the deployment from the provider.
    Create,
    /// Requests another number of nodes.
    Resize,
    /// Requests a change of the network policy.
    SetNetworkPolicy,
    /// Requests the deletion of the cluster.
    Delete,
    /// Waits for the provider.
    Wait,
    /// Fetches the kubeconfig.
    Kubeconfig,
    /// Verifies that nothing is left.
    Verify,
}

impl StepKind {
    /// The value in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Resize => "resize",
            Self::SetNetworkPolicy => "set_network_policy",
            Self::Delete => "delete",
            Self::Wait => "wait",
            Self::Kubeconfig => "kubeconfig",
            Self::Verify => "verify",
        }
    }

    /// Whether it changes something at the provider.
    #[must_use]
    pub const fn changes_something(self) -> bool {
        match self {
            Self::Create | Self::Resize | Self::SetNetworkPolicy | Self::Delete => true,
            Self::Wait | Self::Kubeconfig | Self::Verify => false,
        }
    }

    /// A caption for people.
    #[must_use]
    pub const fn caption(self) -> &'static str {
        match self {
            Self::Create => "create the cluster at the provider",
            Self::Resize => "change the number of nodes at the provider",
            Self::SetNetworkPolicy => "change the network policy at the provider",
            Self::Delete => "delete the cluster at the provider",
            Self::Wait => "wait for the provider",
            Self::Kubeconfig => "fetch the kubeconfig",
            Self::Verify => "verify that no resources are left",
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepOutcome {
    /// Succeeded.
    Done,
    /// Failed.
    Failed,
    /// Ended because the operation was cancelled.
    Stopped,
}

impl StepOutcome {
    /// The value in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// A step that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub kind: StepKind,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// The number of attempts.
    pub tries: u32,
    /// When the last attempt was made.
    pub tried_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<StepOutcome>,
    /// Why it failed, or why it has not succeeded so far.
    pub reason: Option<Reason>,
}

/// How many steps of one operation are kept: the first ones, the newest, and the newest of each kind.
pub const STEPS: usize = 40;

/// A requested change of a cluster. A cluster has at most one unfinished operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// The cluster.
    pub cluster: ClusterId,
    /// What it does.
    pub kind: OperationKind,
    /// Who requested it.
    pub requested_by: UserId,
    /// When it was requested.
    pub requested_at: DateTime<Utc>,
    /// When it fails if it has not ended.
    pub deadline: DateTime<Utc>,
    /// Its status.
    pub status: OperationStatus,
    /// The number of the attempt: 1, or more after retries.
    pub attempt: u32,
    /// The number of consecutive failed calls.
    pub failures: u32,
    /// Whether the provider was observed working since the last call: from then on its state is not older than the call.
    pub was_taken_up: bool,
    /// The provider is not called again before this time.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Who cancelled it, and when.
    pub cancel: Option<(UserId, DateTime<Utc>)>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it failed or was cancelled.
    pub reason: Option<Reason>,
    /// Its steps so far.
    pub steps: Vec<Step>,
}

impl Operation {
    /// A new operation.
    #[must_use]
    pub fn requested(
        cluster: ClusterId,
        kind: OperationKind,
        by: UserId,
        now: DateTime<Utc>,
        deadline: DateTime<Utc>,
    ) -> Self {
        Self {
            id: OperationId::random(),
            cluster,
            kind,
            requested_by: by,
            requested_at: now,
            deadline,
            status: OperationStatus::Pending,
            attempt: 1,
            failures: 0,
            was_taken_up: false,
            next_attempt_at: None,
            cancel: None,
            ended_at: None,
            reason: None,
            steps: Vec::new(),
        }
    }

    /// The current step.
    #[must_use]
    pub fn current(&self) -> Option<&Step> {
        self.steps.last().filter(|step| step.ended_at.is_none())
    }

    /// The newest step of a kind.
    #[must_use]
    pub fn newest(&self, kind: StepKind) -> Option<&Step> {
        self.steps.iter().rev().find(|step| step.kind == kind)
    }

    /// When the provider last accepted the call of a step.
    #[must_use]
    pub fn accepted_at(&self, kind: StepKind) -> Option<DateTime<Utc>> {
        self.newest(kind).filter(|step| step.outcome == Some(StepOutcome::Done)).and_then(|step| step.ended_at)
    }

    /// Whether a call was sent that changes something at the provider.
    #[must_use]
    pub fn has_sent(&self) -> bool {
        self.steps.iter().any(|step| step.kind.changes_something())
    }

    /// Records that the provider was observed working.
    pub fn note_progress(&mut self) {
        self.was_taken_up = self.has_sent();
    }

    /// Starts a step, or a new attempt at the current one. A current step of another kind ends.
    pub fn begin(&mut self, kind: StepKind, now: DateTime<Utc>) {
        self.status = OperationStatus::Running;
        if kind.changes_something() {
            self.was_taken_up = false;
        }
        match self.steps.last_mut().filter(|step| step.ended_at.is_none()) {
            Some(step) if step.kind == kind => {
                step.tries = step.tries.saturating_add(1);
                step.tried_at = now;
            }
            current => {
                // The next step shows that an unanswered call took effect. One with an error did not.
                if let Some(reason) = current.and_then(|step| step.reason.take()) {
                    self.end_step(StepOutcome::Failed, Some(reason), now);
                } else {
                    self.end_step(StepOutcome::Done, None, now);
                }
                if self.steps.len() >= STEPS {
                    self.drop_step();
                }
                self.steps.push(Step {
                    kind,
                    started_at: now,
                    tries: 1,
                    tried_at: now,
                    ended_at: None,
                    outcome: None,
                    reason: None,
                });
            }
        }
    }

    /// Drops the oldest step after the first ones, but never the newest of its kind, which says what the provider was asked and has
    /// accepted.
    fn drop_step(&mut self) {
        let has_newer = |at: &usize| self.steps[at + 1..].iter().any(|later| later.kind == self.steps[*at].kind);
        // There are fewer kinds than steps in the newer half, so one is found.
        if let Some(at) = (STEPS / 2..self.steps.len()).find(has_newer) {
            self.steps.remove(at);
        }
    }

    /// Ends the current step, if there is one.
    pub fn end_step(&mut self, outcome: StepOutcome, reason: Option<Reason>, now: DateTime<Utc>) {
        if let Some(step) = self.steps.last_mut().filter(|step| step.ended_at.is_none()) {
            step.ended_at = Some(now);
            step.outcome = Some(outcome);
            step.reason = reason;
        }
        if outcome == StepOutcome::Done {
            self.failures = 0;
            self.next_attempt_at = None;
        }
    }

    /// Records that the current step failed and is retried later.
    pub fn hold(&mut self, reason: Reason, again_at: DateTime<Utc>) {
        self.failures = self.failures.saturating_add(1);
        self.next_attempt_at = Some(again_at);
        if let Some(step) = self.steps.last_mut().filter(|step| step.ended_at.is_none()) {
            step.reason = Some(reason);
        }
    }

    /// Ends the operation.
    pub fn end(&mut self, status: OperationStatus, reason: Option<Reason>, now: DateTime<Utc>) {
        let outcome = match status {
            OperationStatus::Succeeded => StepOutcome::Done,
            OperationStatus::Cancelled => StepOutcome::Stopped,
            OperationStatus::Failed | OperationStatus::Pending | OperationStatus::Running => StepOutcome::Failed,
        };
        self.end_step(outcome, reason.clone(), now);
        self.status = status;
        self.reason = reason;
        self.next_attempt_at = None;
        self.ended_at = Some(now);
    }
}

#[cfg(test)]
mod tests;
