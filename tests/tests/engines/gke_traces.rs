//! What Google's two Python clients were once recorded to send is sent again, and answered in the form that was recorded.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use kqueen_tests::simulator::{SimulatedClock, gke};
use reqwest::{Client, Method};
use serde_json::Value;

const OPERATION: &str = "operation-1700000000000-aaaa";

#[tokio::test]
async fn requests_of_the_discovery_client_are_answered_as_recorded() {
    replay(include_str!("../../data/simulator/gke/google_api_python_client.json")).await;
}

#[tokio::test]
async fn requests_of_the_generated_client_are_answered_as_recorded() {
    replay(include_str!("../../data/simulator/gke/google_cloud_container_rest.json")).await;
}

async fn replay(trace: &str) {
    let trace: Value = serde_json::from_str(trace).unwrap();
    let gke = gke::start(SimulatedClock::set()).await;
    let account = gke.service_account("sa", "p");
    let client = Client::builder().no_proxy().build().unwrap();
    let mut operation = String::new();
    let mut statuses: BTreeMap<u64, usize> = BTreeMap::new();
    for exchange in trace["exchanges"].as_array().unwrap() {
        // Whatever was begun is done by then.
        gke.pass(TimeDelta::minutes(10));
        let (request, recorded) = (&exchange["request"], &exchange["response"]);
        let path = request["path"].as_str().unwrap().replace(OPERATION, &operation);
        let query = request["query"].as_str().unwrap();
        let method: Method = request["method"].as_str().unwrap().parse().unwrap();
        let what = format!("{method} {path}?{query}");
        let mut sent = client.request(method, format!("{}{path}?{query}", gke.url));
        for (name, value) in request["headers"].as_object().unwrap() {
            if !["host", "content-length", "authorization", "accept-encoding"].contains(&name.as_str()) {
                sent = sent.header(name, value.as_str().unwrap());
            }
        }
        if path != "/token" {
            sent = sent.bearer_auth(gke.with(|gke, _| gke.accounts.mint(&account.email)));
        }
        let body = match &request["body"] {
            Value::Null => String::new(),
            body if body["form"].is_object() => {
                let grant_type = body["form"]["grant_type"].as_str().unwrap().replace(':', "%3A");
                format!("assertion={}&grant_type={grant_type}", account.assertion(gke.now()))
            }
            body => body.to_string(),
        };
        let answer = sent.body(body).send().await.unwrap();
        let status = u64::from(answer.status().as_u16());
        let body: Value = answer.json().await.unwrap();
        assert_eq!(recorded["status"], status, "{what}: {body}");
        *statuses.entry(status).or_default() += 1;
        let numbers = query.contains("enum-encoding%3Dint");
        has_form_of(&body, &recorded["body"], numbers, &what);
        if let Some(name) = body["name"].as_str().filter(|name| name.starts_with("operation-")) {
            name.clone_into(&mut operation);
        }
    }
    let checked = gke.check();
    println!(
        "{}: {} exchanges replayed, {} compared with the schema, statuses {statuses:?}",
        trace["meta"]["client"], checked.exchanges, checked.checked
    );
    checked.assert_clean();
    assert_eq!(checked.checked, trace["exchanges"].as_array().unwrap().len());
}

/// Everything that was recorded is there, and of the same kind; what errors say is the same.
fn has_form_of(answer: &Value, recorded: &Value, numbers: bool, what: &str) {
    match (answer, recorded) {
        (Value::Object(answer), Value::Object(recorded)) => {
            for (name, recorded) in recorded {
                let member = answer.get(name).unwrap_or_else(|| panic!("{what}: {name} is missing in {answer:?}"));
                has_form_of(member, recorded, numbers, &format!("{what} {name}"));
                if ["message", "token_type", "location"].contains(&name.as_str()) {
                    assert_eq!(member, recorded, "{what}");
                }
            }
        }
        (Value::Array(answer), Value::Array(recorded)) => {
            assert!(!answer.is_empty(), "{what}");
            recorded.iter().for_each(|recorded| has_form_of(&answer[0], recorded, numbers, what));
        }
        // A client that asks for numbers understands names as well; the recording has names.
        (Value::Number(_), Value::String(_)) if numbers => {}
        (answer, recorded) => {
            let kind = |value: &Value| std::mem::discriminant(value);
            assert_eq!(kind(answer), kind(recorded), "{what}: {answer} and not as {recorded}");
        }
    }
}
