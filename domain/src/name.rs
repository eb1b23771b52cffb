//! Names that people choose. Each is validated on construction.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

/// Why a name is not valid: text that follows the field's name, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(pub Cow<'static, str>);

fn invalid(message: impl Into<Cow<'static, str>>) -> InvalidName {
    InvalidName(message.into())
}

/// The rule for display names: one line of visible text, 1 to `limit` characters, no blanks at the ends.
fn one_line(text: &str, limit: usize) -> Result<(), InvalidName> {
    if text.is_empty() {
        return Err(invalid("must not be empty"));
    }
    if text.chars().count() > limit {
        return Err(invalid(format!("must have at most {limit} characters")));
    }
    if text.trim() != text {
        return Err(invalid("must not start or end with white space"));
    }
    if text.chars().any(|char| char.is_control() || is_invisible(char)) {
        return Err(invalid("must not contain control characters or invisible characters"));
    }
    Ok(())
}

/// Invisible characters, and those that change the text direction: with them, different names look the same. Joiners are allowed: some
/// scripts need them.
const fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                $check(&text)?;
                Ok(Self(text.into_boxed_str()))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidName;

            fn try_from(text: &str) -> Result<Self, InvalidName> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a cluster or provisioner: one line, 1 to 128 characters. Not unique.
    ResourceName,
    |text: &str| one_line(text, 128)
);

name!(
    /// The name of an organization: one line, 1 to 128 characters. Not unique; its [`Namespace`] is.
    OrganizationName,
    |text: &str| one_line(text, 128)
);

name!(
    /// The user name to log in with: one line, 1 to 128 characters, unique in the installation (case-sensitive).
    Username,
    |text: &str| one_line(text, 128)
);

name!(
    /// The URL-safe slug of an organization, unique in the installation: 1 to 63 of `a-z 0-9 - _`, a letter or digit first.
    Namespace,
    |text: &str| {
        if text.is_empty() || text.len() > 63 {
            return Err(invalid("must have 1 to 63 characters"));
        }
        let ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if !text.bytes().all(ok) || text.starts_with(['-', '_']) {
            return Err(invalid(
                "must consist of lower-case letters, digits, - and _, and start with a letter or digit",
            ));
        }
        Ok(())
    }
);

name!(
    /// An e-mail address of the common form `local@domain`, at most 254 characters (RFC 5321, section 4.5.3).
    /// Unique in the installation (case-insensitive).
    EmailAddress,
    |text: &str| {
        one_line(text, 254)?;
        let not_an_address = || invalid("must be an e-mail address like name@example.org");
        let (local, domain) = text.rsplit_once('@').ok_or_else(not_an_address)?;
        let local_ok = !local.is_empty()
            && local.len() <= 64
            && !local.contains(|c: char| c.is_whitespace() || matches!(c, '@' | ',' | ';' | '<' | '>' | '"' | '\\'));
        let label_ok = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        if local_ok && domain.split('.').all(label_ok) { Ok(()) } else { Err(not_an_address()) }
    }
);

impl EmailAddress {
    /// The form for comparing two addresses.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_slugs() {
        for good in ["demoorg", "a", "5", "team-1_x"] {
            assert!(Namespace::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", "Demo", "-a", "a/b", "a b", "ä", "a.b", &"x".repeat(64)] {
            assert!(Namespace::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_have_a_local_part_and_a_domain() {
        for good in ["admin@kqueen.net", "a.b+c@x-y.example", "root@localhost", "ü@exämple.org"] {
            assert!(EmailAddress::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a@b..c", "a b@c", "a@-b", "a@b\n", "<a@b>"] {
            assert!(EmailAddress::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn display_names_are_one_visible_line() {
        for bad in ["", " a", "a ", "a\nb", "a\u{0}", &"x".repeat(129)] {
            assert!(ResourceName::try_from(bad).is_err(), "{bad:?}");
        }
        for unseen in ["\u{202e}evil", "pro\u{200b}d", "a\u{2066}b", "a\u{feff}b", "a\u{ad}b"] {
            assert!(ResourceName::try_from(unseen).is_err(), "{unseen:?}");
        }
        for good in ["Größe 3 — Prag", "می\u{200c}خواهم", "الإنتاج"] {
            assert!(ResourceName::try_from(good).is_ok(), "{good:?}");
        }
    }
}
