//! Finds orphans at providers, and deletes those whose deletion was requested.

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

/// How long after a cluster was deleted an inventory may still show its resources.
const INVENTORY_LAG: TimeDelta = TimeDelta::minutes(5);
/// How often `seen_at` of an unchanged orphan is written.
const SEEN_INTERVAL: TimeDelta = TimeDelta::minutes(5);

/// Finds orphans, and deletes those whose deletion was requested. Runs on the leading replica.
pub struct OrphanCollector {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where orphans are stored.
    pub store: Arc<dyn OrphanStore>,
    /// Access to providers.
    pub providers: Providers,
    /// Whether this replica leads.
    pub leadership: Arc<dyn Leadership>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl OrphanCollector {
    /// Compares the resources with our ownership tag at one provisioner's provider with what is stored: lists those of no cluster, unlists
    /// those that are gone, and deletes those whose deletion was requested. If the provider cannot be read, nothing changes.
    ///
    /// # Errors
    /// `NotLeader`, `Unavailable`.
    pub async fn sweep(&self, id: ProvisionerId) -> Result<(), StoreError> {
        let Some(view) = self.catalog.provisioner(id) else { return Ok(()) };
        let term = self.leadership.term().ok_or(StoreError::NotLeader)?;
        let Some(engine) = self.providers.engine_of(&view).cloned() else {
            return self.record_not_offered(id, term).await;
        };
        let capabilities = engine.descriptor().capabilities;
        if !capabilities.deploy {
            return Ok(());
        }
        let credentials = self.providers.credentials(&view).await?;
        // The time before the call: the inventory is no older than this.
        let now = self.clock.now();
        if capabilities.inventory
            && let Ok(found) = engine.inventory(&credentials, self.providers.installation).await
        {
            self.compare(&view, &*engine, &credentials, found, now, term).await?;
        }
        for orphan in self.orphans_of(id) {
            self.delete_if_requested(&*engine, &credentials, &orphan, term).await?;
        }
        Ok(())
    }

    /// The orphans of a provisioner.
    fn orphans_of(&self, id: ProvisionerId) -> impl Iterator<Item = OrphanView> {
        self.catalog.orphans(Scope::All).into_iter().filter(move |view| view.orphan.record.provisioner == id)
    }

    /// Records that requested deletions cannot be done, since the engine is not offered.
    async fn record_not_offered(&self, id: ProvisionerId, term: Term) -> Result<(), StoreError> {
        for view in self.orphans_of(id) {
            self.record_last_error(&view, Some(EngineError::NotOffered.reason()), term).await?;
        }
        Ok(())
    }

    /// Updates the list from an inventory that was started at `now`.
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
        let mut resources: BTreeMap<ClusterId, Vec<ProviderResource>> = BTreeMap::new();
        for item in found {
            resources.entry(item.cluster).or_default().push(item.resource);
        }
        for (cluster, resources) in &resources {
            let is_listed = self.catalog.orphan(*cluster).is_some();
            if is_listed || self.catalog.cluster(*cluster).is_some() {
                continue;
            }
            let tombstone = self.catalog.tombstone(*cluster);
            if tombstone.as_ref().is_some_and(|tombstone| now - tombstone.at < INVENTORY_LAG) {
                continue;
            }
            // Tags can be copied: the name of a cluster is not disclosed to another organization.
            let tombstone = tombstone.filter(|tombstone| tombstone.organization == record.organization);
            let orphan = Orphan {
                cluster: *cluster,
                name: tombstone.map(|tombstone| tombstone.name.to_string()),
                organization: record.organization,
                provisioner: record.id,
                resources: resources.iter().cloned().map(|resource| present(resource, now)).collect(),
                state: OrphanState::Listed,
                listed_at: now,
                seen_at: Some(now),
            };
            self.put(&orphan, None, term).await?;
        }
        for view in self.orphans_of(record.id) {
            let found = resources.remove(&view.orphan.record.cluster).unwrap_or_default();
            if self.catalog.cluster(view.orphan.record.cluster).is_none() {
                self.compare_one(&view, engine, credentials, found, now, term).await?;
            }
        }
        Ok(())
    }

    /// Updates one orphan from an inventory. An inventory may not cover every resource: one that it does not show counts as gone only if
    /// the engine, asked for this orphan, does not find it either.
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
        let mut is_present = !found.is_empty();
        let mut resources = Vec::new();
        let is_found = |record: &ResourceRecord, found: &[ProviderResource]| {
            found.iter().any(|resource| resource.name == record.resource.name)
        };
        if orphan.resources.iter().any(|record| !is_found(record, &found)) || found.is_empty() {
            match Observation::of(engine.observe(credentials, &self.spec(orphan)).await) {
                Ok(Observation::Absent) => {}
                Ok(Observation::Present(observed)) => {
                    is_present = true;
                    for resource in observed.resources {
                        if found.iter().all(|known| known.name != resource.name) {
                            found.push(resource);
                        }
                    }
                }
                Err(_) => resources.extend(orphan.resources.iter().filter(|record| !is_found(record, &found)).cloned()),
            }
        }
        resources.extend(found.into_iter().map(|resource| present(resource, now)));
        if resources.is_empty() {
            return if now - orphan.listed_at > UNCERTAIN { self.remove(view, term).await } else { Ok(()) };
        }
        let is_recent = !is_present || orphan.seen_at.is_some_and(|at| now - at < SEEN_INTERVAL);
        if is_recent && sorted(&orphan.resources) == sorted(&resources) {
            return Ok(());
        }
        let seen_at = if is_present { Some(now) } else { orphan.seen_at };
        self.put(&Orphan { resources, seen_at, ..orphan.clone() }, Some(view.orphan.revision), term).await
    }

    /// The spec of an orphan, for its engine.
    fn spec(&self, orphan: &Orphan) -> ClusterSpec {
        ClusterSpec {
            tag: self.providers.tag(orphan.cluster),
            name: orphan.name.clone().unwrap_or_default(),
            parameters: crate::secret::SecretMap::new(),
            known: orphan.resources.iter().map(|record| record.resource.clone()).collect(),
        }
    }

    /// Deletes an orphan at its provider, if that was requested.
    async fn delete_if_requested(
        &self,
        engine: &dyn Engine,
        credentials: &ProviderCredentials,
        view: &OrphanView,
        term: Term,
    ) -> Result<(), StoreError> {
        let orphan = &view.orphan.record;
        if self.catalog.cluster(orphan.cluster).is_some() {
            // It was listed before its cluster was known. Resources of an existing cluster are never deleted as orphans.
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
        let last_error = match result {
            Ok(()) | Err(EngineError::Missing) => None,
            Err(error) => Some(error.reason()),
        };
        self.record_last_error(view, last_error, term).await
    }

    /// Records why an orphan is not deleted yet.
    async fn record_last_error(
        &self,
        view: &OrphanView,
        last_error: Option<Reason>,
        term: Term,
    ) -> Result<(), StoreError> {
        let orphan = &view.orphan.record;
        let OrphanState::Deleting { by, since, last_error: before } = &orphan.state else { return Ok(()) };
        let last_error = last_error.map(|error| error.or_first(before.as_ref()));
        if last_error == *before {
            return Ok(());
        }
        let state = OrphanState::Deleting { by: *by, since: *since, last_error };
        self.put(&Orphan { state, ..orphan.clone() }, Some(view.orphan.revision), term).await
    }

    /// Stores an orphan. A conflict is ignored: the next sweep compares again.
    async fn put(&self, orphan: &Orphan, expected: Option<Revision>, term: Term) -> Result<(), StoreError> {
        match self.store.put(orphan, expected, Some(term)).await {
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

const fn present(resource: ProviderResource, now: DateTime<Utc>) -> ResourceRecord {
    ResourceRecord { resource, state: RecordState::Present, since: now }
}

/// Names and ids of resources, sorted: providers do not promise an order.
fn sorted(records: &[ResourceRecord]) -> BTreeMap<&ResourceRef, Option<&str>> {
    records.iter().map(|record| (&record.resource.name, record.resource.provider_id.as_deref())).collect()
}
