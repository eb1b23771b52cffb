//! Agent pools: how they are asked for, kept and shown.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    catalog::{Region, Size},
    cluster::{Cluster, short},
    error,
};
use crate::simulator::{call::Reply, kubernetes::Node};

/// Most nodes of a pool.
const MOST: u32 = 1_000;

/// An agent pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentPool {
    pub name: String,
    /// What was asked for, completed.
    pub(super) config: Value,
    /// How many nodes it is to have.
    pub count: u32,
    /// How many nodes it has.
    pub nodes: u32,
    /// The version that its nodes are to have, and the one they have.
    pub(super) wanted_version: String,
    pub version: String,
    /// `Creating`, `Succeeded`, `Scaling`…
    pub state: String,
    pub(super) error: Option<(String, String)>,
    /// Its eTag changes with it.
    pub(super) change: u64,
}

fn is_name(name: &str) -> bool {
    (1..=12).contains(&name.len())
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
}

/// What only the service writes.
const OUTPUT: [&str; 9] = [
    "eTag",
    "name",
    "count",
    "currentOrchestratorVersion",
    "orchestratorVersion",
    "provisioningState",
    "powerState",
    "nodeImageVersion",
    "status",
];

impl AgentPool {
    /// Makes one of what was asked for; `version` is the one that was found for it.
    pub(super) fn asked(name: &str, asked: &Value, version: &str) -> Result<Self, Reply> {
        if !is_name(name) {
            let why = "Agent pool name must start with a lowercase letter, have max length of 12, and only have characters a-z0-9";
            return Err(error::invalid("agentPoolProfile.name", why));
        }
        let count = match &asked["count"] {
            Value::Null => 1,
            count => count.as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(u32::MAX),
        };
        let least = u32::from(asked["mode"] == "System");
        if !(least..=MOST).contains(&count) {
            let why = format!("Agent pool count {count} is out of range: it has to be between {least} and {MOST}");
            return Err(error::invalid("agentPoolProfile.count", &why));
        }
        if asked["vmSize"].as_str().is_none_or(str::is_empty) {
            return Err(error::invalid("agentPoolProfile.vmSize", "VM size is missing"));
        }
        if asked["enableAutoScaling"] == true {
            let limit = |field: &str| asked[field].as_u64().unwrap_or(0);
            if limit("minCount") > u64::from(count) || limit("maxCount") < u64::from(count) {
                let why = "The current node count has to be between minCount and maxCount";
                return Err(error::invalid("agentPoolProfile.minCount", why));
            }
        }
        let mut config = asked.clone();
        for field in OUTPUT {
            config.as_object_mut().map(|fields| fields.remove(field));
        }
        let mut set = |field: &str, value: Value| {
            if config[field].is_null() {
                config[field] = value;
            }
        };
        set("mode", "User".into());
        set("type", "VirtualMachineScaleSets".into());
        set("osType", "Linux".into());
        set("osSKU", "Ubuntu".into());
        set("osDiskSizeGB", 128.into());
        set("osDiskType", "Managed".into());
        set("kubeletDiskType", "OS".into());
        set("maxPods", 250.into());
        set("scaleDownMode", "Delete".into());
        set("enableAutoScaling", false.into());
        set("enableNodePublicIP", false.into());
        set("enableFIPS", false.into());
        set("upgradeSettings", json!({"maxSurge": "10%"}));
        Ok(Self {
            name: name.to_owned(),
            config,
            count,
            nodes: 0,
            wanted_version: version.to_owned(),
            version: version.to_owned(),
            state: "Creating".to_owned(),
            error: None,
            change: 0,
        })
    }

    pub(super) fn size(&self) -> Option<Size> {
        Size::named(self.config["vmSize"].as_str()?)
    }

    pub(super) fn is_system(&self) -> bool {
        self.config["mode"] == "System"
    }

    /// The quota family and the vCPUs that so many nodes use.
    pub(super) fn usage(&self, nodes: u32) -> (&'static str, u64) {
        self.size().map_or(("", 0), |size| (size.family, u64::from(size.cpus) * u64::from(nodes)))
    }

    pub(super) fn etag(&self) -> String {
        format!("{:08x}-0000-4000-8000-{:012x}", self.change, self.change * 7_919)
    }

    /// Its properties as the API shows them.
    pub(super) fn properties(&self, cluster: &Cluster) -> Value {
        let mut shown = self.config.clone();
        shown["count"] = self.count.into();
        shown["orchestratorVersion"] = self.wanted_version.clone().into();
        shown["currentOrchestratorVersion"] = self.version.clone().into();
        shown["provisioningState"] = self.state.clone().into();
        shown["powerState"] = json!({"code": cluster.power});
        shown["nodeImageVersion"] = "AKSUbuntu-2404gen2containerd-202611.01.0".into();
        shown["eTag"] = self.etag().into();
        if let Some(told) = &self.error {
            shown["status"] = json!({"provisioningError": error::detail(told)});
        }
        shown
    }

    /// As one of the pools of a cluster.
    pub(super) fn profile(&self, cluster: &Cluster) -> Value {
        let mut shown = self.properties(cluster);
        shown["name"] = self.name.clone().into();
        shown
    }

    /// By itself.
    pub(super) fn to_json(&self, cluster: &Cluster) -> Value {
        json!({
            "id": format!("{}/agentPools/{}", cluster.name.id(), self.name), "name": self.name,
            "type": "Microsoft.ContainerService/managedClusters/agentPools", "properties": self.properties(cluster),
        })
    }

    /// Its nodes as they register with the Kubernetes API.
    pub(super) fn api_nodes(&self, cluster: &Cluster) -> Vec<Node> {
        let size = self.size();
        let hash = short(&cluster.name.id());
        let zones = Region::named(&cluster.location).map_or(&[] as &[&str], |region| region.zones);
        let zone = |number: u32| match self.config["availabilityZones"].as_array() {
            Some(asked) if !zones.is_empty() && !asked.is_empty() => {
                let zone = asked[number as usize % asked.len()].as_str().unwrap_or("1");
                format!("{}-{zone}", cluster.location)
            }
            _ => "0".to_owned(),
        };
        let node = |number: u32| Node {
            name: format!("aks-{}-{hash}-vmss{number:06}", self.name),
            version: format!("v{}", self.version),
            zone: zone(number),
            region: cluster.location.clone(),
            instance_type: size.map_or("", |size| size.name).to_owned(),
            pool: ("kubernetes.azure.com/agentpool".to_owned(), self.name.clone()),
            cpus: size.map_or(0, |size| size.cpus),
            memory_mib: size.map_or(0, |size| size.memory_mib.into()),
            is_ready: true,
        };
        (0..self.nodes).map(node).collect()
    }
}
