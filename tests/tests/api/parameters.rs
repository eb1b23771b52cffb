//! Query parameters: empty ones, unknown ones, repeated ones, and the filters by phase and state.

use kqueen_tests::fixture::{
    app::{App, Options},
    people::{Tenant, kubeconfig, new_cluster},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// An id that no object has.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

fn ids(list: &Value) -> Vec<String> {
    let items = list.get("items").unwrap_or(list).as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// One cluster whose server is not Kubernetes, and one that does not answer.
async fn failed_and_unknown(app: &App, tenant: &Tenant) -> (String, String) {
    let mut refused = new_cluster(&tenant.provisioner);
    refused["kubeconfig"] = kubeconfig(&app.origin, "a-token");
    refused["name"] = json!("refused");
    let refused = app.post("/clusters", &tenant.admin.token, refused).await.id();
    let unreachable = app.post("/clusters", &tenant.admin.token, new_cluster(&tenant.provisioner)).await.id();
    for id in [&refused, &unreachable] {
        app.observed(id, &tenant.admin.token).await;
    }
    (refused, unreachable)
}

#[tokio::test]
async fn an_empty_parameter_counts_as_absent() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    app.post("/clusters", token, new_cluster(&tenant.provisioner)).await.ok();
    let document = app.get("/swagger", token).await.ok();
    for (path, methods) in document["paths"].as_object().unwrap() {
        // The event stream does not end.
        if methods["get"].is_null() || path == "/events" {
            continue;
        }
        let parameters = methods["get"]["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in parameters {
            let parameter = match parameter["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).unwrap().clone(),
                None => parameter,
            };
            if parameter["in"] != "query" {
                continue;
            }
            let name = parameter["name"].as_str().unwrap();
            let path = path.replace("{id}", NOBODY);
            let without = app.get(&path, token).await;
            for empty in [format!("{path}?{name}="), format!("{path}?{name}")] {
                let answer = app.get(&empty, token).await;
                assert_eq!(answer.status, without.status, "{empty}: {}", answer.body);
                assert_eq!(answer.body.is_array(), without.body.is_array(), "{empty}");
            }
        }
    }
    let query = "name=&provisioner=&engine=&phase=&state=&sortby=&order=&offset=&limit=&namespace=&all_namespaces=";
    assert_eq!(ids(&app.get(&format!("/clusters?{query}"), token).await.ok()).len(), 1);
    let page = app.get("/clusters?offset=0&limit=&sortby=", token).await.ok();
    assert_eq!(page["total"], 1);
}

#[tokio::test]
async fn an_unknown_parameter_is_rejected_by_every_operation() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let root = app.admin().await;
    let document = app.get("/swagger", &root).await.ok();
    let mut seen = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", NOBODY);
        for (method, operation) in methods.as_object().unwrap() {
            // Its parameters are the fields of an engine, which it checks itself.
            if operation["operationId"] == "provisioner_form" {
                continue;
            }
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = app.call(method.clone(), &format!("{path}?colour=red"), Some(&root), None).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{method} {path}: {}", answer.body);
            assert_eq!(answer.body["details"][0]["field"], "colour", "{method} {path}");
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
    // The request has no effect.
    let id = app.post("/clusters", &tenant.admin.token, new_cluster(&tenant.provisioner)).await.id();
    let path = format!("/clusters/{id}");
    let refused = app.delete(&format!("{path}?dry_run"), &tenant.admin.token).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    let refused = app.patch(&format!("{path}?force=1"), &tenant.admin.token, json!({"name": "other"})).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    assert_ne!(app.get(&path, &tenant.admin.token).await.ok()["name"], "other");
    let head = app.call(Method::HEAD, "/clusters?colour=red", Some(&root), None).await;
    assert_eq!(head.status, StatusCode::UNPROCESSABLE_ENTITY);
    for (path, meant) in [
        ("/clusters?sort_by=name", "sortby"),
        ("/clusters?allNamespaces=true", "all_namespaces"),
        ("/provisioners/?Phase=OK", "phase"),
        ("/users?nane=x", "name"),
        ("/clusters?page=2", "offset"),
        ("/clusters?per_page=50", "limit"),
    ] {
        let refused = app.get(path, &root).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        let description = refused.body["description"].as_str().unwrap();
        assert!(description.ends_with(&format!("did you mean {meant}?")), "{path}: {description}");
    }
    let refused = app.get("/clusters?owner=x", &root).await;
    assert!(!refused.body["description"].as_str().unwrap().contains("did you mean"), "{}", refused.body);
    for path in ["/clusters?limit=1&limit=2", "/clusters?name=a&name=a", "/clusters?offset=0&offset="] {
        let refused = app.get(path, &root).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert_eq!(refused.body["details"][0]["message"], "is given more than once", "{path}");
    }
}

#[tokio::test]
async fn lists_can_be_filtered_by_phase_and_state() {
    let options =
        Options::default().with("CLUSTER_UNKNOWN_STATE", "Nicht erreichbar").with("PROVISIONER_OK_STATE", "Fine");
    let app = App::start_with(options).await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    let (refused, unreachable) = failed_and_unknown(&app, &tenant).await;
    for (query, expected) in [
        ("phase=Error", vec![&refused]),
        ("phase=eRROR", vec![&refused]),
        ("phase=Unknown", vec![&unreachable]),
        ("phase=OK", vec![]),
        ("state=Error", vec![&refused]),
        ("state=nicht%20ERREICHBAR", vec![&unreachable]),
        ("phase=Unknown&state=Nicht+erreichbar", vec![&unreachable]),
        ("phase=Error&state=Nicht+erreichbar", vec![]),
        ("phase=Error&name=refu", vec![&refused]),
        ("phase=Unknown&name=refu", vec![]),
        ("phase=Error&engine=manual&sortby=name&order=desc", vec![&refused]),
    ] {
        let list = app.get(&format!("/clusters?{query}"), token).await.ok();
        assert_eq!(ids(&list).iter().collect::<Vec<_>>(), expected, "{query}");
        let page = app.get(&format!("/clusters?{query}&offset=0&limit=1"), token).await.ok();
        assert_eq!(page["total"], expected.len(), "{query}");
    }
    for (query, expected) in
        [("phase=ok", 1), ("state=fine", 1), ("phase=Not%20Reachable", 0), ("phase=Error&state=Fine", 0)]
    {
        let page = app.get(&format!("/provisioners?{query}&offset=0"), token).await.ok();
        assert_eq!((ids(&page).len(), &page["total"]), (expected, &json!(expected)), "{query}");
    }
    for (path, field, message) in [
        ("/clusters?phase=Failed", "phase", "must be one of Deploying, OK, Updating, Destroying, Error, Unknown"),
        (
            "/clusters?state=Unknown",
            "state",
            "must be one of Deploying, OK, Updating, Destroying, Error, Nicht erreichbar",
        ),
        ("/provisioners?phase=Unknown", "phase", "must be one of OK, Error, Not Reachable"),
        ("/provisioners?state=OK", "state", "must be one of Fine, Error, Not Reachable"),
    ] {
        let wrong = app.get(path, token).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert_eq!(wrong.body["details"], json!([{"field": field, "message": message}]), "{path}");
    }
    // Only objects with a phase can be filtered by it.
    for path in ["/users?phase=OK", "/organizations?state=OK", "/clusters/health?phase=OK"] {
        assert_eq!(app.get(path, token).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
}

#[tokio::test]
async fn the_form_of_a_provisioner_takes_the_values_chosen_so_far() {
    let app = App::start_with(Options::default().with("DEMO_ENABLED", "true")).await;
    let tenant = app.tenant().await;
    let new = json!({"name": "demo", "engine": "kqueen.engines.DemoEngine", "parameters": {}});
    let demo = app.post("/provisioners", &tenant.admin.token, new).await.id();
    let form = async |query: &str| app.get(&format!("/provisioners/{demo}/form{query}"), &tenant.member.token).await;
    let answer = form("?size=large&kubernetes_version=").await.ok();
    let names: Vec<_> = answer["fields"].as_array().unwrap().iter().map(|field| &field["name"]).collect();
    assert_eq!(names, ["node_count", "size", "kubernetes_version", "network_policy"]);
    let size = &answer["fields"][1];
    assert_eq!(
        (&size["type"], &size["default"], &size["source"]),
        (&json!("select"), &json!("medium"), &json!("declared"))
    );
    assert_eq!(size["choices"][0], json!({"value": "small", "label": "Small: 2 vCPU, 8 GiB RAM (simulated)"}));
    assert_eq!(answer["fields"][0]["validators"]["required"], true);
    assert_eq!(answer["offered_at"], Value::Null);

    let unknown = form("?zone=a").await;
    assert_eq!(
        (unknown.status, &unknown.body["details"][0]["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("zone"))
    );
    assert_eq!(form("?size=a&size=b").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let other = app.tenant().await;
    let foreign = app.get(&format!("/provisioners/{demo}/form"), &other.admin.token).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
}
