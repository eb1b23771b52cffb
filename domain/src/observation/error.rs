//! Errors of engines.

use std::time::Duration;

use crate::reason::{Reason, ReasonCode, Responsible};

/// Why a call to an engine failed, grouped by what can be done about it. Texts contain nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The engine cannot do this at all.
    #[error("the engine cannot {0}")]
    Unsupported(&'static str),
    /// This installation does not offer the engine, or not any more.
    #[error("this installation does not offer the engine")]
    NotOffered,
    /// The provider rejected the call: something has to be changed first.
    #[error("{0}")]
    Rejected(Reason),
    /// The provider does not accept the credentials, or they lack a permission.
    #[error("{0}")]
    Denied(Reason),
    /// Another operation is running at the provider and has to end first.
    #[error("the provider is busy: {0}")]
    Busy(String),
    /// The provider limits the rate of calls.
    #[error("the provider limits the rate of requests: retry after {} s", .retry_after.as_secs())]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// The provider did not answer, or the answer cannot be read. The call may have taken effect.
    #[error("{0}")]
    Unreachable(Reason),
    /// The resource itself does not exist. Not for a missing project or permission.
    #[error("the resource does not exist")]
    Missing,
}

impl EngineError {
    /// The outcome of the call is unknown; `code` says why.
    #[must_use]
    pub fn unreachable(code: ReasonCode, cause: impl Into<String>) -> Self {
        Self::Unreachable(Reason::new(code, cause, Responsible::Provider, "it is retried automatically"))
    }

    /// The error as a reason for people.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Rejected(reason) | Self::Denied(reason) | Self::Unreachable(reason) => reason.clone(),
            Self::Unsupported(what) => Reason::new(
                ReasonCode::Unsupported,
                format!("the engine cannot {what}"),
                Responsible::Operator,
                "choose an action that the engine supports",
            ),
            Self::NotOffered => Reason::new(
                ReasonCode::EngineNotOffered,
                "the engine cannot be used: this installation does not offer it",
                Responsible::Operator,
                "enable the engine on this installation again",
            ),
            Self::Busy(what) => Reason::new(
                ReasonCode::ProviderBusy,
                format!("the provider is busy: {what}"),
                Responsible::Provider,
                "it is retried automatically",
            ),
            Self::Throttled { .. } => Reason::new(
                ReasonCode::Throttled,
                "the provider limits the rate of requests",
                Responsible::Provider,
                "it is retried automatically after the delay that the provider requested",
            ),
            Self::Missing => Reason::new(
                ReasonCode::ClusterMissing,
                "the resource does not exist at the provider",
                Responsible::Provider,
                "deploy it again, or destroy it to clean up",
            ),
        }
    }

    /// Whether a call that failed with this error may have taken effect, or may still do so.
    #[must_use]
    pub const fn is_uncertain(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}
