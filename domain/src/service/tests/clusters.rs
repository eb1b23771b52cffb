//! New clusters: what is stored, and how their secrets are kept.

use serde_json::{Value, json};

use super::{
    doubles::{Log, MAKING, fields, kubeconfig, kubeconfig_of, object, sealed, status},
    world::{World, caller, cluster, provisioner},
};
use crate::{
    cluster::{Cluster, Lifecycle, Phase},
    document::MASK,
    operation::{Operation, OperationKind},
    port::store::{ClusterCommit, ClusterSecrets, Creation, IdempotencyRecord, MockClusterStore, StoreError},
    provisioner::{Check, Provisioner, ProvisionerPhase},
    reason::ReasonCode,
    revision::Revision,
    service::{
        clusters::{NewCluster, ShownKubeconfig},
        idempotency::IdempotencyKey,
    },
    timeline::{EventKind, TimelineEvent},
};

type Created = Log<(Cluster, ClusterSecrets, ClusterCommit, Option<IdempotencyRecord>)>;

fn creating(created: &Created) -> MockClusterStore {
    let mut store = MockClusterStore::new();
    let created = created.clone();
    store.expect_create().returning(move |cluster, secrets, work, idempotency| {
        created.push((cluster.clone(), secrets, work, idempotency));
        Ok(Creation::New(Revision(77)))
    });
    store.expect_created_with().returning(|_| Ok(None));
    store
}

fn attached(world: &World) -> NewCluster {
    NewCluster {
        name: "new".try_into().unwrap(),
        provisioner: world.provisioner,
        owner: None,
        metadata: None,
        kubeconfig: Some(kubeconfig("zebra").into()),
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

#[tokio::test]
async fn an_attached_cluster_is_stored_as_ready_with_a_separate_kubeconfig() {
    let world = World::new();
    let created = Created::default();
    let clusters = world.clusters(creating(&created));
    let bob = &world.people.bob;
    let answer = clusters.create(&caller(bob), attached(&world), None).await.unwrap();
    let (stored, secrets, work, idempotency) = created.only();
    assert_eq!((&stored.lifecycle, stored.has_kubeconfig), (&Lifecycle::Ready, true));
    assert_eq!((stored.created_at, stored.changed_at), (world.now(), world.now()));
    assert_eq!((stored.owner, stored.organization, stored.provisioner), (bob.id, world.acme, world.provisioner));
    assert!(kubeconfig_of(&secrets).unwrap().contains("zebra"));
    assert!(!format!("{stored:?}").contains("zebra"), "the record contains no secret");
    assert_eq!(idempotency, None);
    assert_eq!((stored.operation, work.operations.len()), (None, 0), "there is no operation");
    assert_eq!(work.timeline, [first_event(&stored, "the cluster was attached")]);
    assert_eq!((&answer.view.cluster.record, answer.view.cluster.revision), (&stored, Revision(77)));
    // It was not observed yet.
    assert_eq!(answer.view.display_status().phase, Phase::Deploying);
    assert!(matches!(answer.kubeconfig, Some(ShownKubeconfig::Present(_))));
}

#[tokio::test]
async fn a_kubeconfig_is_accepted_at_the_top_or_in_the_metadata_as_object_or_text() {
    let world = World::new();
    let created = Created::default();
    let clusters = world.clusters(creating(&created));
    let bob = caller(&world.people.bob);
    let text = Value::from(kubeconfig("zebra").to_string());
    let inside = |value: Value| Some(object(json!({"kubeconfig": value, "note": "mine"})));
    let rows = [
        (Some(kubeconfig("zebra")), None),
        (Some(text.clone()), None),
        (None, inside(kubeconfig("zebra"))),
        (None, inside(text)),
        (Some(json!({})), inside(kubeconfig("zebra"))),
        (Some(kubeconfig("zebra")), inside(json!(""))),
        (Some(kubeconfig("zebra")), inside(kubeconfig("zebra"))),
    ];
    for (top, metadata) in rows {
        let has_metadata = metadata.is_some();
        let new = NewCluster { kubeconfig: top.map(Into::into), metadata, ..attached(&world) };
        clusters.create(&bob, new, None).await.unwrap();
        let (stored, secrets, ..) = created.only();
        assert!(kubeconfig_of(&secrets).unwrap().contains("zebra"));
        let metadata = stored.metadata.map(|document| crate::secret::SecretMap::from(document.to_map()));
        assert_eq!(
            metadata,
            has_metadata.then(|| object(json!({"note": "mine"}))),
            "the kubeconfig is not stored in the metadata"
        );
    }
    let new = NewCluster { metadata: inside(kubeconfig("other")), ..attached(&world) };
    assert_eq!(fields(clusters.create(&bob, new, None).await)[0].0, "metadata.kubeconfig");
}

#[tokio::test]
async fn a_missing_or_invalid_kubeconfig_is_an_error_of_its_field() {
    let world = World::new();
    let clusters = world.clusters(MockClusterStore::new());
    let bob = caller(&world.people.bob);
    let mut denied = kubeconfig("zebra");
    denied["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:6443");
    for given in [None, Some(json!({})), Some(json!(MASK)), Some(json!("nonsense")), Some(json!(7)), Some(denied)] {
        let what = format!("{given:?}");
        let new = NewCluster { kubeconfig: given.map(Into::into), ..attached(&world) };
        assert!(fields(clusters.create(&bob, new, None).await)[0].0.starts_with("kubeconfig"), "{what}");
    }
}

#[tokio::test]
async fn a_provisioned_cluster_is_validated_by_its_engine_and_stored_as_deploying() {
    let world = World::new();
    let created = Created::default();
    let clusters = world.clusters(creating(&created));
    let bob = caller(&world.people.bob);
    let given = json!({"node_count": "3", "admin_password": "hunter2", "extra": {"deep": {"token": "zebra"}}});
    clusters.create(&bob, made(&world, given), None).await.unwrap();
    let (stored, secrets, work, _) = created.only();
    assert_eq!((&stored.lifecycle, stored.has_kubeconfig), (&Lifecycle::Deploying, false));
    let [(operation, None)] = &work.operations[..] else { panic!("{work:?}") };
    let deadline = world.now() + clusters.timeout;
    let asked = Operation::requested(stored.id, OperationKind::Deploy, bob.user, world.now(), deadline);
    assert_eq!(*operation, Operation { id: operation.id, ..asked });
    assert_eq!(stored.operation, Some(operation.id));
    assert_eq!(work.timeline, [first_event(&stored, "cluster creation requested")]);
    assert!(work.ledger.is_none() && work.term.is_none() && work.tombstone.is_none());
    let shown = json!({"node_count": 3, "admin_password": MASK, "extra": {"deep": {"token": MASK}}});
    assert_eq!(stored.metadata.unwrap().to_map(), object(shown));
    let whole = json!({"node_count": 3, "admin_password": "hunter2", "extra": {"deep": {"token": "zebra"}}});
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
async fn an_unhealthy_provisioner_refuses_new_clusters_with_its_reason() {
    let world = World::new();
    let clusters = world.clusters(MockClusterStore::new());
    for phase in [ProvisionerPhase::Failed, ProvisionerPhase::NotReachable] {
        let broken = provisioner("broken", MAKING, &world.people.ada);
        let check = Check {
            phase,
            code: Some(ReasonCode::CredentialsRejected),
            reason: "the password is wrong".into(),
            at: world.now(),
        };
        let broken = Provisioner { check, ..broken };
        let new = NewCluster { provisioner: broken.id, ..made(&world, json!({})) };
        world.put_provisioner(broken);
        let got = clusters.create(&caller(&world.people.bob), new, None).await;
        assert_eq!(status(&got), 409);
        assert!(got.unwrap_err().to_string().contains("the password is wrong"));
    }
}

/// The first timeline event of a cluster.
fn first_event(cluster: &Cluster, message: &str) -> TimelineEvent {
    TimelineEvent {
        cluster: cluster.id,
        at: cluster.created_at,
        kind: EventKind::Asked,
        message: message.into(),
        operation: cluster.operation,
        by: Some(cluster.owner),
        reason: None,
    }
}

fn once(key: &str, fingerprint: u8) -> Option<IdempotencyKey> {
    Some(IdempotencyKey { key: key.into(), fingerprint: [fingerprint; 32] })
}

#[tokio::test]
async fn a_repeated_idempotency_key_returns_the_first_result() {
    let world = World::new();
    let created = Created::default();
    let bob = &world.people.bob;
    world.clusters(creating(&created)).create(&caller(bob), attached(&world), once("k", 1)).await.unwrap();
    let idempotency = created.only().3.unwrap();
    let expected = IdempotencyRecord { caller: bob.id, key: "k".into(), fingerprint: [1; 32], at: world.now() };
    assert_eq!(idempotency, expected);

    let first = cluster("first", world.provisioner, bob);
    let mut store = MockClusterStore::new();
    let answer = first.clone();
    store.expect_created_with().times(1).returning(|_| Ok(None));
    let earlier = first.clone();
    store
        .expect_created_with()
        .returning(move |idempotency| Ok(Some((earlier.clone(), idempotency.fingerprint == [1; 32]))));
    store
        .expect_create()
        .times(1)
        .returning(move |_, _, _, _| Ok(Creation::Repeated { first: answer.clone(), same_request: true }));
    let clusters = world.clusters(store);
    let repeated = clusters.create(&caller(bob), attached(&world), once("k", 1)).await.unwrap();
    assert_eq!(repeated.view.cluster.record, first);
    assert!(matches!(repeated.kubeconfig, Some(ShownKubeconfig::Present(_))));
    assert_eq!(status(&clusters.create(&caller(bob), attached(&world), once("k", 2)).await), 409);
    // Even if the same request would be refused now.
    let refused = NewCluster { provisioner: world.foreign_provisioner, ..attached(&world) };
    let repeated = clusters.create(&caller(bob), refused, once("k", 1)).await.unwrap();
    assert_eq!(repeated.view.cluster.record, first);
}

#[tokio::test]
async fn a_reference_deleted_meanwhile_is_reported_like_a_missing_one() {
    let world = World::new();
    let mut store = MockClusterStore::new();
    store.expect_create().returning(|_, _, _, _| Err(StoreError::Dangling { field: "provisioner" }));
    let clusters = world.clusters(store);
    let bob = caller(&world.people.bob);
    let gone = clusters.create(&bob, attached(&world), None).await;
    let foreign = NewCluster { provisioner: world.foreign_provisioner, ..attached(&world) };
    assert_eq!(fields(gone), fields(clusters.create(&bob, foreign, None).await));
}

#[tokio::test]
async fn a_kubeconfig_is_refused_for_a_provisioned_cluster() {
    let world = World::new();
    let created = Created::default();
    let clusters = world.clusters(creating(&created));
    let ann = caller(&world.people.ann);
    let top = NewCluster { kubeconfig: Some(kubeconfig("mine").into()), ..made(&world, json!({})) };
    let inside = made(&world, json!({"kubeconfig": kubeconfig("mine")}));
    for new in [top, inside] {
        assert_eq!(fields(clusters.create(&ann, new, None).await)[0].0, "kubeconfig");
    }
    let wrong = NewCluster { kubeconfig: Some(kubeconfig("mine").into()), ..made(&world, json!({"node_count": -1})) };
    let wrong = fields(clusters.create(&ann, wrong, None).await);
    assert_eq!(
        wrong.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(),
        ["kubeconfig", "metadata.node_count"]
    );
    assert_eq!(created.len(), 0);
    // The forms of 2018 send an empty one.
    for nothing in [json!(""), json!({}), Value::Null] {
        let new = NewCluster { kubeconfig: Some(nothing.into()), ..made(&world, json!({})) };
        assert_eq!(status(&clusters.create(&ann, new, None).await), 200);
    }
}
