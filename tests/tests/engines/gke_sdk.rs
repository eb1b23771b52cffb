//! Google's own Python clients make, read, list, resize and delete clusters on the simulator. They sign with the real time, so its clock
//! runs; where something is under way they let time pass on the admin path, and nobody waits.

use std::{path::PathBuf, time::Duration};

use kqueen_tests::{
    fixture::process::leave_out,
    simulator::{SimulatedClock, gke},
};
use serde_json::Value;
use tokio::process::Command;

const CLIENTS: &str = "google-cloud-container and google-api-python-client (make setup-test installs them)";

fn python() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let python = cache.join("kqueen-build/venv/bin/python3");
    let has_clients = std::process::Command::new(&python)
        .args(["-c", "import google.cloud.container_v1, googleapiclient"])
        .output()
        .is_ok_and(|output| output.status.success());
    has_clients.then_some(python)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_generated_client_makes_a_cluster_and_takes_it_down() {
    run("gke_generated.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_discovery_client_makes_a_cluster_and_takes_it_down() {
    run("gke_discovery.py").await;
}

#[tokio::test]
async fn the_numbers_of_enums_are_those_of_the_generated_client() {
    let Some(python) = python() else { return leave_out(CLIENTS) };
    let folder = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new(python);
    command.arg(format!("{folder}/tools/simulator/enum_numbers.py"));
    command.arg(format!("{folder}/data/simulator/gke/container.v1.schemas.json"));
    let done = command.env("PYTHONDONTWRITEBYTECODE", "1").output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let written: Value = serde_json::from_slice(&done.stdout).unwrap();
    let kept: Value = serde_json::from_str(include_str!("../../data/simulator/gke/enum_numbers.json")).unwrap();
    assert!(written == kept, "write enum_numbers.json again with tests/tools/simulator/enum_numbers.py");
}

async fn run(script: &str) {
    let Some(python) = python() else { return leave_out(CLIENTS) };
    let gke = gke::start(SimulatedClock::running(1.0)).await;
    let account = gke.service_account("kqueen", "demo-project");
    let folder = tempfile::tempdir().unwrap();
    let (good, wrong) = (folder.path().join("good.json"), folder.path().join("wrong.json"));
    std::fs::write(&good, account.key_file(&gke.token_url()).to_string()).unwrap();
    std::fs::write(&wrong, account.wrong_key_file(&gke.token_url()).to_string()).unwrap();
    let script = format!("{}/tools/simulator/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(python);
    command.arg(&script).arg(&gke.url).args([&good, &wrong]).current_dir(folder.path()).kill_on_drop(true);
    for name in ["PYTHONPATH", "VIRTUAL_ENV", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env_remove(name);
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "127.0.0.1");
    let done = tokio::time::timeout(Duration::from_secs(120), command.output()).await.expect("it ends").unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{script}: {told}\n{}", String::from_utf8_lossy(&done.stdout));
    print!("{}", String::from_utf8_lossy(&done.stdout));
    let checked = gke.check();
    println!("{} exchanges, {} compared with the schema: {:?}", checked.exchanges, checked.checked, gke.counts());
    checked.assert_clean();
    assert_eq!(gke.clusters(), Vec::new());
    assert!(checked.checked >= 20);
}
