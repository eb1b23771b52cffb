//! The simulator by itself: its states, its refusals, its credentials.

mod faults;
mod login;
mod places;
mod refusals;
mod states;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use reqwest::{Client, Method, header::HeaderMap};
use serde_json::{Value, json};

use super::{API_VERSION, AksSimulator, ClusterName, Event, Principal, start};
use crate::simulator::{Checked, SimulatedClock};

const POOL: &str = "/agentPools/agentpool";

/// A simulator with a resource group `rg`, and somebody who may do everything in its subscription.
struct Setup {
    aks: AksSimulator,
    principal: Principal,
    client: Client,
    token: String,
    subscription: String,
}

/// An answer.
#[derive(Debug)]
struct Received {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Received {
    #[track_caller]
    fn ok(self) -> Value {
        assert!(self.status < 300, "{} {}", self.status, self.body);
        self.body
    }

    /// Status, code and message of a refusal in either form.
    #[track_caller]
    fn refused(self) -> (u16, String, String) {
        assert!(self.status >= 400, "{} {}", self.status, self.body);
        let error = if self.body["error"].is_object() { &self.body["error"] } else { &self.body };
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{}", self.body)).to_owned();
        (self.status, text(&error["code"]), text(&error["message"]))
    }

    #[track_caller]
    fn header(&self, name: &str) -> String {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} of {self:?}")).to_str().unwrap().to_owned()
    }
}

/// A client that trusts the simulator and nobody else.
fn trusting(aks: &AksSimulator) -> Client {
    let authority = reqwest::Certificate::from_pem(aks.authority.as_ref().unwrap().as_bytes()).unwrap();
    Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap()
}

impl Setup {
    async fn new() -> Self {
        let aks = start(SimulatedClock::set()).await;
        let principal = aks.principal(1, "rg");
        let token = aks.with(|aks, _| aks.accounts.mint(&principal.client_id));
        let subscription = principal.subscriptions.first().unwrap().clone();
        Self { client: trusting(&aks), aks, principal, token, subscription }
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with("https:") {
            return path.to_owned();
        }
        let mark = if path.contains('?') { '&' } else { '?' };
        format!("{}{path}{mark}api-version={API_VERSION}", self.aks.url)
    }

    /// The path of a cluster of the resource group.
    fn at(&self, cluster: &str) -> String {
        ClusterName::new(&self.subscription, "rg", cluster).id()
    }

    fn name(&self, cluster: &str) -> ClusterName {
        ClusterName::new(&self.subscription, "rg", cluster)
    }

    /// A path in the subscription.
    fn path(&self, rest: &str) -> String {
        format!("/subscriptions/{}{rest}", self.subscription)
    }

    async fn ask_with(&self, method: Method, url: &str, headers: &[(&str, &str)], body: Value) -> Received {
        let mut request = self.client.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Received { status, headers, body: answer.json().await.unwrap_or(Value::Null) }
    }

    async fn ask_as(&self, token: &str, method: Method, path: &str, body: Value) -> Received {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        self.ask_with(method, &self.url(path), if token.is_empty() { &[] } else { &headers }, body).await
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Received {
        self.ask_as(&self.token, method, path, body).await
    }

    async fn get(&self, path: &str) -> Received {
        self.ask(Method::GET, path, Value::Null).await
    }

    async fn post(&self, path: &str) -> Received {
        self.ask(Method::POST, path, Value::Null).await
    }

    async fn put(&self, path: &str, body: Value) -> Received {
        self.ask(Method::PUT, path, body).await
    }

    async fn delete(&self, path: &str) -> Received {
        self.ask(Method::DELETE, path, Value::Null).await
    }

    async fn patch(&self, path: &str, body: Value) -> Received {
        self.ask(Method::PATCH, path, body).await
    }

    async fn control(&self, event: Value) -> u16 {
        self.ask(Method::POST, "/_simulator/control", event).await.status
    }

    /// The properties of a cluster.
    async fn properties(&self, cluster: &str) -> Value {
        self.get(&self.at(cluster)).await.ok()["properties"].clone()
    }

    /// A cluster `c` that runs, with so many nodes.
    async fn running(&self, nodes: u32) {
        self.put(&self.at("c"), asked(nodes)).await.ok();
        self.pass(5);
        assert_eq!(self.properties("c").await["provisioningState"], "Succeeded");
    }

    fn pass(&self, minutes: i64) {
        self.aks.pass(TimeDelta::minutes(minutes));
    }

    /// The kubeconfig that a method hands out.
    async fn kubeconfig(&self, cluster: &str, method: &str) -> String {
        let told = self.post(&format!("{}/{method}", self.at(cluster))).await.ok();
        String::from_utf8(STANDARD.decode(told["kubeconfigs"][0]["value"].as_str().unwrap()).unwrap()).unwrap()
    }

    /// Every exchange of the test is as Microsoft has published it.
    fn clean(&self) -> Checked {
        let checked = self.aks.check();
        checked.assert_clean();
        println!("{} exchanges, {} compared with the schema", checked.exchanges, checked.checked);
        assert!(checked.checked > 0);
        checked
    }
}

/// What people ask for.
fn asked(nodes: u32) -> Value {
    json!({
        "location": "westeurope", "identity": {"type": "SystemAssigned"}, "sku": {"name": "Base", "tier": "Free"},
        "tags": {"kqueen-cluster-id": "x"},
        "properties": {
            "dnsPrefix": "kq-00000000", "kubernetesVersion": "1.34", "enableRBAC": true,
            "agentPoolProfiles": [{
                "name": "agentpool", "mode": "System", "type": "VirtualMachineScaleSets", "osType": "Linux",
                "count": nodes, "vmSize": "Standard_D2s_v5",
            }],
            "linuxProfile": {"adminUsername": "azureuser", "ssh": {"publicKeys": [{"keyData": "ssh-ed25519 AAAA"}]}},
            "networkProfile": {
                "networkPlugin": "azure", "networkPluginMode": "overlay", "networkDataplane": "cilium",
                "networkPolicy": "cilium", "loadBalancerSku": "standard",
            },
        },
    })
}

/// A value of a kubeconfig by its key.
fn entry<'a>(kubeconfig: &'a str, key: &str) -> &'a str {
    let line = kubeconfig.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("{key} is not in {kubeconfig}"))
}

/// How many nodes a cluster says it has to somebody with that token, or how it refuses.
async fn nodes(kubeconfig: &str, token: &str) -> Result<usize, u16> {
    let authority = STANDARD.decode(entry(kubeconfig, "certificate-authority-data")).unwrap();
    let authority = reqwest::Certificate::from_pem(&authority).unwrap();
    let client = Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    let url = format!("{}/api/v1/nodes", entry(kubeconfig, "server"));
    let answer = client.get(url).bearer_auth(token).send().await.unwrap();
    match answer.status().as_u16() {
        200 => Ok(answer.json::<Value>().await.unwrap()["items"].as_array().unwrap().len()),
        status => Err(status),
    }
}

#[tokio::test]
async fn people_have_things_happen_over_http() {
    let setup = Setup::new().await;
    setup.running(1).await;
    let (subscription, cluster) = (&setup.subscription, serde_json::to_value(setup.name("c")).unwrap());
    for event in [
        json!({"event": "breaks", "cluster": cluster, "message": "it is broken"}),
        json!({"event": "recovers", "cluster": cluster}),
        json!({"event": "quota", "subscription": subscription, "location": "westeurope", "name": "cores", "limit": 4}),
        json!({"event": "principal", "client_id": setup.principal.client_id, "is_disabled": false, "secret_is_expired": true}),
        json!({"event": "error_form", "is_enveloped": true}),
        json!({"event": "vanishes", "cluster": cluster}),
    ] {
        assert_eq!(setup.control(event.clone()).await, 200, "{event}");
    }
    assert_eq!(setup.control(json!({"event": "explodes"})).await, 400);
    assert_eq!(setup.aks.cluster(&setup.name("c")), None);
}

#[tokio::test]
async fn a_state_is_carried_on_from_a_file() {
    use kqueen_domain::port::clock::Clock;

    use crate::simulator::{Options, Provider, kubernetes::Kubernetes};

    let setup = Setup::new().await;
    setup.running(3).await;
    setup.put(&setup.at("other"), asked(1)).await.ok();
    let state = setup.aks.with(|aks, _| aks.save());
    let clock = SimulatedClock::set();
    clock.advance(setup.aks.now() - clock.now());
    let next = super::start_with(Kubernetes::Simulated, clock, Options::default()).await;
    next.with(|aks, moment| aks.load(serde_json::from_str(&state.to_string()).unwrap(), moment)).unwrap();
    assert_eq!(next.with(|aks, _| aks.save())["operations"], state["operations"]);
    let setup = Setup { client: trusting(&next), aks: next, ..setup };
    let config = setup.kubeconfig("c", "listClusterAdminCredential").await;
    assert_eq!(nodes(&config, entry(&config, "token")).await, Ok(3));
    assert_eq!(setup.properties("other").await["provisioningState"], "Creating");
    setup.pass(5);
    assert_eq!(setup.properties("other").await["provisioningState"], "Succeeded");
    setup.clean();
}

#[test]
fn it_may_be_shared() {
    fn is_shared<T: Send + Sync>(_: Option<Arc<T>>) {}
    is_shared::<AksSimulator>(None);
}
