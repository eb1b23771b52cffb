//! What an engine asks for, as data: the API answers it, the console draws forms from it, and input is checked against it.

mod field;
mod file;
mod later;
mod validate;

pub use field::{DefaultValue, Field, FieldKind, Parity};
pub use later::{NETWORK_POLICY, NOBODY, NODE_COUNT};
use serde_json::Value;

use crate::{
    document,
    invalid::{Findings, Invalid},
    secret::SecretMap,
};

/// The fields of one form: those of a provisioner or those of a cluster.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParameterSchema(pub Vec<Field>);

impl ParameterSchema {
    /// The form with these fields.
    #[must_use]
    pub fn new(fields: &[Field]) -> Self {
        Self(fields.to_vec())
    }

    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.0.iter().find(|field| field.name == name)
    }

    /// This form without one of its fields, for a value that is kept elsewhere.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|field| field.name != name);
        self
    }

    /// Checks a whole object and brings it into the form engines read: defaults filled in, numbers as numbers, files as objects.
    /// What no field declares is kept as it is. `at` is where the object stands in the request: `parameters` or `metadata`.
    ///
    /// # Errors
    /// Everything that is wrong, by field. No message quotes a value.
    pub fn validate(&self, at: &str, given: &SecretMap) -> Result<SecretMap, Invalid> {
        document::check_limits(at, given)?;
        let mut found = Findings::default();
        let mut valid = given.clone();
        for field in &self.0 {
            let checked = field.check(valid.remove(field.name));
            if let Some(Some(value)) = found.take(&format!("{at}.{}", field.name), checked) {
                valid.insert(field.name, value);
            }
        }
        let valid = found.finish(Some(valid))?;
        // Once more, as YAML aliases may have made it longer.
        document::check_limits(at, &valid)?;
        Ok(valid)
    }

    /// Whether the value at this path, or what it is part of, is secret by declaration.
    #[must_use]
    pub fn is_secret(&self, path: &[&str]) -> bool {
        path.first().and_then(|name| self.field(name)).is_some_and(|field| field.secret)
    }

    /// The form as `GET /provisioners/engines` shows it: an object with one entry by field name.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.0.iter().map(|field| (field.name.to_owned(), field.to_json())).collect()
    }
}

#[cfg(test)]
mod tests;
