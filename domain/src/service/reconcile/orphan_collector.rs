//! Looks for orphans at providers, and takes down those that are to go.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    catalog::{Catalog, OrphanView, ProvisionerView, Scope},
    id::{ClusterId, ProvisionerId},
    ledger::{ProviderResource, RecordState, ResourceRecord, ResourceRef, UNCERTAIN},
    observation::{EngineError, InventoryItem, Observation, ObservedCluster, ProvisioningState},
    orphan::{Orphan, OrphanState},
    port::{
        clock::Clock,
        engine::{ClusterSpec, Engine, ProviderCredentials},
        leader::{Leadership, Term},
        store::{OrphanStore, StoreError},
    },
    reason::Reason,
    revision::Revision,
    service::provisioners::providers::Providers,
};

/// For so long after a cluster has left, what an inventory shows of it may be from before.
const JUST_LEFT: TimeDelta = TimeDelta::minutes(5);
/// That often it is written when an orphan was last seen that has not changed.
const SEEN_AGAIN: TimeDelta = TimeDelta::minutes(5);

/// Looks for orphans, and takes down those that are to go. Done by the replica that leads.
pub struct OrphanCollector {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where orphans are stored.
    pub store: Arc<dyn OrphanStore>,
    /// Reaches providers.
    pub providers: Providers,
    /// Whether this replica may do it.
    pub leadership: Arc<dyn Leadership>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl OrphanCollector {
    /// Compares what carries our ownership tag at one provisioner's provider with what is on record: lists what belongs to no cluster, takes off
    /// the list what is gone, and sees that what is to go goes. A provider that cannot be read changes nothing.
    ///
    /// # Errors
    /// `NotLeader`, `Unavailable`.
    pub async fn sweep(&self, id: ProvisionerId) -> Result<(), StoreError> {
        let Some(view) = self.catalog.provisioner(id) else { return Ok(()) };
        let term = self.leadership.term().ok_or(StoreError::NotLeader)?;
        let Some(engine) = self.providers.engine_of(&view).cloned() else { return self.cannot_sweep(id, term).await };
        let capabilities = engine.descriptor().capabilities;
        if !capabilities.deploy {
            return Ok(());
        }
        let credentials = self.providers.credentials(&view).await?;
        // Whatever the provider finds, it has looked no earlier than this.
        let now = self.clock.now();
        if capabilities.inventory
            && let Ok(found) = engine.inventory(&credentials, self.providers.installation).await
        {
            self.compare(&view, &*engine, &credentials, found, now, term).await?;
        }
        for orphan in self.of(id) {
            self.take_down(&*engine, &credentials, &orphan, term).await?;
        }
        Ok(())
    }

    /// Orphans that are reached through that provisioner.
    fn of(&self, id: ProvisionerId) -> impl Iterator<Item = OrphanView> {
        self.catalog.orphans(Scope::All).into_iter().filter(move |view| view.orphan.record.provisioner == id)
    }

    /// What is to go, and cannot since nobody can ask the provider, says so.
    async fn cannot_sweep(&self, id: ProvisionerId, term: Term) -> Result<(), StoreError> {
        for view in self.of(id) {
            self.tell(&view, Some(EngineError::NotOffered.reason()), term).await?;
        }
        Ok(())
    }

    /// Takes what an inventory found into the list, which was begun at `now`.
    async fn compare(
        &self,
        provisioner: &ProvisionerView,
        engine: &dyn Engine,
        credentials: &ProviderCredentials,
        found: Vec<InventoryItem>,
        now: DateTime<Utc>,
        term: Term,
    ) -> Result<(), StoreError> {
        let record = &provisioner.provisioner.record;
        let mut things: BTreeMap<ClusterId, Vec<ProviderResource>> = BTreeMap::new();
        for found in found {
            things.entry(found.cluster).or_default().push(found.resource);
        }
        for (cluster, things) in &things {
            let is_listed = self.catalog.orphan(*cluster).is_some();
            if is_listed || self.catalog.cluster(*cluster).is_some() {
                continue;
            }
            let tombstone = self.catalog.tombstone(*cluster);
            if tombstone.as_ref().is_some_and(|tombstone| now - tombstone.at < JUST_LEFT) {
                continue;
            }
            // Marks can be copied: nobody learns from one what somebody else's cluster was called.
            let tombstone = tombstone.filter(|tombstone| tombstone.organization == record.organization);
            let orphan = Orphan {
                cluster: *cluster,
                name: tombstone.map(|tombstone| tombstone.name.to_string()),
                organization: record.organization,
                provisioner: record.id,
                resources: things.iter().cloned().map(|thing| present(thing, now)).collect(),
                state: OrphanState::Listed,
                listed_at: now,
                seen_at: Some(now),
            };
            self.put(&orphan, None, term).await?;
        }
        for view in self.of(record.id) {
            let found = things.remove(&view.orphan.record.cluster).unwrap_or_default();
            if self.catalog.cluster(view.orphan.record.cluster).is_none() {
                self.compare_one(&view, engine, credentials, found, now, term).await?;
            }
        }
        Ok(())
    }

    /// Takes what an inventory found of an orphan into the list. What it does not show may be where it does not look: that is gone only
    /// when a look for that very thing says so.
    async fn compare_one(
        &self,
        view: &OrphanView,
        engine: &dyn Engine,
        credentials: &ProviderCredentials,
        mut found: Vec<ProviderResource>,
        now: DateTime<Utc>,
        term: Term,
    ) -> Result<(), StoreError> {
        let orphan = &view.orphan.record;
        let mut is_seen = !found.is_empty();
        let mut rows = Vec::new();
        let is_found = |row: &ResourceRecord, found: &[ProviderResource]| {
            found.iter().any(|thing| thing.name == row.resource.name)
        };
        if orphan.resources.iter().any(|row| !is_found(row, &found)) || found.is_empty() {
            match Observation::of(engine.observe(credentials, &self.spec(orphan)).await) {
                Ok(Observation::Absent) => {}
                Ok(Observation::Present(seen)) => {
                    is_seen = true;
                    for thing in seen.resources {
                        if found.iter().all(|known| known.name != thing.name) {
                            found.push(thing);
                        }
                    }
                }
                Err(_) => rows.extend(orphan.resources.iter().filter(|row| !is_found(row, &found)).cloned()),
            }
        }
        rows.extend(found.into_iter().map(|thing| present(thing, now)));
        if rows.is_empty() {
            return if now - orphan.listed_at > UNCERTAIN { self.remove(view, term).await } else { Ok(()) };
        }
        let is_recent = !is_seen || orphan.seen_at.is_some_and(|at| now - at < SEEN_AGAIN);
        if is_recent && things_of(&orphan.resources) == things_of(&rows) {
            return Ok(());
        }
        let seen_at = if is_seen { Some(now) } else { orphan.seen_at };
        self.put(&Orphan { resources: rows, seen_at, ..orphan.clone() }, Some(view.orphan.revision), term).await
    }

    /// An orphan in the engine's terms.
    fn spec(&self, orphan: &Orphan) -> ClusterSpec {
        ClusterSpec {
            tag: self.providers.tag(orphan.cluster),
            name: orphan.name.clone().unwrap_or_default(),
            parameters: crate::secret::SecretMap::new(),
            known: orphan.resources.iter().map(|row| row.resource.clone()).collect(),
        }
    }

    /// Sees that an orphan goes, if it is to go.
    async fn take_down(
        &self,
        engine: &dyn Engine,
        credentials: &ProviderCredentials,
        view: &OrphanView,
        term: Term,
    ) -> Result<(), StoreError> {
        let orphan = &view.orphan.record;
        if self.catalog.cluster(orphan.cluster).is_some() {
            // Listed when its cluster was not known yet. What a cluster is made of is no orphan, whoever asked for its end.
            return self.remove(view, term).await;
        }
        if !matches!(orphan.state, OrphanState::Deleting { .. }) {
            return Ok(());
        }
        let now = self.clock.now();
        let spec = self.spec(orphan);
        let result = match Observation::of(engine.observe(credentials, &spec).await) {
            Ok(Observation::Absent) if now - orphan.listed_at > UNCERTAIN => {
                return self.remove(view, term).await;
            }
            Ok(Observation::Present(ObservedCluster { state: ProvisioningState::Removing, .. })) => Ok(()),
            Ok(_) => {
                if self.leadership.term() != Some(term) {
                    return Err(StoreError::NotLeader);
                }
                engine.destroy(credentials, &spec).await
            }
            Err(error) => Err(error),
        };
        let trouble = match result {
            Ok(()) | Err(EngineError::Missing) => None,
            Err(error) => Some(error.reason()),
        };
        self.tell(view, trouble, term).await
    }

    /// Says why something that is to go is not gone yet.
    async fn tell(&self, view: &OrphanView, trouble: Option<Reason>, term: Term) -> Result<(), StoreError> {
        let orphan = &view.orphan.record;
        let OrphanState::Deleting { by, since, last_error: before } = &orphan.state else { return Ok(()) };
        let trouble = trouble.map(|trouble| trouble.or_first(before.as_ref()));
        if trouble == *before {
            return Ok(());
        }
        let state = OrphanState::Deleting { by: *by, since: *since, last_error: trouble };
        self.put(&Orphan { state, ..orphan.clone() }, Some(view.orphan.revision), term).await
    }

    /// Stores an orphan; if somebody else has changed it meanwhile, the next sweep looks again.
    async fn put(&self, orphan: &Orphan, seen: Option<Revision>, term: Term) -> Result<(), StoreError> {
        match self.store.put(orphan, seen, Some(term)).await {
            Ok(_) | Err(StoreError::Conflict | StoreError::Missing | StoreError::Dangling { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn remove(&self, view: &OrphanView, term: Term) -> Result<(), StoreError> {
        match self.store.remove(view.orphan.record.cluster, view.orphan.revision, Some(term)).await {
            Ok(()) | Err(StoreError::Conflict | StoreError::Missing) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

const fn present(thing: ProviderResource, now: DateTime<Utc>) -> ResourceRecord {
    ResourceRecord { resource: thing, state: RecordState::Present, since: now }
}

/// The things without their order, which providers do not promise.
fn things_of(rows: &[ResourceRecord]) -> BTreeMap<&ResourceRef, Option<&str>> {
    rows.iter().map(|row| (&row.resource.name, row.resource.provider_id.as_deref())).collect()
}
