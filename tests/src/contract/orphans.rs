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
    records::{a_cluster, a_ledger, a_row, after, an_orphan, then},
};

/// An orphan of a cluster nobody knows.
fn found(provisioner: &Provisioner) -> Orphan {
    an_orphan(&a_cluster(provisioner))
}

fn ignored() -> OrphanState {
    OrphanState::Ignored { by: UserId::random(), since: then() }
}

fn leaving() -> OrphanState {
    let trouble = Some(
        Reason::new(ReasonCode::ProviderBusy, "the provider is busy", Responsible::Provider, "wait").with_words("BUSY"),
    );
    OrphanState::Deleting { by: UserId::random(), since: then(), last_error: trouble }
}

fn shown(replica: &Replica, cluster: ClusterId) -> Option<(Orphan, Revision)> {
    replica.catalog.orphan(cluster).map(|view| (view.orphan.record.clone(), view.orphan.revision))
}

/// A provisioner that nothing else uses.
async fn a_provisioner(replica: &Replica) -> (Provisioner, Revision) {
    let (organization, _) = replica.organization().await;
    let (user, _) = replica.user(&organization).await;
    replica.provisioner(&user).await
}

async fn is_held(replica: &Replica, provisioner: ProvisionerId, seen: Revision) -> bool {
    match replica.provisioners.delete(provisioner, seen).await {
        Err(StoreError::InUse) => true,
        Ok(()) => false,
        Err(error) => panic!("{error:?}"),
    }
}

pub async fn what_is_stored_is_shown(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, _) = a_provisioner(&replica).await;
    let mut orphan = found(&provisioner);
    let mut seen = replica.orphans.put(&orphan, None, None).await.unwrap();
    assert_eq!(shown(&replica, orphan.cluster), Some((orphan.clone(), seen)));
    for state in [leaving(), ignored(), OrphanState::Listed] {
        orphan = Orphan {
            state,
            resources: vec![a_row("one"), a_row("two")],
            name: None,
            seen_at: Some(after(1)),
            ..orphan
        };
        seen = replica.orphans.put(&orphan, Some(seen), None).await.unwrap();
        assert_eq!(shown(&replica, orphan.cluster), Some((orphan.clone(), seen)));
    }
    let replica = site.restart(replica).await;
    assert_eq!(shown(&replica, orphan.cluster), Some((orphan.clone(), seen)));
    replica.orphans.remove(orphan.cluster, seen, None).await.unwrap();
    assert_eq!(shown(&replica, orphan.cluster), None);
    let replica = site.restart(replica).await;
    assert_eq!(shown(&replica, orphan.cluster), None);
    replica.orphans.put(&orphan, None, None).await.unwrap();
}

pub async fn stale_revision_is_refused(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, _) = a_provisioner(&replica).await;
    let orphan = found(&provisioner);
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

pub async fn missing_is_told(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, _) = a_provisioner(&replica).await;
    let orphan = found(&provisioner);
    let put = replica.orphans.put(&orphan, Some(Revision(1)), None).await;
    assert!(matches!(put, Err(StoreError::Missing)), "{put:?}");
    let removed = replica.orphans.remove(orphan.cluster, Revision(1), None).await;
    assert!(matches!(removed, Err(StoreError::Missing)), "{removed:?}");
}

pub async fn undecided_orphans_hold_their_provisioner(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, revision) = a_provisioner(&replica).await;
    let orphan = found(&provisioner);
    let mut seen = replica.orphans.put(&orphan, None, None).await.unwrap();
    assert!(is_held(&replica, provisioner.id, revision).await);
    seen = replica.orphans.put(&Orphan { state: leaving(), ..orphan.clone() }, Some(seen), None).await.unwrap();
    assert!(is_held(&replica, provisioner.id, revision).await);
    seen = replica.orphans.put(&Orphan { state: ignored(), ..orphan.clone() }, Some(seen), None).await.unwrap();
    assert!(!is_held(&replica, provisioner.id, revision).await, "one that may stay holds nothing");
    // Without a provisioner it can stay as it is, and it can be changed, but it cannot wait for somebody.
    let known = Orphan { state: ignored(), name: None, ..orphan.clone() };
    seen = replica.orphans.put(&known, Some(seen), None).await.unwrap();
    for state in [OrphanState::Listed, leaving()] {
        let waits = replica.orphans.put(&Orphan { state, ..orphan.clone() }, Some(seen), None).await;
        assert!(matches!(waits, Err(StoreError::Dangling { field: "provisioner" })), "{waits:?}");
    }
    let new = replica.orphans.put(&found(&provisioner), None, None).await;
    assert!(matches!(new, Err(StoreError::Dangling { field: "provisioner" })), "{new:?}");
    replica.orphans.remove(orphan.cluster, seen, None).await.unwrap();
}

pub async fn an_orphan_that_leaves_lets_go(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, revision) = a_provisioner(&replica).await;
    let (one, other) = (found(&provisioner), found(&provisioner));
    let first = replica.orphans.put(&one, None, None).await.unwrap();
    let second = replica.orphans.put(&other, None, None).await.unwrap();
    replica.orphans.remove(one.cluster, first, None).await.unwrap();
    assert!(is_held(&replica, provisioner.id, revision).await, "the other still holds it");
    replica.orphans.remove(other.cluster, second, None).await.unwrap();
    assert!(!is_held(&replica, provisioner.id, revision).await);
}

pub async fn another_provisioner_takes_over_the_hold(site: TestStore) {
    let replica = site.open().await;
    let (first, first_revision) = a_provisioner(&replica).await;
    let (second, second_revision) = a_provisioner(&replica).await;
    let orphan = found(&first);
    let seen = replica.orphans.put(&orphan, None, None).await.unwrap();
    let moved = Orphan { provisioner: second.id, ..orphan };
    replica.orphans.put(&moved, Some(seen), None).await.unwrap();
    assert!(is_held(&replica, second.id, second_revision).await);
    assert!(!is_held(&replica, first.id, first_revision).await);
}

pub async fn what_belongs_to_a_cluster_is_no_orphan(site: TestStore) {
    let replica = site.open().await;
    let (.., cluster) = replica.one_of_each().await;
    let refused = replica.orphans.put(&an_orphan(&cluster), None, None).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(shown(&replica, cluster.id), None);
}

/// Leaves a cluster behind, with an orphan.
async fn orphaned(replica: &Replica, cluster: &Cluster, seen: Revision, orphan: Orphan) -> Revision {
    let work = ClusterCommit { orphan: Some(orphan), ..ClusterCommit::default() };
    replica.clusters.commit(cluster.id, RecordChange::Remove(seen), work).await.unwrap()
}

pub async fn a_cluster_that_leaves_hands_its_hold_over(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, revision) = a_provisioner(&replica).await;
    let (cluster, seen) = replica.cluster(&provisioner).await;
    let ledger = ClusterCommit { ledger: Some((a_ledger(cluster.id, &["a"]), None)), ..ClusterCommit::default() };
    replica.clusters.commit(cluster.id, RecordChange::Keep(Some(seen)), ledger).await.unwrap();
    let orphan = an_orphan(&cluster);
    let put = orphaned(&replica, &cluster, seen, orphan.clone()).await;
    assert_eq!(shown(&replica, cluster.id), Some((orphan.clone(), put)));
    assert_eq!(replica.catalog.remaining_of_provisioner(provisioner.id, 9).len(), 1);
    assert!(is_held(&replica, provisioner.id, revision).await);
    replica.orphans.remove(cluster.id, put, None).await.unwrap();
    assert!(!is_held(&replica, provisioner.id, revision).await);
}

/// Whatever was listed before, by an older release or after a crash, what its ledger says counts.
pub async fn a_cluster_that_leaves_replaces_its_orphan(site: TestStore) {
    let replica = site.open().await;
    let (provisioner, revision) = a_provisioner(&replica).await;
    let (elsewhere, elsewhere_revision) = a_provisioner(&replica).await;
    let (cluster, seen) = replica.cluster(&provisioner).await;
    for (old, state) in [(elsewhere.id, OrphanState::Listed), (provisioner.id, ignored())] {
        let listed = ClusterCommit {
            orphan: Some(Orphan { provisioner: old, state, resources: Vec::new(), ..an_orphan(&cluster) }),
            ..ClusterCommit::default()
        };
        replica.clusters.commit(cluster.id, RecordChange::Keep(Some(seen)), listed).await.unwrap();
    }
    let orphan = an_orphan(&cluster);
    let put = orphaned(&replica, &cluster, seen, orphan.clone()).await;
    assert_eq!(shown(&replica, cluster.id), Some((orphan, put)));
    assert!(!is_held(&replica, elsewhere.id, elsewhere_revision).await);
    assert!(is_held(&replica, provisioner.id, revision).await);
}

pub async fn nothing_dangles_when_a_provisioner_is_deleted(site: TestStore) {
    let pair = site.pair().await;
    for round in 0..20 {
        let (provisioner, revision) = a_provisioner(&pair.0).await;
        let orphan = found(&provisioner);
        let (deleter, lister) = if round % 2 == 0 { (&pair.0, &pair.1) } else { (&pair.1, &pair.0) };
        let (deleted, listed) =
            join(deleter.provisioners.delete(provisioner.id, revision), lister.orphans.put(&orphan, None, None)).await;
        match (&deleted, &listed) {
            (Ok(()), Err(StoreError::Dangling { field: "provisioner" })) | (Err(StoreError::InUse), Ok(_)) => {}
            other => panic!("{other:?}"),
        }
        pair.0.freshness.caught_up().await.unwrap();
        assert_eq!(shown(&pair.0, orphan.cluster).is_some(), listed.is_ok());
    }
}
