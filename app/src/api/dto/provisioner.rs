//! Provisioners and engines in requests and responses.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::ProvisionerId,
    invalid::Invalid,
    port::engine::{Capabilities, EngineDescriptor},
    provisioner::ProvisionerPhase,
    service::provisioners::{NewProvisioner, ProvisionerPatch},
};
use poem_openapi::{
    Enum, Object,
    types::{Any, MaybeUndefined},
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Free, FreeText, reason_code::ReasonCode, user::NestedUser};
use crate::api::{body::Body, read_only};

/// A provisioner to create.
#[derive(Object)]
pub struct ProvisionerCreate {
    /// Its name, in one line.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub name: String,
    /// The name of its engine, as listed by `GET /provisioners/engines`.
    pub engine: String,
    /// Its owner, `User:<uuid>`. The caller by default.
    #[oai(validator(pattern = "^User:[0-9a-fA-F-]{36}$"))]
    pub owner: Option<String>,
    /// The parameters of the engine. Secret values are stored encrypted and returned as `*******`.
    pub parameters: Option<Free>,
}

/// Changes to a provisioner.
#[derive(Object)]
pub struct ProvisionerUpdate {
    /// Its name, in one line.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub name: Option<String>,
    /// Its owner, `User:<uuid>`.
    #[oai(validator(pattern = "^User:[0-9a-fA-F-]{36}$"))]
    pub owner: Option<String>,
    /// The parameters of the engine, merged by key: null removes a key, and `*******` keeps the stored secret.
    pub parameters: Option<Free>,
}

/// The state of a provisioner, for programs.
///
/// - `OK`: The provider accepts the credentials, or there are none to check.
/// - `Error`: The provider rejects the credentials, or the engine cannot be used.
/// - `Not Reachable`: The provider does not respond.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename = "ProvisionerPhase")]
#[expect(missing_docs, reason = "the values are explained above")]
pub enum ProvisionerPhaseView {
    #[oai(rename = "OK")]
    #[serde(rename = "OK")]
    Ready,
    #[oai(rename = "Error")]
    #[serde(rename = "Error")]
    Failed,
    #[oai(rename = "Not Reachable")]
    #[serde(rename = "Not Reachable")]
    NotReachable,
}

/// A provisioner: an engine with credentials and settings.
#[derive(Debug, Serialize, Object)]
pub struct ProvisionerView {
    /// The id of the provisioner.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The name of its engine.
    pub engine: String,
    /// The display name of its engine.
    pub verbose_name: String,
    /// The parameters of the engine, with secrets as `*******`.
    pub parameters: FreeText,
    /// Its state, as the caption that the settings define.
    pub state: String,
    /// Its state, for programs.
    pub phase: ProvisionerPhaseView,
    /// The code of the problem, for programs; null if there is none.
    #[oai(nullable)]
    pub status_reason: Option<ReasonCode>,
    /// The reason for its state, as text for people.
    pub status_message: String,
    /// When it was last checked.
    pub observed_at: DateTime<Utc>,
    /// When `phase` last changed.
    pub state_changed_at: DateTime<Utc>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Its owner.
    pub owner: NestedUser,
    /// Its namespace. Only in lists that include other organizations than the caller's.
    #[oai(rename = "_namespace", skip_serializing_if_is_none)]
    #[serde(rename = "_namespace", skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// The provisioner of a cluster. Callers who are not allowed to see the provisioner get only `id` and `name`.
#[derive(Debug, Default, Serialize, Object)]
#[oai(rename = "NestedProvisioner", skip_serializing_if_is_none)]
pub struct NestedProvisioner {
    /// The id of the provisioner.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The name of its engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The display name of its engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbose_name: Option<String>,
    /// The parameters of the engine, with secrets as `*******`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<FreeText>,
    /// Its state, as the caption that the settings define.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Its state, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<ProvisionerPhaseView>,
    /// The code of the problem, for programs; null if there is none.
    #[oai(nullable)]
    #[serde(skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub status_reason: MaybeUndefined<ReasonCode>,
    /// The reason for its state, as text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// When it was last checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<DateTime<Utc>>,
    /// When `phase` last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_changed_at: Option<DateTime<Utc>>,
    /// When it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// Its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<NestedUser>,
}

impl NestedProvisioner {
    /// A provisioner with only id and name.
    #[must_use]
    pub fn named(id: ProvisionerId, name: impl Into<String>) -> Self {
        Self { id: id.uuid(), name: name.into(), ..Self::default() }
    }
}

impl From<ProvisionerView> for NestedProvisioner {
    fn from(view: ProvisionerView) -> Self {
        Self {
            id: view.id,
            name: view.name,
            engine: Some(view.engine),
            verbose_name: Some(view.verbose_name),
            parameters: Some(view.parameters),
            state: Some(view.state),
            phase: Some(view.phase),
            status_reason: MaybeUndefined::from_opt_null(view.status_reason),
            status_message: Some(view.status_message),
            observed_at: Some(view.observed_at),
            state_changed_at: Some(view.state_changed_at),
            created_at: Some(view.created_at),
            owner: Some(view.owner),
        }
    }
}

impl From<ProvisionerPhase> for ProvisionerPhaseView {
    fn from(phase: ProvisionerPhase) -> Self {
        match phase {
            ProvisionerPhase::Ready => Self::Ready,
            ProvisionerPhase::Failed => Self::Failed,
            ProvisionerPhase::NotReachable => Self::NotReachable,
        }
    }
}

/// An engine, with its parameters and capabilities.
#[derive(Debug, Serialize, Object)]
pub struct EngineView {
    /// The name of the engine, for `engine` of a provisioner.
    pub name: String,
    /// The display name.
    pub verbose_name: String,
    /// Its parameters.
    pub parameters: EngineParameters,
    /// Its capabilities.
    pub capabilities: EngineCapabilities,
}

/// The parameters of an engine: fields by name, each with type, label, validators and help text, to build forms from.
#[derive(Debug, Serialize, Object)]
pub struct EngineParameters {
    /// The parameters of a provisioner.
    pub provisioner: Free,
    /// The parameters of a cluster.
    pub cluster: Free,
}

/// The capabilities of an engine.
#[derive(Debug, Serialize, Object)]
pub struct EngineCapabilities {
    /// Whether it creates clusters. Otherwise it attaches clusters that were created elsewhere.
    pub deploy: bool,
    /// Whether it can change the number of nodes.
    pub resize: bool,
    /// Whether it can set the network policy.
    pub set_network_policy: bool,
    /// Whether it reports progress.
    pub progress: bool,
    /// Whether it can list everything it has created at the provider.
    pub inventory: bool,
    /// Whether its clusters are accessed with short-lived tokens that it issues. Their kubeconfigs contain no credentials.
    pub issues_tokens: bool,
}

impl From<&EngineDescriptor> for EngineView {
    fn from(engine: &EngineDescriptor) -> Self {
        let Capabilities { deploy, resize, set_network_policy, progress, inventory, issues_tokens } =
            engine.capabilities;
        Self {
            name: engine.name.to_owned(),
            verbose_name: engine.verbose_name.to_owned(),
            parameters: EngineParameters {
                provisioner: Any(engine.provisioner.to_json()),
                cluster: Any(engine.cluster.to_json()),
            },
            capabilities: EngineCapabilities { deploy, resize, set_network_policy, progress, inventory, issues_tokens },
        }
    }
}

impl Body<ProvisionerCreate> {
    /// Parses the provisioner to create.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn read(self) -> Result<NewProvisioner, Invalid> {
        let mut fields = self.fields;
        // Clients of 2018 send these; the server sets both.
        fields.ignore("state");
        fields.ignore("created_at");
        let name = fields.required_text("name");
        let engine = fields.required_text("engine");
        let owner = fields.reference("owner", "User");
        let parameters = fields.object("parameters").unwrap_or_default();
        fields.finish(name.zip(engine).map(|(name, engine)| NewProvisioner { name, engine, owner, parameters }))
    }
}

impl Body<ProvisionerUpdate> {
    /// Parses the changes; `shown` is the current object.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn read(self, shown: impl FnOnce() -> Option<Value>) -> Result<ProvisionerPatch, Invalid> {
        let mut fields = self.fields;
        read_only::PROVISIONER.take(&mut fields, shown);
        let patch = ProvisionerPatch {
            name: fields.text("name"),
            owner: fields.reference("owner", "User"),
            parameters: fields.object("parameters"),
        };
        fields.finish(Some(patch))
    }
}
