//! Clients are generated from the checked-in document for three languages, and make real calls.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "test code: a failure is a panic")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use kqueen_tests::fixture::{
    app::{App, Options},
    process::leave_out,
};
use tempfile::TempDir;
use tokio::process::Command;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/kqueen.json");
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");

/// Where `make setup-test` installs tools and compilers keep what they have made.
fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache")).join("kqueen-build")
}

/// Where a program is: among the installed tools, or on the search path.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = vec![cache().join("venv/bin"), cache().join("npm/node_modules/.bin"), cache().join("bin")];
    places.extend(std::env::split_paths(&path));
    places.into_iter().map(|place| place.join(program)).find(|path| path.is_file())
}

/// A service as `make run` starts it, and a folder to generate a client into; `None`, said by name, where a program is missing.
async fn prepare(programs: &[&str]) -> Option<(App, TempDir)> {
    for program in programs {
        if find(program).is_none() {
            leave_out(&format!("{program} (make setup-test installs it)"));
            return None;
        }
    }
    let app = App::start_with(Options::bare().with("DEV_MODE", "true")).await;
    Some((app, tempfile::tempdir().unwrap()))
}

/// Runs a program to its end; what it said.
async fn run(app: &App, folder: &Path, program: &str, arguments: &[&str]) -> String {
    let mut path = vec![cache().join("venv/bin"), cache().join("bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new(find(program).unwrap());
    command.args(arguments).current_dir(folder).env("PATH", std::env::join_paths(path).unwrap());
    command.env("KQUEEN_ORIGIN", &app.origin).env("PYTHONPATH", folder).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("GOFLAGS", "-mod=mod").env("GOCACHE", cache().join("go-clients")).kill_on_drop(true);
    let done = tokio::time::timeout(Duration::from_secs(400), command.output()).await.expect("it ends").unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{program} {arguments:?}: {said}");
    said
}

fn copy(name: &str, to: &Path) {
    std::fs::copy(Path::new(PROGRAMS).join(name), to).unwrap();
}

#[tokio::test]
async fn a_python_client_works() {
    let Some((app, folder)) = prepare(&["openapi-python-client", "python"]).await else { return };
    let folder = folder.path();
    let arguments = ["generate", "--path", DOCUMENT, "--meta", "none", "--output-path", "kqueen_client"];
    let said = run(&app, folder, "openapi-python-client", &arguments).await;
    assert!(!said.to_lowercase().contains("warning"), "{said}");
    copy("client.py", &folder.join("client.py"));
    assert!(run(&app, folder, "python", &["client.py"]).await.lines().any(|line| line == "ok"));
}

#[tokio::test]
async fn a_go_client_works() {
    let Some((app, folder)) = prepare(&["openapi-generator-cli", "java", "go"]).await else { return };
    let folder = folder.path();
    let properties = "--additional-properties=packageName=kqueen,withGoMod=false,enumClassPrefix=true";
    let arguments = ["generate", "-g", "go", "-i", DOCUMENT, "-o", "kqueen", properties];
    run(&app, folder, "openapi-generator-cli", &arguments).await;
    // Generated tests want libraries of their own.
    let _ = std::fs::remove_dir_all(folder.join("kqueen/test"));
    std::fs::write(folder.join("go.mod"), "module client\n\ngo 1.26\n").unwrap();
    copy("client.go", &folder.join("main.go"));
    assert!(run(&app, folder, "go", &["run", "."]).await.lines().any(|line| line == "ok"));
}

#[tokio::test]
async fn a_typescript_client_works() {
    let Some((app, folder)) = prepare(&["openapi-typescript", "tsc", "node"]).await else { return };
    let folder = folder.path();
    run(&app, folder, "openapi-typescript", &[DOCUMENT, "-o", "schema.d.ts"]).await;
    copy("client.ts", &folder.join("client.ts"));
    std::fs::write(folder.join("package.json"), r#"{"type": "module"}"#).unwrap();
    std::os::unix::fs::symlink(cache().join("npm/node_modules"), folder.join("node_modules")).unwrap();
    let strict = ["--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "client.ts"];
    run(&app, folder, "tsc", &strict).await;
    assert!(run(&app, folder, "node", &["client.js"]).await.lines().any(|line| line == "ok"));
}
