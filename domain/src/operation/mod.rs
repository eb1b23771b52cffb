//! Operations: what was asked to be done to a cluster, step by step, with an end by a deadline. They survive us: what runs is
//! stored, and whoever leads next carries on.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{ClusterId, OperationId, UserId},
    reason::Reason,
};

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OperationKind {
    /// Makes the cluster at its provider.
    Deploy,
    /// Changes the number of nodes.
    Resize {
        /// To how many.
        node_count: u32,
    },
    /// Switches network policy.
    SetNetworkPolicy {
        /// To what.
        policy: NetworkPolicy,
    },
    /// Takes the cluster down at its provider, and then drops its record.
    Destroy,
    /// Drops the record of an attached cluster.
    Detach,
}

/// Network policy of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NetworkPolicy {
    /// Who enforces it: `CALICO`, for example.
    pub provider: String,
    /// On or off.
    pub enabled: bool,
}

impl OperationKind {
    /// The word programs use.
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

    /// What is done, for the middle of a sentence: "to …".
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

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationStatus {
    /// Asked for; nothing was done yet.
    Pending,
    /// Under way.
    Running,
    /// Done.
    Succeeded,
    /// It could not be done, or not in time.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl OperationStatus {
    /// The word programs use.
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

    /// Whether there is something left to do.
    #[must_use]
    pub const fn is_unfinished(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Asks the provider to make the cluster.
    Create,
    /// Asks the provider for another number of nodes.
    Resize,
    /// Asks the provider to switch network policy.
    SetNetworkPolicy,
    /// Asks the provider to take the cluster down.
    Delete,
    /// Waits for the provider to do what it was asked.
    Wait,
    /// Fetches the kubeconfig.
    Kubeconfig,
    /// Makes sure that nothing is left.
    Verify,
}

impl StepKind {
    /// The word programs use.
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

    /// Whether it asks the provider to change something.
    #[must_use]
    pub const fn changes_something(self) -> bool {
        match self {
            Self::Create | Self::Resize | Self::SetNetworkPolicy | Self::Delete => true,
            Self::Wait | Self::Kubeconfig | Self::Verify => false,
        }
    }

    /// What it does, for people.
    #[must_use]
    pub const fn caption(self) -> &'static str {
        match self {
            Self::Create => "ask the provider to make the cluster",
            Self::Resize => "ask the provider for another number of nodes",
            Self::SetNetworkPolicy => "ask the provider to switch network policy",
            Self::Delete => "ask the provider to take the cluster down",
            Self::Wait => "wait for the provider",
            Self::Kubeconfig => "fetch the kubeconfig",
            Self::Verify => "make sure that nothing is left",
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// Done.
    Done,
    /// Not done.
    Failed,
    /// Left when the operation was stopped.
    Stopped,
}

impl StepOutcome {
    /// The word programs use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// A step that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it does.
    pub kind: StepKind,
    /// When it was begun.
    pub started_at: DateTime<Utc>,
    /// How often it was tried.
    pub tries: u32,
    /// When it was last tried.
    pub tried_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<StepOutcome>,
    /// Why it failed, or why it has not succeeded so far.
    pub reason: Option<Reason>,
}

/// Most steps that are kept of one operation: the first ones, the newest, and the newest of each kind.
pub const STEPS: usize = 40;

/// Something that was asked to be done to a cluster. A cluster has at most one that is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Identity.
    pub id: OperationId,
    /// The cluster.
    pub cluster: ClusterId,
    /// What is done.
    pub kind: OperationKind,
    /// Who asked.
    pub requested_by: UserId,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// By when it ends, one way or the other.
    pub deadline: DateTime<Utc>,
    /// Where it stands.
    pub status: OperationStatus,
    /// Which attempt this is: 1, or more when it was retried.
    pub attempt: u32,
    /// How often in a row a call has not succeeded.
    pub failures: u32,
    /// Whether the provider has been seen at work since it was last asked for something: what it says from then on is not from before.
    pub was_taken_up: bool,
    /// Not before then is the provider called again.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Who asked for it to be stopped, and when.
    pub cancel: Option<(UserId, DateTime<Utc>)>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it failed or was stopped.
    pub reason: Option<Reason>,
    /// Its steps so far.
    pub steps: Vec<Step>,
}

impl Operation {
    /// Nothing of it was done yet.
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

    /// The step under way.
    #[must_use]
    pub fn current(&self) -> Option<&Step> {
        self.steps.last().filter(|step| step.ended_at.is_none())
    }

    /// The newest step of a kind.
    #[must_use]
    pub fn newest(&self, kind: StepKind) -> Option<&Step> {
        self.steps.iter().rev().find(|step| step.kind == kind)
    }

    /// When the provider last accepted what a step asked for.
    #[must_use]
    pub fn accepted_at(&self, kind: StepKind) -> Option<DateTime<Utc>> {
        self.newest(kind).filter(|step| step.outcome == Some(StepOutcome::Done)).and_then(|step| step.ended_at)
    }

    /// Whether anything was sent to the provider that changes something there.
    #[must_use]
    pub fn has_sent(&self) -> bool {
        self.steps.iter().any(|step| step.kind.changes_something())
    }

    /// The provider is seen at work.
    pub fn note_progress(&mut self) {
        self.was_taken_up = self.has_sent();
    }

    /// Begins a step, or tries the one under way again. Another one that is under way is done.
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
            open => {
                // What comes next shows that a call was effective that nobody saw answered; one that was refused was not.
                if let Some(reason) = open.and_then(|step| step.reason.take()) {
                    self.end_step(StepOutcome::Failed, Some(reason), now);
                } else {
                    self.end_step(StepOutcome::Done, None, now);
                }
                if self.steps.len() >= STEPS {
                    self.forget_step();
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

    /// Drops the oldest step after the first ones, but none that is the newest of its kind: it tells what the provider was asked and
    /// has accepted.
    fn forget_step(&mut self) {
        let is_outdone = |at: &usize| self.steps[at + 1..].iter().any(|later| later.kind == self.steps[*at].kind);
        // There are fewer kinds than steps in the newer half, so that one is found.
        if let Some(at) = (STEPS / 2..self.steps.len()).find(is_outdone) {
            self.steps.remove(at);
        }
    }

    /// Ends the step under way, if there is one.
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

    /// The step under way did not succeed and will be tried again.
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
