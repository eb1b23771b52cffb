//! Node pools: how they are asked for, kept and shown.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    catalog::{self, Machine},
    cluster::{Cluster, ClusterName},
    project::Usage,
};
use crate::simulator::kubernetes::Node;

/// A node pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodePool {
    pub name: String,
    /// What was asked for, completed.
    pub(super) config: Value,
    /// In each zone.
    pub count: u32,
    pub zones: Vec<String>,
    pub version: String,
    pub status: String,
    pub(super) conditions: Vec<Value>,
}

/// Whether a name is one that the service takes.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    name.len() <= 40
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(fits)
}

impl NodePool {
    /// Makes one of what was asked for.
    pub(super) fn asked(config: &Value, location: &str, locations: &[String], version: &str) -> Result<Self, String> {
        let name = config["name"].as_str().unwrap_or_default();
        if !is_name(name) {
            return Err(format!(
                "Invalid value for field \"node_pool.name\": \"{name}\". Must be a match of regex \
                                '(?:[a-z](?:[-a-z0-9]{{0,38}}[a-z0-9])?)'."
            ));
        }
        let of_pool: Option<Vec<String>> = serde_json::from_value(config["locations"].clone()).ok();
        let zones = of_pool.filter(|zones| !zones.is_empty()).unwrap_or_else(|| locations.to_vec());
        let region = catalog::region_of(location);
        if let Some(zone) = zones.iter().find(|zone| !catalog::is_zone(zone) || catalog::region_of(zone) != region) {
            return Err(format!("Location \"{zone}\" does not exist."));
        }
        let mut config = config.clone();
        for of_output in ["status", "statusMessage", "selfLink", "instanceGroupUrls", "podIpv4CidrSize", "conditions"] {
            config.as_object_mut().map(|fields| fields.remove(of_output));
        }
        let node = &mut config["config"];
        let mut set = |field: &str, value: Value| {
            if node[field].is_null() {
                node[field] = value;
            }
        };
        set("machineType", "e2-medium".into());
        set("diskSizeGb", 100.into());
        set("diskType", "pd-balanced".into());
        set("imageType", "COS_CONTAINERD".into());
        set("serviceAccount", "default".into());
        set("oauthScopes", json!(["https://www.googleapis.com/auth/devstorage.read_only"]));
        set("metadata", json!({"disable-legacy-endpoints": "true"}));
        if config["management"].is_null() {
            config["management"] = json!({"autoRepair": true, "autoUpgrade": true});
        }
        if config["maxPodsConstraint"].is_null() {
            config["maxPodsConstraint"] = json!({"maxPodsPerNode": "110"});
        }
        if config["upgradeSettings"].is_null() {
            config["upgradeSettings"] = json!({"maxSurge": 1, "strategy": "SURGE"});
        }
        let count = config["initialNodeCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        let autoscaled = config["autoscaling"]["enabled"] == true;
        if count == 0 && !autoscaled {
            return Err("Cluster.initial_node_count must be greater than zero.".to_owned());
        }
        if count > 1_000 {
            return Err(format!("Node pool \"{name}\" has more than 1000 nodes per zone."));
        }
        let machine = config["config"]["machineType"].as_str().unwrap_or_default();
        for zone in &zones {
            if !Machine::named(machine).is_some_and(|machine| machine.is_in(zone)) {
                return Err(format!("Invalid machine type \"{machine}\" in zone \"{zone}\": GCE_NOT_FOUND"));
            }
        }
        let disk = config["config"]["diskType"].as_str().unwrap_or_default();
        if !["pd-standard", "pd-balanced", "pd-ssd", "hyperdisk-balanced"].contains(&disk) {
            return Err(format!("Disk type \"{disk}\" does not exist."));
        }
        if config["config"]["diskSizeGb"].as_i64().is_none_or(|size| !(10..=65_536).contains(&size)) {
            return Err("Node config disk size must be between 10 and 65536 GB.".to_owned());
        }
        let own = config["version"].as_str().filter(|version| !matches!(*version, "" | "-")).map(str::to_owned);
        Ok(Self {
            name: name.to_owned(),
            version: own.unwrap_or_else(|| version.to_owned()),
            config,
            count,
            zones,
            status: "PROVISIONING".to_owned(),
            conditions: Vec::new(),
        })
    }

    /// How many nodes it has, or is to have.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.count * u32::try_from(self.zones.len()).unwrap_or(0)
    }

    pub(super) fn machine(&self) -> Option<Machine> {
        Machine::named(self.config["config"]["machineType"].as_str()?)
    }

    /// What so many nodes in each zone use of the quotas.
    pub(super) fn usage(&self, count: u32, has_addresses: bool) -> Usage {
        let zones = u32::try_from(self.zones.len()).unwrap_or(0);
        let nodes = f64::from(count * zones);
        let disk = self.config["config"]["diskSizeGb"].as_f64().unwrap_or(0.0) * nodes;
        let is_ssd = self.config["config"]["diskType"] != "pd-standard";
        Usage {
            cpus: nodes * self.machine().map_or(0.0, |machine| f64::from(machine.cpus)),
            nodes,
            addresses: if has_addresses { nodes } else { 0.0 },
            disk_gb: if is_ssd { 0.0 } else { disk },
            ssd_gb: if is_ssd { disk } else { 0.0 },
        }
    }

    pub(super) fn to_json(&self, cluster: &Cluster, number: u64) -> Value {
        let mut shown = self.config.clone();
        let base = format!("https://container.googleapis.com/v1/projects/{number}/{}", cluster.name.place());
        shown["selfLink"] = format!("{base}/clusters/{}/nodePools/{}", cluster.name.name, self.name).into();
        shown["name"] = self.name.clone().into();
        shown["version"] = self.version.clone().into();
        shown["status"] = self.status.clone().into();
        shown["locations"] = json!(self.zones);
        shown["podIpv4CidrSize"] = 24.into();
        shown["etag"] = format!("pool-{}", cluster.change).into();
        shown["instanceGroupUrls"] = json!(self.groups(cluster));
        if !self.conditions.is_empty() {
            shown["conditions"] = self.conditions.clone().into();
        }
        shown
    }

    pub(super) fn groups(&self, cluster: &Cluster) -> Vec<String> {
        let ClusterName { project, name, .. } = &cluster.name;
        let base = format!("https://www.googleapis.com/compute/v1/projects/{project}/zones");
        let group =
            |zone: &String| format!("{base}/{zone}/instanceGroupManagers/gke-{name}-{}-{}-grp", self.name, short(zone));
        self.zones.iter().map(group).collect()
    }

    /// Its nodes as they register with the Kubernetes API.
    pub(super) fn api_nodes(&self, cluster: &str) -> Vec<Node> {
        let machine = self.machine();
        let node = |zone: &String, number: u32| Node {
            name: format!("gke-{cluster}-{}-{}-{number:04}", self.name, short(zone)),
            version: format!("v{}", self.version),
            region: catalog::region_of(zone).unwrap_or_default().to_owned(),
            zone: zone.clone(),
            instance_type: machine.map_or("", |machine| machine.name).to_owned(),
            pool: ("cloud.google.com/gke-nodepool".to_owned(), self.name.clone()),
            cpus: machine.map_or(0, |machine| machine.cpus),
            memory_mib: machine.map_or(0, |machine| machine.memory_mib.into()),
            is_ready: true,
        };
        self.zones.iter().flat_map(|zone| (0..self.count).map(move |number| node(zone, number))).collect()
    }
}

/// Eight digits that stand for a zone.
pub(super) fn short(zone: &str) -> String {
    let sum = zone.bytes().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{sum:08x}")
}
