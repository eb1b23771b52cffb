//! The REST API.

/// The OpenAPI document as JSON text.
#[must_use]
pub fn document() -> String {
    "{}".to_owned()
}
