//! Promises of [`ClusterStore::commit`](kqueen_domain::port::store::ClusterStore::commit): all or nothing.

use futures::future::join_all;
use kqueen_domain::{
    cluster::{Cluster, Lifecycle},
    id::ClusterId,
    ledger::Ledger,
    observation::ObservedStatus,
    operation::{Operation, OperationStatus, StepKind, StepOutcome},
    port::{
        leader::Term,
        store::{ClusterCommit, ClusterSecrets, Creation, RecordChange, SecretUpdate, StoreError},
    },
    reason::{MAX_PROVIDER_MESSAGE, Reason, ReasonCode, Responsible},
    revision::{Revision, Versioned},
    secret::{Kubeconfig, SecretDocument},
    timeline::TimelineEvent,
};

use super::{
    Replica, TestStore,
    records::{
        a_cluster, a_ledger, a_resource_record, a_tombstone, after, an_entry, an_observed_status, an_operation,
        an_orphan,
    },
};

/// A cluster with every kind of record it can have.
struct Whole {
    cluster: Cluster,
    operation: Operation,
    /// The revision of all its records.
    revision: Revision,
}

fn secrets(text: &str) -> ClusterSecrets {
    ClusterSecrets {
        kubeconfig: SecretUpdate::Set(Kubeconfig::new(text.into())),
        metadata: SecretUpdate::Set(SecretDocument::new(format!("{{\"token\":\"{text}\"}}"))),
    }
}

async fn whole(replica: &Replica) -> Whole {
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let mut cluster = a_cluster(&provisioner);
    let operation = an_operation(&cluster);
    cluster.operation = Some(operation.id);
    let work = ClusterCommit {
        operations: vec![(operation.clone(), None)],
        ledger: Some((a_ledger(cluster.id, &["a"]), None)),
        observed: Some(an_observed_status(cluster.id)),
        timeline: vec![an_entry(&cluster, 0, "requested")],
        ..ClusterCommit::default()
    };
    let created = replica.clusters.create(&cluster, secrets("first"), work, None).await.unwrap();
    let Creation::New(revision) = created else { panic!("the key was used before") };
    Whole { cluster, operation, revision }
}

/// Everything that is stored about a cluster.
#[derive(Debug, PartialEq)]
struct Stored {
    cluster: Option<(Cluster, Revision)>,
    operations: Vec<(Operation, Revision)>,
    observed: Option<ObservedStatus>,
    kubeconfig: Option<String>,
    ledger: Option<Versioned<Ledger>>,
    timeline: Vec<TimelineEvent>,
    is_orphaned: bool,
    has_tombstone: bool,
}

async fn stored(replica: &Replica, id: ClusterId) -> Stored {
    let view = replica.catalog.cluster(id);
    let operations = replica.catalog.operations_of(id);
    Stored {
        cluster: view.as_ref().map(|view| (view.cluster.record.clone(), view.cluster.revision)),
        operations: operations.iter().map(|view| (view.operation.record.clone(), view.operation.revision)).collect(),
        observed: view.and_then(|view| view.observed.as_deref().cloned()),
        kubeconfig: replica.clusters.kubeconfig(id).await.unwrap().map(|text| text.expose().to_owned()),
        ledger: replica.clusters.ledger(id).await.unwrap(),
        timeline: replica.clusters.timeline(id, None, 1000).await.unwrap().entries,
        is_orphaned: replica.catalog.orphan(id).is_some(),
        has_tombstone: replica.catalog.tombstone(id).is_some(),
    }
}

/// A change of all records.
fn next(whole: &Whole, expected: Revision) -> (RecordChange, ClusterCommit) {
    let Whole { cluster, operation, revision } = whole;
    let lifecycle = Lifecycle::Updating;
    let cluster = Cluster { lifecycle, changed_at: after(5), ..cluster.clone() };
    let mut moved = operation.clone();
    moved.begin(StepKind::Create, after(5));
    let work = ClusterCommit {
        operations: vec![(moved, Some(*revision)), (an_operation(&cluster), None)],
        ledger: Some((a_ledger(cluster.id, &["a", "b"]), Some(*revision))),
        observed: Some(ObservedStatus { at: after(5), ..an_observed_status(cluster.id) }),
        timeline: vec![an_entry(&cluster, 5, "begun"), an_entry(&cluster, 5, "created")],
        orphan: Some(an_orphan(&cluster)),
        ..ClusterCommit::default()
    };
    (RecordChange::Put(Box::new(cluster), secrets("second"), expected), work)
}

pub async fn all_records_of_a_commit_have_its_revision(site: TestStore) {
    let replica = site.open().await;
    let whole = whole(&replica).await;
    let id = whole.cluster.id;
    let first = stored(&replica, id).await;
    assert_eq!(first.cluster, Some((whole.cluster.clone(), whole.revision)));
    assert_eq!(first.operations, [(whole.operation.clone(), whole.revision)]);
    assert_eq!(first.ledger, Some(Versioned { value: a_ledger(id, &["a"]), revision: whole.revision }));
    assert_eq!(first.kubeconfig.as_deref(), Some("first"));
    assert_eq!(first.timeline, [an_entry(&whole.cluster, 0, "requested")]);

    let (record, work) = next(&whole, whole.revision);
    let revision = replica.clusters.commit(id, record, work.clone()).await.unwrap();
    assert!(revision > whole.revision);
    let second = stored(&replica, id).await;
    assert_eq!(
        second.cluster.as_ref().map(|(cluster, revision)| (&cluster.lifecycle, *revision)),
        Some((&Lifecycle::Updating, revision))
    );
    assert_eq!(second.operations.len(), 2);
    for (operation, _) in &work.operations {
        assert!(second.operations.contains(&(operation.clone(), revision)));
    }
    assert_eq!(second.ledger, work.ledger.map(|(value, _)| Versioned { value, revision }));
    assert_eq!(second.observed, work.observed);
    assert_eq!(second.kubeconfig.as_deref(), Some("second"));
    let messages: Vec<_> = second.timeline.iter().map(|entry| entry.message.as_str()).collect();
    assert_eq!(messages, ["created", "begun", "requested"]);
    assert!(second.is_orphaned && !second.has_tombstone);

    let replica = site.restart(replica).await;
    assert_eq!(stored(&replica, id).await, second);
}

pub async fn nothing_of_a_failed_commit_is_written(site: TestStore) {
    let replica = site.open().await;
    let whole = whole(&replica).await;
    let id = whole.cluster.id;
    // All records have changed since their first revision; each case expects one stale state.
    let (record, work) = next(&whole, whole.revision);
    let now = replica.clusters.commit(id, record, work).await.unwrap();
    let before = stored(&replica, id).await;
    let current = || {
        let (record, mut work) = next(&whole, now);
        work.operations[0].1 = Some(now);
        work.ledger.as_mut().unwrap().1 = Some(now);
        (record, work)
    };
    let stale = Some(whole.revision);
    type Change<'a> = (&'a str, Box<dyn Fn(&mut RecordChange, &mut ClusterCommit) + Send + Sync + 'a>);
    let changes: Vec<Change<'_>> = vec![
        ("the record has changed", Box::new(|record, _| *record = next(&whole, whole.revision).0)),
        ("the unchanged record has changed", Box::new(|record, _| *record = RecordChange::Keep(stale))),
        ("an operation has changed", Box::new(|_, work| work.operations[0].1 = stale)),
        ("an operation is not new", Box::new(|_, work| work.operations[0].1 = None)),
        ("an operation does not exist", Box::new(|_, work| work.operations[1].1 = Some(now))),
        ("the ledger has changed", Box::new(|_, work| work.ledger.as_mut().unwrap().1 = stale)),
        ("a ledger exists", Box::new(|_, work| work.ledger.as_mut().unwrap().1 = None)),
        (
            "a removal expects another ledger",
            Box::new(|record, work| {
                *record = RecordChange::Remove(now);
                work.ledger.as_mut().unwrap().1 = stale;
            }),
        ),
    ];
    for (what, change) in changes {
        let (mut record, mut work) = current();
        change(&mut record, &mut work);
        work.tombstone = Some(a_tombstone(&whole.cluster));
        let refused = replica.clusters.commit(id, record, work).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{what}: {refused:?}");
        assert_eq!(stored(&replica, id).await, before, "{what}");
    }
    let (record, work) = current();
    let owner = kqueen_domain::id::UserId::random();
    let RecordChange::Put(cluster, secrets, expected) = record else { panic!("the record is put") };
    let dangling = RecordChange::Put(Box::new(Cluster { owner, ..*cluster }), secrets, expected);
    let refused = replica.clusters.commit(id, dangling, work).await;
    assert!(matches!(refused, Err(StoreError::Dangling { field: "owner" })), "{refused:?}");
    let (record, work) = current();
    let stale_term = ClusterCommit { term: Some(Term::Held(now)), ..work };
    let refused = replica.clusters.commit(id, record, stale_term).await;
    assert!(matches!(refused, Err(StoreError::NotLeader)), "{refused:?}");
    assert_eq!(stored(&replica, id).await, before);
    let replica = site.restart(replica).await;
    assert_eq!(stored(&replica, id).await, before);
    let (record, work) = current();
    replica.clusters.commit(id, record, work).await.unwrap();
}

/// Resources that may cost money are never lost: a change of the ledger between reading it and removing the cluster is detected, though it
/// does not change the cluster's record.
pub async fn a_removal_fails_if_the_ledger_has_changed(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let (cluster, revision) = replica.cluster(&provisioner).await;
    let id = cluster.id;
    let mut expected = None;
    for round in 0..3 {
        let intent = ClusterCommit { ledger: Some((a_ledger(id, &["a"]), expected)), ..ClusterCommit::default() };
        let written = replica.clusters.commit(id, RecordChange::Keep(Some(revision)), intent).await.unwrap();
        let removal =
            |expected| ClusterCommit { ledger: Some((Ledger::empty(id), expected)), ..ClusterCommit::default() };
        let refused = replica.clusters.commit(id, RecordChange::Remove(revision), removal(expected)).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{round}: {refused:?}");
        expected = Some(written);
        if round == 2 {
            replica.clusters.commit(id, RecordChange::Remove(revision), removal(expected)).await.unwrap();
        }
    }
    assert!(replica.clusters.ledger(id).await.unwrap().is_none());
}

pub async fn a_commit_needs_its_cluster(site: TestStore) {
    let replica = site.open().await;
    let whole = whole(&replica).await;
    let gone = Cluster { id: ClusterId::random(), ..whole.cluster.clone() };
    for record in [
        RecordChange::Keep(None),
        RecordChange::Keep(Some(whole.revision)),
        RecordChange::Remove(whole.revision),
        RecordChange::Put(Box::new(gone.clone()), ClusterSecrets::default(), whole.revision),
    ] {
        let work = ClusterCommit { operations: vec![(an_operation(&gone), None)], ..ClusterCommit::default() };
        let refused = replica.clusters.commit(gone.id, record, work).await;
        assert!(matches!(refused, Err(StoreError::Missing)), "{refused:?}");
        assert!(replica.catalog.operations_of(gone.id).is_empty());
    }
}

pub async fn unchanged_records_keep_their_revision(site: TestStore) {
    let replica = site.open().await;
    let whole = whole(&replica).await;
    let id = whole.cluster.id;
    let mut operation = whole.operation.clone();
    operation.begin(StepKind::Create, after(1));
    let work = |operation: &Operation, expected| ClusterCommit {
        operations: vec![(operation.clone(), expected)],
        ..ClusterCommit::default()
    };
    let first = work(&operation, Some(whole.revision));
    let revision = replica.clusters.commit(id, RecordChange::Keep(Some(whole.revision)), first).await.unwrap();
    operation.end(OperationStatus::Succeeded, None, after(2));
    let second = work(&operation, Some(revision));
    let last = replica.clusters.commit(id, RecordChange::Keep(None), second).await.unwrap();
    let now = stored(&replica, id).await;
    assert_eq!(now.cluster, Some((whole.cluster, whole.revision)));
    assert_eq!(now.operations, [(operation, last)]);
    assert_eq!(now.ledger.unwrap().revision, whole.revision);
}

pub async fn a_deleted_cluster_leaves_only_its_history(site: TestStore) {
    let replica = site.open().await;
    let whole = whole(&replica).await;
    let id = whole.cluster.id;
    replica.clusters.record_observation_times(vec![(id, after(1))], None).await.unwrap();
    let mut operation = whole.operation.clone();
    operation.end(OperationStatus::Succeeded, None, after(9));
    let work = ClusterCommit {
        operations: vec![(operation.clone(), Some(whole.revision))],
        // Neither outlives the cluster, even if written with its removal.
        ledger: Some((a_ledger(id, &["late"]), Some(whole.revision))),
        observed: Some(an_observed_status(id)),
        timeline: vec![an_entry(&whole.cluster, 9, "gone")],
        tombstone: Some(a_tombstone(&whole.cluster)),
        ..ClusterCommit::default()
    };
    let revision = replica.clusters.commit(id, RecordChange::Remove(whole.revision), work).await.unwrap();
    let check = async |replica: &Replica| {
        let left = stored(replica, id).await;
        assert_eq!((left.cluster, left.observed, left.kubeconfig, left.ledger), (None, None, None, None));
        assert_eq!(left.operations, [(operation.clone(), revision)]);
        assert_eq!((left.timeline.len(), left.has_tombstone, left.is_orphaned), (2, true, false));
        let view = replica.catalog.operation(operation.id).unwrap();
        assert_eq!((view.organization, view.owner), (whole.cluster.organization, whole.cluster.owner));
        assert_eq!(view.cluster_name, whole.cluster.name);
    };
    check(&replica).await;
    let replica = site.restart(replica).await;
    check(&replica).await;
    replica.close().await;
    drop(replica);
    let Some(raw) = site.raw().await else { return };
    let id = id.to_string();
    let mut kinds: Vec<_> =
        raw.iter().filter(|(key, _)| key.contains(&id)).map(|(key, _)| key.split(&id).next().unwrap()).collect();
    kinds.dedup();
    assert_eq!(kinds, ["shown/departed/", "timeline/"]);
}

pub async fn old_operations_are_removed(site: TestStore) {
    let replica = site.open().await;
    let whole = whole(&replica).await;
    let id = whole.cluster.id;
    let newer = an_operation(&whole.cluster);
    let work = ClusterCommit {
        operations: vec![(newer.clone(), None)],
        // An operation in the same commit is not removed, and one that does not exist is ignored.
        forgotten: vec![whole.operation.id, newer.id, kqueen_domain::id::OperationId::random()],
        ..ClusterCommit::default()
    };
    let revision = replica.clusters.commit(id, RecordChange::Keep(None), work).await.unwrap();
    assert_eq!(stored(&replica, id).await.operations, [(newer.clone(), revision)]);
    let replica = site.restart(replica).await;
    assert_eq!(stored(&replica, id).await.operations, [(newer, revision)]);
}

/// The largest records that the domain allows, in one commit.
pub async fn the_largest_commit_fits(site: TestStore) {
    let replica = site.open().await;
    let whole = whole(&replica).await;
    let id = whole.cluster.id;
    let reason =
        Reason::new(ReasonCode::KubeconfigLacksRights, "c".repeat(500), Responsible::Provider, "n".repeat(200))
            .with_provider_message("💥".repeat(MAX_PROVIDER_MESSAGE));
    let mut operation = whole.operation.clone();
    for i in 0..kqueen_domain::operation::STEPS {
        let kind = if i % 2 == 0 { StepKind::Create } else { StepKind::Wait };
        operation.begin(kind, after(1));
        operation.end_step(StepOutcome::Failed, Some(reason.clone()), after(1));
    }
    let names: Vec<String> = (0..200).map(|i| format!("{i}-{}", "x".repeat(60))).collect();
    let secrets = ClusterSecrets {
        kubeconfig: SecretUpdate::Set(Kubeconfig::new("k".repeat(256 << 10))),
        metadata: SecretUpdate::Set(SecretDocument::new("m".repeat(64 << 10))),
    };
    let metadata = format!("{{\"m\":\"{}\"}}", "m".repeat((64 << 10) - 8));
    let metadata = Some(kqueen_domain::document::Document::from_stored(metadata).unwrap());
    let cluster = Cluster { metadata, ..whole.cluster.clone() };
    let work = ClusterCommit {
        operations: vec![(operation.clone(), Some(whole.revision)), (an_operation(&cluster), None)],
        ledger: Some((
            Ledger { resources: names.iter().map(|name| a_resource_record(name)).collect(), ..Ledger::empty(id) },
            Some(whole.revision),
        )),
        observed: Some(an_observed_status(id)),
        timeline: (0..8)
            .map(|i| TimelineEvent { reason: Some(reason.clone()), ..an_entry(&cluster, i, "entry") })
            .collect(),
        ..ClusterCommit::default()
    };
    let record = RecordChange::Put(Box::new(cluster), secrets, whole.revision);
    replica.clusters.commit(id, record, work).await.unwrap();
    assert_eq!(stored(&replica, id).await.timeline.len(), 9);
}

pub async fn a_commit_with_too_many_entries_fails(site: TestStore) {
    let replica = site.open().await;
    let whole = whole(&replica).await;
    let id = whole.cluster.id;
    let many = |count: i64| ClusterCommit {
        timeline: (0..count).map(|i| an_entry(&whole.cluster, i, "entry")).collect(),
        ..ClusterCommit::default()
    };
    let (record, work) = next(&whole, whole.revision);
    let revision =
        replica.clusters.commit(id, record, ClusterCommit { timeline: many(100).timeline, ..work }).await.unwrap();
    assert_eq!(stored(&replica, id).await.timeline.len(), 101);
    let refused = replica.clusters.commit(id, RecordChange::Keep(Some(revision)), many(200)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(stored(&replica, id).await.timeline.len(), 101);
}

pub async fn one_of_concurrent_commits_wins(site: TestStore) {
    let pair = site.pair().await;
    let whole = whole(&pair.0).await;
    let (id, mut expected) = (whole.cluster.id, whole.revision);
    pair.1.read_barrier.caught_up().await.unwrap();
    for round in 0..15 {
        let attempts = (0..8).map(|i| {
            let replica = if i % 2 == 0 { &pair.0 } else { &pair.1 };
            let mut operation = whole.operation.clone();
            operation.attempt = round * 8 + i;
            let ledger = a_ledger(id, &[&operation.attempt.to_string()]);
            // One changes the operation, one the ledger, and the others both.
            let work = match i {
                0 => ClusterCommit { operations: vec![(operation, Some(expected))], ..ClusterCommit::default() },
                1 => ClusterCommit { ledger: Some((ledger, Some(expected))), ..ClusterCommit::default() },
                _ => ClusterCommit {
                    operations: vec![(operation, Some(expected))],
                    ledger: Some((ledger, Some(expected))),
                    ..ClusterCommit::default()
                },
            };
            async move { (i, replica.clusters.commit(id, RecordChange::Keep(None), work).await) }
        });
        let results = join_all(attempts).await;
        let won: Vec<_> = results.iter().filter_map(|(i, result)| Some((*i, *result.as_ref().ok()?))).collect();
        assert!(results.iter().all(|(_, result)| matches!(result, Ok(_) | Err(StoreError::Conflict))), "{results:?}");
        // Only the one that changes the operation and the one that changes the ledger can both win.
        let winners: Vec<_> = won.iter().map(|(i, _)| *i).collect();
        assert!(winners.len() == 1 || winners == [0, 1], "{winners:?}");
        pair.0.read_barrier.caught_up().await.unwrap();
        let operation = pair.0.catalog.operation(whole.operation.id).unwrap().operation;
        let ledger = pair.0.clusters.ledger(id).await.unwrap().unwrap();
        let both = ClusterCommit {
            operations: vec![(whole.operation.clone(), Some(operation.revision))],
            ledger: Some((ledger.value, Some(ledger.revision))),
            ..ClusterCommit::default()
        };
        expected = pair.0.clusters.commit(id, RecordChange::Keep(None), both).await.unwrap();
        pair.1.read_barrier.caught_up().await.unwrap();
    }
}
