//! The provider without faults.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use futures::FutureExt;
use kqueen_tests::model::{Account, Call, CallKind, Event, Kind, Right, Settings, Time};
use reqwest::Method;
use serde_json::{Value, json};

use crate::customer::{Customer, PROJECT, code, key, plain, rejected};

#[tokio::test]
async fn operations_take_time_and_show_their_progress() {
    let customer = Customer::new().await;
    let (made, network) = customer.post("/networks", json!({"name": "n", "labels": {}})).await;
    assert_eq!((made, &network["status"], &network["progress"]), (202, &json!("creating"), &json!(0)));
    customer.model.pass(TimeDelta::seconds(4));
    let (_, network) = customer.get("/networks/n").await;
    assert_eq!((&network["status"], &network["progress"]), (&json!("creating"), &json!(80)));
    customer.model.pass(TimeDelta::seconds(1));
    let (_, network) = customer.get("/networks/n").await;
    assert_eq!((&network["status"], network.get("progress")), (&json!("running"), None));
    // The time of an operation counts from its start, not from the next read.
    customer.delete("/networks/n").await;
    customer.model.pass(TimeDelta::hours(1));
    assert_eq!(code(customer.get("/networks/n").await), rejected(404, "not_found"));
    let paid = customer.model.accounts()[&key(Kind::Network, "n")];
    assert_eq!(paid, Account { made: 1, gone: 1, paid: TimeDelta::seconds(5 + 30) });
}

#[tokio::test]
async fn resources_depend_on_each_other() {
    let customer = Customer::new().await;
    let [network, cluster, nodepool] = customer.whole("a");
    assert_eq!(code(customer.post("/clusters", cluster.1.clone()).await), rejected(409, "not_ready"));
    customer.post("/networks", network.1).await;
    assert_eq!(code(customer.post("/clusters", cluster.1.clone()).await), rejected(409, "not_ready"));
    assert_eq!(code(customer.delete("/networks/a").await), rejected(409, "operation_in_progress"));
    customer.model.pass(TimeDelta::seconds(5));
    assert_eq!(customer.post("/clusters", cluster.1).await.0, 202);
    assert_eq!(code(customer.post("/nodepools", nodepool.1.clone()).await), rejected(409, "not_ready"));
    assert_eq!(code(customer.get("/clusters/a/kubeconfig").await), rejected(409, "not_ready"));
    customer.model.pass(TimeDelta::seconds(120));
    assert_eq!(customer.post("/nodepools", nodepool.1).await.0, 202);
    assert_eq!(customer.get("/clusters/a/kubeconfig").await.0, 200);
    customer.model.pass(TimeDelta::seconds(60));

    let (_, rejection) = customer.delete("/networks/a").await;
    let cluster = customer.model.resource(&key(Kind::Cluster, "a")).unwrap();
    assert_eq!((&rejection["error"]["code"], &rejection["error"]["used_by"]), (&json!("in_use"), &json!([cluster.id])));
    assert_eq!(code(customer.delete("/clusters/a").await), rejected(409, "in_use"));
    for plural in ["nodepools", "clusters", "networks"] {
        assert_eq!(customer.delete(&format!("/{plural}/a")).await.0, 202);
        assert_eq!(code(customer.delete(&format!("/{plural}/a")).await), rejected(409, "operation_in_progress"));
        customer.model.pass(TimeDelta::seconds(30));
    }
    assert_eq!(customer.model.resources(), []);
}

#[tokio::test]
async fn a_name_is_unique_and_an_id_identifies_one_resource() {
    let customer = Customer::new().await;
    let network = json!({"name": "n", "labels": {}});
    let (_, first) = customer.post("/networks", network.clone()).await;
    assert_eq!(code(customer.post("/networks", network.clone()).await), rejected(409, "already_exists"));
    customer.model.pass(TimeDelta::seconds(5));
    let id = |thing: &Value| thing["id"].as_str().unwrap().to_owned();
    customer.delete(&format!("/networks/n?id={}", id(&first))).await;
    customer.model.pass(TimeDelta::seconds(30));
    let (_, second) = customer.post("/networks", network).await;
    assert_ne!(id(&first), id(&second));
    customer.model.pass(TimeDelta::seconds(5));
    assert_eq!(code(customer.delete(&format!("/networks/n?id={}", id(&first))).await), rejected(412, "another_one"));
    assert_eq!(customer.model.accounts()[&key(Kind::Network, "n")].made, 2);
}

#[tokio::test]
async fn changes_are_visible_when_they_are_done() {
    let customer = Customer::new().await;
    customer.cluster("a").await;
    let (accepted, pool) = customer.post("/nodepools/a/resize", json!({"node_count": 5})).await;
    assert_eq!((accepted, &pool["node_count"], &pool["target"]["node_count"]), (202, &json!(2), &json!(5)));
    let policy = json!({"provider": "CALICO", "enabled": true});
    assert_eq!(customer.post("/clusters/a/network-policy", policy.clone()).await.0, 202);
    assert_eq!(
        code(customer.post("/nodepools/a/resize", json!({"node_count": 6})).await),
        rejected(409, "operation_in_progress")
    );
    customer.model.pass(TimeDelta::seconds(40));
    let (_, pool) = customer.get("/nodepools/a").await;
    assert_eq!((&pool["status"], &pool["node_count"], pool.get("target")), (&json!("running"), &json!(5), None));
    assert_eq!(customer.get("/clusters/a").await.1["network_policy"], policy);
    for wrong in [json!({}), json!({"node_count": 0}), json!({"node_count": "5"}), json!({"node_count": 100_000})] {
        assert_eq!(code(customer.post("/nodepools/a/resize", wrong).await), rejected(400, "invalid"));
    }
}

#[tokio::test]
async fn no_answer_contains_a_secret() {
    let customer = Customer::new().await;
    customer.cluster("a").await;
    let cluster = customer.model.resource(&key(Kind::Cluster, "a")).unwrap();
    assert_eq!(cluster.admin_password.as_deref(), Some("a secret"));
    let answers = [customer.get("/clusters/a").await.1, customer.get("/things").await.1];
    assert!(answers.iter().all(|answer| !answer.to_string().contains("a secret")), "{answers:?}");
}

#[tokio::test]
async fn paged_lists_show_every_resource_once() {
    let customer = Customer::with(Settings { page: 7, ..Settings::default() }).await;
    for number in 0..40 {
        let labels = json!({"installation": if number % 4 == 0 { "two" } else { "one" }, "number": number.to_string()});
        customer.post("/networks", json!({"name": format!("n{number:02}"), "labels": labels})).await;
    }
    let mut names = Vec::new();
    let mut page = String::new();
    loop {
        let (_, list) = customer.get(&format!("/things?label=installation%3Done{page}")).await;
        let items = list["items"].as_array().unwrap();
        assert!(items.len() <= 7);
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        // Resources that are created meanwhile move no other to another page.
        let early = json!({"name": format!("a{}", names.len()), "labels": {"installation": "one"}});
        customer.post("/networks", early).await;
        match list["next"].as_str() {
            Some(next) => page = format!("&page={next}"),
            None => break,
        }
    }
    let expected: Vec<String> =
        (0..40).filter(|number| number % 4 != 0).map(|number| format!("n{number:02}")).collect();
    assert_eq!(names, expected);
    let both = customer.get("/things?label=installation%3Dtwo&label=number%3D8").await.1;
    assert_eq!(both["items"].as_array().unwrap().len(), 1);
    assert_eq!(customer.get("/things?label=installation%3Dthree").await.1["items"], json!([]));
}

#[tokio::test]
async fn a_token_is_limited_to_its_rights_and_its_project() {
    let customer = Customer::new().await;
    customer.cluster("a").await;
    let calls: [(CallKind, Method, &str); 6] = [
        (CallKind::List, Method::GET, "/things"),
        (CallKind::Get(Kind::Cluster), Method::GET, "/clusters/a"),
        (CallKind::Create(Kind::Network), Method::POST, "/networks"),
        (CallKind::Repair(Kind::Cluster), Method::POST, "/clusters/a/repair"),
        (CallKind::Delete(Kind::Network), Method::DELETE, "/networks/a"),
        (CallKind::Kubeconfig, Method::GET, "/clusters/a/kubeconfig"),
    ];
    for (kind, method, path) in calls {
        let needed = kind.right().unwrap();
        let others: Vec<Right> = Right::ALL.into_iter().filter(|right| *right != needed).collect();
        let token = customer.model.token(PROJECT, "bob", &others);
        let (status, rejection) = plain(customer.ask_with(&token, PROJECT, method, path, None).await);
        assert_eq!((status, &rejection["error"]["right"]), (403, &json!(needed.as_str())), "{kind:?}");
    }
    let ask = async |token: &str, project: &str| {
        code(plain(customer.ask_with(token, project, Method::GET, "/networks/nobody", None).await))
    };
    assert_eq!(ask("no token at all", PROJECT).await, rejected(401, "unauthenticated"));
    assert_eq!(ask(&customer.token, "red").await, rejected(404, "project_not_found"));
    customer.model.add_project("red", None);
    assert_eq!(ask(&customer.token, "red").await, rejected(403, "forbidden"));
    assert_eq!(ask(&customer.token, PROJECT).await, rejected(404, "not_found"));
    customer.model.drop_project(PROJECT);
    assert_eq!(ask(&customer.token, PROJECT).await, rejected(404, "project_not_found"));
    customer.model.add_project(PROJECT, None);
    assert_eq!(customer.get("/clusters/a").await.0, 200, "its resources exist again");
    customer.model.revoke(&customer.token);
    assert_eq!(ask(&customer.token, PROJECT).await, rejected(401, "unauthenticated"));
}

#[tokio::test]
async fn quota_and_rate_limit_are_enforced() {
    let rate = Some((10, TimeDelta::seconds(60)));
    let customer = Customer::with(Settings { rate, ..Settings::default() }).await;
    customer.model.add_project(PROJECT, Some(3));
    customer.cluster("a").await;
    assert_eq!(
        code(customer.post("/nodepools/a/resize", json!({"node_count": 4})).await),
        rejected(422, "quota_exceeded")
    );
    assert_eq!(customer.post("/nodepools/a/resize", json!({"node_count": 3})).await.0, 202);
    customer.model.pass(TimeDelta::seconds(60));
    for _ in 0..10 {
        assert_eq!(customer.get("/nodepools/a").await.0, 200);
    }
    customer.model.pass(TimeDelta::milliseconds(12_500));
    let url = format!("{}/v1/projects/{PROJECT}", customer.model.url);
    let response = customer.http.get(url).bearer_auth(&customer.token).send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"48".parse().unwrap()));
    customer.model.pass(TimeDelta::seconds(48));
    assert_eq!(customer.get("/nodepools/a").await.0, 200);
}

#[tokio::test]
async fn resources_can_change_without_a_request() {
    let customer = Customer::new().await;
    customer.cluster("a").await;
    let network = key(Kind::Network, "a");
    customer.model.happens(&network, Event::Breaks("it burns".into()));
    assert_eq!(customer.get("/networks/a").await.1["message"], "it burns");
    customer.model.happens(&network, Event::Recovers);
    assert_eq!(customer.get("/networks/a").await.1["status"], "running");
    customer.model.happens(&key(Kind::Nodepool, "a"), Event::LosesLabels);
    assert_eq!(customer.get("/things?label=cluster%3Da").await.1["items"].as_array().unwrap().len(), 2);
    customer.model.happens(&key(Kind::Nodepool, "a"), Event::IsDeleted);
    customer.model.pass(TimeDelta::seconds(30));
    assert_eq!(code(customer.get("/nodepools/a").await), rejected(404, "not_found"));
    customer.model.happens(&network, Event::Vanishes);
    assert_eq!(customer.model.resources(), []);
}

#[tokio::test]
async fn the_log_has_the_caller_and_the_resource_of_every_call() {
    let customer = Customer::new().await;
    customer.cluster("a").await;
    let labels = BTreeMap::from([("installation".to_owned(), "two".to_owned())]);
    customer.model.plant(&key(Kind::Network, "foreign"), labels);
    let planted = customer.model.planted();
    customer.model.clear_log();
    customer.get("/networks/foreign").await;
    customer.get("/things").await;
    customer.post("/networks", json!({"name": "foreign", "labels": {}})).await;
    customer.delete("/networks/foreign?id=something-else").await;
    customer.post("/networks/foreign/repair", Value::Null).await;
    customer.delete("/nodepools/a").await;
    let log = customer.model.log();
    let touched: Vec<bool> = log.iter().map(|call| call.touches_foreign).collect();
    assert_eq!(touched, [false, false, false, true, true, false]);
    assert_eq!(log[3].resource, Some(key(Kind::Network, "foreign")));
    assert!(log.iter().all(|call| call.holder.as_deref() == Some("ann") && call.fault.is_none()));
    assert_eq!(log.iter().map(|call| call.status).collect::<Option<Vec<_>>>().unwrap(), [200, 200, 409, 412, 202, 202]);
    assert_eq!(customer.model.planted(), planted, "no call has changed them");
    assert!(
        !customer.model.accounts().contains_key(&key(Kind::Network, "foreign")),
        "foreign resources are not charged"
    );
}

#[tokio::test]
async fn the_price_is_resources_times_seconds() {
    let customer = Customer::new().await;
    let before = customer.model.price();
    customer.cluster("a").await;
    // Each was created 120 s after the one before it.
    assert_eq!(customer.model.price() - before, 360 + 240 + 120);
    customer.model.pass(TimeDelta::seconds(10));
    assert_eq!(customer.model.price() - before, 360 + 240 + 120 + 30);
}

#[tokio::test]
async fn a_call_waits_for_what_runs_before_it() {
    let customer = Customer::new().await;
    let (asked, mut asks) = tokio::sync::mpsc::unbounded_channel::<(Call, tokio::sync::oneshot::Sender<()>)>();
    customer.model.before_each_call(move |call| {
        let asked = asked.clone();
        async move {
            let (go_on, may) = tokio::sync::oneshot::channel();
            asked.send((call, go_on)).unwrap();
            may.await.unwrap();
        }
        .boxed()
    });
    let body = json!({"name": "n", "labels": {}});
    let ((status, _), ()) = tokio::join!(customer.post("/networks", body), async {
        let (call, go_on) = asks.recv().await.unwrap();
        assert_eq!(call.key(), Some(key(Kind::Network, "n")));
        assert_eq!(customer.model.resources(), []);
        go_on.send(()).unwrap();
    });
    assert_eq!((status, customer.model.resources().len()), (202, 1));
}

#[tokio::test]
async fn the_provider_runs_in_real_time_for_benchmarks() {
    let latency = Duration::from_millis(20);
    let settings = Settings { creating: [TimeDelta::zero(); 3], latency, keeps_log: false, ..Settings::default() };
    let customer = Customer::at(Time::Real, settings).await;
    let began = std::time::Instant::now();
    assert_eq!(customer.post("/networks", json!({"name": "n", "labels": {}})).await.0, 202);
    assert!(began.elapsed() >= latency);
    assert_eq!(customer.get("/networks/n").await.1["status"], "running");
    assert_eq!((customer.model.log().len(), customer.model.calls()), (0, 2));
}
