//! JSON that may contain secrets: a request body, parameters, metadata, an unparsed kubeconfig. Only the schema knows which values are
//! secret, so all of it is treated as secret until [`crate::document::split`] has separated them.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use zeroize::Zeroize;

use super::SecretDocument;

/// A JSON object that may contain secrets. Its keys and strings are zeroed when it is dropped.
#[derive(Clone, PartialEq, Default)]
pub struct SecretMap(Map<String, Value>);

/// A JSON value that may contain secrets. Its keys and strings are zeroed when it is dropped.
#[derive(Clone, PartialEq, Default)]
pub struct SecretValue(Value);

impl SecretMap {
    /// An object without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses JSON text. The parser's error is dropped: it may quote the text.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// The object, where it is needed.
    #[must_use]
    pub fn expose(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Takes the object out. It is not zeroed any more: only for objects without secrets.
    #[must_use]
    pub fn into_exposed(mut self) -> Map<String, Value> {
        std::mem::take(&mut self.0)
    }

    /// The entries, with secret values.
    pub fn into_entries(self) -> impl Iterator<Item = (String, SecretValue)> {
        self.into_exposed().into_iter().map(|(key, value)| (key, SecretValue(value)))
    }

    /// Whether it has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has this key.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: &str) -> Option<SecretValue> {
        let (mut key, value) = self.0.remove_entry(key)?;
        key.zeroize();
        Some(SecretValue(value))
    }

    /// Sets a value. The previous one is zeroed.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<SecretValue>) {
        let before = self.0.insert(key.into(), value.into().into_exposed());
        drop(before.map(SecretValue));
    }

    /// Deserializes the object, as engines do with their parameters, without an intermediate copy. The error is dropped: it may quote a
    /// value.
    #[must_use]
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(&self.0).ok()
    }

    /// The object as compact JSON text.
    #[must_use]
    pub fn to_document(&self) -> SecretDocument {
        SecretDocument::new(self.to_text())
    }

    /// The object as compact JSON text, allocated with the exact length: growing would leave partial copies in memory.
    pub(crate) fn to_text(&self) -> String {
        let mut text = Vec::with_capacity(json_length(&self.0));
        // Writing to a vector cannot fail, and keys are strings.
        drop(serde_json::to_writer(&mut text, &self.0));
        String::from_utf8(text).unwrap_or_default()
    }
}

impl SecretValue {
    /// The value, where it is needed.
    #[must_use]
    pub fn expose(&self) -> &Value {
        &self.0
    }

    /// Takes the value out. It is not zeroed any more.
    #[must_use]
    pub fn into_exposed(mut self) -> Value {
        self.0.take()
    }

    /// The string, if it is one, to be changed in place.
    pub fn text_mut(&mut self) -> Option<&mut String> {
        match &mut self.0 {
            Value::String(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The object, if it is one.
    ///
    /// # Errors
    /// The value itself, if it is something else.
    pub fn into_map(mut self) -> Result<SecretMap, Self> {
        match self.0.take() {
            Value::Object(map) => Ok(SecretMap(map)),
            other => Err(Self(other)),
        }
    }

    /// The string, if it is one. It is not zeroed any more: pass a secret on to a type that does.
    ///
    /// # Errors
    /// The value itself, if it is something else.
    pub fn into_text(mut self) -> Result<String, Self> {
        match self.0.take() {
            Value::String(text) => Ok(text),
            other => Err(Self(other)),
        }
    }
}

impl From<Map<String, Value>> for SecretMap {
    fn from(map: Map<String, Value>) -> Self {
        Self(map)
    }
}

impl From<String> for SecretValue {
    fn from(text: String) -> Self {
        Self(Value::String(text))
    }
}

impl From<Value> for SecretValue {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl From<SecretMap> for SecretValue {
    fn from(map: SecretMap) -> Self {
        Self(Value::Object(map.into_exposed()))
    }
}

impl Drop for SecretMap {
    fn drop(&mut self) {
        each_text_of_map(std::mem::take(&mut self.0), &mut zero);
    }
}

impl Drop for SecretValue {
    fn drop(&mut self) {
        each_text(self.0.take(), &mut zero);
    }
}

impl fmt::Debug for SecretMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretMap(hidden)")
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(hidden)")
    }
}

fn zero(mut text: String) {
    text.zeroize();
}

/// Consumes a value and calls `then` with each string in it, keys included.
pub(super) fn each_text(value: Value, then: &mut impl FnMut(String)) {
    match value {
        Value::String(text) => then(text),
        Value::Array(items) => items.into_iter().for_each(|item| each_text(item, then)),
        Value::Object(map) => each_text_of_map(map, then),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn each_text_of_map(map: Map<String, Value>, then: &mut impl FnMut(String)) {
    for (key, value) in map {
        then(key);
        each_text(value, then);
    }
}

/// The length of the object as compact JSON text, in bytes.
pub(crate) fn json_length(map: &Map<String, Value>) -> usize {
    let mut length = Length(0);
    // Counting cannot fail, and keys are strings.
    drop(serde_json::to_writer(&mut length, map));
    length.0
}

/// Counts written bytes and discards them.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
