//! Reason codes in responses and in the document, both generated from the domain's list.

use std::{borrow::Cow, sync::LazyLock};

use kqueen_domain::reason;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde::Serialize;
use serde_json::Value;

/// The kind of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ReasonCode(pub reason::ReasonCode);

static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    let introduction = "The kind of a problem, for programs. More codes may be added.\n".to_owned();
    reason::ReasonCode::ALL
        .iter()
        .fold(introduction, |text, code| format!("{text}\n- `{}`: {}", code.as_str(), code.description()))
});

impl Type for ReasonCode {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "ReasonCode".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(Self::name().into_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(Self::name().into_owned(), |_| MetaSchema {
            description: Some(&DESCRIPTION),
            enum_items: reason::ReasonCode::ALL.iter().map(|code| code.as_str().into()).collect(),
            ..MetaSchema::new("string")
        });
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ToJSON for ReasonCode {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.as_str().into())
    }
}

impl ParseFromJSON for ReasonCode {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let value = value.unwrap_or_default();
        match value.as_str().and_then(reason::ReasonCode::of) {
            Some(code) => Ok(Self(code)),
            None => Err(ParseError::expected_type(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_describes_every_code() {
        let document: Value = serde_json::from_str(&crate::api::document::document()).unwrap();
        let schema = &document["components"]["schemas"]["ReasonCode"];
        let codes: Vec<&str> = reason::ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(schema["enum"], serde_json::json!(codes));
        let description = schema["description"].as_str().unwrap();
        for code in reason::ReasonCode::ALL {
            assert!(description.contains(&format!("\n- `{code}`: {}", code.description())), "{code}");
        }
        let failure = &document["components"]["schemas"]["Reason"];
        assert_eq!(failure["properties"]["code"]["allOf"][0]["$ref"], "#/components/schemas/ReasonCode", "{failure:#}");
        assert!(failure["required"].as_array().unwrap().contains(&"code".into()), "{failure:#}");
    }

    #[test]
    fn codes_are_written_and_read_as_text() {
        let code = ReasonCode(reason::ReasonCode::QuotaExceeded);
        assert_eq!((code.to_json(), serde_json::to_value(code).ok()), (Some("QuotaExceeded".into()), code.to_json()));
        assert_eq!(ReasonCode::parse_from_json(code.to_json()).ok(), Some(code));
        assert!(ReasonCode::parse_from_json(Some("quota_exceeded".into())).is_err());
    }
}
