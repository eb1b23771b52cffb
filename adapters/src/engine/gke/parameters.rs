//! What a cluster's parameters ask for, and the request that Google gets for it.

use kqueen_domain::{
    ledger::OwnershipTag,
    observation::EngineError,
    operation::NetworkPolicy,
    parameter::{
        DefaultValue, Field,
        FieldKind::{self, Checkbox, Integer, JsonFile, Text},
        NOBODY,
    },
    reason::{Reason, ReasonCode, Responsible},
    secret::SecretMap,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Label with the installation that made a cluster.
pub(super) const INSTALLATION: &str = "kqueen-installation";
/// Label with the cluster something was made for.
pub(super) const CLUSTER: &str = "kqueen-cluster";
/// The one node pool of the clusters that are made.
pub(super) const POOL: &str = "default-pool";
/// Who enforces network policy in clusters with Dataplane V2: it is built in.
pub(super) const DATAPLANE_V2: &str = "DATAPLANE_V2";
/// The machine type to start with.
pub(super) const DEFAULT_MACHINE_TYPE: &str = "e2-standard-2";
/// The add-on for clusters without.
pub(super) const CALICO: &str = "CALICO";

pub(super) fn provisioner_fields() -> Vec<Field> {
    vec![
    Field::required("service_account_info", "Service Account File (JSON)", JsonFile)
        .keys(&["private_key_id", "private_key", "client_email", "client_id", "auth_uri", "token_uri"])
        .help("The key file of a service account that is allowed to manage clusters in the project.")
        .order(0),
    Field::optional("project", "Project", Text)
        .placeholder("my-project")
        .help("The project in which clusters are created; empty means the project that the service account belongs to.")
        .order(1),
]
}

pub(super) fn cluster_fields() -> Vec<Field> {
    vec![
    Field::required("node_count", "Node Count", Integer)
        .alias("node_count_gke")
        .default(DefaultValue::Number(1))
        .number()
        .min(1)
        .max(1_000)
        .help("In a region, this is the number of nodes in each of its zones: a region with three zones has three times as many.")
        .order(1),
    Field::required("location", "Zone or Region", Text)
.offered(&[])
        .alias("zone")
        .placeholder("europe-west1")
        .help("A zone such as europe-west1-b, or a region, whose clusters also survive the loss of a zone.")
        .order(2),
    Field::required("machine_type", "Machine Type", Text).offered(&["location"]).default(DefaultValue::text(DEFAULT_MACHINE_TYPE)).order(3),
    Field::optional("network_range", "Network range CIDR", Text)
        .cidr()
        .placeholder("10.0.0.0/14")
        .help("Provide a unique IP range or leave it empty for auto-assignment")
        .order(4),
    Field::optional(
        "network_policy",
        "Network Policy",
        FieldKind::select(&[(DATAPLANE_V2, "Dataplane V2 (built in)"), (CALICO, "Calico"), (NOBODY, "<disabled>")]),
    )
    .default(DefaultValue::text(DATAPLANE_V2))
    .class_name("network-policy")
    .help("Dataplane V2 can be chosen only when the cluster is created; Calico can also be turned on and off later, which \
           recreates all nodes.")
    .order(5),
    Field::optional(
        "release_channel",
        "Release Channel",
        FieldKind::select(&[
            ("REGULAR", "Regular"),
            ("RAPID", "Rapid: new versions first"),
            ("STABLE", "Stable: new versions last"),
            ("EXTENDED", "Extended: supported for longer, at a price"),
            ("UNSPECIFIED", "None: upgrade manually"),
        ]),
    )
    .default(DefaultValue::text("REGULAR"))
    .order(6),
    Field::optional("kubernetes_version", "Kubernetes Version", Text)
.offered(&["location", "release_channel"])
        .placeholder("1.34")
        .help("Empty means the default of the release channel.")
        .order(7),
    Field::optional("disk_size_gb", "Disk of each node, in GB", Integer).min(10).max(65_536).placeholder("100").order(8),
    Field::optional("spot", "Spot machines", Checkbox)
        .default(DefaultValue::Flag(false))
        .help("Much cheaper; Google may stop them at any time.")
        .order(9),
]
}

/// A cluster as people ask for it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Wanted {
    /// Nodes in each zone.
    pub(super) node_count: u32,
    pub(super) machine_type: String,
    #[serde(default)]
    network_range: Option<String>,
    #[serde(default = "dataplane_v2")]
    network_policy: String,
    #[serde(default)]
    release_channel: Option<String>,
    #[serde(default)]
    kubernetes_version: Option<String>,
    #[serde(default)]
    disk_size_gb: Option<u32>,
    #[serde(default)]
    spot: bool,
}

fn dataplane_v2() -> String {
    DATAPLANE_V2.to_owned()
}

impl Wanted {
    pub(super) fn read(parameters: &SecretMap) -> Result<Self, EngineError> {
        parameters.read().ok_or_else(|| {
            EngineError::Rejected(Reason::new(
                ReasonCode::InvalidParameter,
                "the cluster's parameters are incomplete",
                Responsible::Requester,
                "specify the machine type and the number of nodes",
            ))
        })
    }

    /// The body of `clusters.create`.
    pub(super) fn to_request(&self, name: &str, tag: &OwnershipTag) -> Value {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let mut nodes = json!({
            "machineType": self.machine_type,
            "oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"],
        });
        if let Some(size) = self.disk_size_gb {
            nodes["diskSizeGb"] = size.into();
        }
        if self.spot {
            nodes["spot"] = true.into();
        }
        let mut addresses = json!({"useIpAliases": true});
        if let Some(range) = given(&self.network_range) {
            addresses["clusterIpv4CidrBlock"] = range.into();
        }
        let mut cluster = json!({
            "name": name,
            "resourceLabels": labels(tag),
            "nodePools": [{"name": POOL, "initialNodeCount": self.node_count, "config": nodes}],
            "ipAllocationPolicy": addresses,
        });
        // A channel decides about versions by itself; with `UNSPECIFIED` the cluster is in none.
        let channel = given(&self.release_channel).unwrap_or_else(|| "REGULAR".to_owned());
        cluster["releaseChannel"] = json!({"channel": channel});
        if let Some(version) = given(&self.kubernetes_version) {
            cluster["initialClusterVersion"] = version.into();
        }
        let set: Map<String, Value> = match NetworkPolicy::of_form(&self.network_policy) {
            NetworkPolicy { enabled: false, .. } => Map::new(),
            // Dataplane V2 enforces policies by itself, and refuses the add-on.
            NetworkPolicy { provider, .. } if provider == DATAPLANE_V2 => {
                Map::from_iter([("networkConfig".to_owned(), json!({"datapathProvider": "ADVANCED_DATAPATH"}))])
            }
            NetworkPolicy { provider, .. } => Map::from_iter([
                ("addonsConfig".to_owned(), json!({"networkPolicyConfig": {"disabled": false}})),
                ("networkPolicy".to_owned(), json!({"provider": provider, "enabled": true})),
            ]),
        };
        if let Value::Object(cluster) = &mut cluster {
            cluster.extend(set);
        }
        json!({"cluster": cluster})
    }
}

/// The labels that say whose a cluster is.
pub(super) fn labels(tag: &OwnershipTag) -> Value {
    json!({INSTALLATION: tag.installation.to_string(), CLUSTER: tag.cluster.to_string()})
}
