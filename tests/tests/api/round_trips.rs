//! An object can be sent back whole, as clients of 2018 do: they change one field of what they read and send all of it.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use kqueen_tests::fixture::{
    app::{App, Options},
    people::{PASSWORD, Tenant, kubeconfig, new_cluster, new_name},
    process::eventually,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// New clusters are observed once; then their states do not change.
async fn quiet() -> App {
    App::start_with(Options::default().with("OBSERVE_INTERVAL", "1d").with("CLUSTER_STATE_ON_LIST", "false")).await
}

/// The fields that an error names.
fn named(body: &Value) -> Vec<&str> {
    body["details"].as_array().unwrap().iter().map(|detail| detail["field"].as_str().unwrap()).collect()
}

/// An object without its observed fields, which change by themselves.
fn without_observed(object: &Value) -> Value {
    let mut object = object.clone();
    for field in
        ["state", "phase", "status_reason", "status_message", "state_changed_at", "observed_at", "progress", "version"]
    {
        object.as_object_mut().unwrap().remove(field);
    }
    for part in ["metadata", "provisioner"] {
        if object[part].is_object() {
            object[part] = without_observed(&object[part]);
        }
    }
    object
}

/// Reads an object and sends it back unchanged.
async fn round_trip(app: &App, path: &str, token: &str) -> Value {
    let read = app.get(path, token).await.ok();
    let answer = app.patch(path, token, read.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    assert_eq!(without_observed(&answer.body), without_observed(&read), "{path}: nothing has changed");
    assert_eq!(
        without_observed(&app.get(path, token).await.ok()),
        without_observed(&read),
        "{path}: nothing has changed"
    );
    read
}

/// A cluster of the member that has been observed.
async fn cluster_of_the_member(app: &App, tenant: &Tenant) -> String {
    let mut cluster = new_cluster(&tenant.provisioner);
    cluster["metadata"] = json!({"team": "payments", "api_token": "hidden", "network_policy": "free text"});
    let id = app.post("/clusters", &tenant.member.token, cluster).await.id();
    app.observed(&id, &tenant.member.token).await;
    id
}

#[tokio::test]
async fn every_kind_of_object_can_be_sent_back_whole() {
    let app = quiet().await;
    let tenant = app.tenant().await;
    let root = app.admin().await;
    let id = cluster_of_the_member(&app, &tenant).await;
    let (cluster, provisioner) = (format!("/clusters/{id}"), format!("/provisioners/{}", tenant.provisioner));
    let (user, organization) = (format!("/users/{}", tenant.member.id), format!("/organizations/{}", tenant.id));
    app.patch(&user, &root, json!({"metadata": {"zone": "Prague", "password": "hidden"}})).await.ok();
    app.patch(&format!("{organization}/policy"), &root, json!({"cluster:create": "ALL"})).await.ok();
    for token in [&tenant.member.token, &tenant.admin.token, &root] {
        round_trip(&app, &cluster, token).await;
        round_trip(&app, &user, token).await;
    }
    for token in [&tenant.admin.token, &root] {
        round_trip(&app, &provisioner, token).await;
    }
    let read = round_trip(&app, &organization, &root).await;
    assert_eq!(read["policy"], json!({"cluster:create": "ALL"}));

    // Items of lists have more fields.
    let space = format!("namespace={}", tenant.namespace);
    for (list, path) in [("clusters", &cluster), ("provisioners", &provisioner)] {
        let item = app.get(&format!("/{list}?{space}"), &root).await.ok()[0].clone();
        assert_eq!(item["_namespace"], json!(tenant.namespace));
        app.patch(path, &root, item.clone()).await.ok();
        let mut elsewhere = item;
        elsewhere["_namespace"] = json!("elsewhere");
        let refused = app.patch(path, &root, elsewhere).await;
        assert_eq!((refused.status.as_u16(), named(&refused.body)), (422, vec!["_namespace"]));
    }

    // A caller who may not see everything gets fewer fields, and can send those back.
    let rules = json!({"user:get": "IS_ADMIN", "provisioner:get": "IS_ADMIN"});
    app.patch(&format!("{organization}/policy"), &root, rules).await.ok();
    let other = app.person(&tenant.id, "admin").await;
    app.patch(&provisioner, &root, json!({"owner": format!("User:{}", other.id)})).await.ok();
    let read = round_trip(&app, &cluster, &tenant.member.token).await;
    assert_eq!(read["provisioner"].as_object().unwrap().len(), 2, "{read}");
    let mut changed = read.clone();
    changed["name"] = json!("another");
    assert_eq!(app.patch(&cluster, &tenant.member.token, changed).await.ok()["name"], "another");
    app.patch(&organization, &root, json!({"policy": {"cluster:update": "ALL"}})).await.ok();
    let third = app.person(&tenant.id, "member").await;
    let read = round_trip(&app, &cluster, &third.token).await;
    assert_eq!(read["owner"].as_object().unwrap().len(), 2, "{read}");
}

#[tokio::test]
async fn an_invited_user_is_activated_as_clients_of_2018_do() {
    let app = quiet().await;
    let tenant = app.tenant().await;
    let username = new_name("invited");
    let invited = json!({
        "username": username, "password": PASSWORD, "email": "", "active": false, "auth": "local", "role": "member",
        "created_at": "2018-05-01T10:00:00", "organization": {"id": tenant.id, "name": "whatever it was called"},
    });
    let made = app.post("/users", &tenant.admin.token, invited).await.ok();
    assert_eq!(made.get("email"), None, "an empty address counts as absent");
    let path = format!("/users/{}", made["id"].as_str().unwrap());
    let mut user = app.get(&path, &tenant.admin.token).await.ok();
    user["active"] = json!(true);
    user["organization"] = json!(format!("Organization:{}", tenant.id));
    app.patch(&path, &tenant.admin.token, user.clone()).await.ok();
    let token = app.log_in(&username, PASSWORD).await;
    let mut me = app.get("/users/whoami", &token).await.ok();
    me["email"] = json!(format!("{username}@example.test"));
    assert_eq!(app.patch(&path, &token, me.clone()).await.ok()["email"], me["email"]);
    me["email"] = json!("");
    assert_eq!(app.patch(&path, &token, me).await.ok().get("email"), None, "an empty address removes it");
    for (change, field) in [(json!({"auth": "ldap"}), "auth"), (json!({"id": tenant.id}), "id")] {
        let refused = app.patch(&path, &tenant.admin.token, change).await;
        assert_eq!((refused.status.as_u16(), named(&refused.body)), (422, vec![field]));
    }
    for wrong in [json!({"name": "no id"}), json!({"id": "x"}), json!("User:x"), json!(5)] {
        let refused = app.patch(&path, &tenant.admin.token, json!({"organization": wrong})).await;
        assert_eq!((refused.status.as_u16(), named(&refused.body)), (422, vec!["organization"]));
    }
    let twice = json!({"username": new_name("u"), "password": PASSWORD, "email": ""});
    app.post("/users", &tenant.admin.token, twice).await.ok();
}

#[tokio::test]
async fn a_changed_read_only_field_is_rejected_by_name() {
    let app = quiet().await;
    let tenant = app.tenant().await;
    let root = app.admin().await;
    let id = cluster_of_the_member(&app, &tenant).await;
    let other = json!({"id": tenant.id, "name": "x", "provider": "CALICO", "enabled": true});
    for (path, writable) in [
        (format!("/clusters/{id}"), &["name", "owner", "metadata", "kubeconfig"][..]),
        (format!("/provisioners/{}", tenant.provisioner), &["name", "owner", "parameters"]),
        (format!("/users/{}", tenant.member.id), &["username", "email", "role", "active", "organization", "metadata"]),
        (format!("/organizations/{}", tenant.id), &["name", "policy"]),
    ] {
        let read = app.get(&path, &root).await.ok();
        let fields: Vec<_> = read.as_object().unwrap().keys().filter(|key| !writable.contains(&&***key)).collect();
        assert!(fields.len() >= 3, "{fields:?}");
        for field in fields {
            let another = match &read[field] {
                Value::Number(_) => json!(7),
                Value::Null | Value::Object(_) => other.clone(),
                _ if field.ends_with("_at") => json!("2018-05-01T10:00:00Z"),
                _ => json!("another"),
            };
            // By itself, and in the whole object; there, times of an earlier observation are accepted.
            let mut bodies = vec![json!({ field: another })];
            if !["observed_at", "state_changed_at"].contains(&&**field) {
                let mut whole = app.get(&path, &root).await.ok();
                whole[field] = another;
                bodies.push(whole);
            }
            for body in bodies {
                let answer = app.patch(&path, &root, body.clone()).await;
                assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {body}");
                assert_eq!(named(&answer.body), [field], "{path}");
            }
        }
    }
    // Errors about fields do not reveal an object of another organization.
    let stranger = app.tenant().await;
    let hidden = app.patch(&format!("/clusters/{id}"), &stranger.admin.token, json!({"state": "Error"})).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn times_are_compared_as_instants() {
    let app = quiet().await;
    let tenant = app.tenant().await;
    let path = format!("/clusters/{}", cluster_of_the_member(&app, &tenant).await);
    let read = app.get(&path, &tenant.admin.token).await.ok();
    let created = DateTime::parse_from_rfc3339(read["created_at"].as_str().unwrap()).unwrap();
    let in_india = created.with_timezone(&FixedOffset::east_opt(19_800).unwrap());
    for same in [
        in_india.to_rfc3339(),
        created.format("%Y-%m-%dT%H:%M:%S%.9f+00:00").to_string(),
        created.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        created.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        created.format("%Y-%m-%dT%H:%M:%S").to_string(),
    ] {
        let answer = app.patch(&path, &tenant.admin.token, json!({"created_at": same})).await;
        assert_eq!(answer.status, StatusCode::OK, "{same}: {}", answer.body);
    }
    let later = (created + chrono::TimeDelta::seconds(2)).to_rfc3339();
    for other in [later, in_india.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(), "today".into()] {
        let answer = app.patch(&path, &tenant.admin.token, json!({"created_at": other})).await;
        assert_eq!((answer.status.as_u16(), named(&answer.body)), (422, vec!["created_at"]), "{other}");
    }
}

#[tokio::test]
async fn outdated_observed_fields_are_ignored() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    let id = app.post("/clusters", token, new_cluster(&tenant.provisioner)).await.id();
    let path = format!("/clusters/{id}");
    // From before the first observation, or an early one.
    let mut then = app.get(&path, token).await.ok();
    let is_observed_again = || async { app.get(&path, token).await.ok()["observed_at"] != then["observed_at"] };
    eventually("it is observed again", Duration::from_secs(60), is_observed_again).await;
    then["name"] = json!("renamed");
    then["state"] = json!("Deploying");
    then["phase"] = json!("Deploying");
    then["progress"] = json!(3);
    let answer = app.patch(&path, token, then.clone()).await;
    assert_eq!((answer.status, &answer.body["name"]), (StatusCode::OK, &json!("renamed")), "{}", answer.body);
    assert_ne!(answer.body["progress"], 3, "observed fields are not set");
    // A field that never changes by itself cannot be outdated.
    then["provisioner"] = json!(format!("Provisioner:{id}"));
    let refused = app.patch(&path, token, then).await;
    assert_eq!((refused.status.as_u16(), named(&refused.body)), (422, vec!["provisioner"]));
}

#[tokio::test]
async fn a_policy_is_read_and_written_with_its_organization() {
    let app = quiet().await;
    let root = app.admin().await;
    let space = new_name("space");
    let new = json!({"name": "New", "namespace": space, "policy": {"cluster:create": "IS_ADMIN"}});
    let made = app.post("/organizations", &root, new).await.ok();
    assert_eq!(made["policy"], json!({"cluster:create": "IS_ADMIN"}));
    let path = format!("/organizations/{}", made["id"].as_str().unwrap());
    let rules = json!({"policy": {"cluster:get": "ADMIN_OR_OWNER", "cluster:create": null}});
    assert_eq!(app.patch(&path, &root, rules).await.ok()["policy"], json!({"cluster:get": "ADMIN_OR_OWNER"}));
    assert_eq!(app.get(&format!("{path}/policy"), &root).await.ok()["cluster:get"], "ADMIN_OR_OWNER");
    let plain = app.post("/organizations", &root, json!({"name": "Plain", "namespace": new_name("space")})).await.ok();
    assert_eq!(plain["policy"], json!({}));
    for (rules, field) in [
        (json!({"cluster:fly": "ALL"}), "policy.cluster:fly"),
        (json!({"cluster:get": "NOBODY"}), "policy.cluster:get"),
        (json!({"cluster:get": 5}), "policy.cluster:get"),
        (json!({"policy:update": "ALL"}), "policy.policy:update"),
        (json!({"organization:delete": "ALL"}), "policy.organization:delete"),
        (json!("ALL"), "policy"),
    ] {
        let new = json!({"name": "Wrong", "namespace": new_name("space"), "policy": rules});
        for answer in [
            app.post("/organizations", &root, new).await,
            app.patch(&path, &root, json!({"name": "Wrong", "policy": rules})).await,
        ] {
            assert_eq!((answer.status.as_u16(), named(&answer.body)), (422, vec![field]));
        }
    }
    assert_eq!(app.get(&path, &root).await.ok()["name"], "New");
}

#[tokio::test]
async fn network_policy_is_shown_as_provider_and_enabled() {
    let app = App::start_with(Options::default().with("DEMO_ENABLED", "true")).await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    let demo = json!({"name": "demo", "engine": "kqueen.engines.DemoEngine"});
    let demo = format!("Provisioner:{}", app.post("/provisioners", token, demo).await.id());
    for (given, shown) in [
        (json!("CALICO"), json!({"provider": "CALICO", "enabled": true})),
        (json!("PROVIDER_UNSPECIFIED"), json!({"provider": "PROVIDER_UNSPECIFIED", "enabled": false})),
        (json!({"provider": "CILIUM", "enabled": true}), json!({"provider": "CILIUM", "enabled": true})),
        (
            json!({"provider": "CILIUM", "enabled": false}),
            json!({"provider": "PROVIDER_UNSPECIFIED", "enabled": false}),
        ),
    ] {
        let new = json!({"name": new_name("demo"), "provisioner": demo, "metadata": {"network_policy": given}});
        let made = app.post("/clusters", token, new).await.ok();
        assert_eq!(made["metadata"]["network_policy"], shown, "{made}");
        let path = format!("/clusters/{}", made["id"].as_str().unwrap());
        let mut read = app.get(&path, token).await.ok();
        assert_eq!(read["metadata"]["network_policy"], shown, "{read}");
        read["metadata"]["note"] = json!("new");
        let answer = app.patch(&path, token, read).await.ok();
        assert_eq!((&answer["metadata"]["network_policy"], &answer["metadata"]["note"]), (&shown, &json!("new")));
        let other = json!({"metadata": {"network_policy": {"provider": "WEAVE", "enabled": true}}});
        let refused = app.patch(&path, token, other).await;
        assert_eq!((refused.status.as_u16(), named(&refused.body)), (422, vec!["metadata.network_policy"]));
    }
    // A field that the engine's form does not declare is free-form.
    let mut own = new_cluster(&tenant.provisioner);
    own["metadata"] = json!({"network_policy": "free text"});
    own["kubeconfig"] = kubeconfig("https://127.0.0.1:1", "another");
    let made = app.post("/clusters", token, own).await.ok();
    assert_eq!(made["metadata"]["network_policy"], "free text");
}
