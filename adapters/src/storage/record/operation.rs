//! The stored form of operations.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::{ClusterId, OperationId, UserId},
    operation::{NetworkPolicy, Operation, OperationKind, OperationStatus, Step, StepKind, StepOutcome},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Record, migrated_each, migrated_in,
    reason::{self, StoredReason},
    twins,
};

#[derive(Serialize, Deserialize)]
pub(crate) struct Form {
    id: OperationId,
    cluster: ClusterId,
    asked: StoredKind,
    requested_by: UserId,
    requested_at: DateTime<Utc>,
    deadline: DateTime<Utc>,
    status: StoredStatus,
    attempt: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    failures: u32,
    #[serde(default, skip_serializing_if = "is_false")]
    was_taken_up: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancel: Option<StoredCancel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<StoredReason>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StoredStep>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(answer: &bool) -> bool {
    !*answer
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum StoredKind {
    Deploy,
    Resize { node_count: u32 },
    SetNetworkPolicy { provider: String, enabled: bool },
    Destroy,
    Detach,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredStatus {
    Pending,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Serialize, Deserialize)]
struct StoredCancel {
    by: UserId,
    at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct StoredStep {
    kind: StoredStepKind,
    started_at: DateTime<Utc>,
    tries: u32,
    tried_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<StoredOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<StoredReason>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredStepKind {
    Create,
    Resize,
    SetNetworkPolicy,
    Delete,
    Wait,
    Kubeconfig,
    Verify,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredOutcome {
    Done,
    Failed,
    Stopped,
}

twins!(OperationStatus, StoredStatus { Pending, Running, Succeeded, Failed, Cancelled });
twins!(StepKind, StoredStepKind { Create, Resize, SetNetworkPolicy, Delete, Wait, Kubeconfig, Verify });
twins!(StepOutcome, StoredOutcome { Done, Failed, Stopped });

impl From<OperationKind> for StoredKind {
    fn from(kind: OperationKind) -> Self {
        match kind {
            OperationKind::Deploy => Self::Deploy,
            OperationKind::Resize { node_count } => Self::Resize { node_count },
            OperationKind::SetNetworkPolicy { policy: NetworkPolicy { provider, enabled } } => {
                Self::SetNetworkPolicy { provider, enabled }
            }
            OperationKind::Destroy => Self::Destroy,
            OperationKind::Detach => Self::Detach,
        }
    }
}

impl From<StoredKind> for OperationKind {
    fn from(kind: StoredKind) -> Self {
        match kind {
            StoredKind::Deploy => Self::Deploy,
            StoredKind::Resize { node_count } => Self::Resize { node_count },
            StoredKind::SetNetworkPolicy { provider, enabled } => {
                Self::SetNetworkPolicy { policy: NetworkPolicy { provider, enabled } }
            }
            StoredKind::Destroy => Self::Destroy,
            StoredKind::Detach => Self::Detach,
        }
    }
}

impl From<Step> for StoredStep {
    fn from(step: Step) -> Self {
        let Step { kind, started_at, tries, tried_at, ended_at, outcome, reason } = step;
        let (kind, outcome, reason) = (kind.into(), outcome.map(Into::into), reason.map(Into::into));
        Self { kind, started_at, tries, tried_at, ended_at, outcome, reason }
    }
}

impl From<StoredStep> for Step {
    fn from(step: StoredStep) -> Self {
        let StoredStep { kind, started_at, tries, tried_at, ended_at, outcome, reason } = step;
        let (kind, outcome, reason) = (kind.into(), outcome.map(Into::into), reason.map(Into::into));
        Self { kind, started_at, tries, tried_at, ended_at, outcome, reason }
    }
}

impl From<&Operation> for Form {
    fn from(operation: &Operation) -> Self {
        Self {
            id: operation.id,
            cluster: operation.cluster,
            asked: operation.kind.clone().into(),
            requested_by: operation.requested_by,
            requested_at: operation.requested_at,
            deadline: operation.deadline,
            status: operation.status.into(),
            attempt: operation.attempt,
            failures: operation.failures,
            was_taken_up: operation.was_taken_up,
            next_attempt_at: operation.next_attempt_at,
            cancel: operation.cancel.map(|(by, at)| StoredCancel { by, at }),
            ended_at: operation.ended_at,
            reason: operation.reason.clone().map(Into::into),
            steps: operation.steps.iter().cloned().map(Into::into).collect(),
        }
    }
}

impl Record for Operation {
    type Form = Form;
    const KIND: &'static str = "operation";
    const FORMAT: u32 = 2;

    fn restored(form: Form) -> Option<Self> {
        Some(Self {
            id: form.id,
            cluster: form.cluster,
            kind: form.asked.into(),
            requested_by: form.requested_by,
            requested_at: form.requested_at,
            deadline: form.deadline,
            status: form.status.into(),
            attempt: form.attempt,
            failures: form.failures,
            was_taken_up: form.was_taken_up,
            next_attempt_at: form.next_attempt_at,
            cancel: form.cancel.map(|StoredCancel { by, at }| (by, at)),
            ended_at: form.ended_at,
            reason: form.reason.map(Into::into),
            steps: form.steps.into_iter().map(Into::into).collect(),
        })
    }

    /// Format 1 had reasons without codes.
    fn migrated(from: u32, mut form: Value) -> Option<Value> {
        if from != 1 {
            return None;
        }
        migrated_in(&mut form, "reason", reason::migrated)?;
        migrated_each(&mut form, "steps", |step| migrated_in(step, "reason", reason::migrated))?;
        Some(form)
    }
}
