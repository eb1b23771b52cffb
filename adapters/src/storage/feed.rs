//! From stored bytes to the catalog: every committed change, and everything at the start or after a gap.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kqueen_domain::{
    catalog::{Catalog, Change, SnapshotBuilder},
    id::ClusterId,
    port::store::{Revision, StoreError, Versioned},
};

use super::{
    ages::{Ages, Page, Shard},
    backend::{Event, Everything, Feed, Stored},
    key::{Key, Shown},
    meters::Meters,
    record::{self, Record, Unreadable},
};

/// Feeds the catalog, and keeps the ages in the form they are written in.
pub(crate) struct ReadModel {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) ages: Ages,
    meters: Arc<Meters>,
    /// What was written by others and cannot be read here; the catalog shows what was there before.
    unreadable: Mutex<BTreeMap<Key, String>>,
}

impl ReadModel {
    pub(crate) fn new(catalog: Arc<Catalog>, meters: Arc<Meters>) -> Self {
        Self { catalog, ages: Ages::default(), meters, unreadable: Mutex::default() }
    }

    /// Whether everything that is stored is shown.
    pub(crate) fn complete(&self) -> Result<(), StoreError> {
        let unreadable = self.unreadable();
        unreadable.first_key_value().map_or(Ok(()), |(_, why)| Err(StoreError::Unreadable(why.as_str().into())))
    }

    fn unreadable(&self) -> MutexGuard<'_, BTreeMap<Key, String>> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, shown: Shown, stored: &Stored) -> Result<Change, Unreadable> {
        Ok(match shown {
            Shown::Organization(_) => Change::Organization(versioned(stored)?),
            Shown::User(_) => Change::User(versioned(stored)?),
            Shown::Provisioner(_) => Change::Provisioner(versioned(stored)?),
            Shown::Cluster(_) => Change::Cluster(versioned(stored)?),
            Shown::ObservedStatus(_) => Change::ObservedStatus(record::read(&stored.value)?),
            Shown::Ages(shard) => Change::Looked(self.ages.put(shard, Page::read(&stored.value, stored.revision)?)),
            Shown::Check(_) => Change::Checked(record::read(&stored.value)?),
            Shown::Operation(_) => Change::Operation(versioned(stored)?),
            Shown::Orphan(_) => Change::Orphan(versioned(stored)?),
            Shown::Tombstone(_) => Change::Tombstone(record::read(&stored.value)?),
        })
    }

    fn gone(&self, shown: Shown) -> Option<Change> {
        Some(match shown {
            Shown::Organization(id) => Change::OrganizationGone(id),
            Shown::User(id) => Change::UserGone(id),
            Shown::Provisioner(id) => Change::ProvisionerGone(id),
            Shown::Cluster(id) => {
                self.ages.forget(id);
                Change::ClusterGone(id)
            }
            Shown::ObservedStatus(id) => Change::ObservedStatusGone(id),
            Shown::Operation(id) => Change::OperationGone(id),
            Shown::Orphan(id) => Change::OrphanGone(id),
            Shown::Tombstone(id) => Change::TombstoneGone(id),
            // A check goes only together with its provisioner.
            Shown::Ages(_) | Shown::Check(_) => return None,
        })
    }

    fn judge(&self, key: Key, result: Result<Change, Unreadable>) -> Option<Change> {
        let mut unreadable = self.unreadable();
        match result {
            Ok(change) => {
                unreadable.remove(&key);
                Some(change)
            }
            Err(error) => {
                tracing::error!(%error, ?key, "a record that was written by another replica cannot be read");
                unreadable.insert(key, error.to_string());
                None
            }
        }
    }
}

fn versioned<T: Record>(stored: &Stored) -> Result<Versioned<T>, Unreadable> {
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
                        let change = self.change(Shown::of(&key)?, &stored);
                        self.judge(key, change)
                    }
                    Event::Delete(key, _) => {
                        self.unreadable().remove(&key);
                        self.gone(Shown::of(&key)?)
                    }
                };
                Some((Revision(revision), change?))
            })
            .collect();
        self.catalog.apply(changes);
        self.meters.fed_revision.fetch_max(newest, std::sync::atomic::Ordering::Relaxed);
    }

    fn replace(&self, everything: &mut Everything<'_>) -> Result<(), StoreError> {
        let mut filling = SnapshotBuilder::default();
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
                filling.put(self.change(shown, &stored).map_err(|error| error.at(&key))?);
            }
        }
        for page in pages.values_mut() {
            page.retain(&clusters);
            filling.put(Change::Looked(page.newer_than(&Page::default())));
        }
        self.ages.replace(pages);
        self.catalog.replace(filling);
        self.unreadable().clear();
        self.meters.fed_revision.fetch_max(newest, std::sync::atomic::Ordering::Relaxed);
        Meters::count(&self.meters.fills);
        Ok(())
    }
}
