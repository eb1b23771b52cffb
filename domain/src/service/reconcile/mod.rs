//! One turn of the reconciler: load, observe, decide, write down what is about to be done, do it, write down what came of it.
//!
//! A turn needs nothing but what is stored and what it observes. Whatever ends it in between leaves a state from which the same turn,
//! run again by whoever leads then, does the right thing. A write that meets somebody else's change is never forced: the turn is run again.

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

/// When a cluster's next turn is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeue {
    /// At once: something has moved on.
    Now,
    /// Soon: something is under way, or being waited for.
    Soon,
    /// Not before then: the provider asked for it.
    After(Duration),
    /// When it is due by time: nothing is under way.
    Quiet,
    /// Not at all: the cluster is not there, or there is nothing to look at.
    Never,
}

/// What became of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// When the next one is due.
    pub requeue: Requeue,
    /// Whether the provider, or the cluster, did not answer.
    pub silent: bool,
    /// When it was looked at without anything new being seen; the age is to be noted, which is done for many clusters at once.
    pub unchanged_at: Option<DateTime<Utc>>,
    /// The newest revision it wrote: changes up to there are its own.
    pub written: Option<Revision>,
    /// When what is under way has to end: the next turn is due then at the latest.
    pub deadline: Option<DateTime<Utc>>,
}

impl Outcome {
    const fn after(again: Requeue) -> Self {
        Self { requeue: again, silent: false, unchanged_at: None, written: None, deadline: None }
    }
}

/// Reconciles clusters.
pub struct Reconciler {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where clusters and what is done to them are stored.
    pub store: Arc<dyn ClusterStore>,
    /// How far the read model is.
    pub freshness: Arc<dyn ReadBarrier>,
    /// Reaches providers.
    pub providers: Providers,
    /// Reads live clusters.
    pub inspector: Arc<dyn ClusterInspector>,
    /// Whether this replica may reconcile.
    pub leadership: Arc<dyn Leadership>,
    /// Where kubeconfigs may point to.
    pub addresses: AddressRules,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A cluster's engine, ready to be called.
struct Line<'a> {
    engine: &'a dyn Engine,
    credentials: ProviderCredentials,
    spec: ClusterSpec,
}

impl Line<'_> {
    async fn observe(&self) -> Result<Observation, EngineError> {
        Observation::of(self.engine.observe(&self.credentials, &self.spec).await)
    }
}

impl Reconciler {
    /// One turn for one cluster. Turns for the same cluster must not run at the same time.
    ///
    /// # Errors
    /// `NotLeader` if this replica does not lead; `Unavailable` while the store is away. Nothing was done then that is not written down.
    pub async fn reconcile(&self, id: ClusterId) -> Result<Outcome, StoreError> {
        let term = self.leadership.term().ok_or(StoreError::NotLeader)?;
        let Some(view) = self.catalog.cluster(id) else { return Ok(Outcome::after(Requeue::Never)) };
        let engine = self.providers.engine_of_cluster(&view);
        let turned = match engine {
            Some(engine) if !engine.descriptor().capabilities.deploy => self.look_at(&view, term).await,
            _ => self.operate(view, engine.map(|engine| &**engine), term).await,
        };
        match turned {
            Err(StoreError::Conflict) => {
                self.freshness.caught_up().await?;
                Ok(Outcome::after(Requeue::Now))
            }
            Err(StoreError::Missing) => Ok(Outcome::after(Requeue::Never)),
            other => other,
        }
    }

    /// A turn for a cluster that an engine makes.
    async fn operate(&self, view: ClusterView, engine: Option<&dyn Engine>, term: Term) -> Result<Outcome, StoreError> {
        let cluster = &view.cluster.record;
        let operation = cluster.operation.and_then(|id| self.catalog.operation(id)).map(|view| view.operation);
        let is_busy = operation.as_ref().is_some_and(|entry| entry.record.status.is_unfinished());
        let ledger = if is_busy { self.store.ledger(cluster.id).await? } else { None };
        let mut turn = Reconciliation::new(view.clone(), operation, ledger, term);
        let mut line = match (engine, &view.provisioner) {
            (Some(engine), Some(provisioner)) => Some(Line {
                engine,
                credentials: self.providers.credentials(provisioner).await?,
                spec: self.providers.spec(&view, turn.ledger()).await?,
            }),
            _ => None,
        };
        // What is seen is as old as the question: what has taken effect since, it need not show.
        let asked_at = self.clock.now();
        let mut observation = match &line {
            Some(line) => line.observe().await,
            None => Err(EngineError::NotOffered),
        };
        // What is not where it would be made now is looked for where it was made: the provisioner may lead elsewhere since.
        if let Some(line) = &mut line
            && cluster.lifecycle == Lifecycle::Ready
            && is_lacking(&observation)
            && let Some(ledger) = self.store.ledger(cluster.id).await?
            && ledger.value.remaining().next().is_some()
        {
            line.spec.known = known(&ledger.value);
            observation = line.observe().await;
        }
        // While it is being worked on, what it last looked like is kept.
        let is_probed = cluster.has_kubeconfig && !cluster.lifecycle.is_transient();
        let probe = if !is_probed {
            view.observed.as_ref().and_then(|observed| observed.probe.clone())
        } else if let Some(kubeconfig) = self.store.kubeconfig(cluster.id).await? {
            Some(self.inspector.probe(&kubeconfig).await)
        } else {
            None
        };
        let silent = matches!(observation, Err(EngineError::Unreachable(_)))
            || is_probed && matches!(probe, Some(ProbeResult::NoAnswer { .. }));
        let now = self.clock.now();
        let before = view.observed.as_deref();
        let told = told(before.and_then(|observed| observed.provider.as_ref()), &observation, turn.refusal().cloned());
        turn.saw(ObservedStatus::after(before, cluster.id, probe, Some(told), now));
        if trouble(&observation).is_none() {
            turn.note_last_error(None);
        }
        if is_at_work(&observation)
            && let Some(operation) = turn.operation_mut()
        {
            operation.note_progress();
        }
        if is_busy && let Some(things) = things(&observation) {
            turn.ledger_mut().observed(things, asked_at);
            if let Some(line) = &mut line {
                line.spec.known = known(turn.ledger());
            }
        }
        let step = plan(&Situation {
            cluster,
            operation: turn.operation(),
            ledger: turn.ledger(),
            observation: &observation,
            now: asked_at,
        });
        let again = match step {
            Decision::Rest => self.rest(&mut turn, &observation).await?,
            Decision::Wait(kind) => self.wait(&mut turn, kind, &observation, now).await?,
            Decision::Call(call) => match &line {
                Some(line) => self.call(&mut turn, line, call, now).await?,
                None => self.rest(&mut turn, &observation).await?,
            },
            Decision::End { status, reason, event } => self.end(&mut turn, status, reason, event, now).await?,
            Decision::Move(event) => self.move_on(&mut turn, event, now).await?,
            Decision::Leave => self.leave(&mut turn, now).await?,
        };
        // A cluster that has left has no age.
        let unchanged_at = (!turn.has_news() && again != Requeue::Never).then_some(now);
        Ok(Outcome { requeue: again, silent, unchanged_at, written: turn.written(), deadline: turn.deadline() })
    }
}

/// Why the provider could not be asked.
fn trouble(observation: &Result<Observation, EngineError>) -> Option<Reason> {
    observation.as_ref().err().map(EngineError::reason)
}

/// What the provider says; while it cannot be asked, what it said before, with why.
fn told(
    before: Option<&ProviderStatus>,
    observation: &Result<Observation, EngineError>,
    refusal: Option<Reason>,
) -> ProviderStatus {
    match observation {
        Ok(Observation::Present(seen)) => ProviderStatus {
            progress: seen.progress,
            node_count: seen.node_count,
            network_policy: seen.network_policy.clone(),
            message: seen.message.clone(),
            last_error: None,
            last_rejection: refusal,
        },
        Ok(Observation::Absent) => ProviderStatus { last_rejection: refusal, ..ProviderStatus::default() },
        Err(_) => {
            let known = before.and_then(|before| before.last_error.as_ref());
            let trouble = trouble(observation).map(|trouble| trouble.or_first(known));
            ProviderStatus { last_error: trouble, last_rejection: refusal, ..before.cloned().unwrap_or_default() }
        }
    }
}

/// Whether the provider does what it was asked for.
fn is_at_work(observation: &Result<Observation, EngineError>) -> bool {
    matches!(observation, Ok(Observation::Present(seen)) if seen.state == ProvisioningState::Working)
}

/// Whether the provider has nothing of it, or not all.
fn is_lacking(observation: &Result<Observation, EngineError>) -> bool {
    match observation {
        Ok(Observation::Absent) => true,
        Ok(Observation::Present(seen)) => seen.state == ProvisioningState::Incomplete,
        Err(_) => false,
    }
}

/// Everything that is there, if that is known.
fn things(observation: &Result<Observation, EngineError>) -> Option<&[crate::ledger::ProviderResource]> {
    match observation {
        Ok(Observation::Present(seen)) => Some(&seen.resources),
        Ok(Observation::Absent) => Some(&[]),
        Err(_) => None,
    }
}

/// The ledger of a cluster, or an empty one with no revision.
fn opened(cluster: ClusterId, stored: Option<crate::revision::Versioned<Ledger>>) -> (Ledger, Option<Revision>) {
    stored.map_or_else(|| (Ledger::empty(cluster), None), |stored| (stored.value, Some(stored.revision)))
}
