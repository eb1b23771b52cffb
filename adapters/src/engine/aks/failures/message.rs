//! What Azure reports only in its messages, and the names that messages contain. Messages are compared in lower case and by the words that
//! have stayed the same over the years.

use http::StatusCode;
use kqueen_domain::{
    observation::EngineError,
    reason::{Reason, ReasonCode, Responsible},
};

use super::{CallError, ProvisioningError, code, denied, rejected};

/// What a reply that something was not found means. A missing cluster is not the same as a missing resource group or subscription.
pub(super) fn of_not_found(error: &ProvisioningError) -> CallError {
    let words = error.words();
    if error.has_code("ResourceGroupNotFound") {
        return CallError::GroupMissing;
    }
    if let Some(known) = error.codes().into_iter().find_map(|code| code::of_code(code, &words)) {
        return CallError::Error(known);
    }
    let text = plain(&words);
    let is_operation = text.starts_with("notfound: operation");
    let cluster = ["managedclusters", "managed cluster", "agent pool", "agentpool", "parent resource"];
    if !is_operation && cluster.iter().any(|what| text.contains(what)) {
        return CallError::Missing;
    }
    CallError::Error(rejected(
        ReasonCode::NotFound,
        "a resource that the request requires does not exist at Azure",
        Responsible::Admin,
        "see the message from Azure",
        words,
    ))
}

/// What a failed precondition means.
pub(super) fn of_precondition(words: &str) -> CallError {
    let text = plain(words);
    let is_none_match = text.contains("'*'") || text.contains("\"*\"") || text.contains("already exists");
    if is_none_match { CallError::AlreadyExists } else { CallError::Changed }
}

/// What a token that is not accepted means.
pub(super) fn token_rejected(error: &ProvisioningError) -> EngineError {
    let (cause, next_step) = if error.has_code("InvalidAuthenticationTokenTenant") {
        (
            "the subscription belongs to another tenant than the service principal",
            "correct the tenant or the subscription ID",
        )
    } else {
        (
            "Azure does not accept the token of the service principal",
            "check that the service principal is enabled, or enter a new client secret",
        )
    };
    denied(ReasonCode::CredentialsRejected, cause, next_step, error.words())
}

/// What a request that is not possible means, now or at all.
pub(super) fn of_message(status: StatusCode, words: &str) -> EngineError {
    let text = plain(words);
    let has = |part: &str| text.contains(part);
    let requester = |cause: &str, next_step: &str| {
        rejected(ReasonCode::InvalidParameter, cause, Responsible::Requester, next_step, words)
    };
    let state = |cause: &str, next_step: &str| {
        rejected(ReasonCode::InvalidState, cause, Responsible::Requester, next_step, words)
    };
    let conflict = status == StatusCode::CONFLICT;
    if has("static credential") || has("disable local accounts") {
        return rejected(
            ReasonCode::KubeconfigUnusable,
            "Azure issues no admin kubeconfig because the local accounts of the cluster are disabled",
            Responsible::Admin,
            "enable them (az aks update --enable-local-accounts)",
            words,
        );
    }
    if has("is stopped") || has("not currently running") || has("is not running") {
        return state("the cluster is stopped at Azure", "start it at Azure (az aks start), then retry");
    }
    if has("could be aborted") || has("cannot be aborted") {
        return state("no operation can be aborted at Azure", "see the message from Azure");
    }
    if has("autoscaler") {
        return state(
            "the cluster autoscaler of AKS manages the number of nodes",
            "disable the autoscaler of the node pool, or change its limits at Azure",
        );
    }
    if is_busy(&text, conflict) {
        return EngineError::Busy(match operation_in(words) {
            Some(operation) => format!("another operation on the cluster is in progress ({operation})"),
            None => "another operation on the cluster is in progress".to_owned(),
        });
    }
    // Compute Engine reports quotas as OperationNotAllowed.
    if has("quota") || has("cannot create more than") {
        return quota(words);
    }
    if has("vm size") || has("vmsize") || has("virtualmachinesize") || has("virtual machine size") {
        return no_size(words);
    }
    if has("kubernetes version") || has("kubernetesversion") || has("orchestratorversion") || has("supported version") {
        return no_version(words);
    }
    if has("network policy") || has("networkpolicy") || has("dataplane") {
        return state(
            "the network policy does not fit the network of the cluster, or cannot be changed in this way",
            "choose another network policy; to use one that cannot be enabled later, create another cluster",
        );
    }
    if has("cidr") || has("subnet") || has("overlap") || has("address space") || has("address range") {
        return network_range(words);
    }
    if has("location") || has("region") {
        return no_location(words);
    }
    if has("ssh") || has("keydata") {
        return requester("the SSH public key is not valid", "enter a public key such as ssh-ed25519 AAAA…");
    }
    if has(".count") || has(" count") || has("number of nodes") {
        return requester("the number of nodes is not valid", "choose another number of nodes");
    }
    if conflict {
        return state(
            "the state of the cluster does not allow this operation",
            "retry later, or see the message from Azure",
        );
    }
    requester("Azure does not accept a parameter of the cluster", "see the message from Azure")
}

/// Whether a message says that another operation must finish first.
fn is_busy(text: &str, conflict: bool) -> bool {
    let has = |part: &str| text.contains(part);
    has("another operation")
        || has("another agentpool operation")
        || has("an in progress")
        || conflict
            && (has("in progress")
                || has("provisioning state") && !has("failed") && !has("canceled")
                || has("deletion was issued")
                || has("being modified")
                || has("retryable")
                || text.starts_with("conflict:") && has("concurren"))
}

pub(super) fn no_group(words: &str) -> EngineError {
    rejected(
        ReasonCode::NotFound,
        "the resource group does not exist at Azure",
        Responsible::Admin,
        "create it at Azure, or correct the resource group of the provisioner",
        words,
    )
}

pub(super) fn no_location(words: &str) -> EngineError {
    rejected(
        ReasonCode::InvalidParameter,
        "AKS is not offered in the location, or accepts no new clusters there",
        Responsible::Requester,
        "choose another location",
        words,
    )
}

pub(super) fn no_size(words: &str) -> EngineError {
    rejected(
        ReasonCode::InvalidParameter,
        "the VM size is not offered in the location, or not to the subscription",
        Responsible::Requester,
        "choose another VM size or another location",
        words,
    )
}

pub(super) fn no_version(words: &str) -> EngineError {
    rejected(
        ReasonCode::InvalidParameter,
        "the Kubernetes version is not available, no longer available, or cannot be reached from the current one",
        Responsible::Requester,
        "choose another version, or leave it empty",
        words,
    )
}

pub(super) fn network_range(words: &str) -> EngineError {
    rejected(
        ReasonCode::InvalidParameter,
        "the network range is not valid, overlaps with another one, or is too small for the cluster",
        Responsible::Requester,
        "choose another network range, or leave it empty",
        words,
    )
}

pub(super) fn no_capacity(words: &str) -> EngineError {
    rejected(
        ReasonCode::CapacityUnavailable,
        "the location currently has no capacity for this VM size",
        Responsible::Requester,
        "try again later, or choose another VM size, zone or location",
        words,
    )
}

pub(super) fn not_changeable(words: &str) -> EngineError {
    let cause = if plain(words).contains("networkpolicy") {
        "the network policy of the cluster cannot be changed in this way"
    } else {
        "the setting cannot be changed after the cluster was created"
    };
    rejected(ReasonCode::InvalidState, cause, Responsible::Requester, "create another cluster with the setting", words)
}

/// The resource provider that a message names is not registered.
pub(super) fn not_registered(words: &str) -> EngineError {
    let namespace = between(words, "namespace '", '\'').unwrap_or("Microsoft.ContainerService");
    rejected(
        ReasonCode::ServiceNotEnabled,
        &format!("the resource provider {namespace} is not registered in the subscription"),
        Responsible::Admin,
        &format!("register it (az provider register --namespace {namespace}); this takes some minutes"),
        words,
    )
}

/// Whether the resource provider that is not registered is that of AKS.
pub(super) fn is_container_service(words: &str) -> bool {
    between(words, "namespace '", '\'').is_none_or(|name| name.eq_ignore_ascii_case("Microsoft.ContainerService"))
}

pub(super) fn no_permission(words: &str) -> EngineError {
    let cause = match actions_in(words).next() {
        Some(action) => format!("the service principal lacks the permission {action}"),
        None => "the service principal lacks a required permission".to_owned(),
    };
    denied(ReasonCode::PermissionDenied, &cause, GRANT, words)
}

/// A permission on a resource that the cluster refers to. The permission on the cluster itself is named before it.
pub(super) fn no_linked_permission(words: &str) -> EngineError {
    let cause = match actions_in(words).last() {
        Some(action) => format!("the permission {action} is missing on a resource that the cluster uses"),
        None => "a permission is missing on a resource that the cluster uses".to_owned(),
    };
    denied(
        ReasonCode::PermissionDenied,
        &cause,
        "grant it on that resource to the identity that the message names; this takes some minutes to take effect",
        words,
    )
}

const GRANT: &str = "grant it the role that the manual describes for this engine, or Azure Kubernetes Service Contributor Role, on the \
                     resource group; this takes some minutes to take effect";

/// An Azure Policy, with its name if the message has it.
pub(super) fn policy(words: &str) -> EngineError {
    let named = between(words, "\"policyAssignment\":{\"name\":\"", '"').filter(|name| name.len() <= 100);
    let cause = match named {
        Some(name) => format!("the policy \"{name}\" at Azure does not allow this cluster"),
        None => "a policy at Azure does not allow this cluster".to_owned(),
    };
    denied(
        ReasonCode::PermissionDenied,
        &cause,
        "choose values that the policy allows, or have the policy changed",
        words,
    )
}

/// A quota, with its name if the message has it.
pub(super) fn quota(words: &str) -> EngineError {
    let cause = match quota_in(words) {
        Some(name) => format!("the subscription's quota {name} is used up"),
        None => "a quota of the subscription is used up".to_owned(),
    };
    rejected(
        ReasonCode::QuotaExceeded,
        &cause,
        Responsible::Admin,
        "request a higher quota from Azure, delete resources, or use fewer or smaller nodes",
        words,
    )
}

/// The reason of an error that has one.
pub(super) fn reason_of(error: EngineError) -> Option<Reason> {
    match error {
        EngineError::Rejected(reason) | EngineError::Denied(reason) | EngineError::Unreachable(reason) => Some(reason),
        EngineError::Unsupported(_)
        | EngineError::NotOffered
        | EngineError::Busy(_)
        | EngineError::Throttled { .. }
        | EngineError::Missing => None,
    }
}

/// A message in lower case without links, whose addresses contain words such as `quotas`.
pub(super) fn plain(words: &str) -> String {
    let words: Vec<&str> = words.split_whitespace().filter(|word| !word.contains("://")).collect();
    words.join(" ").to_ascii_lowercase()
}

/// The codes of errors that a message quotes: `Code="AllocationFailed"`, `SubCode: LinkedAuthorizationFailed`, `"code":"QuotaExceeded"`.
pub(super) fn codes_in(message: &str) -> impl Iterator<Item = &str> {
    message.match_indices("ode").filter_map(move |(at, found)| {
        let rest = &message[at + found.len()..];
        let word = rest.trim_start_matches(['=', ':', '"', '\'', '\\', ' ']);
        let is_separated = rest.starts_with(['=', ':', '"', '\'', '\\']);
        is_separated.then(|| &word[..length(word, |letter| letter.is_ascii_alphanumeric() || letter == '_')])
    })
}

/// The permissions that a message names: `does not have authorization to perform action 'Microsoft.ContainerService/…/write'`.
fn actions_in(message: &str) -> impl Iterator<Item = &str> {
    message.match_indices("action").filter_map(move |(at, found)| {
        let rest = message[at + found.len()..].trim_start_matches("(s)").trim_start();
        let action = rest.strip_prefix('\'')?.split('\'').next()?;
        let is_action = action.starts_with("Microsoft.") && action.contains('/') && action.len() <= 150;
        is_action.then_some(action)
    })
}

/// The quota that a message names: `exceeding approved Total Regional Cores quota`, `exceeding quota limits of Core.`, `for family
/// standardDSv5Family for region`, `Cannot create more than 10 public IP addresses for this subscription`.
fn quota_in(message: &str) -> Option<&str> {
    let approved = between_words(message, "approved ", " quota");
    let limits = || between(message, "quota limits of ", '.');
    let family = || between(message, "for family ", ' ');
    let most = || {
        let (_, name) = between_words(message, "annot create more than ", " for this subscription")?.split_once(' ')?;
        Some(name)
    };
    let name = approved.or_else(limits).or_else(family).or_else(most)?;
    (!name.is_empty() && name.len() <= 60).then_some(name)
}

/// The operation that a message says is in progress: `Another operation (Updating)`, `an in progress create managed cluster operation`.
fn operation_in(message: &str) -> Option<&str> {
    let state = between(message, "operation (", ')');
    let state = state.or_else(|| between(message, "Provisioning State(", ')'));
    let name = state.or_else(|| between_words(message, "in progress ", " managed cluster operation"))?;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '-');
    (!name.is_empty() && name.len() <= 40 && name.chars().all(is_name)).then_some(name)
}

fn between<'a>(message: &'a str, before: &str, after: char) -> Option<&'a str> {
    let (_, rest) = message.split_once(before)?;
    rest.split(after).next()
}

fn between_words<'a>(message: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(before)?;
    rest.split_once(after).map(|(name, _)| name)
}

/// How many bytes of a text match from its beginning.
fn length(text: &str, matches: impl Fn(char) -> bool) -> usize {
    text.find(|letter| !matches(letter)).unwrap_or(text.len())
}

/// What precedes credentials in a quoted request.
const BEFORE_CREDENTIALS: [&str; 6] =
    ["Bearer ", "client_secret=", "\"client_secret\":\"", "\"secret\":\"", "\"keyData\":\"", "\"password\":\""];

/// A message without the credentials that it quotes.
pub(super) fn without_credentials(words: &str) -> String {
    let mut text = words.to_owned();
    for before in BEFORE_CREDENTIALS {
        let mut from = 0;
        while let Some(found) = text.get(from..).and_then(|rest| rest.find(before)) {
            let start = from + found + before.len();
            let ends = |letter: char| matches!(letter, '"' | '\'' | '&' | '\\') || letter.is_whitespace();
            // A public key consists of several words.
            let is_quoted = before.ends_with('"');
            let end = length(&text[start..], |letter| if is_quoted { letter != '"' } else { !ends(letter) });
            text.replace_range(start..start + end, "***");
            from = start + "***".len();
        }
    }
    text
}
