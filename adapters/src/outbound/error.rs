//! Why nothing was answered that can be read, told apart by what can be done about it.

use std::{error::Error, io};

use kqueen_domain::{
    observation::EngineError,
    reason::{Reason, ReasonCode, Responsible},
};

/// A name leads only to addresses that tenants may not reach.
#[derive(Debug, thiserror::Error)]
#[error("the address is not allowed")]
pub(super) struct DeniedAddress;

/// A name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name cannot be resolved")]
pub(crate) struct UnknownName;

/// Why a request was not answered. No text of the library is kept: it may quote the address with what is secret in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The address is one that tenants may not reach.
    #[error("this installation does not connect to the address")]
    Denied,
    /// The name has no address.
    #[error("the name cannot be resolved")]
    UnknownName,
    /// Nothing listens there, or no way leads there.
    #[error("the connection failed")]
    NotConnected,
    /// No connection in time.
    #[error("the connection timed out")]
    ConnectTimedOut,
    /// The proxy did not let the request through.
    #[error("the proxy refuses the connection")]
    ProxyRefused,
    /// The certificate is not trusted, for another name, or out of date.
    #[error("the certificate is not accepted")]
    Certificate,
    /// No encrypted connection can be agreed on.
    #[error("no TLS connection can be negotiated")]
    Tls,
    /// The request was sent, or part of it, and nothing was answered in time.
    #[error("no response in time")]
    TimedOut,
    /// The connection ended before the whole answer was there.
    #[error("the connection was closed")]
    Cut,
    /// The answer is longer than is read.
    #[error("the response exceeds the size limit")]
    TooLarge,
    /// The request cannot be written down: a header or an address with characters that cannot be in it.
    #[error("the request cannot be sent")]
    NotSendable,
}

impl From<DeniedAddress> for SendError {
    fn from(_: DeniedAddress) -> Self {
        Self::Denied
    }
}

impl From<UnknownName> for SendError {
    fn from(_: UnknownName) -> Self {
        Self::UnknownName
    }
}

impl SendError {
    #[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
    pub(super) fn of(error: reqwest::Error) -> Self {
        if let Some(known) = causes(&error).find_map(known) {
            return known;
        }
        match (error.is_connect(), error.is_timeout()) {
            (true, true) => Self::ConnectTimedOut,
            (true, false) if causes(&error).any(|cause| cause.to_string().contains("tunnel")) => Self::ProxyRefused,
            (true, false) => Self::NotConnected,
            (false, true) => Self::TimedOut,
            (false, false) if error.is_builder() => Self::NotSendable,
            (false, false) => Self::Cut,
        }
    }

    /// Whether the request certainly did not reach the provider.
    #[must_use]
    pub const fn was_not_sent(self) -> bool {
        match self {
            Self::Denied
            | Self::UnknownName
            | Self::NotConnected
            | Self::ConnectTimedOut
            | Self::ProxyRefused
            | Self::Certificate
            | Self::Tls
            | Self::NotSendable => true,
            Self::TimedOut | Self::Cut | Self::TooLarge => false,
        }
    }

    /// The same for people; `whom` is what was to be reached, such as "Google's token service".
    #[must_use]
    pub fn reason(self, whom: &str) -> Reason {
        use {ReasonCode as Code, Responsible::*};
        let (code, cause, responsible, next_step) = match self {
            Self::Denied => (
                Code::AddressDenied,
                format!("this installation does not connect to the address of {whom}"),
                Admin,
                "use another address, or ask the operator of this installation to allow it",
            ),
            Self::UnknownName => (
                Code::NameNotResolved,
                format!("the name of {whom} cannot be resolved"),
                Operator,
                "check the address; if it is correct, the DNS server of this installation does not know the name",
            ),
            Self::NotConnected => (
                Code::ProviderUnreachable,
                format!("the connection to {whom} failed"),
                Operator,
                "it is retried automatically; if this persists, check the network, the proxy and the address",
            ),
            Self::ConnectTimedOut => (
                Code::ProviderUnreachable,
                format!("the connection to {whom} timed out"),
                Operator,
                "it is retried automatically; if this persists, a firewall drops the packets or a proxy must be configured",
            ),
            Self::ProxyRefused => (
                Code::ProviderUnreachable,
                format!("the proxy does not allow requests to {whom}"),
                Operator,
                "allow them at the proxy, or correct KQUEEN_OUTBOUND_PROXY and KQUEEN_OUTBOUND_NO_PROXY",
            ),
            Self::Certificate => (
                Code::CertificateRejected,
                format!(
                    "the certificate of {whom} is not trusted, is for another name, or is outside its validity period"
                ),
                Operator,
                "if the certificate is correct, add its authority to KQUEEN_OUTBOUND_CA_FILE; also check the clock",
            ),
            Self::Tls => (
                Code::TlsFailed,
                format!("no TLS connection to {whom} can be negotiated"),
                Operator,
                "check that the address is correct and that the server supports TLS 1.2 or later",
            ),
            Self::TimedOut => (
                Code::ProviderTimedOut,
                format!("{whom} did not respond in time"),
                Provider,
                "it is retried automatically",
            ),
            Self::Cut => (
                Code::ProviderUnreachable,
                format!("the connection to {whom} was closed before the response was complete"),
                Provider,
                "it is retried automatically",
            ),
            Self::TooLarge => (
                Code::UnexpectedAnswer,
                format!("the response of {whom} exceeds the size limit"),
                Operator,
                "check that the address is correct",
            ),
            Self::NotSendable => (
                Code::InvalidParameter,
                format!("the request to {whom} cannot be sent: a parameter contains characters that are not allowed"),
                Admin,
                "correct the provisioner's parameters",
            ),
        };
        Reason::new(code, cause, responsible, next_step)
    }

    /// What an engine returns for it. A denied address and a request that cannot be written down will not be different the next time;
    /// everything else is tried again.
    #[must_use]
    pub fn engine_error(self, whom: &str) -> EngineError {
        match self {
            Self::Denied | Self::NotSendable => EngineError::Rejected(self.reason(whom)),
            _ => EngineError::Unreachable(self.reason(whom)),
        }
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), beneath)
}

/// The cause of a cause. An error of the operating system hides what it was made of.
fn beneath<'a>(cause: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => (*cause).source(),
    }
}

fn known(cause: &(dyn Error + 'static)) -> Option<SendError> {
    if cause.is::<DeniedAddress>() {
        Some(SendError::Denied)
    } else if cause.is::<UnknownName>() {
        Some(SendError::UnknownName)
    } else {
        cause.downcast_ref::<rustls::Error>().map(|error| match error {
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => SendError::Certificate,
            _ => SendError::Tls,
        })
    }
}
