//! Promises about what the catalog shows, and when.

use futures::future::join_all;
use kqueen_domain::{
    name::ResourceName,
    port::store::{Change, ClusterSecrets, StoreError, UserSecrets},
    secret::Kubeconfig,
};

use super::{
    Site,
    records::{a_cluster, a_sighting, a_user},
};

pub async fn a_write_is_shown_when_it_returns(site: Site) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let clusters: Vec<_> = (0..100).map(|_| a_cluster(&provisioner)).collect();
    join_all(clusters.iter().map(|cluster| async {
        replica.clusters.create(cluster, ClusterSecrets::default(), None).await.unwrap();
        assert!(replica.catalog.cluster(cluster.id).is_some());
        replica.clusters.record_sighting(&a_sighting(cluster.id)).await.unwrap();
        assert!(replica.catalog.cluster(cluster.id).unwrap().sighting.is_some());
    }))
    .await;
}

pub async fn the_other_replica_shows_it_once_caught_up(site: Site) {
    let (one, other) = site.pair().await;
    let (_, _, provisioner, _) = one.one_of_each().await;
    let (mut cluster, mut seen) = one.cluster(&provisioner).await;
    for round in 0..200 {
        cluster.name = ResourceName::try_from(round.to_string()).unwrap();
        let (writer, reader) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        seen = writer.clusters.update(&cluster, ClusterSecrets::default(), seen).await.unwrap();
        reader.freshness.caught_up().await.unwrap();
        let shown = reader.catalog.cluster(cluster.id).unwrap().cluster;
        assert_eq!((&shown.record, shown.revision), (&cluster, seen), "round {round}");
    }
}

pub async fn a_restart_shows_everything(site: Site) {
    let replica = site.open().await;
    let (organization, user, provisioner, cluster) = replica.one_of_each().await;
    let sighting = a_sighting(cluster.id);
    replica.clusters.record_sighting(&sighting).await.unwrap();
    let (gone, revision) = replica.cluster(&provisioner).await;
    replica.clusters.delete(gone.id, revision).await.unwrap();
    let secret = a_user(organization.id);
    let password = kqueen_domain::secret::PasswordHash::new("hash".into());
    let secrets = UserSecrets { password: Change::Set(password), metadata: Change::Keep };
    replica.users.create(&secret, secrets).await.unwrap();

    let replica = site.restart(replica).await;
    assert_eq!(replica.catalog.organization(organization.id).unwrap().record, organization);
    assert_eq!(replica.catalog.user(user.id).unwrap().record, user);
    assert_eq!(replica.catalog.provisioner(provisioner.id).unwrap().provisioner.record, provisioner);
    let view = replica.catalog.cluster(cluster.id).unwrap();
    assert_eq!(view.cluster.record, cluster);
    assert_eq!(view.sighting.as_deref(), Some(&sighting));
    assert!(replica.catalog.cluster(gone.id).is_none());
    assert_eq!(replica.users.password_hash(secret.id).await.unwrap().unwrap().expose(), "hash");
}

pub async fn revisions_survive_a_restart(site: Site) {
    let replica = site.open().await;
    let (organization, first) = replica.organization().await;
    let second = replica.organizations.update(&organization, first).await.unwrap();
    let replica = site.restart(replica).await;
    assert_eq!(replica.catalog.organization(organization.id).unwrap().revision, second);
    let stale = replica.organizations.update(&organization, first).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
    let third = replica.organizations.update(&organization, second).await.unwrap();
    assert!(third > second);
}

pub async fn a_closed_store_refuses(site: Site) {
    // Memory has nothing to let go of.
    let replica = site.open().await;
    let (organization, revision) = replica.organization().await;
    if matches!(site.place(), kqueen_adapters::storage::Place::Memory(_)) {
        return;
    }
    replica.close().await;
    let late = replica.organizations.update(&organization, revision).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
}

pub async fn the_other_replica_reads_new_kubeconfigs(site: Site) {
    let (one, other) = site.pair().await;
    let (_, _, provisioner, _) = one.one_of_each().await;
    let (cluster, mut seen) = one.cluster(&provisioner).await;
    for round in 0..50 {
        let text = format!("kubeconfig {round}");
        let secrets =
            ClusterSecrets { kubeconfig: Change::Set(Kubeconfig::new(text.clone())), ..ClusterSecrets::default() };
        seen = one.clusters.update(&cluster, secrets, seen).await.unwrap();
        other.freshness.caught_up().await.unwrap();
        for replica in [&one, &other, &other] {
            assert_eq!(replica.clusters.kubeconfig(cluster.id).await.unwrap().unwrap().expose(), text);
        }
    }
}

pub async fn an_open_store_is_ready(site: Site) {
    let replica = site.open().await;
    replica.freshness.ready().await.unwrap();
    replica.freshness.caught_up().await.unwrap();
}
