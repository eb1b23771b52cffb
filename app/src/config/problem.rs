//! Problems of a configuration, collected so that all are reported at once.

use std::{borrow::Cow, fmt};

/// A setting with an invalid value. Never contains the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting by its source: `KQUEEN_PORT`, or `etcd.port in config/dev.toml`.
    pub name: String,
    /// What is wrong with it.
    pub wrong: Cow<'static, str>,
    /// What is accepted, or what to do.
    pub accepted: Cow<'static, str>,
}

impl Problem {
    /// A problem with the setting `name`.
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

/// All problems of a configuration; never empty.
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
