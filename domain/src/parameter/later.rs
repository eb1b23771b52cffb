//! Changes of a cluster that is made already: what verbs ask for is checked as it is when a cluster is created, and it is found out
//! what differs from that time.

use serde_json::Value;

use super::{Field, FieldKind, ParameterSchema};
use crate::{
    invalid::Invalid,
    operation::NetworkPolicy,
    secret::{SecretMap, SecretValue},
};

/// The field that says how many nodes a cluster has.
pub const NODE_COUNT: &str = "node_count";
/// The field that says who enforces network policy.
pub const NETWORK_POLICY: &str = "network_policy";

/// How forms say, as that of 2018 did, that nobody enforces network policy.
pub const NOBODY: &str = "PROVIDER_UNSPECIFIED";

impl NetworkPolicy {
    /// What a form's value says.
    #[must_use]
    pub fn of_form(value: &str) -> Self {
        Self { provider: value.to_owned(), enabled: value != NOBODY }
    }

    /// The value by which a form says the same.
    #[must_use]
    pub fn to_form(&self) -> &str {
        if self.enabled { &self.provider } else { NOBODY }
    }
}

impl ParameterSchema {
    /// Puts a network policy that is written as it is answered, `{provider, enabled}`, as the form takes it.
    pub fn read_network_policy(&self, parameters: &mut SecretMap) {
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

    /// The fields whose value in `after`, which is valid, is not that in `before`. What `before` has that is not valid, as when it was
    /// written by another version, may be put right and is not among them.
    pub fn changed<'s>(&'s self, before: &'s SecretMap, after: &'s SecretMap) -> impl Iterator<Item = &'s Field> {
        let something = |value: &Value| !value.is_null() && value != "";
        self.0.iter().filter(move |field| {
            let was = field.check(before.get(field.name).cloned().map(SecretValue::from));
            was.is_ok_and(|was| {
                was.as_ref().map(SecretValue::expose).filter(|value| something(value))
                    != after.get(field.name).filter(|value| something(value))
            })
        })
    }

    /// Checks how many nodes a cluster is to have.
    ///
    /// # Errors
    /// What the form says against it, of `node_count`.
    pub fn check_node_count(&self, wanted: u32) -> Result<(), Invalid> {
        let Some(field) = self.field(NODE_COUNT) else { return Ok(()) };
        let checked = field.check(Some(Value::from(wanted).into()));
        checked.map(drop).map_err(|message| Invalid::field(NODE_COUNT, message))
    }

    /// Checks who is to enforce network policy, and spells the name as the form does. Whoever turns it off may also name nobody.
    ///
    /// # Errors
    /// Who may be named, of `provider`.
    pub fn check_network_policy(&self, wanted: NetworkPolicy) -> Result<NetworkPolicy, Invalid> {
        let Some(FieldKind::Select(choices)) = self.field(NETWORK_POLICY).map(|field| field.kind) else {
            return Ok(wanted);
        };
        let NetworkPolicy { provider, enabled } = wanted;
        let known: Vec<_> =
            choices.iter().map(|(choice, _)| *choice).filter(|choice| !enabled || *choice != NOBODY).collect();
        match known.iter().find(|choice| choice.eq_ignore_ascii_case(&provider)) {
            Some(choice) => Ok(NetworkPolicy { provider: (*choice).to_owned(), enabled }),
            None => Err(Invalid::field("provider", format!("must be one of {}", known.join(", ")))),
        }
    }
}
