//! Every class of fault at every kind of change.

use super::*;
use crate::simulator::{Acts, Fault, Injection};

/// What is changed, and how it shows that it was.
struct Change {
    call: &'static str,
    method: Method,
    /// After the id of the cluster.
    path: &'static str,
    cluster: &'static str,
    body: Value,
    shows: fn(&Value) -> bool,
}

fn changes() -> Vec<Change> {
    let change = |call, method, path, body, shows| Change { call, method, path, cluster: "c", body, shows };
    let pool = json!({"properties": {"count": 3, "vmSize": "Standard_D2s_v5", "mode": "System"}});
    let is_done = |shown: &Value| shown["properties"]["provisioningState"] == "Succeeded";
    vec![
        Change { cluster: "new", ..change("managed_clusters.create_or_update", Method::PUT, "", asked(1), is_done) },
        change("managed_clusters.delete", Method::DELETE, "", Value::Null, |shown| shown.is_null()),
        change("agent_pools.create_or_update", Method::PUT, POOL, pool, |shown| {
            let pool = &shown["properties"]["agentPoolProfiles"][0];
            pool["count"] == 3 && pool["provisioningState"] == "Succeeded"
        }),
        change("managed_clusters.update_tags", Method::PATCH, "", json!({"tags": {"a": "b"}}), |shown| {
            shown["tags"]["a"] == "b" && shown["properties"]["provisioningState"] == "Succeeded"
        }),
        change("managed_clusters.stop", Method::POST, "/stop", Value::Null, |shown| {
            shown["properties"]["powerState"]["code"] == "Stopped"
        }),
    ]
}

#[tokio::test]
async fn every_fault_at_every_change_does_what_it_says() {
    let (mut cases, mut compared) = (0, 0);
    for fault in Fault::all().into_iter().filter(|fault| fault.fits(false)) {
        let setup = Setup::new().await;
        for (number, Change { call, method, path, cluster, body, shows }) in changes().into_iter().enumerate() {
            let what = format!("{fault:?} at {call}");
            // Each change has a cluster of its own, and all of them one simulator.
            let name = setup.name(&format!("{cluster}{number}"));
            if cluster == "c" {
                setup.aks.plant(&name, &json!({"tags": {"owner": "else"}}));
            }
            let token = setup.aks.with(|aks, _| aks.accounts.mint(&setup.principal.client_id));
            let before = setup.aks.changes();
            let (mut hung, mut deaths) = (setup.aks.hung(), setup.aks.deaths());
            setup.aks.clear_faults();
            setup.aks.inject(Injection::on(call, fault.clone()));
            let url = setup.url(&format!("{}{path}", name.id()));
            let request = setup.client.request(method, url).bearer_auth(token);
            let request = request.body(if body.is_null() { String::new() } else { body.to_string() });
            let answer = tokio::select! {
                answer = request.send() => Some(answer),
                _ = hung.changed() => None,
                _ = deaths.changed() => None,
            };
            match &fault {
                Fault::Hang(_) | Fault::CallerDies(_) => assert!(answer.is_none(), "{what}"),
                Fault::Cut(_) => assert!(answer.unwrap().is_err(), "{what}"),
                Fault::Doomed(_) => assert!(answer.unwrap().unwrap().status().is_success(), "{what}"),
                Fault::Answers(..) | Fault::Stale => assert!(answer.is_some(), "{what}"),
            }
            if matches!(fault.acts(), Acts::Never) {
                assert_eq!(setup.aks.changes(), before, "{what}");
            }
            let shown = || setup.aks.cluster(&name).unwrap_or_default();
            // A hanging caller waits for a minute, in which tags are through.
            let is_quick = call.ends_with("update_tags") && matches!(fault, Fault::Hang(_));
            assert!(is_quick || !shows(&shown()), "{what}: nothing is done at once");
            setup.pass(20);
            let acts = !matches!(fault.acts(), Acts::Never) && !matches!(fault, Fault::Doomed(_));
            assert_eq!(shows(&shown()), acts, "{what}: {}", shown());
            cases += 1;
        }
        let checked = setup.aks.check();
        checked.assert_clean();
        compared += checked.checked;
    }
    println!("{cases} cases, {compared} exchanges compared with the schema");
    assert!(cases > 130, "{cases}");
}
