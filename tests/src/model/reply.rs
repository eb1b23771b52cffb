//! The provider's responses.

use serde_json::{Value, json};

/// A response before it is written as HTTP.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// In seconds.
    pub(super) retry_after: Option<i64>,
    pub(super) body: Value,
}

impl Reply {
    /// 200 OK.
    pub(super) const fn ok(body: Value) -> Self {
        Self { status: 200, retry_after: None, body }
    }

    /// 202 Accepted: the operation has started.
    pub(super) const fn accepted(body: Value) -> Self {
        Self { status: 202, retry_after: None, body }
    }

    /// An error. `code` is for programs, `message` for people.
    pub(super) fn error(status: u16, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, retry_after: None, body: json!({"error": {"code": code, "message": message}}) }
    }

    /// Adds a field to an error.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.body["error"][name] = value.into();
        self
    }

    /// Sets the time after which to retry.
    pub(super) const fn after(mut self, seconds: i64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}
