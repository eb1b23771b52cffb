//! Promises about secret keys.

use std::sync::Mutex;

use futures::future::join;
use kqueen_adapters::storage::{OpenError, Rotated};
use kqueen_domain::{
    cluster::Cluster,
    port::store::{Change, ClusterSecrets, Creation, Revision},
    secret::Kubeconfig,
};

use super::{Replica, Site, records::a_cluster, site::KEY};

const NEXT: &str = "the secret key after that";

fn secrets(text: &str) -> ClusterSecrets {
    ClusterSecrets { kubeconfig: Change::Set(Kubeconfig::new(text.into())), ..ClusterSecrets::default() }
}

async fn some_clusters(replica: &Replica, count: usize) -> Vec<(Cluster, Revision)> {
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let mut clusters = Vec::new();
    for i in 0..count {
        let cluster = a_cluster(&provisioner);
        let created = replica.clusters.create(&cluster, secrets(&i.to_string()), None).await.unwrap();
        let Creation::New(revision) = created else { panic!("nothing was claimed") };
        clusters.push((cluster, revision));
    }
    clusters
}

async fn all_readable(replica: &Replica, clusters: &[(Cluster, Revision)]) {
    for (i, (cluster, _)) in clusters.iter().enumerate() {
        let read = replica.clusters.kubeconfig(cluster.id).await.unwrap().unwrap();
        assert_eq!(read.expose(), i.to_string());
    }
}

async fn close(replica: Replica) {
    replica.close().await;
}

pub async fn a_wrong_key_is_refused_with_what_to_do(site: Site) {
    close(site.open().await).await;
    let refused = site.try_open(NEXT, &[]).await.map(drop);
    let Err(OpenError::WrongKey(message)) = refused else { panic!("{refused:?}") };
    assert!(message.contains("SECRET_KEY_PREVIOUS"), "{message}");
    close(site.open().await).await;
}

pub async fn an_earlier_key_reads(site: Site) {
    let replica = site.open().await;
    let clusters = some_clusters(&replica, 3).await;
    close(replica).await;
    let replica = site.try_open(NEXT, &["never used before", KEY]).await.unwrap();
    all_readable(&replica, &clusters).await;
    let (cluster, revision) = &clusters[1];
    replica.clusters.update(cluster, secrets("1"), *revision).await.unwrap();
    all_readable(&replica, &clusters).await;
}

pub async fn rotation_seals_everything_anew(site: Site) {
    let replica = site.open().await;
    let clusters = some_clusters(&replica, 150).await;
    close(replica).await;
    let replica = site.try_open(NEXT, &[KEY]).await.unwrap();
    let steps = Mutex::new(Vec::new());
    let rotated = replica.rotate(|step| steps.lock().unwrap().push(step)).await.unwrap();
    assert_eq!(rotated.resealed, 150);
    let steps = steps.into_inner().unwrap();
    assert!(steps.len() > 1 && steps.is_sorted_by_key(|step: &Rotated| step.resealed), "{steps:?}");
    all_readable(&replica, &clusters).await;
    assert_eq!(replica.rotate(|_| {}).await.unwrap().resealed, 0);
    close(replica).await;
    // The earlier key is of no more use, neither needed nor enough.
    let earlier = site.try_open(KEY, &[]).await.map(drop);
    assert!(matches!(earlier, Err(OpenError::WrongKey(_))), "{earlier:?}");
    let replica = site.try_open(NEXT, &[]).await.unwrap();
    all_readable(&replica, &clusters).await;
}

pub async fn an_earlier_key_must_not_be_left_out(site: Site) {
    let replica = site.open().await;
    let clusters = some_clusters(&replica, 1).await;
    close(replica).await;
    close(site.try_open(NEXT, &[KEY]).await.unwrap()).await;
    for key in [NEXT, KEY] {
        let refused = site.try_open(key, &[]).await.map(drop);
        let Err(OpenError::WrongKey(message)) = refused else { panic!("{refused:?}") };
        assert!(message.contains("rotate-keys"), "{message}");
    }
    let replica = site.try_open(KEY, &[NEXT]).await.unwrap();
    all_readable(&replica, &clusters).await;
}

pub async fn rotation_and_changes_get_along(site: Site) {
    let replica = site.open().await;
    let clusters = some_clusters(&replica, 60).await;
    close(replica).await;
    let replica = site.try_open(NEXT, &[KEY]).await.unwrap();
    let changing = async {
        for (i, (cluster, revision)) in clusters.iter().enumerate() {
            if i % 3 == 0 {
                replica.clusters.update(cluster, secrets("changed"), *revision).await.unwrap();
            } else if i % 3 == 1 {
                replica.clusters.delete(cluster.id, *revision).await.unwrap();
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

pub async fn derived_keys_are_the_same_everywhere(site: Site) {
    let (one, other) = site.pair().await;
    let key = one.derive_key("session tokens").unwrap();
    assert_eq!(key, other.derive_key("session tokens").unwrap());
    assert_ne!(key, one.derive_key("links in mails").unwrap());
    close(other).await;
    let again = site.restart(one).await;
    assert_eq!(key, again.derive_key("session tokens").unwrap());
    let elsewhere = Site::memory().await.unwrap().open().await;
    assert_ne!(key, elsewhere.derive_key("session tokens").unwrap());
}
