//! One reconciliation: load, observe, decide, record the intent, call the engine, record the result.
//!
//! A reconciliation depends only on what is stored and what it observes. If it is interrupted anywhere, the next one, possibly by another
//! leader, continues correctly from what is stored. A write that conflicts with another change is never forced: the reconciliation is
//! repeated.

mod act;
pub mod orphan_collector;
mod probe;
mod reconciliation;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use self::reconciliation::Reconciliation;
use crate::{
    catalog::{Catalog, ClusterView},
    cluster::{
        Lifecycle,
        plan::{Decision, Situation, plan},
    },
    id::ClusterId,
    kubeconfig::AddressRules,
    ledger::Ledger,
    observation::{EngineError, Observation, ObservedStatus, ProbeResult, ProviderStatus, ProvisioningState},
    port::{
        clock::Clock,
        engine::{ClusterSpec, Engine, ProviderCredentials},
        inspector::ClusterInspector,
        leader::{Leadership, Term},
        store::{ClusterStore, ReadBarrier, StoreError},
    },
    reason::Reason,
    revision::Revision,
    service::provisioners::providers::{Providers, known},
};

/// When a cluster is reconciled next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeue {
    /// At once: the state has changed.
    Now,
    /// Soon: an operation is running or waiting.
    Soon,
    /// Not before this time has passed: the provider asked for it.
    After(Duration),
    /// At the regular interval: no operation is running.
    Quiet,
    /// Never: the cluster does not exist, or there is nothing to observe.
    Never,
}

/// The outcome of a reconciliation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// When to reconcile next.
    pub requeue: Requeue,
    /// Whether the provider, or the cluster, did not answer.
    pub no_answer: bool,
    /// When it was observed, if nothing had changed. The caller stores these times, for many clusters in one write.
    pub unchanged_at: Option<DateTime<Utc>>,
    /// The newest revision it wrote. Change events up to there come from this reconciliation.
    pub written: Option<Revision>,
    /// The deadline of the running operation: the cluster is reconciled by then at the latest.
    pub deadline: Option<DateTime<Utc>>,
}

impl Outcome {
    const fn after(requeue: Requeue) -> Self {
        Self { requeue, no_answer: false, unchanged_at: None, written: None, deadline: None }
    }
}

/// Reconciles clusters.
pub struct Reconciler {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where clusters and their operations are stored.
    pub store: Arc<dyn ClusterStore>,
    /// Waits until the read model is up to date.
    pub read_barrier: Arc<dyn ReadBarrier>,
    /// Access to providers.
    pub providers: Providers,
    /// Probes live clusters.
    pub inspector: Arc<dyn ClusterInspector>,
    /// Whether this replica may reconcile.
    pub leadership: Arc<dyn Leadership>,
    /// Where kubeconfigs may point to.
    pub addresses: AddressRules,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// What a call of a cluster's engine needs.
struct EngineContext<'a> {
    engine: &'a dyn Engine,
    credentials: ProviderCredentials,
    spec: ClusterSpec,
}

impl EngineContext<'_> {
    async fn observe(&self) -> Result<Observation, EngineError> {
        Observation::of(self.engine.observe(&self.credentials, &self.spec).await)
    }
}

impl Reconciler {
    /// Reconciles one cluster. Reconciliations of the same cluster must not run concurrently.
    ///
    /// # Errors
    /// `NotLeader` if this replica does not lead; `Unavailable` while the store does not answer. Nothing was done then that is not recorded.
    pub async fn reconcile(&self, id: ClusterId) -> Result<Outcome, StoreError> {
        let term = self.leadership.term().ok_or(StoreError::NotLeader)?;
        let Some(view) = self.catalog.cluster(id) else { return Ok(Outcome::after(Requeue::Never)) };
        let engine = self.providers.engine_of_cluster(&view);
        let outcome = match engine {
            Some(engine) if !engine.descriptor().capabilities.deploy => self.probe_attached(&view, term).await,
            _ => self.reconcile_deployed(view, engine.map(|engine| &**engine), term).await,
        };
        match outcome {
            Err(StoreError::Conflict) => {
                self.read_barrier.caught_up().await?;
                Ok(Outcome::after(Requeue::Now))
            }
            Err(StoreError::Missing) => Ok(Outcome::after(Requeue::Never)),
            other => other,
        }
    }

    /// Reconciles a cluster that an engine deploys.
    async fn reconcile_deployed(
        &self,
        view: ClusterView,
        engine: Option<&dyn Engine>,
        term: Term,
    ) -> Result<Outcome, StoreError> {
        let cluster = &view.cluster.record;
        let operation = cluster.operation.and_then(|id| self.catalog.operation(id)).map(|view| view.operation);
        let is_running = operation.as_ref().is_some_and(|entry| entry.record.status.is_unfinished());
        let ledger = if is_running { self.store.ledger(cluster.id).await? } else { None };
        let mut reconciliation = Reconciliation::new(view.clone(), operation, ledger, term);
        let mut context = match (engine, &view.provisioner) {
            (Some(engine), Some(provisioner)) => Some(EngineContext {
                engine,
                credentials: self.providers.credentials(provisioner).await?,
                spec: self.providers.spec(&view, reconciliation.ledger()).await?,
            }),
            _ => None,
        };
        // An observation may be as old as the request: it need not show what took effect since.
        let asked_at = self.clock.now();
        let mut observation = match &context {
            Some(context) => context.observe().await,
            None => Err(EngineError::NotOffered),
        };
        // The provisioner may point elsewhere by now: observe again with the recorded resources, where they were created.
        if let Some(context) = &mut context
            && cluster.lifecycle == Lifecycle::Ready
            && is_missing_resources(&observation)
            && let Some(ledger) = self.store.ledger(cluster.id).await?
            && ledger.value.remaining().next().is_some()
        {
            context.spec.known = known(&ledger.value);
            observation = context.observe().await;
        }
        // While an operation is running, the last probe result is kept.
        let is_probed = cluster.has_kubeconfig && !cluster.lifecycle.is_transient();
        let probe = if !is_probed {
            view.observed.as_ref().and_then(|observed| observed.probe.clone())
        } else if let Some(kubeconfig) = self.store.kubeconfig(cluster.id).await? {
            Some(match self.providers.access(&view, kubeconfig).await?.kubeconfig().await {
                Ok(kubeconfig) => self.inspector.probe(&kubeconfig).await,
                Err(error) => no_token(&error.reason()),
            })
        } else {
            None
        };
        let no_answer = matches!(observation, Err(EngineError::Unreachable(_)))
            || is_probed && matches!(probe, Some(ProbeResult::NoAnswer { .. }));
        let now = self.clock.now();
        let before = view.observed.as_deref();
        let before_status = before.and_then(|observed| observed.provider.as_ref());
        let status = provider_status(before_status, &observation, reconciliation.rejection().cloned());
        reconciliation.set_observed(ObservedStatus::after(before, cluster.id, probe, Some(status), now));
        if last_error(&observation).is_none() {
            reconciliation.note_last_error(None);
        }
        if is_at_work(&observation)
            && let Some(operation) = reconciliation.operation_mut()
        {
            operation.note_progress();
        }
        if is_running && let Some(resources) = resources(&observation) {
            reconciliation.ledger_mut().observed(resources, asked_at);
            if let Some(context) = &mut context {
                context.spec.known = known(reconciliation.ledger());
            }
        }
        let decision = plan(&Situation {
            cluster,
            operation: reconciliation.operation(),
            ledger: reconciliation.ledger(),
            observation: &observation,
            now: asked_at,
        });
        let requeue = match decision {
            Decision::Rest => self.rest(&mut reconciliation, &observation).await?,
            Decision::Wait(kind) => self.wait(&mut reconciliation, kind, &observation, now).await?,
            Decision::Call(call) => match &context {
                Some(context) => self.call(&mut reconciliation, context, call, now).await?,
                None => self.rest(&mut reconciliation, &observation).await?,
            },
            Decision::End { status, reason, event } => {
                self.end(&mut reconciliation, status, reason, event, now).await?
            }
            Decision::Move(event) => self.apply_event(&mut reconciliation, event, now).await?,
            Decision::Leave => self.remove(&mut reconciliation, now).await?,
        };
        // A deleted cluster has no observation time.
        let unchanged_at = (!reconciliation.has_changed_status() && requeue != Requeue::Never).then_some(now);
        Ok(Outcome {
            requeue,
            no_answer,
            unchanged_at,
            written: reconciliation.written(),
            deadline: reconciliation.deadline(),
        })
    }
}

/// Why the provider could not be observed.
fn last_error(observation: &Result<Observation, EngineError>) -> Option<Reason> {
    observation.as_ref().err().map(EngineError::reason)
}

/// The provider's status. While it cannot be observed: the previous status, with the error.
fn provider_status(
    before: Option<&ProviderStatus>,
    observation: &Result<Observation, EngineError>,
    rejection: Option<Reason>,
) -> ProviderStatus {
    match observation {
        Ok(Observation::Present(observed)) => ProviderStatus {
            progress: observed.progress,
            node_count: observed.node_count,
            network_policy: observed.network_policy.clone(),
            message: observed.message.clone(),
            last_error: None,
            last_rejection: rejection,
        },
        Ok(Observation::Absent) => ProviderStatus { last_rejection: rejection, ..ProviderStatus::default() },
        Err(_) => {
            let known = before.and_then(|before| before.last_error.as_ref());
            let last_error = last_error(observation).map(|error| error.or_first(known));
            ProviderStatus { last_error, last_rejection: rejection, ..before.cloned().unwrap_or_default() }
        }
    }
}

/// The result of a probe for which the engine has issued no token.
fn no_token(reason: &Reason) -> ProbeResult {
    ProbeResult::NoAnswer {
        code: reason.code,
        reason: format!("no token to access the cluster can be issued: {reason}"),
    }
}

/// Whether the provider is working on the cluster.
fn is_at_work(observation: &Result<Observation, EngineError>) -> bool {
    matches!(observation, Ok(Observation::Present(observed)) if observed.state == ProvisioningState::Working)
}

/// Whether resources of the cluster are missing at the provider.
fn is_missing_resources(observation: &Result<Observation, EngineError>) -> bool {
    match observation {
        Ok(Observation::Absent) => true,
        Ok(Observation::Present(observed)) => observed.state == ProvisioningState::Incomplete,
        Err(_) => false,
    }
}

/// The resources at the provider, if known.
fn resources(observation: &Result<Observation, EngineError>) -> Option<&[crate::ledger::ProviderResource]> {
    match observation {
        Ok(Observation::Present(observed)) => Some(&observed.resources),
        Ok(Observation::Absent) => Some(&[]),
        Err(_) => None,
    }
}

/// The ledger of a cluster and its revision; an empty ledger without revision if none is stored.
fn ledger_or_empty(
    cluster: ClusterId,
    stored: Option<crate::revision::Versioned<Ledger>>,
) -> (Ledger, Option<Revision>) {
    stored.map_or_else(|| (Ledger::empty(cluster), None), |stored| (stored.value, Some(stored.revision)))
}
