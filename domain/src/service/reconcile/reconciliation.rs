//! What one turn knows and changes, and how it is written: everything that has changed since the last write, in one transaction, on
//! the condition that nobody else has changed any of it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::opened;
use crate::{
    catalog::{ClusterView, Stored as Shown},
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

/// Something as it is now, and as it was when it was last read or written.
struct Tracked<T> {
    now: T,
    stored: T,
    revision: Option<Revision>,
}

impl<T: Clone + PartialEq> Tracked<T> {
    fn new(value: T, revision: Option<Revision>) -> Self {
        Self { now: value.clone(), stored: value, revision }
    }

    /// What has to be written, if anything.
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

/// One turn.
pub(super) struct Reconciliation {
    pub(super) view: ClusterView,
    pub(super) term: Term,
    /// The revision of the cluster's record.
    pub(super) seen: Revision,
    operation: Option<Tracked<Operation>>,
    ledger: Tracked<Ledger>,
    /// What is seen now, if that is new.
    observed: Option<ObservedStatus>,
    /// Whether `observed` waits to be written.
    is_unwritten: bool,
    timeline: Vec<TimelineEvent>,
    tombstone: Option<Tombstone>,
    written: Option<Revision>,
}

impl Reconciliation {
    pub(super) fn new(
        view: ClusterView,
        operation: Option<Arc<Shown<Operation>>>,
        ledger: Option<Versioned<Ledger>>,
        term: Term,
    ) -> Self {
        let (ledger, revision) = opened(view.cluster.record.id, ledger);
        Self {
            seen: view.cluster.revision,
            operation: operation.map(|entry| Tracked::new(entry.record.clone(), Some(entry.revision))),
            ledger: Tracked::new(ledger, revision),
            view,
            term,
            observed: None,
            is_unwritten: false,
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

    /// The operation under way.
    pub(super) fn operation_mut(&mut self) -> Option<&mut Operation> {
        self.operation.as_mut().map(|tracked| &mut tracked.now).filter(|operation| operation.status.is_unfinished())
    }

    /// The provider cannot be asked for that reason, or can be again; whether that is news. Only a step that waits is held up by it:
    /// one that calls keeps what its call was answered.
    pub(super) fn note_last_error(&mut self, trouble: Option<&Reason>) -> bool {
        let known = self.view.observed.as_ref().and_then(|observed| observed.provider.as_ref()?.last_error.clone());
        let steps = self.operation_mut().and_then(|operation| operation.steps.last_mut());
        let Some(step) = steps.filter(|step| step.ended_at.is_none() && only_waits(step.kind)) else {
            return is_news(known.as_ref(), trouble);
        };
        let is_news = is_news(step.reason.as_ref(), trouble);
        step.reason = trouble.map(|trouble| trouble.clone().or_first(step.reason.as_ref()));
        is_news
    }

    pub(super) const fn ledger(&self) -> &Ledger {
        &self.ledger.now
    }

    pub(super) const fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger.now
    }

    /// What a look found, if that is new.
    pub(super) fn saw(&mut self, observed: Option<ObservedStatus>) {
        self.is_unwritten = observed.is_some();
        self.observed = observed;
    }

    /// Why the provider has not accepted what it is asked for.
    pub(super) fn refusal(&self) -> Option<&Reason> {
        let under_way = self.operation().filter(|operation| operation.status.is_unfinished());
        under_way?.current().filter(|step| !only_waits(step.kind))?.reason.as_ref()
    }

    /// Shows the refusal there is now, or that there is none any more.
    pub(super) fn show_refusal(&mut self, now: DateTime<Utc>) {
        let refusal = self.refusal().cloned();
        let Some(known) = self.observed.as_ref().or(self.view.observed.as_deref()) else { return };
        let told = ProviderStatus { last_rejection: refusal, ..known.provider.clone().unwrap_or_default() };
        if let Some(observed) = ObservedStatus::after(Some(known), known.cluster, known.probe.clone(), Some(told), now)
        {
            self.saw(Some(observed));
        }
    }

    /// Whether the look found anything new.
    pub(super) const fn has_news(&self) -> bool {
        self.observed.is_some()
    }

    /// How many nodes the provider says there are.
    pub(super) fn observed_nodes(&self) -> Option<u32> {
        let observed = self.observed.as_ref().or(self.view.observed.as_deref())?;
        observed.provider.as_ref()?.node_count
    }

    /// When the operation under way has to end.
    pub(super) fn deadline(&self) -> Option<DateTime<Utc>> {
        self.operation().filter(|operation| operation.status.is_unfinished()).map(|operation| operation.deadline)
    }

    /// As much of `pause` as is left until the operation under way has to end.
    pub(super) fn until_deadline(&self, pause: Duration, now: DateTime<Utc>) -> Duration {
        self.deadline().map_or(pause, |deadline| pause.min((deadline - now).to_std().unwrap_or_default()))
    }

    /// Adds to the timeline.
    pub(super) fn tell(&mut self, now: DateTime<Utc>, kind: EventKind, message: String, reason: Option<Reason>) {
        // What a cluster at rest does on its own is no part of what was once done to it.
        let under_way = self.operation.as_ref().filter(|operation| operation.stored.status.is_unfinished());
        let operation = under_way.map(|operation| operation.now.id);
        let cluster = self.id();
        self.timeline.push(TimelineEvent { cluster, at: now, kind, message, operation, by: None, reason });
    }

    /// The cluster leaves with the next write.
    pub(super) fn depart(&mut self, now: DateTime<Utc>) {
        let cluster = &self.view.cluster.record;
        self.tombstone = Some(Tombstone {
            cluster: cluster.id,
            name: cluster.name.clone(),
            organization: cluster.organization,
            owner: cluster.owner,
            at: now,
        });
    }

    /// Whether anything waits to be written.
    pub(super) fn has_changed(&self) -> bool {
        self.is_unwritten
            || !self.timeline.is_empty()
            || self.operation.as_ref().is_some_and(|tracked| tracked.changed().is_some())
            || self.ledger.changed().is_some()
    }

    /// The newest revision that was written, if anything was.
    pub(super) const fn written(&self) -> Option<Revision> {
        self.written
    }

    /// Writes what has changed, and what becomes of the cluster's record.
    pub(super) async fn save(&mut self, store: &dyn ClusterStore, record: RecordChange) -> Result<(), StoreError> {
        let puts = matches!(record, RecordChange::Put(..));
        let leaves = matches!(record, RecordChange::Remove(_));
        let work = ClusterCommit {
            operations: self.operation.as_ref().and_then(Tracked::changed).into_iter().collect(),
            // What leaves takes its ledger along.
            ledger: if leaves { None } else { self.ledger.changed() },
            observed: self.observed.clone().filter(|_| self.is_unwritten && !leaves),
            timeline: std::mem::take(&mut self.timeline),
            tombstone: self.tombstone.take(),
            term: Some(self.term),
            ..ClusterCommit::default()
        };
        let revision = store.commit(self.id(), record, work).await?;
        self.written = Some(revision);
        self.is_unwritten = false;
        if let Some(operation) = &mut self.operation {
            operation.written(revision);
        }
        self.ledger.written(revision);
        if puts {
            self.seen = revision;
        }
        Ok(())
    }
}

/// Whether a step calls nobody.
pub(super) const fn only_waits(step: StepKind) -> bool {
    matches!(step, StepKind::Wait | StepKind::Verify)
}

/// Whether that is another trouble than before, and not the same in other words.
fn is_news(before: Option<&Reason>, trouble: Option<&Reason>) -> bool {
    match (before, trouble) {
        (Some(before), Some(trouble)) => !before.is_like(trouble),
        (before, trouble) => before.is_some() != trouble.is_some(),
    }
}
