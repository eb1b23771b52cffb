//! Every answer has the documented shape: no field more, none less, each of its type. All operations that answer JSON are called by a
//! superadmin, an admin, a member and without a token, with valid and invalid requests.

use std::{collections::BTreeSet, time::Duration};

use kqueen_tests::{
    document::{Document, Findings, Operation},
    fixture::{
        app::{ADMIN, Answer, App, Options, read},
        people::{PASSWORD, Tenant, new_cluster, new_name, new_provisioner},
        process::eventually,
        sse::Stream,
    },
};
use reqwest::Method;
use serde_json::{Value, json};

/// It answers with events, which are checked separately.
const EVENTS: &str = "event_stream";
/// Their answers depend on the live cluster; those of real clusters are checked elsewhere.
const LIVE: [&str; 2] = ["cluster_status", "cluster_topology"];
/// Deploying takes 20 s, and the reconciler observes the cluster every few seconds.
const PATIENCE: Duration = Duration::from_secs(180);

struct World {
    app: App,
    document: Document,
    operations: Vec<Operation>,
    findings: Findings,
    /// Operations that were answered with 200.
    answered: BTreeSet<String>,
    tenant: Tenant,
    root: String,
}

impl World {
    async fn start() -> Self {
        let app = App::start_with(Options::default().with("DEMO_ENABLED", "true")).await;
        let (tenant, root) = (app.tenant().await, app.admin().await);
        let document = Document::checked_in();
        let operations = document.operations().into_iter().filter(|operation| operation.id != EVENTS).collect();
        Self { app, document, operations, findings: Findings::default(), answered: BTreeSet::new(), tenant, root }
    }

    fn all_tokens(&self) -> [String; 3] {
        [self.root.clone(), self.tenant.admin.token.clone(), self.tenant.member.token.clone()]
    }

    /// Calls an operation and checks the answer against the document.
    async fn call(&mut self, id: &str, target: &str, query: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        let operation = self.operations.iter().find(|operation| operation.id == id).unwrap().clone();
        let path = operation.path.replace("{id}", target) + query;
        let answer = self.app.call(operation.method.clone(), &path, token, body.as_ref()).await;
        self.note(&operation, answer)
    }

    fn note(&mut self, operation: &Operation, answer: Answer) -> Answer {
        let status = answer.status.as_u16();
        assert_eq!(answer.headers["content-type"], "application/json", "{} {status}", operation.id);
        self.document.check(operation, status, &answer.body, &mut self.findings);
        if status == 200 {
            self.answered.insert(operation.id.clone());
        }
        answer
    }

    /// Calls an operation as the admin, which must succeed.
    async fn done(&mut self, id: &str, target: &str, body: Option<Value>) -> Value {
        let token = self.tenant.admin.token.clone();
        self.call(id, target, "", Some(&token), body).await.ok()
    }

    async fn done_by_root(&mut self, id: &str, target: &str, body: Option<Value>) -> Value {
        let token = self.root.clone();
        self.call(id, target, "", Some(&token), body).await.ok()
    }

    /// Reads every object through every GET operation, as every user.
    async fn read_everything(&mut self) {
        let mut targets = Vec::new();
        for kind in ["clusters", "provisioners", "users", "organizations"] {
            let all = if kind == "users" || kind == "organizations" { "" } else { "?all_namespaces=true" };
            let list = self.app.get(&format!("/{kind}{all}"), &self.root).await.ok();
            targets.extend(list.as_array().unwrap().iter().map(|it| (kind, text(&it["id"]).to_owned())));
        }
        for cluster in targets.iter().filter(|(kind, _)| *kind == "clusters").cloned().collect::<Vec<_>>() {
            let list = self.app.get(&format!("/clusters/{}/operations", cluster.1), &self.root).await.ok();
            targets.extend(list.as_array().unwrap().iter().map(|it| ("operations", text(&it["id"]).to_owned())));
        }
        let namespace = format!("?namespace={}", self.tenant.namespace);
        let parts = ["", "?offset=0", "?limit=1", "?all_namespaces=true", "?all_namespaces=true&offset=0", &namespace];
        let reads: Vec<_> =
            self.operations.iter().filter(|operation| operation.method == Method::GET).cloned().collect();
        for Operation { id, path, .. } in reads {
            let kind = path.split('/').nth(1).unwrap().to_owned();
            for token in self.all_tokens() {
                if path.contains("{id}") {
                    for (_, target) in targets.iter().filter(|(of, _)| *of == kind) {
                        self.call(&id, target, "", Some(&token), None).await;
                    }
                } else {
                    let parts = if id.ends_with("_list") || id.ends_with("_health") { &parts[..] } else { &parts[..1] };
                    for part in parts {
                        self.call(&id, "", part, Some(&token), None).await;
                    }
                }
            }
        }
    }

    /// Waits until the cluster is in that phase.
    async fn settled(&self, cluster: &str, phase: &str) {
        let path = format!("/clusters/{cluster}");
        let is_settled = || async { self.app.get(&path, &self.root).await.ok()["phase"] == phase };
        eventually(&format!("the cluster is {phase}"), PATIENCE, is_settled).await;
    }

    /// A cluster of the simulated provider that has resources.
    async fn with_resources(&mut self, provisioner: &str) -> Value {
        let cluster = self.done("cluster_create", "", Some(made(provisioner, "made"))).await;
        let path = format!("/operations/{}", text(&cluster["operation"]));
        let exists = || async {
            let operation = self.app.get(&path, &self.root).await.ok();
            !operation["resources"].as_array().unwrap().is_empty()
        };
        eventually("a resource exists", PATIENCE, exists).await;
        cluster
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

/// A cluster of the simulated provider.
fn made(provisioner: &str, name: &str) -> Value {
    let provisioner = format!("Provisioner:{provisioner}");
    json!({"name": new_name(name), "provisioner": provisioner, "metadata": {"node_count": 1, "note": "x"}})
}

/// A valid body, for operations that take one.
fn body(operation: &str, provisioner: &str) -> Option<Value> {
    let name = new_name("n");
    Some(match operation {
        "auth" => json!({"username": ADMIN.0, "password": ADMIN.1}),
        "cluster_create" => new_cluster(provisioner),
        "cluster_update" | "provisioner_update" | "organization_update" => json!({"name": name}),
        "cluster_resize" => json!({"node_count": 2}),
        "cluster_set_network_policy" => json!({"provider": "CALICO", "enabled": true}),
        "provisioner_create" => new_provisioner(),
        "organization_create" => json!({"name": name, "namespace": name, "policy": {"cluster:create": "IS_ADMIN"}}),
        "organization_policy_update" => json!({"cluster:create": null}),
        "user_create" => json!({"username": name, "password": PASSWORD, "email": format!("{name}@example.test")}),
        "user_update" => json!({"metadata": {"note": "x", "token": "t"}}),
        "user_update_password" => json!({"password": PASSWORD}),
        _ => return None,
    })
}

/// Invalid requests to every operation.
async fn invalid_requests(world: &mut World, provisioner: &str) {
    let nobody = "00000000-0000-4000-8000-000000000000";
    for operation in world.operations.clone() {
        let good = body(&operation.id, provisioner);
        for token in world.all_tokens() {
            if operation.path.contains("{id}") {
                world.call(&operation.id, nobody, "", Some(&token), good.clone()).await;
                world.call(&operation.id, "nonsense", "", Some(&token), good.clone()).await;
            }
        }
        let (root, member) = (world.root.clone(), world.tenant.member.token.clone());
        world.call(&operation.id, nobody, "", None, good.clone()).await;
        world.call(&operation.id, nobody, "?nonsense=1", Some(&root), good.clone()).await;
        if operation.id.ends_with("_list") || operation.id.ends_with("_health") {
            world.call(&operation.id, "", "?namespace=nonsense", Some(&root), None).await;
            world.call(&operation.id, "", "?all_namespaces=true", Some(&member), None).await;
        }
        if good.is_some() {
            world.call(&operation.id, nobody, "", Some(&root), Some(json!({"nonsense": 1}))).await;
            let path = operation.path.replace("{id}", nobody);
            for (kind, body) in [("application/json", "{"), ("text/plain", "{}")] {
                let request = world.app.request(operation.method.clone(), &path, Some(&root));
                let answer = read(request.header("content-type", kind).body(body)).await;
                world.note(&operation, answer);
            }
        }
    }
}

#[tokio::test]
async fn every_answer_is_as_the_document_says() {
    let mut world = World::start().await;
    let mut stream = Stream::open(&world.app, &world.tenant.admin.token).await;
    let admin = world.tenant.admin.id.clone();
    world.done("user_update", &admin, body("user_update", "")).await;
    let demo = json!({"name": "simulated", "engine": "kqueen.engines.DemoEngine", "parameters": {"quota": 1000}});
    let demo = text(&world.done("provisioner_create", "", Some(demo)).await["id"]).to_owned();
    let attached = world.tenant.provisioner.clone();
    world.call("auth", "", "", None, body("auth", "")).await.ok();

    // Clusters of all kinds: attached, owned by another user, being created, failing.
    let first = world.done("cluster_create", "", body("cluster_create", &attached)).await;
    world.done_by_root("cluster_create", "", body("cluster_create", &attached)).await;
    let deployed = text(&world.done("cluster_create", "", Some(made(&demo, "made"))).await["id"]).to_owned();
    let failing = text(&world.done("cluster_create", "", Some(made(&demo, "fail-"))).await["id"]).to_owned();
    world.read_everything().await;
    invalid_requests(&mut world, &attached).await;
    world.settled(&deployed, "OK").await;
    world.settled(&failing, "Error").await;
    world.read_everything().await;

    // A caller who may not see an object gets only its id and name.
    let organization = world.tenant.id.clone();
    let hidden = json!({"provisioner:get": "IS_SUPERADMIN", "user:get": "IS_OWNER"});
    world.done("organization_policy_update", &organization, Some(hidden)).await;
    world.read_everything().await;
    for rule in ["provisioner:get", "user:get"] {
        world.done("organization_policy_update", &organization, Some(json!({ rule: null }))).await;
        world.read_everything().await;
    }

    // Changes of clusters, and their orphans.
    let id = text(&first["id"]).to_owned();
    for change in ["cluster_update", "cluster_resize", "cluster_set_network_policy"] {
        let target = if change == "cluster_update" { &id } else { &deployed };
        let cluster = world.done(change, target, body(change, "")).await;
        if cluster["phase"] == "Updating" {
            world.read_everything().await;
            world.settled(&deployed, "OK").await;
        }
    }
    world.done("cluster_retry", &failing, None).await;
    let with_resources = world.with_resources(&demo).await;
    world.done("operation_cancel", text(&with_resources["operation"]), None).await;
    let mut orphans = Vec::new();
    for _ in 0..3 {
        let cluster = world.with_resources(&demo).await;
        orphans.push(world.done("cluster_forget", text(&cluster["id"]), None).await);
    }
    world.done("cluster_forget", &id, None).await;
    world.done("orphan_delete", text(&orphans[0]["orphan"]), None).await;
    world.done("orphan_ignore", text(&orphans[1]["orphan"]), None).await;
    world.read_everything().await;
    let stale = world.app.request(Method::PATCH, &format!("/clusters/{failing}"), Some(&world.root));
    let stale = read(stale.header("if-match", "\"1\"").json(&json!({"name": "x"}))).await;
    let update = world.operations.iter().find(|operation| operation.id == "cluster_update").unwrap().clone();
    assert_eq!(world.note(&update, stale).status, 412);

    // Changes and deletions of everything else.
    let provisioner = world.done("provisioner_create", "", body("provisioner_create", "")).await;
    let user = world.done("user_create", "", body("user_create", "")).await;
    let other = world.done_by_root("organization_create", "", body("organization_create", "")).await;
    for (id, target) in [
        ("cluster_delete", deployed.as_str()),
        ("provisioner_update", text(&provisioner["id"])),
        ("provisioner_delete", text(&provisioner["id"])),
        ("user_update", text(&user["id"])),
        ("user_update_password", text(&user["id"])),
        ("user_delete", text(&user["id"])),
    ] {
        world.done(id, target, body(id, "")).await;
    }
    world.done_by_root("organization_update", text(&other["id"]), body("organization_update", "")).await;
    world.done_by_root("organization_delete", text(&other["id"]), None).await;
    for (kind, target) in [("organization", &organization), ("provisioner", &demo), ("user", &admin)] {
        let root = world.root.clone();
        let in_use = world.call(&format!("{kind}_delete"), target, "", Some(&root), None).await;
        assert_eq!(in_use.status, 409);
    }

    // Events show objects in the same shape as answers.
    let mut checked = BTreeSet::new();
    while checked.len() < 3 {
        let event = stream.event().await;
        let schema = match &*event.name {
            "cluster" => "Cluster",
            "operation" => "Operation",
            "provisioner" => "ProvisionerView",
            other => panic!("unexpected event {other}"),
        };
        if event.data["action"] == "changed" {
            world.document.check_schema(schema, &event.data["object"], &mut world.findings);
            checked.insert(schema);
        }
    }

    assert!(world.findings.differences.is_empty(), "{:#?}", world.findings.differences);
    let unanswered: Vec<_> =
        world.operations.iter().filter(|operation| !world.answered.contains(&operation.id)).collect();
    assert!(unanswered.is_empty(), "{unanswered:#?}");
    let kept: Vec<_> = world.operations.iter().filter(|it| !LIVE.contains(&&*it.id)).cloned().collect();
    let unseen: Vec<_> = world.document.members(&kept).difference(&world.findings.seen).cloned().collect();
    assert!(unseen.is_empty(), "documented, but in no answer: {unseen:#?}");
}
