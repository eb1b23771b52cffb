//! What Microsoft's Python client was once recorded to send is sent again, and answered in the form that was recorded.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use kqueen_tests::simulator::{SimulatedClock, aks};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const TENANT: &str = "00000000-0000-0000-0000-00000000000a";
const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000001";
const CLIENT: &str = "00000000-0000-0000-0000-00000000000c";

#[tokio::test]
async fn requests_of_the_management_client_are_answered_as_recorded() {
    let trace = include_str!("../../data/simulator/aks/azure_mgmt_containerservice.json");
    let trace: Value = serde_json::from_str(trace).unwrap();
    let aks = aks::start(SimulatedClock::set()).await;
    aks.with(|aks, _| {
        aks.add_subscription(SUBSCRIPTION, TENANT).add_group("rg1", "westeurope");
        aks.accounts.add(CLIENT, "s3cret", TENANT, SUBSCRIPTION);
    });
    let authority = reqwest::Certificate::from_pem(aks.authority.as_ref().unwrap().as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    let (mut operation, mut token) = (String::new(), String::new());
    let mut statuses: BTreeMap<u64, usize> = BTreeMap::new();
    for exchange in trace["exchanges"].as_array().unwrap() {
        let (request, recorded) = (&exchange["request"], &exchange["response"]);
        // Whatever was begun is done by then, unless it was recorded to be under way.
        if recorded["body"]["status"] != "InProgress" {
            aks.pass(TimeDelta::minutes(10));
            token = aks.with(|aks, _| aks.accounts.mint(CLIENT));
        }
        let path = request["path"].as_str().unwrap().replace("op-1", &operation);
        let query = request["query"].as_str().unwrap();
        let method: Method = request["method"].as_str().unwrap().parse().unwrap();
        let what = format!("{method} {path}?{query}");
        let mut sent = client.request(method, format!("{}{path}?{query}", aks.url));
        for (name, value) in request["headers"].as_object().unwrap() {
            if !["host", "content-length", "authorization", "accept-encoding"].contains(&name.as_str()) {
                sent = sent.header(name, value.as_str().unwrap());
            }
        }
        if path.starts_with("/subscriptions") {
            sent = sent.bearer_auth(&token);
        }
        let body = match &request["body"] {
            Value::Null => String::new(),
            body => match body["form"].as_object() {
                Some(form) => {
                    let pair = |(name, value): (&String, &Value)| {
                        format!("{name}={}", value.as_str().unwrap().replace(':', "%3A").replace('/', "%2F"))
                    };
                    form.iter().map(pair).collect::<Vec<_>>().join("&")
                }
                None => body.to_string(),
            },
        };
        let answer = sent.body(body).send().await.unwrap();
        let (status, headers) = (u64::from(answer.status().as_u16()), answer.headers().clone());
        let body: Value = answer.json().await.unwrap_or(Value::Null);
        assert_eq!(recorded["status"], status, "{what}: {body}");
        *statuses.entry(status).or_default() += 1;
        for name in recorded["headers"].as_object().unwrap().keys() {
            assert!(headers.contains_key(name), "{what}: {name} is missing in {headers:?}");
        }
        form_of(&body, &recorded["body"]).unwrap_or_else(|why| panic!("{what}: {why}"));
        if let Some(url) = headers.get("azure-asyncoperation") {
            let url = url.to_str().unwrap().split('?').next().unwrap();
            url.rsplit('/').next().unwrap().clone_into(&mut operation);
        }
    }
    let checked = aks.check();
    println!(
        "{}: {} exchanges replayed, {} compared with the schema, statuses {statuses:?}",
        trace["meta"]["client"], checked.exchanges, checked.checked
    );
    checked.assert_clean();
    assert_eq!(checked.checked, trace["exchanges"].as_array().unwrap().len());
}

/// Everything that was recorded is there, and of the same kind; what errors and operations say is the same.
fn form_of(answer: &Value, recorded: &Value) -> Result<(), String> {
    match (answer, recorded) {
        (Value::Object(answer), Value::Object(recorded)) => {
            for (name, recorded) in recorded {
                let member = answer.get(name).ok_or_else(|| format!("{name} is missing in {}", json!(answer)))?;
                form_of(member, recorded).map_err(|why| format!("{name}: {why}"))?;
                let is_said = ["code", "message", "status", "token_type", "location"].contains(&name.as_str());
                if is_said && member != recorded {
                    return Err(format!("{name} is {member} and not {recorded}"));
                }
            }
            Ok(())
        }
        (Value::Array(answer), Value::Array(recorded)) => {
            for recorded in recorded {
                let found: Vec<Result<(), String>> = answer.iter().map(|answer| form_of(answer, recorded)).collect();
                if !found.iter().any(Result::is_ok) {
                    return Err(format!("nothing is like {recorded}: {found:?}"));
                }
            }
            Ok(())
        }
        (answer, recorded) if std::mem::discriminant(answer) == std::mem::discriminant(recorded) => Ok(()),
        (answer, recorded) => Err(format!("{answer} and not as {recorded}")),
    }
}
