//! Managed clusters: how they are asked for, kept and shown.

use std::{cmp::Ordering, fmt};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{error, pool::AgentPool};
use crate::simulator::kubernetes::Node;

/// What a cluster is found by. Capitals make no difference.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClusterName {
    pub subscription: String,
    pub group: String,
    pub name: String,
}

impl ClusterName {
    #[must_use]
    pub fn new(subscription: &str, group: &str, name: &str) -> Self {
        Self { subscription: subscription.to_owned(), group: group.to_owned(), name: name.to_owned() }
    }

    /// The id of the resource.
    #[must_use]
    pub fn id(&self) -> String {
        let Self { subscription, group, name } = self;
        format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters/{name}"
        )
    }

    /// It in small letters, to compare it.
    fn folded(&self) -> impl Iterator<Item = char> + '_ {
        let parts = [self.subscription.chars(), "/".chars(), self.group.chars(), "/".chars(), self.name.chars()];
        parts.into_iter().flatten().flat_map(char::to_lowercase)
    }

    pub(super) fn is_in(&self, subscription: &str, group: Option<&str>) -> bool {
        self.subscription.eq_ignore_ascii_case(subscription)
            && group.is_none_or(|group| self.group.eq_ignore_ascii_case(group))
    }
}

impl PartialEq for ClusterName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ClusterName {}

impl PartialOrd for ClusterName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ClusterName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}

/// A cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cluster {
    pub name: ClusterName,
    /// `westeurope`
    pub location: String,
    /// What was asked for, completed and without its pools.
    pub(super) config: Value,
    pub pools: Vec<AgentPool>,
    /// The version of its control plane.
    pub version: String,
    /// `Creating`, `Succeeded`, `Updating`…
    pub state: String,
    /// `Running` or `Stopped`.
    pub power: String,
    pub(super) error: Option<(String, String)>,
    /// The operation that is under way.
    pub(super) operation: Option<String>,
    /// Where its API is, and who vouches for it, in PEM.
    pub(super) endpoint: Option<(String, String)>,
    /// What its local account gets in with.
    pub(super) token: String,
    pub(super) created: DateTime<Utc>,
    pub(super) created_by: String,
    /// A test has put it there, as if somebody else had.
    pub is_planted: bool,
    pub(super) change: u64,
}

/// Eight digits that stand for something longer.
pub(super) fn short(text: &str) -> String {
    let sum = text.bytes().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{:08}", sum % 100_000_000)
}

/// What only the service writes.
const OUTPUT: [&str; 9] = [
    "provisioningState",
    "powerState",
    "currentKubernetesVersion",
    "fqdn",
    "privateFQDN",
    "azurePortalFQDN",
    "maxAgentPools",
    "resourceUID",
    "status",
];

/// What was asked for without what only the service writes, and completed.
pub(super) fn completed(asked: &Value, name: &ClusterName, location: &str) -> Value {
    let mut config = asked.clone();
    if let Some(fields) = config.as_object_mut() {
        for field in ["id", "name", "type", "systemData", "eTag", "location"] {
            fields.remove(field);
        }
    }
    if config["properties"].is_null() {
        config["properties"] = json!({});
    }
    let properties = &mut config["properties"];
    if let Some(fields) = properties.as_object_mut() {
        for field in OUTPUT.into_iter().chain(["agentPoolProfiles"]) {
            fields.remove(field);
        }
    }
    let mut set = |field: &str, value: Value| {
        if properties[field].is_null() {
            properties[field] = value;
        }
    };
    set("enableRBAC", true.into());
    set("disableLocalAccounts", false.into());
    set("supportPlan", "KubernetesOfficial".into());
    set("nodeResourceGroup", node_group(name, location).into());
    set("servicePrincipalProfile", json!({"clientId": "msi"}));
    set("networkProfile", json!({}));
    set("oidcIssuerProfile", json!({"enabled": false}));
    set("storageProfile", json!({"diskCSIDriver": {"enabled": true}, "fileCSIDriver": {"enabled": true}}));
    let network = &mut properties["networkProfile"];
    let mut set = |field: &str, value: Value| {
        if network[field].is_null() {
            network[field] = value;
        }
    };
    set("networkPlugin", "azure".into());
    set("networkDataplane", "azure".into());
    set("networkPolicy", "none".into());
    set("loadBalancerSku", "standard".into());
    set("outboundType", "loadBalancer".into());
    set("podCidr", "10.244.0.0/16".into());
    set("podCidrs", json!(["10.244.0.0/16"]));
    set("serviceCidr", "10.0.0.0/16".into());
    set("serviceCidrs", json!(["10.0.0.0/16"]));
    set("dnsServiceIP", "10.0.0.10".into());
    set("ipFamilies", json!(["IPv4"]));
    if config["sku"].is_null() {
        config["sku"] = json!({"name": "Base", "tier": "Free"});
    }
    config
}

/// The name of the resource group that a cluster's nodes are in: at most 80 characters of where it comes from.
pub(super) fn node_group(name: &ClusterName, location: &str) -> String {
    let whole = format!("MC_{}_{}_{location}", name.group, name.name);
    whole.chars().take(80).collect()
}

impl Cluster {
    /// The tags that customers put onto it.
    #[must_use]
    pub fn tags(&self) -> &Value {
        &self.config["tags"]
    }

    /// How many nodes it has.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.pools.iter().map(|pool| pool.nodes).sum()
    }

    pub(super) fn pool(&self, name: &str) -> Option<&AgentPool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    pub(super) fn pool_mut(&mut self, name: &str) -> Option<&mut AgentPool> {
        self.pools.iter_mut().find(|pool| pool.name == name)
    }

    pub(super) fn properties(&self) -> &Value {
        &self.config["properties"]
    }

    pub(super) fn node_group(&self) -> &str {
        self.properties()["nodeResourceGroup"].as_str().unwrap_or_default()
    }

    /// The version that was asked for, as it was: `1.34` stays that.
    pub(super) fn asked_version(&self) -> &str {
        self.properties()["kubernetesVersion"].as_str().unwrap_or(&self.version)
    }

    pub(super) fn has_local_accounts(&self) -> bool {
        self.properties()["disableLocalAccounts"] != true
    }

    /// Whether principals of the tenant get in with tokens of their own.
    pub(super) fn has_entra(&self) -> bool {
        self.properties()["aadProfile"].is_object()
    }

    pub(super) fn fqdn(&self) -> String {
        let prefix = self.properties()["dnsPrefix"].as_str().unwrap_or("aks");
        format!("{prefix}-{}.hcp.{}.azmk8s.io", short(&self.name.id()), self.location)
    }

    pub(super) fn etag(&self) -> String {
        format!("{:08x}-0000-4000-9000-{:012x}", self.change, self.change * 104_729)
    }

    /// The vCPUs it uses of each family in its region. What is stopped uses none.
    pub(super) fn usage(&self) -> Vec<(&'static str, u64)> {
        if self.power == "Stopped" {
            return Vec::new();
        }
        self.pools.iter().map(|pool| pool.usage(pool.count)).collect()
    }

    /// Its nodes as they register with the Kubernetes API.
    pub(super) fn api_nodes(&self) -> Vec<Node> {
        if self.power == "Stopped" {
            return Vec::new();
        }
        self.pools.iter().flat_map(|pool| pool.api_nodes(self)).collect()
    }

    /// As the API shows it.
    pub(super) fn to_json(&self, tenant: &str) -> Value {
        let mut shown = self.config.clone();
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        // AKS writes its own ids like this, whoever writes others differently: capitals make no difference.
        shown["id"] = self.name.id().replace("/resourceGroups/", "/resourcegroups/").into();
        shown["name"] = self.name.name.clone().into();
        shown["type"] = "Microsoft.ContainerService/ManagedClusters".into();
        shown["location"] = self.location.clone().into();
        shown["eTag"] = self.etag().into();
        shown["systemData"] = json!({
            "createdBy": self.created_by, "createdByType": "Application", "createdAt": time(self.created),
        });
        let version = self.asked_version().to_owned();
        let properties = &mut shown["properties"];
        properties["kubernetesVersion"] = version.into();
        properties["currentKubernetesVersion"] = self.version.clone().into();
        properties["provisioningState"] = self.state.clone().into();
        properties["powerState"] = json!({"code": self.power});
        properties["maxAgentPools"] = 100.into();
        properties["fqdn"] = self.fqdn().into();
        properties["azurePortalFQDN"] = self.fqdn().replace(".hcp.", ".portal.hcp.").into();
        properties["resourceUID"] = format!("{:024x}", self.created.timestamp().unsigned_abs()).into();
        properties["agentPoolProfiles"] = self.pools.iter().map(|pool| pool.profile(self)).collect();
        if self.endpoint.is_some() {
            properties["networkProfile"]["loadBalancerProfile"] =
                json!({"managedOutboundIPs": {"count": 1}, "backendPoolType": "NodeIPConfiguration"});
        }
        // Secrets are taken and never shown.
        for (profile, secret) in [("servicePrincipalProfile", "secret"), ("windowsProfile", "adminPassword")] {
            properties[profile].as_object_mut().map(|fields| fields.remove(secret));
        }
        if properties["windowsProfile"].is_null() {
            properties.as_object_mut().map(|fields| fields.remove("windowsProfile"));
        }
        if let Some(told) = &self.error {
            properties["status"] = json!({"provisioningError": error::detail(told)});
        }
        if shown["identity"]["type"] == "SystemAssigned" {
            shown["identity"]["tenantId"] = tenant.into();
            shown["identity"]["principalId"] = format!("00000000-0000-4000-8000-0000{}", short(&self.name.id())).into();
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_capitals() {
        assert_eq!(ClusterName::new("s", "RG1", "C"), ClusterName::new("s", "rg1", "c"));
        assert_ne!(ClusterName::new("s", "rg1", "c"), ClusterName::new("s", "rg2", "c"));
        assert_ne!(ClusterName::new("s", "rg1", "c"), ClusterName::new("s", "rg", "1c"));
        let long = node_group(&ClusterName::new("s", &"g".repeat(60), &"c".repeat(60)), "westeurope");
        assert_eq!((long.len(), &long[..4]), (80, "MC_g"));
    }
}
