//! What can go wrong while reading a cluster, distinguished by who is responsible.

use std::{error::Error, io};

use kqueen_domain::{
    kubernetes::{Fault, ReadError, Section},
    observation::ProbeResult,
    port::inspector::InspectError,
    reason::ReasonCode,
};
use rustls::{AlertDescription, CertificateError};

use super::connect::ConnectError;

/// Why a cluster, or a part of it, could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProbeError {
    // There is no answer.
    NameNotFound,
    Denied,
    ConnectionRefused,
    Unroutable,
    ConnectionFailed,
    Closed,
    Unavailable(u16),
    // The answer is late.
    NotConnected,
    NoAnswer,
    // A server answers but rejects the request, or is not a Kubernetes API server.
    Unauthorized,
    Forbidden,
    NothingAllowed,
    UntrustedCertificate,
    WrongName,
    OutdatedCertificate,
    BadCertificate,
    ClientCertificate,
    TlsFailed,
    NotTls,
    TlsRequired,
    NotKubernetes,
    Redirect,
    TooLarge,
    Busy,
    UnusableKubeconfig(&'static str),
    // The failure concerns one section only.
    NotServed,
    TooMany,
    /// The list has changed too much since its first page; it can be continued with the token nevertheless.
    Expired(Option<String>),
}

/// How the port reports a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Unreachable,
    TimedOut,
    Refused,
}

impl ProbeError {
    const fn class(&self) -> Class {
        match self {
            Self::NameNotFound
            | Self::Denied
            | Self::ConnectionRefused
            | Self::Unroutable
            | Self::ConnectionFailed
            | Self::Closed
            | Self::Unavailable(_) => Class::Unreachable,
            Self::NotConnected | Self::NoAnswer => Class::TimedOut,
            Self::Unauthorized
            | Self::Forbidden
            | Self::NothingAllowed
            | Self::UntrustedCertificate
            | Self::WrongName
            | Self::OutdatedCertificate
            | Self::BadCertificate
            | Self::ClientCertificate
            | Self::TlsFailed
            | Self::NotTls
            | Self::TlsRequired
            | Self::NotKubernetes
            | Self::Redirect
            | Self::TooLarge
            | Self::Busy
            | Self::UnusableKubeconfig(_)
            | Self::NotServed
            | Self::TooMany
            | Self::Expired(_) => Class::Refused,
        }
    }

    /// The reason code.
    pub(super) const fn code(&self) -> ReasonCode {
        match self {
            Self::NameNotFound => ReasonCode::NameNotResolved,
            Self::Denied => ReasonCode::AddressDenied,
            Self::ConnectionRefused | Self::Unroutable | Self::ConnectionFailed | Self::Closed => {
                ReasonCode::ClusterUnreachable
            }
            Self::Unavailable(_) => ReasonCode::ClusterUnavailable,
            Self::NotConnected | Self::NoAnswer => ReasonCode::ClusterTimedOut,
            Self::Unauthorized | Self::ClientCertificate => ReasonCode::KubeconfigRejected,
            Self::Forbidden | Self::NothingAllowed => ReasonCode::KubeconfigLacksRights,
            Self::UntrustedCertificate | Self::WrongName | Self::OutdatedCertificate | Self::BadCertificate => {
                ReasonCode::CertificateRejected
            }
            Self::TlsFailed => ReasonCode::TlsFailed,
            Self::NotTls | Self::TlsRequired | Self::NotKubernetes | Self::Redirect => ReasonCode::WrongEndpoint,
            Self::Busy => ReasonCode::Throttled,
            Self::UnusableKubeconfig(_) => ReasonCode::KubeconfigUnusable,
            Self::TooLarge | Self::NotServed | Self::TooMany | Self::Expired(_) => ReasonCode::UnexpectedAnswer,
        }
    }

    /// What happened, who is responsible and what to do. The text is the same each time, so that it does not look like a change.
    pub(super) fn message(&self) -> String {
        match self {
            Self::NameNotFound => {
                "the name of the API server cannot be resolved: check the server address in the kubeconfig; if it is correct, \
                 the DNS server of this installation does not know the name"
            }
            Self::Denied => {
                "the server address in the kubeconfig leads to an IP address that this installation does not connect to: use \
                 another address of the cluster, or ask the operator of this installation to allow it"
            }
            Self::ConnectionRefused => {
                "nothing is listening at the address of the API server (connection refused): ask the administrator of the \
                 cluster whether it is down; if it has moved, store its new kubeconfig"
            }
            Self::Unroutable => {
                "there is no network route to the address of the API server: ask the administrator of the network between this \
                 installation and the cluster to add one"
            }
            Self::ConnectionFailed => "the connection to the API server failed: check the server address in the kubeconfig",
            Self::Closed => {
                "the API server closed the connection without a response: it may be starting or stopping; if this persists, \
                 ask the administrator of the cluster to check it"
            }
            Self::Unavailable(code) => {
                return format!(
                    "the API server, or a proxy in front of it, responds that it cannot serve requests now ({code}): ask the \
                     administrator of the cluster to check it"
                );
            }
            Self::NotConnected => {
                "the connection to the API server timed out: the machine is down or a firewall drops the packets; ask the \
                 administrator of the cluster or of the network"
            }
            Self::NoAnswer => {
                "the API server accepted the connection but did not respond in time: it is overloaded or hangs; ask the \
                 administrator of the cluster to check it"
            }
            Self::Unauthorized => {
                "the cluster does not accept the credentials in the kubeconfig (401): they are wrong, expired or revoked; ask \
                 the administrator of the cluster for new ones, and store a kubeconfig with them"
            }
            Self::Forbidden => {
                "the credentials in the kubeconfig do not have permission for this (403): ask the administrator of the cluster \
                 to grant it"
            }
            Self::NothingAllowed => {
                "the cluster accepts the credentials in the kubeconfig, but they have no permissions (403): ask the \
                 administrator of the cluster to grant them the cluster role `view`"
            }
            Self::UntrustedCertificate => {
                "the certificate of the API server is not signed by the authority in the kubeconfig: the cluster was \
                 recreated, or another server uses its address; if the cluster was recreated, store its new kubeconfig"
            }
            Self::WrongName => {
                "the certificate of the API server is not valid for the server address in the kubeconfig: use an address that \
                 the certificate contains, or set `tls-server-name`"
            }
            Self::OutdatedCertificate => {
                "the certificate of the API server is outside its validity period: ask the administrator of the cluster to \
                 renew it, or correct the clock if it is wrong"
            }
            Self::BadCertificate => {
                "the certificate of the API server cannot be accepted: ask the administrator of the cluster to replace it"
            }
            Self::ClientCertificate => {
                "the cluster does not accept the client certificate in the kubeconfig: ask the administrator of the cluster \
                 for a new one, and store a kubeconfig with it"
            }
            Self::TlsFailed => {
                "no TLS connection to the API server can be negotiated: ask the administrator of the cluster which TLS \
                 versions it supports"
            }
            Self::NotTls => {
                "the server at the address in the kubeconfig does not support TLS: to connect without TLS, the address must \
                 start with http://; otherwise the port is wrong"
            }
            Self::TlsRequired => {
                "the server requires TLS: the server address in the kubeconfig must start with https://"
            }
            Self::NotKubernetes => {
                "the server at the address in the kubeconfig is not a Kubernetes API server: check the address, port and path \
                 in the kubeconfig"
            }
            Self::Redirect => {
                "the server at the address in the kubeconfig sends a redirect, which is not followed: use the address of the \
                 API server itself in the kubeconfig"
            }
            Self::TooLarge => "the response of the API server exceeds the size limit",
            Self::Busy => "the API server limits the rate of requests (429): try again later",
            Self::UnusableKubeconfig(what) => {
                return format!("the kubeconfig cannot be used: {what}; store a new one");
            }
            Self::NotServed => "the cluster does not serve this",
            Self::TooMany => "there are more items than are shown",
            Self::Expired(_) => "the list changed faster than it could be read: try again",
        }
        .to_owned()
    }

    /// Converts it to the result of a probe.
    pub(super) fn into_probe_result(self) -> ProbeResult {
        let (code, reason) = (self.code(), self.message());
        match self.class() {
            Class::Unreachable | Class::TimedOut => ProbeResult::NoAnswer { code, reason },
            Class::Refused => ProbeResult::Refused { code, reason },
        }
    }

    /// The error that a view shows for one section.
    pub(super) fn of_section(&self, section: Section) -> ReadError {
        let title = section.title();
        let fault = match self {
            Self::Forbidden => Fault::Forbidden,
            Self::NotServed => Fault::NotServed,
            Self::TooMany => Fault::TooMany,
            other if other.class() == Class::TimedOut => Fault::TimedOut,
            _ => Fault::Failed,
        };
        let message = match fault {
            Fault::Forbidden => {
                format!(
                    "the credentials in the kubeconfig do not have permission to list {title}: ask the administrator of the \
                     cluster to grant it"
                )
            }
            Fault::NotServed => format!("the cluster does not serve {title}"),
            Fault::TooMany => format!("the cluster has more {title} than are shown"),
            Fault::TimedOut | Fault::Failed => format!("{title} could not be read: {}", self.message()),
        };
        ReadError { fault, message }
    }

    /// Whether the client that met it must be discarded.
    pub(super) const fn discards_client(&self) -> bool {
        !matches!(
            self,
            Self::Forbidden | Self::NothingAllowed | Self::NotServed | Self::TooMany | Self::Busy | Self::Expired(_)
        )
    }

    /// The failure behind an error of the HTTP client, found in its chain of causes.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(failure) = Self::of_one(error) {
                return failure;
            }
            next = error.source();
        }
        Self::ConnectionFailed
    }

    fn of_one(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(error) = error.downcast_ref::<ConnectError>() {
            return match error {
                ConnectError::NameNotFound => Some(Self::NameNotFound),
                ConnectError::Denied => Some(Self::Denied),
                ConnectError::Refused => Some(Self::ConnectionRefused),
                ConnectError::Unroutable => Some(Self::Unroutable),
                ConnectError::TimedOut => Some(Self::NotConnected),
                ConnectError::Failed(_) => None,
            };
        }
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(Self::of_tls(error));
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // The inner error of an I/O error is not among its sources.
            if let Some(inner) = error.get_ref() {
                let inner: &(dyn Error + 'static) = inner;
                return Self::of_one(inner)
                    .or_else(|| inner.source().and_then(Self::of_one))
                    .or_else(|| Self::of_io(error));
            }
            return Self::of_io(error);
        }
        let error = error.downcast_ref::<hyper::Error>()?;
        if error.is_parse() || error.is_parse_too_large() {
            Some(Self::NotKubernetes)
        } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            // The latter two if it was closed before the request was sent.
            Some(Self::Closed)
        } else {
            None
        }
    }

    fn of_io(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::BrokenPipe => Some(Self::Closed),
            io::ErrorKind::TimedOut => Some(Self::NoAnswer),
            _ => None,
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        use rustls::Error as Tls;
        match error {
            Tls::InvalidCertificate(reason) => match reason {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UntrustedCertificate,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::WrongName,
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::OutdatedCertificate,
                _ => Self::BadCertificate,
            },
            Tls::AlertReceived(
                AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateRequired
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied,
            ) => Self::ClientCertificate,
            Tls::InvalidMessage(_) => Self::NotTls,
            _ => Self::TlsFailed,
        }
    }
}

impl From<ProbeError> for InspectError {
    fn from(failure: ProbeError) -> Self {
        let message = failure.message();
        match failure.class() {
            Class::Unreachable => Self::Unreachable(message),
            Class::TimedOut => Self::TimedOut(message),
            Class::Refused => Self::Refused(message),
        }
    }
}
