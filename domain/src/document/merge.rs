//! Changes to a document: JSON merge patch (RFC 7386), in which the mask keeps the secret that is stored.

use serde_json::{Map, Value};

use super::{MASK, check_limits, mask::named_like_a_secret};
use crate::{
    invalid::{Findings, Invalid},
    secret::{SecretMap, SecretValue},
};

/// Keys that tell which item of an array is meant.
const IDENTIFYING: [&str; 3] = ["id", "name", "key"];

/// Applies `patch` to `stored`, secrets included: objects merge by key, `null` removes, anything else replaces. [`MASK`] keeps what
/// is stored in its place. An array replaces the stored one as a whole; a mask in it stands for what is stored at the same index,
/// which is refused where that is not certain: the array became shorter, or the item there has another `id`, `name` or `key`.
/// `at` is where the object stands in the request.
///
/// # Errors
/// Every mask with nothing stored behind it; a value that a new name would uncover; a patch or a result beyond the limits of [`check_limits`]. `stored` is then unchanged.
pub fn merge_patch(at: &str, stored: &mut SecretMap, patch: SecretMap) -> Result<(), Invalid> {
    check_limits(at, &patch)?;
    let mut found = Findings::default();
    let mut merged = stored.clone();
    merge_object(at, &mut merged, patch, &mut found);
    let merged = found.finish(Some(merged))?;
    check_limits(at, &merged)?;
    *stored = merged;
    Ok(())
}

fn merge_object(at: &str, target: &mut SecretMap, patch: SecretMap, found: &mut Findings) {
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
                merge_object(&at, &mut inner, change, found);
                inner.into()
            }
            Err(change) => unmask(&at, change, old.as_ref().map(SecretValue::expose), found),
        };
        target.insert(key, new);
    }
    // Only its name made the value a secret; under another name it would be shown.
    let kept = |hidden: &Value, now: &Value| {
        is_something(hidden) && (hidden == now || (hidden.is_object() && now.is_object()))
    };
    let is_kept = hidden.as_ref().zip(target.get("value")).is_some_and(|(hidden, now)| kept(hidden.expose(), now));
    if is_kept && !named_like_a_secret(target.expose()) {
        found.add(format!("{at}.value"), "must be given again when its name changes");
    }
}

/// `new` with every mask in it replaced by what `old` holds in the same place.
fn unmask(at: &str, new: SecretValue, old: Option<&Value>, found: &mut Findings) -> SecretValue {
    // Nothing is dropped below but masks: what is taken out of custody goes into the value that is returned.
    unmask_exposed(at, new.into_exposed(), old, found).into()
}

fn unmask_exposed(at: &str, new: Value, old: Option<&Value>, found: &mut Findings) -> Value {
    match new {
        Value::String(text) if text == MASK => match old {
            Some(old) if is_something(old) => old.clone(),
            _ => {
                found.add(
                    at,
                    format!("must be the value itself: nothing is stored that the mask {MASK:?} could stand for"),
                );
                Value::String(text)
            }
        },
        Value::Array(items) => {
            let old = old.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if items.len() < old.len() && items.iter().any(holds_mask) {
                found.add(at, format!("must name its secrets, not the mask {MASK:?}, when items are removed"));
            }
            let items = items.into_iter().enumerate();
            items.map(|(index, item)| unmask_exposed(&format!("{at}.{index}"), item, old.get(index), found)).collect()
        }
        Value::Object(map) => {
            let old = old.and_then(Value::as_object).filter(|old| same_item(&map, old));
            map.into_iter()
                .map(|(key, value)| {
                    let old = old.and_then(|old| old.get(&key));
                    let value = unmask_exposed(&format!("{at}.{key}"), value, old, found);
                    (key, value)
                })
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => new,
    }
}

/// Whether there is a secret to speak of; the rest is never masked.
fn is_something(value: &Value) -> bool {
    !value.is_null() && value != ""
}

fn same_item(new: &Map<String, Value>, old: &Map<String, Value>) -> bool {
    let plain = |value: &&Value| value.is_string() || value.is_number();
    IDENTIFYING.iter().all(|key| {
        let (new, old) = (new.get(*key).filter(plain), old.get(*key).filter(plain));
        // A mask hides what identifies the item, so it cannot speak against it.
        new == old || new.is_some_and(|new| new == MASK)
    })
}

fn holds_mask(value: &Value) -> bool {
    match value {
        Value::String(text) => text == MASK,
        Value::Array(items) => items.iter().any(holds_mask),
        Value::Object(map) => map.values().any(holds_mask),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
