//! Creations that are requested more than once with one `Idempotency-Key`.

use futures::future::join_all;
use kqueen_tests::fixture::{
    app::{Answer, App, Options, read},
    etcd::{Etcd, Options as EtcdOptions},
    people::{new_cluster, new_name, new_provisioner},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn once(app: &App, path: &str, token: &str, key: &str, body: &Value) -> Answer {
    read(app.request(Method::POST, path, Some(token)).header("idempotency-key", key).json(body)).await
}

async fn total(app: &App, path: &str, token: &str) -> Value {
    app.get(&format!("{path}?offset=0&limit=1"), token).await.ok()["total"].clone()
}

async fn concurrent_creations(apps: &[App]) {
    let tenant = apps[0].tenant().await;
    let token = &*tenant.member.token;
    for round in 1..=5 {
        let (key, body) = (new_name("key"), new_cluster(&tenant.provisioner));
        let (key, body) = (&*key, &body);
        let answers = join_all((0..16).map(|n| once(&apps[n % apps.len()], "/clusters", token, key, body))).await;
        let first = answers[0].clone().ok();
        for answer in answers {
            assert_eq!(answer.ok(), first);
        }
        for app in apps {
            assert_eq!(total(app, "/clusters", token).await, round);
            assert_eq!(once(app, "/clusters", token, key, body).await.ok(), first);
        }
    }
    let (key, body) = (new_name("key"), new_provisioner());
    let (key, body, token) = (&*key, &body, &*tenant.admin.token);
    let answers = join_all((0..16).map(|n| once(&apps[n % apps.len()], "/provisioners", token, key, body))).await;
    let first = answers[0].clone().ok();
    for answer in answers {
        assert_eq!(answer.ok(), first);
    }
    assert_eq!(total(&apps[0], "/provisioners", token).await, 2);
}

#[tokio::test]
async fn concurrent_requests_with_one_key_create_one_object() {
    concurrent_creations(&[App::start().await]).await;
}

#[tokio::test]
async fn requests_with_one_key_through_two_replicas_create_one_object() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let options = Options::default().on_etcd(&etcd, "/once");
    let (one, other) = tokio::join!(App::start_with(options.clone()), App::start_with(options));
    concurrent_creations(&[one, other]).await;
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_whatever_happened_since() {
    let mut app = App::start().await;
    let tenant = app.tenant().await;
    let token = tenant.admin.token.clone();
    let (cluster, provisioner) = (new_cluster(&tenant.provisioner), new_provisioner());
    let first = once(&app, "/clusters", &token, "a key", &cluster).await;
    assert_eq!(first.status, StatusCode::UNPROCESSABLE_ENTITY, "a key must not have blanks");
    let first = once(&app, "/clusters", &token, "a-key", &cluster).await;
    assert!(first.headers.contains_key("etag"));
    let first = first.ok();
    let made = once(&app, "/provisioners", &token, "a-key", &provisioner).await.ok();
    let id = first["id"].as_str().unwrap().to_owned();
    let again = async |app: &App| {
        let repeated = once(app, "/clusters", &token, "a-key", &cluster).await;
        // The object may have changed since, so there is no entity tag.
        assert!(!repeated.headers.contains_key("etag"));
        assert_eq!(repeated.ok(), first);
        assert_eq!(once(app, "/provisioners", &token, "a-key", &provisioner).await.ok(), made);
    };
    again(&app).await;
    app.observed(&id, &token).await;
    again(&app).await;
    app.patch(&format!("/clusters/{id}"), &token, json!({"name": "renamed"})).await.ok();
    again(&app).await;
    app.restart().await;
    again(&app).await;
    app.delete(&format!("/clusters/{id}"), &token).await.ok();
    app.delete(&format!("/provisioners/{}", made["id"].as_str().unwrap()), &token).await.ok();
    again(&app).await;
    assert_eq!(total(&app, "/clusters", &token).await, 0, "a deleted object is not created again");
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_user() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let (ann, bob) = (&*tenant.admin.token, &*tenant.member.token);
    let body = new_cluster(&tenant.provisioner);
    let first = once(&app, "/clusters", ann, "key", &body).await.id();
    // The same body, formatted differently.
    let pretty = format!("\n{body:#}\n");
    let request = app.request(Method::POST, "/clusters", Some(ann)).header("idempotency-key", "key");
    let reformatted = read(request.header("content-type", "application/json").body(pretty)).await;
    assert_eq!(reformatted.id(), first);
    for (field, value) in [
        ("name", json!("other")),
        ("metadata", json!({"a": 1})),
        ("owner", json!(format!("User:{}", tenant.member.id))),
    ] {
        let mut other = body.clone();
        other[field] = value;
        let refused = once(&app, "/clusters", ann, "key", &other).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{field}");
        assert!(refused.body["description"].as_str().unwrap().contains("Idempotency-Key"), "{}", refused.body);
    }
    assert_ne!(once(&app, "/clusters", bob, "key", &body).await.id(), first, "keys are per user");
    assert_ne!(once(&app, "/clusters", ann, "KEY", &body).await.id(), first);
    assert_ne!(app.post("/clusters", ann, body.clone()).await.id(), first, "without a key nothing is remembered");
    once(&app, "/provisioners", ann, "key", &new_provisioner()).await.ok();
    assert_eq!(total(&app, "/clusters", ann).await, 4);

    let long = "k".repeat(256);
    for bad in ["", " ", "a b", &long] {
        let refused = once(&app, "/clusters", ann, bad, &body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad:?}");
        assert_eq!(refused.body["details"][0]["field"], "Idempotency-Key");
    }
    once(&app, "/clusters", ann, &long[1..], &body).await.ok();
}

#[tokio::test]
async fn a_rejected_request_does_not_use_up_its_key() {
    let app = App::start().await;
    let (tenant, elsewhere) = (app.tenant().await, app.tenant().await);
    let token = &*tenant.admin.token;
    let mut wrong = new_cluster(&tenant.provisioner);
    wrong["colour"] = json!("red");
    assert_eq!(once(&app, "/clusters", token, "key", &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let foreign = new_cluster(&elsewhere.provisioner);
    assert_eq!(once(&app, "/clusters", token, "key", &foreign).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    once(&app, "/clusters", token, "key", &new_cluster(&tenant.provisioner)).await.ok();
    // The policy applies to a request with a new key.
    let rules = json!({"cluster:create": "IS_SUPERADMIN"});
    app.patch(&format!("/organizations/{}/policy", tenant.id), token, rules).await.ok();
    let other = new_cluster(&tenant.provisioner);
    assert_eq!(once(&app, "/clusters", token, "next", &other).await.status, StatusCode::FORBIDDEN);
}
