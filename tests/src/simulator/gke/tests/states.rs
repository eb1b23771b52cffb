//! What becomes of clusters in the course of time.

use kqueen_domain::port::clock::Clock;

use super::*;
use crate::simulator::{Doom, Fault, Injection, Options, Provider, Simulator, gke::Gke, kubernetes::Kubernetes};

#[tokio::test]
async fn a_cluster_comes_grows_and_goes_through_the_real_states() {
    let setup = Setup::new().await;
    let operation = setup.create(ZONE, asked("c", 2)).await.ok();
    assert_eq!((&operation["operationType"], &operation["status"]), (&json!("CREATE_CLUSTER"), &json!("RUNNING")));
    let at = format!("{ZONE}/operations/{}", operation["name"].as_str().unwrap());
    let cluster = setup.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!(
        (&cluster["status"], &cluster["nodePools"][0]["status"]),
        (&json!("PROVISIONING"), &json!("PROVISIONING"))
    );
    assert_eq!((&cluster["endpoint"], &cluster["currentNodeCount"]), (&Value::Null, &Value::Null));
    let mut last = -1;
    for _ in 0..4 {
        setup.pass(1);
        let metrics = setup.get(&at).await.ok()["progress"]["metrics"].clone();
        let sum: i64 = [0, 2, 4].map(|i| metrics[i]["intValue"].as_str().unwrap().parse::<i64>().unwrap()).iter().sum();
        assert!(sum > last && sum < 30, "{sum} after {last}");
        last = sum;
    }
    setup.pass(1);
    let done = setup.get(&at).await.ok();
    assert_eq!((&done["status"], &done["error"]), (&json!("DONE"), &Value::Null));
    let cluster = setup.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!((&cluster["status"], &cluster["currentNodeCount"]), (&json!("RUNNING"), &json!(2)));
    assert_eq!(nodes(&cluster, &setup.token).await, Ok(2));
    assert_eq!(nodes(&cluster, "somebody").await, Err(401));

    setup.post(&format!("{ZONE}/clusters/c/nodePools/default-pool:setSize"), json!({"nodeCount": 5})).await.ok();
    let cluster = setup.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!(
        (&cluster["status"], &cluster["nodePools"][0]["status"]),
        (&json!("RECONCILING"), &json!("RECONCILING"))
    );
    assert_eq!(nodes(&cluster, &setup.token).await, Ok(2));
    setup.pass(2);
    let cluster = setup.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!((&cluster["status"], nodes(&cluster, &setup.token).await), (&json!("RUNNING"), Ok(5)));
    // The same size once more is accepted.
    setup.post(&format!("{ZONE}/clusters/c/nodePools/default-pool:setSize"), json!({"nodeCount": 5})).await.ok();
    setup.pass(2);

    setup.delete(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!(setup.get(&format!("{ZONE}/clusters/c")).await.ok()["status"], "STOPPING");
    setup.pass(3);
    assert_eq!(setup.get(&format!("{ZONE}/clusters/c")).await.status, 404);
    assert_eq!(setup.delete(&format!("{ZONE}/clusters/c")).await.status, 404);
    assert_eq!(setup.get("/v1/projects/p/locations/-/clusters").await.ok(), json!({}));
    setup.clean();
}

#[tokio::test]
async fn a_regional_cluster_has_its_nodes_in_each_of_three_zones() {
    let setup = Setup::new().await;
    setup.running(REGION, 2).await;
    let cluster = setup.get(&format!("{REGION}/clusters/c")).await.ok();
    assert_eq!((&cluster["currentNodeCount"], nodes(&cluster, &setup.token).await), (&json!(6), Ok(6)));
    assert_eq!(cluster["locations"].as_array().unwrap().len(), 3);
    assert_eq!(cluster["nodePools"][0]["initialNodeCount"], 2);
    assert_eq!(setup.get(&format!("{ZONE}/clusters/c")).await.status, 404);
    let all = setup.get("/v1/projects/p/locations/-/clusters").await.ok();
    assert_eq!(all["clusters"].as_array().unwrap().len(), 1);
    setup.clean();
}

#[tokio::test]
async fn policy_is_switched_on_in_two_steps() {
    let setup = Setup::new().await;
    setup.running(ZONE, 1).await;
    let policy = json!({"networkPolicy": {"provider": "CALICO", "enabled": true}});
    let at = format!("{ZONE}/clusters/c");
    let (status, code, message) = setup.post(&format!("{at}:setNetworkPolicy"), policy.clone()).await.refused();
    assert_eq!((status, code.as_str()), (400, "FAILED_PRECONDITION"));
    assert!(message.contains("addon must be enabled"), "{message}");
    let addon = json!({"update": {"desiredAddonsConfig": {"networkPolicyConfig": {"disabled": false}}}});
    setup.put(&at, addon).await.ok();
    let (_, code, message) = setup.post(&format!("{at}:setNetworkPolicy"), policy.clone()).await.refused();
    assert!(code == "FAILED_PRECONDITION" && message.contains("incompatible operation operation-"), "{message}");
    setup.pass(2);
    setup.post(&format!("{at}:setNetworkPolicy"), policy).await.ok();
    setup.pass(4);
    let cluster = setup.get(&at).await.ok();
    assert_eq!(cluster["networkPolicy"], json!({"provider": "CALICO", "enabled": true}));
    setup.clean();
}

#[tokio::test]
async fn versions_move_up_and_node_pools_follow() {
    let setup = Setup::new().await;
    setup.running(ZONE, 1).await;
    let at = format!("{ZONE}/clusters/c");
    let pool = format!("{at}/nodePools/default-pool");
    let newer = json!({"nodeVersion": "1.35.0-gke.1", "imageType": "COS_CONTAINERD"});
    assert!(setup.put(&pool, newer).await.refused().2.contains("must not be greater"));
    setup.post(&format!("{at}:updateMaster"), json!({"masterVersion": "1.35"})).await.ok();
    setup.pass(6);
    let cluster = setup.get(&at).await.ok();
    assert_eq!(
        (&cluster["currentMasterVersion"], &cluster["currentNodeVersion"]),
        (&json!("1.35.0-gke.1"), &json!("1.34.1-gke.100"))
    );
    assert!(
        setup
            .post(&format!("{at}:updateMaster"), json!({"masterVersion": "1.33"}))
            .await
            .refused()
            .2
            .contains("downgraded")
    );
    // Only the upgrade of nodes can be cancelled.
    let operation = setup.put(&pool, json!({"nodeVersion": "-", "imageType": "COS_CONTAINERD"})).await.ok();
    let cancel = format!("{ZONE}/operations/{}:cancel", operation["name"].as_str().unwrap());
    assert_eq!(setup.post(&cancel, json!({})).await.ok(), json!({}));
    let at_operation = cancel.trim_end_matches(":cancel");
    assert_eq!(setup.get(at_operation).await.ok()["status"], "ABORTING");
    setup.pass(1);
    let done = setup.get(at_operation).await.ok();
    assert_eq!((&done["status"], &done["error"]["code"]), (&json!("DONE"), &json!(1)));
    assert_eq!(setup.get(&pool).await.ok()["version"], "1.34.1-gke.100");
    let operation = setup.delete(&at).await.ok();
    let cancel = format!("{ZONE}/operations/{}:cancel", operation["name"].as_str().unwrap());
    assert!(setup.post(&cancel, json!({})).await.refused().2.contains("only node pool upgrade"));
    let listed = setup.get(&format!("{ZONE}/operations")).await.ok();
    assert_eq!(listed["operations"].as_array().unwrap().len(), 4);
    setup.clean();
}

#[tokio::test]
async fn pools_come_and_go() {
    let setup = Setup::new().await;
    setup.running(ZONE, 1).await;
    let at = format!("{ZONE}/clusters/c/nodePools");
    let pool = json!({"nodePool": {"name": "more", "initialNodeCount": 2, "config": {"spot": true, "diskSizeGb": 20}}});
    setup.post(&at, pool.clone()).await.ok();
    assert_eq!(setup.get(&format!("{at}/more")).await.ok()["status"], "PROVISIONING");
    setup.pass(2);
    assert_eq!(setup.post(&at, pool).await.status, 409);
    let cluster = setup.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!(nodes(&cluster, &setup.token).await, Ok(3));
    assert_eq!(setup.get(&at).await.ok()["nodePools"].as_array().unwrap().len(), 2);
    setup.delete(&format!("{at}/more")).await.ok();
    setup.pass(2);
    assert_eq!(setup.get(&format!("{at}/more")).await.status, 404);
    let labels = json!({"resourceLabels": {"a": "b"}, "labelFingerprint": "stale"});
    assert_eq!(setup.post(&format!("{ZONE}/clusters/c:setResourceLabels"), labels).await.status, 400);
    let labels = json!({"resourceLabels": {"a": "b"}, "labelFingerprint": cluster["labelFingerprint"]});
    assert_eq!(setup.post(&format!("{ZONE}/clusters/c:setResourceLabels"), labels).await.status, 400);
    let cluster = setup.get(&format!("{ZONE}/clusters/c")).await.ok();
    let labels = json!({"resourceLabels": {"a": "b"}, "labelFingerprint": cluster["labelFingerprint"]});
    setup.post(&format!("{ZONE}/clusters/c:setResourceLabels"), labels).await.ok();
    setup.pass(1);
    assert_eq!(setup.get(&format!("{ZONE}/clusters/c")).await.ok()["resourceLabels"], json!({"a": "b"}));
    setup.clean();
}

#[tokio::test]
async fn what_is_doomed_fails_afterwards_in_googles_words() {
    for (code, leaves_half, number, status, words) in [
        ("", false, 13, "ERROR", "Internal error."),
        ("GCE_STOCKOUT", false, 8, "ERROR", "does not have enough resources available"),
        ("GCE_QUOTA_EXCEEDED", true, 8, "RUNNING", "Quota 'CPUS' exceeded"),
        ("NODES_UNHEALTHY", true, 4, "RUNNING", "have registered"),
    ] {
        let setup = Setup::new().await;
        let doom = Doom { code: code.to_owned(), leaves_half, ..Doom::default() };
        setup.gke.inject(Injection::on("clusters.create", Fault::Doomed(doom)));
        let operation = setup.create(ZONE, asked("c", 1)).await.ok();
        setup.pass(5);
        let done = setup.get(&format!("{ZONE}/operations/{}", operation["name"].as_str().unwrap())).await.ok();
        assert_eq!((&done["status"], &done["error"]["code"]), (&json!("DONE"), &json!(number)));
        assert!(done["error"]["message"].as_str().unwrap().contains(words), "{done}");
        let cluster = setup.get(&format!("{ZONE}/clusters/c")).await.ok();
        let told = if leaves_half { &cluster["nodePools"][0] } else { &cluster };
        assert_eq!(cluster["status"], status);
        assert!(told["conditions"][0]["message"].as_str().unwrap().contains(words), "{cluster}");
        if status == "ERROR" {
            let size = format!("{ZONE}/clusters/c/nodePools/default-pool:setSize");
            assert_eq!(setup.post(&size, json!({"nodeCount": 2})).await.status, 400);
        }
        setup.delete(&format!("{ZONE}/clusters/c")).await.ok();
        setup.pass(3);
        assert_eq!(setup.get(&format!("{ZONE}/clusters/c")).await.status, 404);
        setup.clean();
    }
}

#[tokio::test]
async fn what_is_read_may_be_as_it_was_before_the_last_change() {
    let setup = Setup::new().await;
    let at = format!("{ZONE}/clusters/c");
    setup.create(ZONE, asked("c", 1)).await.ok();
    setup.gke.inject(Injection::any(Fault::Stale));
    assert_eq!(setup.get(&at).await.status, 404);
    setup.pass(5);
    setup.gke.inject(Injection::any(Fault::Stale));
    assert_eq!(setup.get(&at).await.ok()["status"], "PROVISIONING");
    setup.delete(&at).await.ok();
    setup.pass(3);
    setup.gke.inject(Injection::any(Fault::Stale));
    assert_eq!(setup.get("/v1/projects/p/locations/-/clusters").await.ok()["clusters"][0]["status"], "STOPPING");
    assert_eq!(setup.get("/v1/projects/p/locations/-/clusters").await.ok(), json!({}));
    setup.clean();
}

#[tokio::test]
async fn things_happen_to_clusters_without_a_call() {
    let setup = Setup::new().await;
    setup.running(ZONE, 1).await;
    let (at, cluster) = (format!("{ZONE}/clusters/c"), name("us-central1-a"));
    let message = "the control plane is unwell".to_owned();
    setup.gke.happen(Event::Breaks { cluster: cluster.clone(), status: "DEGRADED".to_owned(), message });
    let shown = setup.get(&at).await.ok();
    assert_eq!(
        (&shown["status"], &shown["conditions"][0]["message"]),
        (&json!("DEGRADED"), &json!("the control plane is unwell"))
    );
    setup.gke.happen(Event::Recovers { cluster: cluster.clone() });
    let pool = "default-pool".to_owned();
    setup.gke.happen(Event::PoolBreaks { cluster: cluster.clone(), pool, message: "no disks".to_owned() });
    let shown = setup.get(&at).await.ok();
    assert_eq!((&shown["status"], &shown["nodePools"][0]["status"]), (&json!("RUNNING"), &json!("RUNNING_WITH_ERROR")));
    setup.gke.happen(Event::Upgrades { cluster: cluster.clone(), version: "1.35.0-gke.1".to_owned() });
    assert!(setup.delete(&at).await.refused().2.contains("incompatible operation"));
    setup.gke.happen(Event::IsDeleted { cluster: cluster.clone() });
    assert_eq!(setup.get(&at).await.ok()["status"], "STOPPING");
    setup.pass(3);
    assert_eq!(setup.gke.cluster(&cluster), None);

    setup.gke.plant(&cluster, &json!({"resourceLabels": {"owner": "else"}}));
    assert_eq!(setup.get(&at).await.ok()["resourceLabels"], json!({"owner": "else"}));
    assert_eq!((setup.gke.clusters(), setup.create(ZONE, asked("c", 1)).await.status), (Vec::new(), 409));
    setup.gke.happen(Event::Labels { cluster: cluster.clone(), labels: json!({}) });
    setup.gke.happen(Event::Zone { zone: "us-central1-a".to_owned(), is_down: true });
    let list = setup.get("/v1/projects/p/locations/-/clusters").await.ok();
    assert_eq!(list, json!({"missingZones": ["us-central1-a"]}));
    setup.gke.happen(Event::Zone { zone: "us-central1-a".to_owned(), is_down: false });
    setup.gke.happen(Event::Vanishes { cluster });
    assert_eq!(setup.get(&at).await.status, 404);
    setup.clean();
}

#[tokio::test]
async fn a_state_is_carried_on_from_a_file() {
    let setup = Setup::new().await;
    setup.running(ZONE, 3).await;
    setup.create(REGION, asked("other", 1)).await.ok();
    let state = setup.gke.with(|gke, _| gke.save());
    let clock = SimulatedClock::set();
    clock.advance(setup.gke.now() - clock.now());
    let next = Simulator::start(Gke::new(Kubernetes::Simulated), clock, None, Options::default()).await.unwrap();
    next.with(|gke, moment| gke.load(serde_json::from_str(&state.to_string()).unwrap(), moment)).unwrap();
    let setup = Setup { gke: next, ..setup };
    let cluster = setup.get(&format!("{ZONE}/clusters/c")).await.ok();
    assert_eq!((&cluster["status"], nodes(&cluster, &setup.token).await), (&json!("RUNNING"), Ok(3)));
    assert_eq!(setup.get(&format!("{REGION}/clusters/other")).await.ok()["status"], "PROVISIONING");
    setup.pass(5);
    assert_eq!(setup.get(&format!("{REGION}/clusters/other")).await.ok()["status"], "RUNNING");
    setup.clean();
}
