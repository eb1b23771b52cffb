//! What keeps a configuration from being used, collected so that all of it is told at once.

use std::{borrow::Cow, fmt};

/// One setting that cannot be used as it is. Never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting as it was given: `KQUEEN_PORT`, or `etcd.port in config/dev.toml`.
    pub name: String,
    /// What is wrong with it.
    pub wrong: Cow<'static, str>,
    /// What would be accepted, or what to do.
    pub accepted: Cow<'static, str>,
}

impl Problem {
    /// A problem with the setting called `name`.
    pub fn new(
        name: impl Into<String>,
        wrong: impl Into<Cow<'static, str>>,
        accepted: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { name: name.into(), wrong: wrong.into(), accepted: accepted.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.name, self.wrong, self.accepted)
    }
}

/// Every problem of a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} problem{}", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for Problems {}
