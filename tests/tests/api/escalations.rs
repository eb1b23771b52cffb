//! What nobody may do, tried from outside.

use kqueen_tests::fixture::{
    app::{Answer, App},
    people::{PASSWORD, new_cluster, new_name, new_provisioner},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

fn refused(answer: &Answer, status: StatusCode) {
    assert_eq!(answer.status, status, "{}", answer.body);
}

fn words(answer: &Answer) -> Value {
    json!({"status": answer.body["code"], "error": answer.body["error"], "details": answer.body["details"]})
}

#[tokio::test]
async fn nobody_raises_the_own_role_or_anybody_above_it() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let me = |id: &str| format!("/users/{id}");
    let (member, admin) = (&tenant.member, &tenant.admin);
    for role in ["admin", "superadmin"] {
        let change = json!({"role": role});
        refused(&app.patch(&me(&member.id), &member.token, change.clone()).await, StatusCode::FORBIDDEN);
        let new = json!({"username": new_name("u"), "password": PASSWORD, "role": role});
        refused(&app.post("/users", &member.token, new).await, StatusCode::FORBIDDEN);
    }
    let superadmin = json!({"role": "superadmin"});
    refused(&app.patch(&me(&admin.id), &admin.token, superadmin.clone()).await, StatusCode::FORBIDDEN);
    refused(&app.patch(&me(&member.id), &admin.token, superadmin).await, StatusCode::FORBIDDEN);
    let new = json!({"username": new_name("u"), "password": PASSWORD, "role": "superadmin"});
    refused(&app.post("/users", &admin.token, new).await, StatusCode::FORBIDDEN);
    app.patch(&me(&member.id), &admin.token, json!({"role": "admin"})).await.ok();
}

#[tokio::test]
async fn nobody_moves_activates_themselves_or_sets_anothers_password() {
    let app = App::start().await;
    let (tenant, elsewhere) = (app.tenant().await, app.tenant().await);
    let (member, admin) = (&tenant.member, &tenant.admin);
    let path = format!("/users/{}", member.id);
    let away = json!({"organization": format!("Organization:{}", elsewhere.id)});
    refused(&app.patch(&path, &member.token, away.clone()).await, StatusCode::FORBIDDEN);
    refused(&app.patch(&path, &admin.token, away).await, StatusCode::FORBIDDEN);
    refused(&app.patch(&path, &member.token, json!({"active": false})).await, StatusCode::FORBIDDEN);
    let password = json!({"password": "another password"});
    let others = format!("/users/{}/updatepw", admin.id);
    refused(&app.patch(&others, &member.token, password.clone()).await, StatusCode::FORBIDDEN);
    // Out when deactivated, also with a token that was good, and not in again by oneself.
    app.patch(&path, &admin.token, json!({"active": false})).await.ok();
    refused(&app.patch(&path, &member.token, json!({"active": true})).await, StatusCode::UNAUTHORIZED);
    // Somebody of another organization is not even there.
    refused(&app.patch(&format!("{path}/updatepw"), &elsewhere.admin.token, password).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_admin_never_acts_on_a_superadmin() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let superadmin = app.person(&tenant.id, "superadmin").await;
    let path = format!("/users/{}", superadmin.id);
    let token = &tenant.admin.token;
    refused(&app.patch(&path, token, json!({"email": "x@example.test"})).await, StatusCode::FORBIDDEN);
    refused(&app.patch(&path, token, json!({"active": false})).await, StatusCode::FORBIDDEN);
    refused(&app.patch(&path, token, json!({"role": "member"})).await, StatusCode::FORBIDDEN);
    refused(&app.patch(&format!("{path}/updatepw"), token, json!({"password": "p"})).await, StatusCode::FORBIDDEN);
    refused(&app.delete(&path, token).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn tenants_are_closed() {
    let app = App::start().await;
    let (tenant, elsewhere) = (app.tenant().await, app.tenant().await);
    let cluster = app.cluster(&tenant.provisioner, &tenant.member).await;
    for token in [&elsewhere.member.token, &elsewhere.admin.token] {
        for path in [
            format!("/clusters/{cluster}"),
            format!("/clusters/{cluster}/kubeconfig"),
            format!("/clusters/{cluster}/status"),
            format!("/provisioners/{}", tenant.provisioner),
            format!("/organizations/{}", tenant.id),
            format!("/organizations/{}/policy", tenant.id),
            format!("/users/{}", tenant.member.id),
        ] {
            let foreign = app.get(&path, token).await;
            refused(&foreign, StatusCode::NOT_FOUND);
            let missing = app.get(&path.replace(&cluster, NOBODY), token).await;
            assert_eq!(words(&foreign), words(&missing), "{path}");
        }
        for list in ["clusters", "provisioners", "users", "organizations"] {
            let listed = app.get(&format!("/{list}"), token).await.ok().to_string();
            assert!(!listed.contains(&tenant.id) && !listed.contains(&cluster), "{list}: {listed}");
            for elsewhere in ["all_namespaces=true".to_owned(), format!("namespace={}", tenant.namespace)] {
                refused(&app.get(&format!("/{list}?{elsewhere}"), token).await, StatusCode::FORBIDDEN);
            }
        }
    }
}

#[tokio::test]
async fn a_foreign_reference_is_refused_in_the_words_of_a_missing_one() {
    let app = App::start().await;
    let (tenant, elsewhere) = (app.tenant().await, app.tenant().await);
    let token = &tenant.admin.token;
    let cluster = |provisioner: &str| new_cluster(provisioner);
    let foreign = app.post("/clusters", token, cluster(&elsewhere.provisioner)).await;
    refused(&foreign, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(words(&foreign), words(&app.post("/clusters", token, cluster(NOBODY)).await));
    let owned = |owner: &str| {
        let mut body = new_provisioner();
        body["owner"] = json!(format!("User:{owner}"));
        body
    };
    let foreign = app.post("/provisioners", token, owned(&elsewhere.member.id)).await;
    refused(&foreign, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(words(&foreign), words(&app.post("/provisioners", token, owned(NOBODY)).await));
    let user = |organization: &str| json!({"username": "u", "password": PASSWORD, "organization": format!("Organization:{organization}")});
    let foreign = app.post("/users", token, user(&elsewhere.id)).await;
    refused(&foreign, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(words(&foreign), words(&app.post("/users", token, user(NOBODY)).await));
}

#[tokio::test]
async fn a_policy_counts_at_home_alone_and_has_limits() {
    let app = App::start().await;
    let (tenant, elsewhere) = (app.tenant().await, app.tenant().await);
    let path = format!("/organizations/{}/policy", tenant.id);
    let change = |action: &str, rule: Value| json!({ action: rule });
    for (action, rule) in [
        ("cluster:fly", json!("ALL")),
        ("cluster:get", json!("MAYBE")),
        ("cluster:get", json!(1)),
        ("organization:create", json!("ALL")),
        ("user:delete_superadmin", json!("IS_ADMIN")),
        ("policy:update", json!("ALL")),
    ] {
        let answer = app.patch(&path, &tenant.admin.token, change(action, rule)).await;
        refused(&answer, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.body["details"][0]["field"], action);
    }
    app.patch(&path, &tenant.admin.token, change("cluster:create", json!("IS_ADMIN"))).await.ok();
    let create = |provisioner: &str, token: &str| {
        let (body, token) = (new_cluster(provisioner), token.to_owned());
        let app = &app;
        async move { app.post("/clusters", &token, body).await.status }
    };
    assert_eq!(create(&tenant.provisioner, &tenant.member.token).await, StatusCode::FORBIDDEN);
    assert_eq!(create(&elsewhere.provisioner, &elsewhere.member.token).await, StatusCode::OK);
    app.patch(&path, &tenant.admin.token, change("cluster:create", Value::Null)).await.ok();
    assert_eq!(create(&tenant.provisioner, &tenant.member.token).await, StatusCode::OK);
}

#[tokio::test]
async fn tokens_end_when_their_user_does() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let (admin, member) = (&tenant.admin, &tenant.member);
    let is_in = |token: String| {
        let app = &app;
        async move { app.get("/users/whoami", &token).await.status == StatusCode::OK }
    };
    assert!(is_in(member.token.clone()).await);
    let changed = json!({"password": "the next password"});
    app.patch(&format!("/users/{}/updatepw", member.id), &member.token, changed).await.ok();
    assert!(!is_in(member.token.clone()).await, "a changed password ends older tokens");
    let next = app.log_in(&member.username, "the next password").await;
    assert!(is_in(next.clone()).await);
    app.delete(&format!("/users/{}", member.id), &admin.token).await.ok();
    assert!(!is_in(next).await, "a deleted user is out");
}
