//! Reasons of failures, with what people can do about them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who is responsible for correcting a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// The provider does not accept the provisioner's credentials; give it valid ones.
    CredentialsRejected,
    /// The provisioner's credentials lack a right at the provider; grant it there.
    PermissionDenied,
    /// The account, project or subscription at the provider is suspended, or has no billing; put that right there.
    AccountDisabled,
    /// A service of the provider has to be enabled for the account first.
    ServiceNotEnabled,
    /// A quota or limit at the provider is used up; raise it, delete something or ask for less.
    QuotaExceeded,
    /// The provider has no room for this now; try again later, or elsewhere.
    CapacityUnavailable,
    /// The name is taken by something that was not made for this cluster; remove or rename that.
    NameTaken,
    /// The provider does not have something that a parameter names, such as a project, a region or a network.
    NotFound,
    /// A parameter of the provisioner or the cluster is not accepted; correct it.
    InvalidParameter,
    /// What was asked for cannot be done to the cluster in the state it is in.
    InvalidState,
    /// Something else still uses what is to be changed or deleted.
    ResourceInUse,
    /// The provider works on something else that has to end first; it is tried again.
    ProviderBusy,
    /// Too many calls were made; it is tried again as late as was asked for.
    Throttled,
    /// No connection to the provider, or it was cut: its address, the network or a proxy; it is tried again.
    ProviderUnreachable,
    /// The provider did not answer in time; it is tried again.
    ProviderTimedOut,
    /// The provider answered that it cannot serve requests now; it is tried again.
    ProviderUnavailable,
    /// What was answered makes no sense, or is more than is read.
    UnexpectedAnswer,
    /// What answers at the address is not what was expected there; correct the address.
    WrongEndpoint,
    // The state of a cluster at its provider.
    /// The cluster, or a part of it, has failed at the provider.
    ProvisioningFailed,
    /// What was made at the provider does not carry our ownership tag any more; it is not touched.
    OwnershipLost,
    /// The provider does not have the cluster; deploy it again by retrying, or destroy it.
    ClusterMissing,
    /// Some of what makes up the cluster is missing at the provider; retry to make that, or destroy the cluster.
    ClusterIncomplete,
    /// The cluster is being deleted at the provider, which was not asked for here.
    DeletedElsewhere,
    // The end of an operation.
    /// It was not done by its deadline; the cause says what was waited for.
    DeadlineExceeded,
    /// Somebody stopped it; retry to go on.
    Cancelled,
    /// Something else was asked for instead.
    Superseded,
    /// Something was being done to the cluster that is not on record any more; retry, or destroy the cluster.
    OperationLost,
    // This installation.
    /// The engine cannot do this.
    Unsupported,
    /// This installation does not offer the engine; its operator can.
    EngineNotOffered,
    /// The machine this installation runs on lacks something: a writable folder, a program, space.
    HostMisconfigured,
    /// This installation does not connect to that address; its operator can allow it.
    AddressDenied,
    // Access to a cluster.
    /// The kubeconfig cannot be used; store another.
    KubeconfigUnusable,
    /// The cluster does not accept the credentials in the kubeconfig; store one with new ones.
    KubeconfigRejected,
    /// The credentials in the kubeconfig lack a right in the cluster; grant it there.
    KubeconfigLacksRights,
    /// The name of the API server cannot be resolved; correct the kubeconfig, or the name service.
    NameNotResolved,
    /// No connection to the cluster, or it was cut: its address, the network, or the cluster is down.
    ClusterUnreachable,
    /// The cluster did not answer in time.
    ClusterTimedOut,
    /// The cluster answered that it cannot serve requests now.
    ClusterUnavailable,
    /// The certificate of the API server is not trusted, for another name, or out of date.
    CertificateRejected,
    /// No encrypted connection can be agreed on.
    TlsFailed,
    // Other.
    /// None of the others; an older version wrote it down without a code.
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
