//! What is refused, and in which words.

use super::*;
use crate::simulator::{Acts, Fault, Injection, Trouble};

/// A cluster that differs from the usual one.
fn with(field: &str, value: Value) -> Value {
    let mut cluster = asked("c", 1);
    cluster[field] = value;
    cluster
}

fn with_pool(field: &str, value: Value) -> Value {
    let mut cluster = asked("c", 1);
    cluster["nodePools"][0]["config"][field] = value;
    cluster
}

#[tokio::test]
async fn creations_that_make_no_sense_are_refused() {
    let setup = Setup::new().await;
    let mut cidr = with("clusterIpv4Cidr", json!("10.0.0.0/14"));
    cidr["ipAllocationPolicy"] = json!({"clusterIpv4CidrBlock": "10.4.0.0/14"});
    let mut policy = with("networkConfig", json!({"datapathProvider": "ADVANCED_DATAPATH"}));
    policy["networkPolicy"] = json!({"provider": "CALICO", "enabled": true});
    let cases = [
        (with("name", json!("Capital")), "cluster.name"),
        (with("name", json!("a".repeat(41))), "cluster.name"),
        (with("name", json!("-c")), "cluster.name"),
        (with("initialNodeCount", json!(3)), "must not be used when Cluster.node_pools"),
        (cidr, "must not be used together"),
        (policy, "DatapathProvider=ADVANCED_DATAPATH is not allowed"),
        (with("initialClusterVersion", json!("1.20.8-gke.900")), "Master version \"1.20.8-gke.900\" is unsupported."),
        (with("initialClusterVersion", json!("1.19")), "No valid versions with the prefix"),
        (with("resourceLabels", json!({"Kqueen": "x"})), "is no valid label"),
        (with("nodePools", json!([{"name": "default-pool"}])), "initial_node_count must be greater than zero"),
        (with_pool("machineType", json!("e2-standard-3")), "Invalid machine type \"e2-standard-3\" in zone"),
        (with_pool("diskSizeGb", json!(5)), "disk size"),
        (with_pool("diskType", json!("pd-fast")), "Disk type"),
        (with("locations", json!(["us-east1-b"])), "Location \"us-east1-b\" does not exist."),
        (with("unheardOf", json!(1)), "Invalid JSON payload received."),
        (with("releaseChannel", json!({"channel": "WEEKLY"})), "Invalid JSON payload received."),
    ];
    for (cluster, words) in cases {
        let (status, code, message) = setup.create(ZONE, cluster).await.refused();
        assert_eq!((status, code.as_str()), (400, "INVALID_ARGUMENT"), "{message}");
        assert!(message.contains(words), "{message}");
    }
    let elsewhere = setup.create("/v1/projects/p/locations/us-east1-z", asked("c", 1)).await.refused();
    assert_eq!((elsewhere.0, elsewhere.2.as_str()), (400, "Location \"us-east1-z\" does not exist."));
    let arm = setup.create("/v1/projects/p/locations/us-east1-b", with_pool("machineType", json!("t2a-standard-1")));
    assert!(arm.await.refused().2.contains("GCE_NOT_FOUND"));
    assert_eq!((setup.gke.changes(), setup.gke.clusters().len()), (0, 0));
    setup.clean();
}

#[tokio::test]
async fn quotas_of_each_kind_run_out() {
    for (metric, limit, nodes) in
        [("CPUS", 7.0, 4), ("IN_USE_ADDRESSES", 3.0, 4), ("SSD_TOTAL_GB", 350.0, 4), ("INSTANCES", 3.0, 4)]
    {
        let setup = Setup::new().await;
        let (project, region) = ("p".to_owned(), "us-central1".to_owned());
        setup.gke.happen(Event::Quota { project, region, metric: metric.to_owned(), limit });
        let (status, code, message) = setup.create(ZONE, asked("c", nodes)).await.refused();
        assert_eq!((status, code.as_str()), (403, "PERMISSION_DENIED"));
        assert!(
            message.starts_with(&format!("Insufficient regional quota to satisfy request: resource \"{metric}\"")),
            "{message}"
        );
        setup.running(ZONE, 2).await;
        let at = format!("{ZONE}/clusters/c/nodePools/default-pool:setSize");
        let (_, _, message) = setup.post(&at, json!({"nodeCount": 4})).await.refused();
        assert!(message.contains(metric) && message.contains("is short"), "{message}");
        let quotas = setup.get("/compute/v1/projects/p/regions/us-central1").await.ok()["quotas"].clone();
        let quota = quotas.as_array().unwrap().iter().find(|quota| quota["metric"] == metric).unwrap();
        assert!(quota["limit"] == limit && quota["usage"].as_f64().unwrap() > 0.0, "{quota}");
        // Another region has quotas of its own.
        setup.create("/v1/projects/p/locations/us-east1-b", asked("c", nodes)).await.ok();
        setup.clean();
    }
}

#[tokio::test]
async fn a_place_is_full_at_a_hundred_clusters() {
    let setup = Setup::new().await;
    for number in 0..100 {
        let planted = ClusterName::new("p", "us-central1-a", &format!("c{number}"));
        setup.gke.plant(&planted, &json!({}));
    }
    let (status, _, message) = setup.create(ZONE, asked("c", 1)).await.refused();
    assert!(status == 403 && message.contains("100"), "{message}");
    setup.create(REGION, asked("c", 1)).await.ok();
    let list = setup.get("/v1/projects/p/locations/-/clusters").await.ok();
    assert_eq!(list["clusters"].as_array().unwrap().len(), 101);
    setup.clean();
}

#[tokio::test]
async fn what_a_project_may_not_do_is_refused() {
    let setup = Setup::new().await;
    let (project, region) = ("p".to_owned(), "us-central1".to_owned());
    setup.gke.happen(Event::Region { project: project.clone(), region, is_closed: true });
    let (status, _, message) = setup.create(ZONE, asked("c", 1)).await.refused();
    assert_eq!(
        (status, message.as_str()),
        (403, "Permission denied on 'locations/us-central1-a' (or it may not exist).")
    );
    setup.gke.happen(Event::Region { project: project.clone(), region: "us-central1".to_owned(), is_closed: false });
    let (zone, machine) = ("us-central1-a".to_owned(), "e2-standard-2".to_owned());
    setup.gke.happen(Event::Stock { project: project.clone(), zone, machine, is_out: true });
    assert!(setup.create(ZONE, asked("c", 1)).await.refused().2.contains("does not have enough resources"));
    setup.gke.happen(Event::VersionGoes { version: "1.32.9-gke.300".to_owned() });
    let config = setup.get(&format!("{ZONE}/serverConfig")).await.ok();
    assert!(!config.to_string().contains("1.32.9-gke.300"), "{config}");
    let gone = with("initialClusterVersion", json!("1.32.9-gke.300"));
    assert!(setup.create(REGION, gone).await.refused().2.contains("unsupported"));

    let reason = |told: Received| {
        let details = told.body["error"]["details"].as_array().cloned().unwrap_or_default();
        (
            told.status,
            details.iter().find_map(|detail| detail["reason"].as_str().map(str::to_owned)).unwrap_or_default(),
        )
    };
    setup.gke.happen(Event::Project { project: project.clone(), container: true, compute: false, billing: false });
    let disabled = (403, "SERVICE_DISABLED".to_owned());
    assert_eq!(reason(setup.get("/compute/v1/projects/p/zones").await), disabled);
    assert_eq!(reason(setup.create(REGION, asked("c", 1)).await), (403, "BILLING_DISABLED".to_owned()));
    assert_eq!(setup.get("/v1/projects/p/locations/-/clusters").await.status, 200);
    setup.gke.happen(Event::Project { project, container: false, compute: true, billing: true });
    assert_eq!(reason(setup.get("/v1/projects/p/locations/-/clusters").await), disabled);
    assert_eq!(
        reason(setup.get("/v1/projects/nobodys/locations/-/clusters").await),
        (403, "CONSUMER_INVALID".to_owned())
    );
    setup.clean();
}

#[tokio::test]
async fn what_an_account_may_not_do_names_the_permission() {
    let setup = Setup::new().await;
    setup.running(ZONE, 1).await;
    let allow = |permissions: &[&str]| {
        let permissions = Some(permissions.iter().map(ToString::to_string).collect());
        setup.gke.happen(Event::Permissions { email: setup.account.email.clone(), permissions });
    };
    allow(&["container.clusters.list", "container.clusters.get"]);
    let cluster = setup.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!(nodes(&cluster, &setup.token).await, Err(401));
    for (told, permission) in [
        (setup.create(REGION, asked("c", 1)).await, "container.clusters.create"),
        (setup.delete(&format!("{ZONE}/clusters/c")).await, "container.clusters.delete"),
        (
            setup.post(&format!("{ZONE}/clusters/c/nodePools/default-pool:setSize"), json!({"nodeCount": 2})).await,
            "container.clusters.update",
        ),
        (setup.get(&format!("{ZONE}/operations")).await, "container.operations.list"),
        (setup.get("/compute/v1/projects/p/zones").await, "compute.zones.list"),
    ] {
        let (status, _, message) = told.refused();
        assert_eq!((status, message), (403, format!("Required \"{permission}\" permission(s) for \"projects/p\".")));
    }
    allow(&["container.clusters.create"]);
    assert!(setup.create(REGION, asked("c", 1)).await.refused().2.contains("iam.serviceAccountUser"));
    let other = setup.gke.service_account("kqueen", "q");
    let token = setup.gke.with(|gke, _| gke.accounts.mint(&other.email));
    assert_eq!(setup.ask_as(&token, Method::GET, &format!("{ZONE}/clusters/c"), Value::Null).await.status, 403);
    assert_eq!(nodes(&cluster, &token).await, Err(401));
    setup.clean();
}

#[tokio::test]
async fn every_trouble_is_in_googles_words_or_in_nobodys() {
    let setup = Setup::new().await;
    for trouble in Trouble::all() {
        for path in ["/v1/projects/p/locations/-/clusters", "/compute/v1/projects/p/zones"] {
            setup.gke.inject(Injection::any(Fault::Answers(trouble.clone(), Acts::Never)));
            let answer = setup.client.get(format!("{}{path}", setup.gke.url)).bearer_auth(&setup.token).send().await;
            // One that is cut may be cut early.
            let Ok(answer) = answer else { continue };
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let body = answer.text().await.unwrap_or_default();
            if trouble.reply(None).is_none() {
                let body: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(body["error"]["code"], status, "{trouble:?}");
            }
            if let Trouble::TooManyRequests(after) = &trouble {
                let told = headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned());
                assert_eq!((status, told.is_some()), (429, *after != crate::simulator::RetryAfter::Untold), "{told:?}");
            }
        }
    }
    setup.clean();
}

#[tokio::test]
async fn the_published_rate_is_enforced_for_each_project() {
    let setup = Setup::new().await;
    let mut refused = 0;
    for _ in 0..3_010 {
        let told = setup.get(&format!("{ZONE}/clusters/none")).await;
        refused += usize::from(told.status == 429);
    }
    assert_eq!(refused, 10);
    assert_eq!(setup.get("/compute/v1/projects/p/zones").await.status, 200);
    let other = setup.gke.service_account("kqueen", "q");
    let token = setup.gke.with(|gke, _| gke.accounts.mint(&other.email));
    let told = setup.ask_as(&token, Method::GET, "/v1/projects/q/locations/-/clusters", Value::Null).await;
    assert_eq!(told.status, 200);
    setup.gke.pass(TimeDelta::seconds(1));
    assert_eq!(setup.get(&format!("{ZONE}/clusters/none")).await.status, 404);
}

#[tokio::test]
async fn machine_types_come_in_pages() {
    let setup = Setup::new().await;
    let at = "/compute/v1/projects/p/zones/us-central1-a/machineTypes";
    let all = setup.get(at).await.ok()["items"].clone();
    assert_eq!(all.as_array().unwrap().len(), 20);
    let (mut items, mut token) = (Vec::new(), String::new());
    for _ in 0..3 {
        let page = setup.get(&format!("{at}?maxResults=8&pageToken={token}")).await.ok();
        items.extend(page["items"].as_array().unwrap().clone());
        token = page["nextPageToken"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!((Value::from(items), token.as_str()), (all, ""));
    assert_eq!(setup.get(&format!("{at}?pageToken=nonsense")).await.status, 400);
    assert_eq!(setup.get(&format!("{at}?maxResults=501")).await.status, 400);
    assert_eq!(setup.get("/compute/v1/projects/p/zones/us-central1-d/machineTypes").await.status, 404);
    let fewer = setup.get("/compute/v1/projects/p/zones/us-west1-a/machineTypes").await.ok();
    assert_eq!(fewer["items"].as_array().unwrap().len(), 16);
    assert_eq!(setup.get("/compute/v1/projects/p/regions").await.ok()["items"].as_array().unwrap().len(), 6);
    assert_eq!(setup.get("/compute/v1/projects/p/zones").await.ok()["items"].as_array().unwrap().len(), 19);
    assert_eq!(setup.get("/compute/v1/projects/p/regions/mars").await.status, 404);
    setup.clean();
}
