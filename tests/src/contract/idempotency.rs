//! Promises about repeated creations.

use chrono::TimeDelta;
use futures::future::join_all;
use kqueen_domain::{
    cluster::Cluster,
    id::UserId,
    port::store::{ClusterCommit, ClusterSecrets, Creation, IdempotencyRecord, SecretUpdate, StoreError},
    provisioner::Provisioner,
    secret::SecretDocument,
};

use super::{
    Replica, TestStore,
    records::{a_cluster, a_provisioner, an_idempotency_record, then},
};

async fn create(
    replica: &Replica,
    cluster: &Cluster,
    idempotency: IdempotencyRecord,
) -> Result<Creation<Cluster>, StoreError> {
    replica.clusters.create(cluster, ClusterSecrets::default(), ClusterCommit::default(), Some(idempotency)).await
}

fn is_new<T>(creation: &Result<Creation<T>, StoreError>) -> bool {
    matches!(creation, Ok(Creation::New(_)))
}

pub async fn a_repeated_request_gets_the_first_result(site: TestStore) {
    let replica = site.open().await;
    let (_, user, provisioner, _) = replica.one_of_each().await;
    let idempotency = an_idempotency_record(user.id, "k");
    let (first, second) = (a_cluster(&provisioner), a_cluster(&provisioner));
    assert_eq!(replica.clusters.created_with(&idempotency).await.unwrap(), None);
    assert!(is_new(&create(&replica, &first, idempotency.clone()).await));
    assert_eq!(replica.clusters.created_with(&idempotency).await.unwrap(), Some((first.clone(), true)));
    assert_eq!(
        replica
            .clusters
            .created_with(&IdempotencyRecord { at: then() + TimeDelta::days(40), ..idempotency.clone() })
            .await
            .unwrap(),
        None
    );
    let repeated = create(&replica, &second, idempotency.clone()).await.unwrap();
    assert_eq!(repeated, Creation::Repeated { first: first.clone(), same_request: true });
    assert!(replica.catalog.cluster(second.id).is_none());

    let (first, second) = (a_provisioner(&user), a_provisioner(&user));
    let created = replica.provisioners.create(&first, SecretUpdate::Keep, Some(idempotency.clone())).await;
    assert!(is_new(&created), "{created:?}");
    let repeated = replica.provisioners.create(&second, SecretUpdate::Keep, Some(idempotency.clone())).await.unwrap();
    assert_eq!(repeated, Creation::Repeated { first, same_request: true });
    assert!(replica.catalog.provisioner(second.id).is_none());
}

pub async fn another_request_with_the_same_key_is_detected(site: TestStore) {
    let replica = site.open().await;
    let (_, user, provisioner, _) = replica.one_of_each().await;
    let first = a_cluster(&provisioner);
    assert!(is_new(&create(&replica, &first, an_idempotency_record(user.id, "k")).await));
    let other = IdempotencyRecord { fingerprint: [8; 32], ..an_idempotency_record(user.id, "k") };
    assert_eq!(replica.clusters.created_with(&other).await.unwrap(), Some((first.clone(), false)));
    let repeated = create(&replica, &a_cluster(&provisioner), other).await.unwrap();
    assert_eq!(repeated, Creation::Repeated { first, same_request: false });
}

pub async fn keys_are_separate_for_each_caller(site: TestStore) {
    let replica = site.open().await;
    let (_, user, provisioner, _) = replica.one_of_each().await;
    for idempotency in [
        an_idempotency_record(user.id, "k"),
        an_idempotency_record(UserId::random(), "k"),
        an_idempotency_record(user.id, "K"),
        an_idempotency_record(user.id, "k/ä\n"),
    ] {
        assert!(is_new(&create(&replica, &a_cluster(&provisioner), idempotency).await));
    }
}

pub async fn a_failed_creation_does_not_use_the_key(site: TestStore) {
    let replica = site.open().await;
    let (_, user, provisioner, _) = replica.one_of_each().await;
    let dangling = Cluster { owner: UserId::random(), ..a_cluster(&provisioner) };
    let refused = create(&replica, &dangling, an_idempotency_record(user.id, "k")).await;
    assert!(matches!(refused, Err(StoreError::Dangling { field: "owner" })), "{refused:?}");
    assert!(is_new(&create(&replica, &a_cluster(&provisioner), an_idempotency_record(user.id, "k")).await));
}

pub async fn only_one_of_concurrent_requests_creates(site: TestStore) {
    let (one, other) = site.pair().await;
    let (_, user, provisioner, _) = one.one_of_each().await;
    for round in 0..10 {
        let key = round.to_string();
        let clusters: Vec<Cluster> = (0..8).map(|_| a_cluster(&provisioner)).collect();
        let attempts = clusters.iter().enumerate().map(|(i, cluster)| {
            let replica = if i % 2 == 0 { &one } else { &other };
            create(replica, cluster, an_idempotency_record(user.id, &key))
        });
        let attempts: Vec<_> = join_all(attempts).await.into_iter().map(Result::unwrap).collect();
        let created: Vec<_> =
            clusters.iter().zip(&attempts).filter(|(_, creation)| matches!(creation, Creation::New(_))).collect();
        let [(created, _)] = created[..] else { panic!("{} were created", created.len()) };
        for creation in &attempts {
            if let Creation::Repeated { first, .. } = creation {
                assert_eq!(first, created);
            }
        }
        one.read_barrier.caught_up().await.unwrap();
        let shown = clusters.iter().filter(|cluster| one.catalog.cluster(cluster.id).is_some());
        assert_eq!(shown.map(|cluster| cluster.id).collect::<Vec<_>>(), [created.id]);
    }
}

pub async fn an_idempotency_record_outlives_the_created_record(site: TestStore) {
    let replica = site.open().await;
    let (_, user, provisioner, _) = replica.one_of_each().await;
    let first = a_cluster(&provisioner);
    let Ok(Creation::New(revision)) = create(&replica, &first, an_idempotency_record(user.id, "k")).await else {
        panic!("the key was used before")
    };
    replica.remove(first.id, revision).await.unwrap();
    let repeated = create(&replica, &a_cluster(&provisioner), an_idempotency_record(user.id, "k")).await.unwrap();
    assert!(matches!(repeated, Creation::Repeated { first: repeated, .. } if repeated == first));
}

pub async fn idempotency_records_expire(site: TestStore) {
    let replica = site.open().await;
    let (_, user, provisioner, _) = replica.one_of_each().await;
    assert!(is_new(&create(&replica, &a_cluster(&provisioner), an_idempotency_record(user.id, "k")).await));
    let just = IdempotencyRecord {
        at: then() + TimeDelta::hours(24) - TimeDelta::seconds(1),
        ..an_idempotency_record(user.id, "k")
    };
    assert!(!is_new(&create(&replica, &a_cluster(&provisioner), just).await));
    let later = IdempotencyRecord { at: then() + TimeDelta::hours(24), ..an_idempotency_record(user.id, "k") };
    let second = a_cluster(&provisioner);
    assert!(is_new(&create(&replica, &second, later.clone()).await));
    let repeated = create(&replica, &a_cluster(&provisioner), later).await.unwrap();
    assert!(matches!(repeated, Creation::Repeated { first, .. } if first == second));
}

pub async fn old_idempotency_records_are_removed(site: TestStore) {
    let replica = site.open().await;
    let (_, user, provisioner, _) = replica.one_of_each().await;
    for i in 0..30 {
        let idempotency =
            IdempotencyRecord { at: then() + TimeDelta::minutes(i), ..an_idempotency_record(user.id, &i.to_string()) };
        assert!(is_new(&create(&replica, &a_cluster(&provisioner), idempotency).await));
    }
    assert_eq!(replica.delete_idempotency_records(then() + TimeDelta::minutes(10)).await.unwrap(), 10);
    assert_eq!(replica.delete_idempotency_records(then() + TimeDelta::minutes(10)).await.unwrap(), 0);
    for (i, is_removed) in [(9, true), (10, false)] {
        let idempotency =
            IdempotencyRecord { at: then() + TimeDelta::minutes(40), ..an_idempotency_record(user.id, &i.to_string()) };
        assert_eq!(is_new(&create(&replica, &a_cluster(&provisioner), idempotency).await), is_removed, "{i}");
    }
}

pub async fn idempotency_records_survive_a_restart(site: TestStore) {
    let replica = site.open().await;
    let (_, user, _, _) = replica.one_of_each().await;
    let secret = SecretUpdate::Set(SecretDocument::new(r#"{"token":"never shown"}"#.into()));
    let first: Provisioner = a_provisioner(&user);
    replica.provisioners.create(&first, secret, Some(an_idempotency_record(user.id, "k"))).await.unwrap();
    let replica = site.restart(replica).await;
    let again = replica
        .provisioners
        .create(&a_provisioner(&user), SecretUpdate::Keep, Some(an_idempotency_record(user.id, "k")))
        .await;
    assert!(matches!(again, Ok(Creation::Repeated { first: repeated, .. }) if repeated == first));
}
