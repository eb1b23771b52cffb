//! JSON that may hold secrets: a request body, parameters, metadata, a kubeconfig as it arrives. Which of its values are secret is
//! known only to the schema, so all of it is treated as secret until [`crate::document::split`] has said which may be shown.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use zeroize::Zeroize;

use super::SecretDocument;

/// A JSON object that may hold secrets. Its keys and texts are overwritten with zeros when it is dropped.
#[derive(Clone, PartialEq, Default)]
pub struct SecretMap(Map<String, Value>);

/// A JSON value that may hold secrets. Its keys and texts are overwritten with zeros when it is dropped.
#[derive(Clone, PartialEq, Default)]
pub struct SecretValue(Value);

impl SecretMap {
    /// An object without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads JSON text. The parser's error is dropped: it may quote the text.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// The object, for the place that needs it.
    #[must_use]
    pub fn expose(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Takes the object out. Nothing overwrites it from then on: for what turns out to hold no secret.
    #[must_use]
    pub fn into_exposed(mut self) -> Map<String, Value> {
        std::mem::take(&mut self.0)
    }

    /// The entries, each value by itself.
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

    /// Sets a value. The one before is overwritten.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<SecretValue>) {
        let before = self.0.insert(key.into(), value.into().into_exposed());
        drop(before.map(SecretValue));
    }

    /// Reads it into a type of its own, as engines do with their parameters, without a copy of the whole in between. The error is
    /// dropped: it may quote a value.
    #[must_use]
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(&self.0).ok()
    }

    /// The object as compact JSON text.
    #[must_use]
    pub fn to_document(&self) -> SecretDocument {
        SecretDocument::new(self.to_text())
    }

    /// The object as compact JSON text, in memory of just that length: growing would leave copies of its beginning behind.
    pub(crate) fn to_text(&self) -> String {
        let mut text = Vec::with_capacity(json_length(&self.0));
        // A vector refuses nothing, and keys are texts.
        drop(serde_json::to_writer(&mut text, &self.0));
        String::from_utf8(text).unwrap_or_default()
    }
}

impl SecretValue {
    /// The value, for the place that needs it.
    #[must_use]
    pub fn expose(&self) -> &Value {
        &self.0
    }

    /// Takes the value out. Nothing overwrites it from then on.
    #[must_use]
    pub fn into_exposed(mut self) -> Value {
        self.0.take()
    }

    /// The text, if it is one, to be changed in its place.
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

    /// The text, if it is one. Nothing overwrites it from then on: a secret is to be handed on to a type that does.
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
        each_text_of_map(std::mem::take(&mut self.0), &mut overwrite);
    }
}

impl Drop for SecretValue {
    fn drop(&mut self) {
        each_text(self.0.take(), &mut overwrite);
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

fn overwrite(mut text: String) {
    text.zeroize();
}

/// Takes a value apart and hands over each text in it, keys of objects included.
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

/// How many bytes the object has as compact JSON text.
pub(crate) fn json_length(map: &Map<String, Value>) -> usize {
    let mut length = Length(0);
    // A counter refuses nothing, and keys are texts.
    drop(serde_json::to_writer(&mut length, map));
    length.0
}

/// Counts what is written and keeps nothing of it.
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
