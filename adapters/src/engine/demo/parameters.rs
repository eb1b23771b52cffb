//! The parameters of provisioners and clusters of the demo engine: the form fields, and how they are read.

use kqueen_domain::{
    observation::EngineError,
    operation::NetworkPolicy,
    parameter::{
        DefaultValue, Field,
        FieldKind::{self, Integer},
        NOBODY,
    },
    reason::{ReasonCode, Responsible},
    secret::SecretMap,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{cluster::MAX_NODES, provider::rejected};

const REGION: &str = "demo-central";
const QUOTA: u32 = 50;
const NODE_COUNT: u32 = 3;
const SIZE: &str = "medium";
const VERSION: &str = "1.34.2";

pub(super) fn provisioner_fields() -> Vec<Field> {
    vec![
    Field::optional("region", "Region (simulated)", FieldKind::select(&[(REGION, "Demo Central"), ("demo-coast", "Demo Coast")]))
        .default(DefaultValue::text(REGION))
        .order(1),
    Field::optional("quota", "Quota of nodes", Integer)
        .default(DefaultValue::Number(QUOTA as i64))
        .min(1)
        .max(1_000)
        .help(
            "The maximum number of nodes of all clusters of this provisioner together. Requests for more are rejected, as by a \
             real cloud.",
        )
        .order(2),
]
}

pub(super) fn cluster_fields() -> Vec<Field> {
    vec![
    Field::required("node_count", "Node Count", Integer)
        .default(DefaultValue::Number(NODE_COUNT as i64))
        .number()
        .min(1)
        .max(MAX_NODES as i64)
        .help("Nothing is started and nothing costs money. A cluster whose name starts with fail- fails while it is created.")
        .order(1),
    Field::optional(
        "size",
        "Size of the nodes",
        FieldKind::select(&[
            ("small", "Small: 2 vCPU, 8 GiB RAM (simulated)"),
            (SIZE, "Medium: 4 vCPU, 16 GiB RAM (simulated)"),
            ("large", "Large: 8 vCPU, 32 GiB RAM (simulated)"),
        ]),
    )
    .default(DefaultValue::text(SIZE))
    .order(2),
    Field::optional(
        "kubernetes_version",
        "Kubernetes Version",
        FieldKind::select(&[(VERSION, "1.34.2"), ("1.33.6", "1.33.6"), ("1.32.10", "1.32.10")]),
    )
    .default(DefaultValue::text(VERSION))
    .order(3),
    Field::optional(
        "network_policy",
        "Network Policy",
        FieldKind::select(&[(NOBODY, "<disabled>"), ("CALICO", "Calico"), ("CILIUM", "Cilium")]),
    )
    .default(DefaultValue::text(NOBODY))
    .class_name("network-policy")
    .order(4),
]
}

/// The parameters of a provisioner.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct Account {
    pub(super) region: String,
    pub(super) quota: u32,
}

impl Default for Account {
    fn default() -> Self {
        Self { region: REGION.to_owned(), quota: QUOTA }
    }
}

impl Account {
    pub(super) fn read(parameters: &SecretMap) -> Result<Self, EngineError> {
        read(parameters, "provisioner")
    }
}

/// The parameters of a cluster. Clients may store other fields among them, which are ignored here.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct ClusterParameters {
    node_count: u32,
    size: String,
    kubernetes_version: String,
    network_policy: String,
}

impl Default for ClusterParameters {
    fn default() -> Self {
        Self {
            node_count: NODE_COUNT,
            size: SIZE.to_owned(),
            kubernetes_version: VERSION.to_owned(),
            network_policy: NOBODY.to_owned(),
        }
    }
}

/// The cluster that is requested.
#[derive(Debug, Clone)]
pub(super) struct DesiredCluster {
    pub(super) node_count: u32,
    pub(super) size: String,
    pub(super) kubernetes_version: String,
    pub(super) network_policy: NetworkPolicy,
}

impl DesiredCluster {
    pub(super) fn read(parameters: &SecretMap) -> Result<Self, EngineError> {
        let ClusterParameters { node_count, size, kubernetes_version, network_policy } = read(parameters, "cluster")?;
        if !(1..=MAX_NODES).contains(&node_count) {
            let cause = format!("a simulated cluster has 1 to {MAX_NODES} nodes");
            return Err(rejected(
                ReasonCode::InvalidParameter,
                cause,
                Responsible::Requester,
                "change its node count, then retry",
            ));
        }
        let enabled = network_policy != NOBODY;
        // The provider that would enforce it is known before it is turned on.
        let provider = if enabled { network_policy } else { "CALICO".to_owned() };
        Ok(Self { node_count, size, kubernetes_version, network_policy: NetworkPolicy { provider, enabled } })
    }
}

fn read<T: DeserializeOwned>(parameters: &SecretMap, owner: &str) -> Result<T, EngineError> {
    parameters.read().ok_or_else(|| {
        let cause = format!("the {owner}'s parameters are not valid for the demo engine (simulated)");
        rejected(
            ReasonCode::InvalidParameter,
            cause,
            Responsible::Requester,
            "set them again; the engine's form describes them",
        )
    })
}

#[cfg(test)]
mod tests {
    use kqueen_domain::{parameter::ParameterSchema, secret::SecretValue};
    use serde_json::{Value, json};

    use super::*;

    fn object(value: Value) -> SecretMap {
        SecretValue::from(value).into_map().unwrap()
    }

    /// `given` after validation by the form.
    fn filled(fields: Vec<Field>, given: Value) -> SecretMap {
        ParameterSchema::new(fields).validate("parameters", &object(given)).unwrap()
    }

    #[test]
    fn an_empty_form_gives_the_same_defaults_as_no_parameters() {
        let (account, none) = (Account::read(&filled(provisioner_fields(), json!({}))).unwrap(), Account::default());
        assert_eq!((account.region, account.quota), (none.region, none.quota));
        let (desired, none) = (
            DesiredCluster::read(&filled(cluster_fields(), json!({}))).unwrap(),
            DesiredCluster::read(&SecretMap::new()).unwrap(),
        );
        assert_eq!(format!("{desired:?}"), format!("{none:?}"));
    }

    #[test]
    fn every_field_is_read_by_its_declared_name() {
        let account =
            Account::read(&filled(provisioner_fields(), json!({"region": "demo-coast", "quota": "7"}))).unwrap();
        assert_eq!((account.region.as_str(), account.quota), ("demo-coast", 7));
        let given =
            json!({"node_count": 5, "size": "large", "kubernetes_version": "1.33.6", "network_policy": "CILIUM"});
        for field in cluster_fields() {
            assert!(given.get(field.name.as_ref()).is_some(), "{} is not tested here", field.name);
        }
        let desired = DesiredCluster::read(&filled(cluster_fields(), given)).unwrap();
        assert_eq!(
            (desired.node_count, desired.size.as_str(), desired.kubernetes_version.as_str()),
            (5, "large", "1.33.6")
        );
        assert_eq!(desired.network_policy, NetworkPolicy { provider: "CILIUM".into(), enabled: true });
    }

    #[test]
    fn invalid_parameters_are_rejected() {
        for bad in
            [json!({"node_count": 0}), json!({"node_count": 21}), json!({"node_count": "many"}), json!({"size": 3})]
        {
            assert!(matches!(DesiredCluster::read(&object(bad.clone())), Err(EngineError::Rejected(_))), "{bad}");
        }
    }
}
