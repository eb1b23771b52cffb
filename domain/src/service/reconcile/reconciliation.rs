//! The state of one reconciliation. Everything that changed since the last write is written in one transaction, provided that nobody
//! else changed any of it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::ledger_or_empty;
use crate::{
    catalog::{ClusterView, Stored},
    id::ClusterId,
    ledger::Ledger,
    observation::{ObservedStatus, ProviderStatus},
    operation::{Operation, StepKind},
    port::{
        leader::Term,
        store::{ClusterCommit, ClusterStore, RecordChange, StoreError},
    },
    reason::Reason,
    revision::{Revision, Versioned},
    timeline::{EventKind, TimelineEvent, Tombstone},
};

/// A record as it is now, and as it was last read or written.
struct Tracked<T> {
    now: T,
    stored: T,
    revision: Option<Revision>,
}

impl<T: Clone + PartialEq> Tracked<T> {
    fn new(value: T, revision: Option<Revision>) -> Self {
        Self { now: value.clone(), stored: value, revision }
    }

    /// The value to write, if it changed.
    fn changed(&self) -> Option<(T, Option<Revision>)> {
        (self.now != self.stored).then(|| (self.now.clone(), self.revision))
    }

    fn written(&mut self, revision: Revision) {
        if self.now != self.stored {
            self.stored = self.now.clone();
            self.revision = Some(revision);
        }
    }
}

/// One reconciliation.
pub(super) struct Reconciliation {
    pub(super) view: ClusterView,
    pub(super) term: Term,
    /// The revision of the cluster's record.
    pub(super) revision: Revision,
    operation: Option<Tracked<Operation>>,
    ledger: Tracked<Ledger>,
    /// The observed status, if it changed.
    observed: Option<ObservedStatus>,
    /// Whether `observed` has to be written.
    is_observed_unwritten: bool,
    timeline: Vec<TimelineEvent>,
    tombstone: Option<Tombstone>,
    written: Option<Revision>,
}

impl Reconciliation {
    pub(super) fn new(
        view: ClusterView,
        operation: Option<Arc<Stored<Operation>>>,
        ledger: Option<Versioned<Ledger>>,
        term: Term,
    ) -> Self {
        let (ledger, ledger_revision) = ledger_or_empty(view.cluster.record.id, ledger);
        Self {
            revision: view.cluster.revision,
            operation: operation.map(|entry| Tracked::new(entry.record.clone(), Some(entry.revision))),
            ledger: Tracked::new(ledger, ledger_revision),
            view,
            term,
            observed: None,
            is_observed_unwritten: false,
            timeline: Vec::new(),
            tombstone: None,
            written: None,
        }
    }

    pub(super) fn id(&self) -> ClusterId {
        self.view.cluster.record.id
    }

    /// The newest operation, unfinished or not.
    pub(super) fn operation(&self) -> Option<&Operation> {
        self.operation.as_ref().map(|tracked| &tracked.now)
    }

    /// The unfinished operation.
    pub(super) fn operation_mut(&mut self) -> Option<&mut Operation> {
        self.operation.as_mut().map(|tracked| &mut tracked.now).filter(|operation| operation.status.is_unfinished())
    }

    /// Records why the provider cannot be observed, or that it can be again. Returns whether that is new. Only steps that wait get the
    /// error: a step with a call keeps the answer to its call.
    pub(super) fn note_last_error(&mut self, last_error: Option<&Reason>) -> bool {
        let known = self.view.observed.as_ref().and_then(|observed| observed.provider.as_ref()?.last_error.clone());
        let steps = self.operation_mut().and_then(|operation| operation.steps.last_mut());
        let Some(step) = steps.filter(|step| step.ended_at.is_none() && only_waits(step.kind)) else {
            return is_new(known.as_ref(), last_error);
        };
        let is_new = is_new(step.reason.as_ref(), last_error);
        step.reason = last_error.map(|error| error.clone().or_first(step.reason.as_ref()));
        is_new
    }

    pub(super) const fn ledger(&self) -> &Ledger {
        &self.ledger.now
    }

    pub(super) const fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger.now
    }

    /// Sets the observed status, if it changed.
    pub(super) fn set_observed(&mut self, observed: Option<ObservedStatus>) {
        self.is_observed_unwritten = observed.is_some();
        self.observed = observed;
    }

    /// Why the provider has not accepted the last call.
    pub(super) fn rejection(&self) -> Option<&Reason> {
        let under_way = self.operation().filter(|operation| operation.status.is_unfinished());
        under_way?.current().filter(|step| !only_waits(step.kind))?.reason.as_ref()
    }

    /// Updates `last_rejection` in the observed status.
    pub(super) fn show_rejection(&mut self, now: DateTime<Utc>) {
        let last_rejection = self.rejection().cloned();
        let Some(known) = self.observed.as_ref().or(self.view.observed.as_deref()) else { return };
        let status = ProviderStatus { last_rejection, ..known.provider.clone().unwrap_or_default() };
        if let Some(observed) =
            ObservedStatus::after(Some(known), known.cluster, known.probe.clone(), Some(status), now)
        {
            self.set_observed(Some(observed));
        }
    }

    /// Whether the observed status changed.
    pub(super) const fn has_changed_status(&self) -> bool {
        self.observed.is_some()
    }

    /// The number of nodes that the provider reports.
    pub(super) fn observed_nodes(&self) -> Option<u32> {
        let observed = self.observed.as_ref().or(self.view.observed.as_deref())?;
        observed.provider.as_ref()?.node_count
    }

    /// The deadline of the unfinished operation.
    pub(super) fn deadline(&self) -> Option<DateTime<Utc>> {
        self.operation().filter(|operation| operation.status.is_unfinished()).map(|operation| operation.deadline)
    }

    /// `pause`, but no longer than until the deadline of the unfinished operation.
    pub(super) fn until_deadline(&self, pause: Duration, now: DateTime<Utc>) -> Duration {
        self.deadline().map_or(pause, |deadline| pause.min((deadline - now).to_std().unwrap_or_default()))
    }

    /// Adds an event to the timeline.
    pub(super) fn record_event(
        &mut self,
        now: DateTime<Utc>,
        kind: EventKind,
        message: String,
        reason: Option<Reason>,
    ) {
        // Changes without a running operation do not belong to the last operation.
        let under_way = self.operation.as_ref().filter(|operation| operation.stored.status.is_unfinished());
        let operation = under_way.map(|operation| operation.now.id);
        let cluster = self.id();
        self.timeline.push(TimelineEvent { cluster, at: now, kind, message, operation, by: None, reason });
    }

    /// Adds the tombstone to the next write, which removes the cluster.
    pub(super) fn set_tombstone(&mut self, now: DateTime<Utc>) {
        let cluster = &self.view.cluster.record;
        self.tombstone = Some(Tombstone {
            cluster: cluster.id,
            name: cluster.name.clone(),
            organization: cluster.organization,
            owner: cluster.owner,
            at: now,
        });
    }

    /// Whether anything has to be written.
    pub(super) fn has_changed(&self) -> bool {
        self.is_observed_unwritten
            || !self.timeline.is_empty()
            || self.operation.as_ref().is_some_and(|tracked| tracked.changed().is_some())
            || self.ledger.changed().is_some()
    }

    /// The newest revision that was written, if anything was.
    pub(super) const fn written(&self) -> Option<Revision> {
        self.written
    }

    /// Writes everything that changed, with the change of the cluster's record.
    pub(super) async fn save(&mut self, store: &dyn ClusterStore, record: RecordChange) -> Result<(), StoreError> {
        let puts = matches!(record, RecordChange::Put(..));
        let removes = matches!(record, RecordChange::Remove(_));
        let work = ClusterCommit {
            operations: self.operation.as_ref().and_then(Tracked::changed).into_iter().collect(),
            // The ledger is removed with the record.
            ledger: if removes { None } else { self.ledger.changed() },
            observed: self.observed.clone().filter(|_| self.is_observed_unwritten && !removes),
            timeline: std::mem::take(&mut self.timeline),
            tombstone: self.tombstone.take(),
            term: Some(self.term),
            ..ClusterCommit::default()
        };
        let revision = store.commit(self.id(), record, work).await?;
        self.written = Some(revision);
        self.is_observed_unwritten = false;
        if let Some(operation) = &mut self.operation {
            operation.written(revision);
        }
        self.ledger.written(revision);
        if puts {
            self.revision = revision;
        }
        Ok(())
    }
}

/// Whether a step makes no call.
pub(super) const fn only_waits(step: StepKind) -> bool {
    matches!(step, StepKind::Wait | StepKind::Verify)
}

/// Whether the error differs from the one before in more than the provider message.
fn is_new(before: Option<&Reason>, error: Option<&Reason>) -> bool {
    match (before, error) {
        (Some(before), Some(error)) => !before.is_like(error),
        (before, error) => before.is_some() != error.is_some(),
    }
}
