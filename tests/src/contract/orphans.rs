//! Promises of [`OrphanStore`](kqueen_domain::port::store::OrphanStore).

use futures::future::join;
use kqueen_domain::{
    cluster::Cluster,
    id::{ClusterId, ProvisionerId, UserId},
    orphan::{Orphan, OrphanState},
    port::store::{ClusterCommit, RecordChange, StoreError},
    provisioner::Provisioner,
    reason::{Reason, ReasonCode, Responsible},
    revision::Revision,
};

use super::{
    Replica, TestStore,
    records::{a_cluster, a_ledger, a_resource_record, after, an_orphan, then},
};

/// An orphan of an unknown cluster.
fn new_orphan(provisioner: &Provisioner) -> Orphan {
    an_orphan(&a_cluster(provisioner))
}

fn ignored() -> OrphanState {
    OrphanState::Ignored { by: UserId::random(), since: then() }
}

fn deleting() -> OrphanState {
    let last_error = Some(
        Reason::new(ReasonCode::ProviderBusy, "the provider is busy", Responsible::Provider, "wait")
            .with_provider_message("BUSY"),
    );
    OrphanState::Deleting { by: UserId::random(), since: then(), last_error }
}

fn shown(replica: &Replica, cluster: ClusterId) -> Option<(Orphan, Revision)> {
    replica.catalog.orphan(cluster).map(|view| (view.orphan.record.clone(), view.orphan.revision))
}

/// A provisioner without clusters.
async fn a_provisioner(replica: &Replica) -> (Provisioner, Revision) {
    let (organization, _) = replica.organization().await;
    let (user, _) = replica.user(&organization).await;
    replica.provisioner(&user).await
}

async fn is_in_use(replica: &Replica, provisioner: ProvisionerId, expected: Revision) -> bool {
    match replica.provisioners.delete(provisioner, expected).await {
        Err(StoreError::InUse) => true,
        Ok(()) => false,
        Err(error) => panic!("{error:?}"),
    }
}

pub async fn stored_records_are_visible(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, _) = a_provisioner(&replica).await;
    let mut orphan = new_orphan(&provisioner);
    let mut expected = replica.orphans.put(&orphan, None, None).await.unwrap();
    assert_eq!(shown(&replica, orphan.cluster), Some((orphan.clone(), expected)));
    for state in [deleting(), ignored(), OrphanState::Listed] {
        orphan = Orphan {
            state,
            resources: vec![a_resource_record("one"), a_resource_record("two")],
            name: None,
            seen_at: Some(after(1)),
            ..orphan
        };
        expected = replica.orphans.put(&orphan, Some(expected), None).await.unwrap();
        assert_eq!(shown(&replica, orphan.cluster), Some((orphan.clone(), expected)));
    }
    let replica = site.restart(replica).await;
    assert_eq!(shown(&replica, orphan.cluster), Some((orphan.clone(), expected)));
    replica.orphans.remove(orphan.cluster, expected, None).await.unwrap();
    assert_eq!(shown(&replica, orphan.cluster), None);
    let replica = site.restart(replica).await;
    assert_eq!(shown(&replica, orphan.cluster), None);
    replica.orphans.put(&orphan, None, None).await.unwrap();
}

pub async fn a_stale_revision_is_a_conflict(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, _) = a_provisioner(&replica).await;
    let orphan = new_orphan(&provisioner);
    let first = replica.orphans.put(&orphan, None, None).await.unwrap();
    let again = replica.orphans.put(&orphan, None, None).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    let second = replica.orphans.put(&orphan, Some(first), None).await.unwrap();
    let stale = replica.orphans.put(&Orphan { state: ignored(), ..orphan.clone() }, Some(first), None).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
    let removed = replica.orphans.remove(orphan.cluster, first, None).await;
    assert!(matches!(removed, Err(StoreError::Conflict)), "{removed:?}");
    assert_eq!(shown(&replica, orphan.cluster), Some((orphan.clone(), second)));
    replica.orphans.remove(orphan.cluster, second, None).await.unwrap();
}

pub async fn a_missing_record_is_reported(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, _) = a_provisioner(&replica).await;
    let orphan = new_orphan(&provisioner);
    let put = replica.orphans.put(&orphan, Some(Revision(1)), None).await;
    assert!(matches!(put, Err(StoreError::Missing)), "{put:?}");
    let removed = replica.orphans.remove(orphan.cluster, Revision(1), None).await;
    assert!(matches!(removed, Err(StoreError::Missing)), "{removed:?}");
}

pub async fn undecided_orphans_keep_their_provisioner_in_use(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, revision) = a_provisioner(&replica).await;
    let orphan = new_orphan(&provisioner);
    let mut expected = replica.orphans.put(&orphan, None, None).await.unwrap();
    assert!(is_in_use(&replica, provisioner.id, revision).await);
    expected =
        replica.orphans.put(&Orphan { state: deleting(), ..orphan.clone() }, Some(expected), None).await.unwrap();
    assert!(is_in_use(&replica, provisioner.id, revision).await);
    expected = replica.orphans.put(&Orphan { state: ignored(), ..orphan.clone() }, Some(expected), None).await.unwrap();
    assert!(
        !is_in_use(&replica, provisioner.id, revision).await,
        "an ignored orphan does not keep its provisioner in use"
    );
    // Without a provisioner an ignored orphan can stay and be changed, but it cannot become undecided.
    let known = Orphan { state: ignored(), name: None, ..orphan.clone() };
    expected = replica.orphans.put(&known, Some(expected), None).await.unwrap();
    for state in [OrphanState::Listed, deleting()] {
        let undecided = replica.orphans.put(&Orphan { state, ..orphan.clone() }, Some(expected), None).await;
        assert!(matches!(undecided, Err(StoreError::Dangling { field: "provisioner" })), "{undecided:?}");
    }
    let new = replica.orphans.put(&new_orphan(&provisioner), None, None).await;
    assert!(matches!(new, Err(StoreError::Dangling { field: "provisioner" })), "{new:?}");
    replica.orphans.remove(orphan.cluster, expected, None).await.unwrap();
}

pub async fn a_removed_orphan_releases_its_provisioner(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, revision) = a_provisioner(&replica).await;
    let (one, other) = (new_orphan(&provisioner), new_orphan(&provisioner));
    let first = replica.orphans.put(&one, None, None).await.unwrap();
    let second = replica.orphans.put(&other, None, None).await.unwrap();
    replica.orphans.remove(one.cluster, first, None).await.unwrap();
    assert!(is_in_use(&replica, provisioner.id, revision).await, "the other orphan still uses it");
    replica.orphans.remove(other.cluster, second, None).await.unwrap();
    assert!(!is_in_use(&replica, provisioner.id, revision).await);
}

pub async fn an_orphan_can_move_to_another_provisioner(site: TestStore) {
    let replica = site.open().await;
    let (first, first_revision) = a_provisioner(&replica).await;
    let (second, second_revision) = a_provisioner(&replica).await;
    let orphan = new_orphan(&first);
    let expected = replica.orphans.put(&orphan, None, None).await.unwrap();
    let moved = Orphan { provisioner: second.id, ..orphan };
    replica.orphans.put(&moved, Some(expected), None).await.unwrap();
    assert!(is_in_use(&replica, second.id, second_revision).await);
    assert!(!is_in_use(&replica, first.id, first_revision).await);
}

pub async fn an_existing_cluster_cannot_be_an_orphan(site: TestStore) {
    let replica = site.open().await;
    let (.., cluster) = replica.one_of_each().await;
    let refused = replica.orphans.put(&an_orphan(&cluster), None, None).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(shown(&replica, cluster.id), None);
}

/// Removes a cluster and leaves an orphan.
async fn remove_with_orphan(replica: &Replica, cluster: &Cluster, expected: Revision, orphan: Orphan) -> Revision {
    let work = ClusterCommit { orphan: Some(orphan), ..ClusterCommit::default() };
    replica.clusters.commit(cluster.id, RecordChange::Remove(expected), work).await.unwrap()
}

pub async fn a_deleted_cluster_passes_its_reference_to_its_orphan(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, revision) = a_provisioner(&replica).await;
    let (cluster, expected) = replica.cluster(&provisioner).await;
    let ledger = ClusterCommit { ledger: Some((a_ledger(cluster.id, &["a"]), None)), ..ClusterCommit::default() };
    replica.clusters.commit(cluster.id, RecordChange::Keep(Some(expected)), ledger).await.unwrap();
    let orphan = an_orphan(&cluster);
    let put = remove_with_orphan(&replica, &cluster, expected, orphan.clone()).await;
    assert_eq!(shown(&replica, cluster.id), Some((orphan.clone(), put)));
    assert_eq!(replica.catalog.remaining_of_provisioner(provisioner.id, 9).len(), 1);
    assert!(is_in_use(&replica, provisioner.id, revision).await);
    replica.orphans.remove(cluster.id, put, None).await.unwrap();
    assert!(!is_in_use(&replica, provisioner.id, revision).await);
}

/// An orphan listed before, by an older release or after a crash, is replaced by that of the ledger.
pub async fn deleting_a_cluster_replaces_its_orphan(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, revision) = a_provisioner(&replica).await;
    let (elsewhere, elsewhere_revision) = a_provisioner(&replica).await;
    let (cluster, expected) = replica.cluster(&provisioner).await;
    for (old, state) in [(elsewhere.id, OrphanState::Listed), (provisioner.id, ignored())] {
        let listed = ClusterCommit {
            orphan: Some(Orphan { provisioner: old, state, resources: Vec::new(), ..an_orphan(&cluster) }),
            ..ClusterCommit::default()
        };
        replica.clusters.commit(cluster.id, RecordChange::Keep(Some(expected)), listed).await.unwrap();
    }
    let orphan = an_orphan(&cluster);
    let put = remove_with_orphan(&replica, &cluster, expected, orphan.clone()).await;
    assert_eq!(shown(&replica, cluster.id), Some((orphan, put)));
    assert!(!is_in_use(&replica, elsewhere.id, elsewhere_revision).await);
    assert!(is_in_use(&replica, provisioner.id, revision).await);
}

pub async fn nothing_dangles_when_a_provisioner_is_deleted(site: TestStore) {
    let pair = site.pair().await;
    for round in 0..20 {
        let (provisioner, revision) = a_provisioner(&pair.0).await;
        let orphan = new_orphan(&provisioner);
        let (deleter, lister) = if round % 2 == 0 { (&pair.0, &pair.1) } else { (&pair.1, &pair.0) };
        let (deleted, listed) =
            join(deleter.provisioners.delete(provisioner.id, revision), lister.orphans.put(&orphan, None, None)).await;
        match (&deleted, &listed) {
            (Ok(()), Err(StoreError::Dangling { field: "provisioner" })) | (Err(StoreError::InUse), Ok(_)) => {}
            other => panic!("{other:?}"),
        }
        pair.0.read_barrier.caught_up().await.unwrap();
        assert_eq!(shown(&pair.0, orphan.cluster).is_some(), listed.is_ok());
    }
}
