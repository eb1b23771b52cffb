//! Operations in responses, and the resources that they created at a provider.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    access::Caller,
    catalog,
    id::UserId,
    ledger::{RecordState, ResourceRecord},
    operation::{self, OperationKind, OperationStatus},
    reason,
    service::people::users::Users,
};
use poem_openapi::{Enum, Object};
use serde::Serialize;
use uuid::Uuid;

use super::{cluster::NetworkPolicy, reason_code::ReasonCode};

/// Who is responsible for resolving a problem.
///
/// - `requester`: The requester of the operation, for example for a name, a size or a parameter.
/// - `admin`: The admins of the organization, for example for credentials, permissions or quota.
/// - `operator`: The operator of this installation, for example for its network or its settings.
/// - `provider`: The provider, which is unavailable or has failed.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the values are explained above")]
pub enum Responsible {
    Requester,
    Admin,
    Operator,
    Provider,
}

/// Why something failed, who is responsible, and what to do next.
#[derive(Debug, Object, Serialize)]
pub struct Reason {
    /// The kind of problem, for programs.
    pub code: ReasonCode,
    /// The cause, as text for people.
    pub cause: String,
    /// Who is responsible for resolving it.
    pub responsible: Responsible,
    /// What to do next, as text for people; may be empty.
    pub next_step: String,
    /// The message of the provider; null if there is none.
    #[oai(nullable)]
    pub provider_message: Option<String>,
}

impl From<&reason::Reason> for Reason {
    fn from(it: &reason::Reason) -> Self {
        Self {
            code: ReasonCode(it.code),
            cause: it.cause.clone(),
            responsible: match it.responsible {
                reason::Responsible::Requester => Responsible::Requester,
                reason::Responsible::Admin => Responsible::Admin,
                reason::Responsible::Operator => Responsible::Operator,
                reason::Responsible::Provider => Responsible::Provider,
            },
            next_step: it.next_step.clone(),
            provider_message: it.provider_message.clone(),
        }
    }
}

/// The kind of an operation on a cluster.
///
/// - `deploy`: Creates the cluster at its provider.
/// - `resize`: Changes the number of nodes.
/// - `set_network_policy`: Sets the network policy.
/// - `destroy`: Deletes the cluster at its provider, and then its record.
/// - `detach`: Deletes the record of an attached cluster.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename = "OperationKind", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the values are explained above")]
pub enum OperationKindView {
    Deploy,
    Resize,
    SetNetworkPolicy,
    Destroy,
    Detach,
}

/// The status of an operation.
///
/// - `pending`: It was requested, but has not started yet.
/// - `running`: It is in progress.
/// - `succeeded`: It has succeeded.
/// - `failed`: It has failed, or exceeded its deadline.
/// - `cancelled`: It was cancelled by a user, or replaced by a later request.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename = "OperationStatus", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the values are explained above")]
pub enum OperationStatusView {
    Pending,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// The kind of a step.
///
/// - `create`: Requests the cluster from the provider.
/// - `resize`: Requests another number of nodes from the provider.
/// - `set_network_policy`: Requests the network policy from the provider.
/// - `delete`: Requests the deletion from the provider.
/// - `wait`: Waits for the provider to finish.
/// - `kubeconfig`: Gets the kubeconfig from the provider.
/// - `verify`: Verifies that no resources are left at the provider.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the values are explained above")]
pub enum StepKind {
    Create,
    Resize,
    SetNetworkPolicy,
    Delete,
    Wait,
    Kubeconfig,
    Verify,
}

/// The outcome of a step.
///
/// - `done`: The step has succeeded.
/// - `failed`: The step has failed.
/// - `stopped`: The step was stopped because the operation was cancelled.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the values are explained above")]
pub enum StepOutcome {
    Done,
    Failed,
    Stopped,
}

/// A step of an operation.
#[derive(Debug, Object, Serialize)]
pub struct Step {
    /// The kind of step, for programs.
    pub kind: StepKind,
    /// A description for people.
    pub caption: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// The number of attempts.
    pub tries: u32,
    /// When it ended; null while it is running.
    #[oai(nullable)]
    pub ended_at: Option<DateTime<Utc>>,
    /// Its outcome; null while it is running.
    #[oai(nullable)]
    pub outcome: Option<StepOutcome>,
    /// Why it failed, or why it has not succeeded yet; null otherwise.
    #[oai(nullable)]
    pub failure: Option<Reason>,
}

impl From<&operation::Step> for Step {
    fn from(it: &operation::Step) -> Self {
        Self {
            kind: match it.kind {
                operation::StepKind::Create => StepKind::Create,
                operation::StepKind::Resize => StepKind::Resize,
                operation::StepKind::SetNetworkPolicy => StepKind::SetNetworkPolicy,
                operation::StepKind::Delete => StepKind::Delete,
                operation::StepKind::Wait => StepKind::Wait,
                operation::StepKind::Kubeconfig => StepKind::Kubeconfig,
                operation::StepKind::Verify => StepKind::Verify,
            },
            caption: it.kind.caption().to_owned(),
            started_at: it.started_at,
            tries: it.tries,
            ended_at: it.ended_at,
            outcome: it.outcome.map(|outcome| match outcome {
                operation::StepOutcome::Done => StepOutcome::Done,
                operation::StepOutcome::Failed => StepOutcome::Failed,
                operation::StepOutcome::Stopped => StepOutcome::Stopped,
            }),
            failure: it.reason.as_ref().map(Reason::from),
        }
    }
}

/// The fields of an operation's record; the other fields of [`OperationView`] come from other records.
#[derive(Debug, Object, Serialize)]
pub struct OperationRecord {
    /// The id of the operation.
    pub id: Uuid,
    /// The kind of operation.
    pub kind: OperationKindView,
    /// The requested number of nodes. Only for `resize`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_count: Option<u32>,
    /// The requested network policy. Only for `set_network_policy`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicy>,
    /// Its status.
    pub status: OperationStatusView,
    /// The number of this attempt, starting at 1.
    pub attempt: u32,
    /// When it was requested.
    pub requested_at: DateTime<Utc>,
    /// The time by which it succeeds or fails.
    pub deadline: DateTime<Utc>,
    /// The earliest time of the next call to the provider; null if there is no such limit.
    #[oai(nullable)]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When its cancellation was requested; null if it was not.
    #[oai(nullable)]
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// When it ended; null if it has not ended yet.
    #[oai(nullable)]
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it failed or was cancelled; null otherwise.
    #[oai(nullable)]
    pub failure: Option<Reason>,
    /// Its steps so far, oldest first.
    pub steps: Vec<Step>,
}

impl From<&operation::Operation> for OperationRecord {
    fn from(it: &operation::Operation) -> Self {
        let (kind, node_count, network_policy) = match &it.kind {
            OperationKind::Deploy => (OperationKindView::Deploy, None, None),
            OperationKind::Resize { node_count } => (OperationKindView::Resize, Some(*node_count), None),
            OperationKind::SetNetworkPolicy { policy } => {
                (OperationKindView::SetNetworkPolicy, None, Some(policy.into()))
            }
            OperationKind::Destroy => (OperationKindView::Destroy, None, None),
            OperationKind::Detach => (OperationKindView::Detach, None, None),
        };
        Self {
            id: it.id.uuid(),
            kind,
            node_count,
            network_policy,
            status: match it.status {
                OperationStatus::Pending => OperationStatusView::Pending,
                OperationStatus::Running => OperationStatusView::Running,
                OperationStatus::Succeeded => OperationStatusView::Succeeded,
                OperationStatus::Failed => OperationStatusView::Failed,
                OperationStatus::Cancelled => OperationStatusView::Cancelled,
            },
            attempt: it.attempt,
            requested_at: it.requested_at,
            deadline: it.deadline,
            next_attempt_at: it.next_attempt_at,
            cancel_requested_at: it.cancel.map(|(_, at)| at),
            ended_at: it.ended_at,
            failure: it.reason.as_ref().map(Reason::from),
            steps: it.steps.iter().map(Step::from).collect(),
        }
    }
}

/// A cluster by name. It may already be deleted.
#[derive(Debug, Object, Serialize)]
pub struct ClusterName {
    /// The id of the cluster.
    pub id: Uuid,
    /// Its name, or its last name if it is deleted.
    pub name: String,
}

/// Who requested something.
#[derive(Debug, Object, Serialize)]
pub struct Requester {
    /// The id of the user.
    pub id: Uuid,
    /// The user name; null if the caller is not allowed to see the user, or the user was deleted.
    #[oai(nullable)]
    pub username: Option<String>,
}

impl Requester {
    /// The requester, with the user name if `caller` may see the user.
    #[must_use]
    pub fn of(id: UserId, users: &Users, caller: &Caller) -> Self {
        let user = users.get(caller, id).ok();
        Self { id: id.uuid(), username: user.map(|view| view.user.record.username.to_string()) }
    }
}

/// An operation on a cluster. A cluster has at most one operation that is pending or running.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Operation")]
pub struct OperationView {
    /// The record.
    #[oai(flatten)]
    #[serde(flatten)]
    pub record: OperationRecord,
    /// The cluster.
    pub cluster: ClusterName,
    /// Who requested it.
    pub requested_by: Requester,
    /// The resources that exist, or may exist, at the provider for this cluster. Only where a single operation is shown.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<Resource>>,
}

impl OperationView {
    /// An operation as `caller` sees it, with the resources at the provider if they were read.
    #[must_use]
    pub fn of(
        view: &catalog::OperationView,
        users: &Users,
        caller: &Caller,
        resources: Option<&[ResourceRecord]>,
    ) -> Self {
        let operation = &view.operation.record;
        Self {
            record: operation.into(),
            cluster: ClusterName { id: operation.cluster.uuid(), name: view.cluster_name.to_string() },
            requested_by: Requester::of(operation.requested_by, users, caller),
            resources: resources.map(self::resources),
        }
    }
}

/// The state of a resource at a provider.
///
/// - `intended`: Its creation may have been requested, but it has not been observed.
/// - `present`: It was observed at the provider.
/// - `deleting`: Its deletion was requested, but is not confirmed.
/// - `gone`: Its deletion is confirmed.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the values are explained above")]
pub enum ResourceState {
    Intended,
    Present,
    Deleting,
    Gone,
}

/// A resource that was created, or may have been created, at a provider.
#[derive(Debug, Object, Serialize)]
pub struct Resource {
    /// Its kind, in the terms of the provider, for example `cluster`, `stack` or `server`.
    pub kind: String,
    /// Its name, which contains the cluster's id.
    pub name: String,
    /// The project, group or region; empty if the provider has no locations.
    pub location: String,
    /// The id that the provider assigned; null if it is not known.
    #[oai(nullable)]
    pub provider_id: Option<String>,
    /// Its state.
    pub state: ResourceState,
    /// When it entered this state.
    pub since: DateTime<Utc>,
}

impl From<&ResourceRecord> for Resource {
    fn from(it: &ResourceRecord) -> Self {
        let ResourceRecord { resource, state, since } = it;
        Self {
            kind: resource.name.kind.clone(),
            name: resource.name.name.clone(),
            location: resource.name.location.clone(),
            provider_id: resource.provider_id.clone(),
            state: match state {
                RecordState::Intended => ResourceState::Intended,
                RecordState::Present => ResourceState::Present,
                RecordState::Deleting => ResourceState::Deleting,
                RecordState::Gone => ResourceState::Gone,
            },
            since: *since,
        }
    }
}

/// Converts resource records.
#[must_use]
pub fn resources(records: &[ResourceRecord]) -> Vec<Resource> {
    records.iter().map(Resource::from).collect()
}

/// The result of forgetting a cluster.
#[derive(Debug, Object, Serialize)]
pub struct Forgotten {
    /// The id of the cluster.
    pub id: Uuid,
    /// Always `forgotten`.
    pub state: String,
    /// The resources that may remain at the provider.
    pub remaining: Vec<Resource>,
    /// The id of the orphan that lists these resources; null if there are none.
    #[oai(nullable)]
    pub orphan: Option<Uuid>,
}
