//! Feeds the catalog with what is stored: every committed change, and everything at the start or after a gap.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kqueen_domain::{
    catalog::{Catalog, Change, Record, RecordId, SnapshotBuilder},
    id::ClusterId,
    port::store::StoreError,
    revision::{Revision, Versioned},
};

use super::{
    ages::{Ages, Page, Shard},
    backend::{Event, Everything, Feed, Stored},
    counters::StoreCounters,
    key::{Key, Shown},
    record::{self, Unreadable},
};

/// Feeds the catalog, and keeps the observation times in their stored form.
pub(crate) struct ReadModel {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) ages: Ages,
    counters: Arc<StoreCounters>,
    /// Records that other replicas wrote and that cannot be read here; the catalog shows what was stored before.
    unreadable: Mutex<BTreeMap<Key, String>>,
}

impl ReadModel {
    pub(crate) fn new(catalog: Arc<Catalog>, counters: Arc<StoreCounters>) -> Self {
        Self { catalog, ages: Ages::default(), counters, unreadable: Mutex::default() }
    }

    /// Whether everything that is stored is shown.
    pub(crate) fn complete(&self) -> Result<(), StoreError> {
        let unreadable = self.unreadable();
        unreadable.first_key_value().map_or(Ok(()), |(_, why)| Err(StoreError::Unreadable(why.as_str().into())))
    }

    fn unreadable(&self) -> MutexGuard<'_, BTreeMap<Key, String>> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, shown: Shown, stored: &Stored) -> Result<Record, Unreadable> {
        Ok(match shown {
            Shown::Organization(_) => Record::Organization(versioned(stored)?),
            Shown::User(_) => Record::User(versioned(stored)?),
            Shown::Provisioner(_) => Record::Provisioner(versioned(stored)?),
            Shown::Cluster(_) => Record::Cluster(versioned(stored)?),
            Shown::ObservedStatus(_) => Record::ObservedStatus(record::read(&stored.value)?),
            Shown::Ages(shard) => Record::ObservedAt(self.ages.put(shard, Page::read(&stored.value, stored.revision)?)),
            Shown::Check(_) => Record::ProvisionerCheck(record::read(&stored.value)?),
            Shown::Operation(_) => Record::Operation(versioned(stored)?),
            Shown::Orphan(_) => Record::Orphan(versioned(stored)?),
            Shown::Tombstone(_) => Record::Tombstone(record::read(&stored.value)?),
        })
    }

    fn deleted(&self, shown: Shown) -> Option<RecordId> {
        Some(match shown {
            Shown::Organization(id) => RecordId::Organization(id),
            Shown::User(id) => RecordId::User(id),
            Shown::Provisioner(id) => RecordId::Provisioner(id),
            Shown::Cluster(id) => {
                self.ages.forget(id);
                RecordId::Cluster(id)
            }
            Shown::ObservedStatus(id) => RecordId::ObservedStatus(id),
            Shown::Operation(id) => RecordId::Operation(id),
            Shown::Orphan(id) => RecordId::Orphan(id),
            Shown::Tombstone(id) => RecordId::Tombstone(id),
            // These are deleted only together with the record they belong to.
            Shown::Ages(_) | Shown::Check(_) => return None,
        })
    }

    fn readable(&self, key: Key, result: Result<Record, Unreadable>) -> Option<Record> {
        let mut unreadable = self.unreadable();
        match result {
            Ok(record) => {
                unreadable.remove(&key);
                Some(record)
            }
            Err(error) => {
                tracing::error!(%error, ?key, "a record that was written by another replica cannot be read");
                unreadable.insert(key, error.to_string());
                None
            }
        }
    }
}

fn versioned<T: record::Record>(stored: &Stored) -> Result<Versioned<T>, Unreadable> {
    Ok(Versioned { value: record::read(&stored.value)?, revision: Revision(stored.revision) })
}

impl Feed for ReadModel {
    fn apply(&self, events: Vec<Event>) {
        let mut newest = 0;
        let changes: Vec<(Revision, Change)> = events
            .into_iter()
            .filter_map(|event| {
                let revision = event.revision();
                newest = newest.max(revision);
                let change = match event {
                    Event::Put(key, stored) => {
                        let record = self.record(Shown::of(&key)?, &stored);
                        self.readable(key, record).map(Change::Put)
                    }
                    Event::Delete(key, _) => {
                        self.unreadable().remove(&key);
                        self.deleted(Shown::of(&key)?).map(Change::Deleted)
                    }
                };
                Some((Revision(revision), change?))
            })
            .collect();
        self.catalog.apply(changes);
        self.counters.fed_revision.fetch_max(newest, std::sync::atomic::Ordering::Relaxed);
    }

    fn replace(&self, everything: &mut Everything<'_>) -> Result<(), StoreError> {
        let mut snapshot = SnapshotBuilder::default();
        let mut clusters: BTreeSet<ClusterId> = BTreeSet::new();
        let mut pages: BTreeMap<Shard, Page> = BTreeMap::new();
        let mut newest = 0;
        for entry in everything {
            let (key, stored) = entry.map_err(StoreError::Unavailable)?;
            newest = newest.max(stored.revision);
            let Some(shown) = Shown::of(&key) else { continue };
            if let Shown::Cluster(id) = shown {
                clusters.insert(id);
            }
            if let Shown::Ages(shard) = shown {
                let page = Page::read(&stored.value, stored.revision).map_err(|error| error.at(&key))?;
                pages.insert(shard, page);
            } else {
                snapshot.put(self.record(shown, &stored).map_err(|error| error.at(&key))?);
            }
        }
        for page in pages.values_mut() {
            page.retain(&clusters);
            snapshot.put(Record::ObservedAt(page.newer_than(&Page::default())));
        }
        self.ages.replace(pages);
        self.catalog.replace(snapshot);
        self.unreadable().clear();
        self.counters.fed_revision.fetch_max(newest, std::sync::atomic::Ordering::Relaxed);
        StoreCounters::count(&self.counters.fills);
        Ok(())
    }
}
