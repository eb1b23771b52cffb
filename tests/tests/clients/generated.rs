//! Clients are generated from the checked-in document for four languages, and make real calls. Nothing in it breaks generators.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use kqueen_tests::fixture::{
    app::{App, Options},
    process::leave_out,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/kqueen.json");
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");

/// Where `make setup-test` installs tools, and compilers keep their output.
fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache")).join("kqueen-build")
}

/// Finds a program among the installed tools or on the search path.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = vec![cache().join("venv/bin"), cache().join("npm/node_modules/.bin"), cache().join("bin")];
    places.extend(std::env::split_paths(&path));
    places.into_iter().map(|place| place.join(program)).find(|path| path.is_file())
}

/// A service as `make run` starts it, and a folder for the client. `None`, with a message, if a program is missing.
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

/// Runs a program and returns its output.
async fn run(app: &App, folder: &Path, program: &str, arguments: &[&str]) -> String {
    let mut path = vec![cache().join("venv/bin"), cache().join("bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new(find(program).unwrap());
    command.args(arguments).current_dir(folder).env("PATH", std::env::join_paths(path).unwrap());
    command.env("KQUEEN_ORIGIN", &app.origin).env("PYTHONPATH", folder).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("GOFLAGS", "-mod=mod").env("GOCACHE", cache().join("go-clients")).kill_on_drop(true);
    // Compiling a client's libraries for the first time takes two minutes of both cores.
    let done =
        tokio::time::timeout(Duration::from_secs(900), command.output()).await.expect("the program ends").unwrap();
    let output = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{program} {arguments:?}: {output}");
    output
}

fn copy(name: &str, to: &Path) {
    std::fs::copy(Path::new(PROGRAMS).join(name), to).unwrap();
}

#[tokio::test]
async fn a_python_client_works() {
    let Some((app, folder)) = prepare(&["openapi-python-client", "python"]).await else { return };
    let folder = folder.path();
    let arguments = ["generate", "--path", DOCUMENT, "--meta", "none", "--output-path", "kqueen_client"];
    let output = run(&app, folder, "openapi-python-client", &arguments).await;
    assert!(!output.to_lowercase().contains("warning"), "{output}");
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
    // Generated tests need more libraries.
    let _ = std::fs::remove_dir_all(folder.join("kqueen/test"));
    std::fs::write(folder.join("go.mod"), "module client\n\ngo 1.26\n").unwrap();
    copy("client.go", &folder.join("main.go"));
    assert!(run(&app, folder, "go", &["run", "."]).await.lines().any(|line| line == "ok"));
}

#[tokio::test]
async fn an_oapi_codegen_client_works() {
    let Some((app, folder)) = prepare(&["oapi-codegen", "go"]).await else { return };
    let folder = folder.path();
    for file in ["go.mod", "go.sum", "main.go"] {
        copy(&format!("oapi-codegen/{file}"), &folder.join(file));
    }
    std::fs::create_dir(folder.join("kqueen")).unwrap();
    let arguments = ["-generate", "types,client", "-package", "kqueen", "-o", "kqueen/kqueen.go", DOCUMENT];
    run(&app, folder, "oapi-codegen", &arguments).await;
    assert!(run(&app, folder, "go", &["run", "-mod=readonly", "."]).await.lines().any(|line| line == "ok"));
}

#[tokio::test]
async fn a_progenitor_client_works() {
    let Some((app, folder)) = prepare(&["cargo"]).await else { return };
    let manifest = format!("{PROGRAMS}/progenitor/Cargo.toml");
    let target = cache().join("progenitor");
    let common = ["--locked", "--quiet", "--manifest-path", &manifest];
    let is_fetched =
        Command::new(find("cargo").unwrap()).args(["fetch", "--offline"]).args(common).output().await.unwrap();
    if !is_fetched.status.success() {
        leave_out("crates of the progenitor client (make setup-test downloads them)");
        return;
    }
    let arguments = [&["run", "--offline", "--target-dir", target.to_str().unwrap()], &common[..]].concat();
    assert!(run(&app, folder.path(), "cargo", &arguments).await.lines().any(|line| line == "ok"));
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

/// A name as generators may normalize it into an identifier.
fn identifier(name: &str) -> String {
    name.replace(['-', '_'], "").to_lowercase()
}

/// What breaks code generators in a document.
fn generator_problems(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let (schemas, shared) = (&document["components"]["schemas"], &document["components"]["parameters"]);
    let mut types = BTreeMap::new();
    for schema in schemas.as_object().unwrap().keys() {
        if let Some(other) = types.insert(identifier(schema), schema) {
            found.push(format!("schemas {other} and {schema}"));
        }
    }
    let mut parameters: BTreeSet<&str> = shared.as_object().unwrap().keys().map(String::as_str).collect();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let mut names = BTreeMap::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let shared = parameter["$ref"].as_str().map(|at| document.pointer(&at[1..]).unwrap());
                let name = shared.unwrap_or(parameter)["name"].as_str().unwrap();
                parameters.insert(name);
                if let Some(other) = names.insert(identifier(name), name) {
                    found.push(format!("{method} {path}: parameters {other} and {name}"));
                }
            }
        }
    }
    for parameter in parameters {
        if let Some(schema) = types.get(&identifier(parameter)) {
            found.push(format!("parameter {parameter} and schema {schema}"));
        }
    }
    media_types(document, &mut found);
    found
}

/// Media types with parameters, anywhere.
fn media_types(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| media_types(value, found)),
        Value::Object(object) => {
            let content = object.get("content").and_then(Value::as_object).into_iter().flatten();
            found.extend(content.filter(|(name, _)| name.contains(';')).map(|(name, _)| format!("media type {name}")));
            object.values().for_each(|value| media_types(value, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn no_generator_needs_options_for_names_and_media_types() {
    let document: Value = serde_json::from_slice(&std::fs::read(DOCUMENT).unwrap()).unwrap();
    assert_eq!(generator_problems(&document), Vec::<String>::new());

    // Each kind of problem is found.
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = document.clone();
        change(&mut document);
        generator_problems(&document)
    };
    let engine = with(&|document| document["components"]["schemas"]["Engine"] = json!({"type": "object"}));
    assert_eq!(engine, ["parameter engine and schema Engine"]);
    let id = with(&|document| document["components"]["schemas"]["LastEventId"] = json!({"type": "string"}));
    assert_eq!(id, ["parameter Last-Event-ID and schema LastEventId"]);
    let twice = with(&|document| document["components"]["schemas"]["ListedCluster"] = json!({"type": "object"}));
    assert_eq!(twice, ["schemas ListedCluster and Listed_Cluster"]);
    let events = with(&|document| {
        let parameters = document["paths"]["/events"]["get"]["parameters"].as_array_mut().unwrap();
        parameters.push(json!({"in": "query", "name": "last_event_id", "schema": {"type": "string"}}));
    });
    assert_eq!(events, ["get /events: parameters Last-Event-ID and last_event_id"]);
    let charset = with(&|document| {
        let content = &mut document["components"]["responses"]["404"]["content"];
        *content = json!({"application/json; charset=utf-8": content["application/json"]});
    });
    assert_eq!(charset, ["media type application/json; charset=utf-8"]);
}
