//! Changes of clusters: what is stored, and how their secrets are kept.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

use super::{
    doubles::{Log, MAKING, descriptor, fields, fresh, kubeconfig, kubeconfig_of, object, sealed, status},
    kept::EventLog,
    provider::{Provider, able},
    world::{World, caller, cluster},
};
use crate::{
    catalog::ClusterView,
    cluster::{Cluster, Lifecycle, Phase},
    document::MASK,
    id::ClusterId,
    observation::{ObservedStatus, ProviderStatus},
    port::{
        engine::{Capabilities, EngineRegistry, MockEngine},
        store::{ClusterSecrets, MockClusterStore, MockReadBarrier, RecordChange, SecretUpdate, StoreError},
    },
    reason::{Reason, ReasonCode, Responsible},
    revision::Revision,
    secret::{Kubeconfig, SecretDocument},
    service::clusters::{ClusterPatch, NewCluster, ShownKubeconfig},
};

type Written = Log<(Cluster, ClusterSecrets, Revision)>;

/// A store that answers with `conflicts` conflicts before it accepts an update.
fn updating(mut conflicts: usize, written: &Written) -> MockClusterStore {
    let mut store = MockClusterStore::new();
    let written = written.clone();
    store.expect_update().returning(move |cluster, secrets, expected| {
        if conflicts > 0 {
            conflicts -= 1;
            return Err(StoreError::Conflict);
        }
        written.push((cluster.clone(), secrets, expected));
        Ok(Revision(expected.0 + 1))
    });
    store.expect_kubeconfig().returning(|_| Ok(Some(Kubeconfig::new("{}".into()))));
    store
}

fn renamed() -> ClusterPatch {
    ClusterPatch { name: Some("other".try_into().unwrap()), ..ClusterPatch::default() }
}

#[tokio::test]
async fn renaming_keeps_the_secrets() {
    let world = World::new();
    let written = Written::default();
    let clusters = world.clusters(updating(0, &written));
    let answer = clusters.update(&caller(&world.people.ann), world.cluster, renamed(), None).await.unwrap();
    let (stored, secrets, expected) = written.only();
    assert_eq!(stored.name.as_str(), "other");
    assert!(matches!((&secrets.kubeconfig, &secrets.metadata), (SecretUpdate::Keep, SecretUpdate::Keep)));
    assert_eq!(expected, world.catalog.cluster(world.cluster).unwrap().cluster.revision);
    assert_eq!((&answer.view.cluster.record, answer.view.cluster.revision), (&stored, Revision(expected.0 + 1)));
}

#[tokio::test]
async fn a_patch_that_changes_nothing_is_not_written() {
    let world = World::new();
    let (id, stored) = with_secrets(&world, Lifecycle::Ready);
    let written = Written::default();
    let mut store = updating(0, &written);
    store.expect_metadata().returning(move |_| Ok(Some(stored.clone())));
    let clusters = world.clusters(store);
    let ann = caller(&world.people.ann);
    let before = clusters.get(&ann, id).unwrap();
    let same = ClusterPatch {
        name: Some(before.cluster.record.name.clone()),
        owner: Some(world.people.ann.id),
        metadata: Some(object(json!({"node_count": 3, "admin_password": MASK, "gone": null}))),
        kubeconfig: None,
    };
    for patch in [ClusterPatch::default(), same] {
        let answer = clusters.update(&ann, id, patch, None).await.unwrap();
        assert!(Arc::ptr_eq(&answer.view.cluster, &before.cluster));
    }
    let unchanged = ClusterPatch { kubeconfig: Some(json!({}).into()), ..ClusterPatch::default() };
    clusters.update(&ann, world.cluster, unchanged, None).await.unwrap();
    assert_eq!(written.len(), 0);
    // It is refused like any other change.
    let stale = Some(Revision(before.cluster.revision.0 + 1));
    assert_eq!(status(&clusters.update(&ann, id, ClusterPatch::default(), stale).await), 412);
    let eve = caller(&world.people.eve);
    assert_eq!(status(&clusters.update(&eve, id, ClusterPatch::default(), None).await), 404);
}

/// A cluster of ann in the given state with secrets in its metadata, and its sealed document.
fn with_secrets(world: &World, lifecycle: Lifecycle) -> (ClusterId, SecretDocument) {
    let full = object(json!({"node_count": 3, "admin_password": "hunter2", "size": "small", "note": "old"}));
    let split = crate::document::split(&full, &|path| path == ["admin_password"]);
    let made = cluster("secret", world.making, &world.people.ann);
    let cluster = Cluster { metadata: Some(split.shown), lifecycle, ..made };
    let id = cluster.id;
    world.put_cluster(cluster);
    (id, split.sealed.unwrap())
}

/// A failed deployment: a retry deploys it again, so everything may still be changed.
fn broken() -> Lifecycle {
    Lifecycle::Failed {
        reason: Reason::new(ReasonCode::QuotaExceeded, "no room", Responsible::Requester, "ask for less"),
    }
}

#[tokio::test]
async fn parameters_of_an_existing_cluster_cannot_be_changed() {
    let fixed = "cannot be changed after the cluster has been created";
    let resize = "cannot be changed here: use PATCH /clusters/{id}/resize";
    let switch = "cannot be changed here: use PATCH /clusters/{id}/set_network_policy";
    let patch = |metadata: &Value| ClusterPatch { metadata: Some(object(metadata.clone())), ..ClusterPatch::default() };
    let refused = [
        (json!({"node_count": 5}), vec![("node_count", resize)]),
        (json!({"node_count": null}), vec![("node_count", resize)]),
        (json!({"network_policy": "CALICO"}), vec![("network_policy", switch)]),
        (json!({"size": "large", "admin_password": "other"}), vec![("admin_password", fixed), ("size", fixed)]),
        (json!({"size": null, "note": "new"}), vec![("size", fixed)]),
    ];
    let whole =
        json!({"node_count": "3", "admin_password": MASK, "size": " small ", "network_policy": "", "note": "new"});
    let allowed = [whole, json!({"note": null, "kept by": {"somebody": 1}}), json!({"node_count": 3})];
    for lifecycle in [Lifecycle::Deploying, Lifecycle::Ready, Lifecycle::Updating, Lifecycle::Destroying, broken()] {
        let world = World::new();
        let (id, stored) = with_secrets(&world, lifecycle.clone());
        let written = Written::default();
        let mut store = updating(0, &written);
        store.expect_metadata().returning(move |_| Ok(Some(stored.clone())));
        let mut clusters = world.clusters(store);
        let provider = Provider::new(&EventLog::default());
        provider.descriptor.set(able());
        clusters.engines = EngineRegistry::default().with(Arc::new(provider.engine()));
        let ann = caller(&world.people.ann);
        for (changes, expected) in &refused {
            let answer = clusters.update(&ann, id, patch(changes), None).await;
            if lifecycle == broken() {
                assert_eq!(status(&answer), 200, "{changes}");
                continue;
            }
            let mut expected: Vec<_> =
                expected.iter().map(|(name, message)| (format!("metadata.{name}"), (*message).to_owned())).collect();
            let mut found = fields(answer);
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{lifecycle:?} {changes}");
            assert_eq!(written.len(), 0);
        }
        written.take();
        for changes in &allowed {
            assert_eq!(status(&clusters.update(&ann, id, patch(changes), None).await), 200, "{lifecycle:?} {changes}");
            if *changes == json!({"node_count": 3}) {
                assert_eq!(written.len(), 0, "nothing changes");
                continue;
            }
            let sealed = sealed(&written.only().1.metadata).unwrap();
            assert_eq!(sealed.get("admin_password"), Some(&json!("hunter2")), "{changes}");
        }
        // Without the capability there is no other endpoint to name.
        provider.descriptor.set(descriptor(MAKING));
        if lifecycle == Lifecycle::Ready {
            clusters.engines = EngineRegistry::default().with(Arc::new(provider.engine()));
            let found = fields(clusters.update(&ann, id, patch(&json!({"node_count": 5})), None).await);
            assert_eq!(found, [("metadata.node_count".to_owned(), fixed.to_owned())]);
        }
    }
}

#[tokio::test]
async fn a_mask_keeps_the_secret_and_null_removes_it() {
    let world = World::new();
    let (id, stored) = with_secrets(&world, broken());
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
    assert!(matches!(secrets.kubeconfig, SecretUpdate::Keep));
    // Without the secret nothing stays sealed.
    clusters.update(&ann, id, patch(json!({"admin_password": null})), None).await.unwrap();
    assert!(matches!(written.only().1.metadata, SecretUpdate::Remove));
    for (wrong, field) in
        [(json!({"node_count": -1}), "metadata.node_count"), (json!({"other_token": MASK}), "metadata.other_token")]
    {
        assert_eq!(fields(clusters.update(&ann, id, patch(wrong), None).await)[0].0, field);
    }
}

#[tokio::test]
async fn a_new_kubeconfig_replaces_the_stored_one_and_a_mask_keeps_it() {
    let world = World::new();
    let written = Written::default();
    let mut store = updating(0, &written);
    store.expect_metadata().returning(|_| Ok(None));
    let clusters = world.clusters(store);
    let ann = caller(&world.people.ann);
    let top = |value: Value| ClusterPatch { kubeconfig: Some(value.into()), ..ClusterPatch::default() };
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
        assert_eq!(written.len(), 0, "nothing changes: {what}");
    }
    assert_eq!(status(&clusters.update(&ann, world.cluster, top(json!("nonsense")), None).await), 422);
}

#[tokio::test]
async fn an_update_is_retried_on_the_newest_record() {
    let world = Arc::new(World::new());
    let written = Written::default();
    let (mut read_barrier, others, mut rounds) = (MockReadBarrier::new(), world.clone(), 0);
    read_barrier.expect_caught_up().returning(move || {
        rounds += 1;
        let record = others.catalog.cluster(others.cluster).unwrap().cluster.record.clone();
        let changed_at = record.changed_at + TimeDelta::seconds(rounds);
        others.put_cluster(Cluster { lifecycle: Lifecycle::Updating, changed_at, ..record });
        Ok(())
    });
    let clusters = world.clusters_with(updating(2, &written), read_barrier);
    clusters.update(&caller(&world.people.ann), world.cluster, renamed(), None).await.unwrap();
    let (stored, _, expected) = written.only();
    let now = world.catalog.cluster(world.cluster).unwrap().cluster;
    assert_eq!((stored.name.as_str(), &stored.lifecycle), ("other", &Lifecycle::Updating));
    assert_eq!((stored.changed_at, expected), (now.record.changed_at, now.revision));
}

#[tokio::test]
async fn an_update_fails_after_too_many_conflicts() {
    let world = World::new();
    let written = Written::default();
    let mut store = updating(usize::MAX, &written);
    store.expect_commit().returning(|_, _, _| Err(StoreError::Conflict));
    let clusters = world.clusters(store);
    let ann = caller(&world.people.ann);
    assert_eq!(status(&clusters.update(&ann, world.cluster, renamed(), None).await), 409);
    assert_eq!(status(&clusters.delete(&ann, world.cluster, None).await), 409);
    assert_eq!(written.len(), 0);
}

#[tokio::test]
async fn a_stale_revision_is_refused() {
    let world = Arc::new(World::new());
    let written = Written::default();
    let mut store = updating(0, &written);
    store.expect_commit().times(1).returning(|_, _, _| Ok(Revision(99)));
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
async fn a_delete_is_retried_on_the_newest_revision() {
    let world = Arc::new(World::new());
    let revisions: Log<Revision> = Log::default();
    let (mut store, log) = (MockClusterStore::new(), revisions.clone());
    store.expect_commit().returning(move |_, record, _| {
        let RecordChange::Remove(revision) = record else { panic!("{record:?}") };
        log.push(revision);
        if log.len() < 3 { Err(StoreError::Conflict) } else { Ok(Revision(99)) }
    });
    let (mut read_barrier, others) = (MockReadBarrier::new(), world.clone());
    read_barrier.expect_caught_up().returning(move || {
        others.put_cluster(others.catalog.cluster(others.cluster).unwrap().cluster.record.clone());
        Ok(())
    });
    let clusters = world.clusters_with(store, read_barrier);
    clusters.delete(&caller(&world.people.ann), world.cluster, None).await.unwrap();
    let revisions = revisions.take();
    assert!(revisions.is_sorted_by(|a, b| a < b) && revisions.len() == 3, "{revisions:?}");
}

#[tokio::test]
async fn a_kubeconfig_is_shown_but_not_in_debug_output() {
    let world = World::new();
    let with = Cluster { has_kubeconfig: true, ..cluster("web", world.making, &world.people.ann) };
    let id = with.id;
    world.put_cluster(with);
    let mut store = MockClusterStore::new();
    store.expect_kubeconfig().times(1).returning(|_| Ok(Some(Kubeconfig::new("{\"a\":1}".into()))));
    let clusters = world.clusters(store);
    let shown = clusters.show(&caller(&world.people.ann), id).await.unwrap();
    assert!(matches!(&shown.kubeconfig, Some(ShownKubeconfig::Present(it)) if it.expose() == "{\"a\":1}"));
    assert!(format!("{shown:?}").contains("Kubeconfig(hidden)"));
}

#[tokio::test]
async fn a_missing_kubeconfig_is_reported() {
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
async fn without_its_engine_a_cluster_can_only_be_renamed() {
    let world = World::new();
    let written = Written::default();
    let mut clusters = world.clusters(updating(0, &written));
    clusters.engines = EngineRegistry::default();
    let ann = caller(&world.people.ann);
    assert_eq!(status(&clusters.update(&ann, world.cluster, renamed(), None).await), 200);
    let patch = ClusterPatch { metadata: Some(object(json!({"a": 1}))), ..ClusterPatch::default() };
    assert_eq!(status(&clusters.update(&ann, world.cluster, patch, None).await), 409);
    assert_eq!(status(&clusters.resize(&ann, world.cluster, 3, None).await), 409);
    let attached = NewCluster {
        name: "new".try_into().unwrap(),
        provisioner: world.provisioner,
        owner: None,
        metadata: None,
        kubeconfig: Some(kubeconfig("abc").into()),
    };
    assert_eq!(status(&clusters.create(&ann, attached, None).await), 409);
}

#[test]
fn progress_is_shown_where_it_is_known() {
    let world = World::new();
    let mut clusters = world.clusters(MockClusterStore::new());
    let ann = caller(&world.people.ann);
    let deploying = Cluster { lifecycle: Lifecycle::Deploying, ..cluster("made", world.making, &world.people.ann) };
    let id = deploying.id;
    world.put_cluster(deploying);
    let progress = clusters.progress(&ann, world.cluster).unwrap();
    assert_eq!(progress.percent, Some(100), "an attached cluster is complete from the start");
    let progress = clusters.progress(&ann, id).unwrap();
    assert_eq!((progress.percent, progress.phase), (None, Phase::Deploying));
    // The progress of the provider while the cluster is made, and once it is made and only the kubeconfig is missing.
    let able = Capabilities { progress: true, deploy: true, ..Capabilities::default() };
    let percent = |provider: Option<ProviderStatus>| {
        let view = ClusterView {
            observed: ObservedStatus::after(None, id, None, provider, DateTime::UNIX_EPOCH).map(Arc::new),
            ..world.catalog.cluster(id).unwrap()
        };
        view.progress(Phase::Deploying, Some(able))
    };
    assert_eq!(percent(None), Some(0));
    assert_eq!(
        percent(Some(ProviderStatus { progress: Some(40), node_count: Some(1), ..ProviderStatus::default() })),
        Some(40)
    );
    assert_eq!(percent(Some(ProviderStatus { node_count: Some(3), ..ProviderStatus::default() })), Some(99));
    // Without its engine the progress is unknown, which is not an error of the cluster.
    clusters.engines = EngineRegistry::default();
    assert_eq!(clusters.progress(&ann, id).unwrap().percent, None);
}

#[tokio::test]
async fn tokens_reach_no_server_that_a_member_has_named() {
    let world = World::new();
    let mut clusters = world.clusters(updating(0, &Written::default()));
    let mut issuing = descriptor(MAKING);
    issuing.capabilities = Capabilities { deploy: true, issues_tokens: true, ..Capabilities::default() };
    let mut engine = MockEngine::new();
    engine.expect_descriptor().return_const(issuing);
    let made = cluster("made", world.making, &world.people.ann);
    let id = made.id;
    world.put_cluster(made);
    let patch = || ClusterPatch { kubeconfig: Some(kubeconfig("mine").into()), ..ClusterPatch::default() };
    // Also while the engine is not offered: it may be again.
    for (engines, expected) in
        [(EngineRegistry::default().with(Arc::new(engine)), 422), (EngineRegistry::default(), 409)]
    {
        clusters.engines = engines;
        let got = clusters.update(&caller(&world.people.ann), id, patch(), None).await;
        assert_eq!(status(&got), expected);
    }
}

#[tokio::test]
async fn the_first_kubeconfig_comes_from_the_provider() {
    let world = World::new();
    let written = Written::default();
    let clusters = world.clusters(updating(0, &written));
    let ann = caller(&world.people.ann);
    let patch = || ClusterPatch { kubeconfig: Some(kubeconfig("mine").into()), ..ClusterPatch::default() };
    for (has_kubeconfig, expected) in [(false, 422), (true, 200)] {
        let cluster = Cluster { has_kubeconfig, ..cluster("made", world.making, &world.people.ann) };
        let id = cluster.id;
        world.put_cluster(cluster);
        let got = clusters.update(&ann, id, patch(), None).await;
        assert_eq!(status(&got), expected);
        if expected == 422 {
            assert_eq!(fields(got)[0].0, "kubeconfig");
        }
    }
}
