//! What a caller needs to be allowed for each method.

use crate::simulator::call::Call;

/// Whether AKS itself answers a method.
pub(super) fn is_aks(kind: &str) -> bool {
    kind.starts_with("managed_clusters.") || kind.starts_with("agent_pools.")
}

/// What a call is about, as roles are assigned for it.
pub(super) fn scope(call: &Call) -> String {
    let path = call.request.path.trim_end_matches('/');
    // The verb at the end of a path is no part of it.
    let verb = call.request.method == hyper::Method::POST;
    if verb { path.rsplit_once('/').map_or(path, |(scope, _)| scope).to_owned() } else { path.to_owned() }
}

/// The action that a method needs.
pub(super) fn permission(call: &Call) -> Option<String> {
    let clusters = "Microsoft.ContainerService/managedClusters";
    Some(match call.kind() {
        "permissions.list_for_resource_group" => return None,
        "subscriptions.get" => "Microsoft.Resources/subscriptions/read".to_owned(),
        "subscriptions.list_locations" => "Microsoft.Resources/subscriptions/locations/read".to_owned(),
        "resource_groups.get" | "resource_groups.list" => {
            "Microsoft.Resources/subscriptions/resourceGroups/read".to_owned()
        }
        "providers.get" => "Microsoft.Resources/subscriptions/providers/read".to_owned(),
        "providers.register" => format!("{}/register/action", call.parameter("namespace")),
        "resource_skus.list" => "Microsoft.Compute/skus/read".to_owned(),
        "usage.list" => "Microsoft.Compute/locations/usages/read".to_owned(),
        "operations.get" => "Microsoft.ContainerService/locations/operations/read".to_owned(),
        "operations.result" => "Microsoft.ContainerService/locations/operationresults/read".to_owned(),
        "managed_clusters.list_kubernetes_versions" => {
            "Microsoft.ContainerService/locations/kubernetesVersions/read".to_owned()
        }
        "managed_clusters.create_or_update" | "managed_clusters.update_tags" => format!("{clusters}/write"),
        "managed_clusters.delete" => format!("{clusters}/delete"),
        "managed_clusters.list_cluster_admin_credentials" => format!("{clusters}/listClusterAdminCredential/action"),
        "managed_clusters.list_cluster_user_credentials" => format!("{clusters}/listClusterUserCredential/action"),
        "managed_clusters.abort_latest_operation" => format!("{clusters}/abort/action"),
        "managed_clusters.stop" => format!("{clusters}/stop/action"),
        "managed_clusters.start" => format!("{clusters}/start/action"),
        "managed_clusters.rotate_cluster_certificates" => format!("{clusters}/rotateClusterCertificates/action"),
        "managed_clusters.get_upgrade_profile" => format!("{clusters}/upgradeProfiles/read"),
        "agent_pools.create_or_update" => format!("{clusters}/agentPools/write"),
        "agent_pools.delete" => format!("{clusters}/agentPools/delete"),
        "agent_pools.abort_latest_operation" => format!("{clusters}/agentPools/abort/action"),
        kind if kind.starts_with("agent_pools.") => format!("{clusters}/agentPools/read"),
        _ => format!("{clusters}/read"),
    })
}
