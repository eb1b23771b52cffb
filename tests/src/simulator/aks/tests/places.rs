//! What is offered, lists in pages, and how many calls may come.

use super::*;

#[tokio::test]
async fn what_is_offered_where_is_told() {
    let site = Site::new().await;
    let locations = site.get(&site.path("/locations")).await.ok()["value"].clone();
    assert_eq!(locations.as_array().unwrap().len(), 8);
    assert_eq!(locations[5]["displayName"], "West Europe");
    let skus = |filter: &str| site.path(&format!("/providers/Microsoft.Compute/skus{filter}"));
    let here = site.get(&skus("?$filter=location%20eq%20%27westus%27")).await.ok()["value"].clone();
    let machines: Vec<&Value> =
        here.as_array().unwrap().iter().filter(|sku| sku["resourceType"] == "virtualMachines").collect();
    assert_eq!(machines.len(), 16);
    assert_eq!(machines[0]["capabilities"][0], json!({"name": "vCPUs", "value": "1"}));
    assert_eq!(machines[0]["locationInfo"], json!([{"location": "westus", "zones": []}]));
    assert!(site.get(&skus("")).await.ok()["value"].as_array().unwrap().len() > 100);
    assert_eq!(site.get(&skus("?$filter=name%20eq%20%27x%27")).await.status, 400);
    let versions = site.path("/providers/Microsoft.ContainerService/locations/westeurope/kubernetesVersions");
    let versions = site.get(&versions).await.ok()["values"].clone();
    let default = versions.as_array().unwrap().iter().find(|version| version["isDefault"] == true).unwrap();
    assert_eq!(
        (&default["version"], &default["patchVersions"]["1.34.2"]["upgrades"]),
        (&json!("1.34"), &json!(["1.35.0", "1.35.1"]))
    );
    let groups = site.get(&site.path("/resourcegroups")).await.ok();
    assert_eq!(groups["value"][0]["properties"]["provisioningState"], "Succeeded");
    site.clean();
}

#[tokio::test]
async fn lists_come_in_pages_that_lead_to_the_next() {
    let site = Site::new().await;
    site.aks.with(|aks, _| aks.page_size = 3);
    for number in 0..7 {
        site.aks.plant(&site.name(&format!("c{number}")), &json!({}));
    }
    site.aks.plant(&ClusterName::new(&site.subscription, "other", "c"), &json!({}));
    let bearer = format!("Bearer {}", site.token);
    let of_group = site.path("/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters");
    let of_subscription = site.path("/providers/Microsoft.ContainerService/managedClusters");
    for (list, count, pages) in [(of_group, 7, 3), (of_subscription, 8, 3)] {
        let (mut found, mut seen, mut next) = (Vec::new(), 0, site.url(&list));
        while !next.is_empty() {
            assert!(next.starts_with(&site.aks.url), "{next}");
            let page = site.ask_with(Method::GET, &next, &[("authorization", &bearer)], Value::Null).await.ok();
            found.extend(page["value"].as_array().unwrap().iter().map(|cluster| cluster["id"].to_string()));
            page["nextLink"].as_str().unwrap_or_default().clone_into(&mut next);
            seen += 1;
        }
        found.sort();
        found.dedup();
        assert_eq!((found.len(), seen), (count, pages));
    }
    let nonsense = site.path("/providers/Microsoft.ContainerService/managedClusters?%24skipToken=x");
    assert_eq!(site.get(&nonsense).await.status, 400);
    site.clean();
}

#[tokio::test]
async fn the_published_rates_are_enforced() {
    let site = Site::new().await;
    site.running(1).await;
    let at = site.at("c");
    let calls = async |count: usize, path: &str| {
        let mut refused = 0;
        for _ in 0..count {
            refused += usize::from(site.get(path).await.status == 429);
        }
        refused
    };
    // Of a cluster 60 at once and one more every second.
    assert_eq!(calls(65, &at).await, 6);
    let told = site.get(&at).await;
    assert_eq!(told.header("retry-after"), "1");
    assert_eq!(told.refused().1, "Throttled");
    // Lists are counted by themselves.
    assert_eq!(
        calls(60, &site.path("/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters")).await,
        0
    );
    site.aks.pass(TimeDelta::seconds(1));
    assert_eq!(site.get(&at).await.status, 200);
    // Of a pool 20 changes at once and one more every minute.
    site.pass(60);
    let token = site.aks.with(|aks, _| aks.accounts.mint(&site.principal.client_id));
    let site = Site { token, ..site };
    let pool = json!({"properties": {"count": 2, "vmSize": "Standard_D2s_v5", "mode": "System"}});
    let mut statuses = Vec::new();
    for _ in 0..21 {
        statuses.push(site.put(&format!("{at}{POOL}"), pool.clone()).await.status);
    }
    assert_eq!((statuses[0], statuses[19], statuses[20]), (200, 409, 429));
    assert_eq!(site.put(&format!("{at}{POOL}"), pool).await.header("retry-after"), "60");
    // Resource Manager counts what a subscription reads.
    let mut refused = 0;
    for _ in 0..260 {
        let told = site.get(&site.path("/resourcegroups/rg")).await;
        if told.status == 429 {
            assert_eq!(told.refused().1, "TooManyRequests");
            refused += 1;
        }
    }
    assert!(refused > 0, "{refused}");
    site.clean();
}
