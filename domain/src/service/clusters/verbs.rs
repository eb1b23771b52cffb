//! Operations on clusters: resize, set network policy, destroy, cancel, retry. Each returns as soon as the request is durable; the
//! reconciler does the work.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Clusters, permits};
use crate::{
    access::{Action, Caller},
    catalog::{ClusterView, OperationView, Stored},
    cluster::{Cluster, ClusterEvent, Lifecycle, plan::is_repaired_by_deploying},
    id::{ClusterId, OperationId},
    invalid::{FieldError, Invalid},
    operation::{NetworkPolicy, Operation, OperationKind, OperationStatus},
    parameter::ParameterSchema,
    port::{
        engine::{Capabilities, Engine},
        store::{ClusterCommit, ClusterSecrets, RecordChange, SecretUpdate},
    },
    reason::{Reason, ReasonCode, Responsible},
    service::{
        Expected, ServiceError,
        change::{check_expected, retry_on_conflict},
    },
    timeline::{EventKind, TimelineEvent},
};

/// How many operations are kept for one cluster.
const KEPT: usize = 20;

/// The operation to start.
struct Request {
    kind: OperationKind,
    event: ClusterEvent,
    attempt: u32,
    message: String,
    /// The cluster is deployed again, so its kubeconfig has to be fetched again.
    redeploys: bool,
}

impl Request {
    fn new(kind: OperationKind, event: ClusterEvent) -> Self {
        let message = format!("requested: {}", kind.infinitive());
        Self { kind, event, attempt: 1, message, redeploys: false }
    }
}

impl Clusters {
    /// The deadline of an operation requested now.
    pub(super) fn deadline(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.checked_add_signed(self.timeout).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Requests another number of nodes.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Unsupported`, `Invalid`, `ChangedMeanwhile`; `Conflict` while another operation is running.
    pub async fn resize(
        &self,
        caller: &Caller,
        id: ClusterId,
        node_count: u32,
        expected: Expected,
    ) -> Result<ClusterView, ServiceError> {
        let kind_of =
            |form: &ParameterSchema| form.check_node_count(node_count).map(|()| OperationKind::Resize { node_count });
        self.change(caller, id, expected, kind_of, |capabilities| capabilities.resize, "change the number of nodes")
            .await
    }

    /// Requests a change of the network policy.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Unsupported`, `Invalid`, `ChangedMeanwhile`; `Conflict` while another operation is running.
    pub async fn set_network_policy(
        &self,
        caller: &Caller,
        id: ClusterId,
        policy: NetworkPolicy,
        expected: Expected,
    ) -> Result<ClusterView, ServiceError> {
        let kind_of = |form: &ParameterSchema| {
            form.check_network_policy(policy.clone()).map(|policy| OperationKind::SetNetworkPolicy { policy })
        };
        let can = |capabilities: &Capabilities| capabilities.set_network_policy;
        self.change(caller, id, expected, kind_of, can, "change the network policy").await
    }

    async fn change(
        &self,
        caller: &Caller,
        id: ClusterId,
        expected: Expected,
        kind_of: impl Fn(&ParameterSchema) -> Result<OperationKind, Invalid> + Sync,
        can: impl Fn(&Capabilities) -> bool + Sync,
        what: &str,
    ) -> Result<ClusterView, ServiceError> {
        self.start(caller, Action::ClusterUpdate, id, expected, |view, _| {
            let engine = self.engine_of(view)?;
            if !can(&engine.descriptor().capabilities) {
                return Err(unsupported(engine, what));
            }
            let kind = kind_of(&engine.descriptor().cluster)?;
            if let Lifecycle::Failed { .. } = view.cluster.record.lifecycle {
                return Err(ServiceError::conflict(format!(
                    "cluster {} has failed: retry the failed operation, or destroy the cluster",
                    view.cluster.record.name
                )));
            }
            // No operation is running, and the lifecycle refuses what its state does not allow.
            Ok(Some(Request::new(kind, ClusterEvent::ChangeRequested)))
        })
        .await
    }

    /// Destroys a cluster, or detaches an attached one, which is left running. Idempotent while the cluster is being destroyed.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `ChangedMeanwhile`.
    pub async fn delete(&self, caller: &Caller, id: ClusterId, expected: Expected) -> Result<(), ServiceError> {
        let view = self.permitted(caller, Action::ClusterDelete, id)?;
        let is_attached = match self.engine_of(&view) {
            Ok(engine) => !engine.descriptor().capabilities.deploy,
            // Without the engine: a deployed cluster always has an operation, an attached one has none.
            Err(_) => view.cluster.record.operation.is_none(),
        };
        if is_attached {
            return self.detach(caller, id, expected).await;
        }
        let started = self.start(caller, Action::ClusterDelete, id, expected, |_, newest| {
            let under_way = newest.is_some_and(|operation| {
                operation.kind == OperationKind::Destroy
                    && operation.status.is_unfinished()
                    && operation.cancel.is_none()
            });
            let request = || Request::new(OperationKind::Destroy, ClusterEvent::DeleteRequested);
            Ok((!under_way).then(request))
        });
        started.await.map(drop)
    }

    /// Resumes the failed operation. A cluster that failed outside an operation, or that is missing or incomplete at its provider, is
    /// deployed again.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Unsupported`; `Conflict` while an operation is running, or when nothing has failed.
    pub async fn retry(&self, caller: &Caller, id: ClusterId) -> Result<ClusterView, ServiceError> {
        self.start(caller, Action::ClusterUpdate, id, None, |view, newest| {
            let cluster = &view.cluster.record;
            let failure = match &cluster.lifecycle {
                Lifecycle::Failed { reason } => Some(reason),
                Lifecycle::Deploying | Lifecycle::Ready | Lifecycle::Updating | Lifecycle::Destroying => None,
            };
            let has_failed = failure.is_some();
            let failed = failed(cluster, newest);
            let engine = self.engine_of(view)?;
            if !engine.descriptor().capabilities.deploy {
                return Err(unsupported(engine, "retry operations: it only attaches existing clusters"));
            }
            let redeploys = failure.is_some_and(is_repaired_by_deploying);
            let (kind, attempt) = match failed {
                Some(operation) if redeploys && operation.kind != OperationKind::Deploy => (OperationKind::Deploy, 1),
                Some(operation) => (operation.kind.clone(), operation.attempt.saturating_add(1)),
                None if has_failed => (OperationKind::Deploy, 1),
                None => return Err(nothing_to_retry(view)),
            };
            let event = match &kind {
                OperationKind::Deploy if has_failed => ClusterEvent::DeployRequested,
                OperationKind::Deploy => return Err(nothing_to_retry(view)),
                OperationKind::Resize { .. } | OperationKind::SetNetworkPolicy { .. } => ClusterEvent::ChangeRequested,
                OperationKind::Destroy | OperationKind::Detach => {
                    // The destroy operation was cancelled: the right to update a cluster does not include destroying it.
                    if failed.is_some_and(|operation| operation.status == OperationStatus::Cancelled) {
                        self.permitted(caller, Action::ClusterDelete, id)?;
                    }
                    ClusterEvent::DeleteRequested
                }
            };
            let message = format!("retry requested: {}", kind.infinitive());
            Ok(Some(Request { kind, event, attempt, message, redeploys }))
        })
        .await
    }

    /// Requests that an operation stop after the call in flight. Idempotent.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `Conflict` when it has ended.
    pub async fn cancel(&self, caller: &Caller, id: OperationId) -> Result<OperationView, ServiceError> {
        retry_on_conflict(&*self.read_barrier, || async {
            let view = self.operation(caller, id)?;
            let cluster = view.operation.record.cluster;
            let cluster_view = self.permitted(caller, Action::ClusterUpdate, cluster);
            let mut operation = view.operation.record.clone();
            if !operation.status.is_unfinished() {
                return Err(ServiceError::conflict(format!(
                    "the operation to {} on cluster {} has already ended: it {}",
                    operation.kind.infinitive(),
                    view.cluster_name,
                    if operation.status == OperationStatus::Cancelled {
                        "was cancelled"
                    } else {
                        operation.status.as_str()
                    }
                ))
                .into());
            }
            let cluster_view = cluster_view?;
            if operation.cancel.is_some() {
                return Ok(view);
            }
            let now = self.clock.now();
            operation.cancel = Some((caller.user, now));
            let message = format!("cancellation requested: {}", operation.kind.infinitive());
            let work = ClusterCommit {
                timeline: vec![request_event(&cluster_view, caller, now, Some(id), message)],
                operations: vec![(operation, Some(view.operation.revision))],
                ..ClusterCommit::default()
            };
            self.store.commit(cluster, RecordChange::Keep(None), work).await?;
            Ok(self.operation(caller, id)?)
        })
        .await
    }

    /// Starts the operation that `decide` returns for the cluster and its newest operation, if any. Destroying replaces a running
    /// operation; everything else has to wait for it.
    async fn start(
        &self,
        caller: &Caller,
        action: Action,
        id: ClusterId,
        expected: Expected,
        decide: impl Fn(&ClusterView, Option<&Operation>) -> Result<Option<Request>, ServiceError> + Sync,
    ) -> Result<ClusterView, ServiceError> {
        retry_on_conflict(&*self.read_barrier, || async {
            let view = self.permitted(caller, action, id)?;
            check_expected(expected, view.cluster.revision, "the cluster")?;
            let newest = self.newest(&view);
            let unfinished = newest.as_ref().filter(|entry| entry.record.status.is_unfinished());
            if action != Action::ClusterDelete
                && let Some(entry) = unfinished
            {
                return Err(under_way(&view, &entry.record).into());
            }
            let Some(request) = decide(&view, newest.as_ref().map(|entry| &entry.record))? else { return Ok(view) };
            let now = self.clock.now();
            let before = &view.cluster.record;
            let lifecycle = before.lifecycle.clone().on(request.event.clone());
            let lifecycle = lifecycle.map_err(|error| ServiceError::conflict(error.to_string()))?;
            let mut operation = Operation::requested(id, request.kind, caller.user, now, self.deadline(now));
            operation.attempt = request.attempt;
            let mut cluster = Cluster { lifecycle, changed_at: now, operation: Some(operation.id), ..before.clone() };
            let mut secrets = ClusterSecrets::default();
            if request.redeploys && cluster.has_kubeconfig {
                cluster.has_kubeconfig = false;
                secrets.kubeconfig = SecretUpdate::Remove;
            }
            let mut work = ClusterCommit {
                timeline: vec![request_event(&view, caller, now, Some(operation.id), request.message)],
                forgotten: self.outdated(id),
                ..ClusterCommit::default()
            };
            if let Some(entry) = unfinished {
                cancel_unfinished(entry, "replaced by a request to destroy the cluster", caller, now, &mut work);
            }
            work.operations.push((operation, None));
            let put = Box::new(cluster.clone());
            let record = RecordChange::Put(put, secrets, view.cluster.revision);
            let revision = self.store.commit(id, record, work).await?;
            // As it was written: the reconciler may have changed it by now.
            Ok(ClusterView { cluster: Arc::new(Stored::new(cluster, revision)), ..view })
        })
        .await
    }

    /// The operations to delete when one more is added.
    fn outdated(&self, id: ClusterId) -> Vec<OperationId> {
        self.catalog.operations_of(id).iter().skip(KEPT - 1).map(|view| view.operation.record.id).collect()
    }

    pub(super) fn newest(&self, view: &ClusterView) -> Option<Arc<Stored<Operation>>> {
        self.catalog.operation(view.cluster.record.operation?).map(|view| view.operation)
    }

    /// An operation on a cluster the caller may see, including deleted clusters.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn operation(&self, caller: &Caller, id: OperationId) -> Result<OperationView, ServiceError> {
        let view = self.catalog.operation(id);
        view.filter(|view| self.may_see(caller, view.organization, view.owner))
            .ok_or_else(|| ServiceError::not_found("operation", id))
    }
}

fn unsupported(engine: &dyn Engine, what: &str) -> ServiceError {
    ServiceError::Unsupported(format!("{} cannot {what}", engine.descriptor().verbose_name))
}

/// The operation that a retry would resume: the newest, if it failed or was cancelled and is related to the failure of the cluster.
fn failed<'o>(cluster: &Cluster, newest: Option<&'o Operation>) -> Option<&'o Operation> {
    let has_failed = matches!(cluster.lifecycle, Lifecycle::Failed { .. });
    newest
        .filter(|operation| matches!(operation.status, OperationStatus::Failed | OperationStatus::Cancelled))
        .filter(|operation| !has_failed || caused_the_failure(operation, cluster))
}

/// Whether a retry would deploy the failed cluster, with the metadata stored by then.
pub(super) fn is_deployed_by_retry(cluster: &Cluster, newest: Option<&Operation>) -> bool {
    let Lifecycle::Failed { reason } = &cluster.lifecycle else { return false };
    let failed = failed(cluster, newest);
    is_repaired_by_deploying(reason) || failed.is_none_or(|operation| operation.kind == OperationKind::Deploy)
}

/// Whether the failed cluster failed in that operation. A failure after a cancelled destroy operation is no reason to destroy the
/// cluster.
fn caused_the_failure(operation: &Operation, cluster: &Cluster) -> bool {
    match operation.kind {
        OperationKind::Deploy | OperationKind::Resize { .. } | OperationKind::SetNetworkPolicy { .. } => true,
        OperationKind::Destroy | OperationKind::Detach => operation.ended_at.is_none_or(|at| at >= cluster.changed_at),
    }
}

fn nothing_to_retry(view: &ClusterView) -> ServiceError {
    ServiceError::conflict(format!("there is nothing to retry: cluster {} has not failed", view.cluster.record.name))
}

fn under_way(view: &ClusterView, operation: &Operation) -> ServiceError {
    ServiceError::Conflict {
        message: format!(
            "another operation is running on cluster {}: operation {} to {}; wait until it ends, or cancel it",
            view.cluster.record.name,
            operation.id,
            operation.kind.infinitive()
        ),
        details: vec![FieldError { field: "operation".into(), message: operation.id.to_string() }],
    }
}

/// The timeline event for a request.
pub(super) fn request_event(
    view: &ClusterView,
    caller: &Caller,
    now: DateTime<Utc>,
    operation: Option<OperationId>,
    message: String,
) -> TimelineEvent {
    let (cluster, by) = (view.cluster.record.id, Some(caller.user));
    TimelineEvent { cluster, at: now, kind: EventKind::Asked, message, operation, by, reason: None }
}

/// Cancels the unfinished operation, which the new request replaces, and records that in the timeline.
pub(super) fn cancel_unfinished(
    entry: &Stored<Operation>,
    why: &str,
    caller: &Caller,
    now: DateTime<Utc>,
    work: &mut ClusterCommit,
) {
    let mut operation = entry.record.clone();
    let reason = Reason::new(ReasonCode::Superseded, why, Responsible::Requester, "");
    operation.end(OperationStatus::Cancelled, Some(reason.clone()), now);
    work.timeline.push(TimelineEvent {
        cluster: operation.cluster,
        at: now,
        kind: EventKind::Ended,
        message: format!("cancelled: {}", operation.kind.infinitive()),
        operation: Some(operation.id),
        by: Some(caller.user),
        reason: Some(reason),
    });
    work.operations.push((operation, Some(entry.revision)));
}

impl Clusters {
    /// Whether the policy lets the caller see clusters of that organization and owner.
    pub(super) fn may_see(
        &self,
        caller: &Caller,
        organization: crate::id::OrganizationId,
        owner: crate::id::UserId,
    ) -> bool {
        let home = self.catalog.organization(organization);
        let target = crate::access::Target { organization, owner: Some(owner) };
        crate::service::permission::may(caller, Action::ClusterGet, target, home.as_deref())
    }

    /// Whether the caller may do `action` to a cluster, for answers that list the permitted actions.
    #[must_use]
    pub fn permits(&self, caller: &Caller, action: Action, view: &ClusterView) -> bool {
        permits(caller, action, view)
    }
}
