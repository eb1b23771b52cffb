//! A new installation: nobody can log in, and the service says so until there is an admin.

use kqueen_tests::fixture::{
    app::{App, Options},
    binary::{self, Run},
    etcd::shared_etcd,
};
use reqwest::Method;
use serde_json::{Value, json};

const KEY: &str = "q8Zr4Lw0Xc6Vb2Nm9Kj5Hg3Fd7Sa1PoI";
const PASSWORD: &str = "correct horse battery";
/// What operators are advised to do.
const ADVICE: [&str; 3] = ["no user exists yet", "kqueen create-admin", "KQUEEN_BOOTSTRAP_ADMIN_PASSWORD"];

/// Only a secret key: an installation without users.
fn no_users() -> Options {
    Options::bare().with("SECRET_KEY", KEY)
}

fn create_admin(app: &App, settings: &[(&str, &str)]) -> Run {
    std::fs::write(app.folder.join("password"), PASSWORD).unwrap();
    let arguments = ["create-admin", "--username", "ann", "--organization", "Operators", "--namespace", "operators"];
    binary::run(&app.folder, &[&arguments[..], &["--password-file", "password"]].concat(), settings)
}

/// The warnings of the readiness check, which succeeds even if nobody can log in.
async fn warnings(app: &App) -> Vec<Value> {
    let ready = app.call(Method::GET, "/ready", None, None).await.ok();
    assert_eq!(ready["response"], "Kqueen ready!");
    ready["warnings"].as_array().unwrap().clone()
}

/// The description of the error that a failed log-in gets.
async fn log_in_error(app: &App, username: &str) -> String {
    let body = json!({"username": username, "password": "wrong"});
    let answer = app.call(Method::POST, "/auth", None, Some(&body)).await;
    assert_eq!((answer.status.as_u16(), &answer.body["error"]), (401, &json!("unauthenticated")), "{answer:?}");
    answer.body["description"].as_str().unwrap().to_owned()
}

async fn assert_advice_is_shown(app: &App) {
    let [warning] = &*warnings(app).await else { panic!("{}", app.log()) };
    let log_in_error = log_in_error(app, "ann").await;
    for advice in ADVICE {
        assert!(warning.as_str().unwrap().contains(advice), "{advice}: {warning}");
        assert!(log_in_error.contains(advice), "{advice}: {log_in_error}");
        assert!(app.log().contains(advice), "{advice}: {}", app.log());
    }
}

/// A failed log-in does not reveal which users exist.
async fn assert_no_advice_is_shown(app: &App) {
    assert_eq!(warnings(app).await, Vec::<Value>::new());
    let (known, unknown) = (log_in_error(app, "ann").await, log_in_error(app, "nobody").await);
    assert_eq!(known, unknown);
    assert!(!ADVICE.iter().any(|advice| known.contains(advice)), "{known}");
    app.log_in("ann", PASSWORD).await;
}

#[tokio::test]
async fn on_sled_the_advice_is_shown_until_an_admin_is_created() {
    let mut app = App::start_with(no_users()).await;
    assert_advice_is_shown(&app).await;
    app.restart().await;
    assert_advice_is_shown(&app).await;
    app.kill();
    let store = app.folder.join("store");
    let created = create_admin(&app, &[("KQUEEN_SECRET_KEY", KEY), ("KQUEEN_SLED_PATH", store.to_str().unwrap())]);
    assert_eq!(created.code, Some(0), "{created:?}");
    std::fs::remove_file(app.folder.join("service.log")).unwrap();
    app.restart().await;
    assert_no_advice_is_shown(&app).await;
    assert!(!app.log().contains("no user exists"), "{}", app.log());
}

#[tokio::test]
async fn on_etcd_no_replica_shows_the_advice_once_an_admin_is_created() {
    let Some(etcd) = shared_etcd().await else { return };
    let options = no_users().on_etcd(&etcd, "/first-admin");
    let replicas = [App::start_with(options.clone()).await, App::start_with(options.clone()).await];
    for replica in &replicas {
        assert_advice_is_shown(replica).await;
    }
    let settings: Vec<_> = options.settings.iter().map(|(name, value)| (format!("KQUEEN_{name}"), value)).collect();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let created = create_admin(&replicas[0], &settings);
    assert_eq!(created.code, Some(0), "{created:?}");
    for replica in replicas.iter().rev() {
        assert_no_advice_is_shown(replica).await;
    }
}

#[tokio::test]
async fn no_advice_is_shown_if_the_settings_create_an_admin() {
    let options = no_users().with("BOOTSTRAP_ADMIN_USERNAME", "ann").with("BOOTSTRAP_ADMIN_PASSWORD", PASSWORD);
    let app = App::start_with(options).await;
    assert_no_advice_is_shown(&app).await;
    assert!(!app.log().contains("no user exists"), "{}", app.log());
}
