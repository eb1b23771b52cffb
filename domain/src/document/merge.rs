//! Updates of documents: JSON merge patch (RFC 7386), where the mask keeps the stored secret.

use serde_json::{Map, Value};

use super::{MASK, check_limits, mask::named_like_a_secret};
use crate::{
    invalid::{Findings, Invalid},
    secret::{SecretMap, SecretValue},
};

/// Keys that identify an item of an array.
const IDENTIFYING: [&str; 3] = ["id", "name", "key"];

/// Applies `patch` to `stored`, secrets included: objects merge by key, `null` removes, anything else replaces. [`MASK`] keeps the
/// stored value. An array replaces the stored one as a whole; a mask in it refers to the value stored at the same index, and is refused
/// if that is ambiguous: the array became shorter, or the item there has another `id`, `name` or `key`. `at` is the path of the object
/// in the request.
///
/// # Errors
/// Every mask without a stored value; a secret that a new name would expose; a patch or a result beyond the limits of [`check_limits`].
/// `stored` is then unchanged.
pub fn merge_patch(at: &str, stored: &mut SecretMap, patch: SecretMap) -> Result<(), Invalid> {
    check_limits(at, &patch)?;
    let mut findings = Findings::default();
    let mut merged = stored.clone();
    merge_object(at, &mut merged, patch, &mut findings);
    let merged = findings.finish(Some(merged))?;
    check_limits(at, &merged)?;
    *stored = merged;
    Ok(())
}

fn merge_object(at: &str, target: &mut SecretMap, patch: SecretMap, findings: &mut Findings) {
    let hidden = if named_like_a_secret(target.expose()) { target.get("value").cloned() } else { None };
    let hidden = hidden.map(SecretValue::from);
    for (key, change) in patch.into_entries() {
        if change.expose().is_null() {
            target.remove(&key);
            continue;
        }
        let at = format!("{at}.{key}");
        let old = target.remove(&key);
        let new = match change.into_map() {
            Ok(change) => {
                let mut inner = old.and_then(|old| old.into_map().ok()).unwrap_or_default();
                merge_object(&at, &mut inner, change, findings);
                inner.into()
            }
            Err(change) => unmask(&at, change, old.as_ref().map(SecretValue::expose), findings),
        };
        target.insert(key, new);
    }
    // Only the name made the value a secret: under another name it would be shown.
    let kept =
        |hidden: &Value, now: &Value| has_value(hidden) && (hidden == now || (hidden.is_object() && now.is_object()));
    let is_kept = hidden.as_ref().zip(target.get("value")).is_some_and(|(hidden, now)| kept(hidden.expose(), now));
    if is_kept && !named_like_a_secret(target.expose()) {
        findings.add(format!("{at}.value"), "must be sent again when its name changes");
    }
}

/// `new`, with every mask replaced by the value of `old` in the same place.
fn unmask(at: &str, new: SecretValue, old: Option<&Value>, findings: &mut Findings) -> SecretValue {
    // Below, only masks are dropped: every exposed value is part of the returned one.
    unmask_exposed(at, new.into_exposed(), old, findings).into()
}

fn unmask_exposed(at: &str, new: Value, old: Option<&Value>, findings: &mut Findings) -> Value {
    match new {
        Value::String(text) if text == MASK => match old {
            Some(old) if has_value(old) => old.clone(),
            _ => {
                findings.add(at, format!("must be the value itself, not the mask {MASK:?}: there is no stored value"));
                Value::String(text)
            }
        },
        Value::Array(items) => {
            let old = old.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if items.len() < old.len() && items.iter().any(contains_mask) {
                findings.add(
                    at,
                    format!("must contain the secrets themselves, not the mask {MASK:?}, when items are removed"),
                );
            }
            let items = items.into_iter().enumerate();
            items
                .map(|(index, item)| unmask_exposed(&format!("{at}.{index}"), item, old.get(index), findings))
                .collect()
        }
        Value::Object(map) => {
            let old = old.and_then(Value::as_object).filter(|old| same_item(&map, old));
            map.into_iter()
                .map(|(key, value)| {
                    let old = old.and_then(|old| old.get(&key));
                    let value = unmask_exposed(&format!("{at}.{key}"), value, old, findings);
                    (key, value)
                })
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => new,
    }
}

/// Whether the value is not empty: only then is it masked.
fn has_value(value: &Value) -> bool {
    !value.is_null() && value != ""
}

fn same_item(new: &Map<String, Value>, old: &Map<String, Value>) -> bool {
    let plain = |value: &&Value| value.is_string() || value.is_number();
    IDENTIFYING.iter().all(|key| {
        let (new, old) = (new.get(*key).filter(plain), old.get(*key).filter(plain));
        // A mask hides the identifying value: it cannot be compared, and counts as equal.
        new == old || new.is_some_and(|new| new == MASK)
    })
}

fn contains_mask(value: &Value) -> bool {
    match value {
        Value::String(text) => text == MASK,
        Value::Array(items) => items.iter().any(contains_mask),
        Value::Object(map) => map.values().any(contains_mask),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
