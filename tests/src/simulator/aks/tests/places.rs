//! What is offered, lists in pages, and how many calls may come.

use super::*;

#[tokio::test]
async fn what_is_offered_where_is_told() {
    let setup = Setup::new().await;
    let locations = setup.get(&setup.path("/locations")).await.ok()["value"].clone();
    assert_eq!(locations.as_array().unwrap().len(), 8);
    assert_eq!(locations[5]["displayName"], "West Europe");
    let skus = |filter: &str| setup.path(&format!("/providers/Microsoft.Compute/skus{filter}"));
    let here = setup.get(&skus("?$filter=location%20eq%20%27westus%27")).await.ok()["value"].clone();
    let machines: Vec<&Value> =
        here.as_array().unwrap().iter().filter(|sku| sku["resourceType"] == "virtualMachines").collect();
    assert_eq!(machines.len(), 16);
    assert_eq!(machines[0]["capabilities"][0], json!({"name": "vCPUs", "value": "1"}));
    assert_eq!(machines[0]["locationInfo"], json!([{"location": "westus", "zones": []}]));
    assert!(setup.get(&skus("")).await.ok()["value"].as_array().unwrap().len() > 100);
    assert_eq!(setup.get(&skus("?$filter=name%20eq%20%27x%27")).await.status, 400);
    let versions = setup.path("/providers/Microsoft.ContainerService/locations/westeurope/kubernetesVersions");
    let versions = setup.get(&versions).await.ok()["values"].clone();
    let default = versions.as_array().unwrap().iter().find(|version| version["isDefault"] == true).unwrap();
    assert_eq!(
        (&default["version"], &default["patchVersions"]["1.34.2"]["upgrades"]),
        (&json!("1.34"), &json!(["1.35.0", "1.35.1"]))
    );
    let groups = setup.get(&setup.path("/resourcegroups")).await.ok();
    assert_eq!(groups["value"][0]["properties"]["provisioningState"], "Succeeded");
    setup.clean();
}

#[tokio::test]
async fn lists_come_in_pages_that_lead_to_the_next() {
    let setup = Setup::new().await;
    setup.aks.with(|aks, _| aks.page_size = 3);
    for number in 0..7 {
        setup.aks.plant(&setup.name(&format!("c{number}")), &json!({}));
    }
    setup.aks.plant(&ClusterName::new(&setup.subscription, "other", "c"), &json!({}));
    let bearer = format!("Bearer {}", setup.token);
    let of_group = setup.path("/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters");
    let of_subscription = setup.path("/providers/Microsoft.ContainerService/managedClusters");
    for (list, count, pages) in [(of_group, 7, 3), (of_subscription, 8, 3)] {
        let (mut found, mut seen, mut next) = (Vec::new(), 0, setup.url(&list));
        while !next.is_empty() {
            assert!(next.starts_with(&setup.aks.url), "{next}");
            let page = setup.ask_with(Method::GET, &next, &[("authorization", &bearer)], Value::Null).await.ok();
            found.extend(page["value"].as_array().unwrap().iter().map(|cluster| cluster["id"].to_string()));
            page["nextLink"].as_str().unwrap_or_default().clone_into(&mut next);
            seen += 1;
        }
        found.sort();
        found.dedup();
        assert_eq!((found.len(), seen), (count, pages));
    }
    let nonsense = setup.path("/providers/Microsoft.ContainerService/managedClusters?%24skipToken=x");
    assert_eq!(setup.get(&nonsense).await.status, 400);
    setup.clean();
}

#[tokio::test]
async fn the_published_rates_are_enforced() {
    let setup = Setup::new().await;
    setup.running(1).await;
    let at = setup.at("c");
    let calls = async |count: usize, path: &str| {
        let mut refused = 0;
        for _ in 0..count {
            refused += usize::from(setup.get(path).await.status == 429);
        }
        refused
    };
    // Of a cluster 60 at once and one more every second.
    assert_eq!(calls(65, &at).await, 6);
    let told = setup.get(&at).await;
    assert_eq!(told.header("retry-after"), "1");
    assert_eq!(told.refused().1, "Throttled");
    // Lists are counted by themselves.
    assert_eq!(
        calls(60, &setup.path("/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters")).await,
        0
    );
    setup.aks.pass(TimeDelta::seconds(1));
    assert_eq!(setup.get(&at).await.status, 200);
    // Of a pool 20 changes at once and one more every minute.
    setup.pass(60);
    let token = setup.aks.with(|aks, _| aks.accounts.mint(&setup.principal.client_id));
    let setup = Setup { token, ..setup };
    let pool = json!({"properties": {"count": 2, "vmSize": "Standard_D2s_v5", "mode": "System"}});
    let mut statuses = Vec::new();
    for _ in 0..21 {
        statuses.push(setup.put(&format!("{at}{POOL}"), pool.clone()).await.status);
    }
    assert_eq!((statuses[0], statuses[19], statuses[20]), (200, 409, 429));
    assert_eq!(setup.put(&format!("{at}{POOL}"), pool).await.header("retry-after"), "60");
    // Resource Manager counts what a subscription reads.
    let mut refused = 0;
    for _ in 0..260 {
        let told = setup.get(&setup.path("/resourcegroups/rg")).await;
        if told.status == 429 {
            assert_eq!(told.refused().1, "TooManyRequests");
            refused += 1;
        }
    }
    assert!(refused > 0, "{refused}");
    setup.clean();
}
