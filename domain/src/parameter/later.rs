//! Parameters of a deployed cluster: operations are validated as on creation, and changed parameters are detected.

use serde_json::Value;

use super::{Field, FieldKind, ParameterSchema};
use crate::{
    invalid::{Findings, Invalid},
    operation::NetworkPolicy,
    secret::{SecretMap, SecretValue},
};

/// The field with the number of nodes.
pub const NODE_COUNT: &str = "node_count";
/// The field with the provider of the network policy.
pub const NETWORK_POLICY: &str = "network_policy";

/// The value for no network policy, as in KQueen of 2018.
pub const NOBODY: &str = "PROVIDER_UNSPECIFIED";

impl NetworkPolicy {
    /// The policy for a value of the field.
    #[must_use]
    pub fn of_form(value: &str) -> Self {
        Self { provider: value.to_owned(), enabled: value != NOBODY }
    }

    /// Whether nothing enforces network policy.
    #[must_use]
    pub fn is_off(&self) -> bool {
        !self.enabled || self.provider == NOBODY
    }

    /// The value of the field for this policy.
    #[must_use]
    pub fn to_form(&self) -> &str {
        if self.enabled { &self.provider } else { NOBODY }
    }
}

impl ParameterSchema {
    /// Brings what a client sent under the names and into the form of the fields: aliases become names, and a network policy in the form of
    /// answers, `{provider, enabled}`, becomes the value of its field. `at` is the path of the object in the request.
    ///
    /// # Errors
    /// A field was sent under both of its names, with different values.
    pub fn normalize(&self, at: &str, parameters: &mut SecretMap) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        for field in &self.0 {
            let Some(alias) = &field.alias else { continue };
            let Some(value) = parameters.remove(alias) else { continue };
            match parameters.get(&field.name) {
                None => parameters.insert(field.name.clone(), value),
                Some(named) if named == value.expose() => {}
                Some(_) => findings.add(
                    format!("{at}.{alias}"),
                    format!("is an alias of {}, which has a different value; send only {}", field.name, field.name),
                ),
            }
        }
        self.read_network_policy(parameters);
        findings.finish(Some(()))
    }

    fn read_network_policy(&self, parameters: &mut SecretMap) {
        if self.field(NETWORK_POLICY).is_none() {
            return;
        }
        let Some(Value::Object(policy)) = parameters.get(NETWORK_POLICY) else { return };
        if let (2, Some(Value::String(provider)), Some(Value::Bool(enabled))) =
            (policy.len(), policy.get("provider"), policy.get("enabled"))
        {
            let policy = NetworkPolicy { provider: provider.clone(), enabled: *enabled };
            parameters.insert(NETWORK_POLICY, Value::from(policy.to_form()));
        }
    }

    /// The fields whose value differs between `before` and `after`, which is valid. Fields that are invalid in `before`, for example since
    /// another version wrote them, may be corrected and are not included.
    pub fn changed<'s>(&'s self, before: &'s SecretMap, after: &'s SecretMap) -> impl Iterator<Item = &'s Field> {
        let has_value = |value: &Value| !value.is_null() && value != "";
        self.0.iter().filter(move |field| {
            let was = field.check(before.get(&field.name).cloned().map(SecretValue::from));
            was.is_ok_and(|was| {
                was.as_ref().map(SecretValue::expose).filter(|value| has_value(value))
                    != after.get(&field.name).filter(|value| has_value(value))
            })
        })
    }

    /// Validates the number of nodes.
    ///
    /// # Errors
    /// The error of the field `node_count`.
    pub fn check_node_count(&self, requested: u32) -> Result<(), Invalid> {
        let Some(field) = self.field(NODE_COUNT) else { return Ok(()) };
        let checked = field.check(Some(Value::from(requested).into()));
        checked.map(drop).map_err(|message| Invalid::field(NODE_COUNT, message))
    }

    /// Validates the network policy and normalizes the spelling of the provider. A disabled policy may also have no provider.
    ///
    /// # Errors
    /// The allowed values of `provider`.
    pub fn check_network_policy(&self, requested: NetworkPolicy) -> Result<NetworkPolicy, Invalid> {
        let Some(FieldKind::Select(choices)) = self.field(NETWORK_POLICY).map(|field| &field.kind) else {
            return Ok(requested);
        };
        let NetworkPolicy { provider, enabled } = requested;
        let known: Vec<_> =
            choices.iter().map(|choice| choice.value.as_ref()).filter(|choice| !enabled || *choice != NOBODY).collect();
        match known.iter().find(|choice| choice.eq_ignore_ascii_case(&provider)) {
            Some(choice) => Ok(NetworkPolicy { provider: (*choice).to_owned(), enabled }),
            None => Err(Invalid::field("provider", format!("must be one of {}", known.join(", ")))),
        }
    }
}
