//! Kubeconfigs as AKS hands them out: of a cluster's local account, and with a plug-in that logs people in.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{account::AKS_SERVER, cluster::Cluster};
use crate::fixture::kubernetes::{Authority, Identity};

/// The application that people log in with.
const AKS_CLIENT: &str = "80faf920-1908-4b52-b5ef-a8e7bedfc67a";

/// The certificate that every local account has. It opens nothing: simulated API servers ask for tokens.
static CERTIFICATE: LazyLock<Identity> = LazyLock::new(|| Authority::new().client("masterclient", "system:masters"));

/// The kubeconfig of the local account with every right.
pub(super) fn admin(cluster: &Cluster, has_certificate: bool) -> Value {
    result("clusterAdmin", &format!("{}-admin", cluster.name.name), cluster, &local(cluster, has_certificate))
}

/// The kubeconfig for people; `None` if there is none of that form. A cluster without Entra has but its local account.
pub(super) fn user(cluster: &Cluster, tenant: &str, form: &str, has_certificate: bool) -> Option<Value> {
    let entra = match form {
        "exec" => exec(tenant),
        "azure" => provider(tenant),
        _ => return None,
    };
    let user = if cluster.has_entra() { entra } else { local(cluster, has_certificate) };
    Some(result("clusterUser", &cluster.name.name, cluster, &user))
}

fn local(cluster: &Cluster, has_certificate: bool) -> String {
    let token = format!("    token: {}\n", cluster.token);
    if !has_certificate {
        return token;
    }
    format!(
        "    client-certificate-data: {}\n    client-key-data: {}\n{token}",
        STANDARD.encode(&CERTIFICATE.certificate),
        STANDARD.encode(&CERTIFICATE.key)
    )
}

fn exec(tenant: &str) -> String {
    let arguments = [
        "get-token",
        "--environment",
        "AzurePublicCloud",
        "--server-id",
        AKS_SERVER,
        "--client-id",
        AKS_CLIENT,
        "--tenant-id",
        tenant,
        "--login",
        "devicecode",
    ];
    let arguments: String = arguments.iter().map(|argument| format!("      - {argument}\n")).collect();
    format!(
        "    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n      args:\n{arguments}      command: \
         kubelogin\n      env: null\n      installHint: |\n\n        kubelogin is not installed which is required to \
         connect to AAD enabled cluster.\n\n        To learn more, please go to \
         https://aka.ms/aks/kubelogin\n      provideClusterInfo: false\n"
    )
}

fn provider(tenant: &str) -> String {
    format!(
        "    auth-provider:\n      config:\n        apiserver-id: {AKS_SERVER}\n        client-id: {AKS_CLIENT}\n        \
         config-mode: '1'\n        environment: AzurePublicCloud\n        tenant-id: {tenant}\n      name: azure\n"
    )
}

fn result(kind: &str, context: &str, cluster: &Cluster, user: &str) -> Value {
    let (server, authority) = cluster.endpoint.clone().unwrap_or_default();
    let name = &cluster.name.name;
    let account = format!("{kind}_{}_{name}", cluster.name.group);
    let document = format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: {server}\n  name: \
         {name}\ncontexts:\n- context:\n    cluster: {name}\n    user: {account}\n  name: {context}\ncurrent-context: \
         {context}\nkind: Config\npreferences: {{}}\nusers:\n- name: {account}\n  user:\n{user}",
        STANDARD.encode(authority)
    );
    json!({"kubeconfigs": [{"name": kind, "value": STANDARD.encode(document)}]})
}
