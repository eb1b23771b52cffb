//! The provider's JSON as the engine reads it. Written from the API's description, not from the server's code: if they disagree, a test
//! fails.

use std::collections::BTreeMap;

use kqueen_domain::{ledger::OwnershipTag, operation::NetworkPolicy, parameter::NOBODY};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

/// The labels of the ownership tag.
pub(super) const INSTALLATION: &str = "kqueen-installation";
pub(super) const CLUSTER: &str = "kqueen-cluster";

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) items: Vec<Resource>,
    /// The token of the next page, if there is one.
    pub(super) next: Option<String>,
}

/// A project, with the token's rights in it.
#[derive(Debug, Deserialize)]
pub(super) struct Project {
    pub(super) rights: Vec<String>,
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Resource {
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
    /// The settings after the change in progress.
    #[serde(default)]
    pub(super) target: Shape,
}

/// The settings of a resource that can be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Shape {
    pub(super) node_count: Option<u32>,
    pub(super) network_policy: Option<NetworkPolicy>,
}

/// The status of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Creating,
    Running,
    Updating,
    Deleting,
    Error,
    /// A status that this engine does not know.
    #[serde(other)]
    Other,
}

impl Status {
    /// Its name in messages.
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

impl Resource {
    /// Whether it was created for that cluster by that installation.
    pub(super) fn carries(&self, tag: &OwnershipTag) -> bool {
        let is = |label: &str, value: String| self.labels.get(label) == Some(&value);
        is(INSTALLATION, tag.installation.to_string()) && is(CLUSTER, tag.cluster.to_string())
    }
}

/// An ownership tag as labels.
pub(super) fn labels(tag: &OwnershipTag) -> Value {
    json!({INSTALLATION: tag.installation, CLUSTER: tag.cluster})
}

/// An error response of the provider.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorResponse {
    #[serde(default)]
    pub(super) error: ErrorDetails,
}

/// The error in an error response.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorDetails {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
    /// The missing right.
    #[serde(default)]
    pub(super) right: String,
    /// The ids of the resources that depend on it.
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

/// A cluster's parameters. Clients may store other fields beside them.
#[derive(Debug, Deserialize)]
pub(super) struct ClusterParameters {
    pub(super) node_count: u32,
    #[serde(default)]
    pub(super) admin_password: Option<SecretString>,
    #[serde(default)]
    pub(super) network_policy: Option<String>,
}

impl ClusterParameters {
    /// The initial network policy, if one is chosen.
    pub(super) fn policy(&self) -> Option<Value> {
        let provider = self.network_policy.as_deref().filter(|provider| *provider != NOBODY)?;
        Some(json!({"provider": provider, "enabled": true}))
    }
}
