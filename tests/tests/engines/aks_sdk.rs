//! Microsoft's own Python clients make, read, list, resize, upgrade, stop and delete clusters on the simulator, over TLS. They tell the
//! time by themselves, so its clock runs, sixty times as fast; where something is under way they let time pass on the admin path.

use std::{path::PathBuf, time::Duration};

use kqueen_tests::{
    fixture::process::leave_out,
    simulator::{SimulatedClock, aks},
};
use serde_json::json;
use tokio::process::Command;

const CLIENTS: &str = "azure-mgmt-containerservice and azure-identity (make setup-test installs them)";

fn python() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let python = cache.join("kqueen-build/venv/bin/python3");
    let has_clients = std::process::Command::new(&python)
        .args(["-c", "import azure.mgmt.containerservice, azure.identity"])
        .output()
        .is_ok_and(|output| output.status.success());
    has_clients.then_some(python)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_management_client_makes_a_cluster_and_takes_it_down() {
    let Some(python) = python() else { return leave_out(CLIENTS) };
    let aks = aks::start(SimulatedClock::running(60.0)).await;
    let principal = aks.principal(1, "rg1");
    // Lists of more than a page.
    aks.with(|aks, _| aks.page_size = 2);
    let folder = tempfile::tempdir().unwrap();
    let (ca_file, site_file) = (folder.path().join("ca.pem"), folder.path().join("site.json"));
    std::fs::write(&ca_file, aks.authority.as_ref().unwrap()).unwrap();
    let site = json!({
        "url": aks.url, "ca_file": ca_file, "tenant_id": principal.tenant, "client_id": principal.client_id,
        "client_secret": principal.secret, "subscription_id": principal.subscriptions.first(), "resource_group": "rg1",
    });
    std::fs::write(&site_file, site.to_string()).unwrap();
    let script = format!("{}/tools/simulator/aks_management.py", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(python);
    command.arg(&script).arg(&site_file).current_dir(folder.path()).kill_on_drop(true);
    let unset = ["PYTHONPATH", "VIRTUAL_ENV", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"];
    for name in unset.into_iter().chain(["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "AZURE_AUTHORITY_HOST"]) {
        command.env_remove(name);
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "127.0.0.1");
    let done = tokio::time::timeout(Duration::from_secs(180), command.output()).await.expect("it ends").unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{script}: {told}\n{}", String::from_utf8_lossy(&done.stdout));
    print!("{}", String::from_utf8_lossy(&done.stdout));
    let checked = aks.check();
    println!("{} exchanges, {} compared with the schema: {:?}", checked.exchanges, checked.checked, aks.counts());
    checked.assert_clean();
    assert_eq!(aks.clusters(), Vec::new());
    assert!(checked.checked >= 60);
}
