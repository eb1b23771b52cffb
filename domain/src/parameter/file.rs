//! Uploaded files: an object, or an object as JSON or YAML text. Messages never quote the content.

use serde_json::Value;

use crate::{
    document::{MAX_BYTES, MAX_DEPTH},
    secret::{SecretMap, SecretValue},
};

/// Parses an object from JSON text.
pub(super) fn json(text: &str) -> Result<SecretMap, String> {
    let text = trimmed(text)?;
    match serde_json::from_str::<Value>(text).map(SecretValue::from) {
        Ok(value) => value.into_map().map_err(|_| "must be a JSON object".into()),
        Err(error) => {
            Err(format!("must be valid JSON: parsing failed at line {} column {}", error.line(), error.column()))
        }
    }
}

/// Parses an object from YAML text. The limits prevent a few lines of aliases from expanding to gigabytes.
pub(super) fn yaml(text: &str) -> Result<SecretMap, String> {
    let text = trimmed(text)?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_documents: 1,
            max_nodes: 20_000,
            max_events: 50_000,
            max_aliases: 200,
            max_total_scalar_bytes: 2 * MAX_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
        },
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Value>(text, options).map(SecretValue::from) {
        Ok(value) => value.into_map().map_err(|_| "must be a YAML mapping".into()),
        Err(error) => Err(match error.location() {
            Some(place) => {
                format!("must be valid YAML within the limits: parsing failed at line {}", place.line())
            }
            None => "must be valid YAML within the limits".into(),
        }),
    }
}

fn trimmed(text: &str) -> Result<&str, String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.len() > MAX_BYTES { Err(format!("must not be longer than {} kB", MAX_BYTES / 1024)) } else { Ok(text) }
}
