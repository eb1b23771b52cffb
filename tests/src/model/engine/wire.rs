//! The JSON of the provider as the engine reads it. Written from the API's description, not from the server's code: where both disagree, a
//! test fails.

use std::collections::BTreeMap;

use kqueen_domain::{ledger::OwnershipTag, operation::NetworkPolicy, parameter::NOBODY};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

/// Labels that hold the ownership tag.
pub(super) const INSTALLATION: &str = "kqueen-installation";
pub(super) const CLUSTER: &str = "kqueen-cluster";

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) items: Vec<Thing>,
    /// Asks for the next page, if there is one.
    pub(super) next: Option<String>,
}

/// What a token may do.
#[derive(Debug, Deserialize)]
pub(super) struct Project {
    pub(super) rights: Vec<String>,
}

/// A thing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Thing {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) status: Status,
    #[serde(default)]
    pub(super) message: String,
    pub(super) progress: Option<u8>,
    #[serde(flatten)]
    pub(super) shape: Shape,
    /// What a change under way makes of it.
    #[serde(default)]
    pub(super) target: Shape,
}

/// What can be changed about a thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Shape {
    pub(super) node_count: Option<u32>,
    pub(super) network_policy: Option<NetworkPolicy>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Creating,
    Running,
    Updating,
    Deleting,
    Error,
    /// Something newer than this engine.
    #[serde(other)]
    Other,
}

impl Status {
    /// The word for people.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Running => "running",
            Self::Updating => "updating",
            Self::Deleting => "deleting",
            Self::Error => "failed",
            Self::Other => "changing",
        }
    }
}

impl Thing {
    /// Whether it was made for that cluster by that installation.
    pub(super) fn carries(&self, tag: &OwnershipTag) -> bool {
        let is = |label: &str, value: String| self.labels.get(label) == Some(&value);
        is(INSTALLATION, tag.installation.to_string()) && is(CLUSTER, tag.cluster.to_string())
    }
}

/// The labels that hold an ownership tag.
pub(super) fn labels(tag: &OwnershipTag) -> Value {
    json!({INSTALLATION: tag.installation, CLUSTER: tag.cluster})
}

/// Why the provider refuses.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) error: Explanation,
}

/// What is in a refusal.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Explanation {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
    /// The right that is lacking.
    #[serde(default)]
    pub(super) right: String,
    /// The ids of what stands on it.
    #[serde(default)]
    pub(super) used_by: Vec<String>,
}

/// A provisioner's parameters.
#[derive(Debug, Deserialize)]
pub(super) struct ProvisionerParameters {
    pub(super) url: String,
    pub(super) token: SecretString,
    pub(super) project: String,
}

/// A cluster's parameters. Clients may keep other things beside them.
#[derive(Debug, Deserialize)]
pub(super) struct ClusterParameters {
    pub(super) node_count: u32,
    #[serde(default)]
    pub(super) admin_password: Option<SecretString>,
    #[serde(default)]
    pub(super) network_policy: Option<String>,
}

impl ClusterParameters {
    /// Who enforces network policy from the start, if anybody does.
    pub(super) fn policy(&self) -> Option<Value> {
        let provider = self.network_policy.as_deref().filter(|provider| *provider != NOBODY)?;
        Some(json!({"provider": provider, "enabled": true}))
    }
}
