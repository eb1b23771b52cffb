//! The program `simulator`, as people start it.

use std::{path::Path, process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// Long enough on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts that cloud with its state in `folder`; where it is.
async fn start(cloud: &str, folder: &Path) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulator"));
    command.args([cloud, "--speed", "60", "--state", "state.json"]).current_dir(folder);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut url = None;
    let told = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            url = url.or_else(|| line.split_once("runs at ").map(|(_, url)| url.trim_end_matches('.').to_owned()));
            if line.contains("/_simulator/help") {
                break;
            }
        }
        url.expect("it says where it is")
    };
    let url = tokio::time::timeout(PATIENCE, told).await.expect("it starts");
    (child, url)
}

async fn stop(mut child: Child) {
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn it_carries_on_where_it_was_ended() {
    let _already = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let (child, url) = start("gke", folder.path()).await;
    let key = std::fs::read_to_string(folder.path().join("service-account.json")).unwrap();
    let key: Value = serde_json::from_str(&key).unwrap();
    assert_eq!((&key["type"], &key["token_uri"]), (&json!("service_account"), &json!(format!("{url}/token"))));
    let help = client.get(format!("{url}/_simulator/help")).send().await.unwrap().text().await.unwrap();
    assert!(help.contains("/_simulator/faults"), "{help}");
    let quota =
        json!({"event": "quota", "project": "demo-project", "region": "us-east1", "metric": "CPUS", "limit": 8.0});
    let told = client.post(format!("{url}/_simulator/control")).body(quota.to_string()).send().await.unwrap();
    assert!(told.status().is_success(), "{}", told.text().await.unwrap());
    let state = |url: String| {
        let request = client.get(format!("{url}/_simulator/state"));
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let before = state(url).await;
    assert_eq!(before["projects"]["demo-project"]["quotas"]["us-east1"]["CPUS"], 8.0);
    stop(child).await;

    let (child, url) = start("gke", folder.path()).await;
    assert_eq!(state(url).await, before);
    stop(child).await;
}

#[tokio::test]
async fn azure_says_whom_to_trust_and_whose_secret_is_good() {
    let _already = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap();
    let mut secrets = Vec::new();
    for _ in 0..2 {
        let (child, url) = start("aks", folder.path()).await;
        let authority = reqwest::Certificate::from_pem(read("simulator-ca.pem").as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
        let principal: Value = serde_json::from_str(&read("service-principal.json")).unwrap();
        let text = |field: &str| principal[field].as_str().unwrap().to_owned();
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fmanagement.azure.com%2F.default",
            text("client_id"),
            text("client_secret")
        );
        let login =
            client.post(format!("{url}/{}/oauth2/v2.0/token", text("tenant_id"))).body(form).send().await.unwrap();
        let token: Value = login.json().await.unwrap();
        let group =
            format!("{url}/subscriptions/{}/resourcegroups/demo?api-version=2021-04-01", text("subscription_id"));
        let group = client.get(group).bearer_auth(token["access_token"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(group.json::<Value>().await.unwrap()["location"], "westeurope");
        secrets.push(text("client_secret"));
        stop(child).await;
    }
    assert_eq!(secrets[0], secrets[1], "it carries on");
}

#[tokio::test]
async fn what_makes_no_sense_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let said = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simulator"));
        let run = command.args(arguments).current_dir(folder.path()).kill_on_drop(true).output();
        let done = tokio::time::timeout(PATIENCE, run).await.expect("it ends").unwrap();
        (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    };
    let (success, help) = said(&["gke", "--help"]).await;
    assert!(success && help.contains("--kubernetes") && help.contains("--speed"), "{help}");
    std::fs::write(folder.path().join("state.json"), "nonsense").unwrap();
    let (success, told) = said(&["gke", "--state", "state.json"]).await;
    assert!(!success && told.contains("state.json cannot be read"), "{told}");
    let (success, told) = said(&["gke", "--kubernetes", "https://127.0.0.1:6443"]).await;
    assert!(!success && told.contains("--kubernetes-ca"), "{told}");
}
