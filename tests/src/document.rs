//! The checked-in OpenAPI document, and checks that the service's responses conform to it.
//!
//! Stricter than the document: an object may have only the members that the document names, so that a member added to a response must be
//! added to the document as well.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Keywords of a schema that need no check. Any keyword that is in neither list fails the test.
const ANNOTATIONS: &[&str] = &["title", "description", "example", "default", "readOnly", "deprecated"];
/// Keywords that are checked.
const RULES: &[&str] = &[
    "$ref",
    "allOf",
    "oneOf",
    "anyOf",
    "nullable",
    "type",
    "format",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "properties",
    "required",
    "additionalProperties",
    "items",
];

/// A member of an object, by the schema that names it.
pub type Member = (String, String);

/// The document.
pub struct Document(Value);

/// An operation of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    /// With placeholders such as `{id}`.
    pub path: String,
}

/// The findings in responses.
#[derive(Debug, Default)]
pub struct Findings {
    /// The differences between responses and the document.
    pub differences: BTreeSet<String>,
    /// The members that occurred in a response.
    pub seen: BTreeSet<Member>,
}

impl Findings {
    fn add(&mut self, difference: String) {
        self.differences.insert(difference);
    }
}

impl Document {
    /// The checked-in document; another test compares it with the one that is served.
    pub fn checked_in() -> Self {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/kqueen.json")).unwrap();
        Self(serde_json::from_str(&text).unwrap())
    }

    /// All operations.
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (path, methods) in self.0["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                operations.push(Operation { id, method: method.to_uppercase().parse().unwrap(), path: path.clone() });
            }
        }
        operations
    }

    /// Checks a response against the schema that the document has for its status.
    pub fn check(&self, operation: &Operation, status: u16, body: &Value, findings: &mut Findings) {
        let what = format!("{} {status}", operation.id);
        match self.response(operation, status) {
            Some(schema) => self.compare(schema, body, &what, "", findings),
            None => findings.add(format!("{what} is not in the document: {body}")),
        }
    }

    /// Checks part of a response against a named schema.
    pub fn check_schema(&self, schema: &str, value: &Value, findings: &mut Findings) {
        self.compare(&self.0["components"]["schemas"][schema], value, schema, schema, findings);
    }

    /// Every member of every object that can occur in a response of these operations.
    pub fn members(&self, operations: &[Operation]) -> BTreeSet<Member> {
        let mut found = BTreeMap::new();
        for operation in operations {
            self.collect(self.response(operation, 200).unwrap(), "", &mut found);
        }
        let pairs = found.into_iter().flat_map(|(schema, members)| {
            members.into_iter().map(move |member| (schema.clone(), member)).collect::<Vec<_>>()
        });
        pairs.collect()
    }

    fn collect(&self, schema: &Value, name: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
        if let Some(name) = reference(schema) {
            if !found.contains_key(name) {
                found.insert(name.to_owned(), BTreeSet::new());
                self.collect(self.resolve(schema), name, found);
            }
            return;
        }
        for (member, schema) in members(schema) {
            if !name.is_empty() {
                found.get_mut(name).unwrap().insert(member.clone());
            }
            self.collect(schema, "", found);
        }
        for inner in ["items", "additionalProperties"].into_iter().filter_map(|key| schema.get(key)) {
            self.collect(inner, "", found);
        }
        for choice in ["allOf", "oneOf", "anyOf"].iter().flat_map(|key| schema[key].as_array().into_iter().flatten()) {
            self.collect(choice, name, found);
        }
    }

    fn response(&self, operation: &Operation, status: u16) -> Option<&Value> {
        let method = operation.method.as_str().to_lowercase();
        let response = &self.0["paths"][&operation.path][method]["responses"][status.to_string()];
        let schema = &self.resolve(response)["content"]["application/json"]["schema"];
        (!schema.is_null()).then_some(schema)
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    /// Adds the differences of `value` from `schema`. `at` is its place in the response, `name` the name of the schema.
    fn compare(&self, schema: &Value, value: &Value, at: &str, name: &str, findings: &mut Findings) {
        for rule in schema.as_object().into_iter().flat_map(Map::keys) {
            assert!(ANNOTATIONS.contains(&&**rule) || RULES.contains(&&**rule), "{at}: {rule} is not checked");
        }
        if let Some(name) = reference(schema) {
            return self.compare(self.resolve(schema), value, at, name, findings);
        }
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.compare(part, value, at, name, findings);
        }
        if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
            return self.choose(choices, value, at, name, findings);
        }
        let mut add = |difference: String| findings.add(format!("{at} {difference}"));
        let kind = kind(value);
        match schema["type"].as_str() {
            Some(expected) if expected != kind && (expected, kind) != ("number", "integer") => {
                return add(format!("is {kind} instead of {expected}: {value}"));
            }
            Some(_) | None => {}
        }
        if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
            add(format!("is not in its enum: {value}"));
        }
        if let Some(difference) = violation(schema, value) {
            add(format!("{difference}: {value}"));
        }
        match value {
            Value::Array(items) if !schema["items"].is_null() => {
                for item in items {
                    self.compare(&schema["items"], item, &format!("{at}[]"), name, findings);
                }
            }
            Value::Object(object) => self.compare_members(schema, object, at, name, findings),
            _ => {}
        }
    }

    fn compare_members(
        &self,
        schema: &Value,
        object: &Map<String, Value>,
        at: &str,
        name: &str,
        findings: &mut Findings,
    ) {
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(required) {
                findings.add(format!("{at} has no {required}"));
            }
        }
        for (member, value) in object {
            let at = format!("{at}.{member}");
            match (schema["properties"].get(member), &schema["additionalProperties"]) {
                (Some(schema), _) => {
                    findings.seen.insert((name.to_owned(), member.clone()));
                    self.compare(schema, value, &at, "", findings);
                }
                // Free-form: the client or the engine stores what it likes.
                (None, Value::Null) if schema["properties"].is_null() => {}
                (None, others @ Value::Object(_)) => self.compare(others, value, &at, "", findings),
                (None, _) => findings.add(format!("{at} is not in the document")),
            }
        }
    }

    /// Checks that one of `choices` fits. If none does, the differences of the best match are added, preferably one of the same type.
    fn choose(&self, choices: &[Value], value: &Value, at: &str, name: &str, findings: &mut Findings) {
        let results = choices.iter().map(|choice| {
            let mut findings = Findings::default();
            self.compare(choice, value, at, name, &mut findings);
            (self.resolve(choice)["type"] != kind(value), findings)
        });
        let best = results.min_by_key(|(is_of_another_kind, result)| (*is_of_another_kind, result.differences.len()));
        if let Some((_, best)) = best {
            findings.differences.extend(best.differences);
            findings.seen.extend(best.seen);
        }
    }
}

/// The type of `value` in schemas.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

fn members(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

/// How a string or a number violates its schema, apart from its type.
fn violation(schema: &Value, value: &Value) -> Option<String> {
    match value {
        Value::String(text) => {
            let length = text.chars().count() as u64;
            let too_short = schema["minLength"].as_u64().is_some_and(|minimum| length < minimum);
            let too_long = schema["maxLength"].as_u64().is_some_and(|maximum| length > maximum);
            let is_of_format = match schema["format"].as_str() {
                Some("uuid") => text.parse::<Uuid>().is_ok(),
                // RFC 3339 with `Z`, as in the whole API.
                Some("date-time") => text.ends_with('Z') && text.parse::<DateTime<Utc>>().is_ok(),
                Some(_) | None => true,
            };
            let what = if is_of_format { "has a wrong length" } else { "is not of its format" };
            (too_short || too_long || !is_of_format).then(|| what.to_owned())
        }
        Value::Number(number) => {
            let number = number.as_f64()?;
            let is_negative =
                number < 0.0 && schema["format"].as_str().is_some_and(|format| format.starts_with("uint"));
            let too_small = schema["minimum"].as_f64().is_some_and(|minimum| number < minimum);
            let too_large = schema["maximum"].as_f64().is_some_and(|maximum| number > maximum);
            (is_negative || too_small || too_large).then(|| "is out of bounds".to_owned())
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Document {
        Document(json!({
            "paths": {"/resources/{id}": {"get": {"operationId": "resource_get", "responses": {
                "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Resources"}}}},
                "404": {"$ref": "#/components/responses/404"},
            }}}},
            "components": {
                "schemas": {
                    "Resources": {"oneOf": [
                        {"type": "array", "items": {"$ref": "#/components/schemas/Resource"}},
                        {"$ref": "#/components/schemas/Resource"},
                    ]},
                    "Resource": {
                        "type": "object",
                        "required": ["id", "at", "left"],
                        "properties": {
                            "id": {"type": "string", "format": "uuid"},
                            "at": {"type": "string", "format": "date-time", "description": "When."},
                            "left": {"type": "integer", "format": "uint8", "maximum": 100, "nullable": true},
                            "word": {"allOf": [{"$ref": "#/components/schemas/Word"}], "nullable": true},
                            "free": {},
                            "by_name": {"type": "object", "additionalProperties": {"type": "string"}},
                        },
                    },
                    "Word": {"type": "string", "enum": ["a", "b"]},
                    "Error": {"type": "object", "required": ["code"], "properties": {"code": {"type": "integer"}}},
                },
                "responses": {"404": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}},
            },
        }))
    }

    fn found(status: u16, body: &Value) -> (Vec<String>, BTreeSet<Member>) {
        let document = document();
        let mut findings = Findings::default();
        document.check(&document.operations()[0], status, body, &mut findings);
        (findings.differences.into_iter().collect(), findings.seen)
    }

    fn resource() -> Value {
        json!({"id": "5ddd5f5f-d34e-4815-b278-5b127297c37d", "at": "2026-11-28T03:04:05.678Z", "left": 100})
    }

    #[test]
    fn a_response_as_documented_has_no_differences() {
        let mut whole = resource();
        whole["word"] = json!("b");
        whole["free"] = json!({"anything": [1, null]});
        whole["by_name"] = json!({"x": "y"});
        let mut empty = resource();
        empty["left"] = Value::Null;
        empty["word"] = Value::Null;
        for body in [resource(), json!([]), json!([resource(), whole.clone(), empty])] {
            assert_eq!(found(200, &body).0, Vec::<String>::new(), "{body}");
        }
        assert_eq!(found(404, &json!({"code": 404})).0, Vec::<String>::new());
        let document = document();
        let all = document.members(&document.operations());
        assert_eq!(found(200, &whole).1, all, "each member is found under the name of its schema");
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn every_difference_is_reported() {
        let changed = |member: &str, value: Value| {
            let mut resource = resource();
            resource[member] = value;
            resource
        };
        let without = |member: &str| {
            let mut resource = resource();
            resource.as_object_mut().unwrap().remove(member);
            resource
        };
        for (body, difference) in [
            (changed("colour", json!("red")), "resource_get 200.colour is not in the document"),
            (without("id"), "resource_get 200 has no id"),
            (without("left"), "resource_get 200 has no left"),
            (json!([resource(), without("at")]), "resource_get 200[] has no at"),
            (changed("at", Value::Null), "resource_get 200.at is null instead of string: null"),
            (changed("at", json!("2026-11-28")), "resource_get 200.at is not of its format: \"2026-11-28\""),
            (changed("id", json!("x")), "resource_get 200.id is not of its format: \"x\""),
            (changed("left", json!("5")), "resource_get 200.left is string instead of integer: \"5\""),
            (changed("left", json!(101)), "resource_get 200.left is out of bounds: 101"),
            (changed("left", json!(-1)), "resource_get 200.left is out of bounds: -1"),
            (changed("left", json!(1.5)), "resource_get 200.left is number instead of integer: 1.5"),
            (changed("word", json!("c")), "resource_get 200.word is not in its enum: \"c\""),
            (changed("by_name", json!({"x": 1})), "resource_get 200.by_name.x is integer instead of string: 1"),
        ] {
            assert_eq!(found(200, &body).0, [difference], "{body}");
        }
        assert_eq!(found(404, &json!({})).0, ["resource_get 404 has no code"]);
        assert_eq!(found(500, &json!({})).0, ["resource_get 500 is not in the document: {}"]);
    }
}
