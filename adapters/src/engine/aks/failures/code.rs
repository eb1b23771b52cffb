//! Error codes that say what is wrong, whoever reports them: Azure Resource Manager, AKS, or a service that AKS calls (Compute, Network).
//! Those of AKS are described at <https://learn.microsoft.com/troubleshoot/azure/azure-kubernetes/error-codes/aks-error-code-page>.

use kqueen_domain::{
    observation::EngineError,
    reason::{ReasonCode, Responsible},
};

use super::{denied, message, rejected};

/// The codes for a resource provider that is not registered in the subscription.
pub(super) const REGISTRATION: [&str; 2] = ["MissingSubscriptionRegistration", "SubscriptionNotRegistered"];

/// Whether a code says that there were too many requests. Some services report it with other statuses than 429.
pub(super) fn is_throttled(code: &str) -> bool {
    code.ends_with("Throttled") || code.starts_with("TooManyRequests")
}

/// What a code means. `None` for codes that say too little, such as `BadRequest`, `Conflict` or `OperationNotAllowed`.
pub(super) fn of_code(code: &str, words: &str) -> Option<EngineError> {
    of_account(code, words).or_else(|| of_request(code, words)).or_else(|| of_kind(code, words))
}

/// Codes about the subscription, the resource group and what the service principal may do there.
fn of_account(code: &str, words: &str) -> Option<EngineError> {
    Some(match code {
        "AuthorizationFailed" | "DenyAssignmentAuthorizationFailed" => message::no_permission(words),
        "LinkedAuthorizationFailed" | "LinkedAccessCheckFailed" => message::no_linked_permission(words),
        "CustomPrivateDNSZoneMissingPermissionError" | "CustomRouteTableMissingServicePrincipalPermission" => {
            message::no_linked_permission(words)
        }
        "RequestDisallowedByPolicy" => message::policy(words),
        "ScopeLocked" | "ResourceGroupLocked" | "ResourceLocked" => rejected(
            ReasonCode::InvalidState,
            "a lock at Azure prevents the change",
            Responsible::Admin,
            "remove the lock from the cluster, the resource group or the subscription",
            words,
        ),
        _ if REGISTRATION.contains(&code) => message::not_registered(words),
        "DisallowedProvider" => rejected(
            ReasonCode::ServiceNotEnabled,
            "the subscription is not allowed to use a service that the cluster requires",
            Responsible::Admin,
            "use another subscription, or see the message from Azure",
            words,
        ),
        "FeatureNotRegistered" | "PreviewFeatureNotRegistered" => rejected(
            ReasonCode::ServiceNotEnabled,
            "a preview feature is not registered in the subscription",
            Responsible::Admin,
            "register the feature that the message names, or do not use it",
            words,
        ),
        "SubscriptionNotFound" => rejected(
            ReasonCode::NotFound,
            "the subscription does not exist at Azure, or belongs to another tenant",
            Responsible::Admin,
            "correct the subscription ID of the provisioner",
            words,
        ),
        "InvalidSubscriptionId" => rejected(
            ReasonCode::InvalidParameter,
            "the subscription ID is not valid",
            Responsible::Admin,
            "correct the subscription ID of the provisioner",
            words,
        ),
        "DisabledSubscription" | "ReadOnlyDisabledSubscription" => rejected(
            ReasonCode::AccountDisabled,
            "the subscription is disabled, because of its billing or by its owner",
            Responsible::Admin,
            "enable the subscription again: pay open invoices, remove the spending limit, or ask Azure for the reason",
            words,
        ),
        "ResourceGroupNotFound" | "ClusterResourceGroupNotFound" => message::no_group(words),
        "ResourceGroupBeingDeleted" => rejected(
            ReasonCode::NotFound,
            "the resource group is being deleted at Azure",
            Responsible::Admin,
            "wait until it is deleted and create it again, or use another resource group",
            words,
        ),
        "ServicePrincipalValidationClientError" | "ServicePrincipalNotFound" | "InvalidClientSecret" => denied(
            ReasonCode::CredentialsRejected,
            "Azure does not accept the service principal that the cluster runs as",
            "check that it exists and that its secret has not expired, then update the cluster's credentials at Azure",
            words,
        ),
        "InvalidApiVersionParameter"
        | "MissingApiVersionParameter"
        | "InvalidResourceType"
        | "InvalidResourceNamespace" => rejected(
            ReasonCode::WrongEndpoint,
            "Azure Resource Manager at the configured address does not offer AKS in the required version",
            Responsible::Operator,
            "correct KQUEEN_AKS_ARM_URL",
            words,
        ),
        _ => return None,
    })
}

/// Codes about the cluster that was requested.
fn of_request(code: &str, words: &str) -> Option<EngineError> {
    let text = words.to_ascii_lowercase();
    let requester = |cause: &str, next_step: &str| {
        rejected(ReasonCode::InvalidParameter, cause, Responsible::Requester, next_step, words)
    };
    Some(match code {
        "NodeResourceGroupAlreadyExists" | "NodeResourceGroupManagedByAnotherResource" => rejected(
            ReasonCode::NameTaken,
            "the resource group for the nodes of the cluster exists already and does not belong to it",
            Responsible::Admin,
            "delete that resource group if it is left over from a deleted cluster, or use another resource group",
            words,
        ),
        "FQDNNotAvailable" | "DnsRecordInUse" => rejected(
            ReasonCode::NameTaken,
            "the DNS name of the cluster is used by another cluster",
            Responsible::Admin,
            "delete that cluster at Azure, or use another resource group",
            words,
        ),
        "AllocationFailed"
        | "ZonalAllocationFailed"
        | "OverconstrainedAllocationRequest"
        | "OverconstrainedZonalAllocationRequest"
        | "AksCapacityHeavyUsage"
        | "AKSCapacityError"
        | "RegionOverConstrained"
        | "ResourcesOverConstrained"
        | "UnderlaysOverConstrained"
        | "AZUnderlaysOverConstrained" => message::no_capacity(words),
        // Also for sizes that are not offered at all, or not to the subscription.
        "SkuNotAvailable" if text.contains("capacity restriction") => message::no_capacity(words),
        "SkuNotAvailable" | "VMSizeNotSupported" | "VmSizeNotSupported" | "InvalidVMSize" => message::no_size(words),
        "SystemPoolSkuTooLow" => {
            requester("the VM size is too small for the system pods of a cluster", "choose a larger VM size")
        }
        "RequestDisallowedByAzure" => requester(
            "the location accepts no new resources of the subscription",
            "choose another location, or ask Azure for access to this one",
        ),
        "LocationNotAvailableForResourceType"
        | "NoRegisteredProviderFound"
        | "InvalidLocation"
        | "RegionNotSupported"
        | "RegionCreatesDisabled"
        | "RegionUpdatesDisabled" => message::no_location(words),
        "AvailabilityZoneNotSupported" => requester(
            "the VM size is not offered in an availability zone of the cluster",
            "choose another VM size, or other zones",
        ),
        "K8sVersionNotSupported"
        | "AgentPoolK8sVersionNotSupported"
        | "AgentPoolUpgradeVersionNotAllowed"
        | "NodePoolMcVersionIncompatible" => message::no_version(words),
        "K8sVersionInPreview" => requester(
            "the Kubernetes version is a preview, which the subscription has not registered for",
            "choose another version, or leave it empty",
        ),
        "SubnetIsFull" | "InsufficientSubnetSize" => {
            requester("the subnet of the nodes has too few free addresses", "use fewer nodes, or a larger subnet")
        }
        "PropertyChangeNotAllowed" => message::not_changeable(words),
        _ => return None,
    })
}

/// Families of codes, of which there are too many to list.
fn of_kind(code: &str, words: &str) -> Option<EngineError> {
    let is_quota = code.contains("Quota") || code.contains("LimitReached") || code.contains("LimitExceeded");
    if is_quota && !code.contains("RateLimit") {
        Some(message::quota(words))
    } else if code.contains("Cidr") || code.contains("CIDR") {
        Some(message::network_range(words))
    } else if code.ends_with("CannotBeDeleted") || code.starts_with("CannotDelete") {
        Some(rejected(
            ReasonCode::ResourceInUse,
            "a part of the cluster cannot be deleted because another resource at Azure uses it",
            Responsible::Admin,
            "delete or detach the resource that the message names",
            words,
        ))
    } else {
        None
    }
}
