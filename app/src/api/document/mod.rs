//! The OpenAPI document: what the framework generates, and what it cannot say.
//!
//! The framework knows shapes and parameters of handlers. Added here are the parameters of lists, the statuses each operation really
//! gives, nullable fields, examples, and that bodies take no other fields than those declared.
//!
//! Code generators make identifiers of names, each in its own way. So that none of them needs options, a schema never has the name of a
//! parameter, no operation has two parameters whose names differ only in case or in `-` and `_`, and JSON is `application/json` exactly.

mod facts;

use poem_openapi::{registry::Registry, types::Type};
use serde_json::{Map, Value, json};

use self::facts::{BODIES, FACTS, List, OPEN};
use super::read_only::{self, ReadOnly};
use crate::{error::ErrorBody, http::API};

const JSON: &str = "application/json";

/// Part of a stream.
const EVENTS: &str = "retry: 2000\n\nid: 4711.0\n\n\
    id: 4713.0\nevent: cluster\ndata: {\"action\":\"changed\",\"object\":{\"id\":\"0b5f8a3e-…\",\"name\":\"production\",…}}\n\n\
    :\n\n\
    id: 4720.1\nevent: provisioner\ndata: {\"action\":\"gone\",\"object\":{\"id\":\"5ddd5f5f-…\"}}\n\n";

/// The document as pretty JSON, the same for the same program.
///
/// # Panics
/// Never: the framework generates JSON.
#[must_use]
pub fn document() -> String {
    let mut text = format!("{:#}", complete(generated()));
    text.push('\n');
    text
}

/// The document as the framework generates it, with paths as they are below the server's address.
#[must_use]
pub fn generated() -> Value {
    let mut document: Value = serde_json::from_str(&super::openapi_service().spec()).unwrap_or_default();
    if let Some(paths) = document["paths"].as_object_mut() {
        let below = |path: String| match path.strip_prefix(API) {
            Some("") => "/".to_owned(),
            Some(below) if below.starts_with('/') => below.to_owned(),
            // A mistake, which is not hidden.
            Some(_) | None => path,
        };
        *paths = std::mem::take(paths).into_iter().map(|(path, operations)| (below(path), operations)).collect();
    }
    document
}

/// Adds what the framework cannot say.
#[must_use]
pub fn complete(mut document: Value) -> Value {
    for (_, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        for (_, operation) in operations.as_object_mut().into_iter().flatten() {
            complete_operation(operation);
        }
    }
    hoist(&mut document);
    name_json_plainly(&mut document["paths"]);
    let components = &mut document["components"];
    for body in BODIES {
        components["schemas"][body]["additionalProperties"] = json!(false);
    }
    errors(components);
    nullable(components);
    read_only(components);
    examples(components);
    components["parameters"] = parameters();
    components["responses"] = responses();
    document
}

/// Puts what the framework says beside a reference (`allOf` of the reference and a schema with a description) where generators look for it:
/// next to an `allOf` of the reference alone.
fn hoist(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(hoist),
        Value::Object(object) => {
            object.values_mut().for_each(hoist);
            let Some(Value::Array(parts)) = object.get_mut("allOf") else { return };
            if parts.len() == 2 && parts[0].get("$ref").is_some() && parts[1].get("$ref").is_none() {
                let beside = parts.pop();
                for (key, value) in beside.as_ref().and_then(Value::as_object).into_iter().flatten() {
                    object.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Drops the parameters of JSON's media type, such as a charset: several generators take only `application/json` for JSON.
fn name_json_plainly(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(name_json_plainly),
        Value::Object(object) => {
            if let Some(Value::Object(content)) = object.get_mut("content") {
                let plain = |name: String| if name.starts_with("application/json;") { JSON.to_owned() } else { name };
                *content = std::mem::take(content).into_iter().map(|(name, body)| (plain(name), body)).collect();
            }
            object.values_mut().for_each(name_json_plainly);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn complete_operation(operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let Some(facts) = FACTS.iter().find(|facts| facts.operation == id) else { return };
    let shared: &[u16] = if OPEN.contains(&facts.operation) { &[] } else { &[401, 503] };
    let responses = &mut operation["responses"];
    // Whatever it takes, a query parameter that it does not take is refused.
    for status in facts.errors.iter().chain(shared).chain(&[422]) {
        responses[status.to_string()] = json!({"$ref": format!("#/components/responses/{status}")});
    }
    if tells_revision(&id) {
        responses["200"]["headers"]["ETag"] = json!({
            "description": "The revision of the object. Send it in If-Match to change only the version you have read. Weakened by a proxy (`W/\"31\"`), it still names that revision.",
            "schema": {"type": "string"},
        });
    }
    let mut more: Vec<&str> = match facts.list {
        None => Vec::new(),
        Some(List::Full) => {
            let phase = if id == "cluster_list" { "phase_of_clusters" } else { "phase_of_provisioners" };
            vec![
                "name",
                "provisioner",
                "engine",
                phase,
                "state",
                "sortby",
                "order",
                "offset",
                "limit",
                "namespace",
                "all_namespaces",
            ]
        }
        Some(List::Named) => vec!["name", "sortby", "order", "offset", "limit", "namespace", "all_namespaces"],
        Some(List::Part) => vec!["offset", "limit", "namespace", "all_namespaces"],
        Some(List::Scope) => vec!["namespace", "all_namespaces"],
    };
    if !more.is_empty() {
        if operation["parameters"].is_null() {
            operation["parameters"] = json!([]);
        }
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            let reference = |name: &str| json!({"$ref": format!("#/components/parameters/{name}")});
            parameters.extend(more.drain(..).map(reference));
        }
    }
    if id == "event_stream" {
        operation["responses"]["200"]["content"]["text/event-stream"]["example"] = json!(EVENTS);
        // The description of `Last-Event-ID` names this parameter: declared, the two would be one name in most languages.
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            parameters.retain(|parameter| parameter["name"] != "last_event_id");
        }
    }
    if id == "organization_policy_update" {
        operation["requestBody"]["content"][JSON]["schema"] = overrides();
    }
}

/// Whether the answer is one record with a revision.
fn tells_revision(operation: &str) -> bool {
    const ENDS: [&str; 9] =
        ["_get", "_create", "_update", "_whoami", "_password", "_resize", "_set_network_policy", "_retry", "_cancel"];
    ENDS.iter().any(|end| operation.ends_with(end)) || matches!(operation, "orphan_delete" | "orphan_ignore")
}

/// The shape of errors, which no handler names: each operation's errors refer to it.
fn errors(components: &mut Value) {
    let mut registry = Registry::new();
    ErrorBody::register(&mut registry);
    for (name, schema) in &registry.schemas {
        components["schemas"][name] = serde_json::to_value(schema).unwrap_or_default();
    }
}

/// Answers whose fields are all there, null where there is nothing to tell.
const WHOLE: &[&str] = &[
    "Cluster",
    "Forgotten",
    "TimelineEvent",
    "Operation",
    "Orphan",
    "ProvisionerView",
    "Reason",
    "Requester",
    "Resource",
    "Step",
    "Timeline",
];

/// Fields that are there and null. Fields that are left out instead are declared as not required already.
fn nullable(components: &mut Value) {
    let schemas = &mut components["schemas"];
    for (schema, field) in [("Cluster", "observed_at"), ("Cluster", "version"), ("UserUpdate", "email")] {
        schemas[schema]["properties"][field]["nullable"] = json!(true);
    }
    for schema in WHOLE {
        let fields = schemas[schema]["properties"].as_object().into_iter().flatten();
        let null: Vec<_> = fields.filter(|(_, field)| field["nullable"] == true).map(|(name, _)| json!(name)).collect();
        if let Some(required) = schemas[schema]["required"].as_array_mut() {
            required.extend(null);
        }
    }
    // The framework calls a choice of a number and a text an object.
    if let Some(choice) = components["schemas"]["IntOrTextView"].as_object_mut() {
        choice.remove("type");
    }
    components["schemas"]["Resize"]["properties"]["node_count"] = json!({
        "description": "The number of nodes, 1 to 10000, as a number or as text.",
        "oneOf": [
            {"type": "integer", "minimum": 1, "maximum": 10000},
            {"type": "string", "pattern": "^[1-9][0-9]{0,3}$"},
        ],
    });
    for schema in
        ["ClusterCreate", "ClusterUpdate", "ProvisionerCreate", "ProvisionerUpdate", "UserCreate", "UserUpdate"]
    {
        for field in ["metadata", "parameters"] {
            if let Some(Value::Object(field)) = components["schemas"][schema]["properties"].get_mut(field) {
                field.insert("type".into(), json!("object"));
                field.insert("additionalProperties".into(), json!({}));
            }
        }
    }
}

/// Bodies that take what was read take its read-only fields as well.
fn read_only(components: &mut Value) {
    for (update, view, kind) in KINDS {
        for name in kind.names() {
            let mut field = components["schemas"][view]["properties"][name].clone();
            if field.get("$ref").is_some() {
                field = json!({"allOf": [field]});
            }
            field["readOnly"] = json!(true);
            components["schemas"][update]["properties"][name] = field;
        }
    }
    for (schema, field) in [("OrganizationCreate", "policy"), ("OrganizationUpdate", "policy")] {
        components["schemas"][schema]["properties"][field] = overrides();
    }
}

/// Changes of an object, the object, and what of it is read-only.
const KINDS: [(&str, &str, &ReadOnly); 4] = [
    ("ClusterUpdate", "Cluster", &read_only::CLUSTER),
    ("ProvisionerUpdate", "ProvisionerView", &read_only::PROVISIONER),
    ("UserUpdate", "User", &read_only::USER),
    ("OrganizationUpdate", "Organization", &read_only::ORGANIZATION),
];

/// The shape of overrides of a policy.
fn overrides() -> Value {
    json!({
        "type": "object",
        "description": "Rules by action. null restores the default; rules that are not listed stay as they are.",
        "additionalProperties": {
            "type": "string",
            "nullable": true,
            "enum": ["ALL", "IS_OWNER", "IS_ADMIN", "ADMIN_OR_OWNER", "IS_SUPERADMIN", null],
        },
        "example": {"cluster:create": "IS_ADMIN", "cluster:kubeconfig": "ADMIN_OR_OWNER", "cluster:get": null},
    })
}

fn examples(components: &mut Value) {
    let provisioner = "Provisioner:5ddd5f5f-d34e-4815-b278-5b127297c37d";
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "prod",
        "clusters": [{"name": "prod", "cluster": {"server": "https://203.0.113.10:6443"}}],
        "users": [{"name": "viewer", "user": {"token": "the token of a service account"}}],
        "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "viewer"}}],
    });
    let examples = json!({
        "ClusterCreate": {"name": "production", "provisioner": provisioner, "kubeconfig": kubeconfig},
        "ClusterUpdate": {"name": "production-eu", "metadata": {"team": "payments", "note": null}},
        "Credentials": {"username": "admin", "password": "default"},
        "NetworkPolicy": {"provider": "CALICO", "enabled": true},
        "OrganizationCreate": {"name": "Payments", "namespace": "payments"},
        "OrganizationUpdate": {"name": "Payments and Billing"},
        "PasswordUpdate": {"password": "correct horse battery staple"},
        "ProvisionerCreate": {"name": "imported", "engine": "kqueen.engines.ManualEngine", "parameters": {}},
        "ProvisionerUpdate": {"name": "imported clusters"},
        "Resize": {"node_count": 5},
        "UserCreate": {"username": "ann", "password": "correct horse battery staple", "email": "ann@example.org", "role": "member"},
        "UserUpdate": {"email": "ann@example.com", "active": true},
        "Error": {
            "code": 409,
            "status_code": 409,
            "error": "conflict",
            "description": "this namespace is already in use; choose another",
            "details": [{"field": "namespace", "message": "is already in use"}],
            "request_id": "7d1f0a52-0a0b-4f3e-9a5c-0d6a3f1f7c11",
        },
    });
    let Value::Object(examples) = examples else { return };
    for (schema, example) in examples {
        components["schemas"][schema.as_str()]["example"] = example;
    }
}

fn parameters() -> Value {
    let text = |name: &str, description: &str| json!({"name": name, "in": "query", "description": description, "schema": {"type": "string"}});
    let word = |name: &str, description: &str, words: &[&str]| json!({"name": name, "in": "query", "description": description, "schema": {"type": "string", "enum": words}});
    let number = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "query", "description": description, "schema": schema});
    let sorts = ["name", "provisioner", "engine", "created_at", "created", "state", "status"];
    let list = [
        text("name", "Only those whose name contains this text. Not case-sensitive."),
        text("provisioner", "Only those whose provisioner name contains this text. Not case-sensitive."),
        text("engine", "Only those whose engine name contains this text. Not case-sensitive."),
        text("state", "Only those in this state, by its caption. Not case-sensitive."),
        word("sortby", "The sort key. By creation time by default.", &sorts),
        word("order", "Ascending by default.", &["asc", "desc"]),
        number(
            "offset",
            "The number of items to skip. The response is then `{items, total}`.",
            json!({"type": "integer", "minimum": 0, "maximum": super::page::MAX_OFFSET}),
        ),
        number(
            "limit",
            "The maximum number of items: 20 by default with `offset`, otherwise all.",
            json!({"type": "integer", "minimum": 1, "maximum": super::page::MAX_LIMIT}),
        ),
        text("namespace", "The namespace of another organization. Superadmins only."),
        number("all_namespaces", "All organizations. Superadmins only.", json!({"type": "boolean"})),
    ];
    let phase = |component: &str, schema: &str| {
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        let parameter = number("phase", "Only those in this phase. Not case-sensitive.", schema);
        (component.to_owned(), parameter)
    };
    let list = list.into_iter().map(|parameter| (parameter["name"].as_str().unwrap_or_default().to_owned(), parameter));
    list.chain([phase("phase_of_clusters", "ClusterPhase"), phase("phase_of_provisioners", "ProvisionerPhase")])
        .collect()
}

fn responses() -> Value {
    let meaning = [
        (400, "The body is not JSON."),
        (401, "The token is missing or no longer valid."),
        (403, "The caller is not allowed to do this."),
        (404, "It does not exist, or the caller is not allowed to see it."),
        (
            409,
            "It conflicts with the current state: a duplicate, a wrong state, something that is still in use, or `unsupported` by the engine.",
        ),
        (406, "The client does not accept `text/event-stream`."),
        (412, "It has changed since the revision in If-Match."),
        (413, "The body is too long."),
        (415, "The body is not sent as application/json."),
        (422, "Some fields or query parameters are invalid or unknown. `details` lists all of them."),
        (429, "Too many attempts, event streams or live views. Retry after `Retry-After` seconds."),
        (502, "The cluster rejected the request or cannot be reached."),
        (503, "The store is unavailable. Retry after `Retry-After` seconds."),
        (504, "The cluster did not respond in time."),
    ];
    let response = |(status, description): (u16, &str)| {
        let mut response = json!({
            "description": description,
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
        });
        let header = |description: &str, kind: &str| json!({"description": description, "schema": {"type": kind}});
        if status == 401 {
            response["headers"] = json!({"WWW-Authenticate": header("Bearer, with the realm.", "string")});
        }
        if matches!(status, 429 | 503) {
            response["headers"] = json!({"Retry-After": header("The number of seconds to wait.", "integer")});
        }
        (status.to_string(), response)
    };
    Value::Object(meaning.into_iter().map(response).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_handler_is_below_the_path_of_the_api() {
        let document: Value = serde_json::from_str(&super::super::openapi_service().spec()).unwrap();
        for path in document["paths"].as_object().unwrap().keys() {
            assert!(path.strip_prefix(API).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')), "{path}");
        }
    }

    #[test]
    fn every_operation_has_its_facts_and_every_fact_its_operation() {
        let document = complete(generated());
        let mut operations: Vec<&str> = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|methods| methods.as_object().unwrap().values())
            .map(|operation| operation["operationId"].as_str().unwrap())
            .collect();
        let mut known: Vec<&str> = FACTS.iter().map(|facts| facts.operation).collect();
        operations.sort_unstable();
        known.sort_unstable();
        assert_eq!(operations, known);
    }

    #[test]
    fn every_field_that_is_read_can_be_sent_back() {
        let framework = generated();
        let fields = |schema: &str| -> Vec<String> {
            framework["components"]["schemas"][schema]["properties"].as_object().unwrap().keys().cloned().collect()
        };
        for (update, view, kind) in KINDS {
            for field in fields(view) {
                let is_read_only = kind.names().any(|name| name == field);
                let is_written = fields(update).contains(&field);
                assert!(is_read_only != is_written, "{view}.{field} is either read-only or a field of {update}");
            }
            for name in kind.names() {
                assert!(fields(view).iter().any(|field| field == name), "{view} has no {name}");
            }
        }
    }

    #[test]
    fn every_body_is_closed_and_has_an_example() {
        let document = complete(generated());
        assert_eq!(document["components"]["schemas"]["Error"]["properties"].as_object().map(Map::len), Some(6));
        for body in BODIES {
            let schema = &document["components"]["schemas"][body];
            assert_eq!(schema["type"], "object", "{body}");
            assert!(schema["example"].is_object(), "{body}");
        }
    }
}
