//! A customer's project: what is switched on in it, and its quotas.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The quotas of a region that clusters count against, and what a project has of each unless it is told otherwise.
const QUOTAS: [(&str, f64); 5] = [
    ("CPUS", 6_000.0),
    ("IN_USE_ADDRESSES", 4_000.0),
    ("DISKS_TOTAL_GB", 1_000_000.0),
    ("SSD_TOTAL_GB", 1_000_000.0),
    ("INSTANCES", 24_000.0),
];

/// How many clusters there may be in a zone, and as many regional ones in a region.
pub(super) const CLUSTERS_PER_PLACE: usize = 100;

/// A project.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Project {
    pub name: String,
    pub number: u64,
    /// Whether the Kubernetes Engine API is switched on.
    pub container_is_enabled: bool,
    /// Whether the Compute Engine API is switched on.
    pub compute_is_enabled: bool,
    pub has_billing: bool,
    /// Regions that the project may not use.
    pub closed_regions: BTreeSet<String>,
    /// Limits that are not the usual ones, by region and metric.
    pub quotas: BTreeMap<String, BTreeMap<String, f64>>,
    /// Machine types that are out of stock at the moment, by zone.
    pub stockouts: BTreeSet<(String, String)>,
}

impl Project {
    pub(super) fn new(name: &str, number: u64) -> Self {
        Self {
            name: name.to_owned(),
            number,
            container_is_enabled: true,
            compute_is_enabled: true,
            has_billing: true,
            closed_regions: BTreeSet::new(),
            quotas: BTreeMap::new(),
            stockouts: BTreeSet::new(),
        }
    }

    /// Limits a quota of a region: `CPUS`, `IN_USE_ADDRESSES`, `SSD_TOTAL_GB`…
    pub fn set_quota(&mut self, region: &str, metric: &str, limit: f64) {
        self.quotas.entry(region.to_owned()).or_default().insert(metric.to_owned(), limit);
    }

    /// Every quota of a region and its limit.
    pub(super) fn limits(&self, region: &str) -> Vec<(&'static str, f64)> {
        let own = self.quotas.get(region);
        let limit = |metric: &str, usual: f64| own.and_then(|own| own.get(metric)).copied().unwrap_or(usual);
        QUOTAS.into_iter().map(|(metric, usual)| (metric, limit(metric, usual))).collect()
    }
}

/// What nodes use of the quotas of their region.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Usage {
    pub(super) cpus: f64,
    pub(super) nodes: f64,
    pub(super) addresses: f64,
    pub(super) disk_gb: f64,
    pub(super) ssd_gb: f64,
}

impl Usage {
    pub(super) fn of(&self, metric: &str) -> f64 {
        match metric {
            "CPUS" => self.cpus,
            "IN_USE_ADDRESSES" => self.addresses,
            "DISKS_TOTAL_GB" => self.disk_gb,
            "SSD_TOTAL_GB" => self.ssd_gb,
            _ => self.nodes,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.cpus += other.cpus;
        self.nodes += other.nodes;
        self.addresses += other.addresses;
        self.disk_gb += other.disk_gb;
        self.ssd_gb += other.ssd_gb;
    }
}
