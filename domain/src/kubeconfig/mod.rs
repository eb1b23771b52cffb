//! Kubeconfigs from users: untrusted input that could run commands, read our files and connect to any address. [`parse`] validates it
//! once and keeps only known fields; everything else works with the result.
//!
//! Kept: servers, certificates, tokens, client certificates, user names and passwords, for every context. Refused: commands (`exec`,
//! `auth-provider`), file names, proxies, impersonation and servers at denied addresses. Other fields (`extensions`, unknown keys) are
//! dropped.

mod access;
mod address;
mod check;

use serde_json::Value;

pub use access::{ApiAccess, Credentials, with_token};
pub use address::AddressRules;

use crate::{
    invalid::Invalid,
    secret::{Kubeconfig, SecretValue, json_length},
};

/// Maximum size of a kubeconfig, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// Parses and validates a kubeconfig: a JSON object, or YAML text in a JSON string.
///
/// # Errors
/// All errors, as fields below `kubeconfig`. Messages never quote a value of the input.
pub fn parse(input: &SecretValue, rules: &AddressRules) -> Result<Kubeconfig, Invalid> {
    match input.expose() {
        Value::String(text) => parse_yaml(text, rules),
        Value::Object(document) => {
            if json_length(document) > MAX_BYTES {
                return Err(too_large());
            }
            check::check(document, rules)
        }
        _ => Err(Invalid::field("kubeconfig", "must be an object or YAML text")),
    }
}

/// Parses and validates a kubeconfig in YAML, of which JSON is a subset.
///
/// # Errors
/// As [`parse`].
pub fn parse_yaml(text: &str, rules: &AddressRules) -> Result<Kubeconfig, Invalid> {
    if text.len() > MAX_BYTES {
        return Err(too_large());
    }
    // Limits the expansion of anchors and aliases, not only the size of the text.
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
    // Like kubectl: `n` is a string, not false.
    let options = serde_saphyr::options! { budget: budget, strict_booleans: true, with_snippet: false };
    let document = serde_saphyr::from_str_with_options::<Value>(text, options).map_err(|error| {
        // The library's message may quote the input, which contains secrets.
        let place = error.location().map(|at| format!(" (line {}, column {})", at.line(), at.column()));
        Invalid::field("kubeconfig", format!("is not valid YAML{}", place.unwrap_or_default()))
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
