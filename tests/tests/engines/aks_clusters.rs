//! Where simulated clusters of AKS lead to, and many of them.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kqueen_adapters::inspector::{KubeInspector, Limits};
use kqueen_domain::{
    kubeconfig::{self, AddressRules},
    observation::ProbeResult,
    port::inspector::ClusterInspector,
};
use kqueen_tests::simulator::{
    Options, SimulatedClock,
    aks::{self, API_VERSION, AksSimulator, ClusterName, Event},
    kubernetes::{Given, Kubernetes},
};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Somebody who may do everything.
struct Caller {
    client: Client,
    token: String,
    subscription: String,
}

impl Caller {
    fn new(aks: &AksSimulator) -> Self {
        let principal = aks.principal(1, "rg");
        let authority = reqwest::Certificate::from_pem(aks.authority.as_ref().unwrap().as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
        let token = aks.with(|aks, _| aks.accounts.mint(&principal.client_id));
        Self { client, token, subscription: principal.subscriptions.first().unwrap().clone() }
    }

    async fn ask(&self, method: Method, url: &str) -> Value {
        let answer = self.client.request(method, url).bearer_auth(&self.token).send().await.unwrap();
        assert!(answer.status().is_success(), "{url}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    async fn kubeconfig(&self, aks: &AksSimulator, name: &ClusterName) -> Value {
        let url = format!("{}{}/listClusterAdminCredential?api-version={API_VERSION}", aks.url, name.id());
        let told = self.ask(Method::POST, &url).await;
        let config = STANDARD.decode(told["kubeconfigs"][0]["value"].as_str().unwrap()).unwrap();
        String::from_utf8(config).unwrap().into()
    }
}

#[tokio::test]
async fn the_products_own_inspector_reads_a_simulated_cluster() {
    let aks = aks::start(SimulatedClock::set()).await;
    let caller = Caller::new(&aks);
    let name = ClusterName::new(&caller.subscription, "rg", "c");
    let pools = json!([{"name": "agentpool", "mode": "System", "vmSize": "Standard_D2s_v5", "count": 3}]);
    aks.plant(&name, &json!({"properties": {"agentPoolProfiles": pools}}));
    let rules = AddressRules::denying(Vec::new());
    let inspector = KubeInspector::new(rules.clone(), Limits::default());
    let document = caller.kubeconfig(&aks, &name).await;
    let config = kubeconfig::parse(&document.into(), &rules).unwrap();
    let probe = inspector.probe(&config).await;
    assert!(matches!(&probe, ProbeResult::Reached { version, .. } if version == "v1.34.2"), "{probe:?}");
    let snapshot = inspector.status(&config, Duration::from_secs(20)).await.unwrap().snapshot;
    assert_eq!((snapshot.nodes.len(), snapshot.namespaces.len()), (3, 4), "{snapshot:?}");
    assert!(snapshot.errors.is_empty(), "{:?}", snapshot.errors);
    // Rotated certificates end what was handed out.
    aks.happen(Event::Rotates { cluster: name });
    let ended = inspector.probe(&config).await;
    assert!(!matches!(ended, ProbeResult::Reached { .. }), "{ended:?}");
}

#[tokio::test]
async fn five_hundred_clusters_of_a_group_are_in_five_pages() {
    let aks = aks::start_with(Kubernetes::Nowhere, SimulatedClock::set(), Options::default()).await;
    let caller = Caller::new(&aks);
    for number in 0..500 {
        aks.plant(&ClusterName::new(&caller.subscription, "rg", &format!("c{number}")), &json!({}));
    }
    let list = ClusterName::new(&caller.subscription, "rg", "").id();
    let mut next = format!("{}{}?api-version={API_VERSION}", aks.url, list.trim_end_matches('/'));
    let (started, mut pages, mut found) = (Instant::now(), 0, 0);
    while !next.is_empty() {
        let page = caller.ask(Method::GET, &next).await;
        found += page["value"].as_array().unwrap().len();
        page["nextLink"].as_str().unwrap_or_default().clone_into(&mut next);
        pages += 1;
    }
    println!("{found} clusters in {pages} pages in {:?}", started.elapsed());
    assert_eq!((found, pages), (500, 5));
    aks.check().assert_clean();
}

#[tokio::test]
async fn all_clusters_may_lead_to_a_given_api_server() {
    let given = Given {
        url: "https://kubernetes.example.com:6443".to_owned(),
        authority: "an authority".to_owned(),
        token: Some("its-token".to_owned()),
    };
    let aks = aks::start_with(Kubernetes::Given(given), SimulatedClock::set(), Options::default()).await;
    let caller = Caller::new(&aks);
    let name = ClusterName::new(&caller.subscription, "rg", "c");
    aks.plant(&name, &json!({}));
    let config = caller.kubeconfig(&aks, &name).await.to_string();
    assert!(config.contains("server: https://kubernetes.example.com:6443"), "{config}");
    assert!(config.contains("token: its-token") && !config.contains("client-certificate-data"), "{config}");
}
