//! Secrets are planted in every field that may contain one, and searched for where they must not appear.

use std::path::Path;

use kqueen_tests::fixture::{
    app::{App, Options, read},
    people::new_name,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The prefix of all planted secrets.
const CANARY: &str = "canary7Qx";

fn canary(place: &str) -> String {
    format!("{CANARY}-{place}")
}

fn kubeconfig() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [
            {"name": "u", "user": {"token": canary("token")}},
            {"name": "v", "user": {"username": "v", "password": canary("basic")}},
        ],
    })
}

fn assert_clean(what: &str, text: &str) {
    if let Some(at) = text.find(CANARY) {
        let (from, to) = (at.saturating_sub(200), (at + 60).min(text.len()));
        panic!("{what} reveals {}", String::from_utf8_lossy(&text.as_bytes()[from..to]));
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Types named `Secret…` that derive a trait which would show their value. `Secret` itself only names a secret's place in a store.
fn shown_by_derive(source: &str) -> Vec<String> {
    let mut derived = String::new();
    let mut wrong = Vec::new();
    for line in source.lines().map(str::trim) {
        let name = ["struct ", "enum "].iter().find_map(|kind| line.split_once(kind));
        let name = name.filter(|(before, _)| before.is_empty() || before.starts_with("pub"));
        let name = name.and_then(|(_, rest)| rest.split(|letter: char| !letter.is_alphanumeric()).next());
        if let Some(name) = name {
            let is_secret = name.strip_prefix("Secret").is_some_and(|rest| !rest.is_empty());
            if is_secret && ["Debug", "Serialize"].iter().any(|shows| derived.contains(shows)) {
                wrong.push(name.to_owned());
            }
            derived.clear();
        } else if line.is_empty() || line.ends_with([';', '}']) {
            derived.clear();
        } else if !line.starts_with("//") {
            derived.push_str(line);
        }
    }
    wrong
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    files(folder).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[test]
fn no_type_named_secret_derives_what_shows_it() {
    let one_line = "#[derive(Debug)]\npub(crate) struct SecretThing(String);\n";
    let several_lines = "#[derive(\n    Clone,\n    serde::Serialize,\n)]\n/// A thing.\nenum SecretThing<T> {\n";
    let others = "#[derive(Debug)]\nstruct Plain;\n\n#[derive(Clone)]\npub struct SecretThing(Plain);\n";
    assert_eq!(shown_by_derive(one_line), ["SecretThing"]);
    assert_eq!(shown_by_derive(several_lines), ["SecretThing"]);
    assert!(shown_by_derive(others).is_empty());

    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let all = ["domain/src", "adapters/src", "app/src", "tests/src"].map(|folder| sources(&workspace.join(folder)));
    let (mut wrong, mut secrets) = (Vec::new(), 0);
    for path in all.iter().flatten() {
        let source = std::fs::read_to_string(path).unwrap();
        secrets += source.matches("struct Secret").count();
        wrong.extend(shown_by_derive(&source).into_iter().map(|name| format!("{name} in {}", path.display())));
    }
    assert!(secrets >= 3, "the sources were found");
    assert!(wrong.is_empty(), "hide these, or name them otherwise: {wrong:?}");
}

#[tokio::test]
async fn planted_secrets_appear_nowhere() {
    let options =
        Options::default().with("LOG_LEVEL", "trace").with("SECRET_KEY", canary("Zr4Lw0Xc6Vb2Nm9Kj5Hg3Fd7Sa1Po"));
    let mut app = App::start_with(options).await;
    let admin = app.admin().await;
    let nested = json!({
        "password": canary("parameter"),
        "nested": {"secret": canary("nested"), "list": [{"api_key": canary("in-list")}, [{"token": canary("deeper")}]]},
        "kept": 1,
    });
    let provisioner = json!({"name": "p", "engine": "kqueen.engines.ManualEngine", "parameters": nested});
    let provisioner = app.post("/provisioners", &admin, provisioner).await;
    assert_clean("the answer about a provisioner", &provisioner.body.to_string());
    assert_eq!(provisioner.body["parameters"]["kept"], 1);
    let provisioner = provisioner.id();
    let user = json!({
        "username": new_name("u"), "password": canary("password"),
        "metadata": {"password": canary("user-metadata"), "preferences": {"private_key": canary("user-nested")}},
    });
    let user = app.post("/users", &admin, user).await;
    assert_clean("the answer about a user", &user.body.to_string());
    let username = user.body["username"].as_str().unwrap().to_owned();
    let cluster = json!({
        "name": "c", "provisioner": format!("Provisioner:{provisioner}"), "kubeconfig": kubeconfig(),
        "metadata": {"token": canary("cluster-metadata"), "team": {"credentials": {"a": canary("cluster-nested")}}},
    });
    let created = app.post("/clusters", &admin, cluster.clone()).await;
    let id = created.clone().id();
    let mut shown = created.body;
    assert!(shown["kubeconfig"].to_string().contains(CANARY), "a caller with the right gets the kubeconfig");
    shown["kubeconfig"] = Value::Null;
    assert_clean("the answer about a cluster", &shown.to_string());

    // Invalid requests that contain secrets, including some that cannot be parsed.
    let mut wrong = cluster;
    wrong["kubeconfig"]["users"][0]["user"] = json!({"exec": {"command": canary("exec")}, "tokenFile": canary("file")});
    wrong["colour"] = json!(canary("unknown-field"));
    let answers = [
        app.post("/clusters", &admin, wrong).await,
        app.post("/auth", &admin, json!({"username": canary("name"), "password": canary("wrong-password")})).await,
        app.post("/auth", &admin, json!({"username": 1, "password": [canary("typed-wrong")]})).await,
        read(
            app.request(Method::POST, "/auth", None)
                .header("content-type", "application/json")
                .body(format!("{{\"password\": \"{}", canary("cut"))),
        )
        .await,
        app.get("/users/whoami", &canary("bearer")).await,
        app.patch(
            &format!("/users/{}/updatepw", user.body["id"].as_str().unwrap()),
            &admin,
            json!({"password": canary("next-password")}),
        )
        .await,
        app.get(&format!("/clusters?name={}", canary("query")), &admin).await,
        app.get(&format!("/{}", canary("path")), &admin).await,
    ];
    for answer in answers {
        assert_clean("an answer", &answer.body.to_string());
    }
    app.log_in(&username, &canary("next-password")).await;
    for path in ["/clusters", "/provisioners", "/users", "/organizations", "/clusters?all_namespaces=true&offset=0"] {
        assert_clean(path, &app.get(path, &admin).await.ok().to_string());
    }
    for path in [format!("/provisioners/{provisioner}"), format!("/clusters/{id}/progress"), "/users/whoami".into()] {
        assert_clean(&path, &app.get(&path, &admin).await.ok().to_string());
    }
    for path in [format!("/clusters/{id}/status"), format!("/clusters/{id}/topology-data")] {
        let answer = app.get(&path, &admin).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert_clean(&path, &answer.body.to_string());
    }
    let metrics = read(app.request(Method::GET, &format!("{}/metrics/", app.origin), None)).await;
    assert_clean("/metrics/", metrics.body.as_str().unwrap());
    // The last log lines are written at shutdown.
    app.terminate();
    assert!(app.ended().await.success());
    assert_clean("the log", &app.log());
    for file in files(&app.folder.join("store")) {
        assert_clean(&file.display().to_string(), &String::from_utf8_lossy(&std::fs::read(&file).unwrap()));
    }
}

#[tokio::test]
async fn a_mask_that_is_sent_back_keeps_the_secret() {
    let app = App::start().await;
    let admin = app.admin().await;
    let parameters = json!({"password": canary("first"), "region": "west"});
    let provisioner = json!({"name": "p", "engine": "kqueen.engines.ManualEngine", "parameters": parameters});
    let id = app.post("/provisioners", &admin, provisioner).await.id();
    let path = format!("/provisioners/{id}");
    let shown = app.get(&path, &admin).await.ok()["parameters"].clone();
    assert_eq!(shown, json!({"password": "*******", "region": "west"}));
    let mut changed = shown;
    changed["region"] = json!("east");
    let answer = app.patch(&path, &admin, json!({"parameters": changed})).await.ok();
    assert_eq!(answer["parameters"], json!({"password": "*******", "region": "east"}));
    // A mask where there is no secret is rejected, so the one accepted above kept the secret.
    let answer = app.patch(&path, &admin, json!({"parameters": {"token": "*******"}})).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
    let answer = app.patch(&path, &admin, json!({"parameters": {"password": null}})).await.ok();
    assert_eq!(answer["parameters"], json!({"region": "east"}));
}

#[tokio::test]
async fn the_policy_decides_who_gets_the_kubeconfig() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let cluster = app.cluster(&tenant.provisioner, &tenant.admin).await;
    let (path, member) = (format!("/clusters/{cluster}"), &tenant.member.token);
    assert!(app.get(&path, member).await.ok()["kubeconfig"].is_object());
    let policy = json!({"cluster:kubeconfig": "ADMIN_OR_OWNER"});
    app.patch(&format!("/organizations/{}/policy", tenant.id), &tenant.admin.token, policy).await.ok();
    assert!(app.get(&path, member).await.ok().get("kubeconfig").is_none());
    assert_eq!(app.get(&format!("{path}/kubeconfig"), member).await.status, StatusCode::FORBIDDEN);
    app.get(&format!("{path}/kubeconfig"), &tenant.admin.token).await.ok();
}
