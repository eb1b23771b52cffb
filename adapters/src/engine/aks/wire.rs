//! The JSON of the API of managed clusters, version 2026-08-01, as far as the engine reads it
//! (<https://learn.microsoft.com/rest/api/aks/managed-clusters>). Every field may be missing or null, and an unknown word is kept as it is.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::failures::ProvisioningError;
use crate::outbound::Reply;

/// A managed cluster.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Cluster {
    /// Its path. Azure writes `resourceGroups` in it sometimes in lower case, sometimes not.
    pub(super) id: String,
    pub(super) name: String,
    #[serde(rename = "eTag", deserialize_with = "or_default")]
    pub(super) etag: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) tags: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) system_data: SystemData,
    pub(super) properties: Properties,
}

/// Who created a resource, and when.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SystemData {
    pub(super) created_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Properties {
    pub(super) provisioning_state: State,
    #[serde(deserialize_with = "or_default")]
    pub(super) power_state: PowerState,
    /// Different for each cluster, also if it has the name of one that was deleted.
    #[serde(rename = "resourceUID", deserialize_with = "or_default")]
    pub(super) resource_uid: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) node_resource_group: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) disable_local_accounts: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) agent_pool_profiles: Vec<PoolProfile>,
    #[serde(deserialize_with = "or_default")]
    pub(super) network_profile: NetworkProfile,
    pub(super) service_principal_profile: Option<PrincipalProfile>,
    pub(super) windows_profile: Option<Value>,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: Status,
}

/// `provisioningState` of clusters and agent pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Creating,
    Succeeded,
    Deleting,
    Failed,
    Canceled,
    /// Everything else is something that Azure is doing: `Updating`, `Upgrading`, `Scaling`, `Stopping`…
    Other(String),
}

impl Default for State {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        Ok(match word.as_str() {
            "Creating" => Self::Creating,
            "Succeeded" => Self::Succeeded,
            "Deleting" => Self::Deleting,
            "Failed" => Self::Failed,
            "Canceled" => Self::Canceled,
            _ => Self::Other(word),
        })
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct PowerState {
    /// `Running` or `Stopped`.
    pub(super) code: String,
}

/// An agent pool as part of a cluster.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PoolProfile {
    pub(super) name: String,
    pub(super) provisioning_state: State,
    /// The number of nodes it is to have.
    pub(super) count: Option<u32>,
    #[serde(deserialize_with = "or_default")]
    pub(super) vm_size: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) enable_auto_scaling: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: Status,
}

/// Why the last operation failed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) provisioning_error: Option<ProvisioningError>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NetworkProfile {
    #[serde(deserialize_with = "or_default")]
    pub(super) network_plugin: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) network_plugin_mode: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) network_dataplane: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) network_policy: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PrincipalProfile {
    /// `msi` if the cluster has a managed identity.
    pub(super) client_id: String,
}

/// A page of a list of clusters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClusterPage {
    pub(super) value: Vec<Cluster>,
    #[serde(default)]
    pub(super) next_link: Option<String>,
}

/// A cluster with the whole JSON of it, for changes: PUT replaces what it does not contain.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) cluster: Cluster,
    json: Value,
}

/// The members of a cluster that only Azure writes.
const OUTPUT: [&str; 5] = ["id", "name", "type", "systemData", "eTag"];
/// The same, of the objects in it.
const OUTPUT_BELOW: [(&str, &[&str]); 5] = [
    (
        "/properties",
        &[
            "provisioningState",
            "powerState",
            "maxAgentPools",
            "currentKubernetesVersion",
            "fqdn",
            "privateFQDN",
            "azurePortalFQDN",
            "resourceUID",
            "status",
        ],
    ),
    ("/identity", &["principalId", "tenantId"]),
    ("/properties/oidcIssuerProfile", &["issuerURL"]),
    ("/properties/networkProfile/loadBalancerProfile", &["effectiveOutboundIPs"]),
    ("/properties/networkProfile/natGatewayProfile", &["effectiveOutboundIPs"]),
];
/// The members of an agent pool that only Azure writes.
const POOL_OUTPUT: [&str; 4] = ["eTag", "currentOrchestratorVersion", "provisioningState", "status"];

impl Document {
    pub(super) fn read(reply: &Reply) -> Option<Self> {
        let json: Value = reply.json()?;
        let cluster = Cluster::deserialize(&json).ok()?;
        Some(Self { cluster, json })
    }

    /// The body of a PUT that changes nothing.
    pub(super) fn to_request(&self) -> Value {
        let mut request = self.json.clone();
        remove(&mut request, &OUTPUT);
        for (path, names) in OUTPUT_BELOW {
            if let Some(object) = request.pointer_mut(path) {
                remove(object, names);
            }
        }
        let pools = request.pointer_mut("/properties/agentPoolProfiles").and_then(Value::as_array_mut);
        for pool in pools.into_iter().flatten() {
            remove(pool, &POOL_OUTPUT);
        }
        request
    }

    /// Whether it contains secrets, which Azure does not return: a PUT without them fails, or loses them.
    pub(super) fn has_secrets(&self) -> bool {
        let properties = &self.cluster.properties;
        let principal = properties.service_principal_profile.as_ref().map_or("", |profile| &profile.client_id);
        !matches!(principal, "" | "msi") || properties.windows_profile.is_some()
    }
}

/// An agent pool, as it is read to be changed.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) etag: String,
    properties: Value,
}

impl Pool {
    pub(super) fn read(reply: &Reply) -> Option<Self> {
        let mut json: Value = reply.json()?;
        let properties = json.get_mut("properties")?.take();
        let etag = properties.get("eTag")?.as_str()?.to_owned();
        Some(Self { etag, properties })
    }

    /// The body of a PUT that changes only the number of nodes.
    pub(super) fn with_count(mut self, count: u32) -> Value {
        remove(&mut self.properties, &POOL_OUTPUT);
        self.properties["count"] = count.into();
        serde_json::json!({"properties": self.properties})
    }
}

fn remove(object: &mut Value, names: &[&str]) {
    if let Value::Object(members) = object {
        members.retain(|name, _| !names.contains(&name.as_str()));
    }
}

/// The response to a request for kubeconfigs.
#[derive(Debug, Deserialize)]
pub(super) struct Credentials {
    pub(super) kubeconfigs: Vec<Kubeconfig>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Kubeconfig {
    /// YAML in base64.
    pub(super) value: SecretString,
}

/// A value that may be null.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(json: Value) -> Document {
        Document { cluster: Cluster::deserialize(&json).unwrap(), json }
    }

    #[test]
    fn unknown_words_are_kept_and_nothing_has_to_be_there() {
        let cluster =
            document(json!({"properties": {"provisioningState": "Hibernating", "new": {"field": 1}}})).cluster;
        assert_eq!(cluster.properties.provisioning_state, State::Other("Hibernating".into()));
        let nulls = json!({"tags": null, "systemData": null, "properties": {
            "provisioningState": null, "powerState": null, "agentPoolProfiles": null, "networkProfile": null,
            "status": null, "servicePrincipalProfile": null, "windowsProfile": null,
        }});
        assert_eq!(document(nulls).cluster.properties.provisioning_state, State::default());
        assert_eq!(document(json!({})).cluster.name, "");
    }

    #[test]
    fn a_change_keeps_what_is_there_and_leaves_out_what_only_azure_writes() {
        let json = json!({
            "id": "/x", "name": "c", "type": "t", "eTag": "1", "systemData": {}, "location": "westeurope",
            "tags": {"team": "a"}, "identity": {"type": "SystemAssigned", "principalId": "p", "tenantId": "t"},
            "properties": {
                "provisioningState": "Succeeded", "fqdn": "f", "dnsPrefix": "d", "resourceUID": "u", "status": {},
                "networkProfile": {"networkPolicy": "none", "loadBalancerProfile": {"effectiveOutboundIPs": []}},
                "agentPoolProfiles": [{"name": "agentpool", "count": 2, "eTag": "2", "provisioningState": "Succeeded"}],
            },
        });
        let expected = json!({
            "location": "westeurope", "tags": {"team": "a"}, "identity": {"type": "SystemAssigned"},
            "properties": {
                "dnsPrefix": "d", "networkProfile": {"networkPolicy": "none", "loadBalancerProfile": {}},
                "agentPoolProfiles": [{"name": "agentpool", "count": 2}],
            },
        });
        assert_eq!(document(json).to_request(), expected);
    }

    #[test]
    fn secrets_that_azure_does_not_return_are_noticed() {
        let has = |properties: Value| document(json!({"properties": properties})).has_secrets();
        assert!(!has(json!({})));
        assert!(!has(json!({"servicePrincipalProfile": {"clientId": "msi"}})));
        assert!(has(json!({"servicePrincipalProfile": {"clientId": "00000001-0000-4000-8000-00000000000c"}})));
        assert!(has(json!({"windowsProfile": {"adminUsername": "a"}})));
    }
}
