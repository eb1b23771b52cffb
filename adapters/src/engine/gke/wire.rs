//! The JSON of the GKE API, version 1, as far as the engine reads it (<https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1>).
//! Every field may be missing, and a word that this version does not know is kept as it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::failures::{Condition, Status};

/// `projects.locations.clusters`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Cluster {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) location: String,
    /// The zones its nodes are in.
    pub(super) locations: Vec<String>,
    pub(super) status: ClusterStatus,
    pub(super) conditions: Vec<Condition>,
    pub(super) resource_labels: BTreeMap<String, String>,
    pub(super) endpoint: String,
    pub(super) master_auth: MasterAuth,
    pub(super) node_pools: Vec<NodePool>,
    /// Nodes in all zones together. Deprecated without a replacement in this API.
    pub(super) current_node_count: Option<u32>,
    pub(super) network_policy: Policy,
    pub(super) addons_config: AddonsConfig,
    pub(super) network_config: NetworkConfig,
    pub(super) control_plane_endpoints_config: Endpoints,
}

/// What a cluster does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum ClusterStatus {
    Provisioning,
    Running,
    Reconciling,
    Stopping,
    Error,
    Degraded,
    /// `STATUS_UNSPECIFIED`, or a word that is newer than this program.
    #[default]
    Unspecified,
    Other(String),
}

impl<'de> Deserialize<'de> for ClusterStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(match word.as_str() {
            "PROVISIONING" => Self::Provisioning,
            "RUNNING" => Self::Running,
            "RECONCILING" => Self::Reconciling,
            "STOPPING" => Self::Stopping,
            "ERROR" => Self::Error,
            "DEGRADED" => Self::Degraded,
            "STATUS_UNSPECIFIED" => Self::Unspecified,
            _ => Self::Other(word),
        })
    }
}

/// A group of nodes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NodePool {
    pub(super) name: String,
    /// `PROVISIONING`, `RUNNING`, `RUNNING_WITH_ERROR`, `RECONCILING`, `STOPPING` or `ERROR`.
    pub(super) status: String,
    pub(super) conditions: Vec<Condition>,
    pub(super) autoscaling: Autoscaling,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Autoscaling {
    pub(super) enabled: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct MasterAuth {
    /// PEM in base64.
    pub(super) cluster_ca_certificate: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Policy {
    pub(super) provider: String,
    pub(super) enabled: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AddonsConfig {
    pub(super) network_policy_config: PolicyAddon,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct PolicyAddon {
    /// Absent means that the addon is on.
    pub(super) disabled: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NetworkConfig {
    pub(super) datapath_provider: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Endpoints {
    pub(super) dns_endpoint_config: DnsEndpoint,
    pub(super) ip_endpoints_config: IpEndpoints,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct DnsEndpoint {
    pub(super) endpoint: String,
    pub(super) allow_external_traffic: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct IpEndpoints {
    /// `None` where the API does not say it, as for clusters from before there was a choice.
    pub(super) enabled: Option<bool>,
    pub(super) public_endpoint: String,
}

/// The answer to a list of clusters.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ClusterList {
    pub(super) clusters: Vec<Cluster>,
    /// Zones that did not answer: what is in them is not in the list.
    pub(super) missing_zones: Vec<String>,
}

/// A page of a list of the Compute Engine API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    #[serde(default = "Vec::new")]
    pub(super) items: Vec<T>,
    /// Empty on the last page.
    #[serde(default)]
    pub(super) next_page_token: String,
}

/// Something that is under way.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) operation_type: String,
    /// `PENDING`, `RUNNING`, `DONE` or `ABORTING`.
    pub(super) status: String,
    pub(super) location: String,
    pub(super) target_link: String,
    pub(super) start_time: String,
    pub(super) progress: Progress,
    pub(super) error: Option<Status>,
    /// Deprecated; some operations say only here that they have failed.
    pub(super) status_message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    pub(super) metrics: Vec<Metric>,
    pub(super) stages: Vec<Progress>,
}

/// A number of a progress, such as `CLUSTER_CONFIGURING` beside `CLUSTER_CONFIGURING_TOTAL`. A whole number arrives as text.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) int_value: Option<String>,
    pub(super) double_value: Option<f64>,
}

/// The answer to a list of operations.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OperationList {
    pub(super) operations: Vec<Operation>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_newer_than_this_program_are_kept() {
        let cluster: Cluster =
            serde_json::from_str(r#"{"name":"c","status":"HIBERNATING","new":{"field":1}}"#).unwrap();
        assert_eq!(cluster.status, ClusterStatus::Other("HIBERNATING".into()));
        let cluster: Cluster = serde_json::from_str("{}").unwrap();
        assert_eq!(cluster.status, ClusterStatus::Unspecified);
    }

    #[test]
    fn whole_numbers_of_a_progress_arrive_as_text() {
        let operation: Operation = serde_json::from_str(
            r#"{"progress":{"metrics":[{"name":"CLUSTER_CONFIGURING","intValue":"3"},{"name":"X","doubleValue":0.5}]}}"#,
        )
        .unwrap();
        assert_eq!(operation.progress.metrics[0].int_value.as_deref(), Some("3"));
    }
}
