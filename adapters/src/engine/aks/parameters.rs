//! The parameters of provisioners and clusters, and the request to create a cluster.

use kqueen_domain::{
    ledger::OwnershipTag,
    observation::EngineError,
    operation::NetworkPolicy,
    parameter::{
        DefaultValue, Field,
        FieldKind::{self, Integer, Password, Text, TextArea},
        NOBODY,
    },
    reason::{Reason, ReasonCode, Responsible},
    secret::SecretMap,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The tag with the installation that created a cluster.
pub(super) const INSTALLATION: &str = "kqueen-installation";
/// The tag with the cluster that it was created for.
pub(super) const CLUSTER: &str = "kqueen-cluster";
/// The agent pool of new clusters.
pub(super) const POOL: &str = "agentpool";
/// Network policy that is part of the data plane.
pub(super) const CILIUM: &str = "cilium";
/// Network policy for the data plane of Azure.
pub(super) const CALICO: &str = "calico";

/// The names are those of 2018.
pub(super) fn provisioner_fields() -> Vec<Field> {
    vec![
    Field::required("client_id", "Application ID", Text)
        .uuid()
        .help("The application (client) ID of a service principal that is allowed to manage clusters in the resource group.")
        .order(0),
    Field::required("secret", "Secret", Password)
        .help("The value of a client secret of the service principal, not its ID.")
        .order(1),
    Field::required("tenant", "Directory ID", Text).uuid().help("The directory (tenant) ID.").order(2),
    Field::required("subscription_id", "Subscription ID", Text).uuid().order(3),
    Field::required("resource_group_name", "Resource Group Name", Text)
        .placeholder("my-group")
        .help("An existing resource group. Clusters are created in it; it is never changed or deleted.")
        .order(4),
]
}

pub(super) fn cluster_fields() -> Vec<Field> {
    vec![
    Field::required("node_count", "Node Count", Integer)
        .alias("node_count_aks")
        .default(DefaultValue::Number(1))
        .number()
        .min(1)
        .max(1_000)
        .order(1),
    Field::required("location", "Location", Text).placeholder("westeurope").help("The name of an Azure region.").order(2),
    Field::required("vm_size", "VM Size", Text)
        .default(DefaultValue::text("Standard_D2s_v5"))
        .help("Nodes need at least 2 vCPUs and 4 GB of memory.")
        .order(3),
    Field::optional(
        "network_policy",
        "Network Policy",
        FieldKind::select(&[(CILIUM, "Cilium (built in)"), (CALICO, "Calico"), (NOBODY, "<disabled>")]),
    )
    .default(DefaultValue::text(CILIUM))
    .class_name("network-policy")
    .help("Calico can be turned on and off later, and a cluster without network policy can be changed to Cilium, which is \
           permanent. Each change recreates all nodes.")
    .order(4),
    Field::optional("kubernetes_version", "Kubernetes Version", Text)
        .placeholder("1.34")
        .help("Empty means the default of the region.")
        .order(5),
    Field::optional("disk_size_gb", "Disk of each node, in GB", Integer)
        .min(30)
        .max(2_048)
        .help("Empty means the default for the VM size.")
        .order(6),
    Field::optional(
        "tier",
        "Pricing Tier",
        FieldKind::select(&[
            ("Free", "Free: no availability guarantee"),
            ("Standard", "Standard: with availability guarantee"),
            ("Premium", "Premium: also with long-term support"),
        ]),
    )
    .default(DefaultValue::text("Free"))
    .order(7),
    Field::optional("ssh_key", "SSH Key (public)", TextArea)
        .help("Allows the user azureuser to log in to the nodes with this key; empty means no logins.")
        .order(8),
]
}

/// A cluster as requested.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Wanted {
    node_count: u32,
    location: String,
    pub(super) vm_size: String,
    #[serde(default = "cilium")]
    network_policy: String,
    #[serde(default)]
    kubernetes_version: Option<String>,
    #[serde(default)]
    disk_size_gb: Option<u32>,
    #[serde(default)]
    tier: Option<String>,
    #[serde(default)]
    ssh_key: Option<String>,
}

fn cilium() -> String {
    CILIUM.to_owned()
}

impl Wanted {
    pub(super) fn read(parameters: &SecretMap) -> Result<Self, EngineError> {
        parameters.read().ok_or_else(|| {
            EngineError::Rejected(Reason::new(
                ReasonCode::InvalidParameter,
                "the cluster's parameters are incomplete",
                Responsible::Requester,
                "specify the location, the VM size and the number of nodes",
            ))
        })
    }

    /// The body of the request to create the cluster.
    pub(super) fn to_request(&self, name: &str, tag: &OwnershipTag) -> Value {
        let given =
            |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let mut pool = json!({
            "name": POOL, "mode": "System", "type": "VirtualMachineScaleSets", "osType": "Linux",
            "count": self.node_count, "vmSize": self.vm_size,
        });
        if let Some(size) = self.disk_size_gb {
            pool["osDiskSizeGB"] = size.into();
        }
        let tier = given(&self.tier).unwrap_or_else(|| "Free".to_owned());
        let mut properties = json!({
            "dnsPrefix": name, "nodeResourceGroup": node_group(name), "enableRBAC": true,
            "agentPoolProfiles": [pool], "networkProfile": network(&NetworkPolicy::of_form(&self.network_policy)),
        });
        if tier == "Premium" {
            // Azure has this tier only together with long-term support.
            properties["supportPlan"] = "AKSLongTermSupport".into();
        }
        if let Some(version) = given(&self.kubernetes_version) {
            properties["kubernetesVersion"] = version.into();
        }
        if let Some(key) = given(&self.ssh_key) {
            let keys = json!({"publicKeys": [{"keyData": key}]});
            properties["linuxProfile"] = json!({"adminUsername": "azureuser", "ssh": keys});
        }
        json!({
            "location": self.location.trim(), "tags": tags(tag), "identity": {"type": "SystemAssigned"},
            "sku": {"name": "Base", "tier": tier}, "properties": properties,
        })
    }
}

/// The resource group that Azure creates for a cluster's nodes. The name that Azure would choose contains that of the other resource
/// group and is cut off after 80 characters, so that those of two clusters can be the same.
fn node_group(name: &str) -> String {
    format!("MC_{name}")
}

fn network(policy: &NetworkPolicy) -> Value {
    let (dataplane, policy) = match policy {
        NetworkPolicy { enabled: false, .. } => ("azure", "none"),
        NetworkPolicy { provider, .. } if provider == CILIUM => (CILIUM, CILIUM),
        NetworkPolicy { provider, .. } => ("azure", provider.as_str()),
    };
    json!({
        "networkPlugin": "azure", "networkPluginMode": "overlay", "networkDataplane": dataplane,
        "networkPolicy": policy, "loadBalancerSku": "standard",
    })
}

/// The ownership tag as tags in Azure.
pub(super) fn tags(tag: &OwnershipTag) -> Value {
    json!({INSTALLATION: tag.installation.to_string(), CLUSTER: tag.cluster.to_string()})
}

#[cfg(test)]
mod tests {
    use kqueen_domain::{id::ClusterId, parameter::ParameterSchema};
    use uuid::Uuid;

    use super::*;

    fn request(metadata: &Value) -> Value {
        let schema = ParameterSchema::new(cluster_fields());
        let mut parameters = SecretMap::from_json(&metadata.to_string()).unwrap();
        schema.normalize("metadata", &mut parameters).unwrap();
        let valid = schema.validate("metadata", &parameters).unwrap();
        let tag = OwnershipTag { installation: Uuid::nil(), cluster: ClusterId::random() };
        Wanted::read(&valid).unwrap().to_request("kq-1", &tag)
    }

    #[test]
    fn a_form_of_2018_is_accepted_and_gets_todays_defaults() {
        let request = request(&json!({
            "node_count_aks": 3, "location": "westeurope", "vm_size": "Standard_D2_v2", "ssh_key": "ssh-ed25519 AAAA x\n",
        }));
        let properties = &request["properties"];
        let pool = &properties["agentPoolProfiles"][0];
        assert_eq!((&pool["count"], &pool["mode"]), (&json!(3), &json!("System")));
        assert_eq!(properties["linuxProfile"]["ssh"]["publicKeys"][0]["keyData"], "ssh-ed25519 AAAA x");
        assert_eq!(properties["networkProfile"]["networkPolicy"], "cilium");
        assert_eq!(properties["networkProfile"]["networkPluginMode"], "overlay");
        assert_eq!(request["sku"]["tier"], "Free");
        assert!(properties.get("kubernetesVersion").is_none() && pool.get("osDiskSizeGB").is_none());
        assert!(request["tags"].as_object().unwrap().contains_key("kqueen-cluster"));
    }

    #[test]
    fn everything_that_is_specified_is_requested() {
        let request = request(&json!({
            "node_count": 1, "location": "West Europe", "vm_size": "Standard_D4s_v5", "network_policy": "calico",
            "kubernetes_version": "1.33", "disk_size_gb": 64, "tier": "Premium",
        }));
        let properties = &request["properties"];
        assert_eq!(properties["networkProfile"]["networkPolicy"], "calico");
        assert_eq!(properties["networkProfile"]["networkDataplane"], "azure");
        assert_eq!((&properties["kubernetesVersion"], &request["sku"]["tier"]), (&json!("1.33"), &json!("Premium")));
        assert_eq!(properties["supportPlan"], "AKSLongTermSupport");
        assert_eq!(properties["agentPoolProfiles"][0]["osDiskSizeGB"], 64);
        assert!(properties.get("linuxProfile").is_none());
    }

    #[test]
    fn no_network_policy_leaves_room_for_one() {
        let metadata = json!({
            "node_count": 1, "location": "westeurope", "vm_size": "Standard_D2s_v5",
            "network_policy": {"provider": "calico", "enabled": false},
        });
        let network = &request(&metadata)["properties"]["networkProfile"];
        assert_eq!((&network["networkPolicy"], &network["networkDataplane"]), (&json!("none"), &json!("azure")));
    }
}
