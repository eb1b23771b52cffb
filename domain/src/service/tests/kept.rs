//! A cluster store that keeps what it is given, on the conditions that stores promise, and shows it in the catalog; and the log of what
//! happened at it and at other ports, in order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use super::{
    doubles::{Dial, Log},
    world::World,
};
use crate::{
    catalog::{Change, Record, RecordId},
    id::ClusterId,
    ledger::Ledger,
    port::store::{
        ClusterCommit, ClusterSecrets, MockClusterStore, MockReadBarrier, RecordChange, SecretUpdate, StoreError,
    },
    revision::{Revision, Versioned},
    secret::{Kubeconfig, SecretDocument},
};

/// One transaction.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) record: RecordChange,
    pub(super) work: ClusterCommit,
    pub(super) revision: Revision,
}

#[derive(Debug, Clone)]
pub(super) enum Event {
    /// Something was asked of a port.
    Asked(&'static str),
    /// Something was stored.
    Stored(Box<Commit>),
}

type Meanwhile = Box<dyn FnOnce() + Send>;

/// What happened, in order, and what is to happen meanwhile.
#[derive(Clone, Default)]
pub(super) struct Story {
    events: Log<Event>,
    meanwhile: Arc<Mutex<HashMap<&'static str, Meanwhile>>>,
}

impl Story {
    pub(super) fn note(&self, word: &'static str) {
        self.push(word, Event::Asked(word));
    }

    fn push(&self, word: &'static str, event: Event) {
        self.events.push(event);
        let meanwhile = self.meanwhile.lock().unwrap().remove(word);
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
    }

    /// Does `this` the next time that `word` happens, before whoever asked for that hears of it.
    pub(super) fn meanwhile(&self, word: &'static str, this: impl FnOnce() + Send + 'static) {
        self.meanwhile.lock().unwrap().insert(word, Box::new(this));
    }

    /// Everything so far, taken out.
    pub(super) fn take(&self) -> Vec<Event> {
        self.events.take()
    }
}

/// The words of `events`, transactions as "commit".
pub(super) fn words(events: &[Event]) -> Vec<&'static str> {
    events
        .iter()
        .map(|event| match event {
            Event::Asked(word) => *word,
            Event::Stored(_) => "commit",
        })
        .collect()
}

/// The transactions among `events`.
pub(super) fn commits(events: Vec<Event>) -> Vec<Commit> {
    let stored = events.into_iter().filter_map(|event| match event {
        Event::Asked(_) => None,
        Event::Stored(commit) => Some(*commit),
    });
    stored.collect()
}

/// What is stored of the one cluster that a test is about.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) world: Arc<World>,
    pub(super) story: Story,
    pub(super) ledger: Dial<Option<Versioned<Ledger>>>,
    pub(super) kubeconfig: Dial<Option<Kubeconfig>>,
    pub(super) metadata: Dial<Option<SecretDocument>>,
    /// Why the next transactions are refused, one each.
    pub(super) refusals: Log<StoreError>,
}

impl Kept {
    pub(super) fn new(world: &Arc<World>) -> Self {
        Self {
            world: world.clone(),
            story: Story::default(),
            ledger: Dial::new(None),
            kubeconfig: Dial::new(Some(Kubeconfig::new("of the cluster".into()))),
            metadata: Dial::new(None),
            refusals: Log::default(),
        }
    }

    pub(super) fn store(&self) -> MockClusterStore {
        let mut store = MockClusterStore::new();
        let kept = self.clone();
        store.expect_commit().returning(move |id, record, work| kept.commit(id, record, work));
        let kept = self.clone();
        store.expect_ledger().returning(move |_| {
            let ledger = kept.ledger.get();
            kept.story.note("ledger");
            Ok(ledger)
        });
        let kept = self.clone();
        store.expect_kubeconfig().returning(move |_| Ok(kept.kubeconfig.get()));
        let kept = self.clone();
        store.expect_metadata().returning(move |_| Ok(kept.metadata.get()));
        let kept = self.clone();
        store.expect_prune_timeline().returning(move |_, keep| {
            assert_eq!(keep, crate::timeline::KEPT);
            kept.story.note("prune");
            Ok(())
        });
        store
    }

    pub(super) fn freshness(&self) -> MockReadBarrier {
        let mut freshness = MockReadBarrier::new();
        let story = self.story.clone();
        freshness.expect_caught_up().returning(move || {
            story.note("catch up");
            Ok(())
        });
        freshness
    }

    /// Stores a ledger that somebody has written before.
    pub(super) fn put_ledger(&self, value: Ledger) {
        let revision = self.world.next_revision();
        self.ledger.set(Some(Versioned { value, revision }));
    }

    pub(super) fn commit(
        &self,
        id: ClusterId,
        record: RecordChange,
        work: ClusterCommit,
    ) -> Result<Revision, StoreError> {
        if let Some(refusal) = self.refusals.next() {
            self.story.note("refused");
            return Err(refusal);
        }
        self.conditions(id, &record, &work)?;
        let revision = self.world.next_revision();
        let put = |record| (revision, Change::Put(record));
        let deleted = |id| (revision, Change::Deleted(id));
        let mut changes = Vec::new();
        changes.extend(work.tombstone.clone().map(Record::Tombstone).map(put));
        match record.clone() {
            RecordChange::Keep(_) => {}
            RecordChange::Put(value, secrets, _) => {
                changes.push(put(Record::Cluster(Versioned { value: *value, revision })));
                self.keep_secrets(secrets);
            }
            RecordChange::Remove(_) => changes.push(deleted(RecordId::Cluster(id))),
        }
        for (value, _) in work.operations.clone() {
            changes.push(put(Record::Operation(Versioned { value, revision })));
        }
        changes.extend(work.forgotten.iter().map(|id| deleted(RecordId::Operation(*id))));
        changes.extend(work.observed.clone().map(Record::ObservedStatus).map(put));
        let orphan = work.orphan.clone().map(|value| Record::Orphan(Versioned { value, revision }));
        changes.extend(orphan.map(put));
        match (&record, work.ledger.clone()) {
            // It goes with the record, and is only compared.
            (RecordChange::Remove(_), _) => self.ledger.set(None),
            (_, Some((value, _))) => self.ledger.set(Some(Versioned { value, revision })),
            (_, None) => {}
        }
        self.world.catalog.apply(changes);
        self.story.push("commit", Event::Stored(Box::new(Commit { record, work, revision })));
        Ok(revision)
    }

    /// Whether everything is as it was when it was read.
    fn conditions(&self, id: ClusterId, record: &RecordChange, work: &ClusterCommit) -> Result<(), StoreError> {
        let catalog = &self.world.catalog;
        let cluster = catalog.cluster(id).ok_or(StoreError::Missing)?.cluster;
        let seen = match record {
            RecordChange::Keep(seen) => *seen,
            RecordChange::Put(_, _, seen) | RecordChange::Remove(seen) => Some(*seen),
        };
        let mut holds = seen.is_none_or(|seen| seen == cluster.revision);
        for (operation, seen) in &work.operations {
            holds &= catalog.operation(operation.id).map(|stored| stored.operation.revision) == *seen;
        }
        if let Some((_, seen)) = &work.ledger {
            holds &= self.ledger.get().map(|stored| stored.revision) == *seen;
        }
        if holds { Ok(()) } else { Err(StoreError::Conflict) }
    }

    fn keep_secrets(&self, secrets: ClusterSecrets) {
        match secrets.kubeconfig {
            SecretUpdate::Keep => {}
            SecretUpdate::Set(kubeconfig) => self.kubeconfig.set(Some(kubeconfig)),
            SecretUpdate::Remove => self.kubeconfig.set(None),
        }
        match secrets.metadata {
            SecretUpdate::Keep => {}
            SecretUpdate::Set(metadata) => self.metadata.set(Some(metadata)),
            SecretUpdate::Remove => self.metadata.set(None),
        }
    }
}
