//! Every operation of the API with every kind of caller.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use kqueen_tests::fixture::{
    app::{ADMIN, App, Options},
    people::{PASSWORD, Person, Tenant, new_cluster, new_name, new_provisioner},
    process::eventually,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The object that a path's id or a body refers to. It is created anew for every case.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Target {
    Nothing,
    /// A cluster of the tenant, owned by the owner.
    Cluster,
    /// An unused provisioner of the tenant.
    Provisioner,
    /// The tenant.
    Organization,
    /// A member of the tenant; the owner is that user.
    User,
    /// A running operation on a cluster of the owner.
    Operation,
    /// An orphan of a forgotten cluster of the owner.
    Orphan,
}

use Target::{Cluster, Nothing, Operation, Organization, Orphan, Provisioner, User};

/// Statuses for a member, the owner (a member as well), an admin, an admin of another organization, and a superadmin.
type Expected = [u16; 5];
const EVERYBODY: Expected = [200; 5];
/// What members of the organization may see.
const INSIDERS: Expected = [200, 200, 200, 404, 200];
/// What owners and admins may do.
const OWNERS: Expected = [403, 200, 200, 404, 200];
/// What admins may do.
const ADMINS: Expected = [403, 403, 200, 404, 200];

/// What admins may do with what members do not see.
const HIDDEN: Expected = [404, 404, 200, 404, 200];

struct Row(&'static str, Target, Expected);

/// Operations that need no token.
const OPEN: [&str; 5] = ["index", "health", "ready", "swagger", "auth"];

const TABLE: &[Row] = &[
    Row("index", Nothing, EVERYBODY),
    Row("health", Nothing, EVERYBODY),
    Row("ready", Nothing, EVERYBODY),
    Row("swagger", Nothing, EVERYBODY),
    Row("auth", Nothing, EVERYBODY),
    Row("configuration_auth", Nothing, EVERYBODY),
    Row("cluster_list", Nothing, EVERYBODY),
    // A provisioner of another organization counts as missing.
    Row("cluster_create", Provisioner, [200, 200, 200, 422, 200]),
    Row("cluster_health", Nothing, EVERYBODY),
    Row("cluster_get", Cluster, INSIDERS),
    Row("cluster_update", Cluster, OWNERS),
    Row("cluster_delete", Cluster, OWNERS),
    // Nothing listens at the cluster's address.
    Row("cluster_status", Cluster, [502, 502, 502, 404, 502]),
    Row("cluster_topology", Cluster, [502, 502, 502, 404, 502]),
    Row("cluster_kubeconfig", Cluster, INSIDERS),
    Row("cluster_progress", Cluster, INSIDERS),
    // Allowed, but not supported by the engine.
    Row("cluster_resize", Cluster, [403, 409, 409, 404, 409]),
    Row("cluster_set_network_policy", Cluster, [403, 409, 409, 404, 409]),
    Row("cluster_retry", Cluster, [403, 409, 409, 404, 409]),
    Row("cluster_forget", Cluster, ADMINS),
    Row("cluster_timeline", Cluster, INSIDERS),
    Row("operation_list", Cluster, INSIDERS),
    Row("operation_get", Operation, INSIDERS),
    Row("operation_cancel", Operation, OWNERS),
    // The other admin lists those of their organization, which has none.
    Row("orphan_list", Nothing, [403, 403, 200, 200, 200]),
    Row("orphan_delete", Orphan, HIDDEN),
    Row("orphan_ignore", Orphan, HIDDEN),
    Row("event_stream", Nothing, EVERYBODY),
    Row("provisioner_list", Nothing, EVERYBODY),
    // The other admin creates one in their organization.
    Row("provisioner_create", Nothing, [403, 403, 200, 200, 200]),
    Row("engine_list", Nothing, EVERYBODY),
    Row("provisioner_health", Nothing, EVERYBODY),
    Row("provisioner_form", Provisioner, INSIDERS),
    Row("provisioner_get", Provisioner, INSIDERS),
    Row("provisioner_update", Provisioner, ADMINS),
    Row("provisioner_delete", Provisioner, ADMINS),
    Row("organization_list", Nothing, EVERYBODY),
    Row("organization_create", Nothing, [403, 403, 403, 403, 200]),
    Row("organization_get", Organization, INSIDERS),
    Row("organization_update", Organization, [403, 403, 403, 404, 200]),
    // Allowed, but the organization still has users.
    Row("organization_delete", Organization, [403, 403, 403, 404, 409]),
    Row("organization_policy_get", Organization, INSIDERS),
    Row("organization_policy_update", Organization, ADMINS),
    Row("organization_deletable", Organization, [403, 403, 403, 404, 200]),
    Row("user_list", Nothing, EVERYBODY),
    Row("user_create", Nothing, [403, 403, 200, 200, 200]),
    Row("user_whoami", Nothing, EVERYBODY),
    Row("user_get", User, INSIDERS),
    Row("user_update", User, OWNERS),
    // Nobody deletes their own account, and members delete nobody.
    Row("user_delete", User, ADMINS),
    Row("user_update_password", User, OWNERS),
];

/// Method and path of each operation of the checked-in document.
fn operations() -> Vec<(String, Method, String)> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/kqueen.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            operations.push((id, method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    operations
}

fn body(operation: &str, target: &str) -> Option<Value> {
    let name = new_name("n");
    Some(match operation {
        "auth" => json!({"username": ADMIN.0, "password": ADMIN.1}),
        "cluster_create" => new_cluster(target),
        "cluster_update" | "provisioner_update" | "organization_update" => json!({"name": name}),
        "cluster_resize" => json!({"node_count": 3}),
        "cluster_set_network_policy" => json!({"provider": "CALICO", "enabled": true}),
        "provisioner_create" => new_provisioner(),
        "organization_create" => json!({"name": name, "namespace": name}),
        "organization_policy_update" => json!({"cluster:create": null}),
        "user_create" => json!({"username": name, "password": PASSWORD}),
        "user_update" => json!({"email": format!("{name}@example.test")}),
        "user_update_password" => json!({"password": PASSWORD}),
        _ => return None,
    })
}

/// One caller of each kind. The owner owns the target where possible.
struct Callers<'a> {
    app: &'a App,
    tenant: Tenant,
    /// A provisioner of the tenant for the simulated provider.
    simulated: String,
    owner: Person,
    stranger: Person,
    superadmin: String,
}

impl Callers<'_> {
    /// A new target's id, and the owner's token.
    async fn target(&self, target: Target) -> (String, String) {
        match target {
            Nothing => (String::new(), self.owner.token.clone()),
            Cluster => (self.app.cluster(&self.tenant.provisioner, &self.owner).await, self.owner.token.clone()),
            Provisioner => {
                let id = self.app.provisioner(&self.tenant.admin).await;
                let owner = json!({"owner": format!("User:{}", self.owner.id)});
                self.app.patch(&format!("/provisioners/{id}"), &self.tenant.admin.token, owner).await.ok();
                (id, self.owner.token.clone())
            }
            Organization => (self.tenant.id.clone(), self.owner.token.clone()),
            Operation => {
                let cluster = self.deployed().await;
                (cluster["operation"].as_str().unwrap().to_owned(), self.owner.token.clone())
            }
            Orphan => (self.orphan().await, self.owner.token.clone()),
            User => {
                let user = self.app.person(&self.tenant.id, "member").await;
                (user.id, user.token)
            }
        }
    }
}

impl Callers<'_> {
    /// A cluster of the owner that is being created.
    async fn deployed(&self) -> Value {
        let provisioner = format!("Provisioner:{}", self.simulated);
        let body = json!({"name": new_name("made"), "provisioner": provisioner, "metadata": {"node_count": 1}});
        self.app.post("/clusters", &self.owner.token, body).await.ok()
    }

    /// The orphan of a cluster that was forgotten when it may have had resources.
    async fn orphan(&self) -> String {
        let cluster = self.deployed().await;
        let (id, operation) = (cluster["id"].as_str().unwrap(), cluster["operation"].as_str().unwrap());
        let path = format!("/operations/{operation}");
        let may_exist = || async {
            let operation = self.app.get(&path, &self.owner.token).await.ok();
            !operation["resources"].as_array().unwrap().is_empty()
        };
        eventually("it is being created", Duration::from_secs(60), may_exist).await;
        let forget = format!("/clusters/{id}/forget");
        let forgotten = self.app.call(Method::POST, &forget, Some(&self.tenant.admin.token), None).await.ok();
        forgotten["orphan"].as_str().unwrap().to_owned()
    }
}

#[test]
fn the_table_has_every_operation_and_no_other() {
    let documented: BTreeSet<String> = operations().into_iter().map(|(id, ..)| id).collect();
    let expected: BTreeSet<String> = TABLE.iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(documented, expected);
}

#[tokio::test]
async fn every_caller_gets_the_status_in_the_table() {
    let app = App::start_with(Options::default().with("DEMO_ENABLED", "true")).await;
    let (tenant, elsewhere) = (app.tenant().await, app.tenant().await);
    let owner = app.person(&tenant.id, "member").await;
    let provisioner =
        json!({"name": "simulated", "engine": "kqueen.engines.DemoEngine", "parameters": {"quota": 1000}});
    let simulated = app.post("/provisioners", &tenant.admin.token, provisioner).await.id();
    let callers =
        Callers { app: &app, tenant, simulated, owner, stranger: elsewhere.admin, superadmin: app.admin().await };
    let mut wrong = Vec::new();
    for (id, method, path) in operations() {
        let Some(Row(_, target, expected)) = TABLE.iter().find(|row| row.0 == id) else { continue };
        let unauthenticated = if OPEN.contains(&&*id) { 200 } else { 401 };
        for column in 0..7 {
            let (target, owner) = callers.target(*target).await;
            let (who, token, expected) = match column {
                0 => ("nobody", None, unauthenticated),
                1 => ("a garbage token", Some("garbage"), unauthenticated),
                2 => ("a member", Some(&*callers.tenant.member.token), expected[0]),
                3 => ("the owner", Some(&*owner), expected[1]),
                4 => ("an admin", Some(&*callers.tenant.admin.token), expected[2]),
                5 => ("an admin of another organization", Some(&*callers.stranger.token), expected[3]),
                _ => ("a superadmin", Some(&*callers.superadmin), expected[4]),
            };
            let answer =
                app.call(method.clone(), &path.replace("{id}", &target), token, body(&id, &target).as_ref()).await;
            if answer.status.as_u16() != expected {
                wrong.push(format!("{id} by {who}: {} instead of {expected}: {}", answer.status, answer.body));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn an_expired_token_is_rejected() {
    let app = App::start_with(Options::default().with("JWT_EXPIRATION_DELTA", "1s")).await;
    let token = app.admin().await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while app.get("/users/whoami", &token).await.status == StatusCode::OK {
        assert!(Instant::now() < deadline, "the token does not expire");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (id, method, path) in operations() {
        let expected = if OPEN.contains(&&*id) { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        let answer = app.call(method, &path.replace("{id}", nobody), Some(&token), body(&id, nobody).as_ref()).await;
        assert_eq!(answer.status, expected, "{id}: {}", answer.body);
    }
}
