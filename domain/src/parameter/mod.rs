//! The parameters of an engine, as a schema: the API returns it, the console renders forms from it, and input is validated with it.

mod field;
mod file;
mod form;
mod later;
mod validate;

pub use field::{Choice, DefaultValue, Field, FieldKind, FieldText, Parity};
pub use form::{ChoiceSource, FormField, Offer, Offers};
pub use later::{NETWORK_POLICY, NOBODY, NODE_COUNT};
use serde_json::Value;

use crate::{
    document,
    invalid::{Findings, Invalid},
    secret::SecretMap,
};

/// The fields of a provisioner or of a cluster.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParameterSchema(pub Vec<Field>);

impl ParameterSchema {
    /// A schema with these fields.
    #[must_use]
    pub const fn new(fields: Vec<Field>) -> Self {
        Self(fields)
    }

    /// The field with that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.0.iter().find(|field| field.name == name)
    }

    /// This schema without one of its fields, for a value that is stored separately.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|field| field.name != name);
        self
    }

    /// Validates an object and normalizes it for engines: defaults filled in, numbers as numbers, files as objects. Undeclared keys are
    /// kept unchanged. `at` is the path of the object in the request: `parameters` or `metadata`.
    ///
    /// # Errors
    /// All errors, by field. Messages never quote a value.
    pub fn validate(&self, at: &str, input: &SecretMap) -> Result<SecretMap, Invalid> {
        document::check_limits(at, input)?;
        let mut findings = Findings::default();
        let mut valid = input.clone();
        for field in &self.0 {
            let checked = field.check(valid.remove(&field.name));
            if let Some(Some(value)) = findings.take(&format!("{at}.{}", field.name), checked) {
                valid.insert(field.name.clone(), value);
            }
        }
        let valid = findings.finish(Some(valid))?;
        // Again, since YAML aliases may have made it larger.
        document::check_limits(at, &valid)?;
        Ok(valid)
    }

    /// Whether the value at this path, or an object that contains it, is declared secret.
    #[must_use]
    pub fn is_secret(&self, path: &[&str]) -> bool {
        path.first().and_then(|name| self.field(name)).is_some_and(|field| field.secret)
    }

    /// The schema as in `GET /provisioners/engines`: an object with the fields by name.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.0.iter().map(|field| (field.name.to_string(), field.to_json())).collect()
    }
}

#[cfg(test)]
mod tests;
