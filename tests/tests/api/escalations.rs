//! Privilege escalation: what nobody may do, tried through the API.

use kqueen_tests::fixture::{
    app::{Answer, App},
    people::{PASSWORD, new_cluster, new_name, new_provisioner},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

fn assert_status(answer: &Answer, status: StatusCode) {
    assert_eq!(answer.status, status, "{}", answer.body);
}

fn error_of(answer: &Answer) -> Value {
    json!({"status": answer.body["code"], "error": answer.body["error"], "details": answer.body["details"]})
}

#[tokio::test]
async fn nobody_grants_a_role_above_their_own() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let me = |id: &str| format!("/users/{id}");
    let (member, admin) = (&tenant.member, &tenant.admin);
    for role in ["admin", "superadmin"] {
        let change = json!({"role": role});
        assert_status(&app.patch(&me(&member.id), &member.token, change.clone()).await, StatusCode::FORBIDDEN);
        let new = json!({"username": new_name("u"), "password": PASSWORD, "role": role});
        assert_status(&app.post("/users", &member.token, new).await, StatusCode::FORBIDDEN);
    }
    let superadmin = json!({"role": "superadmin"});
    assert_status(&app.patch(&me(&admin.id), &admin.token, superadmin.clone()).await, StatusCode::FORBIDDEN);
    assert_status(&app.patch(&me(&member.id), &admin.token, superadmin).await, StatusCode::FORBIDDEN);
    let new = json!({"username": new_name("u"), "password": PASSWORD, "role": "superadmin"});
    assert_status(&app.post("/users", &admin.token, new).await, StatusCode::FORBIDDEN);
    app.patch(&me(&member.id), &admin.token, json!({"role": "admin"})).await.ok();
}

#[tokio::test]
async fn nobody_moves_or_reactivates_themselves_or_sets_another_users_password() {
    let app = App::start().await;
    let (tenant, elsewhere) = (app.tenant().await, app.tenant().await);
    let (member, admin) = (&tenant.member, &tenant.admin);
    let path = format!("/users/{}", member.id);
    let away = json!({"organization": format!("Organization:{}", elsewhere.id)});
    assert_status(&app.patch(&path, &member.token, away.clone()).await, StatusCode::FORBIDDEN);
    assert_status(&app.patch(&path, &admin.token, away).await, StatusCode::FORBIDDEN);
    assert_status(&app.patch(&path, &member.token, json!({"active": false})).await, StatusCode::FORBIDDEN);
    let password = json!({"password": "another password"});
    let others = format!("/users/{}/updatepw", admin.id);
    assert_status(&app.patch(&others, &member.token, password.clone()).await, StatusCode::FORBIDDEN);
    // A deactivated user is rejected even with an earlier token, and cannot reactivate themselves.
    app.patch(&path, &admin.token, json!({"active": false})).await.ok();
    assert_status(&app.patch(&path, &member.token, json!({"active": true})).await, StatusCode::UNAUTHORIZED);
    // A user of another organization is not found.
    assert_status(
        &app.patch(&format!("{path}/updatepw"), &elsewhere.admin.token, password).await,
        StatusCode::NOT_FOUND,
    );
}

#[tokio::test]
async fn an_admin_never_acts_on_a_superadmin() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let superadmin = app.person(&tenant.id, "superadmin").await;
    let path = format!("/users/{}", superadmin.id);
    let token = &tenant.admin.token;
    assert_status(&app.patch(&path, token, json!({"email": "x@example.test"})).await, StatusCode::FORBIDDEN);
    assert_status(&app.patch(&path, token, json!({"active": false})).await, StatusCode::FORBIDDEN);
    assert_status(&app.patch(&path, token, json!({"role": "member"})).await, StatusCode::FORBIDDEN);
    assert_status(
        &app.patch(&format!("{path}/updatepw"), token, json!({"password": "p"})).await,
        StatusCode::FORBIDDEN,
    );
    assert_status(&app.delete(&path, token).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn tenants_are_isolated() {
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
            assert_status(&foreign, StatusCode::NOT_FOUND);
            let missing = app.get(&path.replace(&cluster, NOBODY), token).await;
            assert_eq!(error_of(&foreign), error_of(&missing), "{path}");
        }
        for list in ["clusters", "provisioners", "users", "organizations"] {
            let listed = app.get(&format!("/{list}"), token).await.ok().to_string();
            assert!(!listed.contains(&tenant.id) && !listed.contains(&cluster), "{list}: {listed}");
            for elsewhere in ["all_namespaces=true".to_owned(), format!("namespace={}", tenant.namespace)] {
                assert_status(&app.get(&format!("/{list}?{elsewhere}"), token).await, StatusCode::FORBIDDEN);
            }
        }
    }
}

#[tokio::test]
async fn a_foreign_reference_gets_the_same_error_as_a_missing_one() {
    let app = App::start().await;
    let (tenant, elsewhere) = (app.tenant().await, app.tenant().await);
    let token = &tenant.admin.token;
    let cluster = |provisioner: &str| new_cluster(provisioner);
    let foreign = app.post("/clusters", token, cluster(&elsewhere.provisioner)).await;
    assert_status(&foreign, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(error_of(&foreign), error_of(&app.post("/clusters", token, cluster(NOBODY)).await));
    let owned = |owner: &str| {
        let mut body = new_provisioner();
        body["owner"] = json!(format!("User:{owner}"));
        body
    };
    let foreign = app.post("/provisioners", token, owned(&elsewhere.member.id)).await;
    assert_status(&foreign, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(error_of(&foreign), error_of(&app.post("/provisioners", token, owned(NOBODY)).await));
    let user = |organization: &str| json!({"username": "u", "password": PASSWORD, "organization": format!("Organization:{organization}")});
    let foreign = app.post("/users", token, user(&elsewhere.id)).await;
    assert_status(&foreign, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(error_of(&foreign), error_of(&app.post("/users", token, user(NOBODY)).await));
}

#[tokio::test]
async fn a_policy_applies_only_to_its_organization_and_has_limits() {
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
        assert_status(&answer, StatusCode::UNPROCESSABLE_ENTITY);
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
async fn tokens_end_with_a_password_change_or_a_deletion() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let (admin, member) = (&tenant.admin, &tenant.member);
    let is_valid = |token: String| {
        let app = &app;
        async move { app.get("/users/whoami", &token).await.status == StatusCode::OK }
    };
    assert!(is_valid(member.token.clone()).await);
    let changed = json!({"password": "the next password"});
    app.patch(&format!("/users/{}/updatepw", member.id), &member.token, changed).await.ok();
    assert!(!is_valid(member.token.clone()).await, "a changed password ends older tokens");
    let next = app.log_in(&member.username, "the next password").await;
    assert!(is_valid(next.clone()).await);
    app.delete(&format!("/users/{}", member.id), &admin.token).await.ok();
    assert!(!is_valid(next).await, "a deletion ends all tokens");
}
