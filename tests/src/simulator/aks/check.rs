//! Exchanges compared with the published schemas.

use std::sync::LazyLock;

use serde_json::Value;

use super::method::{Method, OPENID, TOKEN};
use crate::simulator::{journal::Exchange, schema::Schemas};

/// Clusters and pools as Azure's own client has them, and the forms around them that are only described in words.
pub(super) static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| {
    let read = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let mut document = read(include_str!("../../../data/simulator/aks/managedclusters.schemas.json"));
    let mut others = read(include_str!("../../../data/simulator/aks/arm.schemas.json"));
    for (name, schema) in others["$defs"].as_object_mut().into_iter().flatten() {
        document["$defs"][name.as_str()] = schema.take();
    }
    Schemas::new(document)
});

/// The form of an error: there are two, and those of the login host.
fn error_form(kind: &str, body: &Value) -> &'static str {
    match kind {
        TOKEN | OPENID => "GrantError",
        _ if body["error"].is_null() => "FlatError",
        _ => "EnvelopedError",
    }
}

/// Everything in which an exchange differs from what is published, if anything is published about it.
pub(super) fn violations(exchange: &Exchange) -> Option<Vec<String>> {
    let kind = exchange.kind.as_deref()?;
    let method = Method::named(kind)?;
    let answer = exchange.answer.as_ref().filter(|_| exchange.is_genuine);
    let mut found = Vec::new();
    let body = &exchange.request.body;
    match method.request.as_deref() {
        // What the service refuses as a bad request may well differ.
        Some(schema) if answer.is_none_or(|answer| answer.status != 400) => {
            found.extend(SCHEMAS.violations(schema, body).into_iter().map(|what| format!("request: {what}")));
        }
        None if !body.is_null() && kind != TOKEN => {
            found.push("request: there is a body, and the method has none".to_owned());
        }
        _ => {}
    }
    if let Some(answer) = answer {
        let told = match method.response.as_deref() {
            _ if answer.status >= 400 => SCHEMAS.violations(error_form(kind, &answer.body), &answer.body),
            _ if answer.body.is_null() => Vec::new(),
            Some(schema) => SCHEMAS.violations(schema, &answer.body),
            None => vec!["there is a body, and the method answers with none".to_owned()],
        };
        found.extend(told.into_iter().map(|what| format!("answer: {what}")));
        found.extend(headers(kind, answer.status, |name| answer.headers.contains_key(name)));
    }
    Some(found)
}

/// What has to be among the headers of an answer.
fn headers(kind: &str, status: u16, has: impl Fn(&str) -> bool) -> Vec<String> {
    let needs: &[&str] = match (kind, status) {
        ("operations.result", 202) => &["location", "retry-after"],
        (_, 201) => &["azure-asyncoperation", "retry-after"],
        (_, 202) => &["azure-asyncoperation", "location", "retry-after"],
        (TOKEN | OPENID, _) => &[],
        (_, 401) => &["www-authenticate"],
        _ => &[],
    };
    needs.iter().filter(|name| !has(name)).map(|name| format!("answer: {status} without {name}")).collect()
}
