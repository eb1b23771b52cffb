//! Organizations in requests and responses.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use kqueen_domain::{
    access::{Action, Policy, Rule},
    catalog::Stored,
    id::OrganizationId,
    invalid::Invalid,
    organization::{Organization, Remaining},
    service::people::organizations::{NewOrganization, OrganizationPatch},
};
use poem_openapi::Object;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::api::{
    body::{Body, Fields},
    read_only,
};

/// An organization to create.
#[derive(Debug, Object)]
pub struct OrganizationCreate {
    /// Its name, in one line.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub name: String,
    /// Its unique, URL-safe slug. It cannot be changed.
    #[oai(validator(min_length = 1, max_length = 63, pattern = "^[a-z0-9][a-z0-9_-]*$"))]
    pub namespace: String,
    /// Rules it overrides, by action.
    pub policy: Option<PolicyView>,
}

/// Changes to an organization.
#[derive(Debug, Object)]
pub struct OrganizationUpdate {
    /// Its name, in one line.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub name: Option<String>,
    /// Overrides of rules by action; null returns to the default, and rules that are not named stay.
    pub policy: Option<PolicyUpdate>,
}

/// An organization, which is a tenant of the installation.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Organization")]
pub struct OrganizationView {
    /// The id of the organization.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its unique, URL-safe slug.
    pub namespace: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// The rules it overrides, by action. Omitted if the organization is nested in another object.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyView>,
}

impl OrganizationView {
    /// An organization with its policy.
    #[must_use]
    pub fn of(entry: &Stored<Organization>) -> Self {
        let overrides = entry.record.policy.overrides();
        Self { policy: Some(rule_names(overrides)), ..Self::nested(entry) }
    }

    /// An organization nested in another object.
    #[must_use]
    pub fn nested(entry: &Stored<Organization>) -> Self {
        let Organization { id, name, namespace, created_at, .. } = &entry.record;
        Self {
            id: id.uuid(),
            name: name.to_string(),
            namespace: namespace.to_string(),
            created_at: *created_at,
            policy: None,
        }
    }

    /// An organization of which only the id is known, possible for a moment while it is deleted with its objects.
    #[must_use]
    pub fn unknown(id: OrganizationId) -> Self {
        let nothing = String::new;
        Self { id: id.uuid(), name: nothing(), namespace: nothing(), created_at: DateTime::UNIX_EPOCH, policy: None }
    }
}

/// Whether an organization can be deleted.
#[derive(Debug, Serialize, Object)]
pub struct Deletable {
    /// Whether it is empty and can be deleted.
    pub deletable: bool,
    /// The objects that it still contains, up to 1,000.
    pub remaining: Vec<RemainingObject>,
}

/// An object that an organization still contains.
#[derive(Debug, Serialize, Object)]
pub struct RemainingObject {
    /// Its kind: `User`, `Provisioner` or `Cluster`.
    pub object: String,
    /// Its name.
    pub name: String,
    /// Its id.
    pub uuid: Uuid,
}

impl From<Vec<Remaining>> for Deletable {
    fn from(remaining: Vec<Remaining>) -> Self {
        let object = |it: Remaining| RemainingObject { object: it.object.to_owned(), name: it.name, uuid: it.id };
        Self { deletable: remaining.is_empty(), remaining: remaining.into_iter().map(object).collect() }
    }
}

/// Rules by action: ALL, IS_OWNER, IS_ADMIN, ADMIN_OR_OWNER or IS_SUPERADMIN.
pub type PolicyView = BTreeMap<String, String>;

/// The effective rules, by action.
#[must_use]
pub fn effective(policy: &Policy) -> PolicyView {
    rule_names(policy.effective())
}

fn rule_names(rules: impl Iterator<Item = (Action, Rule)>) -> PolicyView {
    rules.map(|(action, rule)| (action.as_str().to_owned(), rule.as_str().to_owned())).collect()
}

impl Body<OrganizationCreate> {
    /// Parses the organization to create.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn read(self) -> Result<NewOrganization, Invalid> {
        let mut fields = self.fields;
        fields.ignore("created_at");
        let name = fields.required_text("name");
        let namespace = fields.required_text("namespace");
        let policy = policy(&mut fields);
        fields.finish(name.zip(namespace).map(|(name, namespace)| NewOrganization { name, namespace, policy }))
    }
}

impl Body<OrganizationUpdate> {
    /// Parses the changes; `shown` is the current organization.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn read(self, shown: impl FnOnce() -> Option<Value>) -> Result<OrganizationPatch, Invalid> {
        let mut fields = self.fields;
        read_only::ORGANIZATION.take(&mut fields, shown);
        let patch = OrganizationPatch { name: fields.text("name"), policy: policy(&mut fields) };
        fields.finish(Some(patch))
    }
}

/// Overrides of rules by action; null restores the default. Nullable values are declared by [`crate::api::document()`].
pub type PolicyUpdate = HashMap<String, String>;

impl Body<PolicyUpdate> {
    /// Parses the overrides.
    ///
    /// # Errors
    /// A rule that is not a text.
    pub fn read(self) -> Result<Vec<(String, Option<String>)>, Invalid> {
        let mut fields = self.fields;
        let rules = fields.rest();
        let changes = overrides(rules.into_exposed(), |action, message| fields.wrong(action, message));
        fields.finish(Some(changes))
    }
}

/// The overrides in the field `policy`; empty if it is absent.
fn policy(fields: &mut Fields) -> Vec<(String, Option<String>)> {
    let rules = fields.object("policy").unwrap_or_default();
    overrides(rules.into_exposed(), |action, message| fields.wrong(&format!("policy.{action}"), message))
}

fn overrides(rules: Map<String, Value>, mut wrong: impl FnMut(&str, &str)) -> Vec<(String, Option<String>)> {
    let mut changes = Vec::new();
    for (action, rule) in rules {
        match rule {
            Value::Null => changes.push((action, None)),
            Value::String(rule) => changes.push((action, Some(rule))),
            _ => wrong(&action, "must be a rule or null"),
        }
    }
    changes
}
