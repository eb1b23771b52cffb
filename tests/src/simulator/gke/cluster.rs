//! Clusters: how they are asked for, kept and shown.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    catalog, error,
    operation::time,
    pool::{NodePool, is_name, short},
    project::Usage,
};
use crate::simulator::kubernetes::Node;

/// What a cluster is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterName {
    pub project: String,
    /// A zone or a region.
    pub location: String,
    pub name: String,
}

impl ClusterName {
    #[must_use]
    pub fn new(project: &str, location: &str, name: &str) -> Self {
        Self { project: project.to_owned(), location: location.to_owned(), name: name.to_owned() }
    }

    /// Zones and regions are written differently.
    pub(super) fn place(&self) -> String {
        let kind = if catalog::is_zone(&self.location) { "zones" } else { "locations" };
        format!("{kind}/{}", self.location)
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "projects/{}/{}/clusters/{}", self.project, self.place(), self.name)
    }
}

/// A cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cluster {
    pub name: ClusterName,
    /// What was asked for, completed.
    pub(super) config: Value,
    pub status: String,
    pub(super) conditions: Vec<Value>,
    pub pools: Vec<NodePool>,
    pub version: String,
    pub(super) created: DateTime<Utc>,
    /// The operation that is under way.
    pub(super) operation: Option<String>,
    /// Where its API is, and who vouches for it, in PEM.
    pub(super) endpoint: Option<(String, String)>,
    /// A test has put it there, as if somebody else had.
    pub is_planted: bool,
    pub(super) change: u64,
}

/// A condition as the API shows it.
pub(super) fn condition(code: &str, message: &str) -> Value {
    let mut shown = json!({"canonicalCode": code, "message": message});
    if message.contains("does not have enough resources") {
        shown["code"] = "GCE_STOCKOUT".into();
    } else if message.contains("Quota '") {
        shown["code"] = "GCE_QUOTA_EXCEEDED".into();
    }
    shown
}

impl Cluster {
    /// Makes one of what was asked for. `version` is the one that was found for it.
    pub(super) fn asked(name: ClusterName, asked: &Value, version: &str, now: DateTime<Utc>) -> Result<Self, String> {
        if !is_name(&name.name) {
            return Err(format!(
                "Invalid value for field \"cluster.name\": \"{}\". Must be a match of regex \
                 '(?:[a-z](?:[-a-z0-9]{{0,38}}[a-z0-9])?)'.",
                name.name
            ));
        }
        exclusions(asked)?;
        let locations: Option<Vec<String>> = serde_json::from_value(asked["locations"].clone()).ok();
        let locations = locations.filter(|zones| !zones.is_empty());
        let locations = locations.unwrap_or_else(|| catalog::node_zones(&name.location));
        let pools = match asked["nodePools"].as_array().filter(|pools| !pools.is_empty()) {
            Some(pools) => pools.clone(),
            None => vec![json!({
                "name": "default-pool", "config": asked["nodeConfig"].as_object().cloned().unwrap_or_default(),
                "initialNodeCount": if asked["autopilot"]["enabled"] == true { json!(1) } else { asked["initialNodeCount"].clone() },
            })],
        };
        let mut made: Vec<NodePool> = Vec::new();
        for pool in &pools {
            let pool = NodePool::asked(pool, &name.location, &locations, version)?;
            if made.iter().any(|other| other.name == pool.name) {
                return Err(format!("Node pool \"{}\" is named twice.", pool.name));
            }
            made.push(pool);
        }
        let mut config = asked.clone();
        if let Some(fields) = config.as_object_mut() {
            for of_output in OUTPUT.into_iter().chain(["nodeConfig"]) {
                fields.remove(of_output);
            }
        }
        complete(&mut config, &name, &locations);
        let version = version.to_owned();
        Ok(Self {
            name,
            config,
            status: "PROVISIONING".to_owned(),
            conditions: Vec::new(),
            pools: made,
            version,
            created: now,
            operation: None,
            endpoint: None,
            is_planted: false,
            change: 0,
        })
    }

    /// The labels that customers put onto it.
    #[must_use]
    pub fn labels(&self) -> &Value {
        &self.config["resourceLabels"]
    }

    /// How many nodes it has, or is to have.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.pools.iter().map(NodePool::nodes).sum()
    }

    pub(super) fn pool(&self, name: &str) -> Option<&NodePool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    pub(super) fn pool_mut(&mut self, name: &str) -> Option<&mut NodePool> {
        self.pools.iter_mut().find(|pool| pool.name == name)
    }

    pub(super) fn has_addresses(&self) -> bool {
        self.config["privateClusterConfig"]["enablePrivateNodes"] != true
            && self.config["networkConfig"]["defaultEnablePrivateNodes"] != true
    }

    /// What it uses of the quotas of its region.
    pub(super) fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for pool in &self.pools {
            usage.add(&pool.usage(pool.count, self.has_addresses()));
        }
        usage
    }

    /// Whether network policy is enforced by Dataplane V2.
    pub(super) fn has_dataplane_v2(&self) -> bool {
        is_dataplane_v2(&self.config)
    }

    /// Its nodes as they register with the Kubernetes API.
    pub(super) fn api_nodes(&self) -> Vec<Node> {
        let pools = self.pools.iter().filter(|pool| pool.status != "PROVISIONING" && pool.status != "ERROR");
        pools.flat_map(|pool| pool.api_nodes(&self.name.name)).collect()
    }

    /// As the API shows it.
    pub(super) fn to_json(&self, number: u64) -> Value {
        let mut shown = self.config.clone();
        let ClusterName { location, name, .. } = &self.name;
        let base = format!("https://container.googleapis.com/v1/projects/{number}/{}", self.name.place());
        let node_version = self.pools.first().map_or(&self.version, |pool| &pool.version);
        for (field, value) in [
            ("name", json!(name)),
            ("selfLink", json!(format!("{base}/clusters/{name}"))),
            ("zone", json!(location)),
            ("location", json!(location)),
            ("status", json!(self.status)),
            ("currentMasterVersion", json!(self.version)),
            ("currentNodeVersion", json!(node_version)),
            ("createTime", json!(time(self.created))),
            ("id", json!(format!("{:056x}{:08x}", self.created.timestamp_millis(), short_id(&self.name)))),
            ("etag", json!(format!("cluster-{}", self.change))),
            ("labelFingerprint", json!(format!("{:08x}", self.change))),
            ("nodePools", self.pools.iter().map(|pool| pool.to_json(self, number)).collect()),
        ] {
            shown[field] = value;
        }
        shown["instanceGroupUrls"] = self.pools.iter().flat_map(|pool| pool.groups(self)).collect();
        // It shows no number that is zero, nor anything that is empty.
        let nodes: u32 = self.pools.iter().filter(|pool| pool.status != "PROVISIONING").map(NodePool::nodes).sum();
        if nodes > 0 {
            shown["currentNodeCount"] = nodes.into();
        }
        if let Some((endpoint, authority)) = &self.endpoint {
            shown["endpoint"] = endpoint.clone().into();
            shown["masterAuth"]["clusterCaCertificate"] = STANDARD.encode(authority).into();
            shown["controlPlaneEndpointsConfig"]["ipEndpointsConfig"] =
                json!({"enabled": true, "publicEndpoint": endpoint, "privateEndpoint": "10.128.0.2"});
        }
        if !self.conditions.is_empty() {
            shown["conditions"] = self.conditions.clone().into();
            shown["statusMessage"] = self.conditions[0]["message"].clone();
        }
        shown
    }
}

fn short_id(name: &ClusterName) -> u32 {
    u32::from_str_radix(&short(&name.to_string()), 16).unwrap_or_default()
}

/// What only the service writes.
const OUTPUT: [&str; 17] = [
    "selfLink",
    "zone",
    "location",
    "endpoint",
    "currentMasterVersion",
    "currentNodeVersion",
    "createTime",
    "status",
    "statusMessage",
    "servicesIpv4Cidr",
    "instanceGroupUrls",
    "currentNodeCount",
    "expireTime",
    "id",
    "conditions",
    "nodePools",
    "etag",
];

pub(super) fn is_dataplane_v2(config: &Value) -> bool {
    config["networkConfig"]["datapathProvider"] == "ADVANCED_DATAPATH" || config["autopilot"]["enabled"] == true
}

/// What may not be asked for together.
fn exclusions(asked: &Value) -> Result<(), String> {
    let has = |field: &str| match &asked[field] {
        Value::Null => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(values) => !values.is_empty(),
        _ => true,
    };
    if has("nodePools") && (has("initialNodeCount") || has("nodeConfig")) {
        return Err("Cluster.initial_node_count and Cluster.node_config must not be used when Cluster.node_pools is \
                    specified."
            .to_owned());
    }
    if has("clusterIpv4Cidr") && !asked["ipAllocationPolicy"]["clusterIpv4CidrBlock"].is_null() {
        return Err(
            "Cluster.cluster_ipv4_cidr and Cluster.ip_allocation_policy.cluster_ipv4_cidr_block must not be used \
                    together."
                .to_owned(),
        );
    }
    if asked["networkPolicy"]["enabled"] == true && is_dataplane_v2(asked) {
        return Err(
            "Enabling NetworkPolicy for clusters with DatapathProvider=ADVANCED_DATAPATH is not allowed.".to_owned()
        );
    }
    let labels = asked["resourceLabels"].as_object();
    let is_bad = |text: &str| {
        text.len() > 63 || !text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
    };
    for (key, value) in labels.into_iter().flatten() {
        if is_bad(key) || value.as_str().is_none_or(is_bad) || !key.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(format!("Invalid value for field \"cluster.resource_labels\": \"{key}\" is no valid label."));
        }
    }
    Ok(())
}

/// What a cluster has that was not asked for.
fn complete(fields: &mut Value, name: &ClusterName, locations: &[String]) {
    let mut set = |field: &str, value: Value| {
        if fields[field].is_null() {
            fields[field] = value;
        }
    };
    set("locations", json!(locations));
    set("network", "default".into());
    set("subnetwork", "default".into());
    set("loggingService", "logging.googleapis.com/kubernetes".into());
    set("monitoringService", "monitoring.googleapis.com/kubernetes".into());
    set("addonsConfig", json!({}));
    set("masterAuth", json!({}));
    set("ipAllocationPolicy", json!({"useIpAliases": true}));
    set("networkConfig", json!({}));
    set("shieldedNodes", json!({"enabled": true}));
    set("databaseEncryption", json!({"state": "DECRYPTED", "currentState": "CURRENT_STATE_DECRYPTED"}));
    set("releaseChannel", json!({"channel": "REGULAR"}));
    set("controlPlaneEndpointsConfig", json!({}));
    let network = &mut fields["networkConfig"];
    network["network"] = format!("projects/{}/global/networks/default", name.project).into();
    let region = catalog::region_of(&name.location).unwrap_or_default();
    network["subnetwork"] = format!("projects/{}/regions/{region}/subnetworks/default", name.project).into();
    if fields["networkPolicy"]["enabled"] == true {
        fields["addonsConfig"]["networkPolicyConfig"] = json!({});
        if fields["networkPolicy"]["provider"].is_null() {
            fields["networkPolicy"]["provider"] = "CALICO".into();
        }
    } else if fields["addonsConfig"]["networkPolicyConfig"].is_null() {
        fields["addonsConfig"]["networkPolicyConfig"] = json!({"disabled": true});
    }
    let policy = &mut fields["ipAllocationPolicy"];
    if policy["clusterIpv4CidrBlock"].is_null() {
        policy["clusterIpv4CidrBlock"] = "10.4.0.0/14".into();
    }
    policy["clusterIpv4Cidr"] = policy["clusterIpv4CidrBlock"].clone();
    policy["servicesIpv4CidrBlock"] = "10.8.0.0/20".into();
    policy["servicesIpv4Cidr"] = "10.8.0.0/20".into();
    let block = policy["clusterIpv4CidrBlock"].clone();
    fields["servicesIpv4Cidr"] = "10.8.0.0/20".into();
    fields["clusterIpv4Cidr"] = block;
    let dns = format!("gke-{:08x}.{region}.gke.goog", short_id(name));
    if fields["controlPlaneEndpointsConfig"]["dnsEndpointConfig"].is_null() {
        fields["controlPlaneEndpointsConfig"]["dnsEndpointConfig"] = json!({"allowExternalTraffic": false});
    }
    fields["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"] = dns.into();
}

/// A refusal of what was asked for.
pub(super) fn refused(message: String) -> crate::simulator::Reply {
    error::invalid(message)
}
