//! Values that must not come out. Their `Debug` shows nothing, they have no `Display` and no `Serialize`; `expose` is for
//! the adapter that sends or seals the value and for the answer to who has just written a kubeconfig and may read it.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Takes the text into custody.
            #[must_use]
            pub fn new(text: String) -> Self {
                Self(SecretString::from(text))
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
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Password::new("hunter2".into())), "Password(hidden)");
    }
}
