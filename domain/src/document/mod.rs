//! Free-form JSON objects: a provisioner's parameters, a cluster's or a user's metadata. Their secrets are stored separately from
//! what is shown: [`split`] separates them, [`Document::reveal`] returns the complete object, [`merge_patch`] updates it.

mod mask;
mod merge;

use std::io;

pub use mask::{MASK, Split, refuse_masks, split};
pub use merge::merge_patch;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::{
    invalid::Invalid,
    secret::{SecretDocument, SecretMap},
};

/// How deep objects and arrays may be nested, including the outermost object.
pub const MAX_DEPTH: usize = 32;

/// Maximum size of an object, in bytes of compact JSON.
pub const MAX_BYTES: usize = 64 * 1024;

/// A JSON object with its secret parts masked, as compact text: it takes a fraction of the memory of a parsed object and is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Document(Box<str>);

/// A stored text that is not a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored document is not a JSON object")]
pub struct NotAnObject;

impl Document {
    /// A document from stored text. Only for text that comes from [`split`]: nothing is masked here.
    ///
    /// # Errors
    /// The text is not a JSON object.
    pub fn from_stored(text: impl Into<Box<str>>) -> Result<Self, NotAnObject> {
        let text = text.into();
        // `IgnoredAny` parses without allocating: this runs for every record when the store is loaded.
        if text.starts_with('{') && serde_json::from_str::<IgnoredAny>(&text).is_ok() {
            Ok(Self(text))
        } else {
            Err(NotAnObject)
        }
    }

    /// The object as compact JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The object, parsed.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        // Both constructors ensure that it is an object.
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// Whether the object has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        &*self.0 == "{}"
    }

    /// The complete object, secret parts included: the sealed one, or the shown one if nothing was masked.
    ///
    /// # Errors
    /// The sealed document is not a JSON object.
    pub fn reveal(&self, sealed: Option<&SecretDocument>) -> Result<SecretMap, NotAnObject> {
        SecretMap::from_json(sealed.map_or(self.as_str(), SecretDocument::expose)).ok_or(NotAnObject)
    }

    fn of(map: Map<String, Value>) -> Self {
        Self(Value::Object(map).to_string().into())
    }
}

impl Default for Document {
    fn default() -> Self {
        Self("{}".into())
    }
}

/// Refuses objects that are nested too deep or too large. `at` is the path of the object in the request.
///
/// # Errors
/// The limit that is exceeded.
pub fn check_limits(at: &str, map: &SecretMap) -> Result<(), Invalid> {
    let map = map.expose();
    if !map.values().all(|value| fits(value, MAX_DEPTH - 1)) {
        return Err(Invalid::field(at, format!("must not be nested deeper than {MAX_DEPTH} levels")));
    }
    let mut remaining = Remaining(MAX_BYTES);
    serde_json::to_writer(&mut remaining, map)
        .map_err(|_| Invalid::field(at, format!("must not be longer than {} kB", MAX_BYTES / 1024)))
}

fn fits(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
        Value::Object(map) => levels > 0 && map.values().all(|item| fits(item, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// Counts written bytes up to a limit, and discards them.
struct Remaining(usize);

impl io::Write for Remaining {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
