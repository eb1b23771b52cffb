//! Clusters in requests and responses.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    cluster::Phase,
    invalid::Invalid,
    operation,
    secret::SecretValue,
    service::clusters::{ClusterPatch, NewCluster},
};
use poem_openapi::{Enum, Object, types::Any};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Free, SecretJson, operation::Reason, provisioner::NestedProvisioner, reason_code::ReasonCode, user::NestedUser,
};
use crate::api::{
    body::{Body, Fields},
    read_only,
};

/// A cluster to create, or to attach if its engine attaches clusters that were created elsewhere.
#[derive(Object)]
pub struct ClusterCreate {
    /// Its name, in one line.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub name: String,
    /// Its provisioner, `Provisioner:<uuid>`.
    #[oai(validator(pattern = "^Provisioner:[0-9a-fA-F-]{36}$"))]
    pub provisioner: String,
    /// Its owner, `User:<uuid>`. The caller by default.
    #[oai(validator(pattern = "^User:[0-9a-fA-F-]{36}$"))]
    pub owner: Option<String>,
    /// The parameters of the engine, and other data of the client. May contain the kubeconfig, as the console of 2018 sends it.
    pub metadata: Option<Free>,
    /// The kubeconfig of a cluster to attach, as a JSON object or YAML text. Kubeconfigs with commands, file names or proxies are rejected,
    /// and so is a kubeconfig for a cluster that a provider creates: the provider returns it.
    pub kubeconfig: Option<Free>,
}

/// Changes to a cluster.
#[derive(Object)]
pub struct ClusterUpdate {
    /// Its name, in one line.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub name: Option<String>,
    /// Its owner, `User:<uuid>`.
    #[oai(validator(pattern = "^User:[0-9a-fA-F-]{36}$"))]
    pub owner: Option<String>,
    /// The parameters of the engine and other data, merged by key: null removes a key, and `*******` keeps the stored secret.
    pub metadata: Option<Free>,
    /// A new kubeconfig, as a JSON object or YAML text. Rejected for a cluster that a provider creates until the provider has returned one.
    pub kubeconfig: Option<Free>,
}

/// The state of a cluster, for programs.
///
/// - `Deploying`: The cluster is being created, or has not been observed yet.
/// - `OK`: The API server responds and accepts the credentials.
/// - `Updating`: The cluster is being changed.
/// - `Destroying`: The cluster is being deleted.
/// - `Error`: An operation has failed, the cluster has failed at its provider, or the API server rejects the credentials.
/// - `Unknown`: The API server does not respond.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename = "ClusterPhase")]
#[expect(missing_docs, reason = "the values are explained above")]
pub enum ClusterPhaseView {
    Deploying,
    #[oai(rename = "OK")]
    #[serde(rename = "OK")]
    Ready,
    Updating,
    Destroying,
    #[oai(rename = "Error")]
    #[serde(rename = "Error")]
    Failed,
    Unknown,
}

/// A Kubernetes cluster.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Cluster")]
pub struct ClusterView {
    /// The id of the cluster.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its state, as the caption that the settings define.
    pub state: String,
    /// Its state, for programs.
    pub phase: ClusterPhaseView,
    /// The code of the problem, for programs; null if there is none.
    #[oai(nullable)]
    pub status_reason: Option<ReasonCode>,
    /// Why it is in this state, as text for people.
    pub status_message: String,
    /// When `phase` last changed.
    pub state_changed_at: DateTime<Utc>,
    /// When it was last observed; null if it has not been observed yet.
    pub observed_at: Option<DateTime<Utc>>,
    /// The Kubernetes version that it last reported.
    pub version: Option<String>,
    /// The progress in percent; null if it is not known.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "100")))]
    pub progress: Option<u8>,
    /// The id of its latest operation. See `GET /operations/{id}`.
    #[oai(nullable)]
    pub operation: Option<Uuid>,
    /// The number of nodes, as last reported by its provider.
    #[oai(nullable)]
    pub node_count: Option<u32>,
    /// Its network policy, as last reported by its provider.
    #[oai(nullable)]
    pub network_policy: Option<NetworkPolicy>,
    /// Why creating, changing or deleting the cluster failed; null unless this is why `phase` is `Error`.
    #[oai(nullable)]
    pub failure: Option<Reason>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// The parameters of the engine and other data of clients, with secrets as `*******`. Its `status_message` equals the field of that
    /// name.
    pub metadata: Free,
    /// The kubeconfig. Never in a list, and only if the policy allows the caller to read it. An empty object if there is none yet.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<Any<SecretJson>>,
    /// Its provisioner.
    pub provisioner: NestedProvisioner,
    /// Its owner.
    pub owner: NestedUser,
    /// Its namespace. Only in lists that include other organizations than the caller's.
    #[oai(rename = "_namespace", skip_serializing_if_is_none)]
    #[serde(rename = "_namespace", skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl From<Phase> for ClusterPhaseView {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Deploying => Self::Deploying,
            Phase::Ready => Self::Ready,
            Phase::Updating => Self::Updating,
            Phase::Destroying => Self::Destroying,
            Phase::Failed => Self::Failed,
            Phase::Unknown => Self::Unknown,
        }
    }
}

/// The progress of creating a cluster.
#[derive(Debug, Serialize, Object)]
pub struct ProgressView {
    /// 200, or 501 if the engine does not report progress.
    pub response: u16,
    /// The progress in percent.
    #[oai(validator(minimum(value = "0"), maximum(value = "100")))]
    pub progress: u8,
    /// The state of the cluster, as the caption that the settings define.
    pub result: String,
}

/// A new number of nodes.
#[derive(Debug, Object)]
pub struct Resize {
    /// The number of nodes, 1 to 10000, as a number or as text.
    pub node_count: Free,
}

/// The network policy of a cluster.
#[derive(Debug, Object, Serialize)]
pub struct NetworkPolicy {
    /// The provider of the network policy, for example `CALICO`.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub provider: String,
    /// Whether it is enabled.
    pub enabled: bool,
}

impl From<&operation::NetworkPolicy> for NetworkPolicy {
    fn from(it: &operation::NetworkPolicy) -> Self {
        Self { provider: it.provider.clone(), enabled: it.enabled }
    }
}

impl Body<ClusterCreate> {
    /// Parses the cluster to create.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn read(self) -> Result<NewCluster, Invalid> {
        let mut fields = self.fields;
        // Clients of 2018 send these; the server sets both.
        fields.ignore("state");
        fields.ignore("created_at");
        let name = fields.required_text("name");
        let given = fields.has("provisioner");
        let provisioner = fields.reference("provisioner", "Provisioner");
        let provisioner = fields.require("provisioner", provisioner, given);
        let owner = fields.reference("owner", "User");
        let metadata = fields.object("metadata");
        let kubeconfig = kubeconfig(&mut fields);
        fields.finish(name.zip(provisioner).map(|(name, provisioner)| NewCluster {
            name,
            provisioner,
            owner,
            metadata,
            kubeconfig,
        }))
    }
}

impl Body<ClusterUpdate> {
    /// Parses the changes; `shown` is the current object.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn read(self, shown: impl FnOnce() -> Option<Value>) -> Result<ClusterPatch, Invalid> {
        let mut fields = self.fields;
        read_only::CLUSTER.take(&mut fields, shown);
        let patch = ClusterPatch {
            name: fields.text("name"),
            owner: fields.reference("owner", "User"),
            metadata: fields.object("metadata"),
            kubeconfig: kubeconfig(&mut fields),
        };
        fields.finish(Some(patch))
    }
}

impl Body<Resize> {
    /// Parses the number of nodes.
    ///
    /// # Errors
    /// It is not a number from 1 to 10,000.
    pub fn read(self) -> Result<u32, Invalid> {
        let mut fields = self.fields;
        let given = fields.has("node_count");
        let count = fields.value("node_count").and_then(|value| {
            let count = match value.expose() {
                Value::Number(number) => number.as_u64(),
                Value::String(text) => text.trim().parse().ok(),
                _ => None,
            };
            let count = count.and_then(|count| u32::try_from(count).ok()).filter(|count| (1..=10_000).contains(count));
            if count.is_none() {
                fields.wrong("node_count", "must be a whole number from 1 to 10000");
            }
            count
        });
        let count = fields.require("node_count", count, given);
        fields.finish(count)
    }
}

impl Body<NetworkPolicy> {
    /// Parses the network policy.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn read(self) -> Result<operation::NetworkPolicy, Invalid> {
        let mut fields = self.fields;
        let provider: Option<String> = fields.required_text("provider");
        if provider.as_ref().is_some_and(|provider| provider.is_empty() || provider.len() > 64) {
            fields.wrong("provider", "must have 1 to 64 characters");
        }
        let given = fields.has("enabled");
        let enabled = fields.flag("enabled");
        let enabled = fields.require("enabled", enabled, given);
        let both = provider.zip(enabled);
        fields.finish(both.map(|(provider, enabled)| operation::NetworkPolicy { provider, enabled }))
    }
}

fn kubeconfig(fields: &mut Fields) -> Option<SecretValue> {
    let value = fields.value("kubeconfig")?;
    if !(value.expose().is_object() || value.expose().is_string()) {
        fields.wrong("kubeconfig", "must be an object or YAML text");
        return None;
    }
    Some(value)
}
