//! What PATCH changes, and what it leaves unchanged.

use std::sync::Arc;

use kqueen_adapters::storage::{Location, Settings, Stores, open};
use kqueen_domain::catalog::Catalog;
use kqueen_tests::fixture::{
    app::{App, Options},
    people::{PASSWORD, kubeconfig, new_cluster, new_name},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

const MASK: &str = "*******";

/// An answer without the fields that an observation changes.
fn steady(mut answer: Value) -> Value {
    let object = answer.as_object_mut().unwrap();
    for field in ["state", "phase", "status_reason", "status_message", "state_changed_at", "observed_at", "version"] {
        object.remove(field);
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("status_message");
    }
    answer
}

/// The free-form part of an answer, without the server's fields.
fn free(mut answer: Value) -> Value {
    let mut part = answer.get_mut("metadata").map(Value::take).unwrap_or_default();
    if part.is_null() {
        part = answer["parameters"].take();
    }
    if let Some(object) = part.as_object_mut() {
        object.remove("status_message");
    }
    part
}

#[tokio::test]
async fn free_form_fields_merge_by_key_and_null_removes() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    let before = json!({"team": "blue", "cost": {"centre": 7, "owner": "ann"}, "tags": ["a", "b"], "old": 1});
    let mut cluster = new_cluster(&tenant.provisioner);
    cluster["metadata"] = before.clone();
    let cluster = app.post("/clusters", token, cluster).await.id();
    let user = json!({"username": new_name("u"), "password": PASSWORD, "metadata": before});
    let user = app.post("/users", token, user).await.id();
    let provisioner = json!({"name": "p", "engine": "kqueen.engines.ManualEngine", "parameters": before});
    let provisioner = app.post("/provisioners", token, provisioner).await.id();
    for (path, field) in [
        (format!("/clusters/{cluster}"), "metadata"),
        (format!("/users/{user}"), "metadata"),
        (format!("/provisioners/{provisioner}"), "parameters"),
    ] {
        let whole = app.get(&path, token).await.ok();
        assert_eq!(free(whole.clone()), before, "{path}");
        for (patch, after) in [
            (json!({}), before.clone()),
            (
                json!({"cost": {"centre": 8}}),
                json!({"team": "blue", "cost": {"centre": 8, "owner": "ann"}, "tags": ["a", "b"], "old": 1}),
            ),
            (
                json!({"old": null, "gone": null}),
                json!({"team": "blue", "cost": {"centre": 8, "owner": "ann"}, "tags": ["a", "b"]}),
            ),
            (
                json!({"tags": ["c"], "new": {"a": {"b": null, "c": 1}}}),
                json!({"team": "blue", "cost": {"centre": 8, "owner": "ann"}, "tags": ["c"], "new": {"a": {"c": 1}}}),
            ),
            (json!({"cost": null, "new": "text"}), json!({"team": "blue", "tags": ["c"], "new": "text"})),
            (json!({"new": {"again": true}, "team": null, "tags": null}), json!({"new": {"again": true}})),
        ] {
            let answer = app.patch(&path, token, json!({ field: patch })).await.ok();
            assert_eq!(free(answer.clone()), after, "{path} {patch}");
            assert_eq!(
                steady(app.get(&path, token).await.ok()),
                steady(answer),
                "{path}: the answer shows the stored object"
            );
        }
        // Fields that were not named are unchanged.
        let mut now = app.get(&path, token).await.ok();
        now[field] = whole[field].clone();
        assert_eq!(steady(now), steady(whole), "{path}");
    }
}

#[tokio::test]
async fn fields_that_are_named_are_replaced_and_shown() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let (token, member) = (&*tenant.admin.token, &tenant.member);
    let cluster = format!("/clusters/{}", app.cluster(&tenant.provisioner, &tenant.admin).await);
    let provisioner = format!("/provisioners/{}", tenant.provisioner);
    for path in [&cluster, &provisioner] {
        let change = json!({"name": "renamed", "owner": format!("User:{}", member.id)});
        let answer = app.patch(path, token, change).await.ok();
        assert_eq!(
            (&answer["name"], &answer["owner"]["username"]),
            (&json!("renamed"), &json!(member.username)),
            "{path}"
        );
        assert_eq!(steady(app.get(path, token).await.ok()), steady(answer), "the answer shows the stored object");
    }
    let other = kubeconfig("https://127.0.0.1:2", "another-token");
    let answer = app.patch(&cluster, token, json!({"kubeconfig": other})).await.ok();
    assert_eq!(answer["kubeconfig"]["users"][0]["user"]["token"], "another-token");
    // As the console of 2018 sends it back: all fields at once, with masked secrets.
    let again = json!({"name": "again", "kubeconfig": MASK, "metadata": {"kubeconfig": MASK, "status_message": "old"}});
    let answer = app.patch(&cluster, token, again).await.ok();
    assert_eq!(answer["kubeconfig"]["users"][0]["user"]["token"], "another-token");
    assert_eq!(answer["metadata"]["status_message"], answer["status_message"]);

    let user = format!("/users/{}", member.id);
    let answer = app.patch(&user, token, json!({"username": "renamed", "email": null})).await.ok();
    assert_eq!((&answer["username"], answer.get("email")), (&json!("renamed"), None));
    let moved = app.person(&tenant.id, "member").await;
    let root = app.admin().await;
    let home = app.get("/users/whoami", &root).await.ok()["organization"]["id"].clone();
    let change = json!({"organization": format!("Organization:{}", home.as_str().unwrap())});
    let answer = app.patch(&format!("/users/{}", moved.id), &root, change).await.ok();
    assert_eq!(answer["organization"]["id"], home);
}

#[tokio::test]
async fn read_only_and_unknown_fields_are_all_reported_and_nothing_changes() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    let cluster = app.cluster(&tenant.provisioner, &tenant.admin).await;
    let read_only =
        ["id", "created_at", "state", "phase", "status_message", "observed_at", "state_changed_at", "_namespace"];
    for path in [
        format!("/clusters/{cluster}"),
        format!("/provisioners/{}", tenant.provisioner),
        format!("/users/{}", tenant.member.id),
    ] {
        let before = app.get(&path, token).await;
        let mut body = json!({"colour": "red", "Name": "x"});
        for field in read_only {
            body[field] = json!("x");
        }
        let refused = app.patch(&path, token, body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        for field in read_only.into_iter().chain(["colour", "Name"]) {
            let details = refused.body["details"].as_array().unwrap();
            let detail = details.iter().find(|detail| detail["field"] == field);
            let message =
                detail.unwrap_or_else(|| panic!("{path}: {field} is not reported"))["message"].as_str().unwrap();
            assert_eq!(message == "is read-only", read_only.contains(&field), "{path}: {field} {message}");
        }
        let named = if path.starts_with("/users") { "username" } else { "name" };
        // One invalid field rejects the whole change.
        for wrong in [
            json!({named: "new", "colour": 1}),
            json!({named: 5}),
            json!({named: ""}),
            json!({named: "new", "metadata": "x", "parameters": "x"}),
        ] {
            assert_eq!(
                app.patch(&path, token, wrong.clone()).await.status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{path} {wrong}"
            );
        }
        let after = app.get(&path, token).await;
        assert_eq!(after.headers["etag"], before.headers["etag"], "{path}");
        assert_eq!(steady(after.body), steady(before.body), "{path}");
    }
    let provisioner = app.provisioner(&tenant.admin).await;
    for (field, value) in [("provisioner", json!(format!("Provisioner:{provisioner}"))), ("engine", json!("x"))] {
        let refused = app.patch(&format!("/clusters/{cluster}"), token, json!({ field: value })).await;
        assert_eq!(refused.body["details"][0], json!({"field": field, "message": "is read-only"}));
    }
}

/// Opens the store of an app that has ended.
async fn opened(app: &App) -> Stores {
    let settings = Settings {
        location: Location::Sled { path: app.folder.join("store") },
        secret_key: Options::default().settings["SECRET_KEY"].as_str().into(),
        previous_keys: Vec::new(),
        kubeconfig_cache_bytes: Settings::KUBECONFIG_CACHE_BYTES,
    };
    open(settings, Arc::new(Catalog::new())).await.unwrap()
}

#[tokio::test]
async fn a_mask_sent_back_keeps_the_secret_at_any_depth() {
    let mut app = App::start().await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    let secrets = json!({
        "password": "one",
        "nested": {"api_token": "two", "plain": 1, "credentials": {"user": "u", "key": "three"}},
        "list": [{"name": "a", "secret": "four"}, {"name": "b", "secret": "five"}],
    });
    let user = json!({"username": new_name("u"), "password": PASSWORD, "metadata": secrets});
    let created = app.post("/users", token, user).await.ok();
    let shown = free(created.clone());
    assert_eq!(
        shown,
        json!({
            "password": MASK,
            "nested": {"api_token": MASK, "plain": 1, "credentials": MASK},
            "list": [{"name": "a", "secret": MASK}, {"name": "b", "secret": MASK}],
        })
    );
    let id = created["id"].as_str().unwrap().to_owned();
    let path = format!("/users/{id}");
    let provisioner = json!({"name": "p", "engine": "kqueen.engines.ManualEngine", "parameters": secrets});
    let provisioner = app.post("/provisioners", token, provisioner).await.id();
    let mut cluster = new_cluster(&tenant.provisioner);
    cluster["metadata"] = secrets;
    let cluster = app.post("/clusters", token, cluster).await.id();
    // The answer is sent back with one field and one secret changed.
    let mut back = shown;
    back["nested"]["plain"] = json!(2);
    back["list"][1]["secret"] = json!("six");
    for (path, field) in [
        (path.clone(), "metadata"),
        (format!("/provisioners/{provisioner}"), "parameters"),
        (format!("/clusters/{cluster}"), "metadata"),
    ] {
        let answer = app.patch(&path, token, json!({ field: back })).await.ok();
        assert_eq!(free(answer)["nested"], json!({"api_token": MASK, "plain": 2, "credentials": MASK}), "{path}");
        // A mask where there is no secret, or where it is unclear which.
        for (wrong, at) in [
            (json!({"other_password": MASK}), "other_password"),
            (json!({"nested": {"deeper": {"token": MASK}}}), "nested.deeper.token"),
            (json!({"list": [{"name": "b", "secret": MASK}]}), "list"),
        ] {
            let refused = app.patch(&path, token, json!({ field: wrong })).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {wrong}: {}", refused.body);
            let named = refused.body["details"][0]["field"].as_str().unwrap();
            assert!(named.starts_with(&format!("{field}.{at}")), "{named}");
        }
    }
    app.kill();
    let stores = opened(&app).await;
    let expected = json!({
        "password": "one",
        "nested": {"api_token": "two", "plain": 2, "credentials": {"user": "u", "key": "three"}},
        "list": [{"name": "a", "secret": "four"}, {"name": "b", "secret": "six"}],
    });
    let kept = [
        stores.users.metadata(id.parse().unwrap()).await.unwrap().unwrap(),
        stores.provisioners.secrets(provisioner.parse().unwrap()).await.unwrap().unwrap(),
        stores.clusters.metadata(cluster.parse().unwrap()).await.unwrap().unwrap(),
    ];
    for kept in kept {
        assert_eq!(serde_json::from_str::<Value>(kept.expose()).unwrap(), expected);
    }
    stores.close().await;
}

#[tokio::test]
async fn changes_of_users_are_limited_by_role() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let root = app.admin().await;
    let (admin, member) = (&tenant.admin, &tenant.member);
    let (other_admin, other_member) = (app.person(&tenant.id, "admin").await, app.person(&tenant.id, "member").await);
    let path = |id: &str| format!("/users/{id}");
    let mail = || json!({"email": format!("{}@example.test", new_name("m"))});
    let metadata = json!({"metadata": {"a": 1}});
    let (own, other, admin_path) = (path(&member.id), path(&other_member.id), path(&other_admin.id));
    for (what, token, target, change, status) in [
        ("a member: their address", &member.token, &own, mail(), 200),
        ("a member: their metadata", &member.token, &own, metadata.clone(), 200),
        (
            "a member: unchanged values",
            &member.token,
            &own,
            json!({"role": "member", "active": true, "username": member.username}),
            200,
        ),
        ("a member: their name", &member.token, &own, json!({"username": new_name("n")}), 403),
        (
            "a member: allowed and forbidden together",
            &member.token,
            &own,
            json!({"email": "good@example.test", "role": "admin"}),
            403,
        ),
        ("a member: another member", &member.token, &other, metadata.clone(), 403),
        ("a member: an admin", &member.token, &admin_path, mail(), 403),
        ("an admin: a member", &admin.token, &other, mail(), 200),
        ("an admin: another admin", &admin.token, &admin_path, mail(), 200),
        ("an admin: the name of a member", &admin.token, &other, json!({"username": new_name("n")}), 200),
        ("an admin makes an admin", &admin.token, &other, json!({"role": "admin"}), 200),
        ("an admin makes a member again", &admin.token, &other, json!({"role": "member"}), 200),
        ("an admin makes a superadmin", &admin.token, &other, json!({"role": "superadmin"}), 403),
        ("an admin makes themselves superadmin", &admin.token, &path(&admin.id), json!({"role": "superadmin"}), 403),
        ("a superadmin makes a superadmin", &root, &other, json!({"role": "superadmin"}), 200),
        ("an admin: a superadmin", &admin.token, &other, json!({"role": "member"}), 403),
        ("an admin: a superadmin, unchanged", &admin.token, &other, json!({"role": "superadmin"}), 403),
        ("a superadmin makes a member again", &root, &other, json!({"role": "member"}), 200),
    ] {
        let answer = app.patch(target, token, change).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
    }
    assert_ne!(app.get(&own, &member.token).await.ok()["email"], "good@example.test");

    // Even where a policy lets members change each other, they cannot take over an account.
    let rules = json!({"user:update": "ALL"});
    app.patch(&format!("/organizations/{}/policy", tenant.id), &admin.token, rules).await.ok();
    for (what, target, change, status) in [
        ("metadata of another member", &other, metadata.clone(), 200),
        ("the address of another member", &other, mail(), 403),
        ("the role", &other, json!({"role": "admin"}), 403),
        ("the active flag", &other, json!({"active": false}), 403),
        ("an admin's metadata", &admin_path, metadata, 403),
    ] {
        let answer = app.patch(target, &member.token, change).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
    }
    let password = json!({"password": "taken over"});
    let refused = app.patch(&format!("{other}/updatepw"), &member.token, password.clone()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    // An admin's rights end with the role, even with an old token.
    app.patch(&path(&admin.id), &other_admin.token, json!({"role": "member"})).await.ok();
    assert_eq!(app.patch(&admin_path, &admin.token, mail()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        app.patch(&format!("{admin_path}/updatepw"), &admin.token, password).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_patch_that_changes_nothing_keeps_the_entity_tag() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let root = app.admin().await;
    let cluster = app.cluster(&tenant.provisioner, &tenant.admin).await;
    let metadata = json!({"metadata": {"note": "x", "token": "t"}});
    app.patch(&format!("/users/{}", tenant.member.id), &root, metadata).await.ok();
    for path in [
        format!("/clusters/{cluster}"),
        format!("/provisioners/{}", tenant.provisioner),
        format!("/users/{}", tenant.member.id),
        format!("/organizations/{}", tenant.id),
    ] {
        let before = app.get(&path, &root).await;
        let tag = before.headers["etag"].clone();
        let mut whole = before.ok();
        for changing in ["status_message", "state", "phase", "status_reason", "observed_at", "state_changed_at"] {
            whole.as_object_mut().unwrap().remove(changing);
        }
        for body in [json!({}), whole] {
            let answer = app.patch(&path, &root, body.clone()).await;
            assert_eq!((answer.status, &answer.headers["etag"]), (StatusCode::OK, &tag), "{path} {body}");
            let read = app.get(&path, &root).await;
            assert_eq!(read.headers["etag"], tag, "{path}");
            assert_eq!(steady(answer.body), steady(read.body), "{path}");
        }
        let name = if path.starts_with("/users") { "username" } else { "name" };
        let answer = app.patch(&path, &root, json!({ name: new_name("other") })).await;
        assert_ne!(answer.headers["etag"], tag, "{path}");
    }
}
