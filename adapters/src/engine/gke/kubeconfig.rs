//! How a cluster is reached. Clusters of GKE have no credentials of their own that last: whoever has a Google token and the right may in.
//! So what is kept is where the cluster is and whom to trust, without credentials.

use kqueen_domain::{
    observation::EngineError,
    reason::{ReasonCode, Responsible},
    secret::SecretValue,
};
use serde_json::json;

use super::{failures::rejected, wire::Cluster};

/// The kubeconfig of a cluster, without credentials.
pub(super) fn of(cluster: &Cluster) -> Result<SecretValue, EngineError> {
    let endpoints = &cluster.control_plane_endpoints_config;
    let dns = &endpoints.dns_endpoint_config;
    let by_address = endpoints.ip_endpoints_config.enabled != Some(false) && !cluster.endpoint.is_empty();
    let reached = if by_address {
        json!({
            "server": format!("https://{}", cluster.endpoint),
            "certificate-authority-data": cluster.master_auth.cluster_ca_certificate,
        })
    } else if dns.allow_external_traffic && !dns.endpoint.is_empty() {
        // Its certificate is from a public authority.
        json!({"server": format!("https://{}", dns.endpoint)})
    } else {
        return Err(rejected(
            ReasonCode::ClusterUnreachable,
            "the cluster has neither an IP address nor a DNS name that can be reached from outside its network",
            Responsible::Admin,
            "allow external traffic to its DNS endpoint at Google",
            "",
        ));
    };
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster.name, "cluster": reached}],
        "users": [{"name": cluster.name, "user": {}}],
        "contexts": [{"name": cluster.name, "context": {"cluster": cluster.name, "user": cluster.name}}],
        "current-context": cluster.name,
    })
    .into())
}
