//! An installation to begin with: nobody can log in, and the service says so until somebody can.

use kqueen_tests::fixture::{
    app::{App, Options},
    binary::{self, Run},
    etcd::shared_etcd,
};
use reqwest::Method;
use serde_json::{Value, json};

const KEY: &str = "q8Zr4Lw0Xc6Vb2Nm9Kj5Hg3Fd7Sa1PoI";
const PASSWORD: &str = "correct horse battery";
/// What is said to the operator.
const ADVICE: [&str; 3] = ["no user exists yet", "kqueen create-admin", "KQUEEN_BOOTSTRAP_ADMIN_PASSWORD"];

/// With a key and nothing else, as an installation starts that nobody has made a user for.
fn nobody() -> Options {
    Options::bare().with("SECRET_KEY", KEY)
}

fn create_admin(app: &App, settings: &[(&str, &str)]) -> Run {
    std::fs::write(app.folder.join("password"), PASSWORD).unwrap();
    let arguments = ["create-admin", "--username", "ann", "--organization", "Operators", "--namespace", "operators"];
    binary::run(&app.folder, &[&arguments[..], &["--password-file", "password"]].concat(), settings)
}

/// What readiness warns of; that nobody can log in does not make it less ready.
async fn warnings(app: &App) -> Vec<Value> {
    let ready = app.call(Method::GET, "/ready", None, None).await.ok();
    assert_eq!(ready["response"], "Kqueen ready!");
    ready["warnings"].as_array().unwrap().clone()
}

/// Why a log-in is refused.
async fn refusal(app: &App, username: &str) -> String {
    let body = json!({"username": username, "password": "wrong"});
    let answer = app.call(Method::POST, "/auth", None, Some(&body)).await;
    assert_eq!((answer.status.as_u16(), &answer.body["error"]), (401, &json!("unauthenticated")), "{answer:?}");
    answer.body["description"].as_str().unwrap().to_owned()
}

async fn assert_it_says_so(app: &App) {
    let [warning] = &*warnings(app).await else { panic!("{}", app.log()) };
    let refusal = refusal(app, "ann").await;
    for advice in ADVICE {
        assert!(warning.as_str().unwrap().contains(advice), "{advice}: {warning}");
        assert!(refusal.contains(advice), "{advice}: {refusal}");
        assert!(app.log().contains(advice), "{advice}: {}", app.log());
    }
}

/// Somebody who knocks learns nothing of who there is.
async fn assert_it_says_nothing(app: &App) {
    assert_eq!(warnings(app).await, Vec::<Value>::new());
    let (known, unknown) = (refusal(app, "ann").await, refusal(app, "nobody").await);
    assert_eq!(known, unknown);
    assert!(!ADVICE.iter().any(|advice| known.contains(advice)), "{known}");
    app.log_in("ann", PASSWORD).await;
}

#[tokio::test]
async fn on_sled_it_is_said_until_an_admin_is_made() {
    let mut app = App::start_with(nobody()).await;
    assert_it_says_so(&app).await;
    app.restart().await;
    assert_it_says_so(&app).await;
    app.kill();
    let store = app.folder.join("store");
    let made = create_admin(&app, &[("KQUEEN_SECRET_KEY", KEY), ("KQUEEN_SLED_PATH", store.to_str().unwrap())]);
    assert_eq!(made.code, Some(0), "{made:?}");
    std::fs::remove_file(app.folder.join("service.log")).unwrap();
    app.restart().await;
    assert_it_says_nothing(&app).await;
    assert!(!app.log().contains("no user exists"), "{}", app.log());
}

#[tokio::test]
async fn on_etcd_no_replica_says_so_once_an_admin_was_made_beside_it() {
    let Some(etcd) = shared_etcd().await else { return };
    let options = nobody().on_etcd(&etcd, "/first-admin");
    let replicas = [App::start_with(options.clone()).await, App::start_with(options.clone()).await];
    for replica in &replicas {
        assert_it_says_so(replica).await;
    }
    let settings: Vec<_> = options.settings.iter().map(|(name, value)| (format!("KQUEEN_{name}"), value)).collect();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let made = create_admin(&replicas[0], &settings);
    assert_eq!(made.code, Some(0), "{made:?}");
    for replica in replicas.iter().rev() {
        assert_it_says_nothing(replica).await;
    }
}

#[tokio::test]
async fn a_first_admin_of_the_settings_leaves_nothing_to_say() {
    let options = nobody().with("BOOTSTRAP_ADMIN_USERNAME", "ann").with("BOOTSTRAP_ADMIN_PASSWORD", PASSWORD);
    let app = App::start_with(options).await;
    assert_it_says_nothing(&app).await;
    assert!(!app.log().contains("no user exists"), "{}", app.log());
}
