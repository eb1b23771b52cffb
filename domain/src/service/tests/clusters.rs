//! What is stored of clusters, and what is kept of their secrets.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::world::{Log, MAKING, World, caller, cluster, fields, fresh, kubeconfig, object, provisioner, status};
use crate::{
    cluster::{Cluster, Lifecycle, Phase},
    document::MASK,
    id::ClusterId,
    port::{
        engine::EngineRegistry,
        store::{Change, Claim, ClusterSecrets, Creation, MockClusterStore, MockFreshness, Revision, StoreError},
    },
    provisioner::{Check, Provisioner, ProvisionerPhase},
    secret::{Kubeconfig, SealedDocument},
    service::{
        clusters::{ClusterPatch, NewCluster, ShownKubeconfig},
        provisioners::Once,
    },
};

type Created = Log<(Cluster, ClusterSecrets, Option<Claim>)>;
type Written = Log<(Cluster, ClusterSecrets, Revision)>;

fn creating(created: &Created) -> MockClusterStore {
    let mut store = MockClusterStore::new();
    let created = created.clone();
    store.expect_create().returning(move |cluster, secrets, claim| {
        created.push((cluster.clone(), secrets, claim));
        Ok(Creation::New(Revision(77)))
    });
    store.expect_claimed().returning(|_| Ok(None));
    store
}

/// A store that is `busy` times changed by others before it accepts an update.
fn updating(mut busy: usize, written: &Written) -> MockClusterStore {
    let mut store = MockClusterStore::new();
    let written = written.clone();
    store.expect_update().returning(move |cluster, secrets, seen| {
        if busy > 0 {
            busy -= 1;
            return Err(StoreError::Conflict);
        }
        written.push((cluster.clone(), secrets, seen));
        Ok(Revision(seen.0 + 1))
    });
    store.expect_kubeconfig().returning(|_| Ok(Some(Kubeconfig::new("{}".into()))));
    store
}

fn attached(world: &World) -> NewCluster {
    NewCluster {
        name: "new".try_into().unwrap(),
        provisioner: world.provisioner,
        owner: None,
        metadata: None,
        kubeconfig: Some(kubeconfig("abc")),
    }
}

fn made(world: &World, metadata: Value) -> NewCluster {
    NewCluster {
        name: "new".try_into().unwrap(),
        provisioner: world.making,
        owner: None,
        metadata: Some(object(metadata)),
        kubeconfig: None,
    }
}

fn renamed() -> ClusterPatch {
    ClusterPatch { name: Some("other".try_into().unwrap()), ..ClusterPatch::default() }
}

fn kubeconfig_of(secrets: &ClusterSecrets) -> Option<&str> {
    match &secrets.kubeconfig {
        Change::Set(kubeconfig) => Some(kubeconfig.expose()),
        Change::Keep | Change::Remove => None,
    }
}

fn sealed(change: &Change<SealedDocument>) -> Option<Map<String, Value>> {
    match change {
        Change::Set(sealed) => Some(serde_json::from_str(sealed.expose()).unwrap()),
        Change::Keep | Change::Remove => None,
    }
}

#[tokio::test]
async fn an_attached_cluster_is_stored_as_ready_with_its_kubeconfig_apart() {
    let world = World::new();
    let created = Created::default();
    let clusters = world.clusters(creating(&created));
    let bob = &world.people.bob;
    let answer = clusters.create(&caller(bob), attached(&world), None).await.unwrap();
    let (stored, secrets, claim) = created.only();
    assert_eq!((&stored.lifecycle, stored.has_kubeconfig), (&Lifecycle::Ready, true));
    assert_eq!((stored.created_at, stored.changed_at), (world.now(), world.now()));
    assert_eq!((stored.owner, stored.organization, stored.provisioner), (bob.id, world.acme, world.provisioner));
    assert!(kubeconfig_of(&secrets).unwrap().contains("abc"));
    assert!(!format!("{stored:?}").contains("abc"), "the record itself holds no secret");
    assert_eq!(claim, None);
    assert_eq!((&answer.view.cluster.record, answer.view.cluster.revision), (&stored, Revision(77)));
    // Nobody has seen it answer yet.
    assert_eq!(answer.view.standing().phase, Phase::Deploying);
    assert!(matches!(answer.kubeconfig, Some(ShownKubeconfig::Present(_))));
}

#[tokio::test]
async fn a_kubeconfig_may_stand_at_the_top_or_in_the_metadata_as_object_or_text() {
    let world = World::new();
    let created = Created::default();
    let clusters = world.clusters(creating(&created));
    let bob = caller(&world.people.bob);
    let text = Value::from(kubeconfig("abc").to_string());
    let inside = |value: Value| Some(object(json!({"kubeconfig": value, "note": "mine"})));
    let rows = [
        (Some(kubeconfig("abc")), None),
        (Some(text.clone()), None),
        (None, inside(kubeconfig("abc"))),
        (None, inside(text)),
        (Some(json!({})), inside(kubeconfig("abc"))),
        (Some(kubeconfig("abc")), inside(json!(""))),
        (Some(kubeconfig("abc")), inside(kubeconfig("abc"))),
    ];
    for (top, metadata) in rows {
        let has_metadata = metadata.is_some();
        let new = NewCluster { kubeconfig: top, metadata, ..attached(&world) };
        clusters.create(&bob, new, None).await.unwrap();
        let (stored, secrets, _) = created.only();
        assert!(kubeconfig_of(&secrets).unwrap().contains("abc"));
        let metadata = stored.metadata.map(|document| document.to_map());
        assert_eq!(metadata, has_metadata.then(|| object(json!({"note": "mine"}))), "stored once, and not there");
    }
    let new = NewCluster { metadata: inside(kubeconfig("other")), ..attached(&world) };
    assert_eq!(fields(clusters.create(&bob, new, None).await)[0].0, "metadata.kubeconfig");
}

#[tokio::test]
async fn a_kubeconfig_that_is_due_or_not_acceptable_is_said_of_the_field() {
    let world = World::new();
    let clusters = world.clusters(MockClusterStore::new());
    let bob = caller(&world.people.bob);
    let mut denied = kubeconfig("abc");
    denied["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:6443");
    for given in [None, Some(json!({})), Some(json!(MASK)), Some(json!("nonsense")), Some(json!(7)), Some(denied)] {
        let what = format!("{given:?}");
        let new = NewCluster { kubeconfig: given, ..attached(&world) };
        assert!(fields(clusters.create(&bob, new, None).await)[0].0.starts_with("kubeconfig"), "{what}");
    }
}

#[tokio::test]
async fn a_cluster_to_be_made_is_checked_against_its_engine_and_stored_as_deploying() {
    let world = World::new();
    let created = Created::default();
    let clusters = world.clusters(creating(&created));
    let bob = caller(&world.people.bob);
    let given = json!({"node_count": "3", "admin_password": "hunter2", "extra": {"deep": {"token": "abc"}}});
    clusters.create(&bob, made(&world, given), None).await.unwrap();
    let (stored, secrets, _) = created.only();
    assert_eq!((&stored.lifecycle, stored.has_kubeconfig), (&Lifecycle::Deploying, false));
    let shown = json!({"node_count": 3, "admin_password": MASK, "extra": {"deep": {"token": MASK}}});
    assert_eq!(stored.metadata.unwrap().to_map(), object(shown));
    let whole = json!({"node_count": 3, "admin_password": "hunter2", "extra": {"deep": {"token": "abc"}}});
    assert_eq!(sealed(&secrets.metadata), Some(object(whole)));
    assert!(kubeconfig_of(&secrets).is_none());
    for (wrong, field) in [
        (json!({"node_count": 0}), "metadata.node_count"),
        (json!({"node_count": "many"}), "metadata.node_count"),
        (json!({"admin_password": MASK}), "metadata.admin_password"),
    ] {
        assert_eq!(fields(clusters.create(&bob, made(&world, wrong), None).await)[0].0, field);
    }
}

#[tokio::test]
async fn a_provisioner_that_is_not_well_makes_nothing_and_says_why() {
    let world = World::new();
    let clusters = world.clusters(MockClusterStore::new());
    for phase in [ProvisionerPhase::Failed, ProvisionerPhase::NotReachable] {
        let broken = provisioner("broken", MAKING, &world.people.ada);
        let check = Check { phase, reason: "the password is wrong".into(), at: world.now() };
        let broken = Provisioner { check, ..broken };
        let new = NewCluster { provisioner: broken.id, ..made(&world, json!({})) };
        world.put_provisioner(broken);
        let got = clusters.create(&caller(&world.people.bob), new, None).await;
        assert_eq!(status(&got), 409);
        assert!(got.unwrap_err().to_string().contains("the password is wrong"));
    }
}

fn once(key: &str, fingerprint: u8) -> Option<Once> {
    Some(Once { key: key.into(), fingerprint: [fingerprint; 32] })
}

#[tokio::test]
async fn a_key_is_claimed_for_the_caller_and_a_repeat_answers_as_the_first_did() {
    let world = World::new();
    let created = Created::default();
    let bob = &world.people.bob;
    world.clusters(creating(&created)).create(&caller(bob), attached(&world), once("k", 1)).await.unwrap();
    let claim = created.only().2.unwrap();
    let expected = Claim { caller: bob.id, key: "k".into(), fingerprint: [1; 32], at: world.now() };
    assert_eq!(claim, expected);

    let first = cluster("first", world.provisioner, bob);
    let mut store = MockClusterStore::new();
    let answer = first.clone();
    store.expect_claimed().times(1).returning(|_| Ok(None));
    let claimed = first.clone();
    store.expect_claimed().returning(move |_| Ok(Some((claimed.clone(), [1; 32]))));
    store
        .expect_create()
        .times(1)
        .returning(move |_, _, _| Ok(Creation::Repeated { first: answer.clone(), fingerprint: [1; 32] }));
    let clusters = world.clusters(store);
    let repeated = clusters.create(&caller(bob), attached(&world), once("k", 1)).await.unwrap();
    assert_eq!(repeated.view.cluster.record, first);
    assert!(matches!(repeated.kubeconfig, Some(ShownKubeconfig::Present(_))));
    assert_eq!(status(&clusters.create(&caller(bob), attached(&world), once("k", 2)).await), 409);
    // Also when the same request would be refused by now.
    let refused = NewCluster { provisioner: world.foreign_provisioner, ..attached(&world) };
    let repeated = clusters.create(&caller(bob), refused, once("k", 1)).await.unwrap();
    assert_eq!(repeated.view.cluster.record, first);
}

#[tokio::test]
async fn a_reference_that_went_meanwhile_is_said_as_if_it_had_never_been() {
    let world = World::new();
    let mut store = MockClusterStore::new();
    store.expect_create().returning(|_, _, _| Err(StoreError::Dangling { field: "provisioner" }));
    let clusters = world.clusters(store);
    let bob = caller(&world.people.bob);
    let gone = clusters.create(&bob, attached(&world), None).await;
    let foreign = NewCluster { provisioner: world.foreign_provisioner, ..attached(&world) };
    assert_eq!(fields(gone), fields(clusters.create(&bob, foreign, None).await));
}

#[tokio::test]
async fn a_new_name_touches_no_secret() {
    let world = World::new();
    let written = Written::default();
    let clusters = world.clusters(updating(0, &written));
    let answer = clusters.update(&caller(&world.people.ann), world.cluster, renamed(), None).await.unwrap();
    let (stored, secrets, seen) = written.only();
    assert_eq!(stored.name.as_str(), "other");
    assert!(matches!((&secrets.kubeconfig, &secrets.metadata), (Change::Keep, Change::Keep)));
    assert_eq!(seen, world.catalog.cluster(world.cluster).unwrap().cluster.revision);
    assert_eq!((&answer.view.cluster.record, answer.view.cluster.revision), (&stored, Revision(seen.0 + 1)));
}

/// A cluster of ann with secrets in its metadata, and what is sealed of it.
fn with_secrets(world: &World) -> (ClusterId, SealedDocument) {
    let full = object(json!({"node_count": 3, "admin_password": "hunter2", "size": "small", "note": "old"}));
    let split = crate::document::split(full, &|path| path == ["admin_password"]);
    let cluster = Cluster { metadata: Some(split.shown), ..cluster("secret", world.making, &world.people.ann) };
    let id = cluster.id;
    world.put_cluster(cluster);
    (id, split.sealed.unwrap())
}

#[tokio::test]
async fn a_mask_sent_back_keeps_the_secret_and_null_removes() {
    let world = World::new();
    let (id, stored) = with_secrets(&world);
    let written = Written::default();
    let mut store = updating(0, &written);
    store.expect_metadata().returning(move |_| Ok(Some(stored.clone())));
    let clusters = world.clusters(store);
    let ann = caller(&world.people.ann);
    let patch = |metadata| ClusterPatch { metadata: Some(object(metadata)), ..ClusterPatch::default() };
    let changes = json!({"admin_password": MASK, "node_count": 5, "note": null});
    clusters.update(&ann, id, patch(changes), None).await.unwrap();
    let (cluster, secrets, _) = written.only();
    let shown = json!({"node_count": 5, "admin_password": MASK, "size": "small"});
    assert_eq!(cluster.metadata.unwrap().to_map(), object(shown));
    let whole = json!({"node_count": 5, "admin_password": "hunter2", "size": "small"});
    assert_eq!(sealed(&secrets.metadata), Some(object(whole)));
    assert!(matches!(secrets.kubeconfig, Change::Keep));
    // The secret itself removed: nothing stays sealed.
    clusters.update(&ann, id, patch(json!({"admin_password": null})), None).await.unwrap();
    assert!(matches!(written.only().1.metadata, Change::Remove));
    for (wrong, field) in
        [(json!({"node_count": -1}), "metadata.node_count"), (json!({"other_token": MASK}), "metadata.other_token")]
    {
        assert_eq!(fields(clusters.update(&ann, id, patch(wrong), None).await)[0].0, field);
    }
}

#[tokio::test]
async fn an_edit_is_made_again_on_what_others_have_made_of_the_record() {
    let world = Arc::new(World::new());
    let written = Written::default();
    let (mut freshness, others, mut rounds) = (MockFreshness::new(), world.clone(), 0);
    freshness.expect_caught_up().returning(move || {
        rounds += 1;
        let record = others.catalog.cluster(others.cluster).unwrap().cluster.record.clone();
        let changed_at = record.changed_at + TimeDelta::seconds(rounds);
        others.put_cluster(Cluster { lifecycle: Lifecycle::Updating, changed_at, ..record });
        Ok(())
    });
    let clusters = world.clusters_with(updating(2, &written), freshness);
    clusters.update(&caller(&world.people.ann), world.cluster, renamed(), None).await.unwrap();
    let (stored, _, seen) = written.only();
    let now = world.catalog.cluster(world.cluster).unwrap().cluster;
    assert_eq!((stored.name.as_str(), &stored.lifecycle), ("other", &Lifecycle::Updating));
    assert_eq!((stored.changed_at, seen), (now.record.changed_at, now.revision));
}

#[tokio::test]
async fn an_edit_that_never_gets_through_is_given_up() {
    let world = World::new();
    let written = Written::default();
    let mut store = updating(usize::MAX, &written);
    store.expect_delete().returning(|_, _| Err(StoreError::Conflict));
    let clusters = world.clusters(store);
    let ann = caller(&world.people.ann);
    assert_eq!(status(&clusters.update(&ann, world.cluster, renamed(), None).await), 409);
    assert_eq!(status(&clusters.delete(&ann, world.cluster, None).await), 409);
    assert_eq!(written.len(), 0);
}

#[tokio::test]
async fn a_record_that_moved_on_is_left_alone_when_the_caller_says_what_it_saw() {
    let world = Arc::new(World::new());
    let written = Written::default();
    let mut store = updating(0, &written);
    store.expect_delete().times(1).returning(|_, _| Ok(()));
    let clusters = world.clusters_with(store, fresh());
    let ann = caller(&world.people.ann);
    let now = world.catalog.cluster(world.cluster).unwrap().cluster.revision;
    let stale = Some(Revision(now.0 + 1));
    assert_eq!(status(&clusters.update(&ann, world.cluster, renamed(), stale).await), 412);
    assert_eq!(status(&clusters.delete(&ann, world.cluster, stale).await), 412);
    assert_eq!(written.len(), 0);
    assert_eq!(status(&clusters.update(&ann, world.cluster, renamed(), Some(now)).await), 200);
    assert_eq!(status(&clusters.delete(&ann, world.cluster, Some(now)).await), 200);
}

#[tokio::test]
async fn a_delete_that_was_overtaken_deletes_what_is_there_now() {
    let world = Arc::new(World::new());
    let seen: Log<Revision> = Log::default();
    let (mut store, log) = (MockClusterStore::new(), seen.clone());
    store.expect_delete().returning(move |_, revision| {
        log.push(revision);
        if log.len() < 3 { Err(StoreError::Conflict) } else { Ok(()) }
    });
    let (mut freshness, others) = (MockFreshness::new(), world.clone());
    freshness.expect_caught_up().returning(move || {
        others.put_cluster(others.catalog.cluster(others.cluster).unwrap().cluster.record.clone());
        Ok(())
    });
    let clusters = world.clusters_with(store, freshness);
    clusters.delete(&caller(&world.people.ann), world.cluster, None).await.unwrap();
    let seen = seen.take();
    assert!(seen.is_sorted_by(|a, b| a < b) && seen.len() == 3, "{seen:?}");
}

#[tokio::test]
async fn a_cluster_without_a_kubeconfig_says_so() {
    let world = World::new();
    let without = Cluster { has_kubeconfig: false, ..cluster("bare", world.making, &world.people.ann) };
    let id = without.id;
    world.put_cluster(without);
    let clusters = world.clusters(MockClusterStore::new());
    let ann = caller(&world.people.ann);
    assert!(matches!(clusters.show(&ann, id).await.unwrap().kubeconfig, Some(ShownKubeconfig::Absent)));
    let got = clusters.kubeconfig(&ann, id).await;
    assert_eq!(status(&got), 409);
    assert!(got.unwrap_err().to_string().contains("bare"));
}

#[tokio::test]
async fn without_its_engine_a_cluster_can_be_renamed_but_not_described_anew() {
    let world = World::new();
    let written = Written::default();
    let mut clusters = world.clusters(updating(0, &written));
    clusters.engines = EngineRegistry::default();
    let ann = caller(&world.people.ann);
    assert_eq!(status(&clusters.update(&ann, world.cluster, renamed(), None).await), 200);
    let patch = ClusterPatch { metadata: Some(object(json!({"a": 1}))), ..ClusterPatch::default() };
    assert_eq!(status(&clusters.update(&ann, world.cluster, patch, None).await), 409);
    assert_eq!(status(&clusters.resize(&ann, world.cluster, 3)), 409);
    assert_eq!(status(&clusters.create(&ann, attached(&world), None).await), 409);
}

#[test]
fn progress_is_told_where_it_is_known() {
    let world = World::new();
    let mut clusters = world.clusters(MockClusterStore::new());
    let ann = caller(&world.people.ann);
    let deploying = Cluster { lifecycle: Lifecycle::Deploying, ..cluster("made", world.making, &world.people.ann) };
    let id = deploying.id;
    world.put_cluster(deploying);
    let told = clusters.progress(&ann, world.cluster).unwrap();
    assert_eq!(told.percent, Some(100), "what is attached is whole from the start");
    let told = clusters.progress(&ann, id).unwrap();
    assert_eq!((told.percent, told.phase), (None, Phase::Deploying));
    // An engine that is not offered any more tells nothing, which is no fault of the cluster.
    clusters.engines = EngineRegistry::default();
    assert_eq!(clusters.progress(&ann, id).unwrap().percent, None);
}

#[tokio::test]
async fn a_new_kubeconfig_replaces_the_stored_one_and_its_mask_does_not() {
    let world = World::new();
    let written = Written::default();
    let mut store = updating(0, &written);
    store.expect_metadata().returning(|_| Ok(None));
    let clusters = world.clusters(store);
    let ann = caller(&world.people.ann);
    let top = |value| ClusterPatch { kubeconfig: Some(value), ..ClusterPatch::default() };
    let inside =
        |value: Value| ClusterPatch { metadata: Some(object(json!({"kubeconfig": value}))), ..ClusterPatch::default() };
    for patch in [top(kubeconfig("new")), inside(kubeconfig("new"))] {
        clusters.update(&ann, world.cluster, patch, None).await.unwrap();
        assert!(kubeconfig_of(&written.only().1).unwrap().contains("new"));
    }
    for patch in [top(json!({})), top(Value::Null), top(json!(MASK)), inside(json!(MASK))] {
        let what = format!("{patch:?}");
        let got = clusters.update(&ann, world.cluster, patch, None).await;
        assert_eq!(status(&got), 200, "{what}");
        assert!(matches!(written.only().1.kubeconfig, Change::Keep), "{what}");
    }
    assert_eq!(status(&clusters.update(&ann, world.cluster, top(json!("nonsense")), None).await), 422);
}
