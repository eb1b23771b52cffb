//! What people do to clusters: resize, network policy, destroy, cancel, retry. Each answers as soon as the request is durable;
//! the reconciler does the work.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Clusters, permits};
use crate::{
    access::{Action, Caller},
    catalog::{ClusterView, OperationView, Stored as Shown},
    cluster::{Cluster, ClusterEvent, Lifecycle, plan::is_mended_by_deploying},
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

/// How many operations are kept of one cluster.
const KEPT: usize = 20;

/// What is asked to be done next.
struct Request {
    kind: OperationKind,
    event: ClusterEvent,
    attempt: u32,
    message: String,
    /// What is made anew is reached anew: the kubeconfig is fetched again.
    is_anew: bool,
}

impl Request {
    fn new(kind: OperationKind, event: ClusterEvent) -> Self {
        let message = format!("asked to {}", kind.infinitive());
        Self { kind, event, attempt: 1, message, is_anew: false }
    }
}

impl Clusters {
    /// By when an operation that is asked for now has ended.
    pub(super) fn deadline(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.checked_add_signed(self.timeout).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Asks for another number of nodes.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Unsupported`, `Invalid`, `ChangedMeanwhile`; `Conflict` while something else is under way.
    pub async fn resize(
        &self,
        caller: &Caller,
        id: ClusterId,
        node_count: u32,
        expected: Expected,
    ) -> Result<ClusterView, ServiceError> {
        let ask =
            |form: &ParameterSchema| form.check_node_count(node_count).map(|()| OperationKind::Resize { node_count });
        self.change(caller, id, expected, ask, |capabilities| capabilities.resize, "change the number of nodes").await
    }

    /// Asks for network policy to be switched.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Unsupported`, `Invalid`, `ChangedMeanwhile`; `Conflict` while something else is under way.
    pub async fn set_network_policy(
        &self,
        caller: &Caller,
        id: ClusterId,
        policy: NetworkPolicy,
        expected: Expected,
    ) -> Result<ClusterView, ServiceError> {
        let ask = |form: &ParameterSchema| {
            form.check_network_policy(policy.clone()).map(|policy| OperationKind::SetNetworkPolicy { policy })
        };
        let can = |capabilities: &Capabilities| capabilities.set_network_policy;
        self.change(caller, id, expected, ask, can, "switch network policy").await
    }

    async fn change(
        &self,
        caller: &Caller,
        id: ClusterId,
        expected: Expected,
        ask: impl Fn(&ParameterSchema) -> Result<OperationKind, Invalid> + Sync,
        can: impl Fn(&Capabilities) -> bool + Sync,
        what: &str,
    ) -> Result<ClusterView, ServiceError> {
        self.begin(caller, Action::ClusterUpdate, id, expected, |view, _| {
            let engine = self.engine_of(view)?;
            if !can(&engine.descriptor().capabilities) {
                return Err(unsupported(engine, what));
            }
            let kind = ask(&engine.descriptor().cluster)?;
            if let Lifecycle::Failed { .. } = view.cluster.record.lifecycle {
                return Err(ServiceError::conflict(format!(
                    "cluster {} has failed: retry what failed, or destroy it",
                    view.cluster.record.name
                )));
            }
            // Nothing else is under way, and what the cluster is in no state for is told by its states.
            Ok(Some(Request::new(kind, ClusterEvent::ChangeRequested)))
        })
        .await
    }

    /// Takes a cluster down, or detaches one that was attached: what that runs on is not touched. Repeated while it is under way, it
    /// is as good as done.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `ChangedMeanwhile`.
    pub async fn delete(&self, caller: &Caller, id: ClusterId, expected: Expected) -> Result<(), ServiceError> {
        let view = self.permitted(caller, Action::ClusterDelete, id)?;
        let is_attached = match self.engine_of(&view) {
            Ok(engine) => !engine.descriptor().capabilities.deploy,
            // Nobody is left to ask; but whatever was made began with an operation.
            Err(_) => view.cluster.record.operation.is_none(),
        };
        if is_attached {
            return self.detach(caller, id, expected).await;
        }
        let begun = self.begin(caller, Action::ClusterDelete, id, expected, |_, newest| {
            let under_way = newest.is_some_and(|operation| {
                operation.kind == OperationKind::Destroy
                    && operation.status.is_unfinished()
                    && operation.cancel.is_none()
            });
            let request = || Request::new(OperationKind::Destroy, ClusterEvent::DeleteRequested);
            Ok((!under_way).then(request))
        });
        begun.await.map(drop)
    }

    /// Runs the failed operation again from where it stands. A cluster that failed on its own, or of which something is missing at its
    /// provider, is deployed again.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Unsupported`; `Conflict` when something is under way, or nothing has failed.
    pub async fn retry(&self, caller: &Caller, id: ClusterId) -> Result<ClusterView, ServiceError> {
        self.begin(caller, Action::ClusterUpdate, id, None, |view, newest| {
            let cluster = &view.cluster.record;
            let failure = match &cluster.lifecycle {
                Lifecycle::Failed { reason } => Some(reason),
                Lifecycle::Deploying | Lifecycle::Ready | Lifecycle::Updating | Lifecycle::Destroying => None,
            };
            let has_failed = failure.is_some();
            let failed = failed(cluster, newest);
            let engine = self.engine_of(view)?;
            if !engine.descriptor().capabilities.deploy {
                return Err(unsupported(engine, "retry: it only attaches clusters"));
            }
            let is_anew = failure.is_some_and(is_mended_by_deploying);
            let (kind, attempt) = match failed {
                Some(operation) if is_anew && operation.kind != OperationKind::Deploy => (OperationKind::Deploy, 1),
                Some(operation) => (operation.kind.clone(), operation.attempt.saturating_add(1)),
                None if has_failed => (OperationKind::Deploy, 1),
                None => return Err(nothing_to_retry(view)),
            };
            let event = match &kind {
                OperationKind::Deploy if has_failed => ClusterEvent::DeployRequested,
                OperationKind::Deploy => return Err(nothing_to_retry(view)),
                OperationKind::Resize { .. } | OperationKind::SetNetworkPolicy { .. } => ClusterEvent::ChangeRequested,
                OperationKind::Destroy | OperationKind::Detach => {
                    // Somebody has thought better of it: whoever may change a cluster may not thereby destroy it after all.
                    if failed.is_some_and(|operation| operation.status == OperationStatus::Cancelled) {
                        self.permitted(caller, Action::ClusterDelete, id)?;
                    }
                    ClusterEvent::DeleteRequested
                }
            };
            let message = format!("asked to try again to {}", kind.infinitive());
            Ok(Some(Request { kind, event, attempt, message, is_anew }))
        })
        .await
    }

    /// Asks for an operation to be stopped, after the call in flight. Asking again changes nothing.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `Conflict` when it has ended.
    pub async fn cancel(&self, caller: &Caller, id: OperationId) -> Result<OperationView, ServiceError> {
        retry_on_conflict(&*self.freshness, || async {
            let view = self.operation(caller, id)?;
            let cluster = view.operation.record.cluster;
            let shown = self.permitted(caller, Action::ClusterUpdate, cluster);
            let mut operation = view.operation.record.clone();
            if !operation.status.is_unfinished() {
                return Err(ServiceError::conflict(format!(
                    "the operation to {} on cluster {} has ended already: it {}",
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
            let shown = shown?;
            if operation.cancel.is_some() {
                return Ok(view);
            }
            let now = self.clock.now();
            operation.cancel = Some((caller.user, now));
            let message = format!("asked to stop: {}", operation.kind.infinitive());
            let work = ClusterCommit {
                timeline: vec![told(&shown, caller, now, Some(id), message)],
                operations: vec![(operation, Some(view.operation.revision))],
                ..ClusterCommit::default()
            };
            self.store.commit(cluster, RecordChange::Keep(None), work).await?;
            Ok(self.operation(caller, id)?)
        })
        .await
    }

    /// Begins what `decide` makes of the cluster and its newest operation; nothing if it is `None`. Destroying takes over from what
    /// is under way, everything else has to wait for it.
    async fn begin(
        &self,
        caller: &Caller,
        action: Action,
        id: ClusterId,
        expected: Expected,
        decide: impl Fn(&ClusterView, Option<&Operation>) -> Result<Option<Request>, ServiceError> + Sync,
    ) -> Result<ClusterView, ServiceError> {
        retry_on_conflict(&*self.freshness, || async {
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
            if request.is_anew && cluster.has_kubeconfig {
                cluster.has_kubeconfig = false;
                secrets.kubeconfig = SecretUpdate::Remove;
            }
            let mut work = ClusterCommit {
                timeline: vec![told(&view, caller, now, Some(operation.id), request.message)],
                forgotten: self.outdated(id),
                ..ClusterCommit::default()
            };
            if let Some(entry) = unfinished {
                stop(entry, "destroying the cluster was asked for", caller, now, &mut work);
            }
            work.operations.push((operation, None));
            let put = Box::new(cluster.clone());
            let record = RecordChange::Put(put, secrets, view.cluster.revision);
            let revision = self.store.commit(id, record, work).await?;
            // As it was written: by now the reconciler may be done with it.
            Ok(ClusterView { cluster: Arc::new(Shown::new(cluster, revision)), ..view })
        })
        .await
    }

    /// Operations that are not kept once there is one more.
    fn outdated(&self, id: ClusterId) -> Vec<OperationId> {
        self.catalog.operations_of(id).iter().skip(KEPT - 1).map(|view| view.operation.record.id).collect()
    }

    pub(super) fn newest(&self, view: &ClusterView) -> Option<Arc<Shown<Operation>>> {
        self.catalog.operation(view.cluster.record.operation?).map(|view| view.operation)
    }

    /// An operation on a cluster the caller sees, also on one that has left.
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

/// The operation that trying again would take up: the newest, if it was not done and is not beside the point.
fn failed<'o>(cluster: &Cluster, newest: Option<&'o Operation>) -> Option<&'o Operation> {
    let has_failed = matches!(cluster.lifecycle, Lifecycle::Failed { .. });
    newest
        .filter(|operation| matches!(operation.status, OperationStatus::Failed | OperationStatus::Cancelled))
        .filter(|operation| !has_failed || is_part_of_the_failure(operation, cluster))
}

/// Whether the cluster has failed so that trying again makes it, of whatever its metadata say by then.
pub(super) fn is_deployed_by_trying_again(cluster: &Cluster, newest: Option<&Operation>) -> bool {
    let Lifecycle::Failed { reason } = &cluster.lifecycle else { return false };
    let failed = failed(cluster, newest);
    is_mended_by_deploying(reason) || failed.is_none_or(|operation| operation.kind == OperationKind::Deploy)
}

/// Whether a cluster that has failed did so with that operation. What it did on its own, long after somebody thought better of
/// destroying it, is no reason to destroy it.
fn is_part_of_the_failure(operation: &Operation, cluster: &Cluster) -> bool {
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
            "something else is under way on cluster {}: operation {} to {}; wait for it, or cancel it",
            view.cluster.record.name,
            operation.id,
            operation.kind.infinitive()
        ),
        details: vec![FieldError { field: "operation".into(), message: operation.id.to_string() }],
    }
}

/// Something that somebody did, for the timeline.
pub(super) fn told(
    view: &ClusterView,
    caller: &Caller,
    now: DateTime<Utc>,
    operation: Option<OperationId>,
    message: String,
) -> TimelineEvent {
    let (cluster, by) = (view.cluster.record.id, Some(caller.user));
    TimelineEvent { cluster, at: now, kind: EventKind::Asked, message, operation, by, reason: None }
}

/// What was under way ends with what was asked for instead, and the story says so.
pub(super) fn stop(entry: &Shown<Operation>, why: &str, caller: &Caller, now: DateTime<Utc>, work: &mut ClusterCommit) {
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
    /// Whether the policy lets the caller see what belongs to a cluster of that tenant and owner.
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

    /// What the caller may do to a cluster, for answers that offer only that.
    #[must_use]
    pub fn permits(&self, caller: &Caller, action: Action, view: &ClusterView) -> bool {
        permits(caller, action, view)
    }
}
