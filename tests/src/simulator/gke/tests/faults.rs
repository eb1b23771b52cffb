//! Every class of fault at every kind of change.

use super::*;
use crate::simulator::{Acts, Fault, Injection};

/// What is changed, and how it shows that it was.
struct Change {
    call: &'static str,
    method: Method,
    path: &'static str,
    body: Value,
    shows: fn(&GkeSimulator) -> bool,
}

fn shown(gke: &GkeSimulator, cluster: &str) -> Value {
    gke.cluster(&ClusterName::new("p", "us-central1-a", cluster)).unwrap_or_default()
}

fn changes() -> Vec<Change> {
    let change = |call, method, path, body, shows| Change { call, method, path, body, shows };
    vec![
        change("clusters.create", Method::POST, "clusters", json!({"cluster": asked("new", 1)}), |gke| {
            shown(gke, "new")["status"] == "RUNNING"
        }),
        change("clusters.delete", Method::DELETE, "clusters/c", Value::Null, |gke| shown(gke, "c").is_null()),
        change(
            "clusters.nodePools.setSize",
            Method::POST,
            "clusters/c/nodePools/default-pool:setSize",
            json!({"nodeCount": 3}),
            |gke| shown(gke, "c")["currentNodeCount"] == 3,
        ),
        change(
            "clusters.updateMaster",
            Method::POST,
            "clusters/c:updateMaster",
            json!({"masterVersion": "1.35"}),
            |gke| shown(gke, "c")["currentMasterVersion"] == "1.35.0-gke.1",
        ),
        change(
            "clusters.update",
            Method::PUT,
            "clusters/c",
            json!({"update": {"desiredAddonsConfig": {"networkPolicyConfig": {"disabled": false}}}}),
            |gke| shown(gke, "c")["addonsConfig"]["networkPolicyConfig"]["disabled"] == false,
        ),
        change(
            "clusters.setNetworkPolicy",
            Method::POST,
            "clusters/c:setNetworkPolicy",
            json!({"networkPolicy": {"enabled": false}}),
            |gke| shown(gke, "c")["networkPolicy"] == json!({"enabled": false}),
        ),
    ]
}

#[tokio::test]
async fn every_fault_at_every_change_does_what_it_says() {
    let (mut cases, mut compared) = (0, 0);
    for fault in Fault::all().into_iter().filter(|fault| fault.fits(false)) {
        for Change { call, method, path, body, shows } in changes() {
            let what = format!("{fault:?} at {call}");
            let setup = Setup::new().await;
            setup.gke.plant(&name("us-central1-a"), &json!({"networkPolicy": {"enabled": true}}));
            let before = setup.gke.changes();
            let (mut hung, mut deaths) = (setup.gke.hung(), setup.gke.deaths());
            setup.gke.inject(Injection::on(call, fault.clone()));
            let request =
                setup.client.request(method, format!("{}{ZONE}/{path}", setup.gke.url)).bearer_auth(&setup.token);
            let request = request.body(if body.is_null() { String::new() } else { body.to_string() });
            let answer = tokio::select! {
                answer = request.send() => Some(answer),
                _ = hung.changed() => None,
                _ = deaths.changed() => None,
            };
            match &fault {
                Fault::Hang(_) | Fault::CallerDies(_) => assert!(answer.is_none(), "{what}"),
                Fault::Cut(_) => assert!(answer.unwrap().is_err(), "{what}"),
                Fault::Doomed(_) => assert_eq!(answer.unwrap().unwrap().status(), 200, "{what}"),
                Fault::Answers(..) | Fault::Stale => assert!(answer.is_some(), "{what}"),
            }
            if matches!(fault.acts(), Acts::Never) {
                assert_eq!(setup.gke.changes(), before, "{what}");
            }
            assert!(!shows(&setup.gke), "{what}: nothing is done at once");
            setup.pass(20);
            let acts = !matches!(fault.acts(), Acts::Never) && !matches!(fault, Fault::Doomed(_));
            assert_eq!(shows(&setup.gke), acts, "{what}: {:?}", setup.gke.journal());
            let checked = setup.gke.check();
            checked.assert_clean();
            cases += 1;
            compared += checked.checked;
        }
    }
    println!("{cases} cases, {compared} exchanges compared with the schema");
    assert!(cases > 150);
}
