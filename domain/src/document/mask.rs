//! Masking: which values of a document are secret, and how they are hidden.

use serde_json::{Map, Value};

use super::Document;
use crate::{
    invalid::{Findings, Invalid},
    secret::{SecretDocument, SecretMap},
};

/// Replaces a secret in answers. In an update it means "keep the stored value".
pub const MASK: &str = "*******";

/// Parts of key names that indicate a secret. Compared with the key in lower case and without punctuation, so that
/// `api_key`, `apiKey` and `API-Key` are equal.
const SECRET_WORDS: [&str; 15] = [
    "accesskey",
    "accountkey",
    "apikey",
    "authorization",
    "bearer",
    "credential",
    "keydata",
    "kubeconfig",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "token",
];

/// A document split into what may be shown and what is secret.
#[derive(Debug, Clone)]
pub struct Split {
    /// The object with every secret replaced by [`MASK`].
    pub shown: Document,
    /// The whole object, if anything in it was masked.
    pub sealed: Option<SecretDocument>,
}

/// Masks every secret in `full`: values at a path for which `is_secret` returns true, values under a key whose name indicates a
/// secret, and private keys in PEM, at any depth. A value of any type is masked as a whole; `null` and the empty string mean
/// that there is no secret and are not masked.
///
/// The path passed to `is_secret` consists of the keys from the outermost object; an item of an array has the path of the array.
#[must_use]
pub fn split(full: &SecretMap, is_secret: &dyn Fn(&[&str]) -> bool) -> Split {
    let mut masker = Masker { is_secret, masked: false };
    let shown = Document::of(masker.object(full.expose(), &mut Vec::new()));
    let sealed = masker.masked.then(|| full.to_document());
    Split { shown, sealed }
}

/// Refuses [`MASK`] where [`split`] would mask a value: on create there is no stored value that it could refer to. `at` is the path of
/// the object in the request.
///
/// # Errors
/// Every field that contains the mask.
pub fn refuse_masks(at: &str, full: &SecretMap, is_secret: &dyn Fn(&[&str]) -> bool) -> Result<(), Invalid> {
    let mut findings = Findings::default();
    find_masks(full.expose(), at, &mut Vec::new(), false, is_secret, &mut findings);
    findings.finish(Some(()))
}

struct Masker<'f> {
    is_secret: &'f dyn Fn(&[&str]) -> bool,
    masked: bool,
}

impl Masker<'_> {
    fn object<'a>(&mut self, map: &'a Map<String, Value>, path: &mut Vec<&'a str>) -> Map<String, Value> {
        let mut shown = Map::new();
        for (key, value) in map {
            path.push(key);
            let out =
                if is_masked(map, key, path, self.is_secret) { self.mask(value) } else { self.value(value, path) };
            path.pop();
            shown.insert(key.clone(), out);
        }
        shown
    }

    fn value<'a>(&mut self, value: &'a Value, path: &mut Vec<&'a str>) -> Value {
        match value {
            Value::Object(map) => Value::Object(self.object(map, path)),
            Value::Array(items) => items.iter().map(|item| self.value(item, path)).collect(),
            Value::String(text) if is_private_key(text) => self.mask(value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }

    fn mask(&mut self, value: &Value) -> Value {
        match value {
            Value::Null => Value::Null,
            Value::String(text) if text.is_empty() => Value::String(String::new()),
            _ => {
                self.masked = true;
                Value::from(MASK)
            }
        }
    }
}

/// Whether the value of `key` in `map` is masked, whatever its type.
fn is_masked(map: &Map<String, Value>, key: &str, path: &[&str], is_secret: &dyn Fn(&[&str]) -> bool) -> bool {
    is_secret(path) || indicates_secret(key) || (key == "value" && named_like_a_secret(map))
}

/// Whether `map` is a named value, as in lists of variables: `{"name": "DB_PASSWORD", "value": …}`.
pub(super) fn named_like_a_secret(map: &Map<String, Value>) -> bool {
    ["name", "key"].iter().any(|name| map.get(*name).and_then(Value::as_str).is_some_and(indicates_secret))
}

fn indicates_secret(key: &str) -> bool {
    let plain: String = key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    plain == "pass" || SECRET_WORDS.iter().any(|word| plain.contains(word))
}

fn is_private_key(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
}

fn find_masks<'a>(
    map: &'a Map<String, Value>,
    at: &str,
    path: &mut Vec<&'a str>,
    hidden: bool,
    is_secret: &dyn Fn(&[&str]) -> bool,
    findings: &mut Findings,
) {
    for (key, value) in map {
        path.push(key);
        let hidden = hidden || is_masked(map, key, path, is_secret);
        find_masks_in(value, &format!("{at}.{key}"), path, hidden, is_secret, findings);
        path.pop();
    }
}

fn find_masks_in<'a>(
    value: &'a Value,
    at: &str,
    path: &mut Vec<&'a str>,
    hidden: bool,
    is_secret: &dyn Fn(&[&str]) -> bool,
    findings: &mut Findings,
) {
    match value {
        Value::String(text) if hidden && text == MASK => {
            findings.add(at, format!("must be the secret itself, not the mask {MASK:?}"));
        }
        Value::Object(map) => find_masks(map, at, path, hidden, is_secret, findings),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_masks_in(item, &format!("{at}.{index}"), path, hidden, is_secret, findings);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
