//! What `make run` offers: clusters of a simulated provider.

use std::{collections::BTreeMap, time::Duration};

use kqueen_tests::fixture::app::{App, Options};
use reqwest::Method;
use serde_json::{Value, json};

/// Deploying takes 20 s, and the reconciler observes the cluster every few seconds.
const PATIENCE: Duration = Duration::from_secs(180);

/// The options of `make run`.
fn dev_mode() -> Options {
    Options::bare().with("DEV_MODE", "true")
}

/// The cluster, once it is in one of the phases, and all its status messages until then.
async fn settled(app: &App, token: &str, id: &str, phases: &[&str]) -> (Value, Vec<String>) {
    let mut messages: Vec<String> = Vec::new();
    let wait = async {
        loop {
            let cluster = app.get(&format!("/clusters/{id}"), token).await.ok();
            let message = cluster["status_message"].as_str().unwrap().to_owned();
            if messages.last() != Some(&message) {
                messages.push(message);
            }
            // It is OK as soon as its provider reports it running; the answer of its API server follows.
            let is_observed = cluster["phase"] != "OK" || !cluster["version"].is_null();
            if is_observed && phases.iter().any(|phase| cluster["phase"] == *phase) {
                return cluster;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(cluster) => (cluster, messages),
        Err(_) => panic!("it reaches none of {phases:?}: {messages:?}\n{}", app.log()),
    }
}

#[tokio::test]
async fn a_simulated_cluster_is_deployed_resized_and_deleted() {
    let mut app = App::start_with(dev_mode()).await;
    let token = app.log_in("admin", "default").await;
    let demo = app.get("/provisioners?name=demo", &token).await.ok()[0]["id"].as_str().unwrap().to_owned();
    let cluster = json!({"name": "first", "provisioner": format!("Provisioner:{demo}"), "metadata": {"node_count": 3}});
    let id = app.post("/clusters", &token, cluster).await.id();
    let (cluster, messages) = settled(&app, &token, &id, &["OK", "Error"]).await;
    assert_eq!(cluster["phase"], "OK", "{messages:?}");
    assert!(messages.iter().any(|message| message.contains("(simulated)")), "{messages:?}");
    assert!(messages.iter().any(|message| message.contains("-simulated")), "{messages:?}");
    let pods = app.get(&format!("/clusters/{id}/status"), &token).await.ok()["nodes_pods"].clone();
    let pods: BTreeMap<String, u64> = serde_json::from_value(pods).unwrap();
    assert_eq!(pods.keys().filter(|node| node.starts_with("demo-")).count(), 3, "{pods:?}");

    app.restart().await;
    let token = app.log_in("admin", "default").await;
    let graph = app.get(&format!("/clusters/{id}/topology-data"), &token).await.ok();
    assert!(graph["relations"].as_array().unwrap().len() > 20, "it exists after a restart: {graph}");

    let resize = format!("/clusters/{id}/resize");
    app.patch(&resize, &token, json!({"node_count": 5})).await.ok();
    settled(&app, &token, &id, &["OK", "Error"]).await;
    let nodes = app.get(&format!("/clusters/{id}/status"), &token).await.ok()["nodes"].as_array().unwrap().len();
    assert_eq!(nodes, 5);

    app.delete(&format!("/clusters/{id}"), &token).await.ok();
    let gone = async {
        while app.get(&format!("/clusters/{id}"), &token).await.status != 404 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the cluster is deleted");
}

#[tokio::test]
async fn a_failing_cluster_shows_the_reason_and_succeeds_after_a_retry() {
    let app = App::start_with(dev_mode()).await;
    let token = app.log_in("admin", "default").await;
    let provisioners = app.get("/provisioners", &token).await.ok();
    let [demo] = provisioners.as_array().unwrap().as_slice() else { panic!("{provisioners}") };
    assert_eq!((&demo["name"], &demo["engine"]), (&json!("demo"), &json!("kqueen.engines.DemoEngine")));
    assert_eq!((&demo["state"], &demo["owner"]["username"]), (&json!("OK"), &json!("admin")));
    assert_eq!(demo["verbose_name"], "Demo (simulated)");
    assert_eq!(demo["status_reason"], Value::Null);
    assert_eq!(demo["status_message"], "Demo (simulated) accepts the credentials");
    let cluster = json!({"name": "fail-first", "provisioner": format!("Provisioner:{}", demo["id"].as_str().unwrap())});
    let id = app.post("/clusters", &token, cluster).await.id();
    let (cluster, messages) = settled(&app, &token, &id, &["OK", "Error"]).await;
    assert_eq!((&cluster["phase"], &cluster["status_reason"]), (&json!("Error"), &json!("QuotaExceeded")));
    assert_eq!(cluster["failure"]["code"], "QuotaExceeded");
    let why = messages.last().unwrap();
    assert!(why.contains("quota") && why.contains("(simulated)") && why.contains("rename"), "{messages:?}");

    app.patch(&format!("/clusters/{id}"), &token, json!({"name": "first"})).await.ok();
    app.call(Method::POST, &format!("/clusters/{id}/retry"), Some(&token), None).await.ok();
    let (cluster, messages) = settled(&app, &token, &id, &["OK", "Error"]).await;
    assert_eq!(cluster["phase"], "OK", "{messages:?}");
}

#[tokio::test]
async fn nothing_is_simulated_unless_enabled() {
    let app = App::start().await;
    let token = app.admin().await;
    let engines = app.get("/provisioners/engines", &token).await.ok();
    assert!(!engines.to_string().contains("Demo"), "{engines}");
    assert_eq!(app.get("/provisioners", &token).await.ok(), json!([]));
    assert!(!app.folder.join("store.demo.json").exists());
}
