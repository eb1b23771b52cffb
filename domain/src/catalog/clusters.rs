//! Clusters, their observed status, and when they were last observed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::{
    Catalog, Tables,
    change::{Deletable, Kind},
    provisioners::ProvisionerView,
    query::{Page, Query, Scope, Sort, Visibility},
    snapshot::SnapshotBuilder,
    subscriber::{Subject, Tenant},
    table::{Row, Stored},
    tally::Tally,
    users::UserView,
};
use crate::{
    cluster::{Cluster, Phase},
    id::{ClusterId, ProvisionerId},
    observation::{DisplayStatus, ObservedStatus, ProviderStatus},
    organization::{Organization, Remaining},
    port::engine::Capabilities,
    revision::{Revision, Versioned},
};

/// A cluster with its provisioner, owner and observed status.
#[derive(Debug, Clone)]
pub struct ClusterView {
    /// The cluster.
    pub cluster: Arc<Stored<Cluster>>,
    /// Its organization.
    pub organization: Option<Arc<Stored<Organization>>>,
    /// Its provisioner.
    pub provisioner: Option<ProvisionerView>,
    /// Its owner.
    pub owner: Option<UserView>,
    /// Its observed status.
    pub observed: Option<Arc<ObservedStatus>>,
    /// When it was last observed.
    pub observed_at: Option<DateTime<Utc>>,
}

impl ClusterView {
    /// The status to display.
    #[must_use]
    pub fn display_status(&self) -> DisplayStatus {
        DisplayStatus::of(&self.cluster.record, self.observed.as_deref())
    }

    /// See [`ObservedStatus::keeps_its_schedule`].
    #[must_use]
    pub fn keeps_its_schedule(&self) -> bool {
        self.observed.as_ref().is_some_and(|observed| observed.keeps_its_schedule())
    }

    /// The status at its provider, as last observed.
    #[must_use]
    pub fn provider_status(&self) -> Option<&ProviderStatus> {
        self.observed.as_ref()?.provider.as_ref()
    }

    /// Progress of a cluster in that phase, in percent. `capabilities` are those of its engine, if offered. `None` if the progress is
    /// unknown.
    #[must_use]
    pub fn progress(&self, phase: Phase, capabilities: Option<Capabilities>) -> Option<u8> {
        let under_way = matches!(phase, Phase::Deploying | Phase::Updating | Phase::Destroying);
        match capabilities {
            _ if phase == Phase::Ready => Some(100),
            // An attached cluster is complete from the start.
            Some(capabilities) if !capabilities.deploy => Some(100),
            Some(capabilities) if capabilities.progress && under_way => Some(match self.provider_status() {
                Some(ProviderStatus { progress: Some(progress), .. }) => *progress,
                // The provider is done; the rest is up to us.
                Some(ProviderStatus { node_count: Some(_), .. }) if phase == Phase::Deploying => 99,
                Some(_) | None => 0,
            }),
            Some(_) | None => None,
        }
    }
}

/// Clusters per phase and engine.
pub type ClusterCounts = BTreeMap<(Phase, String), usize>;

/// The observed status of a cluster and when it was last observed. The time changes also when the status does not.
#[derive(Default)]
pub(super) struct ClusterObservation {
    status: Option<Arc<ObservedStatus>>,
    at: Option<DateTime<Utc>>,
}

impl ClusterObservation {
    fn set(&mut self, status: ObservedStatus) {
        self.set_time(status.at);
        self.status = Some(Arc::new(status));
    }

    fn set_time(&mut self, at: DateTime<Utc>) {
        self.at = self.at.max(Some(at));
    }
}

/// Clusters of a snapshot and their observations, until all have arrived.
#[derive(Default)]
pub(super) struct LoadedClusters {
    records: Vec<Versioned<Cluster>>,
    observations: HashMap<ClusterId, ClusterObservation>,
}

impl LoadedClusters {
    /// Requires that the tables already contain the provisioners.
    pub(super) fn fill(mut self, tables: &mut Tables) {
        for cluster in self.records {
            let observation = self.observations.remove(&cluster.value.id).unwrap_or_default();
            let row = tables.cluster_row(cluster, observation);
            tables.clusters.push(row);
        }
    }
}

impl Kind for Versioned<Cluster> {
    fn put(self, tables: &mut Tables) -> Option<Subject> {
        let id = self.value.id;
        let observation = tables.clusters.extra_mut(id.uuid()).map(std::mem::take).unwrap_or_default();
        let row = tables.cluster_row(self, observation);
        tables.clusters.put(row);
        Some(Subject::Cluster(id))
    }

    fn load(self, snapshot: &mut SnapshotBuilder) {
        snapshot.clusters.records.push(self);
    }
}

impl Deletable for Versioned<Cluster> {
    type Id = ClusterId;

    fn delete(id: ClusterId, tables: &mut Tables) -> Option<(Subject, Tenant)> {
        let cluster = tables.clusters.remove(id.uuid())?.stored;
        Some((Subject::Cluster(id), tenant(&cluster.record)))
    }
}

impl Kind for ObservedStatus {
    fn put(self, tables: &mut Tables) -> Option<Subject> {
        let id = self.cluster;
        if let Some(observation) = tables.clusters.extra_mut(id.uuid()) {
            observation.set(self);
        }
        tables.set_cluster_state(id);
        Some(Subject::Cluster(id))
    }

    fn load(self, snapshot: &mut SnapshotBuilder) {
        snapshot.clusters.observations.entry(self.cluster).or_default().set(self);
    }
}

impl Deletable for ObservedStatus {
    type Id = ClusterId;

    /// It is deleted with its cluster, for which subscribers get an event.
    fn delete(id: ClusterId, tables: &mut Tables) -> Option<(Subject, Tenant)> {
        if let Some(observation) = tables.clusters.extra_mut(id.uuid()) {
            *observation = ClusterObservation::default();
        }
        tables.set_cluster_state(id);
        None
    }
}

/// When clusters whose status has not changed were last observed. Subscribers get no event.
impl Kind for Vec<(ClusterId, DateTime<Utc>)> {
    fn put(self, tables: &mut Tables) -> Option<Subject> {
        for (cluster, at) in self {
            if let Some(observation) = tables.clusters.extra_mut(cluster.uuid()) {
                observation.set_time(at);
            }
        }
        None
    }

    fn load(self, snapshot: &mut SnapshotBuilder) {
        for (cluster, at) in self {
            snapshot.clusters.observations.entry(cluster).or_default().set_time(at);
        }
    }
}

pub(super) const fn tenant(cluster: &Cluster) -> Tenant {
    Tenant { organization: cluster.organization, owner: cluster.owner }
}

pub(super) fn remaining(row: &Row<Cluster, ClusterObservation>) -> Remaining {
    Remaining { object: "Cluster", name: row.stored.record.name.to_string(), id: row.id }
}

impl Tables {
    fn cluster_row(
        &self,
        Versioned { value, revision }: Versioned<Cluster>,
        observation: ClusterObservation,
    ) -> Row<Cluster, ClusterObservation> {
        let provisioner = self.provisioners.row(value.provisioner.uuid());
        let empty = || Arc::from("");
        Row {
            id: value.id.uuid(),
            created_at: value.created_at,
            organization: value.organization,
            owner: Some(value.owner),
            name: value.name.as_str().to_lowercase().into(),
            provisioner: provisioner.map_or_else(empty, |row| row.provisioner.clone()),
            engine: provisioner.map_or_else(empty, |row| row.engine.clone()),
            state: DisplayStatus::of(&value, observation.status.as_deref()).phase.as_str(),
            extra: observation,
            stored: Arc::new(Stored::new(value, revision)),
        }
    }

    /// Updates the provisioner's name and engine, by which its clusters are sorted and filtered.
    pub(super) fn set_provisioner_of_clusters(&mut self, id: ProvisionerId, name: &Arc<str>, engine: &Arc<str>) {
        let mut has_changed = false;
        self.clusters.for_each_mut(|cluster| {
            if cluster.stored.record.provisioner == id {
                cluster.provisioner = name.clone();
                cluster.engine = engine.clone();
                has_changed = true;
            }
        });
        if has_changed {
            self.clusters.resort(Sort::Provisioner);
            self.clusters.resort(Sort::Engine);
        }
    }

    /// Updates the state by which a cluster is sorted and filtered.
    fn set_cluster_state(&mut self, id: ClusterId) {
        let Some(row) = self.clusters.row(id.uuid()) else { return };
        let phase = DisplayStatus::of(&row.stored.record, row.extra.status.as_deref()).phase;
        self.clusters.set_state(id.uuid(), phase.as_str());
    }

    fn cluster_view(&self, row: &Row<Cluster, ClusterObservation>) -> ClusterView {
        let cluster = row.stored.clone();
        ClusterView {
            organization: self.organization(cluster.record.organization),
            provisioner: self.provisioner_view(cluster.record.provisioner),
            owner: self.user_view(cluster.record.owner),
            observed: row.extra.status.clone(),
            observed_at: row.extra.at,
            cluster,
        }
    }
}

impl Catalog {
    /// A cluster with the objects nested in an answer.
    #[must_use]
    pub fn cluster(&self, id: ClusterId) -> Option<ClusterView> {
        let tables = self.read();
        let row = tables.clusters.row(id.uuid())?;
        Some(tables.cluster_view(row))
    }

    /// The revision of a cluster in the catalog.
    #[must_use]
    pub fn cluster_revision(&self, id: ClusterId) -> Option<Revision> {
        Some(self.read().clusters.get(id.uuid())?.revision)
    }

    /// A page of clusters.
    #[must_use]
    pub fn clusters(&self, query: &Query) -> Page<ClusterView> {
        let tables = self.read();
        tables.clusters.page(query, |row| tables.cluster_view(row))
    }

    /// Every cluster with the time it was last observed. For the reconciler, at the start and after a gap in the changes.
    #[must_use]
    pub fn observation_times(&self) -> Vec<(ClusterId, Option<DateTime<Utc>>)> {
        self.read().clusters.rows_in(Scope::All).map(|row| (row.stored.record.id, row.extra.at)).collect()
    }

    /// Clusters with a running operation.
    #[must_use]
    pub fn busy_clusters(&self) -> Vec<ClusterId> {
        let tables = self.read();
        let busy = tables.clusters.rows_in(Scope::All).filter(|row| row.stored.record.lifecycle.is_transient());
        busy.map(|row| row.stored.record.id).collect()
    }

    /// Numbers of clusters.
    #[must_use]
    pub fn cluster_counts(&self) -> ClusterCounts {
        let tables = self.read();
        // There are few combinations, but tens of thousands of rows, read in memory order.
        let mut counted: Vec<((&str, &str), ProvisionerId, usize)> = Vec::new();
        for row in tables.clusters.rows() {
            let key = (row.state, &*row.engine);
            match counted.iter_mut().find(|(known, ..)| *known == key) {
                Some((.., count)) => *count += 1,
                None => counted.push((key, row.stored.record.provisioner, 1)),
            }
        }
        let phase = |name: &str| Phase::ALL.into_iter().find(|phase| phase.as_str() == name);
        // Rows contain the engine's name in lower case; the provisioner has the original.
        let engine = |provisioner: ProvisionerId| {
            tables.provisioners.get(provisioner.uuid()).map(|entry| entry.record.engine.to_string()).unwrap_or_default()
        };
        let mut counts = ClusterCounts::new();
        for ((state, _), provisioner, count) in counted {
            if let Some(phase) = phase(state) {
                *counts.entry((phase, engine(provisioner))).or_default() += count;
            }
        }
        counts
    }

    /// How many of the clusters the caller may see are OK.
    #[must_use]
    pub fn cluster_tally(&self, scope: Scope, visibility: Visibility) -> Tally {
        let tables = self.read();
        let rows = tables.clusters.rows_in(scope);
        Tally::of(rows.map(|row| (row.owner, row.state == Phase::Ready.as_str())), visibility)
    }
}
