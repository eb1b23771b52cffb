//! Carries out decisions.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{
    EngineContext, Reconciler, Requeue, last_error,
    reconciliation::{Reconciliation, only_waits},
};
use crate::{
    cluster::{Cluster, ClusterEvent, Lifecycle, plan::Call},
    document,
    id::ClusterId,
    kubeconfig::{self, AddressRules},
    observation::{EngineError, Observation},
    operation::{OperationKind, OperationStatus, StepKind, StepOutcome},
    parameter::{NETWORK_POLICY, NODE_COUNT},
    port::store::{ClusterSecrets, RecordChange, SecretUpdate, StoreError},
    reason::{Reason, ReasonCode, Responsible},
    secret::{Kubeconfig, SecretMap, SecretValue},
    timeline::{EventKind, KEPT},
};

/// About how often a cluster without a running operation is observed. A shorter `retry_after` needs no extra delay.
const REGULAR_INTERVAL: Duration = Duration::from_secs(60);

impl Reconciler {
    /// Nothing to do; stores the observed status if it changed.
    pub(super) async fn rest(
        &self,
        reconciliation: &mut Reconciliation,
        observation: &Result<Observation, EngineError>,
    ) -> Result<Requeue, StoreError> {
        if reconciliation.has_changed() {
            // The record is not written, but a concurrent change of it is a conflict, and the cluster is observed again.
            let revision = reconciliation.revision;
            reconciliation.save(&*self.store, RecordChange::Keep(Some(revision))).await?;
        }
        Ok(match observation {
            Err(EngineError::Throttled { retry_after }) if *retry_after > REGULAR_INTERVAL => {
                Requeue::After(*retry_after)
            }
            _ => Requeue::Quiet,
        })
    }

    /// Waits in a step of the operation.
    pub(super) async fn wait(
        &self,
        reconciliation: &mut Reconciliation,
        step: StepKind,
        observation: &Result<Observation, EngineError>,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        // A step with a call begins with the call.
        if only_waits(step)
            && let Some(operation) = reconciliation.operation_mut()
            && operation.current().is_none_or(|current| current.kind != step)
        {
            operation.begin(step, now);
            reconciliation.record_event(now, EventKind::Step, step.caption().to_owned(), None);
        }
        let last_error = last_error(observation);
        let is_new = reconciliation.note_last_error(last_error.as_ref());
        if let Some(error) = last_error.filter(|_| is_new) {
            let message = format!("the provider cannot be queried: {}", error.cause);
            reconciliation.record_event(now, EventKind::Step, message, Some(error));
        }
        if reconciliation.has_changed() {
            let revision = reconciliation.revision;
            reconciliation.save(&*self.store, RecordChange::Keep(Some(revision))).await?;
        }
        Ok(match observation {
            Err(EngineError::Throttled { retry_after }) => {
                Requeue::After(reconciliation.until_deadline(*retry_after, now))
            }
            _ => Requeue::Soon,
        })
    }

    /// Records the possible effects of a call, makes the call, and records its result.
    pub(super) async fn call(
        &self,
        reconciliation: &mut Reconciliation,
        context: &EngineContext<'_>,
        call: Call,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        let mut first = false;
        if let Some(operation) = reconciliation.operation_mut() {
            operation.begin(call.step(), now);
            first = operation.current().is_some_and(|step| step.tries == 1);
        }
        if first {
            reconciliation.record_event(now, EventKind::Step, call.step().caption().to_owned(), None);
        }
        let uncertain_before = reconciliation.ledger().uncertain_until;
        match call {
            Call::Deploy => {
                reconciliation.ledger_mut().intend(context.engine.makes(&context.credentials, &context.spec), now)
            }
            Call::Destroy => reconciliation.ledger_mut().condemn(now),
            Call::Resize(_) | Call::SetNetworkPolicy(_) | Call::Kubeconfig => {}
        }
        if reconciliation.has_changed() {
            let revision = reconciliation.revision;
            reconciliation.save(&*self.store, RecordChange::Keep(Some(revision))).await?;
        }
        // The write has proven that we lead. The lease covers the call that follows.
        if self.leadership.term() != Some(reconciliation.term) {
            return Err(StoreError::NotLeader);
        }
        let result = match &call {
            Call::Deploy => context.engine.deploy(&context.credentials, &context.spec).await,
            Call::Resize(nodes) => context.engine.resize(&context.credentials, &context.spec, *nodes).await,
            Call::SetNetworkPolicy(policy) => {
                context.engine.set_network_policy(&context.credentials, &context.spec, policy).await
            }
            Call::Destroy => context.engine.destroy(&context.credentials, &context.spec).await,
            Call::Kubeconfig => {
                let fetched = context.engine.kubeconfig(&context.credentials, &context.spec).await;
                let now = self.clock.now();
                return match fetched {
                    Ok(fetched) => self.store_kubeconfig(reconciliation, &fetched, now).await,
                    Err(error) => self.retry_later(reconciliation, &error, now).await,
                };
            }
        };
        let now = self.clock.now();
        if call == Call::Deploy {
            match &result {
                Ok(()) => reconciliation.ledger_mut().accepted(uncertain_before, now),
                Err(error) if !error.is_uncertain() => reconciliation.ledger_mut().refused(uncertain_before),
                Err(_) => {}
            }
        }
        match result {
            Ok(()) => self.accepted(reconciliation, now).await,
            // Destroying what does not exist has succeeded.
            Err(EngineError::Missing) if call == Call::Destroy => self.accepted(reconciliation, now).await,
            Err(error) if is_final(&call, &error) => {
                let reason = error.reason();
                let event = ClusterEvent::EngineFailed(reason.clone());
                self.end(reconciliation, OperationStatus::Failed, Some(reason), event, now).await
            }
            Err(error) => self.retry_later(reconciliation, &error, now).await,
        }
    }

    /// The provider has accepted the request.
    async fn accepted(&self, reconciliation: &mut Reconciliation, now: DateTime<Utc>) -> Result<Requeue, StoreError> {
        if let Some(operation) = reconciliation.operation_mut() {
            operation.end_step(StepOutcome::Done, None, now);
        }
        reconciliation.show_rejection(now);
        let revision = reconciliation.revision;
        reconciliation.save(&*self.store, RecordChange::Keep(Some(revision))).await?;
        Ok(Requeue::Soon)
    }

    /// A call failed and is repeated later.
    async fn retry_later(
        &self,
        reconciliation: &mut Reconciliation,
        error: &EngineError,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        let id = reconciliation.id();
        let mut reason = error.reason();
        let mut requeue = Requeue::Soon;
        let mut is_new = false;
        let failures = reconciliation.operation().map_or(0, |operation| operation.failures);
        let pause = match error {
            EngineError::Throttled { retry_after } => *retry_after,
            _ => pause(failures, id),
        };
        let pause = reconciliation.until_deadline(pause, now);
        if let Some(operation) = reconciliation.operation_mut() {
            let before = operation.current().and_then(|step| step.reason.as_ref());
            is_new = before.is_none_or(|before| !before.is_like(&reason));
            reason = reason.or_first(before);
            operation.hold(reason.clone(), now + TimeDelta::from_std(pause).unwrap_or(TimeDelta::minutes(1)));
            requeue = Requeue::After(pause);
        }
        if is_new {
            reconciliation.record_event(
                now,
                EventKind::Step,
                format!("the attempt failed and is retried automatically: {}", reason.cause),
                Some(reason),
            );
        }
        reconciliation.show_rejection(now);
        if reconciliation.has_changed() {
            let revision = reconciliation.revision;
            reconciliation.save(&*self.store, RecordChange::Keep(Some(revision))).await?;
        }
        // Without an operation there is nowhere to record it; the next reconciliation repeats the call.
        Ok(if reconciliation.operation().is_some_and(|operation| operation.status.is_unfinished()) {
            requeue
        } else {
            Requeue::Quiet
        })
    }

    /// Stores the provider's kubeconfig, after the same checks as for one that a client sends.
    async fn store_kubeconfig(
        &self,
        reconciliation: &mut Reconciliation,
        fetched: &SecretValue,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        let kubeconfig: Kubeconfig = match kubeconfig::parse(fetched, &self.addresses) {
            Ok(kubeconfig) => kubeconfig,
            Err(invalid) => {
                let (code, responsible, next_step) =
                    if kubeconfig::parse(fetched, &AddressRules::denying(Vec::new())).is_ok() {
                        (
                            ReasonCode::AddressDenied,
                            Responsible::Operator,
                            "remove the address from KQUEEN_CLUSTER_ADDRESS_DENY if KQueen may connect to it",
                        )
                    } else {
                        (ReasonCode::KubeconfigUnusable, Responsible::Provider, "it is fetched again automatically")
                    };
                let cause = format!("the provider's kubeconfig cannot be used: {invalid}");
                let reason = Reason::new(code, cause, responsible, next_step);
                return self.retry_later(reconciliation, &EngineError::Rejected(reason), now).await;
            }
        };
        if let Some(operation) = reconciliation.operation_mut() {
            operation.end_step(StepOutcome::Done, None, now);
        }
        let cluster = Cluster { has_kubeconfig: true, ..reconciliation.view.cluster.record.clone() };
        let secrets = ClusterSecrets { kubeconfig: SecretUpdate::Set(kubeconfig), metadata: SecretUpdate::Keep };
        let revision = reconciliation.revision;
        reconciliation.save(&*self.store, RecordChange::Put(Box::new(cluster), secrets, revision)).await?;
        Ok(Requeue::Now)
    }

    /// Ends the operation.
    pub(super) async fn end(
        &self,
        reconciliation: &mut Reconciliation,
        status: OperationStatus,
        reason: Option<Reason>,
        event: ClusterEvent,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        let observed = reconciliation.observed_nodes();
        let Some(operation) = reconciliation.operation_mut() else { return Ok(Requeue::Quiet) };
        operation.end(status, reason.clone(), now);
        let what = operation.kind.infinitive();
        let nodes = |nodes: u32| (NODE_COUNT, Value::from(nodes));
        let applied = match (&operation.kind, status) {
            (OperationKind::Resize { node_count }, OperationStatus::Succeeded) => Some(nodes(*node_count)),
            (OperationKind::Resize { .. }, OperationStatus::Cancelled) => observed.map(nodes),
            (OperationKind::SetNetworkPolicy { policy }, OperationStatus::Succeeded) => {
                Some((NETWORK_POLICY, policy.to_form().into()))
            }
            _ => None,
        };
        let message = match (status, &reason) {
            (OperationStatus::Succeeded, _) => format!("done: {what}"),
            (OperationStatus::Cancelled, _) => format!("cancelled: {what}"),
            (_, Some(reason)) => format!("failed to {what}: {}", reason.cause),
            (_, None) => format!("failed to {what}"),
        };
        reconciliation.record_event(now, EventKind::Ended, message, reason);
        self.store_state(reconciliation, event, applied, now).await
    }

    /// A cluster without a running operation has changed at its provider.
    pub(super) async fn apply_event(
        &self,
        reconciliation: &mut Reconciliation,
        event: ClusterEvent,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        self.store_state(reconciliation, event, None, now).await
    }

    /// Stores the cluster's next state, and the `applied` parameter in its metadata, with which it would be deployed again.
    async fn store_state(
        &self,
        reconciliation: &mut Reconciliation,
        event: ClusterEvent,
        applied: Option<(&str, Value)>,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        let before = &reconciliation.view.cluster.record;
        let mut cluster = before.clone();
        // Decisions only contain events that the state machine accepts.
        let Ok(lifecycle) = before.lifecycle.clone().on(event) else { return Ok(Requeue::Quiet) };
        if lifecycle != before.lifecycle {
            cluster.changed_at = now;
            let (message, reason) = match &lifecycle {
                Lifecycle::Failed { reason } => {
                    (format!("the cluster has failed: {}", reason.cause), Some(reason.clone()))
                }
                _ => ("the cluster is ready".to_owned(), None),
            };
            reconciliation.record_event(now, EventKind::State, message, reason);
        }
        cluster.lifecycle = lifecycle;
        let mut secrets = ClusterSecrets::default();
        if let Some(applied) = applied.filter(|(name, _)| is_in_metadata(&cluster, name)) {
            // The sealed document is complete and is what engines get: both must be updated.
            if let Some(sealed) = self.store.metadata(cluster.id).await? {
                let full = cluster.metadata.clone().unwrap_or_default().reveal(Some(&sealed));
                let full = full.map_err(|error| StoreError::Unreadable(Box::new(error)))?;
                secrets.metadata = SecretUpdate::Set(with(full, &applied).to_document());
            }
            let shown = SecretMap::from(cluster.metadata.take().unwrap_or_default().to_map());
            // Secret parts are already masked.
            cluster.metadata = Some(document::split(&with(shown, &applied), &|_| false).shown);
        }
        let revision = reconciliation.revision;
        reconciliation.save(&*self.store, RecordChange::Put(Box::new(cluster), secrets, revision)).await?;
        self.store.prune_timeline(reconciliation.id(), KEPT).await?;
        Ok(Requeue::Now)
    }

    /// Removes the record of a cluster of which nothing is left.
    pub(super) async fn remove(
        &self,
        reconciliation: &mut Reconciliation,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        if let Some(operation) = reconciliation.operation_mut() {
            operation.end(OperationStatus::Succeeded, None, now);
        }
        reconciliation.record_event(
            now,
            EventKind::Ended,
            "the cluster was deleted, and no resources are left at the provider".to_owned(),
            None,
        );
        reconciliation.set_tombstone(now);
        let revision = reconciliation.revision;
        reconciliation.save(&*self.store, RecordChange::Remove(revision)).await?;
        self.store.prune_timeline(reconciliation.id(), KEPT).await?;
        Ok(Requeue::Never)
    }
}

/// Metadata with one value replaced.
fn with(mut metadata: SecretMap, (name, value): &(&str, Value)) -> SecretMap {
    metadata.insert(*name, value.clone());
    metadata
}

/// Whether a cluster's metadata contains the parameter: the node count always, the network policy if the engine's schema has it.
fn is_in_metadata(cluster: &Cluster, name: &str) -> bool {
    name == NODE_COUNT || cluster.metadata.as_ref().is_some_and(|metadata| metadata.to_map().contains_key(name))
}

/// Whether the operation fails, since a retry cannot help. Destroying is retried until the deadline: the obstacle may be removed, and
/// what is not deleted keeps costing money.
const fn is_final(call: &Call, error: &EngineError) -> bool {
    match error {
        EngineError::Unsupported(_) | EngineError::NotOffered => true,
        EngineError::Rejected(_) | EngineError::Denied(_) | EngineError::Missing => !matches!(call, Call::Destroy),
        EngineError::Busy(_) | EngineError::Throttled { .. } | EngineError::Unreachable(_) => false,
    }
}

/// Backoff after consecutive failures: 5 s, doubling up to a minute, plus up to a fifth to spread clusters that failed together.
fn pause(failures: u32, cluster: ClusterId) -> Duration {
    let base = 5_000_u64.saturating_mul(1 << failures.min(4)).min(60_000);
    let spread = u64::from(cluster.uuid().as_bytes()[0]) * base / 5 / 255;
    Duration::from_millis(base + spread)
}
