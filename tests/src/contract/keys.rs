//! Promises about secret keys.

use std::sync::{Mutex, atomic::Ordering::Relaxed};

use futures::future::join;
use kqueen_adapters::storage::{OpenError, Rotated};
use kqueen_domain::{
    cluster::Cluster,
    port::store::{ClusterCommit, ClusterSecrets, Creation, SecretUpdate, StoreError, UserSecrets},
    revision::Revision,
    secret::{Kubeconfig, PasswordHash, SecretDocument},
};

use super::{
    Replica, TestStore,
    records::{a_cluster, a_provisioner, a_user, an_idempotency_record},
    test_store::KEY,
};

const NEXT: &str = "the secret key after that";

fn secrets(text: &str) -> ClusterSecrets {
    ClusterSecrets { kubeconfig: SecretUpdate::Set(Kubeconfig::new(text.into())), ..ClusterSecrets::default() }
}

async fn create_clusters(replica: &Replica, count: usize) -> Vec<(Cluster, Revision)> {
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let mut clusters = Vec::new();
    for i in 0..count {
        let cluster = a_cluster(&provisioner);
        let created =
            replica.clusters.create(&cluster, secrets(&i.to_string()), ClusterCommit::default(), None).await.unwrap();
        let Creation::New(revision) = created else { panic!("the key was used before") };
        clusters.push((cluster, revision));
    }
    clusters
}

async fn assert_all_readable(replica: &Replica, clusters: &[(Cluster, Revision)]) {
    for (i, (cluster, _)) in clusters.iter().enumerate() {
        let read = replica.clusters.kubeconfig(cluster.id).await.unwrap().unwrap();
        assert_eq!(read.expose(), i.to_string());
    }
}

async fn close(replica: Replica) {
    replica.close().await;
}

pub async fn a_wrong_key_is_rejected_with_instructions(site: TestStore) {
    close(site.open().await).await;
    let refused = site.try_open(NEXT, &[]).await.map(drop);
    let Err(OpenError::WrongKey(message)) = refused else { panic!("{refused:?}") };
    assert!(message.contains("SECRET_KEY_PREVIOUS"), "{message}");
    close(site.open().await).await;
}

pub async fn replicas_that_initialize_a_store_together_share_its_key(site: TestStore) {
    if !site.is_shareable() {
        return;
    }
    let (one, other) = join(site.open(), site.open()).await;
    let clusters = create_clusters(&one, 2).await;
    other.read_barrier.caught_up().await.unwrap();
    assert_all_readable(&other, &clusters).await;
}

pub async fn a_previous_key_still_reads(site: TestStore) {
    let replica = site.open().await;
    let clusters = create_clusters(&replica, 3).await;
    close(replica).await;
    let replica = site.try_open(NEXT, &["never used before", KEY]).await.unwrap();
    assert_all_readable(&replica, &clusters).await;
    let (cluster, revision) = &clusters[1];
    replica.clusters.update(cluster, secrets("1"), *revision).await.unwrap();
    assert_all_readable(&replica, &clusters).await;
}

pub async fn rotation_encrypts_everything_with_the_new_key(site: TestStore) {
    let replica = site.open().await;
    let clusters = create_clusters(&replica, 150).await;
    close(replica).await;
    let replica = site.try_open(NEXT, &[KEY]).await.unwrap();
    let steps = Mutex::new(Vec::new());
    let rotated = replica.rotate(|step| steps.lock().unwrap().push(step)).await.unwrap();
    assert_eq!(rotated.resealed, 150);
    let steps = steps.into_inner().unwrap();
    assert!(steps.len() > 1 && steps.is_sorted_by_key(|step: &Rotated| step.resealed), "{steps:?}");
    assert_all_readable(&replica, &clusters).await;
    assert_eq!(replica.rotate(|_| {}).await.unwrap().resealed, 0);
    close(replica).await;
    // The previous key is no longer needed, and not sufficient.
    let previous = site.try_open(KEY, &[]).await.map(drop);
    assert!(matches!(previous, Err(OpenError::WrongKey(_))), "{previous:?}");
    let replica = site.try_open(NEXT, &[]).await.unwrap();
    assert_all_readable(&replica, &clusters).await;
}

pub async fn a_previous_key_that_is_still_needed_must_be_given(site: TestStore) {
    let replica = site.open().await;
    let clusters = create_clusters(&replica, 1).await;
    close(replica).await;
    close(site.try_open(NEXT, &[KEY]).await.unwrap()).await;
    for key in [NEXT, KEY] {
        let refused = site.try_open(key, &[]).await.map(drop);
        let Err(OpenError::WrongKey(message)) = refused else { panic!("{refused:?}") };
        assert!(message.contains("rotate-keys"), "{message}");
    }
    let replica = site.try_open(KEY, &[NEXT]).await.unwrap();
    assert_all_readable(&replica, &clusters).await;
}

pub async fn rotation_tolerates_concurrent_changes(site: TestStore) {
    let replica = site.open().await;
    let clusters = create_clusters(&replica, 60).await;
    close(replica).await;
    let replica = site.try_open(NEXT, &[KEY]).await.unwrap();
    let changing = async {
        for (i, (cluster, revision)) in clusters.iter().enumerate() {
            if i % 3 == 0 {
                replica.clusters.update(cluster, secrets("changed"), *revision).await.unwrap();
            } else if i % 3 == 1 {
                replica.remove(cluster.id, *revision).await.unwrap();
            }
        }
    };
    let (rotated, ()) = join(replica.rotate(|_| {}), changing).await;
    rotated.unwrap();
    for (i, (cluster, _)) in clusters.iter().enumerate() {
        let read = replica.clusters.kubeconfig(cluster.id).await.unwrap();
        let expected = match i % 3 {
            0 => Some("changed".to_owned()),
            1 => None,
            _ => Some(i.to_string()),
        };
        assert_eq!(read.map(|read| read.expose().to_owned()), expected, "{i}");
    }
    close(replica).await;
    close(site.try_open(NEXT, &[]).await.unwrap()).await;
}

pub async fn secrets_are_stored_encrypted(site: TestStore) {
    const SECRET: &str = "a-very-secret-text";
    let replica = site.open().await;
    let (organization, user, provisioner, _) = replica.one_of_each().await;
    let document = || SecretUpdate::Set(SecretDocument::new(format!("{{\"token\":\"{SECRET}\"}}")));
    let password = SecretUpdate::Set(PasswordHash::new(SECRET.into()));
    let user_secrets = UserSecrets { password, metadata: document() };
    replica.users.create(&a_user(organization.id), user_secrets).await.unwrap();
    let idempotency = Some(an_idempotency_record(user.id, SECRET));
    replica.provisioners.create(&a_provisioner(&user), document(), idempotency).await.unwrap();
    let cluster_secrets = ClusterSecrets { metadata: document(), ..secrets(SECRET) };
    replica
        .clusters
        .create(
            &a_cluster(&provisioner),
            cluster_secrets,
            ClusterCommit::default(),
            Some(an_idempotency_record(user.id, SECRET)),
        )
        .await
        .unwrap();
    close(replica).await;
    let Some(raw) = site.raw().await else { return };
    assert_eq!(raw.iter().filter(|(key, _)| key.starts_with("sealed/")).count(), 5);
    for (key, value) in raw {
        assert!(!key.contains(SECRET), "{key}");
        for open in [SECRET, KEY] {
            assert!(!value.windows(open.len()).any(|part| part == open.as_bytes()), "{key}");
        }
    }
}

pub async fn a_secret_moved_to_another_key_cannot_be_decrypted(site: TestStore) {
    let replica = site.open().await;
    let clusters = create_clusters(&replica, 2).await;
    close(replica).await;
    let Some(raw) = site.raw().await else { return };
    let sealed = |id| format!("sealed/kubeconfig/{id}");
    let (mine, theirs) = (sealed(clusters[0].0.id), sealed(clusters[1].0.id));
    let value = raw.into_iter().find(|(key, _)| *key == theirs).unwrap().1;
    site.put_raw(&mine, value).await;
    let replica = site.open().await;
    let moved = replica.clusters.kubeconfig(clusters[0].0.id).await;
    assert!(matches!(moved, Err(StoreError::Unreadable(_))), "{:?}", moved.map(drop));
    // A secret that cannot be decrypted is not cached.
    let reads = replica.counters.secret_reads.load(Relaxed);
    replica.clusters.kubeconfig(clusters[0].0.id).await.unwrap_err();
    assert_eq!(replica.counters.secret_reads.load(Relaxed), reads + 1);
    assert_eq!(replica.clusters.kubeconfig(clusters[1].0.id).await.unwrap().unwrap().expose(), "1");
}

pub async fn a_damaged_record_is_an_error(site: TestStore) {
    let replica = site.open().await;
    let (cluster, _) = create_clusters(&replica, 1).await.remove(0);
    close(replica).await;
    let Some(raw) = site.raw().await else { return };
    let key = format!("shown/cluster/{}", cluster.id);
    let mut value = raw.into_iter().find(|(stored, _)| *stored == key).unwrap().1;
    let original = value.clone();
    value.truncate(value.len() - 1);
    site.put_raw(&key, value).await;
    let refused = site.try_open(KEY, &[]).await.map(drop);
    assert!(matches!(refused, Err(OpenError::Unreadable(_))), "{refused:?}");
    site.put_raw(&key, original).await;
    assert_eq!(site.open().await.catalog.cluster(cluster.id).unwrap().cluster.record, cluster);
}

pub async fn derived_keys_are_the_same_on_all_replicas(site: TestStore) {
    let (one, other) = site.pair().await;
    let key = one.derive_key("session tokens").unwrap();
    assert_eq!(key, other.derive_key("session tokens").unwrap());
    assert_ne!(key, one.derive_key("links in mails").unwrap());
    close(other).await;
    let again = site.restart(one).await;
    assert_eq!(key, again.derive_key("session tokens").unwrap());
    let elsewhere = TestStore::memory().await.unwrap().open().await;
    assert_ne!(key, elsewhere.derive_key("session tokens").unwrap());
}
