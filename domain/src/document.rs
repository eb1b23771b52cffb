//! Free-form JSON objects with secret parts.

/// A JSON object as text, secret parts masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document(Box<str>);
