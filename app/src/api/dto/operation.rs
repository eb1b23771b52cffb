//! Operations, and what exists at a provider because of them, in answers.

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

/// Whose job it is to put something right.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Responsible {
    /// Whoever asked for it: a name, a size, a parameter.
    Requester,
    /// The organization's admins: credentials, rights, quota.
    Admin,
    /// Whoever runs this installation: its network, its settings.
    Operator,
    /// The provider: it is down, or failed on its own.
    Provider,
}

/// Why something failed, so that somebody can do something about it.
#[derive(Debug, Object, Serialize)]
pub struct Reason {
    /// What kind of trouble it is, for programs.
    pub code: ReasonCode,
    /// What is the matter, in plain words.
    pub cause: String,
    /// Whose job it is.
    pub responsible: Responsible,
    /// What to do next, in plain words; may be empty.
    pub next_step: String,
    /// What the provider said, in its own words.
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

/// What is done to a cluster.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename = "OperationKind", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum KindWord {
    /// It is made at its provider.
    Deploy,
    /// Its number of nodes is changed.
    Resize,
    /// Its network policy is switched.
    SetNetworkPolicy,
    /// It is taken down at its provider, and then its record is dropped.
    Destroy,
    /// The record of an attached cluster is dropped.
    Detach,
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename = "OperationStatus", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum StatusWord {
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

/// What a step does.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
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

/// How a step ended.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// Done.
    Done,
    /// Not done.
    Failed,
    /// Left when the operation was stopped.
    Stopped,
}

/// A step of an operation that was begun.
#[derive(Debug, Object, Serialize)]
pub struct Step {
    /// What it does, for programs.
    pub kind: StepKind,
    /// What it does, for people.
    pub caption: String,
    /// When it was begun.
    pub started_at: DateTime<Utc>,
    /// How often it was tried.
    pub tries: u32,
    /// When it ended; null while it is under way.
    #[oai(nullable)]
    pub ended_at: Option<DateTime<Utc>>,
    /// How it ended; null while it is under way.
    #[oai(nullable)]
    pub outcome: Option<StepOutcome>,
    /// Why it failed, or why it has not succeeded so far.
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

/// What an operation says of itself; the rest of [`OperationView`] depends on others.
#[derive(Debug, Object, Serialize)]
pub struct OperationRecord {
    /// Identity.
    pub id: Uuid,
    /// What is done.
    pub kind: KindWord,
    /// To how many nodes; of `resize` alone.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_count: Option<u32>,
    /// What network policy is switched to; of `set_network_policy` alone.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicy>,
    /// Where it stands.
    pub status: StatusWord,
    /// Which attempt this is: 1, or more when it was retried.
    pub attempt: u32,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// By when it ends, one way or the other.
    pub deadline: DateTime<Utc>,
    /// Not before then is the provider called again; null if nothing keeps us from it.
    #[oai(nullable)]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When somebody asked for it to be stopped.
    #[oai(nullable)]
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[oai(nullable)]
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it failed or was stopped.
    #[oai(nullable)]
    pub failure: Option<Reason>,
    /// Its steps so far, oldest first.
    pub steps: Vec<Step>,
}

impl From<&operation::Operation> for OperationRecord {
    fn from(it: &operation::Operation) -> Self {
        let (kind, node_count, network_policy) = match &it.kind {
            OperationKind::Deploy => (KindWord::Deploy, None, None),
            OperationKind::Resize { node_count } => (KindWord::Resize, Some(*node_count), None),
            OperationKind::SetNetworkPolicy { policy } => (KindWord::SetNetworkPolicy, None, Some(policy.into())),
            OperationKind::Destroy => (KindWord::Destroy, None, None),
            OperationKind::Detach => (KindWord::Detach, None, None),
        };
        Self {
            id: it.id.uuid(),
            kind,
            node_count,
            network_policy,
            status: match it.status {
                OperationStatus::Pending => StatusWord::Pending,
                OperationStatus::Running => StatusWord::Running,
                OperationStatus::Succeeded => StatusWord::Succeeded,
                OperationStatus::Failed => StatusWord::Failed,
                OperationStatus::Cancelled => StatusWord::Cancelled,
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

/// A cluster by its name. It may have left already.
#[derive(Debug, Object, Serialize)]
pub struct ClusterName {
    /// Identity.
    pub id: Uuid,
    /// What it is, or was, called.
    pub name: String,
}

/// Who asked for something.
#[derive(Debug, Object, Serialize)]
pub struct Requester {
    /// Identity.
    pub id: Uuid,
    /// Log-in name; null where the caller may not see the user, or the user is gone.
    #[oai(nullable)]
    pub username: Option<String>,
}

impl Requester {
    /// Somebody by name, where `caller` may see who it is.
    #[must_use]
    pub fn of(id: UserId, users: &Users, caller: &Caller) -> Self {
        let user = users.get(caller, id).ok();
        Self { id: id.uuid(), username: user.map(|view| view.user.record.username.to_string()) }
    }
}

/// Something that was asked to be done to a cluster. A cluster has at most one operation that is pending or running.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Operation")]
pub struct OperationView {
    /// What it says of itself.
    #[oai(flatten)]
    #[serde(flatten)]
    pub record: OperationRecord,
    /// The cluster.
    pub cluster: ClusterName,
    /// Who asked.
    pub requested_by: Requester,
    /// What exists, or may exist, at the provider for this cluster; told where one operation is shown.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<Resource>>,
}

impl OperationView {
    /// An operation as `caller` sees it, with what exists at the provider if that was looked up.
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

/// What is known of something at a provider.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ResourceState {
    /// We may have asked for it; nobody has seen it.
    Intended,
    /// It was seen.
    Present,
    /// We asked for its end, and it has not been seen to be gone.
    Deleting,
    /// It was seen to be gone.
    Gone,
}

/// Something that was made, or may have been made, at a provider.
#[derive(Debug, Object, Serialize)]
pub struct Resource {
    /// What the provider calls such a thing: `cluster`, `stack`, `server` …
    pub kind: String,
    /// Its name, which is made from the cluster's id.
    pub name: String,
    /// Project, group or region; empty where the provider has no locations.
    pub location: String,
    /// The provider's own id.
    #[oai(nullable)]
    pub provider_id: Option<String>,
    /// What is known of it.
    pub state: ResourceState,
    /// Since when.
    pub since: DateTime<Utc>,
}

impl From<&ResourceRecord> for Resource {
    fn from(it: &ResourceRecord) -> Self {
        let ResourceRecord { resource: thing, state, since } = it;
        Self {
            kind: thing.name.kind.clone(),
            name: thing.name.name.clone(),
            location: thing.name.location.clone(),
            provider_id: thing.provider_id.clone(),
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

/// Resources as they are answered.
#[must_use]
pub fn resources(rows: &[ResourceRecord]) -> Vec<Resource> {
    rows.iter().map(Resource::from).collect()
}

/// What became of a cluster that was forgotten.
#[derive(Debug, Object, Serialize)]
pub struct Forgotten {
    /// Identity of the cluster.
    pub id: Uuid,
    /// Always `forgotten`.
    pub state: String,
    /// What may remain at the provider.
    pub remaining: Vec<Resource>,
    /// The orphan that lists what may remain; null if nothing does.
    #[oai(nullable)]
    pub orphan: Option<Uuid>,
}
