//! Where simulated clusters lead to, and many of them.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use kqueen_adapters::inspector::{KubeInspector, Limits};
use kqueen_domain::{
    kubeconfig::{self, AddressRules},
    observation::ProbeResult,
    port::inspector::ClusterInspector,
};
use kqueen_tests::{
    fixture::kubernetes::kubeconfig as config,
    simulator::{
        Options, SimulatedClock, Simulator,
        gke::{self, ClusterName, Gke},
        kubernetes::{Given, Kubernetes},
    },
};
use reqwest::Client;
use serde_json::{Value, json};

#[tokio::test]
async fn the_products_own_inspector_reads_a_simulated_cluster() {
    let gke = gke::start(SimulatedClock::set()).await;
    let account = gke.service_account("kqueen", "p");
    let name = ClusterName::new("p", "europe-west1", "c");
    gke.plant(&name, &json!({"initialNodeCount": 2}));
    let token = gke.with(|gke, _| gke.accounts.mint(&account.email));
    let shown = gke.cluster(&name).unwrap();
    let authority = shown["masterAuth"]["clusterCaCertificate"].as_str().unwrap();
    let server = format!("https://{}", shown["endpoint"].as_str().unwrap());
    let rules = AddressRules::denying(Vec::new());
    let inspector = KubeInspector::new(rules.clone(), Limits::default());
    let with = |token: &str| {
        let mut document = config(&server, None, json!({"token": token}));
        document["clusters"][0]["cluster"]["certificate-authority-data"] = authority.into();
        kubeconfig::parse(&document.into(), &rules).unwrap()
    };
    let probe = inspector.probe(&with(&token)).await;
    assert!(matches!(&probe, ProbeResult::Reached { version, .. } if version == "v1.34.1-gke.100"), "{probe:?}");
    let snapshot = inspector.status(&with(&token), Duration::from_secs(20)).await.unwrap().snapshot;
    assert_eq!((snapshot.nodes.len(), snapshot.namespaces.len()), (6, 4), "{snapshot:?}");
    assert!(snapshot.errors.is_empty(), "{:?}", snapshot.errors);
    let refused = inspector.probe(&with("somebody")).await;
    assert!(!matches!(refused, ProbeResult::Reached { .. }), "{refused:?}");
    // Tokens end.
    gke.pass(TimeDelta::hours(1));
    let ended = inspector.probe(&with(&token)).await;
    assert!(!matches!(ended, ProbeResult::Reached { .. }), "{ended:?}");
}

#[tokio::test]
async fn five_hundred_clusters_of_a_project_are_in_one_list() {
    let options = Options::default();
    let gke = Simulator::start(Gke::new(Kubernetes::Nowhere), SimulatedClock::set(), None, options).await.unwrap();
    let account = gke.service_account("kqueen", "p");
    let places = ["us-central1-a", "us-central1-b", "us-east1-b", "europe-west1", "europe-west3"];
    for number in 0..500 {
        gke.plant(&ClusterName::new("p", places[number % 5], &format!("c{number}")), &json!({}));
    }
    let token = gke.with(|gke, _| gke.accounts.mint(&account.email));
    let client = Client::builder().no_proxy().build().unwrap();
    let started = Instant::now();
    let list = client.get(format!("{}/v1/projects/p/locations/-/clusters", gke.url)).bearer_auth(token);
    let body = list.send().await.unwrap().bytes().await.unwrap();
    println!("500 clusters: {} kB in {:?}", body.len() / 1_000, started.elapsed());
    let list: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(list["clusters"].as_array().unwrap().len(), 500);
    gke.check().assert_clean();
}

#[tokio::test]
async fn all_clusters_may_lead_to_a_given_api_server() {
    let given = Given {
        url: "https://127.0.0.1:6443".to_owned(),
        authority: "an authority".to_owned(),
        token: Some("its-token".to_owned()),
    };
    let gke = Gke::new(Kubernetes::Given(given));
    let gke = Simulator::start(gke, SimulatedClock::set(), None, Options::default()).await.unwrap();
    let account = gke.service_account("kqueen", "p");
    let name = ClusterName::new("p", "us-east1-b", "c");
    gke.plant(&name, &json!({}));
    let shown = gke.cluster(&name).unwrap();
    assert_eq!(shown["endpoint"], "127.0.0.1:6443");
    assert_eq!(gke.with(|gke, _| gke.accounts.mint(&account.email)), "its-token");
    let client = Client::builder().no_proxy().build().unwrap();
    let list = client.get(format!("{}/v1/projects/p/locations/-/clusters", gke.url)).bearer_auth("its-token");
    assert!(list.send().await.unwrap().status().is_success());
}
