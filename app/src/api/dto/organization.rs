//! Organizations in requests and answers.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use kqueen_domain::{
    access::Policy,
    invalid::Invalid,
    name::{Namespace, OrganizationName},
    organization::Remaining,
};
use poem_openapi::Object;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::api::body::Body;

/// An organization to be created.
#[derive(Debug, Object)]
pub struct OrganizationCreate {
    /// What it is called: one line.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub name: String,
    /// Its unique, URL-safe slug; it never changes.
    #[oai(validator(min_length = 1, max_length = 63, pattern = "^[a-z0-9][a-z0-9_-]*$"))]
    pub namespace: String,
}

/// Changes to an organization.
#[derive(Debug, Object)]
pub struct OrganizationUpdate {
    /// What it is called: one line.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub name: Option<String>,
}

/// An organization: a tenant.
#[derive(Debug, Object)]
#[oai(rename = "Organization")]
pub struct OrganizationView {
    /// Identity.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// Its unique, URL-safe slug.
    pub namespace: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

/// Whether an organization can be deleted.
#[derive(Debug, Serialize, Object)]
pub struct Deletable {
    /// Whether nothing is left in it.
    pub deletable: bool,
    /// What is left in it; the first thousand.
    pub remaining: Vec<RemainingObject>,
}

/// Something left in an organization.
#[derive(Debug, Serialize, Object)]
pub struct RemainingObject {
    /// Its kind: User, Provisioner or Cluster.
    pub object: String,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uuid: Uuid,
}

impl From<Vec<Remaining>> for Deletable {
    fn from(remaining: Vec<Remaining>) -> Self {
        let object = |it: Remaining| RemainingObject { object: it.object.to_owned(), name: it.name, uuid: it.id };
        Self { deletable: remaining.is_empty(), remaining: remaining.into_iter().map(object).collect() }
    }
}

/// Rules by action: ALL, IS_OWNER, IS_ADMIN, ADMIN_OR_OWNER or IS_SUPERADMIN.
pub type PolicyView = HashMap<String, String>;

/// The rules in force, by action.
#[must_use]
pub fn effective(policy: &Policy) -> BTreeMap<&'static str, &'static str> {
    policy.effective().map(|(action, rule)| (action.as_str(), rule.as_str())).collect()
}

impl Body<OrganizationCreate> {
    /// Name and namespace.
    ///
    /// # Errors
    /// Everything wrong with the fields.
    pub fn read(self) -> Result<(OrganizationName, Namespace), Invalid> {
        let mut fields = self.fields;
        fields.ignore("created_at");
        let name = fields.required_text("name");
        let namespace = fields.required_text("namespace");
        fields.finish(name.zip(namespace))
    }
}

impl Body<OrganizationUpdate> {
    /// The new name.
    ///
    /// # Errors
    /// Everything wrong with the fields.
    pub fn read(self) -> Result<Option<OrganizationName>, Invalid> {
        let mut fields = self.fields;
        let name = fields.text("name");
        fields.finish(Some(name))
    }
}

/// Overrides of rules by action; null returns to the default. Nullable values are declared by [`crate::api::document`].
pub type PolicyUpdate = HashMap<String, String>;

impl Body<PolicyUpdate> {
    /// Action and rule, one by one.
    ///
    /// # Errors
    /// A rule that is not a text.
    pub fn read(self) -> Result<Vec<(String, Option<String>)>, Invalid> {
        let mut fields = self.fields;
        let mut changes = Vec::new();
        for (action, rule) in fields.rest() {
            match rule {
                Value::Null => changes.push((action, None)),
                Value::String(rule) => changes.push((action, Some(rule))),
                _ => fields.wrong(&action, "must be a rule or null"),
            }
        }
        fields.finish(Some(changes))
    }
}
