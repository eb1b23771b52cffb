//! Schemathesis sends what the document allows and what it does not, and checks every answer against it.

use std::{path::PathBuf, time::Duration};

use kqueen_tests::fixture::{
    app::{App, Options, read},
    kubernetes::{ControlPlane, Options as PlaneOptions, Who},
    process::leave_out,
};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::process::Command;

/// Its answer does not end, so a tool that reads whole answers would wait forever. Other tests cover it.
const ENDLESS: (&str, &str) = ("event_stream", "/api/v1/events");

fn program() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let program = cache.join("kqueen-build/venv/bin/schemathesis");
    program.exists().then_some(program)
}

#[tokio::test]
async fn every_operation_answers_as_documented() {
    let Some(program) = program() else { return leave_out("schemathesis (make setup-test installs it)") };
    let Some(plane) = ControlPlane::start(PlaneOptions::bare()).await else { return };
    let options = Options::bare();
    let options = options.with("DEV_MODE", "true").with("LOGIN_ATTEMPTS_PER_MINUTE", "1000000");
    let app = App::start_with(options).await;
    let token = app.log_in("admin", "default").await;
    std::fs::write(app.folder.join("kubeconfig.json"), plane.kubeconfig(Who::Token).to_string()).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schemathesis");
    let mut run = Command::new(program);
    run.current_dir(&app.folder)
        .env("PYTHONPATH", folder)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    run.env("KQUEEN_ORIGIN", &app.origin).env("KQUEEN_TOKEN", &token).env("KQUEEN_KUBECONFIG", "kubeconfig.json");
    run.args(["--config-file", &format!("{folder}/schemathesis.toml"), "run"]);
    run.arg(format!("{}/api/v1/swagger", app.origin)).args(["--url", &format!("{}/api/v1", app.origin)]);
    run.args(["--header", &format!("Authorization: Bearer {token}"), "--phases", "examples,coverage,fuzzing"]);
    run.args(["--exclude-operation-id", ENDLESS.0]);
    run.args(["--max-examples", "20", "--seed", "1", "--continue-on-failure", "--no-color"]);
    let done = tokio::time::timeout(Duration::from_secs(600), run.output()).await.expect("schemathesis ends").unwrap();
    let output = String::from_utf8_lossy(&done.stdout);
    println!("{}", output.split("=== SUMMARY ===").last().unwrap_or_default());
    assert!(done.status.success(), "{output}\n{}", String::from_utf8_lossy(&done.stderr));

    assert_eq!(app.get("/users/whoami", &token).await.status, StatusCode::OK, "the run's token does not work any more");
    let metrics = read(app.request(Method::GET, &format!("{}/metrics/", app.origin), None)).await;
    let metrics = metrics.body.as_str().unwrap().to_owned();
    let document = app.get("/swagger", &token).await.ok();
    let mut unreached = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let endpoint = format!("/api/v1{path}").trim_end_matches('/').to_owned();
        if endpoint == ENDLESS.1 {
            continue;
        }
        for method in methods.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let line = format!(r#"request_count{{endpoint="{endpoint}",http_status="200",method="{method}"}}"#);
            if !metrics.contains(&line) {
                unreached.push(line);
            }
        }
    }
    assert!(unreached.is_empty(), "{unreached:#?}");
    assert!(!metrics.contains(r#"http_status="500""#), "a request failed with 500\n{}", app.log());
}

#[tokio::test]
async fn the_service_shows_the_document_that_is_checked_in() {
    let app = App::start().await;
    let shown = read(app.request(Method::GET, "/swagger", None)).await.ok();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/kqueen.json")).unwrap();
    let checked_in: Value = serde_json::from_str(&text).unwrap();
    assert!(shown == checked_in, "run `make openapi` and commit openapi/kqueen.json");
    for (path, methods) in shown["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for key in ["operationId", "summary", "tags"] {
                assert!(!operation[key].is_null(), "{method} {path} has no {key}");
            }
            assert!(operation["responses"]["200"]["content"].is_object(), "{method} {path}");
        }
    }
}
