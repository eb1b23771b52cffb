//! Why something failed, said so that the people concerned can do something about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose job it is to put something right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Responsible {
    /// Whoever asked for it: a name, a size, a parameter.
    Requester,
    /// The organization's admins: credentials, rights, quota.
    Admin,
    /// Whoever runs this installation: its network, its settings.
    Operator,
    /// The provider: it is down, or failed on its own.
    Provider,
}

impl Responsible {
    /// The word programs use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requester => "requester",
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Provider => "provider",
        }
    }
}

/// Most characters that are kept of what a provider said.
pub const WORDS: usize = 2_000;

/// Why something failed. Names nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// What is the matter, in plain words.
    pub cause: String,
    /// Whose job it is.
    pub responsible: Responsible,
    /// What to do next, in plain words.
    pub next_step: String,
    /// What the provider said, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_message: Option<String>,
}

impl Reason {
    /// A reason without words of a provider.
    #[must_use]
    pub fn new(cause: impl Into<String>, responsible: Responsible, next_step: impl Into<String>) -> Self {
        Self { cause: cause.into(), responsible, next_step: next_step.into(), provider_message: None }
    }

    /// Whether both say the same to the people concerned, in whatever words the provider says it: those often differ with every answer, by
    /// a request's id or a time.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.cause, self.responsible, &self.next_step) == (&other.cause, other.responsible, &other.next_step)
    }

    /// This reason, or the one there was before if that [is like](Self::is_like) it, with the words that were said first.
    #[must_use]
    pub fn or_first(self, before: Option<&Self>) -> Self {
        before.filter(|before| before.is_like(&self)).cloned().unwrap_or(self)
    }

    /// With what the provider said, shortened to [`WORDS`] characters.
    #[must_use]
    pub fn with_words(mut self, words: impl Into<String>) -> Self {
        let words = words.into();
        let words = words.trim();
        self.provider_message = (!words.is_empty()).then(|| words.chars().take(WORDS).collect());
        self
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        if let Some(words) = &self.provider_message {
            write!(f, " (the provider says: {words})")?;
        }
        if self.next_step.is_empty() { Ok(()) } else { write!(f, "; {}", self.next_step) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_reads_as_one_sentence() {
        let reason = Reason::new("the quota of 3 nodes is used up", Responsible::Admin, "raise it or delete a cluster");
        assert_eq!(reason.to_string(), "the quota of 3 nodes is used up; raise it or delete a cluster");
        let said = reason.with_words("  QUOTA_EXCEEDED\n");
        assert_eq!(
            said.to_string(),
            "the quota of 3 nodes is used up (the provider says: QUOTA_EXCEEDED); raise it or delete a cluster"
        );
    }

    #[test]
    fn what_was_said_first_stands_for_what_is_said_again_in_other_words() {
        let quota = |words: &str| Reason::new("the quota is used up", Responsible::Admin, "raise it").with_words(words);
        let (first, again) = (quota("request 1"), quota("request 2"));
        assert_eq!(again.clone().or_first(Some(&first)), first);
        assert_eq!(again.clone().or_first(None), again);
        for other in [
            Reason { cause: "the disk is full".into(), ..again.clone() },
            Reason { responsible: Responsible::Provider, ..again.clone() },
            Reason { next_step: "delete a cluster".into(), ..again.clone() },
        ] {
            assert_eq!(other.clone().or_first(Some(&first)), other);
        }
    }

    #[test]
    fn words_are_kept_short_at_a_character() {
        let reason = Reason::new("c", Responsible::Provider, "").with_words("ü".repeat(WORDS + 5));
        assert_eq!(reason.provider_message.unwrap().chars().count(), WORDS);
        assert_eq!(Reason::new("c", Responsible::Provider, "").with_words("  ").provider_message, None);
    }
}
