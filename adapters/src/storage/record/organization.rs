//! The stored form of an organization.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use kqueen_domain::{
    access::{Action, Policy, Rule},
    id::OrganizationId,
    name::{Namespace, OrganizationName},
    organization::Organization,
};
use serde::{Deserialize, Serialize};

use super::Record;

#[derive(Serialize, Deserialize)]
pub(crate) struct Form {
    id: OrganizationId,
    name: OrganizationName,
    namespace: Namespace,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    policy: BTreeMap<String, String>,
    created_at: DateTime<Utc>,
}

impl From<&Organization> for Form {
    fn from(organization: &Organization) -> Self {
        let rules = organization.policy.overrides();
        Self {
            id: organization.id,
            name: organization.name.clone(),
            namespace: organization.namespace.clone(),
            policy: rules.map(|(action, rule)| (action.as_str().to_owned(), rule.as_str().to_owned())).collect(),
            created_at: organization.created_at,
        }
    }
}

impl Record for Organization {
    type Form = Form;
    const KIND: &'static str = "organization";
    const FORMAT: u32 = 1;

    fn restored(form: Form) -> Option<Self> {
        Some(Self {
            id: form.id,
            name: form.name,
            namespace: form.namespace,
            policy: policy(&form.policy)?,
            created_at: form.created_at,
        })
    }
}

/// An action that does not exist any more is left out; an unknown rule is an error, never guessed.
fn policy(stored: &BTreeMap<String, String>) -> Option<Policy> {
    let known = stored.iter().filter_map(|(action, rule)| Some((action.parse::<Action>().ok()?, rule)));
    known.map(|(action, rule)| Some((action, rule.parse::<Rule>().ok()?))).collect()
}
