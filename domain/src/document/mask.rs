//! What is secret in a document, and how it is kept out of what is shown.

use serde_json::{Map, Value};

use super::Document;
use crate::{
    invalid::{Findings, Invalid},
    secret::{SecretDocument, SecretMap},
};

/// Stands for a secret in answers; sent back in a change it means "keep what is stored".
pub const MASK: &str = "*******";

/// Parts of key names that announce a secret. Compared with the key in lower case and without punctuation, so that
/// `api_key`, `apiKey` and `API-Key` are one.
const TELLING: [&str; 15] = [
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

/// A document cut in what may be shown and what may not.
#[derive(Debug, Clone)]
pub struct Split {
    /// The object with every secret replaced by [`MASK`].
    pub shown: Document,
    /// The whole object, if anything in it was masked.
    pub sealed: Option<SecretDocument>,
}

/// Masks every secret in `full`: values at a path for which `is_secret` answers yes, values under a key whose name announces a
/// secret, and private keys in PEM, at any depth. A masked value is masked whole, whatever its type; `null` and the empty
/// string say that there is no secret and stay.
///
/// The path given to `is_secret` holds the keys from the outermost object on; an item of an array has the path of the array.
#[must_use]
pub fn split(full: &SecretMap, is_secret: &dyn Fn(&[&str]) -> bool) -> Split {
    let mut masker = Masker { is_secret, masked: false };
    let shown = Document::of(masker.object(full.expose(), &mut Vec::new()));
    let sealed = masker.masked.then(|| full.to_document());
    Split { shown, sealed }
}

/// Refuses [`MASK`] where [`split`] would hide a value: on create there is nothing stored that it could stand for. `at` is where
/// the object stands in the request.
///
/// # Errors
/// Every place that holds the mask.
pub fn refuse_masks(at: &str, given: &SecretMap, is_secret: &dyn Fn(&[&str]) -> bool) -> Result<(), Invalid> {
    let mut found = Findings::default();
    find_masks(given.expose(), at, &mut Vec::new(), false, is_secret, &mut found);
    found.finish(Some(()))
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
            let out = if hides(map, key, path, self.is_secret) { self.conceal(value) } else { self.value(value, path) };
            path.pop();
            shown.insert(key.clone(), out);
        }
        shown
    }

    fn value<'a>(&mut self, value: &'a Value, path: &mut Vec<&'a str>) -> Value {
        match value {
            Value::Object(map) => Value::Object(self.object(map, path)),
            Value::Array(items) => items.iter().map(|item| self.value(item, path)).collect(),
            Value::String(text) if is_private_key(text) => self.conceal(value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }

    fn conceal(&mut self, value: &Value) -> Value {
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

/// Whether the value of `key` in `map` is to be hidden, whatever it is.
fn hides(map: &Map<String, Value>, key: &str, path: &[&str], is_secret: &dyn Fn(&[&str]) -> bool) -> bool {
    is_secret(path) || announces_secret(key) || (key == "value" && named_like_a_secret(map))
}

/// Whether `map` is a named value, as in lists of variables: `{"name": "DB_PASSWORD", "value": …}`.
pub(super) fn named_like_a_secret(map: &Map<String, Value>) -> bool {
    ["name", "key"].iter().any(|name| map.get(*name).and_then(Value::as_str).is_some_and(announces_secret))
}

fn announces_secret(key: &str) -> bool {
    let plain: String = key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    plain == "pass" || TELLING.iter().any(|word| plain.contains(word))
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
    found: &mut Findings,
) {
    for (key, value) in map {
        path.push(key);
        let hidden = hidden || hides(map, key, path, is_secret);
        find_masks_in(value, &format!("{at}.{key}"), path, hidden, is_secret, found);
        path.pop();
    }
}

fn find_masks_in<'a>(
    value: &'a Value,
    at: &str,
    path: &mut Vec<&'a str>,
    hidden: bool,
    is_secret: &dyn Fn(&[&str]) -> bool,
    found: &mut Findings,
) {
    match value {
        Value::String(text) if hidden && text == MASK => {
            found.add(at, format!("must be the secret itself, not the mask {MASK:?}"));
        }
        Value::Object(map) => find_masks(map, at, path, hidden, is_secret, found),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_masks_in(item, &format!("{at}.{index}"), path, hidden, is_secret, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
