//! Requests with a slow body: the sender's rights are those at the time when the whole body has arrived.

use kqueen_tests::fixture::{
    app::{App, Options},
    etcd::{Etcd, Options as EtcdOptions},
    people::{PASSWORD, Person, Tenant, new_cluster, new_name, new_provisioner},
    wire::{Reply, Wire},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// A request of which half the body has been sent.
struct Half {
    wire: Wire,
    rest: Vec<u8>,
}

impl Half {
    /// Sends the head, waits for `100 Continue`, which is sent once the caller is authenticated, and sends half of the body.
    async fn sent(app: &App, method: &Method, path: &str, token: &str, body: &Value, in_chunks: bool) -> Self {
        let body = body.to_string();
        let (start, rest) = body.split_at(body.len() / 2);
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let (length, start, rest) = if in_chunks {
            ("transfer-encoding: chunked".to_owned(), chunk(start), format!("{}0\r\n\r\n", chunk(rest)))
        } else {
            (format!("content-length: {}", body.len()), start.to_owned(), rest.to_owned())
        };
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: kqueen.test\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n{length}\r\n\r\n"
        );
        let mut wire = Wire::to(app).await;
        wire.send(head).await;
        let interim = wire.head().await.expect("the service asks for the body");
        assert_eq!(interim.status, 100, "{method} {path}");
        wire.send(start).await;
        Self { wire, rest: rest.into_bytes() }
    }

    /// Sends the other half and returns the reply.
    async fn finished(mut self) -> Reply {
        self.wire.send(&self.rest).await;
        self.wire.reply().await.expect("an answer")
    }
}

/// An organization with objects to act on, and an admin of it who owns nothing.
struct World {
    app: App,
    root: String,
    tenant: Tenant,
    cluster: String,
    actor: Person,
}

impl World {
    async fn new(options: Options) -> Self {
        let app = App::start_with(options).await;
        let (root, tenant) = (app.admin().await, app.tenant().await);
        let cluster = app.cluster(&tenant.provisioner, &tenant.member).await;
        let actor = app.person(&tenant.id, "admin").await;
        Self { app, root, tenant, cluster, actor }
    }

    /// Every operation that takes a body, with a valid body where possible.
    fn operations(&self) -> Vec<(Method, String, Value)> {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/kqueen.json")).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                if matches!(&**method, "get" | "delete") || path == "/auth" {
                    continue;
                }
                let id = match path.split('/').nth(1).unwrap() {
                    "clusters" => &self.cluster,
                    "provisioners" => &self.tenant.provisioner,
                    "organizations" => &self.tenant.id,
                    "users" => &self.tenant.member.id,
                    _ => NOBODY,
                };
                let body = self.body(operation["operationId"].as_str().unwrap());
                operations.push((method.to_uppercase().parse().unwrap(), path.replace("{id}", id), body));
            }
        }
        operations
    }

    fn body(&self, operation: &str) -> Value {
        let name = new_name("late");
        match operation {
            "cluster_create" => new_cluster(&self.tenant.provisioner),
            "cluster_update" | "provisioner_update" | "organization_update" => json!({"name": name}),
            "cluster_resize" => json!({"node_count": 3}),
            "cluster_set_network_policy" => json!({"provider": "CALICO", "enabled": true}),
            "provisioner_create" => new_provisioner(),
            "organization_create" => json!({"name": name, "namespace": name}),
            "organization_policy_update" => json!({"cluster:create": "IS_ADMIN"}),
            "user_create" => json!({"username": name, "password": PASSWORD}),
            "user_update" => json!({"email": format!("{name}@example.test")}),
            "user_update_password" => json!({"password": "a password of somebody else"}),
            _ => json!({}),
        }
    }

    /// All stored objects, without the fields that change by themselves.
    async fn stored(&self) -> Value {
        let mut stored = json!({});
        for kind in ["clusters", "provisioners", "organizations", "users"] {
            let items = self.app.get(&format!("/{kind}?all_namespaces=true"), &self.root).await.ok();
            let facts = |item: &Value| json!([item["id"], item["name"], item["username"], item["email"]]);
            stored[kind] = items.as_array().unwrap().iter().map(facts).collect();
        }
        stored["policy"] = self.app.get(&format!("/organizations/{}/policy", self.tenant.id), &self.root).await.ok();
        stored
    }

    async fn half_of(&self, app: &App, method: &Method, path: &str, body: &Value) -> Half {
        Half::sent(app, method, path, &self.actor.token, body, false).await
    }

    /// A half-sent request for every operation, by the actor.
    async fn halves(&self) -> Vec<(String, Half)> {
        let mut halves = Vec::new();
        for (n, (method, path, body)) in self.operations().into_iter().enumerate() {
            let half = Half::sent(&self.app, &method, &path, &self.actor.token, &body, n % 2 == 0).await;
            halves.push((format!("{method} {path}"), half));
        }
        assert!(halves.len() >= 15, "too few operations take a body");
        halves
    }
}

/// Asserts that every operation is rejected and changes nothing if `end` ends the sender's session before the last byte.
async fn assert_rejected_after(end: impl AsyncFn(&World)) {
    let world = World::new(Options::default()).await;
    let halves = world.halves().await;
    end(&world).await;
    let before = world.stored().await;
    let mut wrong = Vec::new();
    for (operation, half) in halves {
        let reply = half.finished().await;
        if reply.status != 401 {
            wrong.push(format!("{operation}: {} {}", reply.status, reply.json()));
            continue;
        }
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{operation}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(world.stored().await, before);
    world.app.log_in(&world.tenant.member.username, PASSWORD).await;
}

#[tokio::test]
async fn a_user_deactivated_before_the_last_byte_is_rejected() {
    assert_rejected_after(async |World { app, root, actor, .. }: &World| {
        app.patch(&format!("/users/{}", actor.id), root, json!({"active": false})).await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_user_deleted_before_the_last_byte_is_rejected() {
    assert_rejected_after(async |World { app, root, actor, .. }: &World| {
        app.delete(&format!("/users/{}", actor.id), root).await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_password_change_before_the_last_byte_invalidates_the_token() {
    assert_rejected_after(async |World { app, actor, .. }: &World| {
        let path = format!("/users/{}/updatepw", actor.id);
        app.patch(&path, &actor.token, json!({"password": "the next password"})).await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_user_demoted_before_the_last_byte_has_the_rights_of_the_new_role() {
    let world = World::new(Options::default()).await;
    let World { app, root, tenant, actor, .. } = &world;
    let own = format!("/users/{}", actor.id);
    let mut halves = Vec::new();
    for (method, path, body, status) in [
        (Method::POST, "/provisioners", new_provisioner(), 403),
        (Method::PATCH, &format!("/provisioners/{}", tenant.provisioner), json!({"name": "late"}), 403),
        (Method::POST, "/users", world.body("user_create"), 403),
        (Method::PATCH, &format!("/users/{}", tenant.member.id), json!({"active": false}), 403),
        (Method::PATCH, &format!("/organizations/{}/policy", tenant.id), json!({"user:create": "ALL"}), 403),
        (Method::POST, &format!("/clusters/{}/forget", world.cluster), json!({}), 403),
        (Method::PATCH, &own, json!({"email": "own@example.test"}), 200),
    ] {
        halves.push((path.to_owned(), status, world.half_of(app, &method, path, &body).await));
    }
    app.patch(&own, root, json!({"role": "member"})).await.ok();
    let policy = format!("/organizations/{}/policy", tenant.id);
    let before =
        (app.get(&policy, root).await.ok(), app.get("/provisioners", &tenant.admin.token).await.ok()[0].clone());
    for (path, status, half) in halves {
        let reply = half.finished().await;
        assert_eq!(reply.status, status, "{path}: {}", reply.json());
    }
    let after =
        (app.get(&policy, root).await.ok(), app.get("/provisioners", &tenant.admin.token).await.ok()[0].clone());
    assert_eq!((before.0, &before.1["id"], &before.1["name"]), (after.0, &after.1["id"], &after.1["name"]));
    assert_eq!(app.get(&format!("/users/{}", tenant.member.id), root).await.ok()["active"], true);
}

#[tokio::test]
async fn a_slow_body_is_accepted_while_the_session_is_valid() {
    let world = World::new(Options::default()).await;
    for in_chunks in [false, true] {
        let (method, body) = (Method::POST, new_provisioner());
        let half = Half::sent(&world.app, &method, "/provisioners", &world.actor.token, &body, in_chunks).await;
        let reply = half.finished().await;
        assert_eq!((reply.status, &reply.json()["name"]), (200, &body["name"]));
    }
}

#[tokio::test]
async fn a_deletion_does_not_wait_for_a_body() {
    let world = World::new(Options::default()).await;
    let mut wire = Wire::to(&world.app).await;
    let (id, token) = (&world.cluster, &world.root);
    wire.send(format!(
        "DELETE /api/v1/clusters/{id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 9\r\n\r\n{{"
    ))
    .await;
    assert_eq!(wire.reply().await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_user_deactivated_on_another_replica_before_the_last_byte_is_rejected() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let options = Options::default().on_etcd(&etcd, "/slow-bodies");
    let world = World::new(options.clone()).await;
    let other = App::start_with(options).await;
    let World { app, root, actor, .. } = &world;
    for round in 0..5 {
        let (one, two) = if round % 2 == 0 { (app, &other) } else { (&other, app) };
        let actor = one.person(&world.tenant.id, "admin").await;
        let body = new_provisioner();
        let half = Half::sent(two, &Method::POST, "/provisioners", &actor.token, &body, false).await;
        one.patch(&format!("/users/{}", actor.id), root, json!({"active": false})).await.ok();
        half.finished().await.is_error(401);
        let listed = two.get("/provisioners?all_namespaces=true", root).await.ok().to_string();
        assert!(!listed.contains(body["name"].as_str().unwrap()), "{listed}");
    }
    assert_eq!(other.get("/users/whoami", &actor.token).await.status, StatusCode::OK, "other users are not affected");
}
