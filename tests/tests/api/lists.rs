//! Lists: pages, orders, filters, namespaces, and lists that change while they are read.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::future::join_all;
use kqueen_tests::fixture::{
    app::{App, Options},
    etcd::{Etcd, Options as EtcdOptions},
    people::{Tenant, kubeconfig, new_cluster, new_name},
    process::eventually,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// New clusters are observed once; then their states do not change.
async fn quiet() -> App {
    App::start_with(Options::default().with("OBSERVE_INTERVAL", "1d").with("CLUSTER_STATE_ON_LIST", "false")).await
}

fn names(list: &Value) -> Vec<String> {
    let items = list.get("items").unwrap_or(list).as_array().unwrap();
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

fn ids(list: &Value) -> Vec<String> {
    let items = list.get("items").unwrap_or(list).as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

async fn provisioner(app: &App, tenant: &Tenant, name: &str) -> String {
    let body = json!({"name": name, "engine": "kqueen.engines.ManualEngine"});
    app.post("/provisioners", &tenant.admin.token, body).await.id()
}

async fn cluster(app: &App, tenant: &Tenant, provisioner: &str, name: &str) -> String {
    let mut body = new_cluster(provisioner);
    body["name"] = json!(name);
    app.post("/clusters", &tenant.admin.token, body).await.id()
}

/// Waits until every cluster has been observed.
async fn until_observed(app: &App, token: &str) {
    let all_observed = || async {
        let list = app.get("/clusters", token).await.ok();
        list.as_array().unwrap().iter().all(|cluster| cluster["observed_at"].is_string())
    };
    eventually("every cluster is observed", Duration::from_secs(60), all_observed).await;
}

/// Reads a list page by page.
async fn read_pages(app: &App, token: &str, path: &str, size: usize) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let separator = if path.contains('?') { '&' } else { '?' };
        let page = app.get(&format!("{path}{separator}offset={}&limit={size}", all.len()), token).await.ok();
        let part = ids(&page);
        assert!(part.len() <= size);
        if part.is_empty() {
            assert_eq!(page["total"], all.len(), "{path}");
            return all;
        }
        all.extend(part);
    }
}

#[tokio::test]
async fn pages_add_up_to_the_whole_list() {
    let app = quiet().await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    // Names repeat, so that every order but the first has ties.
    let mut made = Vec::new();
    for n in 0..45 {
        made.push(cluster(&app, &tenant, &tenant.provisioner, ["same", "other", "Same"][n % 3]).await);
    }
    until_observed(&app, token).await;
    let whole = app.get("/clusters", token).await.ok();
    assert_eq!(ids(&whole), made, "the default order is by creation");
    let page = app.get("/clusters?offset=0", token).await.ok();
    assert_eq!((ids(&page), &page["total"]), (made[..20].to_vec(), &json!(45)), "a page has 20 items by default");
    assert_eq!(page.as_object().unwrap().len(), 2, "{page}");
    let page = app.get("/clusters?offset=40", token).await.ok();
    assert_eq!((ids(&page), &page["total"]), (made[40..].to_vec(), &json!(45)));
    let page = app.get("/clusters?offset=45", token).await.ok();
    assert_eq!(page, json!({"items": [], "total": 45}));
    assert_eq!(app.get("/clusters?offset=1000000000&limit=1000", token).await.ok(), json!({"items": [], "total": 45}));
    assert_eq!(
        ids(&app.get("/clusters?limit=5", token).await.ok()),
        made[..5],
        "a limit without an offset truncates the list"
    );

    for sortby in ["created_at", "created", "name", "provisioner", "engine", "state", "status"] {
        for order in ["asc", "desc"] {
            let path = format!("/clusters?sortby={sortby}&order={order}");
            let whole = ids(&app.get(&path, token).await.ok());
            assert_eq!(whole.iter().collect::<BTreeSet<_>>(), made.iter().collect(), "{path}");
            for size in [1, 7, 20, 1000] {
                assert_eq!(read_pages(&app, token, &path, size).await, whole, "{path} by {size}");
            }
        }
    }
}

#[tokio::test]
async fn every_sort_key_orders_the_list() {
    let app = quiet().await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    let (west, east) = (provisioner(&app, &tenant, "west").await, provisioner(&app, &tenant, "East").await);
    let made = [
        cluster(&app, &tenant, &west, "bravo").await,
        cluster(&app, &tenant, &east, "Alpha").await,
        cluster(&app, &tenant, &west, "charlie").await,
        cluster(&app, &tenant, &east, "bravo").await,
    ];
    until_observed(&app, token).await;
    let by = |indices: [usize; 4]| indices.map(|i| made[i].clone()).to_vec();
    for (sortby, ascending) in [
        ("created_at", [0, 1, 2, 3]),
        ("created", [0, 1, 2, 3]),
        // Case does not matter; ties are in the order of creation.
        ("name", [1, 0, 3, 2]),
        ("provisioner", [1, 3, 0, 2]),
        // All equal.
        ("engine", [0, 1, 2, 3]),
        ("state", [0, 1, 2, 3]),
        ("status", [0, 1, 2, 3]),
    ] {
        let ascending = by(ascending);
        for order in ["", "&order=asc"] {
            assert_eq!(
                ids(&app.get(&format!("/clusters?sortby={sortby}{order}"), token).await.ok()),
                ascending,
                "{sortby}"
            );
        }
        let descending: Vec<_> = ascending.into_iter().rev().collect();
        let path = format!("/clusters?sortby={sortby}&order=desc");
        assert_eq!(ids(&app.get(&path, token).await.ok()), descending, "{sortby}");
    }
    let listed = names(&app.get("/provisioners?sortby=name&order=desc", token).await.ok());
    assert_eq!(listed[..1], ["west"]);
    assert_eq!(listed.last().unwrap(), "East");
    let people = app.get("/users?sortby=name&order=desc", token).await.ok();
    let people: Vec<_> = people.as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect();
    assert_eq!(people, [&*tenant.member.username, &*tenant.admin.username]);
}

#[tokio::test]
async fn clusters_can_be_sorted_by_state() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    // One cluster that does not answer, and one whose server is not Kubernetes.
    let unknown = cluster(&app, &tenant, &tenant.provisioner, "unknown").await;
    let mut refused = new_cluster(&tenant.provisioner);
    refused["kubeconfig"] = kubeconfig(&app.origin, "a-token");
    let refused = app.post("/clusters", token, refused).await.id();
    for id in [&unknown, &refused] {
        app.observed(id, token).await;
    }
    for sortby in ["state", "status"] {
        let list = app.get(&format!("/clusters?sortby={sortby}"), token).await.ok();
        let mut states: Vec<_> = list.as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["Error", "Unknown"], "{list}");
        let list = app.get(&format!("/clusters?sortby={sortby}&order=desc"), token).await.ok();
        states.reverse();
        let descending: Vec<_> = list.as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
        assert_eq!(descending, states);
    }
}

#[tokio::test]
async fn filters_match_parts_of_names_ignoring_case() {
    let app = quiet().await;
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    let (west, east) = (provisioner(&app, &tenant, "West Side").await, provisioner(&app, &tenant, "east").await);
    for (provisioner, name) in [(&west, "Web-1"), (&west, "db"), (&east, "web-2"), (&east, "Ärger & 100% _x")] {
        cluster(&app, &tenant, provisioner, name).await;
    }
    for (query, expected) in [
        ("name=web", &["Web-1", "web-2"][..]),
        ("name=WEB", &["Web-1", "web-2"]),
        ("name=b", &["Web-1", "db", "web-2"]),
        ("name=web-1", &["Web-1"]),
        ("name=%C3%A4RGER", &["Ärger & 100% _x"]),
        ("name=%26", &["Ärger & 100% _x"]),
        // Filters are not patterns: no character is a wildcard.
        ("name=%25", &["Ärger & 100% _x"]),
        ("name=_", &["Ärger & 100% _x"]),
        ("name=w.b", &[]),
        ("name=*", &[]),
        ("name=", &["Web-1", "db", "web-2", "Ärger & 100% _x"]),
        ("provisioner=west", &["Web-1", "db"]),
        ("provisioner=T%20SIDE", &["Web-1", "db"]),
        ("provisioner=t+side", &["Web-1", "db"]),
        ("engine=manual", &["Web-1", "db", "web-2", "Ärger & 100% _x"]),
        ("engine=gce", &[]),
        ("name=web&provisioner=east", &["web-2"]),
        ("name=web&provisioner=west&engine=MANUALENGINE", &["Web-1"]),
        ("name=web&engine=gce", &[]),
    ] {
        assert_eq!(names(&app.get(&format!("/clusters?{query}"), token).await.ok()), expected, "{query}");
        let page = app.get(&format!("/clusters?{query}&offset=0&limit=1"), token).await.ok();
        assert_eq!(page["total"], expected.len(), "{query}: the total counts the matching items");
        assert_eq!(names(&page), expected[..expected.len().min(1)], "{query}");
    }
    assert_eq!(names(&app.get("/provisioners?name=SIDE", token).await.ok()), ["West Side"]);
    let found = app.get(&format!("/users?name={}", tenant.member.username.to_uppercase()), token).await.ok();
    assert_eq!(ids(&found), [&*tenant.member.id]);
    let found = app.get(&format!("/organizations?name={}", tenant.namespace), &app.admin().await).await.ok();
    assert_eq!(ids(&found), [&*tenant.id]);
}

#[tokio::test]
async fn superadmins_can_list_other_namespaces_and_see_the_namespace_of_each_item() {
    let app = quiet().await;
    let (one, other) = (app.tenant().await, app.tenant().await);
    let ones = cluster(&app, &one, &one.provisioner, "ones").await;
    let others = cluster(&app, &other, &other.provisioner, "others").await;
    let root = app.admin().await;
    assert_eq!(app.get("/clusters", &root).await.ok(), json!([]), "the default is the caller's namespace");
    let at_one = app.get(&format!("/clusters?namespace={}", one.namespace), &root).await.ok();
    assert_eq!((ids(&at_one), &at_one[0]["_namespace"]), (vec![ones.clone()], &json!(one.namespace)));
    for yes in ["true", "True", "1"] {
        let all = app.get(&format!("/clusters?all_namespaces={yes}&sortby=name"), &root).await.ok();
        assert_eq!(ids(&all), [ones.clone(), others.clone()]);
        let spaces: Vec<_> = all.as_array().unwrap().iter().map(|it| it["_namespace"].clone()).collect();
        assert_eq!(spaces, [json!(one.namespace), json!(other.namespace)]);
    }
    assert_eq!(app.get("/clusters?all_namespaces=false", &root).await.ok(), json!([]));
    let all = app.get("/provisioners?all_namespaces=true&offset=0&limit=1", &root).await.ok();
    assert_eq!((&all["total"], &all["items"][0]["_namespace"]), (&json!(2), &json!(one.namespace)));
    let health = app.get("/clusters/health?all_namespaces=true", &root).await.ok();
    assert_eq!(health["total"], 2);

    for (path, field) in [
        ("/clusters?namespace=nowhere".to_owned(), "namespace"),
        (format!("/clusters?namespace={}&all_namespaces=true", one.namespace), "namespace"),
        ("/clusters?all_namespaces=perhaps".to_owned(), "all_namespaces"),
    ] {
        let refused = app.get(&path, &root).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert_eq!(refused.body["details"][0]["field"], field, "{path}");
    }
    // Items of the caller's namespace do not name it.
    let home = app.get("/clusters", &one.member.token).await.ok();
    assert_eq!((ids(&home), home[0].get("_namespace")), (vec![ones], None));
    for list in ["clusters", "clusters/health", "provisioners", "provisioners/health", "users", "organizations"] {
        for query in
            ["all_namespaces=true".to_owned(), format!("namespace={}", one.namespace), "namespace=nowhere".into()]
        {
            for token in [&one.admin.token, &one.member.token] {
                let refused = app.get(&format!("/{list}?{query}"), token).await;
                assert_eq!(refused.status, StatusCode::FORBIDDEN, "{list} {query}: also for the caller's namespace");
            }
        }
    }
}

#[tokio::test]
async fn all_invalid_parameters_are_reported_at_once() {
    let app = quiet().await;
    let root = app.admin().await;
    for list in ["clusters", "provisioners", "users", "organizations"] {
        let query = "offset=-1&limit=1001&sortby=owner&order=up&all_namespaces=perhaps";
        let refused = app.get(&format!("/{list}?{query}"), &root).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{list}");
        let details = refused.body["details"].as_array().unwrap();
        let fields: Vec<_> = details.iter().map(|detail| detail["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["offset", "limit", "sortby", "order", "all_namespaces"], "{list}");
    }
    for wrong in ["limit=0", "limit=1.5", "limit=ten", "offset=1000000001", "sortby=owner", "order=ASC"] {
        let refused = app.get(&format!("/clusters?{wrong}"), &root).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}: {}", refused.body);
    }
    app.get("/clusters?limit=1000&offset=1000000000", &root).await.ok();
}

/// Clusters are created and deleted while lists are read: no page has duplicates, and totals match the items.
async fn changes_meanwhile(writer: &App, reader: &App) {
    let tenant = writer.tenant().await;
    let token = &*tenant.admin.token;
    let mut kept = Vec::new();
    for n in 0..30 {
        kept.push(cluster(writer, &tenant, &tenant.provisioner, &format!("kept-{n}")).await);
    }
    let done = AtomicBool::new(false);
    let writing = join_all((0..4).map(|_| {
        let (tenant, done) = (&tenant, &done);
        async move {
            while !done.load(Ordering::Relaxed) {
                let id = cluster(writer, tenant, &tenant.provisioner, &new_name("passing")).await;
                writer.delete(&format!("/clusters/{id}"), &tenant.admin.token).await.ok();
            }
        }
    }));
    let reading = async {
        for round in 0..40 {
            let order = ["created_at", "name", "provisioner", "state"][round % 4];
            let page = reader.get(&format!("/clusters?offset=0&limit=1000&sortby={order}"), token).await.ok();
            let listed = ids(&page);
            let unique: BTreeSet<_> = listed.iter().collect();
            assert_eq!(unique.len(), listed.len(), "a page has duplicates");
            assert_eq!(page["total"], listed.len(), "the total of a full page is its length");
            assert!(kept.iter().all(|id| unique.contains(id)), "unchanged clusters are always listed");
            assert!(listed.len() <= kept.len() + 4, "deleted clusters are not listed");
            // In the order of creation, older clusters keep their positions.
            let steady = read_first(reader, token, kept.len()).await;
            assert_eq!(steady, kept);
            let found = reader.get("/clusters?name=kept&offset=0&limit=7", token).await.ok();
            assert_eq!(found["total"], kept.len());
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(writing, async {
        // A failure in the reader must not leave the writers running forever.
        tokio::time::timeout(Duration::from_secs(240), reading).await.expect("the reader makes progress");
    });
}

async fn read_first(app: &App, token: &str, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        let page = app.get(&format!("/clusters?offset={}&limit=10", all.len()), token).await.ok();
        all.extend(ids(&page));
    }
    all.truncate(count);
    all
}

#[tokio::test]
async fn lists_are_consistent_during_writes() {
    let app = quiet().await;
    changes_meanwhile(&app, &app).await;
}

#[tokio::test]
async fn lists_are_consistent_during_writes_through_another_replica() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let options = Options::default().with("OBSERVE_INTERVAL", "1d").on_etcd(&etcd, "/lists");
    let (one, other) = tokio::join!(App::start_with(options.clone()), App::start_with(options));
    changes_meanwhile(&one, &other).await;
}
