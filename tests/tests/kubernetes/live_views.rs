//! Live views of slow clusters, and of healthy ones meanwhile.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kqueen_tests::fixture::{
    app::{Answer, App, Options},
    kubernetes::FakeApi,
    people::{Person, Tenant, new_name},
    process::eventually,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);
const PODS: &str = "/api/v1/pods";
/// The number of live views that one user may read at a time.
const EACH: usize = 16;

struct Setup {
    app: Arc<App>,
    tenant: Tenant,
}

impl Setup {
    /// A service with that observe timeout.
    async fn start(timeout: &str) -> Self {
        let options = Options::default().with("OBSERVE_TIMEOUT", timeout).with("OBSERVE_INTERVAL", "1d");
        let app = App::start_with(options).await;
        let tenant = app.tenant().await;
        Self { app: Arc::new(app), tenant }
    }

    /// Attaches a cluster and returns its path.
    async fn attach(&self, kubeconfig: Value) -> String {
        let provisioner = format!("Provisioner:{}", self.tenant.provisioner);
        let cluster = json!({"name": new_name("cluster"), "provisioner": provisioner, "kubeconfig": kubeconfig});
        format!("/clusters/{}", self.app.post("/clusters", &self.tenant.admin.token, cluster).await.id())
    }

    /// Starts to read a view.
    fn begin(&self, who: &Person, path: String) -> JoinHandle<Answer> {
        let (app, token) = (self.app.clone(), who.token.clone());
        tokio::spawn(async move { app.get(&path, &token).await })
    }

    /// Starts to read views of `count` slow clusters, and waits until all wait for their pods.
    async fn begin_slow(&self, who: &Person, slow: &FakeApi, count: usize) -> Vec<JoinHandle<Answer>> {
        let (before, mut started) = (slow.asked_for(PODS), Vec::new());
        for number in 0..count {
            let path = self.attach(slow.kubeconfig(&format!("token-{number}-{before}"))).await;
            // A probe checks whether it may list namespaces, and reads no pods.
            started.push(self.begin(who, format!("{path}/status")));
        }
        let all_wait = || async { slow.asked_for(PODS) >= before + count };
        eventually("the pods of all slow clusters are asked for", PATIENCE, all_wait).await;
        started
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_cluster_is_shown_at_once_while_views_of_others_are_slow() {
    let setup = Setup::start("50s").await;
    let (slow, healthy) = (FakeApi::with_slow_pods().await, FakeApi::healthy().await);
    let Tenant { admin, member, .. } = &setup.tenant;
    let path = setup.attach(healthy.kubeconfig("a-token")).await;
    let waiting = setup.begin_slow(admin, &slow, EACH - 1).await;
    for who in [admin, member] {
        for view in ["status", "topology-data"] {
            let started = Instant::now();
            let shown = setup.app.get(&format!("{path}/{view}"), &who.token).await.ok();
            assert_eq!(shown["errors"], json!({}), "{view}");
            assert!(started.elapsed() < Duration::from_secs(3), "{view} took {:?}", started.elapsed());
        }
    }
    assert!(waiting.iter().all(|view| !view.is_finished()), "no slow view was given up for it");
    slow.release();
    for view in waiting {
        assert_eq!(view.await.unwrap().ok()["errors"], json!({}), "a slow view is complete in the end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_slow_views_of_a_user_are_rejected_and_others_are_not_delayed() {
    let setup = Setup::start("50s").await;
    let (slow, healthy) = (FakeApi::with_slow_pods().await, FakeApi::healthy().await);
    let Tenant { admin, member, .. } = &setup.tenant;
    let path = setup.attach(healthy.kubeconfig("a-token")).await;
    let waiting = setup.begin_slow(admin, &slow, EACH).await;
    let refused = setup.app.get(&format!("{path}/status"), &admin.token).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.body);
    assert_eq!(refused.body["error"], "too_many_requests");
    let why = refused.body["description"].as_str().unwrap();
    assert!(why.contains("16 live views") && why.contains("close pages"), "{why}");
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(setup.app.get(&format!("{path}/status"), &member.token).await.status, StatusCode::OK);
    slow.release();
    for view in waiting {
        view.await.unwrap().ok();
    }
    assert_eq!(setup.app.get(&format!("{path}/status"), &admin.token).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_for_one_view_at_the_same_time_share_one_read() {
    let setup = Setup::start("4s").await;
    let slow = FakeApi::with_slow_pods().await;
    let Tenant { admin, member, .. } = &setup.tenant;
    let path = setup.attach(slow.kubeconfig("a-token")).await;
    let started = Instant::now();
    let views: Vec<_> =
        [admin, member].iter().cycle().take(40).map(|who| setup.begin(who, format!("{path}/status"))).collect();
    let mut answers = Vec::new();
    for view in views {
        answers.push(view.await.unwrap().ok());
    }
    // The pods time out, everything else is shown, and all callers get the same answer.
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert_eq!(answers[0]["errors"]["pods"]["error"], "timed_out", "{}", answers[0]["errors"]);
    assert_eq!(answers[0]["nodes"].as_array().unwrap().len(), 1);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(slow.asked_for(PODS), 1);
    slow.release();
    let newer = setup.app.get(&format!("{path}/status"), &admin.token).await.ok();
    assert_eq!((&newer["errors"], slow.asked_for(PODS)), (&json!({}), 2), "a finished read is not reused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_read_is_not_shown_to_callers_who_may_not_see_the_cluster() {
    let setup = Setup::start("50s").await;
    let slow = FakeApi::with_slow_pods().await;
    let stranger = setup.app.tenant().await.admin;
    let waiting = setup.begin_slow(&setup.tenant.admin, &slow, 1).await;
    let list = setup.app.get("/clusters", &setup.tenant.admin.token).await.ok();
    let path = format!("/clusters/{}/status", list[0]["id"].as_str().unwrap());
    assert_eq!(setup.app.get(&path, &stranger.token).await.status, StatusCode::NOT_FOUND);
    slow.release();
    for view in waiting {
        view.await.unwrap().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_of_a_cluster_that_hangs_ends_within_the_observe_timeout() {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let setup = Setup::start("3s").await;
    let unresponsive = FakeApi::silent().await;
    let (admin, member) = (&setup.tenant.admin, &setup.tenant.member);
    let path = setup.attach(unresponsive.kubeconfig("a-token")).await;
    for view in ["status", "topology-data"] {
        let started = Instant::now();
        let first = setup.begin(admin, format!("{path}/{view}"));
        let second = setup.begin(member, format!("{path}/{view}"));
        for answer in [first.await.unwrap(), second.await.unwrap()] {
            assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT, "{}", answer.body);
            assert!(
                answer.body["description"].as_str().unwrap().contains("did not respond in time"),
                "{}",
                answer.body
            );
        }
        let took = started.elapsed();
        assert!(took < TIMEOUT + Duration::from_secs(1), "{view} took {took:?}");
    }
}
