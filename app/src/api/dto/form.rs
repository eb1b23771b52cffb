//! The form for clusters of a provisioner.

use chrono::{DateTime, Utc};
use kqueen_domain::parameter::{ChoiceSource, FieldKind, FormField};
use poem_openapi::{Enum, Object, types::Any};
use serde::Serialize;
use serde_json::{Map, Value};

use super::operation::Reason;

/// The form for clusters of a provisioner.
#[derive(Debug, Serialize, Object)]
pub struct ProvisionerForm {
    /// The fields, in the order in which they are shown.
    pub fields: Vec<FormFieldView>,
    /// When the oldest of the offers was read from the provider; null if the provider was not asked or did not answer.
    #[oai(nullable)]
    pub offered_at: Option<DateTime<Utc>>,
}

/// A field of a form. Its value is sent as `metadata.<name>` of the cluster.
#[derive(Debug, Serialize, Object)]
pub struct FormFieldView {
    /// The name of the field.
    pub name: String,
    /// The kind of the field: `text`, `password`, `text_area`, `integer`, `select`, `checkbox`, `json_file`, `yaml_file` or `parameters`.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: String,
    /// The label for people.
    pub label: String,
    /// A help text; null if there is none.
    #[oai(nullable)]
    pub help_message: Option<String>,
    /// An example to show in the empty field; null if there is none.
    #[oai(nullable)]
    pub placeholder: Option<String>,
    /// The value to start with; null if there is none.
    pub default: Any<Value>,
    /// The values of a field of the type `select`, the most suitable first; otherwise empty.
    pub choices: Vec<FormChoice>,
    /// The rules for the value, by name, such as `required`, `min` and `max`.
    pub validators: Any<Map<String, Value>>,
    /// Whether the value is secret: masked in responses, and not accepted as a query parameter.
    pub secret: bool,
    /// The fields whose values decide about the choices. When one of them changes, the form has to be read again.
    pub depends_on: Vec<String>,
    /// Where the choices come from.
    pub source: FormChoiceSource,
    /// When the provider offered the choices; null if it did not.
    #[oai(nullable)]
    pub offered_at: Option<DateTime<Utc>>,
    /// Why the offer could not be read; null unless `source` is `unavailable`.
    #[oai(nullable)]
    pub failure: Option<Reason>,
}

/// A value of a field, with its label.
#[derive(Debug, Serialize, Object)]
pub struct FormChoice {
    /// The value.
    pub value: String,
    /// What people read.
    pub label: String,
}

/// Where the choices of a field come from.
///
/// - `declared`: The engine declares the field; the provider is not asked.
/// - `offered`: The provider offers the choices to the credentials of the provisioner.
/// - `undetermined`: The offer depends on fields that have no value yet. The field takes any text.
/// - `unavailable`: The offer could not be read. The field takes any text.
#[derive(Debug, Clone, Copy, Serialize, Enum)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the description of the type lists the values")]
pub enum FormChoiceSource {
    Declared,
    Offered,
    Undetermined,
    Unavailable,
}

impl ProvisionerForm {
    /// The form with these fields.
    #[must_use]
    pub fn of(fields: &[FormField]) -> Self {
        let fields: Vec<_> = fields.iter().map(FormFieldView::from).collect();
        Self { offered_at: fields.iter().filter_map(|field| field.offered_at).min(), fields }
    }
}

impl From<&FormField> for FormFieldView {
    fn from(it: &FormField) -> Self {
        let field = &it.field;
        let (source, offered_at, failure) = match &it.source {
            ChoiceSource::Declared => (FormChoiceSource::Declared, None, None),
            ChoiceSource::Offered(at) => (FormChoiceSource::Offered, Some(*at), None),
            ChoiceSource::Undetermined => (FormChoiceSource::Undetermined, None, None),
            ChoiceSource::Unavailable(reason) => (FormChoiceSource::Unavailable, None, Some(Reason::from(reason))),
        };
        let choices = match &field.kind {
            FieldKind::Select(choices) => choices.as_slice(),
            _ => &[],
        };
        Self {
            name: field.name.to_string(),
            kind: field.kind.as_str().to_owned(),
            label: field.label.to_string(),
            help_message: field.help.as_deref().map(str::to_owned),
            placeholder: field.placeholder.as_deref().map(str::to_owned),
            default: Any(field.default.as_ref().map(Value::from).unwrap_or_default()),
            choices: choices
                .iter()
                .map(|choice| FormChoice { value: choice.value.to_string(), label: choice.label.to_string() })
                .collect(),
            validators: Any(field.validators()),
            secret: field.secret,
            depends_on: field.depends_on.iter().map(ToString::to_string).collect(),
            source,
            offered_at,
            failure,
        }
    }
}
