//! A fake cluster store, which checks the expected revisions as real stores do and shows its records in the catalog; and the log of the
//! calls to it and to other ports, in order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use super::{
    doubles::{Log, Setting},
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
    /// A call to a port.
    Called(&'static str),
    /// A stored transaction.
    Stored(Box<Commit>),
}

type Hook = Box<dyn FnOnce() + Send>;

/// The events in order, and the hooks to run during calls.
#[derive(Clone, Default)]
pub(super) struct EventLog {
    events: Log<Event>,
    hooks: Arc<Mutex<HashMap<&'static str, Hook>>>,
}

impl EventLog {
    pub(super) fn note(&self, call: &'static str) {
        self.push(call, Event::Called(call));
    }

    fn push(&self, call: &'static str, event: Event) {
        self.events.push(event);
        let hook = self.hooks.lock().unwrap().remove(call);
        if let Some(hook) = hook {
            hook();
        }
    }

    /// Runs `hook` during the next call with this name, before the caller gets the answer.
    pub(super) fn during(&self, call: &'static str, hook: impl FnOnce() + Send + 'static) {
        self.hooks.lock().unwrap().insert(call, Box::new(hook));
    }

    /// Removes and returns the events so far.
    pub(super) fn take(&self) -> Vec<Event> {
        self.events.take()
    }
}

/// The names of the calls in `events`, with "commit" for transactions.
pub(super) fn call_names(events: &[Event]) -> Vec<&'static str> {
    events
        .iter()
        .map(|event| match event {
            Event::Called(call) => *call,
            Event::Stored(_) => "commit",
        })
        .collect()
}

/// The transactions among `events`.
pub(super) fn commits(events: Vec<Event>) -> Vec<Commit> {
    let stored = events.into_iter().filter_map(|event| match event {
        Event::Called(_) => None,
        Event::Stored(commit) => Some(*commit),
    });
    stored.collect()
}

/// The store of the one cluster that a test is about.
#[derive(Clone)]
pub(super) struct FakeStore {
    pub(super) world: Arc<World>,
    pub(super) events: EventLog,
    pub(super) ledger: Setting<Option<Versioned<Ledger>>>,
    pub(super) kubeconfig: Setting<Option<Kubeconfig>>,
    pub(super) metadata: Setting<Option<SecretDocument>>,
    /// The errors of the next transactions, one each.
    pub(super) refusals: Log<StoreError>,
}

impl FakeStore {
    pub(super) fn new(world: &Arc<World>) -> Self {
        Self {
            world: world.clone(),
            events: EventLog::default(),
            ledger: Setting::new(None),
            kubeconfig: Setting::new(Some(Kubeconfig::new("of the cluster".into()))),
            metadata: Setting::new(None),
            refusals: Log::default(),
        }
    }

    pub(super) fn store(&self) -> MockClusterStore {
        let mut store = MockClusterStore::new();
        let fake = self.clone();
        store.expect_commit().returning(move |id, record, work| fake.commit(id, record, work));
        let fake = self.clone();
        store.expect_ledger().returning(move |_| {
            let ledger = fake.ledger.get();
            fake.events.note("ledger");
            Ok(ledger)
        });
        let fake = self.clone();
        store.expect_kubeconfig().returning(move |_| Ok(fake.kubeconfig.get()));
        let fake = self.clone();
        store.expect_metadata().returning(move |_| Ok(fake.metadata.get()));
        let fake = self.clone();
        store.expect_prune_timeline().returning(move |_, keep| {
            assert_eq!(keep, crate::timeline::KEPT);
            fake.events.note("prune");
            Ok(())
        });
        store
    }

    pub(super) fn read_barrier(&self) -> MockReadBarrier {
        let mut read_barrier = MockReadBarrier::new();
        let events = self.events.clone();
        read_barrier.expect_caught_up().returning(move || {
            events.note("catch up");
            Ok(())
        });
        read_barrier
    }

    /// Stores a ledger as if it had been written before.
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
            self.events.note("refused");
            return Err(refusal);
        }
        self.check_revisions(id, &record, &work)?;
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
            // It is removed with the record; its revision is only compared.
            (RecordChange::Remove(_), _) => self.ledger.set(None),
            (_, Some((value, _))) => self.ledger.set(Some(Versioned { value, revision })),
            (_, None) => {}
        }
        self.world.catalog.apply(changes);
        self.events.push("commit", Event::Stored(Box::new(Commit { record, work, revision })));
        Ok(revision)
    }

    /// Checks that everything still has the expected revisions.
    fn check_revisions(&self, id: ClusterId, record: &RecordChange, work: &ClusterCommit) -> Result<(), StoreError> {
        let catalog = &self.world.catalog;
        let cluster = catalog.cluster(id).ok_or(StoreError::Missing)?.cluster;
        let expected = match record {
            RecordChange::Keep(expected) => *expected,
            RecordChange::Put(_, _, expected) | RecordChange::Remove(expected) => Some(*expected),
        };
        let mut is_current = expected.is_none_or(|expected| expected == cluster.revision);
        for (operation, expected) in &work.operations {
            is_current &= catalog.operation(operation.id).map(|stored| stored.operation.revision) == *expected;
        }
        if let Some((_, expected)) = &work.ledger {
            is_current &= self.ledger.get().map(|stored| stored.revision) == *expected;
        }
        if is_current { Ok(()) } else { Err(StoreError::Conflict) }
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
