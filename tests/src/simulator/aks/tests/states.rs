//! What becomes of clusters in the course of time.

use super::*;
use crate::simulator::{Doom, Fault, Injection};

impl Setup {
    async fn status(&self, operation: &str) -> Value {
        let bearer = format!("Bearer {}", self.token);
        self.ask_with(Method::GET, operation, &[("authorization", &bearer)], Value::Null).await.ok()
    }

    async fn result(&self, location: &str) -> Received {
        let bearer = format!("Bearer {}", self.token);
        self.ask_with(Method::GET, location, &[("authorization", &bearer)], Value::Null).await
    }
}

#[tokio::test]
async fn a_cluster_comes_grows_and_goes_through_the_real_states() {
    let setup = Setup::new().await;
    let told = setup.put(&setup.at("c"), asked(2)).await;
    assert_eq!((told.status, told.header("retry-after").as_str()), (201, "10"));
    let operation = told.header("azure-asyncoperation");
    assert!(operation.starts_with(&setup.aks.url), "{operation}");
    let shown = &told.body["properties"];
    assert_eq!(
        (&shown["provisioningState"], &shown["agentPoolProfiles"][0]["provisioningState"]),
        (&json!("Creating"), &json!("Creating"))
    );
    assert_eq!(shown["nodeResourceGroup"], "MC_rg_c_westeurope");
    assert_eq!(setup.post(&format!("{}/listClusterAdminCredential", setup.at("c"))).await.refused().0, 409);
    let mut said = Vec::new();
    for _ in 0..4 {
        said.push(setup.status(&operation).await["status"].as_str().unwrap().to_owned());
        setup.pass(1);
    }
    assert_eq!(said, ["InProgress", "ProvisionControlPlane", "ProvisionControlPlane", "ProvisionControlPlane"]);
    setup.pass(1);
    let done = setup.status(&operation).await;
    assert!(done["status"] == "Succeeded" && done["endTime"].is_string(), "{done}");
    let shown = setup.properties("c").await;
    assert_eq!((&shown["provisioningState"], &shown["powerState"]["code"]), (&json!("Succeeded"), &json!("Running")));
    assert_eq!((&shown["kubernetesVersion"], &shown["currentKubernetesVersion"]), (&json!("1.34"), &json!("1.34.2")));
    let config = setup.kubeconfig("c", "listClusterAdminCredential").await;
    assert_eq!(nodes(&config, entry(&config, "token")).await, Ok(2));
    // The nodes are in a group of their own.
    let group = setup.get(&setup.path("/resourcegroups/mc_rg_c_westeurope")).await.ok();
    assert_eq!(group["managedBy"], setup.at("c"));
    // Ids are the same in capitals and not, and AKS makes use of it.
    let id = setup.get(&setup.at("C")).await.ok()["id"].as_str().unwrap().to_owned();
    assert!(id != setup.at("c") && id.eq_ignore_ascii_case(&setup.at("c")), "{id}");

    // Resized through the pool: the cluster shows nothing of it.
    let at = format!("{}{POOL}", setup.at("c"));
    let mut pool = setup.get(&at).await.ok();
    pool["properties"]["count"] = 5.into();
    let bearer = format!("Bearer {}", setup.token);
    let etag = pool["properties"]["eTag"].as_str().unwrap().to_owned();
    let headers = [("authorization", bearer.as_str()), ("if-match", etag.as_str())];
    let told = setup.ask_with(Method::PUT, &setup.url(&at), &headers, pool.clone()).await;
    assert_eq!((told.status, &told.body["properties"]["provisioningState"]), (200, &json!("Scaling")));
    assert_eq!(setup.properties("c").await["provisioningState"], "Succeeded");
    assert_eq!(nodes(&config, entry(&config, "token")).await, Ok(2));
    let (status, code, message) = setup.put(&at, pool.clone()).await.refused();
    assert_eq!((status, code.as_str()), (409, "OperationNotAllowed"));
    assert!(message.contains("Another agentpool operation (agentpool - Scaling) is in progress"), "{message}");
    setup.pass(2);
    assert_eq!(nodes(&config, entry(&config, "token")).await, Ok(5));
    // What was known of it is old.
    let stale = setup.ask_with(Method::PUT, &setup.url(&at), &headers, pool.clone()).await.refused();
    assert_eq!((stale.0, stale.1.as_str()), (412, "EtagMismatch"));
    let only_new = [("authorization", bearer.as_str()), ("if-none-match", "*")];
    assert_eq!(setup.ask_with(Method::PUT, &setup.url(&setup.at("c")), &only_new, asked(2)).await.status, 412);
    // The same size once more is accepted.
    assert_eq!(setup.put(&at, pool).await.status, 200);
    setup.pass(2);

    let told = setup.delete(&setup.at("c")).await;
    assert_eq!(told.status, 202);
    let (operation, location) = (told.header("azure-asyncoperation"), told.header("location"));
    assert_eq!(setup.properties("c").await["provisioningState"], "Deleting");
    assert_eq!(setup.result(&location).await.status, 202);
    assert_eq!(setup.delete(&setup.at("c")).await.header("azure-asyncoperation"), operation);
    setup.pass(4);
    assert_eq!(
        (setup.status(&operation).await["status"].as_str(), setup.result(&location).await.status),
        (Some("Succeeded"), 204)
    );
    assert_eq!(setup.get(&setup.at("c")).await.refused().1, "ResourceNotFound");
    assert_eq!(setup.delete(&setup.at("c")).await.status, 204);
    assert_eq!(setup.get(&setup.path("/resourcegroups/mc_rg_c_westeurope")).await.status, 404);
    setup.clean();
}

#[tokio::test]
async fn a_put_replaces_and_upgrades() {
    let setup = Setup::new().await;
    setup.running(1).await;
    let at = setup.at("c");
    // What was got may be sent again.
    let same = setup.get(&at).await.ok();
    assert_eq!(setup.put(&at, same.clone()).await.status, 200);
    let (status, _, message) = setup.put(&at, same.clone()).await.refused();
    assert!(status == 409 && message.contains("in progress update managed cluster operation"), "{message}");
    setup.pass(2);
    let mut newer = setup.get(&at).await.ok();
    newer["properties"]["kubernetesVersion"] = "1.36".into();
    let (_, code, message) = setup.put(&at, newer.clone()).await.refused();
    assert!(code == "OperationNotAllowed" && message.contains("Available upgrades: [1.35.0 1.35.1]"), "{message}");
    newer["properties"]["kubernetesVersion"] = "1.35".into();
    setup.put(&at, newer.clone()).await.ok();
    assert_eq!(setup.properties("c").await["provisioningState"], "Upgrading");
    setup.pass(8);
    let shown = setup.properties("c").await;
    let pool = &shown["agentPoolProfiles"][0];
    assert_eq!(
        (&shown["currentKubernetesVersion"], &pool["currentOrchestratorVersion"]),
        (&json!("1.35.1"), &json!("1.34.2"))
    );
    let mut pool = setup.get(&format!("{at}{POOL}")).await.ok();
    pool["properties"]["orchestratorVersion"] = "1.35".into();
    setup.put(&format!("{at}{POOL}"), pool).await.ok();
    setup.pass(5);
    let profile = setup.get(&format!("{at}/upgradeProfiles/default")).await.ok()["properties"].clone();
    assert_eq!(profile["agentPoolProfiles"][0]["kubernetesVersion"], "1.35.1");
    assert_eq!(profile["controlPlaneProfile"]["upgrades"], json!([{"kubernetesVersion": "1.36.0", "isPreview": true}]));
    newer["properties"]["kubernetesVersion"] = "1.34".into();
    assert_eq!(setup.put(&at, newer).await.refused().1, "OperationNotAllowed");
    // What stays as it is, and what may be switched on.
    for (field, value, refused) in [("networkPolicy", "none", true), ("networkPlugin", "none", true)] {
        let mut other = setup.get(&at).await.ok();
        other["properties"]["networkProfile"][field] = value.into();
        assert_eq!(setup.put(&at, other).await.refused().1 == "PropertyChangeNotAllowed", refused, "{field}");
    }
    let mut open = asked(1);
    open["properties"]["networkProfile"]["networkPolicy"] = "none".into();
    setup.put(&setup.at("open"), open.clone()).await.ok();
    setup.pass(5);
    open["properties"]["networkProfile"]["networkPolicy"] = "cilium".into();
    setup.put(&setup.at("open"), open).await.ok();
    setup.pass(2);
    assert_eq!(setup.properties("open").await["networkProfile"]["networkPolicy"], "cilium");
    // Calico may be uninstalled, but not replaced.
    let mut calico = asked(1);
    calico["properties"]["networkProfile"]["networkDataplane"] = "azure".into();
    calico["properties"]["networkProfile"]["networkPolicy"] = "calico".into();
    setup.put(&setup.at("calico"), calico.clone()).await.ok();
    setup.pass(5);
    calico["properties"]["networkProfile"]["networkPolicy"] = "azure".into();
    assert_eq!(setup.put(&setup.at("calico"), calico.clone()).await.refused().1, "PropertyChangeNotAllowed");
    calico["properties"]["networkProfile"]["networkPolicy"] = "none".into();
    setup.put(&setup.at("calico"), calico).await.ok();
    setup.pass(2);
    assert_eq!(setup.properties("calico").await["networkProfile"]["networkPolicy"], "none");
    setup.clean();
}

#[tokio::test]
async fn a_cluster_with_a_secret_cannot_be_put_back_as_it_was_got() {
    let setup = Setup::new().await;
    let mut with_principal = asked(1);
    with_principal.as_object_mut().unwrap().remove("identity");
    with_principal["properties"]["servicePrincipalProfile"] = json!({"clientId": "c", "secret": "s3cret"});
    setup.put(&setup.at("c"), with_principal).await.ok();
    setup.pass(5);
    let got = setup.get(&setup.at("c")).await.ok();
    assert_eq!(got["properties"]["servicePrincipalProfile"], json!({"clientId": "c"}));
    assert_eq!(setup.put(&setup.at("c"), got.clone()).await.refused().1, "ServicePrincipalValidationClientError");
    // Through its pool it can be resized.
    let mut pool = setup.get(&format!("{}{POOL}", setup.at("c"))).await.ok();
    pool["properties"]["count"] = 2.into();
    assert_eq!(setup.put(&format!("{}{POOL}", setup.at("c")), pool).await.status, 200);
    setup.clean();
}

#[tokio::test]
async fn what_is_under_way_can_be_aborted() {
    let setup = Setup::new().await;
    let at = setup.at("c");
    let creation = setup.put(&at, asked(1)).await.header("azure-asyncoperation");
    setup.pass(2);
    let abort = setup.post(&format!("{at}/abort")).await;
    assert_eq!((abort.status, setup.properties("c").await["provisioningState"].as_str()), (202, Some("Canceling")));
    assert_eq!(setup.post(&format!("{at}/abort")).await.status, 400);
    setup.pass(1);
    assert_eq!(setup.status(&creation).await["status"], "Canceled");
    assert_eq!(setup.status(&abort.header("azure-asyncoperation")).await["status"], "Succeeded");
    assert_eq!(setup.properties("c").await["provisioningState"], "Canceled");
    assert_eq!(setup.post(&format!("{at}/abort")).await.refused().1, "OperationNotAllowed");
    // It is carried on by asking for it again.
    assert_eq!(setup.put(&at, asked(1)).await.status, 200);
    assert_eq!(setup.properties("c").await["provisioningState"], "Creating");
    setup.pass(5);
    // Of a pool only the pool shows it.
    let mut pool = setup.get(&format!("{at}{POOL}")).await.ok();
    pool["properties"]["count"] = 3.into();
    setup.put(&format!("{at}{POOL}"), pool).await.ok();
    assert_eq!(setup.post(&format!("{at}{POOL}/abort")).await.status, 202);
    setup.pass(1);
    let shown = setup.properties("c").await;
    assert_eq!(
        (&shown["provisioningState"], &shown["agentPoolProfiles"][0]["provisioningState"]),
        (&json!("Succeeded"), &json!("Canceled"))
    );
    setup.delete(&at).await.ok();
    assert_eq!(setup.post(&format!("{at}/abort")).await.refused().1, "OperationNotAllowed");
    setup.clean();
}

#[tokio::test]
async fn a_cluster_stops_and_starts() {
    let setup = Setup::new().await;
    setup.running(2).await;
    let at = setup.at("c");
    assert_eq!(setup.post(&format!("{at}/start")).await.status, 400);
    let stop = setup.post(&format!("{at}/stop")).await.header("location");
    assert_eq!(setup.properties("c").await["provisioningState"], "Stopping");
    setup.pass(2);
    assert_eq!(setup.result(&stop).await.status, 204);
    let shown = setup.properties("c").await;
    assert_eq!((&shown["provisioningState"], &shown["powerState"]["code"]), (&json!("Succeeded"), &json!("Stopped")));
    assert_eq!(setup.put(&at, asked(3)).await.status, 400);
    setup.post(&format!("{at}/start")).await.ok();
    assert_eq!(setup.properties("c").await["provisioningState"], "Starting");
    setup.pass(3);
    let config = setup.kubeconfig("c", "listClusterUserCredential").await;
    assert_eq!(nodes(&config, entry(&config, "token")).await, Ok(2));
    setup.clean();
}

#[tokio::test]
async fn pools_and_tags_come_and_go() {
    let setup = Setup::new().await;
    setup.running(1).await;
    let at = setup.at("c");
    let more = json!({"properties": {"count": 2, "vmSize": "Standard_D4s_v5", "mode": "User", "availabilityZones": ["1", "2"]}});
    let told = setup.put(&format!("{at}/agentPools/more"), more).await;
    assert_eq!((told.status, &told.body["properties"]["provisioningState"]), (201, &json!("Creating")));
    setup.pass(2);
    let config = setup.kubeconfig("c", "listClusterAdminCredential").await;
    assert_eq!(nodes(&config, entry(&config, "token")).await, Ok(3));
    assert_eq!(setup.get(&format!("{at}/agentPools")).await.ok()["value"].as_array().unwrap().len(), 2);
    assert_eq!(setup.get(&format!("{at}/availableAgentPoolVersions")).await.status, 200);
    assert_eq!(setup.delete(&format!("{at}{POOL}")).await.refused().1, "OperationNotAllowed");
    assert_eq!(setup.delete(&format!("{at}/agentPools/more")).await.status, 202);
    setup.pass(2);
    assert_eq!(setup.get(&format!("{at}/agentPools/more")).await.status, 404);
    assert_eq!(setup.delete(&format!("{at}/agentPools/more")).await.status, 204);
    let told = setup.patch(&at, json!({"tags": {"a": "b"}})).await;
    assert_eq!((told.status, &told.body["tags"]), (200, &json!({"a": "b"})));
    assert!(told.header("azure-asyncoperation").contains("/operations/"));
    setup.pass(1);
    assert_eq!(setup.get(&at).await.ok()["tags"], json!({"a": "b"}));
    setup.clean();
}

#[tokio::test]
async fn what_is_doomed_fails_afterwards_in_azures_words() {
    for (code, leaves_half, words) in [
        ("", false, "Internal server error"),
        ("AllocationFailed", false, "sufficient capacity"),
        ("QuotaExceeded", false, "Total Regional Cores quota"),
        ("VMExtensionProvisioningError", true, "vmssCSE"),
    ] {
        let setup = Setup::new().await;
        let doom = Doom { code: code.to_owned(), leaves_half, ..Doom::default() };
        setup.aks.inject(Injection::on("managed_clusters.create_or_update", Fault::Doomed(doom)));
        let operation = setup.put(&setup.at("c"), asked(1)).await.header("azure-asyncoperation");
        setup.pass(5);
        let done = setup.status(&operation).await;
        assert_eq!(done["status"], "Failed");
        assert!(done["error"]["message"].as_str().unwrap().contains(words), "{done}");
        let shown = setup.properties("c").await;
        assert_eq!(
            (&shown["provisioningState"], &shown["agentPoolProfiles"][0]["provisioningState"]),
            (&json!("Failed"), &json!("Failed"))
        );
        assert!(shown["status"]["provisioningError"]["message"].as_str().unwrap().contains(words), "{shown}");
        // Its control plane may be there all the same.
        let credentials = setup.post(&format!("{}/listClusterAdminCredential", setup.at("c"))).await.status;
        assert_eq!(credentials, if leaves_half { 200 } else { 409 });
        // AKS tries again by itself, and may succeed.
        setup.aks.happen(Event::Recovers { cluster: setup.name("c") });
        assert_eq!(setup.properties("c").await["provisioningState"], "Succeeded");
        setup.delete(&setup.at("c")).await.ok();
        setup.pass(4);
        assert_eq!(setup.get(&setup.at("c")).await.status, 404);
        setup.clean();
    }
}

#[tokio::test]
async fn what_is_read_may_be_as_it_was_before_the_last_change() {
    let setup = Setup::new().await;
    let (at, list) =
        (setup.at("c"), setup.path("/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters"));
    setup.put(&at, asked(1)).await.ok();
    setup.pass(5);
    setup.aks.inject(Injection::any(Fault::Stale));
    assert_eq!(setup.get(&at).await.ok()["properties"]["provisioningState"], "Creating");
    setup.delete(&at).await.ok();
    setup.pass(4);
    setup.aks.inject(Injection::any(Fault::Stale));
    assert_eq!(setup.get(&list).await.ok()["value"][0]["properties"]["provisioningState"], "Deleting");
    assert_eq!(setup.get(&list).await.ok(), json!({"value": []}));
    setup.clean();
}

#[tokio::test]
async fn things_happen_to_clusters_without_a_call() {
    let setup = Setup::new().await;
    setup.running(1).await;
    let (at, cluster) = (setup.at("c"), setup.name("c"));
    let (code, message) = ("ReconcileStandardLoadBalancerError".to_owned(), "no address".to_owned());
    setup.aks.happen(Event::Breaks { cluster: cluster.clone(), code, message });
    let shown = setup.properties("c").await;
    assert_eq!(
        (&shown["provisioningState"], &shown["status"]["provisioningError"]["message"]),
        (&json!("Failed"), &json!("no address"))
    );
    setup.aks.happen(Event::Recovers { cluster: cluster.clone() });
    let pool = "agentpool".to_owned();
    setup.aks.happen(Event::PoolBreaks { cluster: cluster.clone(), pool, message: "no disks".to_owned() });
    let shown = setup.properties("c").await;
    assert_eq!(
        (&shown["provisioningState"], &shown["agentPoolProfiles"][0]["provisioningState"]),
        (&json!("Succeeded"), &json!("Failed"))
    );
    setup.aks.happen(Event::Shows { cluster: cluster.clone(), state: "Pondering".to_owned() });
    assert_eq!(setup.properties("c").await["provisioningState"], "Pondering");
    setup.aks.happen(Event::Upgrades { cluster: cluster.clone(), version: "1.35.0".to_owned() });
    setup.aks.happen(Event::Stalls { cluster: cluster.clone() });
    setup.pass(24 * 60);
    let token = setup.aks.with(|aks, _| aks.accounts.mint(&setup.principal.client_id));
    let setup = Setup { token, ..setup };
    assert_eq!(setup.properties("c").await["provisioningState"], "Upgrading");
    setup.aks.happen(Event::IsDeleted { cluster: cluster.clone() });
    let told = setup.delete(&at).await;
    setup.aks.happen(Event::Says { cluster: cluster.clone(), status: "Sweeping".to_owned() });
    assert_eq!(setup.status(&told.header("azure-asyncoperation")).await["status"], "Sweeping");
    setup.pass(4);
    assert_eq!(setup.aks.cluster(&cluster), None);

    setup.aks.plant(&cluster, &json!({"tags": {"owner": "else"}}));
    assert_eq!(setup.get(&at).await.ok()["tags"], json!({"owner": "else"}));
    assert_eq!(setup.aks.clusters(), Vec::new());
    setup.aks.happen(Event::Tags { cluster: cluster.clone(), tags: std::collections::BTreeMap::new() });
    assert_eq!(setup.get(&at).await.ok()["tags"], json!({}));
    setup.aks.happen(Event::Vanishes { cluster: cluster.clone() });
    assert_eq!(setup.get(&at).await.status, 404);
    setup.aks.plant(&cluster, &json!({}));
    let (subscription, group) = (setup.subscription.clone(), "rg".to_owned());
    setup.aks.happen(Event::Group { subscription, group, location: None });
    assert_eq!(setup.get(&at).await.refused().1, "ResourceGroupNotFound");
    setup.clean();
}
