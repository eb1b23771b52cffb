//! Published schemas, as JSON Schema 2020-12 with everything in `$defs`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use jsonschema::Validator;
use serde_json::{Value, json};

/// Most violations that are told of one body.
const MOST: usize = 20;

/// A document of schemas, each compiled when it is first needed.
pub struct Schemas {
    definitions: Value,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Schemas {
    /// Reads a document.
    ///
    /// # Panics
    /// It has no `$defs`.
    #[must_use]
    pub fn new(mut document: Value) -> Self {
        let definitions = document["$defs"].take();
        assert!(definitions.is_object(), "a document of schemas has $defs");
        Self { definitions, compiled: Mutex::default() }
    }

    /// Makes JSON Schema of the schemas of a Google discovery document, as strict as the service: what is not named is wrong.
    #[must_use]
    pub fn from_discovery(document: &Value) -> Self {
        let schemas = document["schemas"].as_object().cloned().unwrap_or_default();
        let definitions = schemas.iter().map(|(name, schema)| (name.clone(), from_discovery(schema))).collect();
        Self { definitions, compiled: Mutex::default() }
    }

    /// The schema of that name.
    #[must_use]
    pub fn definition(&self, name: &str) -> Option<&Value> {
        self.definitions.get(name)
    }

    /// Everything in which `value` is not what the schema `name` says, with where it is.
    ///
    /// # Panics
    /// There is no such schema.
    #[must_use]
    pub fn violations(&self, name: &str, value: &Value) -> Vec<String> {
        let validator = self.validator(name);
        let told = validator.iter_errors(value).take(MOST);
        told.map(|error| format!("{name}{}: {error}", error.instance_path())).collect()
    }

    fn validator(&self, name: &str) -> Arc<Validator> {
        let mut compiled = self.compiled.lock().unwrap();
        let validator = compiled.entry(name.to_owned()).or_insert_with(|| {
            assert!(self.definitions.get(name).is_some(), "there is no schema {name}");
            let schema = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$ref": format!("#/$defs/{name}"), "$defs": self.definitions,
            });
            let made = jsonschema::draft202012::new(&schema);
            Arc::new(made.unwrap_or_else(|error| panic!("the schema {name} cannot be read: {error}")))
        });
        Arc::clone(validator)
    }
}

/// Discovery documents have a dialect of their own: names as references, 64-bit numbers as strings, and closed objects.
fn from_discovery(schema: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        return json!({"$ref": format!("#/$defs/{name}")});
    }
    let mut made = json!({});
    if let Some(kind) = schema["type"].as_str().filter(|kind| *kind != "any") {
        made["type"] = kind.into();
    }
    for copied in ["enum", "pattern"] {
        if !schema[copied].is_null() {
            made[copied] = schema[copied].clone();
        }
    }
    if !schema["items"].is_null() {
        made["items"] = from_discovery(&schema["items"]);
    }
    if let Some(properties) = schema["properties"].as_object() {
        let properties = properties.iter().map(|(name, schema)| (name.clone(), from_discovery(schema)));
        made["properties"] = Value::Object(properties.collect());
        made["additionalProperties"] = false.into();
    }
    if !schema["additionalProperties"].is_null() {
        made["additionalProperties"] = from_discovery(&schema["additionalProperties"]);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discovery_document_becomes_a_strict_schema() {
        let document = json!({"schemas": {
            "List": {"id": "List", "type": "object", "properties": {
                "items": {"type": "array", "items": {"$ref": "Item"}}, "etag": {"type": "string"},
            }},
            "Item": {"type": "object", "properties": {
                "size": {"type": "string", "format": "int64"}, "kind": {"type": "string", "enum": ["A", "B"]},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}}, "anything": {"type": "any"},
            }},
        }});
        let schemas = Schemas::from_discovery(&document);
        let good = json!({"items": [{"size": "12", "kind": "A", "labels": {"a": "b"}, "anything": 1}]});
        assert_eq!(schemas.violations("List", &good), Vec::<String>::new());
        for bad in [
            json!({"item": []}),
            json!({"items": [{"size": 12}]}),
            json!({"items": [{"kind": "C"}]}),
            json!({"items": [{"labels": {"a": 1}}]}),
        ] {
            assert_eq!(schemas.violations("List", &bad).len(), 1, "{bad}");
        }
    }
}
