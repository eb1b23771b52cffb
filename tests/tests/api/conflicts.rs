//! Concurrent changes: one of those based on the same revision wins, unique names stay unique, and objects in use are not deleted.

use futures::future::join_all;
use kqueen_tests::fixture::{
    app::{ADMIN, Answer, App, Options, read},
    etcd::{Etcd, Options as EtcdOptions},
    people::{PASSWORD, Person, new_name},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const WRITERS: usize = 16;

async fn quiet() -> App {
    App::start_with(Options::default().with("OBSERVE_INTERVAL", "1d")).await
}

async fn two_replicas(etcd: &Etcd) -> [App; 2] {
    let options = Options::default().with("OBSERVE_INTERVAL", "1d").on_etcd(etcd, "/conflicts");
    let (one, other) = tokio::join!(App::start_with(options.clone()), App::start_with(options));
    [one, other]
}

async fn with_if_match(app: &App, method: Method, path: &str, token: &str, tags: &str, body: Option<&Value>) -> Answer {
    let mut request = app.request(method, path, Some(token)).header("if-match", tags);
    if let Some(body) = body {
        request = request.json(body);
    }
    read(request).await
}

fn tag(answer: &Answer) -> String {
    answer.headers["etag"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn if_match_accepts_only_the_current_revision() {
    let app = quiet().await;
    let tenant = app.tenant().await;
    let root = app.admin().await;
    let cluster = app.cluster(&tenant.provisioner, &tenant.admin).await;
    let provisioner = app.provisioner(&tenant.admin).await;
    let organization = json!({"name": "n", "namespace": new_name("n")});
    let organization = app.post("/organizations", &root, organization).await.id();
    let named = json!({"name": "changed"});
    for (shown, changed, body) in [
        (format!("/clusters/{cluster}"), String::new(), named.clone()),
        (format!("/provisioners/{provisioner}"), String::new(), named.clone()),
        (format!("/organizations/{organization}"), String::new(), named),
        (format!("/organizations/{organization}/policy"), String::new(), json!({"cluster:create": "IS_ADMIN"})),
        (format!("/users/{}", tenant.member.id), String::new(), json!({"email": null})),
        (format!("/users/{}", tenant.member.id), "/updatepw".to_owned(), json!({"password": PASSWORD})),
    ] {
        let changed = format!("{shown}{changed}");
        let first = tag(&app.get(&shown, &root).await);
        let patch = async |tags: &str| with_if_match(&app, Method::PATCH, &changed, &root, tags, Some(&body)).await;
        let second = tag(&patch(&first).await);
        assert_ne!(first, second, "{changed}");
        assert_eq!(second, tag(&app.get(&shown, &root).await), "the answer to a change has the new revision");
        for stale in [
            first.clone(),
            format!("W/{first}"),
            format!("{first}, W/{first}, \"nonsense\""),
            second.trim_matches('"').to_owned(),
            "\"nonsense\"".into(),
            "\"0\"".into(),
            "\"99999999\"".into(),
        ] {
            let refused = patch(&stale).await;
            assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED, "{changed} {stale}");
            assert_eq!(refused.body["error"], "changed_meanwhile");
        }
        assert_eq!(second, tag(&app.get(&shown, &root).await), "a refused change changes nothing");
        let third = tag(&patch("*").await);
        let fourth = tag(&patch(&format!("{first}, {third}")).await);
        patch(&format!("\"99999999\",{fourth}")).await.ok();
    }
    for path in [
        format!("/clusters/{cluster}"),
        format!("/provisioners/{provisioner}"),
        format!("/organizations/{organization}"),
        format!("/users/{}", tenant.member.id),
    ] {
        let now = tag(&app.get(&path, &root).await);
        for stale in ["\"1\"", "W/\"1\"", "nonsense"] {
            let refused = with_if_match(&app, Method::DELETE, &path, &root, stale, None).await;
            assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED, "{path} {stale}");
        }
        with_if_match(&app, Method::DELETE, &path, &root, &format!("\"1\", {now}"), None).await.ok();
        let gone = with_if_match(&app, Method::DELETE, &path, &root, &now, None).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND);
    }
}

/// Of many writers that read the same revision, spread over `apps`, one succeeds.
async fn one_of_many_wins(apps: &[App]) {
    let app = &apps[0];
    let tenant = app.tenant().await;
    let token = &*tenant.admin.token;
    let cluster = app.cluster(&tenant.provisioner, &tenant.admin).await;
    for path in [
        format!("/clusters/{cluster}"),
        format!("/provisioners/{}", tenant.provisioner),
        format!("/users/{}", tenant.member.id),
    ] {
        for _ in 0..3 {
            let seen = tag(&app.get(&path, token).await);
            let tried = join_all((0..WRITERS).map(|n| {
                let (path, seen) = (&path, &seen);
                async move {
                    let name = new_name("changed");
                    let body =
                        if path.starts_with("/users") { json!({"username": name}) } else { json!({"name": name}) };
                    (name, with_if_match(&apps[n % apps.len()], Method::PATCH, path, token, seen, Some(&body)).await)
                }
            }))
            .await;
            let (won, lost): (Vec<_>, Vec<_>) = tried.iter().partition(|(_, answer)| answer.status == StatusCode::OK);
            assert_eq!(won.len(), 1, "{path}: {lost:?}");
            assert!(lost.iter().all(|(_, answer)| answer.status == StatusCode::PRECONDITION_FAILED), "{lost:?}");
            for app in apps {
                let now = app.get(&path, token).await;
                assert_eq!(now.body.get("username").unwrap_or(&now.body["name"]), won[0].0.as_str());
                assert_eq!(tag(&now), tag(&won[0].1));
            }
        }
        // Without a condition, every write that succeeds is kept.
        let all = join_all((0..WRITERS / 2).map(|n| {
            let path = &path;
            async move {
                let field = if path.starts_with("/provisioners") { "parameters" } else { "metadata" };
                let body = json!({ field: {format!("writer-{n}"): n} });
                apps[n % apps.len()].patch(path, token, body).await
            }
        }))
        .await;
        let done: Vec<usize> = (0..all.len()).filter(|n| all[*n].status == StatusCode::OK).collect();
        assert!(all.iter().all(|answer| matches!(answer.status.as_u16(), 200 | 409)), "{all:?}");
        let now = app.get(&path, token).await.ok();
        let facts = now.get("parameters").unwrap_or(&now["metadata"]);
        assert!(done.iter().all(|n| facts[format!("writer-{n}")] == *n), "{path}: {done:?} {facts}");
    }
}

#[tokio::test]
async fn one_of_many_concurrent_writers_wins() {
    one_of_many_wins(&[quiet().await]).await;
}

#[tokio::test]
async fn one_of_many_concurrent_writers_through_two_replicas_wins() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    one_of_many_wins(&two_replicas(&etcd).await).await;
}

fn assert_one_won(tried: &[Answer], field: &str) {
    let won = tried.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(won, 1, "{field}: {tried:?}");
    for lost in tried.iter().filter(|answer| answer.status != StatusCode::OK) {
        assert_eq!(lost.status, StatusCode::CONFLICT, "{}", lost.body);
        assert_eq!(lost.body["details"][0]["field"], field, "{}", lost.body);
    }
}

async fn names_are_unique(apps: &[App]) {
    let root = apps[0].admin().await;
    let tenant = apps[0].tenant().await;
    for round in 0..3 {
        let users = |user: fn(usize, usize) -> Value| {
            let root = &root;
            join_all(
                (0..WRITERS)
                    .map(move |n| async move { apps[n % apps.len()].post("/users", root, user(n, round)).await }),
            )
        };
        let tried = users(|_, round| json!({"username": format!("wanted-{round}"), "password": PASSWORD})).await;
        assert_one_won(&tried, "username");
        // Addresses that differ only in case are the same.
        let tried = users(|n, round| {
            let address = format!("wanted-{round}@example.test");
            let address = if n % 2 == 0 { address } else { address.to_uppercase() };
            json!({"username": new_name("u"), "password": PASSWORD, "email": address})
        })
        .await;
        assert_one_won(&tried, "email");
        let root = &root;
        let tried = join_all((0..WRITERS).map(|n| async move {
            let body = json!({"name": "n", "namespace": format!("wanted-{round}")});
            apps[n % apps.len()].post("/organizations", root, body).await
        }))
        .await;
        assert_one_won(&tried, "namespace");
    }
    // Existing users change to the same name or address.
    let people: Vec<Person> = join_all((0..WRITERS).map(|_| apps[0].person(&tenant.id, "member"))).await;
    for (change, field) in
        [(json!({"username": "renamed"}), "username"), (json!({"email": "renamed@example.test"}), "email")]
    {
        let tried = join_all(people.iter().enumerate().map(|(n, person)| {
            let (root, change) = (&root, change.clone());
            async move { apps[n % apps.len()].patch(&format!("/users/{}", person.id), root, change).await }
        }))
        .await;
        assert_one_won(&tried, field);
    }
}

#[tokio::test]
async fn names_addresses_and_namespaces_are_unique() {
    names_are_unique(&[quiet().await]).await;
}

#[tokio::test]
async fn names_addresses_and_namespaces_are_unique_through_two_replicas() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    names_are_unique(&two_replicas(&etcd).await).await;
}

#[tokio::test]
async fn an_object_in_use_is_not_deleted_and_the_error_names_what_uses_it() {
    let app = quiet().await;
    let tenant = app.tenant().await;
    let root = app.admin().await;
    let (token, member) = (&*tenant.admin.token, &tenant.member);
    let mut clusters = Vec::new();
    for _ in 0..5 {
        clusters.push(app.cluster(&tenant.provisioner, member).await);
    }
    let assert_in_use = async |path: &str, objects: &[String]| {
        let refused = app.delete(path, &root).await;
        assert_eq!((refused.status, &refused.body["error"]), (StatusCode::CONFLICT, &json!("conflict")), "{path}");
        let mut named: Vec<_> = refused.body["details"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["field"].as_str().unwrap().to_owned())
            .collect();
        let mut objects = objects.to_vec();
        named.sort();
        objects.sort();
        assert_eq!(named, objects, "{path}");
        refused.body["description"].as_str().unwrap().to_owned()
    };
    let references: Vec<String> = clusters.iter().map(|id| format!("Cluster:{id}")).collect();
    let description = assert_in_use(&format!("/provisioners/{}", tenant.provisioner), &references).await;
    let first = app.get(&format!("/clusters/{}", clusters[0]), token).await.ok()["name"].as_str().unwrap().to_owned();
    assert!(description.contains(&first) && description.contains("and others"), "{description}");
    assert_in_use(&format!("/users/{}", member.id), &references).await;
    assert_in_use(&format!("/users/{}", tenant.admin.id), &[format!("Provisioner:{}", tenant.provisioner)]).await;
    let mut everything = references;
    everything.push(format!("Provisioner:{}", tenant.provisioner));
    everything.extend([&tenant.admin.id, &member.id].map(|id| format!("User:{id}")));
    let organization = format!("/organizations/{}", tenant.id);
    assert_in_use(&organization, &everything).await;
    let deletable = app.get(&format!("{organization}/deletable"), &root).await.ok();
    assert_eq!(
        (&deletable["deletable"], deletable["remaining"].as_array().unwrap().len()),
        (&json!(false), everything.len())
    );
    // A user who owns something cannot be moved either.
    let home = app.get("/users/whoami", &root).await.ok()["organization"]["id"].as_str().unwrap().to_owned();
    let moved = app
        .patch(&format!("/users/{}", member.id), &root, json!({"organization": format!("Organization:{home}")}))
        .await;
    assert_eq!(moved.status, StatusCode::CONFLICT, "{}", moved.body);

    for cluster in &clusters {
        app.delete(&format!("/clusters/{cluster}"), token).await.ok();
    }
    app.delete(&format!("/provisioners/{}", tenant.provisioner), token).await.ok();
    for user in [&member.id, &tenant.admin.id] {
        app.delete(&format!("/users/{user}"), &root).await.ok();
    }
    let deletable = app.get(&format!("{organization}/deletable"), &root).await.ok();
    assert_eq!(deletable, json!({"deletable": true, "remaining": []}));
    app.delete(&organization, &root).await.ok();
}

/// The only two superadmins remove each other at the same time.
async fn one_superadmin_remains(apps: &[App]) {
    let (one, other) = (&apps[0], &apps[apps.len() - 1]);
    let root = one.admin().await;
    let home = one.get("/users/whoami", &root).await.ok();
    let organization = home["organization"]["id"].as_str().unwrap().to_owned();
    let mut pair = [one.person(&organization, "superadmin").await, one.person(&organization, "superadmin").await];
    one.patch(&format!("/users/{}", home["id"].as_str().unwrap()), &pair[0].token, json!({"active": false})).await.ok();
    for round in 0..24 {
        let (ann, bob) = (&pair[0], &pair[1]);
        let remove = async |app: &App, by: &Person, whom: &Person, how: usize| {
            let path = format!("/users/{}", whom.id);
            match how {
                0 => app.patch(&path, &by.token, json!({"role": "member"})).await,
                1 => app.patch(&path, &by.token, json!({"active": false})).await,
                _ => app.delete(&path, &by.token).await,
            }
        };
        let (bobs, anns) = tokio::join!(remove(one, ann, bob, round % 3), remove(other, bob, ann, (round / 3) % 3));
        let [won, lost] = if bobs.status == StatusCode::OK { [&bobs, &anns] } else { [&anns, &bobs] };
        assert_eq!(won.status, StatusCode::OK, "round {round}: {bobs:?} {anns:?}");
        // The loser's token is invalid by then, or the request is rejected.
        assert!(matches!(lost.status.as_u16(), 401 | 403 | 404 | 409), "round {round}: {lost:?}");
        let remaining = if bobs.status == StatusCode::OK { 0 } else { 1 };
        let me = one.get("/users/whoami", &pair[remaining].token).await.ok();
        assert_eq!((&me["role"], &me["active"]), (&json!("superadmin"), &json!(true)), "round {round}");
        pair[1 - remaining] = one.person_by(&organization, "superadmin", &pair[remaining].token).await;
    }
    // The last superadmin cannot step down either.
    let last = &pair[0];
    one.delete(&format!("/users/{}", pair[1].id), &last.token).await.ok();
    for change in [json!({"role": "admin"}), json!({"active": false})] {
        let refused = one.patch(&format!("/users/{}", last.id), &last.token, change).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
        assert!(refused.body["description"].as_str().unwrap().contains("last active superadmin"));
    }
}

#[tokio::test]
async fn one_of_two_superadmins_always_remains() {
    one_superadmin_remains(&[quiet().await]).await;
}

#[tokio::test]
async fn one_of_two_superadmins_always_remains_through_two_replicas() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    one_superadmin_remains(&two_replicas(&etcd).await).await;
}

#[tokio::test]
async fn a_new_password_invalidates_older_tokens_on_every_replica_at_once() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let [one, other] = two_replicas(&etcd).await;
    let tenant = one.tenant().await;
    let member = &tenant.member;
    let mut password = PASSWORD.to_owned();
    for round in 0..10 {
        let (writer, reader) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let tokens =
            [writer.log_in(&member.username, &password).await, reader.log_in(&member.username, &password).await];
        let by = if round % 3 == 0 { &tenant.admin.token } else { &tokens[0] };
        let old = std::mem::replace(&mut password, format!("password number {round}"));
        writer.patch(&format!("/users/{}/updatepw", member.id), by, json!({"password": password})).await.ok();
        for app in [reader, writer] {
            for token in &tokens {
                assert_eq!(app.get("/users/whoami", token).await.status, StatusCode::UNAUTHORIZED, "round {round}");
            }
            let body = json!({"username": member.username, "password": old});
            assert_eq!(app.call(Method::POST, "/auth", None, Some(&body)).await.status, StatusCode::UNAUTHORIZED);
            app.log_in(&member.username, &password).await;
        }
    }
    one.log_in(ADMIN.0, ADMIN.1).await;
}

#[tokio::test]
async fn a_weakened_entity_tag_names_the_same_revision() {
    let app = quiet().await;
    let tenant = app.tenant().await;
    let token = &tenant.admin.token;
    for path in [format!("/provisioners/{}", tenant.provisioner), format!("/organizations/{}/policy", tenant.id)] {
        let body = if path.ends_with("/policy") { json!({"cluster:create": "IS_ADMIN"}) } else { json!({"name": "x"}) };
        let patch = async |tags: &str| with_if_match(&app, Method::PATCH, &path, token, tags, Some(&body)).await;
        let first = tag(&app.get(&path, token).await);
        let second = tag(&patch(&format!("W/{first}")).await);
        assert_ne!(first, second, "{path}");
        for stale in [format!("W/{first}"), "W/\"0\"".to_owned(), format!("w/{second}"), format!("W/{first}, {first}")]
        {
            assert_eq!(patch(&stale).await.status, StatusCode::PRECONDITION_FAILED, "{path} {stale}");
        }
        assert_eq!(patch(&format!("W/{first}, W/{second}")).await.status, StatusCode::OK, "{path}");
    }
    let (id, path) = (app.provisioner(&tenant.admin).await, |id: &str| format!("/provisioners/{id}"));
    let tag = tag(&app.get(&path(&id), token).await);
    assert_eq!(with_if_match(&app, Method::DELETE, &path(&id), token, "W/\"1\"", None).await.status, 412);
    assert_eq!(with_if_match(&app, Method::DELETE, &path(&id), token, &format!("W/{tag}"), None).await.status, 200);
}

#[tokio::test]
async fn if_match_counts_in_every_line_and_unreadable_values_are_rejected() {
    let app = quiet().await;
    let tenant = app.tenant().await;
    let (token, path) = (&tenant.admin.token, format!("/provisioners/{}", tenant.provisioner));
    let tag = tag(&app.get(&path, token).await);
    let patch = |lines: &[&[u8]]| {
        let mut request = app.request(Method::PATCH, &path, Some(token)).json(&json!({"name": "changed"}));
        for line in lines {
            request = request.header("if-match", *line);
        }
        read(request)
    };
    assert_eq!(patch(&[b"\"\xe4\""]).await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(patch(&[b"\"1\"", b"\"2\""]).await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(patch(&[b"\"1\"", tag.as_bytes()]).await.status, StatusCode::OK);
    let create = |keys: &[&[u8]]| {
        let body = json!({"name": new_name("p"), "engine": "kqueen.engines.ManualEngine"});
        let mut request = app.request(Method::POST, "/provisioners", Some(token)).json(&body);
        for key in keys {
            request = request.header("idempotency-key", *key);
        }
        read(request)
    };
    for keys in [&[&b"\xe4"[..]][..], &[b"one", b"two_replicas"]] {
        let refused = create(keys).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{keys:?}");
        assert_eq!(refused.body["details"][0]["field"], "Idempotency-Key");
    }
}
