//! Kubeconfigs as they arrive from people: untrusted input that would, taken as it is, run commands, read our files and connect
//! wherever it says. [`parse`] checks it once and keeps only what it understands; everything behind it works with that text.
//!
//! Kept are servers, certificates, tokens, client certificates and names and passwords, for every context. Refused, wherever they
//! stand, are commands (`exec`, `auth-provider`), names of files, proxies, impersonation and servers at denied addresses. What
//! means nothing to us (`extensions`, unknown keys) is dropped.

mod access;
mod address;
mod check;

use serde_json::Value;

pub use access::{ApiAccess, Credentials};
pub use address::AddressRules;

use crate::{
    invalid::Invalid,
    secret::{Kubeconfig, SecretValue, json_length},
};

/// Most bytes a kubeconfig may have.
pub const MAX_BYTES: usize = 256 * 1024;

/// Reads and checks a kubeconfig: a JSON object, or YAML text in a JSON string.
///
/// # Errors
/// Everything wrong with it, as fields below `kubeconfig`. No message repeats a value of the input.
pub fn parse(input: &SecretValue, rules: &AddressRules) -> Result<Kubeconfig, Invalid> {
    match input.expose() {
        Value::String(text) => parse_yaml(text, rules),
        Value::Object(document) => {
            if json_length(document) > MAX_BYTES {
                return Err(too_large());
            }
            check::check(document, rules)
        }
        _ => Err(Invalid::field("kubeconfig", "must be an object, or text in YAML")),
    }
}

/// Reads and checks a kubeconfig in YAML (of which JSON is a part).
///
/// # Errors
/// As [`parse`].
pub fn parse_yaml(text: &str, rules: &AddressRules) -> Result<Kubeconfig, Invalid> {
    if text.len() > MAX_BYTES {
        return Err(too_large());
    }
    // The size of what anchors and aliases unfold to is bounded here, not only the size of the text.
    let budget = serde_saphyr::budget! {
        max_depth: 32,
        max_events: 20_000,
        max_nodes: 20_000,
        max_aliases: 100,
        max_anchors: 100,
        max_documents: 1,
        max_recorded_anchor_events: 20_000,
        max_total_scalar_bytes: MAX_BYTES,
    };
    // As kubectl reads it: `n` is a name, not "no".
    let options = serde_saphyr::options! { budget: budget, strict_booleans: true, with_snippet: false };
    let document = serde_saphyr::from_str_with_options::<Value>(text, options).map_err(|error| {
        // The library's own words may quote the input, and with it a secret.
        let place = error.location().map(|at| format!(" (line {}, column {})", at.line(), at.column()));
        Invalid::field("kubeconfig", format!("is not readable YAML{}", place.unwrap_or_default()))
    })?;
    match SecretValue::from(document).expose() {
        Value::Object(document) => check::check(document, rules),
        _ => Err(Invalid::field("kubeconfig", "must be an object with `clusters`, `contexts` and `users`")),
    }
}

fn too_large() -> Invalid {
    Invalid::field("kubeconfig", format!("must not be larger than {} kB", MAX_BYTES / 1024))
}

#[cfg(test)]
mod tests;
