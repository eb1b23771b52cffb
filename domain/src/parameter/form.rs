//! The form for clusters of one provisioner: the declared fields, with the choices that the provider offers its credentials.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};

use super::{Choice, DefaultValue, Field, FieldKind, FieldText, ParameterSchema};
use crate::reason::Reason;

/// The choices that a provider offers for one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The choices, the most suitable first.
    pub choices: Arc<[Choice]>,
    /// The choice to start with.
    pub default: Option<FieldText>,
    /// When the provider was asked.
    pub at: DateTime<Utc>,
}

/// What a provider offers, by field, or why it could not be read.
pub type Offers = BTreeMap<&'static str, Result<Offer, Reason>>;

/// Where the choices of a field come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChoiceSource {
    /// The field is as declared; no provider is asked.
    Declared,
    /// The provider offered the choices at this time.
    Offered(DateTime<Utc>),
    /// The offer depends on fields that have no value yet.
    Undetermined,
    /// The offer could not be read. The field takes any text.
    Unavailable(Reason),
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormField {
    /// The field, with the offered choices.
    pub field: Field,
    /// Where its choices come from.
    pub source: ChoiceSource,
}

impl ParameterSchema {
    /// The form: the fields in their order, with the choices that are offered. `offers` is an error if none could be read.
    #[must_use]
    pub fn form(&self, offers: &Result<Offers, Reason>) -> Vec<FormField> {
        let mut fields: Vec<&Field> = self.0.iter().collect();
        fields.sort_by_key(|field| field.order.unwrap_or(u32::MAX));
        fields.into_iter().map(|field| field.in_form(offers)).collect()
    }
}

impl Field {
    fn in_form(&self, offers: &Result<Offers, Reason>) -> FormField {
        let field = self.clone();
        if !field.offered {
            return FormField { field, source: ChoiceSource::Declared };
        }
        match offers.as_ref().map(|offers| offers.get(field.name.as_ref())) {
            Ok(Some(Ok(offer))) => FormField { source: ChoiceSource::Offered(offer.at), field: field.with(offer) },
            Ok(None) => FormField { field, source: ChoiceSource::Undetermined },
            Ok(Some(Err(reason))) | Err(reason) => {
                FormField { field, source: ChoiceSource::Unavailable(reason.clone()) }
            }
        }
    }

    fn with(self, offer: &Offer) -> Self {
        let is_offered = |value: &str| offer.choices.iter().any(|choice| choice.value == value);
        // A declared default that is not offered here would only be rejected.
        let declared = self.default.clone().filter(|default| match default {
            DefaultValue::Text(text) => is_offered(text),
            DefaultValue::Null | DefaultValue::Number(_) | DefaultValue::Flag(_) => true,
        });
        let default = declared.or_else(|| offer.default.clone().map(DefaultValue::Text));
        Self { kind: FieldKind::Select(offer.choices.to_vec()), default, ..self }
    }
}
