//! Reasons of failures, with what people can do about them.

use std::fmt;

use serde::Serialize;

/// Who is responsible for correcting a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Responsible {
    /// The user who made the request: a name, a size, a parameter.
    Requester,
    /// The organization's admins: credentials, permissions, quota.
    Admin,
    /// The operator of this installation: network, settings.
    Operator,
    /// The provider: it is down or failed.
    Provider,
}

impl Responsible {
    /// The value in the API.
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

/// The codes with their descriptions, which are the documentation here and in the API document.
macro_rules! codes {
    ($($(#[doc = $description:literal])+ $code:ident,)+) => {
        /// The kind of a problem, for programs: a closed list, with a code for each kind that has its own next step. Named like the reasons
        /// of Kubernetes conditions. Decisions depend on codes, never on texts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum ReasonCode {
            $($(#[doc = $description])+ $code,)+
        }

        impl ReasonCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The value in the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($code),)+
                }
            }

            /// The code with that value in the API.
            #[must_use]
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == word)
            }

            /// A description, in one line.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$code => concat!($($description),+).trim_ascii(),)+
                }
            }
        }
    };
}

codes! {
    // Errors of a provider.
    /// The provider rejected the credentials of the provisioner.
    CredentialsRejected,
    /// The credentials of the provisioner lack a permission at the provider.
    PermissionDenied,
    /// The account, project or subscription at the provider is suspended, or billing is not enabled for it.
    AccountDisabled,
    /// A required service of the provider is not enabled for the account.
    ServiceNotEnabled,
    /// The request exceeds a quota or limit at the provider.
    QuotaExceeded,
    /// The provider currently has insufficient capacity for the request.
    CapacityUnavailable,
    /// The name is already used at the provider by a resource that was not created for this cluster.
    NameTaken,
    /// A parameter refers to a project, region, network or similar that does not exist at the provider.
    NotFound,
    /// A parameter of the provisioner or of the cluster is invalid.
    InvalidParameter,
    /// The operation is not possible in the current state of the cluster.
    InvalidState,
    /// The resource to change or delete is still used by another resource.
    ResourceInUse,
    /// The provider must finish another operation first. The request is retried.
    ProviderBusy,
    /// Requests are rate-limited. The request is retried after the requested delay.
    Throttled,
    /// The connection to the provider could not be established, or was lost. The request is retried.
    ProviderUnreachable,
    /// The provider did not respond in time. The request is retried.
    ProviderTimedOut,
    /// The provider reports that it is temporarily unavailable. The request is retried.
    ProviderUnavailable,
    /// The response is unexpected, invalid, or larger than the maximum size.
    UnexpectedAnswer,
    /// The server at the configured address is not the expected service.
    WrongEndpoint,
    // The state of a cluster at its provider.
    /// The provider reports that the cluster, or a part of it, has failed.
    ProvisioningFailed,
    /// The cluster at the provider no longer has the ownership tag of this installation. It is not changed.
    OwnershipLost,
    /// The cluster does not exist at the provider. Retry to deploy it again, or delete it.
    ClusterMissing,
    /// Some resources of the cluster do not exist at the provider. Retry to create them, or delete the cluster.
    ClusterIncomplete,
    /// The cluster is being deleted at the provider, but not by this installation.
    DeletedElsewhere,
    // The end of an operation.
    /// The operation did not finish before its deadline. The cause says what it was waiting for.
    DeadlineExceeded,
    /// A user cancelled the operation. It can be retried.
    Cancelled,
    /// The operation was replaced by a later request.
    Superseded,
    /// The record of an operation in progress no longer exists. Retry, or delete the cluster.
    OperationLost,
    // This installation.
    /// The engine does not support the operation.
    Unsupported,
    /// The operator of this installation has not enabled the engine.
    EngineNotOffered,
    /// The host of this installation is misconfigured, for example a directory is not writable.
    HostMisconfigured,
    /// The operator of this installation does not allow connections to the address.
    AddressDenied,
    // Access to a cluster.
    /// The kubeconfig is invalid or cannot be used.
    KubeconfigUnusable,
    /// The API server rejected the credentials in the kubeconfig.
    KubeconfigRejected,
    /// The credentials in the kubeconfig lack a permission in the cluster.
    KubeconfigLacksRights,
    /// The host name of the server could not be resolved.
    NameNotResolved,
    /// The connection to the API server could not be established, or was lost.
    ClusterUnreachable,
    /// The API server did not respond in time.
    ClusterTimedOut,
    /// The API server reports that it is temporarily unavailable.
    ClusterUnavailable,
    /// The certificate of the server is not trusted, not valid for its host name, or expired.
    CertificateRejected,
    /// The TLS handshake with the server failed.
    TlsFailed,
    // Other.
    /// No other code applies. Also used for reasons that another version recorded.
    Unknown,
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Maximum characters of a provider message.
pub const MAX_PROVIDER_MESSAGE: usize = 2_000;

/// Why something failed. Contains nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reason {
    /// The kind of problem.
    pub code: ReasonCode,
    /// The cause, as text for people.
    pub cause: String,
    /// Who is responsible.
    pub responsible: Responsible,
    /// What to do next, as text for people.
    pub next_step: String,
    /// The message of the provider.
    pub provider_message: Option<String>,
}

impl Reason {
    /// A reason without a provider message.
    #[must_use]
    pub fn new(
        code: ReasonCode,
        cause: impl Into<String>,
        responsible: Responsible,
        next_step: impl Into<String>,
    ) -> Self {
        Self { code, cause: cause.into(), responsible, next_step: next_step.into(), provider_message: None }
    }

    /// Whether both are the same problem, whatever their texts: it need not be reported again.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.code, self.responsible) == (other.code, other.responsible)
    }

    /// This reason, or the one before if only the provider message differs: it often contains a request id or a time and changes with every
    /// answer.
    #[must_use]
    pub fn or_first(self, before: Option<&Self>) -> Self {
        let is_same = |before: &&Self| {
            Self { provider_message: None, ..(*before).clone() } == Self { provider_message: None, ..self.clone() }
        };
        before.filter(is_same).cloned().unwrap_or(self)
    }

    /// Adds the provider message, truncated to [`MAX_PROVIDER_MESSAGE`] characters.
    #[must_use]
    pub fn with_provider_message(mut self, message: impl Into<String>) -> Self {
        let message = message.into();
        let message = message.trim();
        self.provider_message = (!message.is_empty()).then(|| message.chars().take(MAX_PROVIDER_MESSAGE).collect());
        self
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        if let Some(message) = &self.provider_message {
            write!(f, " (provider message: {message})")?;
        }
        if self.next_step.is_empty() { Ok(()) } else { write!(f, "; {}", self.next_step) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_reads_as_one_sentence() {
        let reason = Reason::new(
            ReasonCode::QuotaExceeded,
            "the quota of 3 nodes is used up",
            Responsible::Admin,
            "raise it or delete a cluster",
        );
        assert_eq!(reason.to_string(), "the quota of 3 nodes is used up; raise it or delete a cluster");
        let reason = reason.with_provider_message("  QUOTA_EXCEEDED\n");
        assert_eq!(
            reason.to_string(),
            "the quota of 3 nodes is used up (provider message: QUOTA_EXCEEDED); raise it or delete a cluster"
        );
    }

    fn quota(words: &str) -> Reason {
        Reason::new(ReasonCode::QuotaExceeded, "the quota is used up", Responsible::Admin, "raise it")
            .with_provider_message(words)
    }

    #[test]
    fn the_first_reason_is_kept_if_only_the_provider_message_differs() {
        let (first, again) = (quota("request 1"), quota("request 2"));
        assert_eq!(again.clone().or_first(Some(&first)), first);
        assert_eq!(again.clone().or_first(None), again);
        for other in [
            Reason { code: ReasonCode::CapacityUnavailable, ..again.clone() },
            Reason { cause: "the quota of disks is used up".into(), ..again.clone() },
            Reason { responsible: Responsible::Provider, ..again.clone() },
            Reason { next_step: "delete a cluster".into(), ..again.clone() },
        ] {
            assert_eq!(other.clone().or_first(Some(&first)), other);
        }
    }

    #[test]
    fn reasons_are_compared_by_code_and_not_by_text() {
        let first = quota("request 1");
        let reworded = Reason { cause: "no quota is left".into(), next_step: "ask for more".into(), ..quota("2") };
        assert!(first.is_like(&reworded));
        assert!(!first.is_like(&Reason { code: ReasonCode::Throttled, ..first.clone() }));
        assert!(!first.is_like(&Reason { responsible: Responsible::Provider, ..first.clone() }));
    }

    #[test]
    fn the_provider_message_is_truncated_at_a_character() {
        let reason = quota(&"ü".repeat(MAX_PROVIDER_MESSAGE + 5));
        assert_eq!(reason.provider_message.unwrap().chars().count(), MAX_PROVIDER_MESSAGE);
        assert_eq!(quota("  ").provider_message, None);
    }

    #[test]
    fn every_code_is_in_camel_case_with_a_one_line_description() {
        let mut words: Vec<_> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
        for (code, word) in ReasonCode::ALL.iter().zip(&words) {
            assert!(word.starts_with(|first: char| first.is_ascii_uppercase()), "{word}");
            assert!(word.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{word}");
            assert_eq!(serde_json::to_value(code).unwrap(), *word);
            assert_eq!(ReasonCode::of(word), Some(*code));
            let description = code.description();
            assert!(description.ends_with('.') && !description.contains('\n'), "{word}: {description}");
            assert!((20..120).contains(&description.len()), "{word}: {description}");
        }
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ReasonCode::ALL.len());
    }
}
