//! The faults of the provider, as clients see them.

use std::time::Duration;

use chrono::TimeDelta;
use kqueen_tests::model::{CallKind, Effect, Event, Fault, Injection, Kind, LATE, Status, Trouble};
use reqwest::Method;
use serde_json::{Value, json};

use crate::customer::{Customer, PROJECT, code, key, rejected, status};

/// How a client sees a call with a fault.
#[derive(Debug, PartialEq)]
enum Outcome {
    Answer(u16),
    Cut,
    NoAnswer,
    Death,
}

/// Every fault at every kind of call: what the client sees, and whether the call takes effect, at once or later.
#[tokio::test]
async fn every_fault_has_its_documented_effect_at_every_call() {
    for kind in CallKind::ALL {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(kind)) {
            let customer = Customer::new().await;
            prepare(&customer, kind).await;
            let (method, path, body) = request(&customer, kind);
            let (mut deaths, before) = (customer.model.deaths(), customer.model.changes());
            customer.model.inject(Injection::any(fault));
            let calls = customer.model.calls();
            let asked = customer.ask(method, path, body);
            let outcome = tokio::select! {
                answer = asked => answer.map_or(Outcome::Cut, |(status, _)| Outcome::Answer(status.as_u16())),
                _ = deaths.changed() => Outcome::Death,
                () = unanswered(&customer, calls), if matches!(fault, Fault::Hang(_)) => Outcome::NoAnswer,
            };
            let at = format!("{kind:?} {fault:?}");
            assert_eq!(outcome, expected(kind, fault), "{at}");
            let log = customer.model.log().split_off(calls);
            let logged: Vec<_> = log.iter().filter(|call| call.agent == "by hand").collect();
            assert_eq!(logged.len(), 1, "it is not repeated: {at}");
            assert_eq!((logged[0].kind, logged[0].fault), (kind, Some(fault)), "{at}");

            let takes_effect = !kind.is_read() && fault.effect() == Effect::First;
            assert_eq!(customer.model.changes() != before, takes_effect, "{at}");
            if let Effect::Later(by) = fault.effect() {
                // It does not take effect earlier.
                let moment = logged[0].at + by;
                customer.model.pass(moment - TimeDelta::seconds(1) - customer.model.now());
                assert_eq!(customer.model.changes(), before, "{at}");
                customer.model.pass(TimeDelta::seconds(1));
                assert_ne!(customer.model.changes(), before, "{at}");
            }
        }
    }
}

/// Creates what the call needs, and waits until nothing is in progress.
async fn prepare(customer: &Customer, kind: CallKind) {
    let existing = match kind {
        CallKind::Create(Kind::Network) => 0,
        CallKind::Create(Kind::Cluster) | CallKind::Delete(Kind::Network) => 1,
        CallKind::Create(Kind::Nodepool) | CallKind::Delete(Kind::Cluster) => 2,
        _ => 3,
    };
    for (plural, body) in customer.whole("a").into_iter().take(existing) {
        customer.post(&format!("/{plural}"), body).await;
        customer.model.pass(TimeDelta::seconds(120));
    }
    if let CallKind::Repair(kind) = kind {
        customer.model.happens(&key(kind, "a"), Event::Breaks("it burns".into()));
    }
    // Long enough that the calls of the preparation have no influence.
    customer.model.pass(TimeDelta::hours(1));
}

fn request(customer: &Customer, kind: CallKind) -> (Method, &'static str, Option<Value>) {
    let [network, cluster, nodepool] = customer.whole("a").map(|(_, body)| Some(body));
    match kind {
        CallKind::Project => (Method::GET, "", None),
        CallKind::List => (Method::GET, "/things?label=cluster%3Da", None),
        CallKind::Get(Kind::Network) => (Method::GET, "/networks/a", None),
        CallKind::Get(Kind::Cluster) => (Method::GET, "/clusters/a", None),
        CallKind::Get(Kind::Nodepool) => (Method::GET, "/nodepools/a", None),
        CallKind::Create(Kind::Network) => (Method::POST, "/networks", network),
        CallKind::Create(Kind::Cluster) => (Method::POST, "/clusters", cluster),
        CallKind::Create(Kind::Nodepool) => (Method::POST, "/nodepools", nodepool),
        CallKind::Repair(Kind::Network) => (Method::POST, "/networks/a/repair", None),
        CallKind::Repair(Kind::Cluster) => (Method::POST, "/clusters/a/repair", None),
        CallKind::Repair(Kind::Nodepool) => (Method::POST, "/nodepools/a/repair", None),
        CallKind::Delete(Kind::Network) => (Method::DELETE, "/networks/a", None),
        CallKind::Delete(Kind::Cluster) => (Method::DELETE, "/clusters/a", None),
        CallKind::Delete(Kind::Nodepool) => (Method::DELETE, "/nodepools/a", None),
        CallKind::Resize => (Method::POST, "/nodepools/a/resize", Some(json!({"node_count": 4}))),
        CallKind::SetNetworkPolicy => {
            let policy = json!({"provider": "CALICO", "enabled": true});
            (Method::POST, "/clusters/a/network-policy", Some(policy))
        }
        CallKind::Kubeconfig => (Method::GET, "/clusters/a/kubeconfig", None),
    }
}

fn expected(kind: CallKind, fault: Fault) -> Outcome {
    match fault {
        Fault::Cut(_) | Fault::Answers(Trouble::HalfABody, _) => Outcome::Cut,
        Fault::Hang(_) => Outcome::NoAnswer,
        Fault::CallerDies(_) => Outcome::Death,
        Fault::Stale => Outcome::Answer(200),
        Fault::Doomed => Outcome::Answer(if kind.is_read() { 200 } else { 202 }),
        Fault::Answers(failures, _) => Outcome::Answer(match failures {
            Trouble::BadRequest => 400,
            Trouble::Unauthenticated => 401,
            Trouble::Forbidden => 403,
            Trouble::ProjectMissing | Trouble::NoSuchRoute => 404,
            Trouble::Busy => 409,
            Trouble::Quota => 422,
            Trouble::TooManyCalls { .. } => 429,
            Trouble::Internal => 500,
            Trouble::BadGateway => 502,
            Trouble::Unavailable => 503,
            Trouble::NotJson | Trouble::WrongShape | Trouble::HalfABody => 200,
        }),
    }
}

/// Waits until one more call has arrived, and later calls have been answered.
async fn unanswered(customer: &Customer, calls: usize) {
    while customer.model.calls() == calls {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..5 {
        let project = customer.http.get(format!("{}/v1/projects/{PROJECT}", customer.model.url));
        assert!(project.bearer_auth(&customer.token).send().await.unwrap().status().is_success());
    }
}

#[tokio::test]
async fn faults_apply_to_the_calls_they_are_meant_for() {
    let customer = Customer::new().await;
    let busy = Fault::Answers(Trouble::Busy, Effect::Never);
    let outcomes = async |paths: &[&str]| {
        let mut statuses = Vec::new();
        for path in paths {
            statuses.push(customer.get(path).await.0);
        }
        statuses
    };
    customer.model.inject(Injection::on(CallKind::List, busy).nth(2).times(2));
    assert_eq!(outcomes(&["/things", "", "/things", "", "/things", "/things"]).await, [200, 200, 409, 200, 409, 200]);
    customer.model.inject(Injection::any(busy).nth(3));
    assert_eq!(outcomes(&["", "/things", "", ""]).await, [200, 200, 409, 200]);
    let unavailable = Fault::Answers(Trouble::Unavailable, Effect::Never);
    customer.model.inject(Injection::any(unavailable).until_cleared());
    customer.model.inject(Injection::any(busy));
    assert_eq!(outcomes(&["", "/things", ""]).await, [503, 503, 503]);
    customer.model.clear_faults();
    assert_eq!(outcomes(&["", "/things"]).await, [200, 200]);
}

#[tokio::test]
async fn a_late_call_takes_effect_at_its_time_on_the_state_at_that_time() {
    let customer = Customer::new().await;
    let body = json!({"name": "n", "labels": {}});
    customer.model.inject(Injection::any(Fault::Cut(Effect::Later(LATE))));
    assert_eq!(customer.ask(Method::POST, "/networks", Some(body.clone())).await, None);
    customer.model.pass(LATE + TimeDelta::seconds(3));
    let network = customer.model.resource(&key(Kind::Network, "n")).unwrap();
    assert_eq!(network.status, Status::Creating, "it began {LATE} after the request, not at the next read");
    customer.model.pass(TimeDelta::seconds(2));
    assert_eq!(status(&customer.model, Kind::Network, "n"), Some(Status::Running));

    // Another call was faster: the late call finds an existing resource.
    let body = json!({"name": "m", "labels": {}});
    customer.model.inject(Injection::any(Fault::Cut(Effect::Later(LATE))));
    assert_eq!(customer.ask(Method::POST, "/networks", Some(body.clone())).await, None);
    customer.post("/networks", body).await;
    customer.model.pass(LATE * 2);
    assert_eq!(customer.model.accounts()[&key(Kind::Network, "m")].made, 1);
}

#[tokio::test]
async fn a_stale_read_shows_the_state_before_the_last_change() {
    let customer = Customer::new().await;
    let stale = async |path: &str| {
        customer.model.inject(Injection::any(Fault::Stale));
        customer.get(path).await
    };
    let listed = async |name: &str| -> Vec<(String, String)> {
        let (_, list) = stale(&format!("/things?label=cluster%3D{name}")).await;
        let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
        list["items"].as_array().unwrap().iter().map(|item| (text(item, "kind"), text(item, "status"))).collect()
    };
    let seen = |things: &[(&str, &str)]| -> Vec<(String, String)> {
        things.iter().map(|(kind, status)| ((*kind).to_owned(), (*status).to_owned())).collect()
    };
    customer.cluster("other").await;
    let [network, cluster, _] = customer.whole("a");
    customer.post("/networks", network.1).await;
    assert_eq!(code(stale("/networks/a").await), rejected(404, "not_found"));
    assert_eq!(listed("a").await, []);
    customer.model.pass(TimeDelta::seconds(5));
    assert_eq!(stale("/networks/a").await.1["status"], "creating");
    customer.post("/clusters", cluster.1).await;
    // Only the last change is not shown; changes of other clusters do not matter.
    customer.model.happens(&key(Kind::Network, "other"), Event::Breaks("it burns".into()));
    assert_eq!(listed("a").await, seen(&[("network", "running")]));
    customer.model.pass(TimeDelta::seconds(120));
    assert_eq!(listed("a").await, seen(&[("network", "running"), ("cluster", "creating")]));
    customer.delete("/clusters/a").await;
    customer.model.pass(TimeDelta::seconds(30));
    assert_eq!(stale("/clusters/a").await.1["status"], "deleting");
    assert_eq!(listed("a").await, seen(&[("network", "running"), ("cluster", "deleting")]));
    // The next read is up to date.
    assert_eq!(code(customer.get("/clusters/a").await), rejected(404, "not_found"));
}

#[tokio::test]
async fn a_doomed_operation_fails_and_can_be_repaired() {
    let customer = Customer::new().await;
    customer.model.inject(Injection::any(Fault::Doomed));
    assert_eq!(customer.post("/networks", json!({"name": "n", "labels": {}})).await.0, 202);
    customer.model.pass(TimeDelta::seconds(5));
    let (_, network) = customer.get("/networks/n").await;
    assert_eq!((&network["status"], &network["message"]), (&json!("error"), &json!("creating the network failed")));
    assert_eq!(customer.post("/networks/n/repair", Value::Null).await.1["status"], "creating");
    customer.model.pass(TimeDelta::seconds(5));
    assert_eq!(status(&customer.model, Kind::Network, "n"), Some(Status::Running));
    customer.model.inject(Injection::any(Fault::Doomed));
    customer.delete("/networks/n").await;
    customer.model.pass(TimeDelta::seconds(30));
    assert_eq!(status(&customer.model, Kind::Network, "n"), Some(Status::Error));
    assert_eq!(customer.post("/networks/n/repair", Value::Null).await.1["status"], "updating");
    customer.model.pass(TimeDelta::seconds(40));
    assert_eq!(status(&customer.model, Kind::Network, "n"), Some(Status::Running));
}
