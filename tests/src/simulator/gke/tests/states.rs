//! What becomes of clusters in the course of time.

use kqueen_domain::port::clock::Clock;

use super::*;
use crate::simulator::{Doom, Fault, Injection, Options, Provider, Simulator, gke::Gke, kubernetes::Kubernetes};

#[tokio::test]
async fn a_cluster_comes_grows_and_goes_through_the_real_states() {
    let site = Site::new().await;
    let operation = site.create(ZONE, asked("c", 2)).await.ok();
    assert_eq!((&operation["operationType"], &operation["status"]), (&json!("CREATE_CLUSTER"), &json!("RUNNING")));
    let at = format!("{ZONE}/operations/{}", operation["name"].as_str().unwrap());
    let cluster = site.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!(
        (&cluster["status"], &cluster["nodePools"][0]["status"]),
        (&json!("PROVISIONING"), &json!("PROVISIONING"))
    );
    assert_eq!((&cluster["endpoint"], &cluster["currentNodeCount"]), (&Value::Null, &Value::Null));
    let mut last = -1;
    for _ in 0..4 {
        site.pass(1);
        let metrics = site.get(&at).await.ok()["progress"]["metrics"].clone();
        let sum: i64 = [0, 2, 4].map(|i| metrics[i]["intValue"].as_str().unwrap().parse::<i64>().unwrap()).iter().sum();
        assert!(sum > last && sum < 30, "{sum} after {last}");
        last = sum;
    }
    site.pass(1);
    let done = site.get(&at).await.ok();
    assert_eq!((&done["status"], &done["error"]), (&json!("DONE"), &Value::Null));
    let cluster = site.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!((&cluster["status"], &cluster["currentNodeCount"]), (&json!("RUNNING"), &json!(2)));
    assert_eq!(nodes(&cluster, &site.token).await, Ok(2));
    assert_eq!(nodes(&cluster, "somebody").await, Err(401));

    site.post(&format!("{ZONE}/clusters/c/nodePools/default-pool:setSize"), json!({"nodeCount": 5})).await.ok();
    let cluster = site.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!(
        (&cluster["status"], &cluster["nodePools"][0]["status"]),
        (&json!("RECONCILING"), &json!("RECONCILING"))
    );
    assert_eq!(nodes(&cluster, &site.token).await, Ok(2));
    site.pass(2);
    let cluster = site.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!((&cluster["status"], nodes(&cluster, &site.token).await), (&json!("RUNNING"), Ok(5)));
    // The same size once more is accepted.
    site.post(&format!("{ZONE}/clusters/c/nodePools/default-pool:setSize"), json!({"nodeCount": 5})).await.ok();
    site.pass(2);

    site.delete(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!(site.get(&format!("{ZONE}/clusters/c")).await.ok()["status"], "STOPPING");
    site.pass(3);
    assert_eq!(site.get(&format!("{ZONE}/clusters/c")).await.status, 404);
    assert_eq!(site.delete(&format!("{ZONE}/clusters/c")).await.status, 404);
    assert_eq!(site.get("/v1/projects/p/locations/-/clusters").await.ok(), json!({}));
    site.clean();
}

#[tokio::test]
async fn a_regional_cluster_has_its_nodes_in_each_of_three_zones() {
    let site = Site::new().await;
    site.running(REGION, 2).await;
    let cluster = site.get(&format!("{REGION}/clusters/c")).await.ok();
    assert_eq!((&cluster["currentNodeCount"], nodes(&cluster, &site.token).await), (&json!(6), Ok(6)));
    assert_eq!(cluster["locations"].as_array().unwrap().len(), 3);
    assert_eq!(cluster["nodePools"][0]["initialNodeCount"], 2);
    assert_eq!(site.get(&format!("{ZONE}/clusters/c")).await.status, 404);
    let all = site.get("/v1/projects/p/locations/-/clusters").await.ok();
    assert_eq!(all["clusters"].as_array().unwrap().len(), 1);
    site.clean();
}

#[tokio::test]
async fn policy_is_switched_on_in_two_steps() {
    let site = Site::new().await;
    site.running(ZONE, 1).await;
    let policy = json!({"networkPolicy": {"provider": "CALICO", "enabled": true}});
    let at = format!("{ZONE}/clusters/c");
    let (status, code, message) = site.post(&format!("{at}:setNetworkPolicy"), policy.clone()).await.refused();
    assert_eq!((status, code.as_str()), (400, "FAILED_PRECONDITION"));
    assert!(message.contains("addon must be enabled"), "{message}");
    let addon = json!({"update": {"desiredAddonsConfig": {"networkPolicyConfig": {"disabled": false}}}});
    site.put(&at, addon).await.ok();
    let (_, code, message) = site.post(&format!("{at}:setNetworkPolicy"), policy.clone()).await.refused();
    assert!(code == "FAILED_PRECONDITION" && message.contains("incompatible operation operation-"), "{message}");
    site.pass(2);
    site.post(&format!("{at}:setNetworkPolicy"), policy).await.ok();
    site.pass(4);
    let cluster = site.get(&at).await.ok();
    assert_eq!(cluster["networkPolicy"], json!({"provider": "CALICO", "enabled": true}));
    site.clean();
}

#[tokio::test]
async fn versions_move_up_and_node_pools_follow() {
    let site = Site::new().await;
    site.running(ZONE, 1).await;
    let at = format!("{ZONE}/clusters/c");
    let pool = format!("{at}/nodePools/default-pool");
    let newer = json!({"nodeVersion": "1.35.0-gke.1", "imageType": "COS_CONTAINERD"});
    assert!(site.put(&pool, newer).await.refused().2.contains("must not be greater"));
    site.post(&format!("{at}:updateMaster"), json!({"masterVersion": "1.35"})).await.ok();
    site.pass(6);
    let cluster = site.get(&at).await.ok();
    assert_eq!(
        (&cluster["currentMasterVersion"], &cluster["currentNodeVersion"]),
        (&json!("1.35.0-gke.1"), &json!("1.34.1-gke.100"))
    );
    assert!(
        site.post(&format!("{at}:updateMaster"), json!({"masterVersion": "1.33"}))
            .await
            .refused()
            .2
            .contains("downgraded")
    );
    // Only the upgrade of nodes can be cancelled.
    let operation = site.put(&pool, json!({"nodeVersion": "-", "imageType": "COS_CONTAINERD"})).await.ok();
    let cancel = format!("{ZONE}/operations/{}:cancel", operation["name"].as_str().unwrap());
    assert_eq!(site.post(&cancel, json!({})).await.ok(), json!({}));
    let at_operation = cancel.trim_end_matches(":cancel");
    assert_eq!(site.get(at_operation).await.ok()["status"], "ABORTING");
    site.pass(1);
    let done = site.get(at_operation).await.ok();
    assert_eq!((&done["status"], &done["error"]["code"]), (&json!("DONE"), &json!(1)));
    assert_eq!(site.get(&pool).await.ok()["version"], "1.34.1-gke.100");
    let operation = site.delete(&at).await.ok();
    let cancel = format!("{ZONE}/operations/{}:cancel", operation["name"].as_str().unwrap());
    assert!(site.post(&cancel, json!({})).await.refused().2.contains("only node pool upgrade"));
    let listed = site.get(&format!("{ZONE}/operations")).await.ok();
    assert_eq!(listed["operations"].as_array().unwrap().len(), 4);
    site.clean();
}

#[tokio::test]
async fn pools_come_and_go() {
    let site = Site::new().await;
    site.running(ZONE, 1).await;
    let at = format!("{ZONE}/clusters/c/nodePools");
    let pool = json!({"nodePool": {"name": "more", "initialNodeCount": 2, "config": {"spot": true, "diskSizeGb": 20}}});
    site.post(&at, pool.clone()).await.ok();
    assert_eq!(site.get(&format!("{at}/more")).await.ok()["status"], "PROVISIONING");
    site.pass(2);
    assert_eq!(site.post(&at, pool).await.status, 409);
    let cluster = site.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!(nodes(&cluster, &site.token).await, Ok(3));
    assert_eq!(site.get(&at).await.ok()["nodePools"].as_array().unwrap().len(), 2);
    site.delete(&format!("{at}/more")).await.ok();
    site.pass(2);
    assert_eq!(site.get(&format!("{at}/more")).await.status, 404);
    let labels = json!({"resourceLabels": {"a": "b"}, "labelFingerprint": "stale"});
    assert_eq!(site.post(&format!("{ZONE}/clusters/c:setResourceLabels"), labels).await.status, 400);
    let labels = json!({"resourceLabels": {"a": "b"}, "labelFingerprint": cluster["labelFingerprint"]});
    assert_eq!(site.post(&format!("{ZONE}/clusters/c:setResourceLabels"), labels).await.status, 400);
    let cluster = site.get(&format!("{ZONE}/clusters/c")).await.ok();
    let labels = json!({"resourceLabels": {"a": "b"}, "labelFingerprint": cluster["labelFingerprint"]});
    site.post(&format!("{ZONE}/clusters/c:setResourceLabels"), labels).await.ok();
    site.pass(1);
    assert_eq!(site.get(&format!("{ZONE}/clusters/c")).await.ok()["resourceLabels"], json!({"a": "b"}));
    site.clean();
}

#[tokio::test]
async fn what_is_doomed_fails_afterwards_in_googles_words() {
    for (code, leaves_half, number, status, words) in [
        ("", false, 13, "ERROR", "Internal error."),
        ("GCE_STOCKOUT", false, 8, "ERROR", "does not have enough resources available"),
        ("GCE_QUOTA_EXCEEDED", true, 8, "RUNNING", "Quota 'CPUS' exceeded"),
        ("NODES_UNHEALTHY", true, 4, "RUNNING", "have registered"),
    ] {
        let site = Site::new().await;
        let doom = Doom { code: code.to_owned(), leaves_half, ..Doom::default() };
        site.gke.inject(Injection::on("clusters.create", Fault::Doomed(doom)));
        let operation = site.create(ZONE, asked("c", 1)).await.ok();
        site.pass(5);
        let done = site.get(&format!("{ZONE}/operations/{}", operation["name"].as_str().unwrap())).await.ok();
        assert_eq!((&done["status"], &done["error"]["code"]), (&json!("DONE"), &json!(number)));
        assert!(done["error"]["message"].as_str().unwrap().contains(words), "{done}");
        let cluster = site.get(&format!("{ZONE}/clusters/c")).await.ok();
        let told = if leaves_half { &cluster["nodePools"][0] } else { &cluster };
        assert_eq!(cluster["status"], status);
        assert!(told["conditions"][0]["message"].as_str().unwrap().contains(words), "{cluster}");
        if status == "ERROR" {
            let size = format!("{ZONE}/clusters/c/nodePools/default-pool:setSize");
            assert_eq!(site.post(&size, json!({"nodeCount": 2})).await.status, 400);
        }
        site.delete(&format!("{ZONE}/clusters/c")).await.ok();
        site.pass(3);
        assert_eq!(site.get(&format!("{ZONE}/clusters/c")).await.status, 404);
        site.clean();
    }
}

#[tokio::test]
async fn what_is_read_may_be_as_it_was_before_the_last_change() {
    let site = Site::new().await;
    let at = format!("{ZONE}/clusters/c");
    site.create(ZONE, asked("c", 1)).await.ok();
    site.gke.inject(Injection::any(Fault::Stale));
    assert_eq!(site.get(&at).await.status, 404);
    site.pass(5);
    site.gke.inject(Injection::any(Fault::Stale));
    assert_eq!(site.get(&at).await.ok()["status"], "PROVISIONING");
    site.delete(&at).await.ok();
    site.pass(3);
    site.gke.inject(Injection::any(Fault::Stale));
    assert_eq!(site.get("/v1/projects/p/locations/-/clusters").await.ok()["clusters"][0]["status"], "STOPPING");
    assert_eq!(site.get("/v1/projects/p/locations/-/clusters").await.ok(), json!({}));
    site.clean();
}

#[tokio::test]
async fn things_happen_to_clusters_without_a_call() {
    let site = Site::new().await;
    site.running(ZONE, 1).await;
    let (at, cluster) = (format!("{ZONE}/clusters/c"), name("us-central1-a"));
    let message = "the control plane is unwell".to_owned();
    site.gke.happen(Event::Breaks { cluster: cluster.clone(), status: "DEGRADED".to_owned(), message });
    let shown = site.get(&at).await.ok();
    assert_eq!(
        (&shown["status"], &shown["conditions"][0]["message"]),
        (&json!("DEGRADED"), &json!("the control plane is unwell"))
    );
    site.gke.happen(Event::Recovers { cluster: cluster.clone() });
    let pool = "default-pool".to_owned();
    site.gke.happen(Event::PoolBreaks { cluster: cluster.clone(), pool, message: "no disks".to_owned() });
    let shown = site.get(&at).await.ok();
    assert_eq!((&shown["status"], &shown["nodePools"][0]["status"]), (&json!("RUNNING"), &json!("RUNNING_WITH_ERROR")));
    site.gke.happen(Event::Upgrades { cluster: cluster.clone(), version: "1.35.0-gke.1".to_owned() });
    assert!(site.delete(&at).await.refused().2.contains("incompatible operation"));
    site.gke.happen(Event::IsDeleted { cluster: cluster.clone() });
    assert_eq!(site.get(&at).await.ok()["status"], "STOPPING");
    site.pass(3);
    assert_eq!(site.gke.look(&cluster), None);

    site.gke.plant(&cluster, &json!({"resourceLabels": {"owner": "else"}}));
    assert_eq!(site.get(&at).await.ok()["resourceLabels"], json!({"owner": "else"}));
    assert_eq!((site.gke.clusters(), site.create(ZONE, asked("c", 1)).await.status), (Vec::new(), 409));
    site.gke.happen(Event::Labels { cluster: cluster.clone(), labels: json!({}) });
    site.gke.happen(Event::Zone { zone: "us-central1-a".to_owned(), is_down: true });
    let list = site.get("/v1/projects/p/locations/-/clusters").await.ok();
    assert_eq!(list, json!({"missingZones": ["us-central1-a"]}));
    site.gke.happen(Event::Zone { zone: "us-central1-a".to_owned(), is_down: false });
    site.gke.happen(Event::Vanishes { cluster });
    assert_eq!(site.get(&at).await.status, 404);
    site.clean();
}

#[tokio::test]
async fn a_state_is_carried_on_from_a_file() {
    let site = Site::new().await;
    site.running(ZONE, 3).await;
    site.create(REGION, asked("other", 1)).await.ok();
    let state = site.gke.with(|gke, _| gke.save());
    let clock = SimulatedClock::set();
    clock.advance(site.gke.now() - clock.now());
    let next = Simulator::start(Gke::new(Kubernetes::Simulated), clock, None, Options::default()).await.unwrap();
    next.with(|gke, moment| gke.load(serde_json::from_str(&state.to_string()).unwrap(), moment)).unwrap();
    let site = Site { gke: next, ..site };
    let cluster = site.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!((&cluster["status"], nodes(&cluster, &site.token).await), (&json!("RUNNING"), Ok(3)));
    assert_eq!(site.get(&format!("{REGION}/clusters/other")).await.ok()["status"], "PROVISIONING");
    site.pass(5);
    assert_eq!(site.get(&format!("{REGION}/clusters/other")).await.ok()["status"], "RUNNING");
    site.clean();
}
