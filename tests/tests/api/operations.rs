//! Operations on clusters, and what the API reports of them, with a simulated provider that takes time.

use std::time::Duration;

use kqueen_tests::fixture::{
    app::{Answer, App, Options, read},
    people::{Person, Tenant, new_name},
    process::eventually,
    sse::Stream,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Deploying takes 20 s, and the reconciler observes the cluster every few seconds.
const PATIENCE: Duration = Duration::from_secs(180);

struct World {
    app: App,
    tenant: Tenant,
    stranger: Person,
    /// A provisioner of the simulated provider.
    provisioner: String,
}

async fn world() -> World {
    let app = App::start_with(Options::default().with("DEMO_ENABLED", "true")).await;
    let (tenant, elsewhere) = (app.tenant().await, app.tenant().await);
    let body = json!({"name": new_name("simulated"), "engine": "kqueen.engines.DemoEngine"});
    let provisioner = app.post("/provisioners", &tenant.admin.token, body).await.id();
    World { app, tenant, stranger: elsewhere.admin, provisioner }
}

impl World {
    /// Creates a cluster as the member and returns the answer.
    async fn deploy(&self) -> Value {
        let provisioner = format!("Provisioner:{}", self.provisioner);
        let body = json!({"name": new_name("cluster"), "provisioner": provisioner, "metadata": {"node_count": 3}});
        self.app.post("/clusters", &self.tenant.member.token, body).await.ok()
    }

    async fn get(&self, path: &str) -> Value {
        self.app.get(path, &self.tenant.member.token).await.ok()
    }

    async fn post(&self, path: &str) -> Answer {
        self.app.call(Method::POST, path, Some(&self.tenant.member.token), None).await
    }

    /// The cluster, once it is in that phase.
    async fn settled(&self, cluster: &str, phase: &str) -> Value {
        let path = format!("/clusters/{cluster}");
        let is_settled = || async { self.get(&path).await["phase"] == phase };
        eventually("the cluster is in the phase", PATIENCE, is_settled).await;
        self.get(&path).await
    }

    /// Waits until a resource of the operation exists.
    async fn resource_exists(&self, operation: &str) {
        let exists = || async {
            let operation = self.get(&format!("/operations/{operation}")).await;
            operation["resources"].as_array().unwrap().iter().any(|resource| resource["state"] == "present")
        };
        eventually("a resource exists", PATIENCE, exists).await;
    }

    /// The operation, once it has ended.
    async fn ended(&self, operation: &str) -> Value {
        let path = format!("/operations/{operation}");
        let has_ended = || async { self.get(&path).await["ended_at"].is_string() };
        eventually("the operation ends", PATIENCE, has_ended).await;
        self.get(&path).await
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

#[tokio::test]
async fn a_creation_answers_at_once_and_a_cluster_has_one_operation_at_a_time() {
    let world = world().await;
    let cluster = world.deploy().await;
    assert_eq!((&cluster["phase"], &cluster["state"]), (&json!("Deploying"), &json!("Deploying")));
    assert_eq!((&cluster["failure"], &cluster["node_count"]), (&Value::Null, &Value::Null));
    let (id, deploy) = (text(&cluster["id"]), text(&cluster["operation"]));
    assert_eq!(world.get(&format!("/clusters/{id}/progress")).await["response"], 200);

    let operation = world.get(&format!("/operations/{deploy}")).await;
    assert_eq!((&operation["id"], &operation["kind"]), (&json!(deploy), &json!("deploy")));
    assert!(["pending", "running"].contains(&text(&operation["status"])), "{operation}");
    assert_eq!(operation["cluster"], json!({"id": id, "name": cluster["name"]}));
    let member = &world.tenant.member;
    assert_eq!(operation["requested_by"], json!({"id": member.id, "username": member.username}));
    assert!(text(&operation["deadline"]) > text(&operation["requested_at"]), "{operation}");
    assert_eq!((&operation["attempt"], &operation["ended_at"]), (&json!(1), &Value::Null));
    assert!(operation["resources"].is_array() && operation.get("node_count").is_none(), "{operation}");
    let list = world.get(&format!("/clusters/{id}/operations")).await;
    assert_eq!((list.as_array().unwrap().len(), &list[0]["id"]), (1, &json!(deploy)));
    assert!(list[0].get("resources").is_none(), "{list}");

    // A caller who may not see the requester gets only the id.
    let policy = format!("/organizations/{}/policy", world.tenant.id);
    world.app.patch(&policy, &world.tenant.admin.token, json!({"user:get": "IS_SUPERADMIN"})).await.ok();
    let theirs = world.app.get(&format!("/operations/{deploy}"), &world.tenant.admin.token).await.ok();
    assert_eq!(theirs["requested_by"], json!({"id": member.id, "username": null}));

    // Nothing else is started while it runs; the conflict names the operation to wait for.
    let resize = json!({"node_count": 5});
    let refused = world.app.patch(&format!("/clusters/{id}/resize"), &member.token, resize).await;
    assert_eq!((refused.status, &refused.body["error"]), (StatusCode::CONFLICT, &json!("conflict")));
    assert_eq!(refused.body["details"], json!([{"field": "operation", "message": deploy}]));
    assert!(text(&refused.body["description"]).contains(deploy), "{}", refused.body);
    let policy = json!({"provider": "CALICO", "enabled": true});
    let path = format!("/clusters/{id}/set_network_policy");
    assert_eq!(world.app.patch(&path, &member.token, policy).await.status, StatusCode::CONFLICT);
    assert_eq!(world.post(&format!("/clusters/{id}/retry")).await.status, StatusCode::CONFLICT);

    // Users of other organizations see none of it.
    for path in
        [format!("/operations/{deploy}"), format!("/clusters/{id}/operations"), format!("/clusters/{id}/timeline")]
    {
        assert_eq!(world.app.get(&path, &world.stranger.token).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_deletion_supersedes_the_deployment_is_repeatable_and_keeps_a_timeline() {
    let world = world().await;
    let member = world.tenant.member.token.clone();
    let mut stream = Stream::open(&world.app, &member).await;
    let cluster = world.deploy().await;
    let (id, deploy) = (text(&cluster["id"]), text(&cluster["operation"]));
    let event = stream.event_of("operation", deploy).await;
    assert_eq!((&event.data["action"], &event.data["object"]["kind"]), (&json!("changed"), &json!("deploy")));
    let path = format!("/clusters/{id}");
    let is_running = || async { world.get(&format!("/operations/{deploy}")).await["status"] == "running" };
    eventually("the deployment runs", PATIENCE, is_running).await;
    let deleted = json!({"id": id, "state": "deleted"});
    assert_eq!(world.app.delete(&path, &member).await.ok(), deleted);
    assert_eq!(world.app.delete(&path, &member).await.ok(), deleted, "repeated");
    let shown = world.get(&path).await;
    assert_eq!(shown["phase"], "Destroying");
    let destroy = text(&shown["operation"]);
    assert_ne!(destroy, deploy);
    let superseded = world.get(&format!("/operations/{deploy}")).await;
    assert_eq!(superseded["status"], "cancelled");
    assert_eq!(superseded["failure"]["code"], "Superseded");
    assert!(text(&superseded["failure"]["cause"]).contains("destroy"), "{superseded}");
    assert!(superseded["failure"].get("provider_message").is_some());

    eventually("the cluster is deleted", PATIENCE, || async { world.app.get(&path, &member).await.status == 404 })
        .await;
    assert_eq!(world.app.delete(&path, &member).await.status, StatusCode::NOT_FOUND);
    // The stream reports the outcome although the cluster is deleted.
    while stream.event_of("operation", destroy).await.data["object"]["status"] != "succeeded" {}

    // Its timeline is kept for a while.
    let list = world.get(&format!("{path}/operations")).await;
    let kinds: Vec<_> = list.as_array().unwrap().iter().map(|operation| text(&operation["kind"])).collect();
    assert_eq!(kinds, ["destroy", "deploy"], "newest first");
    let last = world.get(&format!("/operations/{destroy}")).await;
    assert_eq!((&last["status"], &last["cluster"]), (&json!("succeeded"), &json!({"id": id, "name": cluster["name"]})));
    assert!(!last["steps"].as_array().unwrap().is_empty(), "{last}");
    for step in last["steps"].as_array().unwrap() {
        assert_eq!(step["outcome"], "done", "{step}");
        assert!(
            step["ended_at"].is_string() && step["tries"].as_u64() >= Some(1) && !text(&step["caption"]).is_empty()
        );
    }

    let whole = world.get(&format!("{path}/timeline?limit=200")).await;
    let whole = whole["items"].as_array().unwrap().clone();
    let times: Vec<_> =
        whole.iter().map(|entry| chrono::DateTime::parse_from_rfc3339(text(&entry["at"])).unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{whole:#?}");
    let first = whole.last().unwrap();
    assert_eq!((&first["kind"], &first["operation"]), (&json!("asked"), &json!(deploy)));
    assert_eq!(first["by"]["username"], world.tenant.member.username.as_str());
    let mut pages = Vec::new();
    let mut next = String::new();
    loop {
        let page = world.get(&format!("{path}/timeline?limit=2{next}")).await;
        let items = page["items"].as_array().unwrap();
        assert!((1..=2).contains(&items.len()), "{page}");
        pages.extend(items.clone());
        let Some(from) = page["next"].as_str() else { break };
        next = format!("&from={from}");
    }
    assert_eq!(pages, whole);
    assert!(whole.len() > 4, "{whole:#?}");
    for wrong in ["limit=0", "limit=201", "limit=many", "from=nonsense", "from=../leader"] {
        let refused = world.app.get(&format!("{path}/timeline?{wrong}"), &member).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}: {}", refused.body);
        assert_eq!(refused.body["details"][0]["field"], wrong.split('=').next().unwrap());
    }
    assert_eq!(world.app.get(&format!("{path}/timeline"), &world.stranger.token).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_cancelled_operation_lists_its_resources_and_can_be_retried() {
    let world = world().await;
    let member = &world.tenant.member.token;
    let cluster = world.deploy().await;
    let (id, deploy) = (text(&cluster["id"]), text(&cluster["operation"]));
    let path = format!("/clusters/{id}");
    world.resource_exists(deploy).await;
    // An empty object is accepted as a body; fields are rejected.
    let cancel = format!("/operations/{deploy}/cancel");
    let odd = world.app.post(&cancel, member, json!({"force": true})).await;
    assert_eq!((odd.status, &odd.body["details"][0]["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("force")));
    let raw = |kind: &'static str, body: &'static str| {
        let request = world.app.request(Method::POST, &cancel, Some(member)).header("content-type", kind);
        read(request.body(body))
    };
    assert_eq!(raw("application/json", "{").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(raw("text/plain", "please").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let cancelled = world.app.post(&cancel, member, json!({})).await.ok();
    assert!(cancelled["cancel_requested_at"].is_string(), "{cancelled}");
    let exists: Vec<_> = cancelled["resources"].as_array().unwrap().iter().map(|it| text(&it["state"])).collect();
    assert!(exists.contains(&"present"), "{cancelled}");
    let operation = world.ended(deploy).await;
    assert_eq!((&operation["status"], &operation["failure"]["code"]), (&json!("cancelled"), &json!("Cancelled")));
    let again = world.post(&cancel).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "it has ended: {}", again.body);

    let cluster = world.settled(id, "Error").await;
    for key in ["cause", "responsible", "next_step"] {
        assert!(cluster["failure"][key].is_string(), "{cluster}");
    }
    assert_eq!((&cluster["failure"]["code"], &cluster["status_reason"]), (&json!("Cancelled"), &json!("Cancelled")));
    let retried = world.post(&format!("{path}/retry")).await;
    assert!(retried.headers.contains_key("etag"));
    let retried = retried.ok();
    assert_eq!((&retried["phase"], &retried["failure"]), (&json!("Deploying"), &Value::Null));
    let second = text(&retried["operation"]);
    assert_eq!(world.get(&format!("/operations/{second}")).await["attempt"], 2);

    let cluster = world.settled(id, "OK").await;
    assert_eq!(cluster["status_reason"], Value::Null);
    assert_eq!((&cluster["progress"], &cluster["node_count"]), (&json!(100), &json!(3)));
    assert_eq!(cluster["network_policy"], json!({"provider": "CALICO", "enabled": false}));
    assert_eq!(world.post(&format!("{path}/retry")).await.status, StatusCode::CONFLICT, "nothing has failed");

    // Values that the engine's form rejects start nothing, and a cluster's parameters cannot be overwritten.
    for (verb, body, field) in [
        ("/resize", json!({"node_count": 21}), "node_count"),
        ("/set_network_policy", json!({"provider": "WEAVE", "enabled": true}), "provider"),
        ("", json!({"metadata": {"node_count": 5}}), "metadata.node_count"),
    ] {
        let refused = world.app.patch(&format!("{path}{verb}"), member, body).await;
        assert_eq!(
            (refused.status, &refused.body["details"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field))
        );
    }
    assert_eq!(world.get(&path).await["operation"], second);

    // Changes are conditional on the revision that was read.
    let resize = |tag: &str| {
        let request = world.app.request(Method::PATCH, &format!("{path}/resize"), Some(member)).header("if-match", tag);
        read(request.json(&json!({"node_count": "5"})))
    };
    assert_eq!(resize("\"1\"").await.status, StatusCode::PRECONDITION_FAILED);
    let tag = world.app.get(&path, member).await.headers["etag"].to_str().unwrap().to_owned();
    let resized = resize(&tag).await.ok();
    assert_eq!(resized["phase"], "Updating");
    let resize = world.ended(text(&resized["operation"])).await;
    assert_eq!(
        (&resize["status"], &resize["kind"], &resize["node_count"]),
        (&json!("succeeded"), &json!("resize"), &json!(5))
    );
    assert_eq!(world.settled(id, "OK").await["node_count"], 5);
    let policy = json!({"provider": "CILIUM", "enabled": true});
    let switched = world.app.patch(&format!("{path}/set_network_policy"), member, policy.clone()).await.ok();
    let switch = world.ended(text(&switched["operation"])).await;
    assert_eq!((&switch["status"], &switch["network_policy"]), (&json!("succeeded"), &policy));
    assert_eq!(world.settled(id, "OK").await["network_policy"], policy);
}

#[tokio::test]
async fn a_forgotten_cluster_becomes_an_orphan_for_admins_to_decide_on() {
    let world = world().await;
    let (member, admin) = (&world.tenant.member.token, &world.tenant.admin.token);
    let cluster = world.deploy().await;
    let (id, deploy) = (text(&cluster["id"]), text(&cluster["operation"]));
    let forget = format!("/clusters/{id}/forget");
    world.resource_exists(deploy).await;
    assert_eq!(world.post(&forget).await.status, StatusCode::FORBIDDEN, "its owner, who is not an admin");
    let stale = world.app.request(Method::POST, &forget, Some(admin)).header("if-match", "\"1\"");
    assert_eq!(read(stale).await.status, StatusCode::PRECONDITION_FAILED);
    let forgotten = world.app.call(Method::POST, &forget, Some(admin), None).await.ok();
    assert_eq!(
        (&forgotten["id"], &forgotten["state"], &forgotten["orphan"]),
        (&json!(id), &json!("forgotten"), &json!(id))
    );
    let remaining = forgotten["remaining"].as_array().unwrap();
    assert!(!remaining.is_empty() && remaining.iter().all(|resource| resource["state"] != "gone"), "{forgotten}");
    assert_eq!(world.app.get(&format!("/clusters/{id}"), admin).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get(&format!("/operations/{deploy}")).await["status"], "cancelled");

    assert_eq!(world.app.get("/orphans", member).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.app.get("/orphans", &world.stranger.token).await.ok(), json!([]));
    let page = world.app.get("/orphans?offset=0", admin).await.ok();
    assert_eq!((&page["total"], &page["items"][0]["id"]), (&json!(1), &json!(id)));
    let orphan = &page["items"][0];
    assert_eq!((&orphan["name"], &orphan["state"]), (&cluster["name"], &json!("listed")));
    assert_eq!(orphan["provisioner"]["id"], world.provisioner.as_str());
    assert_eq!(orphan["resources"].as_array().unwrap().len(), remaining.len());
    assert_eq!((&orphan["decided_by"], &orphan.get("_namespace")), (&Value::Null, &None));
    assert_eq!(world.app.get("/orphans?all_namespaces=true", admin).await.status, StatusCode::FORBIDDEN);
    let all = world.app.get("/orphans?all_namespaces=true", &world.app.admin().await).await.ok();
    assert_eq!(all[0]["_namespace"], world.tenant.namespace.as_str());

    let decide = |what: &str, token: &str| {
        let (path, token) = (format!("/orphans/{id}/{what}"), token.to_owned());
        let app = &world.app;
        async move { app.call(Method::POST, &path, Some(&token), None).await }
    };
    for what in ["ignore", "delete"] {
        assert_eq!(decide(what, member).await.status, StatusCode::NOT_FOUND, "members do not see it");
        assert_eq!(decide(what, &world.stranger.token).await.status, StatusCode::NOT_FOUND);
    }
    let ignored = decide("ignore", admin).await.ok();
    assert_eq!(
        (&ignored["state"], &ignored["decided_by"]["username"]),
        (&json!("ignored"), &json!(world.tenant.admin.username))
    );
    let deleting = decide("delete", admin).await.ok();
    assert_eq!(deleting["state"], "deleting");
    assert_eq!(decide("delete", admin).await.ok()["state"], "deleting", "repeated");
    // An attached cluster has no resources that could remain.
    let attached = world.app.cluster(&world.tenant.provisioner, &world.tenant.member).await;
    let forgotten = world.app.call(Method::POST, &format!("/clusters/{attached}/forget"), Some(admin), None).await.ok();
    assert_eq!(forgotten, json!({"id": attached, "state": "forgotten", "remaining": [], "orphan": null}));
}
