//! Why a cluster, an agent pool or an operation has failed after Azure accepted the request.

use kqueen_domain::reason::{Reason, ReasonCode, Responsible};

use super::{ProvisioningError, code, message, with_words};

/// Why something has failed, by the error that it contains.
pub(in crate::engine::aks) fn of_provisioning(error: &ProvisioningError) -> Reason {
    let words = error.words();
    let codes = error.codes();
    let by_exit = exit_status(&words).and_then(|status| of_exit(status, &words));
    let by_code = || codes.iter().filter_map(|code| code::of_code(code, &words)).find_map(message::reason_of);
    let by_failure = || codes.iter().find_map(|code| of_failure(code, &words));
    let found = by_exit.or_else(by_code).or_else(by_failure).or_else(|| of_words(&words));
    found.unwrap_or_else(|| {
        failed(
            "the cluster, or a node pool of it, has failed at Azure",
            Responsible::Provider,
            "retry; if it fails again, see the message from Azure",
            &words,
        )
    })
}

fn of_failure(code: &str, words: &str) -> Option<Reason> {
    Some(match code {
        "VMExtensionError_OutboundConnFail"
        | "VMExtensionError_CNIDownloadTimeout"
        | "VMExtensionError_CniDownloadTimeout"
        | "VMExtensionError_K8SDownloadTimeout"
        | "VMExtensionError_ORASPullNetworkTimeout" => no_outbound(words),
        "VMExtensionError_K8SAPIServerConnFail" => no_api_server(words),
        "VMExtensionError_K8SAPIServerDNSLookupFail" => no_name(words),
        _ if code.starts_with("VMExtension") => failed(
            "the nodes were created, but could not be set up to join the cluster",
            Responsible::Provider,
            "retry; if it fails again, check that nodes can reach the addresses that AKS requires",
            words,
        ),
        "ControlPlaneAddOnsNotReady" | "ControlPlaneAddOnsValidationError" => failed(
            "the control plane runs, but the system pods of the cluster did not start",
            Responsible::Provider,
            "retry; if it fails again, check that nodes can reach the addresses that AKS requires, or use larger nodes",
            words,
        ),
        "NodesNotReady" | "AgentCountNotMatch" => failed(
            "some nodes were created, but did not become ready",
            Responsible::Provider,
            "retry; if it fails again, see the message from Azure",
            words,
        ),
        "ControlPlaneNotReady" | "ControlPlaneAPIServerNotReady" | "ControlPlaneProvisioningTimeout" => failed(
            "the control plane of the cluster did not start",
            Responsible::Provider,
            "retry; if it fails again, ask Azure's support",
            words,
        ),
        "PodDrainFailure" | "UnsatisfiablePDB" => failed(
            "a node could not be drained because a pod disruption budget does not allow to evict its pods",
            Responsible::Requester,
            "change the pod disruption budget that the message names, then retry",
            words,
        ),
        "AKSOperationPreemptedByDelete" => {
            let reason = Reason::new(
                ReasonCode::DeletedElsewhere,
                "the operation ended because the cluster is being deleted at Azure",
                Responsible::Admin,
                "find out who is deleting it; destroy it in KQueen to remove its record",
            );
            with_words(reason, words)
        }
        "OperationCanceled" | "OperationCancelled" | "Canceled" | "AKSOperationPreempted" | "OperationPreempted" => {
            failed(
                "the operation was cancelled at Azure, by a user or by a later operation",
                Responsible::Admin,
                "retry",
                words,
            )
        }
        _ => return None,
    })
}

/// The exit statuses of the script that sets up a node (`cse_helpers.sh` of AgentBaker) that have a known cause.
fn of_exit(status: u32, words: &str) -> Option<Reason> {
    match status {
        50 => Some(no_outbound(words)),
        51 => Some(no_api_server(words)),
        52 => Some(no_name(words)),
        _ => None,
    }
}

fn of_words(words: &str) -> Option<Reason> {
    let text = message::plain(words);
    let known = if text.contains("quota") {
        message::quota(words)
    } else if text.contains("allocation failed") || text.contains("sufficient capacity") {
        message::no_capacity(words)
    } else if text.contains("does not have authorization") {
        message::no_permission(words)
    } else if text.contains("disallowed by policy") {
        message::policy(words)
    } else {
        return None;
    };
    message::reason_of(known)
}

fn no_outbound(words: &str) -> Reason {
    failed(
        "the nodes cannot reach the internet addresses that AKS requires, such as mcr.microsoft.com",
        Responsible::Admin,
        "allow them in the firewall, the network security groups and the routes of the nodes' network, then retry",
        words,
    )
}

fn no_api_server(words: &str) -> Reason {
    failed(
        "the nodes cannot reach the API server of the cluster",
        Responsible::Admin,
        "allow it in the firewall and the network security groups, and allow the nodes in the authorized address ranges, then retry",
        words,
    )
}

fn no_name(words: &str) -> Reason {
    failed(
        "the nodes cannot resolve the name of the API server of the cluster",
        Responsible::Admin,
        "check the DNS servers of the nodes' network, then retry",
        words,
    )
}

fn failed(cause: &str, responsible: Responsible, next_step: &str, words: &str) -> Reason {
    with_words(Reason::new(ReasonCode::ProvisioningFailed, cause, responsible, next_step), words)
}

/// The exit status that a message names: `command terminated with exit status=50`.
fn exit_status(words: &str) -> Option<u32> {
    let (_, rest) = words.split_once("exit status=").or_else(|| words.split_once("exit status: "))?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}
