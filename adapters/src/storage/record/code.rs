//! How reason codes are stored, and how records of version 0.1, which have none, get theirs.

use kqueen_domain::reason::ReasonCode;

/// The stored code. One that only a later version knows is `Unknown`, so that codes can be added without a new format. If there is
/// none, version 0.1 wrote the record, and the code is found by the sentence.
pub(super) fn code_of(name: Option<&str>, sentence: &str) -> ReasonCode {
    name.map_or_else(|| of_version_0_1(sentence), |name| ReasonCode::of(name).unwrap_or(ReasonCode::Unknown))
}

/// The code of a sentence that version 0.1 wrote. Sentences of engines that are not built in are `Unknown`.
fn of_version_0_1(sentence: &str) -> ReasonCode {
    let known = SENTENCES.iter().find(|(beginning, _)| sentence.starts_with(beginning));
    known.map_or(ReasonCode::Unknown, |(_, code)| *code)
}

/// How the sentences of version 0.1 begin, and their codes. Stores of that version contain them, so they do not change when today's
/// sentences do.
#[rustfmt::skip]
const SENTENCES: &[(&str, ReasonCode)] = &[
    // Decisions about clusters.
    ("the provider does not have the cluster any more", ReasonCode::ClusterMissing),
    ("the cluster is being taken down at the provider, which was not asked for here", ReasonCode::DeletedElsewhere),
    ("some of what makes up the cluster is missing at the provider", ReasonCode::ClusterIncomplete),
    ("something was being done to the cluster that is not on record any more", ReasonCode::OperationLost),
    ("deploying was cancelled", ReasonCode::Cancelled),
    ("destroying was cancelled", ReasonCode::Cancelled),
    ("the request to ", ReasonCode::Cancelled),
    ("waited ", ReasonCode::DeadlineExceeded),
    ("destroying the cluster was asked for", ReasonCode::Superseded),
    ("the cluster was forgotten", ReasonCode::Superseded),
    ("the provider's kubeconfig cannot be used", ReasonCode::KubeconfigUnusable),
    // Engines.
    ("the engine cannot be used", ReasonCode::EngineNotOffered),
    ("the engine cannot ", ReasonCode::Unsupported),
    ("the provider is busy", ReasonCode::ProviderBusy),
    ("the provider wants fewer calls", ReasonCode::Throttled),
    ("the provider does not have it", ReasonCode::ClusterMissing),
    ("the provider did not answer within ", ReasonCode::ProviderTimedOut),
    // The demo engine.
    ("the name kqueen-", ReasonCode::NameTaken),
    ("the simulated provider has its ", ReasonCode::QuotaExceeded),
    ("the provisioner's quota of ", ReasonCode::QuotaExceeded),
    ("the quota for virtual CPUs in region ", ReasonCode::QuotaExceeded),
    ("a simulated cluster has 1 to ", ReasonCode::InvalidParameter),
    ("the simulated provider enforces network policy with ", ReasonCode::InvalidParameter),
    ("the provisioner's parameters are not those of the demo engine", ReasonCode::InvalidParameter),
    ("the cluster's parameters are not those of the demo engine", ReasonCode::InvalidParameter),
    ("a load balancer still uses the cluster's network", ReasonCode::ResourceInUse),
    ("the cluster was never made completely", ReasonCode::ClusterIncomplete),
    ("the simulated cloud cannot be kept", ReasonCode::HostMisconfigured),
    ("the simulated cloud broke off", ReasonCode::ProviderUnavailable),
    // Probes of clusters.
    ("the simulated cluster does not answer", ReasonCode::ClusterUnreachable),
    ("the simulated cluster does not accept the credentials", ReasonCode::KubeconfigRejected),
    ("the name of the API server cannot be resolved", ReasonCode::NameNotResolved),
    ("the server address in the kubeconfig leads to an address", ReasonCode::AddressDenied),
    ("nothing listens at the address of the API server", ReasonCode::ClusterUnreachable),
    ("the network has no way to the address of the API server", ReasonCode::ClusterUnreachable),
    ("the connection to the API server failed", ReasonCode::ClusterUnreachable),
    ("the API server closed the connection without an answer", ReasonCode::ClusterUnreachable),
    ("the API server, or a proxy in front of it, answers that it cannot serve", ReasonCode::ClusterUnavailable),
    ("no connection to the API server in time", ReasonCode::ClusterTimedOut),
    ("the API server accepted the connection and did not answer in time", ReasonCode::ClusterTimedOut),
    ("the cluster does not accept the credentials in the kubeconfig", ReasonCode::KubeconfigRejected),
    ("the cluster does not accept the client certificate", ReasonCode::KubeconfigRejected),
    ("the credentials in the kubeconfig may not do this", ReasonCode::KubeconfigLacksRights),
    ("the cluster knows the credentials in the kubeconfig and allows them nothing", ReasonCode::KubeconfigLacksRights),
    ("the certificate of the API server ", ReasonCode::CertificateRejected),
    ("no encrypted connection to the API server", ReasonCode::TlsFailed),
    ("what answers at the server address ", ReasonCode::WrongEndpoint),
    ("the answer of the API server is larger than is read", ReasonCode::UnexpectedAnswer),
    ("the API server asks to be left alone", ReasonCode::Throttled),
    ("the kubeconfig cannot be used", ReasonCode::KubeconfigUnusable),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code that was ever stored.
    #[rustfmt::skip]
    const STORED: &[&str] = &[
        "CredentialsRejected", "PermissionDenied", "AccountDisabled", "ServiceNotEnabled", "QuotaExceeded", "CapacityUnavailable",
        "NameTaken", "NotFound", "InvalidParameter", "InvalidState", "ResourceInUse", "ProviderBusy", "Throttled", "ProviderUnreachable",
        "ProviderTimedOut", "ProviderUnavailable", "UnexpectedAnswer", "WrongEndpoint", "ProvisioningFailed", "OwnershipLost",
        "ClusterMissing", "ClusterIncomplete", "DeletedElsewhere", "DeadlineExceeded", "Cancelled", "Superseded", "OperationLost",
        "Unsupported", "EngineNotOffered", "HostMisconfigured", "AddressDenied", "KubeconfigUnusable", "KubeconfigRejected",
        "KubeconfigLacksRights", "NameNotResolved", "ClusterUnreachable", "ClusterTimedOut", "ClusterUnavailable", "CertificateRejected",
        "TlsFailed", "Unknown",
    ];

    #[test]
    fn every_stored_code_is_still_read() {
        for name in STORED {
            assert_eq!(code_of(Some(name), "").as_str(), *name);
        }
        assert_eq!(STORED.len(), ReasonCode::ALL.len(), "add new codes to this list, and remove none");
        assert_eq!(code_of(Some("OfALaterVersion"), "waited 3 s"), ReasonCode::Unknown);
    }

    #[test]
    fn sentences_of_version_0_1_have_codes() {
        for (sentence, code) in [
            ("waited 3600 s to deploy the cluster: the provider is busy: upgrading", ReasonCode::DeadlineExceeded),
            ("the request to resize the cluster to 5 nodes was cancelled", ReasonCode::Cancelled),
            ("the engine cannot be used any more: this installation does not offer it", ReasonCode::EngineNotOffered),
            ("the engine cannot drive a provider: it only attaches clusters", ReasonCode::Unsupported),
            ("the quota for virtual CPUs in region demo-coast is used up (simulated)", ReasonCode::QuotaExceeded),
            ("the certificate of the API server is for another name", ReasonCode::CertificateRejected),
            ("the printer is on fire", ReasonCode::Unknown),
            ("", ReasonCode::Unknown),
        ] {
            assert_eq!(code_of(None, sentence), code, "{sentence}");
        }
        for (number, (beginning, _)) in SENTENCES.iter().enumerate() {
            let first = SENTENCES.iter().position(|(earlier, _)| beginning.starts_with(earlier));
            assert_eq!(first, Some(number), "{beginning} is never reached");
        }
    }
}
