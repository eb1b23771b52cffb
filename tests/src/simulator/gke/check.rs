//! Exchanges compared with the published schemas.

use serde_json::{Value, json};

use super::{
    encoding::{self, COMPUTE},
    method::{self, Method},
};
use crate::simulator::{journal::Exchange, schema::Schemas};

/// The form of every error, which no document publishes as a schema.
static ERRORS: std::sync::LazyLock<Schemas> = std::sync::LazyLock::new(|| {
    let text = json!({"type": "string"});
    let closed = |required: Value, properties: Value| json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false});
    let item = closed(json!(["message", "domain", "reason"]), json!({"message": text, "domain": text, "reason": text}));
    let detail = json!({"type": "object", "required": ["@type"], "properties": {"@type": text}});
    let error = closed(
        json!(["code", "message", "status"]),
        json!({
            "code": {"type": "integer", "minimum": 400, "maximum": 599}, "message": text,
            "status": {"type": "string", "pattern": "^[A-Z_]+$"}, "errors": {"type": "array", "items": item},
            "details": {"type": "array", "items": detail},
        }),
    );
    let token = json!({"access_token": text, "expires_in": {"type": "integer"}, "token_type": {"const": "Bearer"}});
    Schemas::new(json!({"$defs": {
        "Error": closed(json!(["error"]), json!({"error": error})),
        "Token": closed(json!(["access_token", "expires_in", "token_type"]), token),
        "GrantError": closed(json!(["error"]), json!({"error": text, "error_description": text})),
    }}))
});

/// Everything in which an exchange differs from what is published, if anything is published about it.
pub(super) fn violations(exchange: &Exchange) -> Option<Vec<String>> {
    let kind = exchange.kind.as_deref()?;
    let answer = exchange.answer.as_ref().filter(|_| exchange.is_genuine);
    if kind == method::TOKEN {
        let answer = answer?;
        return Some(ERRORS.violations(if answer.status == 200 { "Token" } else { "GrantError" }, &answer.body));
    }
    let method = Method::named(kind)?;
    let mut found = Vec::new();
    // What the service refuses as a bad request may well differ.
    if let Some(schema) = method.request.as_deref().filter(|_| answer.is_none_or(|answer| answer.status != 400)) {
        let mut body = exchange.request.body.clone();
        if !body.is_null() {
            encoding::to_names(schema, &mut body);
            found.extend(
                encoding::CONTAINER.violations(schema, &body).into_iter().map(|what| format!("request: {what}")),
            );
        }
    } else if method.request.is_none() && !exchange.request.body.is_null() {
        found.push("request: there is a body, and the method has none".to_owned());
    }
    if let Some(answer) = answer {
        let mut body = answer.body.clone();
        let told = match method.response.as_deref() {
            _ if answer.status >= 400 => ERRORS.violations("Error", &body),
            Some(schema) if kind.starts_with("compute.") => COMPUTE.violations(schema, &body),
            Some(schema) => {
                encoding::to_names(schema, &mut body);
                encoding::CONTAINER.violations(schema, &body)
            }
            None => Vec::new(),
        };
        found.extend(told.into_iter().map(|what| format!("answer: {what}")));
    }
    Some(found)
}
