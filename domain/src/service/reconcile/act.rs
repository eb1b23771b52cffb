//! Carrying out what was decided.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{
    Line, Reconciler, Requeue,
    reconciliation::{Reconciliation, only_waits},
    trouble,
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

/// About how often a cluster at rest is looked at: a provider that wants to be left alone for less has nothing to fear.
const QUIET: Duration = Duration::from_secs(60);

impl Reconciler {
    /// Nothing to do; only what was seen is stored.
    pub(super) async fn rest(
        &self,
        turn: &mut Reconciliation,
        observation: &Result<Observation, EngineError>,
    ) -> Result<Requeue, StoreError> {
        if turn.has_changed() {
            // The record is not touched. Somebody else's change to it meanwhile is a reason to look again.
            let seen = turn.seen;
            turn.save(&*self.store, RecordChange::Keep(Some(seen))).await?;
        }
        Ok(match observation {
            Err(EngineError::Throttled { retry_after }) if *retry_after > QUIET => Requeue::After(*retry_after),
            _ => Requeue::Quiet,
        })
    }

    /// Waits in a step.
    pub(super) async fn wait(
        &self,
        turn: &mut Reconciliation,
        step: StepKind,
        observation: &Result<Observation, EngineError>,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        // A step that calls begins with its call.
        if only_waits(step)
            && let Some(operation) = turn.operation_mut()
            && operation.current().is_none_or(|current| current.kind != step)
        {
            operation.begin(step, now);
            turn.tell(now, EventKind::Step, step.caption().to_owned(), None);
        }
        let trouble = trouble(observation);
        let is_news = turn.note_last_error(trouble.as_ref());
        if let Some(trouble) = trouble.filter(|_| is_news) {
            let message = format!("the provider cannot be asked: {}", trouble.cause);
            turn.tell(now, EventKind::Step, message, Some(trouble));
        }
        if turn.has_changed() {
            let seen = turn.seen;
            turn.save(&*self.store, RecordChange::Keep(Some(seen))).await?;
        }
        Ok(match observation {
            Err(EngineError::Throttled { retry_after }) => Requeue::After(turn.until_deadline(*retry_after, now)),
            _ => Requeue::Soon,
        })
    }

    /// Writes down what may come of a call, makes it, and writes down what came of it.
    pub(super) async fn call(
        &self,
        turn: &mut Reconciliation,
        line: &Line<'_>,
        call: Call,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        let mut first = false;
        if let Some(operation) = turn.operation_mut() {
            operation.begin(call.step(), now);
            first = operation.current().is_some_and(|step| step.tries == 1);
        }
        if first {
            turn.tell(now, EventKind::Step, call.step().caption().to_owned(), None);
        }
        let uncertain_before = turn.ledger().uncertain_until;
        match call {
            Call::Deploy => turn.ledger_mut().intend(line.engine.makes(&line.credentials, &line.spec), now),
            Call::Destroy => turn.ledger_mut().condemn(now),
            Call::Resize(_) | Call::SetNetworkPolicy(_) | Call::Kubeconfig => {}
        }
        if turn.has_changed() {
            let seen = turn.seen;
            turn.save(&*self.store, RecordChange::Keep(Some(seen))).await?;
        }
        // The write has proven that we lead; what is sent from here on, the lease vouches for.
        if self.leadership.term() != Some(turn.term) {
            return Err(StoreError::NotLeader);
        }
        let result = match &call {
            Call::Deploy => line.engine.deploy(&line.credentials, &line.spec).await,
            Call::Resize(nodes) => line.engine.resize(&line.credentials, &line.spec, *nodes).await,
            Call::SetNetworkPolicy(policy) => {
                line.engine.set_network_policy(&line.credentials, &line.spec, policy).await
            }
            Call::Destroy => line.engine.destroy(&line.credentials, &line.spec).await,
            Call::Kubeconfig => {
                let given = line.engine.kubeconfig(&line.credentials, &line.spec).await;
                let now = self.clock.now();
                return match given {
                    Ok(given) => self.keep_kubeconfig(turn, &given, now).await,
                    Err(error) => self.hold(turn, &error, now).await,
                };
            }
        };
        let now = self.clock.now();
        if call == Call::Deploy {
            match &result {
                Ok(()) => turn.ledger_mut().accepted(uncertain_before, now),
                Err(error) if !error.is_uncertain() => turn.ledger_mut().refused(uncertain_before),
                Err(_) => {}
            }
        }
        match result {
            Ok(()) => self.accepted(turn, now).await,
            // What is to be taken down and is not there is down.
            Err(EngineError::Missing) if call == Call::Destroy => self.accepted(turn, now).await,
            Err(error) if is_final(&call, &error) => {
                let reason = error.reason();
                let event = ClusterEvent::EngineFailed(reason.clone());
                self.end(turn, OperationStatus::Failed, Some(reason), event, now).await
            }
            Err(error) => self.hold(turn, &error, now).await,
        }
    }

    /// The provider has accepted what was asked.
    async fn accepted(&self, turn: &mut Reconciliation, now: DateTime<Utc>) -> Result<Requeue, StoreError> {
        if let Some(operation) = turn.operation_mut() {
            operation.end_step(StepOutcome::Done, None, now);
        }
        turn.show_refusal(now);
        let seen = turn.seen;
        turn.save(&*self.store, RecordChange::Keep(Some(seen))).await?;
        Ok(Requeue::Soon)
    }

    /// A call did not succeed and is made again later.
    async fn hold(
        &self,
        turn: &mut Reconciliation,
        error: &EngineError,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        let id = turn.id();
        let mut reason = error.reason();
        let mut again = Requeue::Soon;
        let mut news = false;
        let failures = turn.operation().map_or(0, |operation| operation.failures);
        let pause = match error {
            EngineError::Throttled { retry_after } => *retry_after,
            _ => pause(failures, id),
        };
        let pause = turn.until_deadline(pause, now);
        if let Some(operation) = turn.operation_mut() {
            let before = operation.current().and_then(|step| step.reason.as_ref());
            news = before.is_none_or(|before| !before.is_like(&reason));
            reason = reason.or_first(before);
            operation.hold(reason.clone(), now + TimeDelta::from_std(pause).unwrap_or(TimeDelta::minutes(1)));
            again = Requeue::After(pause);
        }
        if news {
            turn.tell(
                now,
                EventKind::Step,
                format!("it did not succeed and is tried again: {}", reason.cause),
                Some(reason),
            );
        }
        turn.show_refusal(now);
        if turn.has_changed() {
            let seen = turn.seen;
            turn.save(&*self.store, RecordChange::Keep(Some(seen))).await?;
        }
        // Without an operation there is nowhere to note it, and the next look tries again.
        Ok(if turn.operation().is_some_and(|operation| operation.status.is_unfinished()) {
            again
        } else {
            Requeue::Quiet
        })
    }

    /// Stores a kubeconfig as the provider gave it, once it has been checked like one that a person sends.
    async fn keep_kubeconfig(
        &self,
        turn: &mut Reconciliation,
        given: &SecretValue,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        let kubeconfig: Kubeconfig = match kubeconfig::parse(given, &self.addresses) {
            Ok(kubeconfig) => kubeconfig,
            Err(invalid) => {
                let (code, responsible, next_step) =
                    if kubeconfig::parse(given, &AddressRules::denying(Vec::new())).is_ok() {
                        (
                            ReasonCode::AddressDenied,
                            Responsible::Operator,
                            "take the address out of KQUEEN_CLUSTER_ADDRESS_DENY if KQueen is meant to reach it",
                        )
                    } else {
                        (ReasonCode::KubeconfigUnusable, Responsible::Provider, "it is fetched again by itself")
                    };
                let cause = format!("the provider's kubeconfig cannot be used: {invalid}");
                let reason = Reason::new(code, cause, responsible, next_step);
                return self.hold(turn, &EngineError::Rejected(reason), now).await;
            }
        };
        if let Some(operation) = turn.operation_mut() {
            operation.end_step(StepOutcome::Done, None, now);
        }
        let cluster = Cluster { has_kubeconfig: true, ..turn.view.cluster.record.clone() };
        let secrets = ClusterSecrets { kubeconfig: SecretUpdate::Set(kubeconfig), metadata: SecretUpdate::Keep };
        let seen = turn.seen;
        turn.save(&*self.store, RecordChange::Put(Box::new(cluster), secrets, seen)).await?;
        Ok(Requeue::Now)
    }

    /// Ends the operation.
    pub(super) async fn end(
        &self,
        turn: &mut Reconciliation,
        status: OperationStatus,
        reason: Option<Reason>,
        event: ClusterEvent,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        let observed = turn.observed_nodes();
        let Some(operation) = turn.operation_mut() else { return Ok(Requeue::Quiet) };
        operation.end(status, reason.clone(), now);
        let what = operation.kind.infinitive();
        let nodes = |nodes: u32| (NODE_COUNT, Value::from(nodes));
        let made = match (&operation.kind, status) {
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
        turn.tell(now, EventKind::Ended, message, reason);
        self.restate(turn, event, made, now).await
    }

    /// A cluster at rest has changed on its own.
    pub(super) async fn move_on(
        &self,
        turn: &mut Reconciliation,
        event: ClusterEvent,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        self.restate(turn, event, None, now).await
    }

    /// Stores the cluster's next state, and with it what it is `made` of from now on, by which it would be made again.
    async fn restate(
        &self,
        turn: &mut Reconciliation,
        event: ClusterEvent,
        made: Option<(&str, Value)>,
        now: DateTime<Utc>,
    ) -> Result<Requeue, StoreError> {
        let before = &turn.view.cluster.record;
        let mut cluster = before.clone();
        // The decision proposes nothing that the state machine refuses.
        let Ok(lifecycle) = before.lifecycle.clone().on(event) else { return Ok(Requeue::Quiet) };
        if lifecycle != before.lifecycle {
            cluster.changed_at = now;
            let (message, reason) = match &lifecycle {
                Lifecycle::Failed { reason } => {
                    (format!("the cluster has failed: {}", reason.cause), Some(reason.clone()))
                }
                _ => ("the cluster is well".to_owned(), None),
            };
            turn.tell(now, EventKind::State, message, reason);
        }
        cluster.lifecycle = lifecycle;
        let mut secrets = ClusterSecrets::default();
        if let Some(made) = made.filter(|(name, _)| is_told(&cluster, name)) {
            // What is sealed is the whole, and engines are given that: the two must not differ.
            if let Some(sealed) = self.store.metadata(cluster.id).await? {
                let whole = cluster.metadata.clone().unwrap_or_default().reveal(Some(&sealed));
                let whole = whole.map_err(|error| StoreError::Unreadable(Box::new(error)))?;
                secrets.metadata = SecretUpdate::Set(with(whole, &made).to_document());
            }
            let shown = SecretMap::from(cluster.metadata.take().unwrap_or_default().to_map());
            // Secret parts are masked already.
            cluster.metadata = Some(document::split(&with(shown, &made), &|_| false).shown);
        }
        let seen = turn.seen;
        turn.save(&*self.store, RecordChange::Put(Box::new(cluster), secrets, seen)).await?;
        self.store.prune_timeline(turn.id(), KEPT).await?;
        Ok(Requeue::Now)
    }

    /// Everything is gone: the record leaves.
    pub(super) async fn leave(&self, turn: &mut Reconciliation, now: DateTime<Utc>) -> Result<Requeue, StoreError> {
        if let Some(operation) = turn.operation_mut() {
            operation.end(OperationStatus::Succeeded, None, now);
        }
        turn.tell(
            now,
            EventKind::Ended,
            "the cluster is gone, and nothing of it is left at the provider".to_owned(),
            None,
        );
        turn.depart(now);
        let seen = turn.seen;
        turn.save(&*self.store, RecordChange::Remove(seen)).await?;
        self.store.prune_timeline(turn.id(), KEPT).await?;
        Ok(Requeue::Never)
    }
}

/// Metadata with another value.
fn with(mut metadata: SecretMap, (name, value): &(&str, Value)) -> SecretMap {
    metadata.insert(*name, value.clone());
    metadata
}

/// Whether a cluster's metadata are the place to tell that: of its size always, of network policy where its engine's form asks for it.
fn is_told(cluster: &Cluster, name: &str) -> bool {
    name == NODE_COUNT || cluster.metadata.as_ref().is_some_and(|metadata| metadata.to_map().contains_key(name))
}

/// Whether an operation ends since trying again cannot help. Taking down is tried until the deadline: what stands in the way may be
/// put right, and nobody wants to pay for what was to go.
const fn is_final(call: &Call, error: &EngineError) -> bool {
    match error {
        EngineError::Unsupported(_) | EngineError::NotOffered => true,
        EngineError::Rejected(_) | EngineError::Denied(_) | EngineError::Missing => !matches!(call, Call::Destroy),
        EngineError::Busy(_) | EngineError::Throttled { .. } | EngineError::Unreachable(_) => false,
    }
}

/// How long to wait after so many failures in a row: 5 s, doubling up to a minute, and up to a fifth more, by which clusters that
/// failed together are spread.
fn pause(failures: u32, cluster: ClusterId) -> Duration {
    let base = 5_000_u64.saturating_mul(1 << failures.min(4)).min(60_000);
    let spread = u64::from(cluster.uuid().as_bytes()[0]) * base / 5 / 255;
    Duration::from_millis(base + spread)
}
