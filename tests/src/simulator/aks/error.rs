//! Refusals in Azure's words. There are two forms: that of Resource Manager, and that of AKS itself, which lacks the envelope.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{API_VERSION, catalog::Region, cluster::ClusterName};
use crate::simulator::call::Reply;

/// A refusal by Resource Manager, and by every other provider.
pub(super) fn arm(status: u16, code: &str, message: impl Into<String>) -> Reply {
    Reply::json(status, json!({"error": {"code": code, "message": message.into()}}))
}

/// A refusal by AKS itself.
pub(super) fn aks(status: u16, code: &str, message: impl Into<String>) -> Reply {
    Reply::json(status, json!({"code": code, "details": null, "message": message.into(), "subcode": ""}))
}

/// The same refusal in the form of Resource Manager.
pub(super) fn enveloped(reply: Reply) -> Reply {
    let is_flat = reply.value().is_some_and(|body| body["error"].is_null() && body["subcode"].is_string());
    match reply.value() {
        Some(body) if is_flat => {
            let error = json!({"code": body["code"], "message": body["message"]});
            Reply { body: crate::simulator::Body::Json(json!({"error": error})), ..reply.clone() }
        }
        _ => reply,
    }
}

fn unauthenticated(tenant: &str, code: &str, message: String) -> Reply {
    let challenge = format!(
        "Bearer authorization_uri=\"https://login.windows.net/{tenant}\", error=\"invalid_token\", \
         error_description=\"{message}\""
    );
    arm(401, code, message).header("www-authenticate", challenge)
}

/// No token was sent.
pub(super) fn no_token(tenant: &str) -> Reply {
    let message = "Authentication failed. The 'Authorization' header is missing.";
    unauthenticated(tenant, "AuthenticationFailed", message.to_owned())
}

/// The token is not known, or for something else.
pub(super) fn bad_token(tenant: &str) -> Reply {
    unauthenticated(tenant, "InvalidAuthenticationToken", "The access token is invalid.".to_owned())
}

/// The token was good until recently.
pub(super) fn expired_token(tenant: &str, expired: &str, now: &str) -> Reply {
    let message = format!("The access token expiry UTC time '{expired}' is earlier than current UTC time '{now}'.");
    unauthenticated(tenant, "ExpiredAuthenticationToken", message)
}

/// The token is of another tenant than the subscription.
pub(super) fn wrong_tenant(tenant: &str, issuer: &str) -> Reply {
    let message = format!(
        "The access token is from the wrong issuer 'https://sts.windows.net/{issuer}/'. It must match the tenant \
         'https://sts.windows.net/{tenant}/' associated with this subscription. Please use the authority (URL) \
         'https://login.windows.net/{tenant}' to get the token."
    );
    unauthenticated(tenant, "InvalidAuthenticationTokenTenant", message)
}

/// The caller lacks a permission.
pub(super) fn lacks(client: &str, object: &str, action: &str, scope: &str) -> Reply {
    let message = format!(
        "The client '{client}' with object id '{object}' does not have authorization to perform action '{action}' over \
         scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials."
    );
    arm(403, "AuthorizationFailed", message)
}

pub(super) fn no_subscription(subscription: &str) -> Reply {
    if Uuid::try_parse(subscription).is_err() {
        let message = format!("The provided subscription identifier '{subscription}' is malformed or invalid.");
        return arm(400, "InvalidSubscriptionId", message);
    }
    arm(404, "SubscriptionNotFound", format!("The subscription '{subscription}' could not be found."))
}

/// Nobody pays for the subscription.
pub(super) fn disabled(subscription: &str) -> Reply {
    let message = format!(
        "The subscription '{subscription}' is disabled and therefore marked as read only. You cannot perform any write \
         actions on this subscription until it is re-enabled."
    );
    arm(409, "ReadOnlyDisabledSubscription", message)
}

pub(super) fn no_group(group: &str) -> Reply {
    arm(404, "ResourceGroupNotFound", format!("Resource group '{group}' could not be found."))
}

/// A resource provider is not registered in the subscription.
pub(super) fn unregistered(namespace: &str) -> Reply {
    let message = format!(
        "The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found for how to \
         register subscriptions."
    );
    let details = json!({"code": "MissingSubscriptionRegistration", "target": namespace, "message": message});
    let error = json!({"code": "MissingSubscriptionRegistration", "message": message, "details": [details]});
    Reply::json(409, json!({"error": error}))
}

pub(super) fn no_cluster(name: &ClusterName) -> Reply {
    let ClusterName { group, name, .. } = name;
    not_found(&format!("Microsoft.ContainerService/managedClusters/{name}"), group)
}

pub(super) fn not_found(what: &str, group: &str) -> Reply {
    let message = format!(
        "The Resource '{what}' under resource group '{group}' was not found. For more details please go to \
         https://aka.ms/ARMResourceNotFoundFix"
    );
    arm(404, "ResourceNotFound", message)
}

/// There is no pool of that name in a cluster that is there. AKS itself says so.
pub(super) fn no_pool(pool: &str) -> Reply {
    aks(404, "NotFound", format!("Could not find the agent pool: {pool}."))
}

/// The version of the API is not given, or not one that there is.
pub(super) fn api_version(given: Option<&str>, of_container_service: bool, location: &str) -> Reply {
    let Some(given) = given else {
        let message = "The api-version query parameter (?api-version=) is required for all requests.";
        return arm(400, "MissingApiVersionParameter", message);
    };
    if !of_container_service {
        return arm(400, "InvalidApiVersionParameter", format!("The api-version '{given}' is invalid."));
    }
    let locations: Vec<&str> = Region::all().map(|region| region.name).collect();
    let message = format!(
        "No registered resource provider found for location '{location}' and API version '{given}' for type \
         'managedClusters'. The supported api-versions are '{API_VERSION}'. The supported locations are '{}'.",
        locations.join(", ")
    );
    arm(400, "NoRegisteredProviderFound", message)
}

/// Something else is under way with a cluster: AKS itself says so, and Resource Manager in the form of older answers.
pub(super) fn busy(what: &str) -> Reply {
    let message = format!(
        "Operation is not allowed because there's an in progress {what} managed cluster operation on the managed cluster \
         started. Please wait for it to finish before starting a new operation. See \
         https://aka.ms/aks-pending-operation for more details"
    );
    aks(409, "OperationNotAllowed", message)
}

pub(super) fn pool_busy(pool: &str, state: &str) -> Reply {
    let message = format!(
        "Operation is not allowed: Another agentpool operation ({pool} - {state}) is in progress, please wait for it to \
         finish before starting a new operation. See https://aka.ms/aks-pending-operation for more details"
    );
    aks(409, "OperationNotAllowed", message)
}

/// The words of older answers.
pub(super) fn old_busy(state: &str) -> Reply {
    let message = format!(
        "Operation is not allowed: Another operation ({state}) is in progress, please wait for it to finish before \
         starting a new operation. See https://aka.ms/aks-pending-operation for more details"
    );
    arm(409, "OperationNotAllowed", message)
}

/// A parameter makes no sense.
pub(super) fn invalid(parameter: &str, why: &str) -> Reply {
    let message = format!(
        "The value of parameter {parameter} is invalid. Error details: {why}. Please see \
         https://aka.ms/aks-naming-rules for more details."
    );
    let body =
        json!({"code": "InvalidParameter", "details": null, "message": message, "subcode": "", "target": parameter});
    Reply::json(400, body)
}

/// Something of a cluster or pool that stays as it is.
pub(super) fn unchangeable(property: &str) -> Reply {
    let message = format!("Changing property '{property}' is not allowed.");
    let body = json!({"code": "PropertyChangeNotAllowed", "details": null, "message": message, "subcode": "", "target": property});
    Reply::json(400, body)
}

pub(super) fn etag(given: &str, actual: &str) -> Reply {
    let message = format!(
        "The etag in the If-Match or If-None-Match header '{given}' does not match the current etag of the resource \
         '{actual}'. Please get the resource again and retry."
    );
    aks(412, "EtagMismatch", message)
}

/// The quota of all vCPUs of a region is used up.
pub(super) fn cores(name: &ClusterName, region: &str, limit: u64, used: u64, wanted: u64) -> Reply {
    let message = format!(
        "Preflight validation check for resource(s) for container service {} in resource group {} failed. Message: \
         Operation could not be completed as it results in exceeding approved Total Regional Cores quota. Additional \
         details - Deployment Model: Resource Manager, Location: {region}, Current Limit: {limit}, Current Usage: {used}, \
         Additional Required: {wanted}, (Minimum) New Limit Required: {}. Submit a request for Quota increase at \
         https://aka.ms/ProdportalCRP.",
        name.name,
        name.group,
        used + wanted
    );
    aks(400, "QuotaExceeded", message)
}

/// The quota of a family of VM sizes is used up.
pub(super) fn family(family: &str, region: &str, left: u64, wanted: u64) -> Reply {
    let message = format!(
        "Insufficient vcpu quota requested {wanted}, remaining {left} for family {family} for region {region}."
    );
    aks(400, "ErrCode_InsufficientVCPUQuota", message)
}

/// There are as many clusters in a region as may be.
pub(super) fn clusters(region: &str, limit: u64) -> Reply {
    let message = format!(
        "Operation could not be completed as it results in exceeding approved Managed Clusters quota. Location: {region}, \
         Current Limit: {limit}, Current Usage: {limit}, Additional Required: 1. See https://aka.ms/aks/quotas-skus-regions."
    );
    aks(400, "QuotaExceeded", message)
}

/// There are no VMs of a size left at the moment.
pub(super) fn no_stock(size: &str, region: &str) -> Reply {
    let message = format!(
        "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {size}' is currently \
         not available in location '{region}'. Please try another size or deploy to a different location or different \
         zone. See https://aka.ms/azureskunotavailable for details."
    );
    aks(400, "SkuNotAvailable", message)
}

/// A VM size is not offered to the subscription, or not at all.
pub(super) fn no_size(size: &str, region: &str, offered: &[&str]) -> Reply {
    let offered = offered.join(",").to_lowercase();
    let message = format!(
        "The VM size of {size} is not allowed in your subscription in location '{region}'. The available VM sizes are \
         '{offered}'. For more details, please visit https://aka.ms/aks/quotas-skus-regions"
    );
    aks(400, "BadRequest", message)
}

/// A cluster cannot be in a region that is none, or has no AKS.
pub(super) fn no_region(location: &str) -> Reply {
    let regions: Vec<&str> = Region::all().map(|region| region.name).collect();
    let message = format!(
        "The provided location '{location}' is not available for resource type \
         'Microsoft.ContainerService/managedClusters'. List of available regions for the resource type is '{}'.",
        regions.join(",")
    );
    arm(400, "LocationNotAvailableForResourceType", message)
}

/// A region takes no new customers.
pub(super) fn closed_region(cluster: &str) -> Reply {
    let message = format!(
        "Resource '{cluster}' was disallowed by Azure: This policy maintains a set of best available regions where your \
         subscription can deploy resources. The objective of this policy is to ensure that your subscription has full \
         access to Azure services with optimal performance. Should you need additional or different regions, contact \
         support.."
    );
    arm(403, "RequestDisallowedByAzure", message)
}

pub(super) fn no_version(cluster: &str, version: &str, region: &str) -> Reply {
    let message = format!(
        "Managed cluster {cluster} is on version {version}, which is not supported in this region ({region}). Please use \
         [az aks get-versions] command to get the supported version list in this region. For more information, please \
         check https://aka.ms/supported-version-list"
    );
    aks(400, "K8sVersionNotSupported", message)
}

pub(super) fn no_pool_version(version: &str) -> Reply {
    let message = format!(
        "Version {version} is not supported in this region. Please use [az aks get-versions] command to get the \
         supported version list in this region. For more information, please check \
         https://aka.ms/supported-version-list"
    );
    aks(400, "AgentPoolK8sVersionNotSupported", message)
}

/// The body is not what the schema says.
pub(super) fn bad_body(violations: &[String]) -> Reply {
    aks(400, "UnmarshalError", format!("UnmarshalEntity encountered error: {}.", violations.join("; ")))
}

/// The body is no JSON.
pub(super) fn no_json() -> Reply {
    let message = "The request content was invalid and could not be deserialized: 'Unexpected character encountered while \
                   parsing value.'.";
    arm(400, "InvalidRequestContent", message)
}

/// The method is published, but not simulated.
pub(super) fn unimplemented(kind: &str) -> Reply {
    arm(501, "NotImplemented", format!("{kind} is not part of this simulator."))
}

/// An error as clusters, pools and operations carry it.
pub(super) fn detail((code, message): &(String, String)) -> Value {
    json!({"code": code, "message": message})
}
