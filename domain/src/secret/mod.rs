//! Decrypted secrets. Their memory is zeroed when they are dropped, their `Debug` shows nothing, and they have no `Display` and no
//! `Serialize`. `expose` is for the adapter that sends or seals the value, and for answers to callers who may read a kubeconfig.
//!
//! Secret types are named `Secret…`, so that they are recognized in signatures: [`SecretMap`] and [`SecretValue`] for JSON, from the
//! request body on, [`SecretDocument`], and `SecretString` of the crate `secrecy` for a single string. [`Password`],
//! [`PasswordHash`] and [`Kubeconfig`] keep their usual names, as in the Kubernetes client and the crate `password-hash`: the names
//! already imply a secret.
//!
//! A type that contains secrets among other data, such as a provider's credentials or a cluster's spec, has an ordinary name and
//! contains the secret as one of these types. Only that part is hidden and zeroed.
//!
//! Not covered: copies that libraries make while they parse or send a value, and numbers, which are stored inline in values.

mod json;

use std::fmt;

pub(crate) use json::json_length;
pub use json::{SecretMap, SecretValue};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroize;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// A secret with this text.
            #[must_use]
            pub fn new(text: String) -> Self {
                Self(into_secret(text))
            }

            /// The text, where it is needed.
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }
    };
}

/// The text as a secret. Shrinking the allocation may move the text and leave a copy behind: in that case, copies it and zeroes the
/// original.
fn into_secret(mut text: String) -> SecretString {
    if text.len() == text.capacity() {
        return SecretString::from(text);
    }
    let secret = SecretString::from(text.as_str());
    text.zeroize();
    secret
}

secret!(
    /// A password, as entered.
    Password
);
secret!(
    /// A password hash in PHC string format. Secret, since a weak password can be recovered from it.
    PasswordHash
);
secret!(
    /// A kubeconfig as JSON text: parsed, validated and reduced to known fields (see [`crate::kubeconfig`]).
    Kubeconfig
);
secret!(
    /// A record's free-form JSON object including its secret parts, as JSON text.
    SecretDocument
);

impl Password {
    /// Minimum and maximum number of characters of a password.
    pub const LENGTH: std::ops::RangeInclusive<usize> = 1..=1024;
}

#[cfg(test)]
mod tests;
