//! Attached clusters through the API: a real control plane, healthy and failing, as users see it.

use std::time::{Duration, Instant};

use kqueen_tests::fixture::{
    app::{App, Options as AppOptions},
    kubernetes::{ControlPlane, Options, Who},
    process::eventually,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// How long a change of a cluster may take to show on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a probe and a live view may take in these tests.
const TIMEOUT: &str = "3s";
/// The same for a large cluster.
const LARGE_TIMEOUT: &str = "20s";

struct Setup {
    app: App,
    token: String,
    provisioner: String,
}

impl Setup {
    async fn start() -> Self {
        Self::start_with(TIMEOUT).await
    }

    async fn start_with(timeout: &str) -> Self {
        let app = App::start_with(AppOptions::default().with("OBSERVE_TIMEOUT", timeout)).await;
        let token = app.admin().await;
        let body = json!({"name": "Elsewhere", "engine": "kqueen.engines.ManualEngine", "parameters": {}});
        let provisioner = app.post("/provisioners", &token, body).await.id();
        eventually("the provisioner is OK", PATIENCE, || async {
            app.get(&format!("/provisioners/{provisioner}"), &token).await.ok()["state"] == "OK"
        })
        .await;
        Self { app, token, provisioner }
    }

    /// Attaches a cluster and returns its path.
    async fn attach(&self, name: &str, kubeconfig: &Value) -> String {
        let provisioner = format!("Provisioner:{}", self.provisioner);
        let body = json!({"name": name, "provisioner": provisioner, "kubeconfig": kubeconfig});
        format!("/clusters/{}", self.app.post("/clusters", &self.token, body).await.id())
    }

    async fn get(&self, path: &str) -> Value {
        self.app.get(path, &self.token).await.ok()
    }

    /// The cluster, once it is in that phase with a message that contains `text`.
    async fn in_phase(&self, path: &str, phase: &str, text: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let cluster = self.get(path).await;
            if cluster["phase"] == phase && cluster["status_message"].as_str().unwrap().contains(text) {
                assert!(cluster["observed_at"].is_string() && cluster["state_changed_at"].is_string(), "{cluster}");
                assert_eq!(cluster["metadata"]["status_message"], cluster["status_message"]);
                assert_eq!(cluster["status_reason"].is_null(), phase == "OK", "{cluster}");
                return cluster;
            }
            assert!(Instant::now() < deadline, "not {phase} with {text:?}: {cluster}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The description of the error that `path` answers with, within `most`.
    async fn fails(&self, path: &str, status: StatusCode, most: Duration) -> String {
        let started = Instant::now();
        let answer = self.app.get(path, &self.token).await;
        assert!(started.elapsed() < most, "{path} took {:?}", started.elapsed());
        assert_eq!(answer.status, status, "{}", answer.body);
        answer.body["description"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_credentials_leads_to_its_state() {
    let Some(plane) = ControlPlane::start(Options::bare()).await else { return };
    let setup = Setup::start().await;
    for (who, phase, text) in [
        (Who::Certificate, "OK", "v1.37.2"),
        (Who::Token, "OK", "v1.37.2"),
        (Who::Reader, "OK", "v1.37.2"),
        (Who::WrongToken, "Error", "(401)"),
        (Who::Stranger, "Error", "(403)"),
    ] {
        let kubeconfig = plane.kubeconfig(who);
        let path = setup.attach(&format!("{who:?}"), &kubeconfig).await;
        let cluster = setup.in_phase(&path, phase, text).await;
        assert_eq!(cluster["kubeconfig"], kubeconfig);
        assert_eq!(setup.get(&format!("{path}/kubeconfig")).await, kubeconfig);
        for view in ["status", "topology-data"] {
            let view = format!("{path}/{view}");
            if phase == "OK" {
                let shown = setup.get(&view).await;
                let denied = shown["errors"].get("nodes").map(|error| error["error"].clone());
                assert_eq!(denied, (who == Who::Reader).then(|| "forbidden".into()), "{who:?}");
            } else {
                assert!(setup.fails(&view, StatusCode::BAD_GATEWAY, PATIENCE).await.contains(text));
            }
        }
    }
    let list = setup.get("/clusters").await;
    assert_eq!(list.as_array().unwrap().len(), 5);
    let text = list.to_string();
    assert!(!text.contains("admin-token") && !text.contains("client-key-data"), "a list shows no kubeconfig");
    // As YAML, where the old console puts it.
    let yaml = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    server: {}\n    insecure-skip-tls-verify: true\n\
         contexts:\n- name: x\n  context: {{cluster: c, user: u}}\nusers:\n- name: u\n  user: {{token: admin-token}}\n",
        plane.server
    );
    let provisioner = format!("Provisioner:{}", setup.provisioner);
    let body =
        json!({"name": "YAML", "provisioner": provisioner, "metadata": {"kubeconfig": yaml}, "state": "Deploying"});
    let path = format!("/clusters/{}", setup.app.post("/clusters", &setup.token, body).await.id());
    let cluster = setup.in_phase(&path, "OK", "v1.37.2").await;
    assert_eq!(cluster["kubeconfig"]["current-context"], "x");
    assert_eq!(cluster["metadata"].get("kubeconfig"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_a_control_plane_are_shown_and_pass() {
    let Some(plane) = ControlPlane::start(Options::bare()).await else { return };
    let setup = Setup::start().await;
    let path = setup.attach("Payments", &plane.kubeconfig(Who::Token)).await;
    let (status, topology) = (format!("{path}/status"), format!("{path}/topology-data"));
    let good = setup.in_phase(&path, "OK", "v1.37.2").await;

    plane.freeze();
    let frozen = setup.in_phase(&path, "Unknown", "did not respond in time").await;
    assert_eq!(frozen["status_reason"], "ClusterTimedOut");
    assert_eq!(frozen["version"], "v1.37.2", "the last known version is kept");
    assert!(frozen["state_changed_at"].as_str() > good["state_changed_at"].as_str());
    let (one, other) = tokio::join!(
        setup.fails(&status, StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(5)),
        setup.fails(&topology, StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(5)),
    );
    assert!(one.contains("in time") && other.contains("in time"), "{one}\n{other}");
    // Observations continue, and `observed_at` is the time of the last one, not of the change.
    eventually("the cluster is observed again", PATIENCE, || async {
        let cluster = setup.get(&path).await;
        assert_eq!(cluster["state_changed_at"], frozen["state_changed_at"]);
        cluster["observed_at"].as_str() > frozen["observed_at"].as_str()
    })
    .await;
    plane.thaw();
    setup.in_phase(&path, "OK", "v1.37.2").await;

    plane.end();
    setup.in_phase(&path, "Unknown", "connection refused").await;
    let why = setup.fails(&status, StatusCode::BAD_GATEWAY, Duration::from_secs(10)).await;
    assert!(why.contains("connection refused"), "{why}");
    plane.restart().await;
    setup.in_phase(&path, "OK", "v1.37.2").await;
    assert_eq!(setup.get(&status).await["errors"], json!({}));

    plane.restart_with_another_authority().await;
    setup.in_phase(&path, "Error", "not signed by the authority").await;
    setup.fails(&topology, StatusCode::BAD_GATEWAY, Duration::from_secs(10)).await;
    let answer = setup.app.patch(&path, &setup.token, json!({"kubeconfig": plane.kubeconfig(Who::WrongToken)})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let refused = setup.in_phase(&path, "Error", "(401)").await;
    assert_eq!(refused["status_reason"], "KubeconfigRejected");
    let answer = setup.app.patch(&path, &setup.token, json!({"kubeconfig": plane.kubeconfig(Who::Token)})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    setup.in_phase(&path, "OK", "v1.37.2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forbidden_contents_of_a_kubeconfig_are_rejected_on_creation() {
    let setup = Setup::start().await;
    let provisioner = format!("Provisioner:{}", setup.provisioner);
    let kubeconfig = |server: &str, user: Value| {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": user}],
        })
    };
    let server = "https://10.0.0.1:6443";
    for (sent, field) in [
        (kubeconfig(server, json!({"exec": {"command": "sh"}})), "kubeconfig.users[0].user.exec"),
        (kubeconfig(server, json!({"tokenFile": "/etc/passwd"})), "kubeconfig.users[0].user.tokenFile"),
        (kubeconfig("http://169.254.169.254", json!({})), "kubeconfig.clusters[0].cluster.server"),
        (kubeconfig("http://2852039166", json!({})), "kubeconfig.clusters[0].cluster.server"),
        (json!("a: [s3cret"), "kubeconfig"),
        (json!(7), "kubeconfig"),
    ] {
        let body = json!({"name": "x", "provisioner": provisioner, "kubeconfig": sent});
        let answer = setup.app.post("/clusters", &setup.token, body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
        assert_eq!(answer.body["details"][0]["field"], field, "{}", answer.body);
        assert!(!answer.body.to_string().contains("s3cret"), "{}", answer.body);
    }
    assert_eq!(setup.get("/clusters").await, json!([]));
}

/// The peak memory of the service in megabytes.
fn memory(app: &App) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_cluster_is_shown_in_time_and_in_bounded_memory() {
    const LARGE: usize = 3_000;
    const AT_ONCE: usize = 6;
    let Some(plane) = ControlPlane::start(Options::bare()).await else { return };
    let (api, setup) = (plane.api(), Setup::start_with(LARGE_TIMEOUT).await);
    api.create_pods("web", LARGE, "node-0").await;
    api.create_deployments("web", LARGE, |_| 0).await;
    api.create_services("web", LARGE).await;
    let path = setup.attach("Large", &plane.kubeconfig(Who::Certificate)).await;
    setup.in_phase(&path, "OK", "v1.37.2").await;
    let before = memory(&setup.app);

    let started = Instant::now();
    let status = setup.get(&format!("{path}/status")).await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(status["errors"], json!({}));
    for (list, count) in [("pods", LARGE), ("deployments", LARGE), ("services", LARGE + 1)] {
        let uids: std::collections::BTreeSet<_> =
            status[list].as_array().unwrap().iter().map(|it| it["metadata"]["uid"].as_str().unwrap()).collect();
        assert_eq!(uids.len(), count, "{list}");
    }
    assert_eq!(status["nodes_pods"], json!({"Unknown": 0, "node-0": LARGE}));
    assert!(!status.to_string().contains("s3cret"), "values of environment variables are not shown");

    let started = Instant::now();
    let graph = setup.get(&format!("{path}/topology-data")).await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(
        graph["items"].as_object().unwrap().len(),
        3 * LARGE + 1 + 4,
        "with the `kubernetes` service and the namespaces"
    );
    // Each pod has an edge to its namespace and its service, each service and deployment to its namespace.
    assert_eq!(graph["relations"].as_array().unwrap().len(), 4 * LARGE + 1);

    let status = format!("{path}/status");
    let several = (0..AT_ONCE).map(|_| setup.app.get(&status, &setup.token));
    for answer in futures::future::join_all(several).await {
        assert_eq!(answer.status, StatusCode::OK);
    }
    let grown = memory(&setup.app) - before;
    assert!(grown < 600, "{AT_ONCE} views of {LARGE} pods at once took {grown} MB");
}
