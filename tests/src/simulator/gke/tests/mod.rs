//! The simulator by itself: its states, its refusals, its credentials.

mod credentials;
mod faults;
mod refusals;
mod states;

use std::sync::Arc;

use chrono::TimeDelta;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{ClusterName, Event, GkeSimulator, ServiceAccount, start};
use crate::simulator::{Checked, SimulatedClock};

const ZONE: &str = "/v1/projects/p/locations/us-central1-a";
const REGION: &str = "/v1/projects/p/locations/us-central1";

/// A simulator with a project `p`, and somebody who may do everything in it.
struct Setup {
    gke: GkeSimulator,
    account: ServiceAccount,
    client: Client,
    token: String,
}

/// An answer.
#[derive(Debug)]
struct Received {
    status: u16,
    body: Value,
}

impl Received {
    #[track_caller]
    fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// Status, canonical code and message of a refusal.
    #[track_caller]
    fn refused(self) -> (u16, String, String) {
        let error = &self.body["error"];
        assert_eq!(error["code"], self.status, "{}", self.body);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (self.status, text(&error["status"]), text(&error["message"]))
    }
}

impl Setup {
    async fn new() -> Self {
        let gke = start(SimulatedClock::set()).await;
        let account = gke.service_account("kqueen", "p");
        let token = gke.with(|gke, _| gke.accounts.mint(&account.email));
        Self { gke, account, client: Client::builder().no_proxy().build().unwrap(), token }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Received {
        self.ask_as(&self.token, method, path, body).await
    }

    async fn ask_as(&self, token: &str, method: Method, path: &str, body: Value) -> Received {
        let mut request = self.client.request(method, format!("{}{path}", self.gke.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        Received { status, body: answer.json().await.unwrap_or(Value::Null) }
    }

    async fn get(&self, path: &str) -> Received {
        self.ask(Method::GET, path, Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Received {
        self.ask(Method::POST, path, body).await
    }

    async fn put(&self, path: &str, body: Value) -> Received {
        self.ask(Method::PUT, path, body).await
    }

    async fn delete(&self, path: &str) -> Received {
        self.ask(Method::DELETE, path, Value::Null).await
    }

    async fn create(&self, place: &str, cluster: Value) -> Received {
        self.post(&format!("{place}/clusters"), json!({"cluster": cluster})).await
    }

    /// A cluster `c` with a pool `default-pool` that runs, at that place.
    async fn running(&self, place: &str, nodes: u32) {
        self.create(place, asked("c", nodes)).await.ok();
        self.pass(5);
        assert_eq!(self.get(&format!("{place}/clusters/c")).await.ok()["status"], "RUNNING");
    }

    fn pass(&self, minutes: i64) {
        self.gke.pass(TimeDelta::minutes(minutes));
    }

    /// Every exchange of the test is as Google has published it.
    fn clean(&self) -> Checked {
        let checked = self.gke.check();
        checked.assert_clean();
        println!("{} exchanges, {} compared with the schema", checked.exchanges, checked.checked);
        assert!(checked.checked > 0);
        checked
    }
}

/// What people ask for.
fn asked(name: &str, nodes: u32) -> Value {
    json!({
        "name": name, "resourceLabels": {"kqueen-cluster-id": "x"}, "initialClusterVersion": "-",
        "releaseChannel": {"channel": "REGULAR"},
        "nodePools": [{"name": "default-pool", "initialNodeCount": nodes, "config": {"machineType": "e2-standard-2"}}],
        "ipAllocationPolicy": {"useIpAliases": true},
    })
}

fn name(location: &str) -> ClusterName {
    ClusterName::new("p", location, "c")
}

/// The nodes that a cluster's own API shows to somebody with that token; the status if it shows none.
async fn nodes(cluster: &Value, token: &str) -> Result<usize, u16> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let authority = STANDARD.decode(cluster["masterAuth"]["clusterCaCertificate"].as_str().unwrap()).unwrap();
    let authority = reqwest::Certificate::from_pem(&authority).unwrap();
    let client = Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    let url = format!("https://{}/api/v1/nodes", cluster["endpoint"].as_str().unwrap());
    let answer = client.get(url).bearer_auth(token).send().await.unwrap();
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(status);
    }
    Ok(answer.json::<Value>().await.unwrap()["items"].as_array().unwrap().len())
}

/// Calls may be made from several tasks.
#[tokio::test]
async fn of_two_creations_of_one_name_one_wins() {
    let setup = Arc::new(Setup::new().await);
    let both = [setup.create(ZONE, asked("c", 1)), setup.create(ZONE, asked("c", 1))];
    let mut statuses: Vec<u16> = futures::future::join_all(both).await.into_iter().map(|told| told.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    setup.clean();
}

#[tokio::test]
async fn what_happens_by_itself_can_be_told_over_http() {
    let setup = Setup::new().await;
    setup.running(ZONE, 1).await;
    let cluster = json!({"project": "p", "location": "us-central1-a", "name": "c"});
    for event in [
        json!({"event": "breaks", "cluster": cluster, "message": "it is broken"}),
        json!({"event": "recovers", "cluster": cluster}),
        json!({"event": "quota", "project": "p", "region": "us-central1", "metric": "CPUS", "limit": 4.0}),
        json!({"event": "stock", "project": "p", "zone": "us-central1-a", "machine": "e2-medium", "is_out": true}),
        json!({"event": "vanishes", "cluster": cluster}),
    ] {
        let told = setup.post("/_simulator/control", event.clone()).await;
        assert_eq!(told.status, 200, "{event}: {}", told.body);
    }
    assert_eq!(setup.post("/_simulator/control", json!({"event": "explodes"})).await.status, 400);
    assert_eq!(setup.gke.cluster(&name("us-central1-a")), None);
    let event = Event::Upgrades { cluster: name("us-central1-a"), version: "1.35.0-gke.1".to_owned() };
    assert!(serde_json::to_value(event).unwrap()["event"] == "upgrades");
}
