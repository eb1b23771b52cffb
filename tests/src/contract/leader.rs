//! Promises about leadership, and about writes that depend on it.

use std::time::Duration;

use kqueen_adapters::storage::Location;
use kqueen_domain::{
    orphan::Orphan,
    port::{
        leader::Term,
        store::{ClusterCommit, ClusterSecrets, RecordChange, StoreError},
    },
    provisioner::{Check, Checked, ProvisionerPhase},
    reason::ReasonCode,
    revision::Revision,
};
use tokio_util::sync::CancellationToken;

use super::{
    TestStore,
    records::{a_cluster, a_ledger, after, an_entry, an_observed_status, an_operation, an_orphan, then},
};
use crate::fixture::process::eventually;

pub async fn a_single_replica_leads_with_a_valid_term(site: TestStore) {
    let replica = site.open().await;
    let (.., provisioner, cluster) = replica.one_of_each().await;
    let (leadership, candidate) = replica.leadership(Duration::from_secs(60));
    let closing = CancellationToken::new();
    let candidacy = tokio::spawn(candidate.run(closing.clone()));
    eventually("the replica leads", Duration::from_secs(20), async || leadership.term().is_some()).await;
    let term = leadership.term().unwrap();
    assert_eq!(term == Term::Single, !matches!(site.location(), Location::Etcd(_)));

    let work =
        ClusterCommit { observed: Some(an_observed_status(cluster.id)), term: Some(term), ..ClusterCommit::default() };
    replica.clusters.commit(cluster.id, RecordChange::Keep(None), work).await.unwrap();
    replica.clusters.record_observation_times(vec![(cluster.id, after(5))], Some(term)).await.unwrap();
    let check = Check {
        phase: ProvisionerPhase::Failed,
        code: Some(ReasonCode::CredentialsRejected),
        reason: "401".into(),
        at: after(1),
    };
    let checked = Checked { provisioner: provisioner.id, check, state_changed_at: after(1) };
    replica.provisioners.record_check(&checked, term).await.unwrap();
    let orphan = an_orphan(&a_cluster(&provisioner));
    let expected = replica.orphans.put(&orphan, None, Some(term)).await.unwrap();
    replica.orphans.remove(orphan.cluster, expected, Some(term)).await.unwrap();
    closing.cancel();
    candidacy.await.unwrap();
}

/// Also in stores without elections, where such a term is never valid.
pub async fn a_replica_that_is_not_leader_writes_nothing(site: TestStore) {
    let replica = site.open().await;
    let (.., provisioner, cluster) = replica.one_of_each().await;
    let orphan = an_orphan(&a_cluster(&provisioner));
    let listed = replica.orphans.put(&orphan, None, None).await.unwrap();
    let revision = replica.catalog.cluster(cluster.id).unwrap().cluster.revision;
    let not_leader =
        |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::NotLeader)), "{result:?}");
    for term in [Term::Held(revision), Term::Held(Revision(0)), Term::Held(Revision(u64::MAX))] {
        let everything = || ClusterCommit {
            operations: vec![(an_operation(&cluster), None)],
            ledger: Some((a_ledger(cluster.id, &["a"]), None)),
            observed: Some(an_observed_status(cluster.id)),
            timeline: vec![an_entry(&cluster, 1, "entry")],
            term: Some(term),
            ..ClusterCommit::default()
        };
        for record in [
            RecordChange::Keep(None),
            // `NotLeader` takes precedence over other errors.
            RecordChange::Keep(Some(Revision(revision.0 + 100))),
            RecordChange::Put(Box::new(cluster.clone()), ClusterSecrets::default(), revision),
            RecordChange::Remove(revision),
        ] {
            not_leader(replica.clusters.commit(cluster.id, record, everything()).await.map(drop));
        }
        not_leader(replica.clusters.record_observation_times(vec![(cluster.id, after(5))], Some(term)).await);
        let check = Check {
            phase: ProvisionerPhase::Failed,
            code: Some(ReasonCode::CredentialsRejected),
            reason: "401".into(),
            at: after(1),
        };
        let checked = Checked { provisioner: provisioner.id, check, state_changed_at: after(1) };
        not_leader(replica.provisioners.record_check(&checked, term).await);
        let other = an_orphan(&a_cluster(&provisioner));
        not_leader(replica.orphans.put(&other, None, Some(term)).await.map(drop));
        let changed = Orphan { name: None, ..orphan.clone() };
        not_leader(replica.orphans.put(&changed, Some(listed), Some(term)).await.map(drop));
        not_leader(replica.orphans.remove(orphan.cluster, listed, Some(term)).await);
        assert!(replica.catalog.orphan(other.cluster).is_none());
    }
    let replica = site.restart(replica).await;
    let view = replica.catalog.cluster(cluster.id).unwrap();
    assert_eq!((&view.cluster.record, view.cluster.revision), (&cluster, revision));
    assert!(view.observed.is_none() && view.observed_at.is_none());
    assert!(replica.catalog.operations_of(cluster.id).is_empty());
    assert!(replica.clusters.ledger(cluster.id).await.unwrap().is_none());
    assert!(replica.clusters.timeline(cluster.id, None, 9).await.unwrap().entries.is_empty());
    assert_eq!(replica.catalog.provisioner(provisioner.id).unwrap().provisioner.record.check.at, then());
    assert_eq!(replica.catalog.orphan(orphan.cluster).unwrap().orphan.record, orphan);
}

pub async fn an_installation_keeps_its_id(site: TestStore) {
    let (one, other) = site.pair().await;
    let id = one.installation();
    assert_eq!(other.installation(), id);
    other.close().await;
    drop(other);
    let again = site.restart(one).await;
    assert_eq!(again.installation(), id);
    let elsewhere = TestStore::memory().await.unwrap().open().await;
    assert_ne!(elsewhere.installation(), id);
}

pub async fn replicas_that_initialize_a_store_together_are_one_installation(site: TestStore) {
    if !site.is_shareable() {
        return;
    }
    let (one, other) = futures::future::join(site.open(), site.open()).await;
    assert_eq!(one.installation(), other.installation());
}
