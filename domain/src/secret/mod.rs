//! Decrypted secrets. Their memory is overwritten with zeros when they are dropped, their `Debug` shows nothing, and they have no
//! `Display` and no `Serialize`. `expose` is for the adapter that sends or seals the value, and for the answer to whoever may read a
//! kubeconfig.
//!
//! A type that is a secret is named `Secret…`, so that it is noticed in a signature: [`SecretMap`] and [`SecretValue`] for JSON from
//! the request body on, [`SecretDocument`], and `SecretString` of the crate `secrecy` for a single text. [`Password`],
//! [`PasswordHash`] and [`Kubeconfig`] keep the words that everybody uses for them, as the Kubernetes client and the crate
//! `password-hash` do: each of them already says that it is a secret, and no type of that name holds anything else.
//!
//! A type that holds a secret among other things, such as a provider's credentials or a cluster as an engine is asked for it, has
//! the name of what it is and holds the secret as one of these types. That part of it then hides and overwrites itself, and the rest
//! may be shown.
//!
//! Two things are out of reach: what libraries copy while they parse or send a value, and numbers, which are part of the value that
//! holds them.

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
            /// Takes the text into custody.
            #[must_use]
            pub fn new(text: String) -> Self {
                Self(in_custody(text))
            }

            /// The text, for the one place that needs it.
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

/// The text as a secret. Memory beyond its end would be given back, for which the text may be moved: then nothing of it stays behind.
fn in_custody(mut text: String) -> SecretString {
    if text.len() == text.capacity() {
        return SecretString::from(text);
    }
    let secret = SecretString::from(text.as_str());
    text.zeroize();
    secret
}

secret!(
    /// A password as a person typed it.
    Password
);
secret!(
    /// A password's hash in PHC string format; it is as secret as the password is weak.
    PasswordHash
);
secret!(
    /// A kubeconfig as JSON text: parsed, checked and reduced to what was checked (see [`crate::kubeconfig`]).
    Kubeconfig
);
secret!(
    /// A JSON object with the secret parts of a record's free-form fields still in it, as JSON text.
    SecretDocument
);

impl Password {
    /// Fewest and most characters a password may have.
    pub const LENGTH: std::ops::RangeInclusive<usize> = 1..=1024;
}

#[cfg(test)]
mod tests;
