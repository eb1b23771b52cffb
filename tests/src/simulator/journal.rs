//! What was asked and what was answered.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use hyper::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    call::{Body, Reply, Request, Route},
    fault::Fault,
};

/// Headers whose values are nobody's business.
const SECRET: [&str; 3] = ["authorization", "cookie", "x-ms-authorization-auxiliary"];

/// Members of JSON objects whose values are nobody's business either.
const SECRET_MEMBERS: [&str; 6] =
    ["access_token", "refresh_token", "client_secret", "secret", "password", "private_key"];

/// One request, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Exchange {
    /// Exchanges are counted from 1.
    pub number: u64,
    pub at: DateTime<Utc>,
    /// The published method; none if it is none.
    pub kind: Option<String>,
    /// Whether that method changes nothing.
    pub is_read: bool,
    pub request: Asked,
    /// What was sent back. `None` if nothing was.
    pub answer: Option<Answered>,
    /// The status of the true answer; `None` if the call has not taken effect, or not yet.
    pub effect: Option<u16>,
    /// What went wrong on purpose.
    pub fault: Option<Fault>,
    /// Whether the answer is in the provider's own words, and not of something in between.
    pub is_genuine: bool,
}

/// A request as it is written down.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// The query as it was sent.
    pub query: String,
    /// Without what is secret.
    pub headers: BTreeMap<String, String>,
    /// JSON, or the text as a string; null if there was none.
    pub body: Value,
}

/// An answer as it is written down.
#[derive(Debug, Clone, Serialize)]
pub struct Answered {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    /// JSON, or the text as a string; null if there was none.
    pub body: Value,
}

impl Asked {
    pub(super) fn new(request: &Request) -> Self {
        let body = if request.body.is_empty() {
            Value::Null
        } else {
            let json = request.json().map(hidden);
            json.unwrap_or_else(|| without_secrets(&String::from_utf8_lossy(&request.body)).into())
        };
        Self {
            method: request.method.to_string(),
            path: request.path.clone(),
            query: request.raw_query.clone(),
            headers: headers(&request.headers),
            body,
        }
    }

    /// A parameter of the query, as it was sent.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl Answered {
    pub(super) fn new(reply: &Reply) -> Self {
        let body = match &reply.body {
            Body::Empty => Value::Null,
            Body::Json(value) => hidden(value.clone()),
            // Part of an answer may hold the secret of the whole.
            Body::Text(text, _) | Body::Half(text) if text.contains("access_token") => "(secret)".into(),
            Body::Text(text, _) | Body::Half(text) => text.clone().into(),
        };
        let headers = reply.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        Self { status: reply.status, headers, body }
    }
}

fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let shown = headers.iter().map(|(name, value)| {
        let value = if SECRET.contains(&name.as_str()) { "(secret)" } else { value.to_str().unwrap_or("(no text)") };
        (name.to_string(), value.to_owned())
    });
    shown.collect()
}

/// JSON with the values that are secret taken out.
fn hidden(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            for (name, member) in members {
                let is_secret = member.is_string() && SECRET_MEMBERS.contains(&name.as_str());
                *member = if is_secret { "(secret)".into() } else { hidden(member.take()) };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = hidden(item.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    value
}

/// A form with the values that are secret taken out.
fn without_secrets(form: &str) -> String {
    let shown = form.split('&').map(|pair| match pair.split_once('=') {
        Some((name @ ("assertion" | "client_secret" | "client_assertion" | "password" | "refresh_token"), _)) => {
            format!("{name}=(secret)")
        }
        _ => pair.to_owned(),
    });
    shown.collect::<Vec<_>>().join("&")
}

/// A difference from the published schema.
#[derive(Debug, Clone, Serialize)]
pub struct Violation {
    /// The number of the exchange.
    pub exchange: u64,
    pub kind: Option<String>,
    pub path: String,
    pub what: String,
}

/// What a check of the journal came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Checked {
    /// How many exchanges there were.
    pub exchanges: usize,
    /// How many of them the schema says something about.
    pub checked: usize,
    pub violations: Vec<Violation>,
}

impl Checked {
    /// Panics, and says why, if anything differs from the schema.
    ///
    /// # Panics
    /// See above.
    pub fn assert_clean(&self) {
        assert!(self.violations.is_empty(), "{:#?}", self.violations);
    }
}

/// Everything that was asked so far.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) exchanges: Vec<Exchange>,
    counts: BTreeMap<String, u64>,
    number: u64,
}

impl Journal {
    /// How often each method was called, whether that is written down or not.
    pub(super) const fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// How many requests there were.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn clear(&mut self) {
        self.exchanges.clear();
        self.counts.clear();
    }

    /// Counts a request; its number.
    pub(super) fn count(&mut self, route: Option<&Route>) -> u64 {
        let kind = route.map_or("(unknown)", |route| route.kind.as_ref());
        if let Some(count) = self.counts.get_mut(kind) {
            *count += 1;
        } else {
            self.counts.insert(kind.to_owned(), 1);
        }
        self.number += 1;
        self.number
    }

    /// Compares everything with the schema.
    pub(super) fn check(&self, violations: impl Fn(&Exchange) -> Option<Vec<String>>) -> Checked {
        let mut checked = Checked { exchanges: self.exchanges.len(), ..Checked::default() };
        for exchange in &self.exchanges {
            let Some(found) = violations(exchange) else { continue };
            checked.checked += 1;
            checked.violations.extend(found.into_iter().map(|what| Violation {
                exchange: exchange.number,
                kind: exchange.kind.clone(),
                path: format!("{} {}", exchange.request.method, exchange.request.path),
                what,
            }));
        }
        checked
    }

    /// The last exchanges as JSON.
    pub(super) fn last(&self, most: usize) -> Value {
        let from = self.exchanges.len().saturating_sub(most);
        json!(self.exchanges[from..])
    }
}
