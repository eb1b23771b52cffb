//! What provisioners and clusters of the demo engine are described by: the fields people fill in, and what is read of them.

use kqueen_domain::{
    observation::EngineError,
    operation::NetworkPolicy,
    parameter::{
        DefaultValue, Field,
        FieldKind::{Integer, Select},
        NOBODY,
    },
    reason::{ReasonCode, Responsible},
    secret::SecretMap,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{cluster::MOST_NODES, provider::rejected};

const REGION: &str = "demo-central";
const QUOTA: u32 = 50;
const NODE_COUNT: u32 = 3;
const SIZE: &str = "medium";
const VERSION: &str = "1.34.2";

pub(super) const PROVISIONER: &[Field] = &[
    Field::optional("region", "Region (simulated)", Select(&[(REGION, "Demo Central"), ("demo-coast", "Demo Coast")]))
        .default(DefaultValue::Text(REGION))
        .order(1),
    Field::optional("quota", "Quota of nodes", Integer)
        .default(DefaultValue::Number(QUOTA as i64))
        .min(1)
        .max(1_000)
        .help("How many nodes the clusters of this provisioner may have together; more is refused, as a cloud would.")
        .order(2),
];

pub(super) const CLUSTER: &[Field] = &[
    Field::required("node_count", "Node Count", Integer)
        .default(DefaultValue::Number(NODE_COUNT as i64))
        .number()
        .min(1)
        .max(MOST_NODES as i64)
        .help("Nothing is started and nothing costs money. A cluster whose name starts with fail- breaks while it is made.")
        .order(1),
    Field::optional(
        "size",
        "Size of the nodes",
        Select(&[
            ("small", "Small: 2 vCPU, 8 GiB RAM (simulated)"),
            (SIZE, "Medium: 4 vCPU, 16 GiB RAM (simulated)"),
            ("large", "Large: 8 vCPU, 32 GiB RAM (simulated)"),
        ]),
    )
    .default(DefaultValue::Text(SIZE))
    .order(2),
    Field::optional(
        "kubernetes_version",
        "Kubernetes Version",
        Select(&[(VERSION, "1.34.2"), ("1.33.6", "1.33.6"), ("1.32.10", "1.32.10")]),
    )
    .default(DefaultValue::Text(VERSION))
    .order(3),
    Field::optional(
        "network_policy",
        "Network Policy",
        Select(&[(NOBODY, "<disabled>"), ("CALICO", "Calico"), ("CILIUM", "Cilium")]),
    )
    .default(DefaultValue::Text(NOBODY))
    .class_name("network-policy")
    .order(4),
];

/// What a provisioner says.
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

/// What a cluster's parameters say. Clients may keep other things among them, which mean nothing here.
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

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) node_count: u32,
    pub(super) size: String,
    pub(super) kubernetes_version: String,
    pub(super) network_policy: NetworkPolicy,
}

impl Wish {
    pub(super) fn read(parameters: &SecretMap) -> Result<Self, EngineError> {
        let ClusterParameters { node_count, size, kubernetes_version, network_policy } = read(parameters, "cluster")?;
        if !(1..=MOST_NODES).contains(&node_count) {
            let cause = format!("a simulated cluster has 1 to {MOST_NODES} nodes");
            return Err(rejected(
                ReasonCode::InvalidParameter,
                cause,
                Responsible::Requester,
                "change its node count, then retry",
            ));
        }
        let enabled = network_policy != NOBODY;
        // Who would enforce it is known before it is turned on.
        let provider = if enabled { network_policy } else { "CALICO".to_owned() };
        Ok(Self { node_count, size, kubernetes_version, network_policy: NetworkPolicy { provider, enabled } })
    }
}

fn read<T: DeserializeOwned>(parameters: &SecretMap, whose: &str) -> Result<T, EngineError> {
    parameters.read().ok_or_else(|| {
        let cause = format!("the {whose}'s parameters are not those of the demo engine (simulated)");
        rejected(
            ReasonCode::InvalidParameter,
            cause,
            Responsible::Requester,
            "set them anew; the engine's form says what they are",
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

    /// What the form makes of `given`.
    fn filled(fields: &[Field], given: Value) -> SecretMap {
        ParameterSchema::new(fields).validate("parameters", &object(given)).unwrap()
    }

    #[test]
    fn a_form_left_alone_is_what_is_read_when_nothing_is_given() {
        let (account, none) = (Account::read(&filled(PROVISIONER, json!({}))).unwrap(), Account::default());
        assert_eq!((account.region, account.quota), (none.region, none.quota));
        let (wish, none) = (Wish::read(&filled(CLUSTER, json!({}))).unwrap(), Wish::read(&SecretMap::new()).unwrap());
        assert_eq!(format!("{wish:?}"), format!("{none:?}"));
    }

    #[test]
    fn every_field_is_read_under_the_name_it_is_declared_by() {
        let account = Account::read(&filled(PROVISIONER, json!({"region": "demo-coast", "quota": "7"}))).unwrap();
        assert_eq!((account.region.as_str(), account.quota), ("demo-coast", 7));
        let given =
            json!({"node_count": 5, "size": "large", "kubernetes_version": "1.33.6", "network_policy": "CILIUM"});
        for field in CLUSTER {
            assert!(given.get(field.name).is_some(), "{} is not tried here", field.name);
        }
        let wish = Wish::read(&filled(CLUSTER, given)).unwrap();
        assert_eq!((wish.node_count, wish.size.as_str(), wish.kubernetes_version.as_str()), (5, "large", "1.33.6"));
        assert_eq!(wish.network_policy, NetworkPolicy { provider: "CILIUM".into(), enabled: true });
    }

    #[test]
    fn what_no_form_would_let_through_is_rejected() {
        for bad in
            [json!({"node_count": 0}), json!({"node_count": 21}), json!({"node_count": "many"}), json!({"size": 3})]
        {
            assert!(matches!(Wish::read(&object(bad.clone())), Err(EngineError::Rejected(_))), "{bad}");
        }
    }
}
