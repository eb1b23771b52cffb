//! What the provider answers.

use serde_json::{Value, json};

/// An answer before it becomes HTTP.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// In seconds.
    pub(super) retry_after: Option<i64>,
    pub(super) body: Value,
}

impl Reply {
    /// Here it is.
    pub(super) const fn ok(body: Value) -> Self {
        Self { status: 200, retry_after: None, body }
    }

    /// It has begun.
    pub(super) const fn accepted(body: Value) -> Self {
        Self { status: 202, retry_after: None, body }
    }

    /// No. `code` is for programs, `message` for people.
    pub(super) fn refuse(status: u16, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, retry_after: None, body: json!({"error": {"code": code, "message": message}}) }
    }

    /// With one more fact about a refusal.
    pub(super) fn with(mut self, name: &str, fact: impl Into<Value>) -> Self {
        self.body["error"][name] = fact.into();
        self
    }

    /// With the time after which to come back.
    pub(super) const fn after(mut self, seconds: i64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}
