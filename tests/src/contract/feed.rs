//! Promises about when the catalog contains which changes.

use std::sync::{Arc, Mutex, atomic::Ordering::Relaxed};

use futures::future::join_all;
use kqueen_domain::{
    catalog::{ChangeEvent, Subject, Subscriber},
    name::ResourceName,
    operation::OperationStatus,
    port::{
        leader::Term,
        store::{ClusterCommit, ClusterSecrets, Creation, RecordChange, SecretUpdate, StoreError, UserSecrets},
    },
    provisioner::{Check, Checked, ProvisionerPhase},
    reason::ReasonCode,
    secret::{Kubeconfig, SecretDocument},
};

use super::{
    Replica, TestStore,
    records::{a_cluster, a_tombstone, a_user, after, an_entry, an_observed_status, an_operation},
};

pub async fn a_write_is_visible_when_it_returns(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let clusters: Vec<_> = (0..100).map(|_| a_cluster(&provisioner)).collect();
    join_all(clusters.iter().map(|cluster| async {
        replica.clusters.create(cluster, ClusterSecrets::default(), ClusterCommit::default(), None).await.unwrap();
        assert!(replica.catalog.cluster(cluster.id).is_some());
        replica.record_observed_status(&an_observed_status(cluster.id)).await.unwrap();
        assert!(replica.catalog.cluster(cluster.id).unwrap().observed.is_some());
    }))
    .await;
}

pub async fn a_write_is_visible_on_the_other_replica_once_caught_up(site: TestStore) {
    let (one, other) = site.pair().await;
    let (_, _, provisioner, _) = one.one_of_each().await;
    let (mut cluster, mut expected) = one.cluster(&provisioner).await;
    for round in 0..200 {
        cluster.name = ResourceName::try_from(round.to_string()).unwrap();
        let (writer, reader) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        expected = writer.clusters.update(&cluster, ClusterSecrets::default(), expected).await.unwrap();
        reader.read_barrier.caught_up().await.unwrap();
        let shown = reader.catalog.cluster(cluster.id).unwrap().cluster;
        assert_eq!((&shown.record, shown.revision), (&cluster, expected), "round {round}");
    }
}

pub async fn a_restart_shows_everything(site: TestStore) {
    let replica = site.open().await;
    let (organization, user, provisioner, cluster) = replica.one_of_each().await;
    let observed = an_observed_status(cluster.id);
    replica.record_observed_status(&observed).await.unwrap();
    let (gone, revision) = replica.cluster(&provisioner).await;
    replica.remove(gone.id, revision).await.unwrap();
    let secret = a_user(organization.id);
    let password = kqueen_domain::secret::PasswordHash::new("hash".into());
    let secrets = UserSecrets { password: SecretUpdate::Set(password), metadata: SecretUpdate::Keep };
    replica.users.create(&secret, secrets).await.unwrap();

    let replica = site.restart(replica).await;
    assert_eq!(replica.catalog.organization(organization.id).unwrap().record, organization);
    assert_eq!(replica.catalog.user(user.id).unwrap().record, user);
    assert_eq!(replica.catalog.provisioner(provisioner.id).unwrap().provisioner.record, provisioner);
    let view = replica.catalog.cluster(cluster.id).unwrap();
    assert_eq!(view.cluster.record, cluster);
    assert_eq!(view.observed.as_deref(), Some(&observed));
    assert!(replica.catalog.cluster(gone.id).is_none());
    assert_eq!(replica.users.password_hash(secret.id).await.unwrap().unwrap().expose(), "hash");
}

pub async fn revisions_survive_a_restart(site: TestStore) {
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

pub async fn a_closed_store_rejects_writes(site: TestStore) {
    // A store in memory cannot be closed.
    let replica = site.open().await;
    let (organization, revision) = replica.organization().await;
    if matches!(site.location(), kqueen_adapters::storage::Location::Memory(_)) {
        return;
    }
    replica.close().await;
    let late = replica.organizations.update(&organization, revision).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
}

pub async fn the_other_replica_reads_new_kubeconfigs(site: TestStore) {
    let (one, other) = site.pair().await;
    let (_, _, provisioner, _) = one.one_of_each().await;
    let (cluster, mut expected) = one.cluster(&provisioner).await;
    for round in 0..50 {
        let text = format!("kubeconfig {round}");
        let secrets = ClusterSecrets {
            kubeconfig: SecretUpdate::Set(Kubeconfig::new(text.clone())),
            ..ClusterSecrets::default()
        };
        expected = one.clusters.update(&cluster, secrets, expected).await.unwrap();
        other.read_barrier.caught_up().await.unwrap();
        for replica in [&one, &other, &other] {
            assert_eq!(replica.clusters.kubeconfig(cluster.id).await.unwrap().unwrap().expose(), text);
        }
    }
}

pub async fn the_other_replica_reads_new_parameters(site: TestStore) {
    let (one, other) = site.pair().await;
    let (_, _, provisioner, cluster) = one.one_of_each().await;
    let mut revision = one.catalog.provisioner(provisioner.id).unwrap().provisioner.revision;
    let mut expected = one.catalog.cluster(cluster.id).unwrap().cluster.revision;
    for round in 0..30 {
        // Every fourth round removes the secrets.
        let text = (round % 4 != 3).then(|| format!("{{\"token\":\"{round}\"}}"));
        let document = || SecretUpdate::from(text.clone().map(SecretDocument::new));
        revision = one.provisioners.update(&provisioner, document(), revision).await.unwrap();
        let secrets = ClusterSecrets { metadata: document(), ..ClusterSecrets::default() };
        expected = one.clusters.update(&cluster, secrets, expected).await.unwrap();
        other.read_barrier.caught_up().await.unwrap();
        for replica in [&one, &other, &other] {
            let exposed = |secret: Option<SecretDocument>| secret.map(|secret| secret.expose().to_owned());
            assert_eq!(exposed(replica.provisioners.secrets(provisioner.id).await.unwrap()), text, "{round}");
            assert_eq!(exposed(replica.clusters.metadata(cluster.id).await.unwrap()), text, "{round}");
        }
    }
}

/// Secrets are cached, because every reconciliation needs them.
pub async fn secrets_are_read_once(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, cluster) = replica.one_of_each().await;
    let read = async |replica: &Replica| {
        replica.clusters.kubeconfig(cluster.id).await.unwrap();
        replica.clusters.metadata(cluster.id).await.unwrap();
        replica.provisioners.secrets(provisioner.id).await.unwrap();
        replica.counters.secret_reads.load(Relaxed)
    };
    assert_eq!(read(&replica).await, 3);
    assert_eq!(read(&replica).await, 3);
    // An observed status does not invalidate the cache, an update of the cluster does.
    replica.record_observed_status(&an_observed_status(cluster.id)).await.unwrap();
    assert_eq!(read(&replica).await, 3);
    let revision = replica.catalog.cluster(cluster.id).unwrap().cluster.revision;
    replica.clusters.update(&cluster, ClusterSecrets::default(), revision).await.unwrap();
    assert_eq!(read(&replica).await, 5);
}

/// Records the change events it receives.
#[derive(Default)]
struct Recorder(Mutex<Vec<ChangeEvent>>);

impl Subscriber for Recorder {
    fn changed(&self, events: &[ChangeEvent]) {
        self.0.lock().unwrap().extend_from_slice(events);
    }

    fn replaced(&self) {}
}

pub async fn replicas_report_the_same_changes(site: TestStore) {
    let (one, other) = site.pair().await;
    let (organization, _) = one.organization().await;
    let (user, user_revision) = one.user(&organization).await;
    let (provisioner, provisioner_revision) = one.provisioner(&user).await;
    other.read_barrier.caught_up().await.unwrap();
    let (first, second) = (Arc::new(Recorder::default()), Arc::new(Recorder::default()));
    one.catalog.subscribe(first.clone());
    other.catalog.subscribe(second.clone());

    let cluster = a_cluster(&provisioner);
    let operation = an_operation(&cluster);
    let work = ClusterCommit { operations: vec![(operation.clone(), None)], ..ClusterCommit::default() };
    let created = one.clusters.create(&cluster, ClusterSecrets::default(), work, None).await.unwrap();
    let Creation::New(created_revision) = created else { panic!("the key was used before") };
    let observed_revision = one.record_observed_status(&an_observed_status(cluster.id)).await.unwrap();
    let check = Check {
        phase: ProvisionerPhase::Failed,
        code: Some(ReasonCode::CredentialsRejected),
        reason: "401".into(),
        at: after(1),
    };
    let checked = Checked { provisioner: provisioner.id, check, state_changed_at: after(1) };
    one.provisioners.record_check(&checked, Term::Single).await.unwrap();
    let mut ended = operation.clone();
    ended.end(OperationStatus::Succeeded, None, after(2));
    let work = ClusterCommit {
        operations: vec![(ended, Some(created_revision))],
        tombstone: Some(a_tombstone(&cluster)),
        timeline: vec![an_entry(&cluster, 2, "not in the feed")],
        ..ClusterCommit::default()
    };
    let deleted_revision = one.clusters.commit(cluster.id, RecordChange::Remove(created_revision), work).await.unwrap();
    one.provisioners.delete(provisioner.id, provisioner_revision).await.unwrap();
    one.users.delete(user.id, user_revision, None).await.unwrap();
    other.read_barrier.caught_up().await.unwrap();

    let events = std::mem::take(&mut *first.0.lock().unwrap());
    let subjects: Vec<_> = events.iter().map(|event| (event.subject, event.deleted)).collect();
    let operation = Subject::Operation(operation.id, cluster.id);
    assert_eq!(
        subjects,
        [
            (Subject::Cluster(cluster.id), false),
            (operation, false),
            (Subject::Cluster(cluster.id), false),
            (Subject::Provisioner(provisioner.id), false),
            (Subject::Cluster(cluster.id), true),
            (operation, false),
            (Subject::Provisioner(provisioner.id), true),
            (Subject::User(user.id), true),
        ]
    );
    let revisions: Vec<_> = events.iter().map(|event| event.revision).collect();
    assert_eq!((revisions[0], revisions[1], revisions[2]), (created_revision, created_revision, observed_revision));
    assert_eq!((revisions[4], revisions[5]), (deleted_revision, deleted_revision));
    assert!(revisions.is_sorted() && revisions[7] > revisions[6], "{revisions:?}");
    assert!(events.iter().all(|event| (event.organization, event.owner) == (organization.id, user.id)));
    // If only one process can use the store, both are the same replica with two subscribers.
    assert_eq!(*second.0.lock().unwrap(), events);
}

pub async fn an_open_store_is_ready(site: TestStore) {
    let replica = site.open().await;
    replica.read_barrier.ready().await.unwrap();
    replica.read_barrier.caught_up().await.unwrap();
}
