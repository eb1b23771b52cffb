//! Leader election between replicas on one etcd: one leads, another takes over, and a former leader cannot write.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kqueen_adapters::{
    leader::TTL,
    storage::{EtcdSettings, Location, OpenError, Settings, Stores, open},
};
use kqueen_domain::{
    catalog::Catalog,
    cluster::Cluster,
    port::{
        leader::{Leadership, Term},
        store::{ClusterCommit, ClusterSecrets, RecordChange, SecretUpdate, StoreError, UserSecrets},
    },
    revision::Revision,
};
use kqueen_tests::{
    contract::records::{a_cluster, a_ledger, a_provisioner, a_user, an_organization},
    fixture::{
        etcd::{Etcd, Options, certificates, shared_etcd},
        gate::Gate,
        process::{eventually, free_port},
    },
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A lease that does not expire during a test.
const LONG: Duration = Duration::from_secs(300);
/// The longest time that recovery may take.
const RECOVERY: Duration = Duration::from_secs(60);
/// Another replica must lead within this time after a leader has died.
const FAIL_OVER: Duration = Duration::from_secs(10);

struct Replica {
    stores: Stores,
    leadership: Arc<dyn Leadership>,
    shutdown: CancellationToken,
    election: JoinHandle<()>,
}

async fn replica(settings: EtcdSettings, ttl: Duration) -> Replica {
    let settings = Settings {
        location: Location::Etcd(settings),
        secret_key: "a secret key for tests".into(),
        previous_keys: Vec::new(),
        kubeconfig_cache_bytes: Settings::KUBECONFIG_CACHE_BYTES,
    };
    let since = Instant::now();
    let stores = loop {
        match open(settings.clone(), Arc::new(Catalog::new())).await {
            Ok(stores) => break stores,
            // Members may not answer at once after the loss of one, or on a busy machine.
            Err(OpenError::Unavailable(_, error)) => assert!(since.elapsed() < RECOVERY, "{error}"),
            Err(error) => panic!("{error}"),
        }
    };
    let (leadership, candidate) = stores.leadership(ttl);
    let shutdown = CancellationToken::new();
    let election = tokio::spawn(candidate.run(shutdown.clone()));
    Replica { stores, leadership, shutdown, election }
}

impl Replica {
    fn term(&self) -> Option<Term> {
        self.leadership.term()
    }

    async fn leads(&self) -> Term {
        eventually("the replica leads", RECOVERY, async || self.term().is_some()).await;
        self.term().unwrap()
    }

    /// Stores a cluster with its organization, user and provisioner.
    async fn a_cluster(&self) -> Cluster {
        let organization = an_organization();
        self.stores.organizations.create(&organization).await.unwrap();
        let user = a_user(organization.id);
        self.stores.users.create(&user, UserSecrets::default()).await.unwrap();
        let provisioner = a_provisioner(&user);
        self.stores.provisioners.create(&provisioner, SecretUpdate::Keep, None).await.unwrap();
        let cluster = a_cluster(&provisioner);
        self.stores.clusters.create(&cluster, ClusterSecrets::default(), ClusterCommit::default(), None).await.unwrap();
        cluster
    }

    /// Writes to a cluster under a term.
    async fn write(&self, cluster: &Cluster, term: Term) -> Result<Revision, StoreError> {
        let seen = self.stores.clusters.ledger(cluster.id).await?.map(|ledger| ledger.revision);
        let ledger = Some((a_ledger(cluster.id, &["server"]), seen));
        let commit = ClusterCommit { ledger, term: Some(term), ..ClusterCommit::default() };
        self.stores.clusters.commit(cluster.id, RecordChange::Keep(None), commit).await
    }

    async fn resign(self) -> Stores {
        self.shutdown.cancel();
        self.election.await.unwrap();
        assert_eq!(self.leadership.term(), None);
        self.stores
    }
}

/// The index of the replica that leads. Panics if two lead.
fn leader(replicas: &[Replica]) -> Option<usize> {
    let mut leading: Option<(usize, Term)> = None;
    for (i, replica) in replicas.iter().enumerate() {
        let Some(term) = replica.term() else { continue };
        // Read again: its term may have ended since it was read.
        if let Some((other, before)) = leading.replace((i, term)) {
            assert_ne!(replicas[other].term(), Some(before), "{other} and {i} lead");
        }
    }
    leading.map(|(i, _)| i)
}

async fn wait_for_leader(replicas: &[Replica]) -> usize {
    eventually("a replica leads", RECOVERY, async || leader(replicas).is_some()).await;
    leader(replicas).unwrap()
}

async fn a_leader_writes(replicas: &[Replica], cluster: &Cluster) -> bool {
    for replica in replicas {
        if let Some(term) = replica.term()
            && replica.write(cluster, term).await.is_ok()
        {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_replicas_leads_and_hands_over_at_once() {
    let Some(etcd) = shared_etcd().await else { return };
    let settings = etcd.settings();
    let mut replicas = Vec::new();
    for _ in 0..4 {
        replicas.push(replica(settings.clone(), LONG).await);
    }
    let cluster = replicas[0].a_cluster().await;
    let mut terms = Vec::new();
    while !replicas.is_empty() {
        // The lease outlasts the test: another replica can lead only because the leader gives it back.
        let leading = wait_for_leader(&replicas).await;
        let term = replicas[leading].term().unwrap();
        replicas[leading].write(&cluster, term).await.unwrap();
        for old in &terms {
            let stale = replicas[leading].write(&cluster, *old).await;
            assert!(matches!(stale, Err(StoreError::NotLeader)), "{stale:?}");
        }
        terms.push(term);
        replicas.swap_remove(leading).resign().await;
    }
    let remaining = etcd.raw(&format!("{}/meta/leader", settings.prefix)).await;
    assert!(remaining.is_empty(), "the last leader did not delete its key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_renews_its_lease() {
    let Some(etcd) = shared_etcd().await else { return };
    let settings = etcd.settings();
    let one = replica(settings.clone(), TTL).await;
    let term = one.leads().await;
    let mut client = etcd.client().await;
    let key = client.get(format!("{}/meta/leader", settings.prefix), None).await.unwrap();
    let lease = key.kvs()[0].lease();
    // The remaining time grows three times: the lease is renewed.
    for _ in 0..3 {
        let mut least = i64::MAX;
        loop {
            let remaining = client.lease_time_to_live(lease, None).await.unwrap().ttl();
            assert!(remaining > 0, "the lease expired");
            if remaining > least {
                break;
            }
            least = remaining;
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
    assert_eq!(one.term(), Some(term));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_vanishes_is_replaced_in_time_and_cannot_write() {
    let Some(etcd) = shared_etcd().await else { return };
    let settings = etcd.settings();
    let one = replica(settings.clone(), TTL).await;
    let term = one.leads().await;
    let cluster = one.a_cluster().await;
    one.write(&cluster, term).await.unwrap();
    let other = replica(settings, TTL).await;
    other.stores.read_barrier.caught_up().await.unwrap();
    assert_eq!(other.term(), None);
    // As if the process had died: the lease is not given back.
    one.election.abort();
    let since = Instant::now();
    eventually("the other replica leads", RECOVERY, async || other.term().is_some()).await;
    assert_eq!(one.term(), None, "it still has a term");
    assert!(since.elapsed() < FAIL_OVER, "{:?}", since.elapsed());
    let seen = one.stores.clusters.ledger(cluster.id).await.unwrap().unwrap();
    let stale = one.write(&cluster, term).await;
    assert!(matches!(stale, Err(StoreError::NotLeader)), "{stale:?}");
    assert_eq!(one.stores.clusters.ledger(cluster.id).await.unwrap(), Some(seen), "a former leader wrote");
    other.write(&cluster, other.term().unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_replica_leads_longer_than_a_lease_while_etcd_is_frozen() {
    let Some(etcd) = Etcd::start(Options::default()).await else { return };
    let settings = etcd.settings();
    let replicas = [replica(settings.clone(), TTL).await, replica(settings, TTL).await];
    let first = wait_for_leader(&replicas).await;
    let cluster = replicas[first].a_cluster().await;
    etcd.freeze();
    let since = Instant::now();
    let is_over = async || {
        let elapsed = since.elapsed();
        let leads = leader(&replicas).is_some();
        // The time is read before the term, so a slow check does not fail by itself.
        assert!(!leads || elapsed < TTL, "a replica leads after {elapsed:?}");
        !leads
    };
    eventually("no replica leads", RECOVERY, is_over).await;
    etcd.thaw();
    let next = wait_for_leader(&replicas).await;
    let term = replicas[next].term().unwrap();
    replicas[next].write(&cluster, term).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_from_etcd_loses_its_term() {
    let Some(etcd) = shared_etcd().await else { return };
    let settings = etcd.settings();
    let gate = Gate::to(etcd.address()).await;
    let behind = EtcdSettings { endpoints: vec![format!("http://{}", gate.address)], ..settings.clone() };
    let one = replica(behind, TTL).await;
    let term = one.leads().await;
    let cluster = one.a_cluster().await;
    let other = replica(settings, TTL).await;
    other.stores.read_barrier.caught_up().await.unwrap();
    gate.cut();
    eventually("the other replica leads", RECOVERY, async || other.term().is_some()).await;
    assert_eq!(one.term(), None);
    gate.mend();
    eventually("etcd is reachable again", RECOVERY, async || one.stores.read_barrier.ready().await.is_ok()).await;
    let stale = one.write(&cluster, term).await;
    assert!(matches!(stale, Err(StoreError::NotLeader)), "{stale:?}");
    // It is a candidate again, and leads once the other resigns.
    other.resign().await;
    assert_ne!(one.leads().await, term);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_notices_when_its_key_or_lease_is_removed() {
    let Some(etcd) = shared_etcd().await else { return };
    let settings = etcd.settings();
    let one = replica(settings.clone(), LONG).await;
    let cluster = one.a_cluster().await;
    let key = format!("{}/meta/leader", settings.prefix);
    let mut client = etcd.client().await;
    let mut term = one.leads().await;
    for round in 0..6 {
        match round % 3 {
            0 => drop(client.delete(key.clone(), None).await.unwrap()),
            // Another process takes the key and deletes it at once.
            1 => {
                client.put(key.clone(), "another process", None).await.unwrap();
                client.delete(key.clone(), None).await.unwrap();
            }
            _ => {
                let lease = client.get(key.clone(), None).await.unwrap().kvs()[0].lease();
                client.lease_revoke(lease).await.unwrap();
            }
        }
        let stale = one.write(&cluster, term).await;
        assert!(matches!(stale, Err(StoreError::NotLeader)), "round {round}: {stale:?}");
        eventually("it leads again", RECOVERY, async || one.term().is_some_and(|now| now != term)).await;
        term = one.term().unwrap();
        one.write(&cluster, term).await.unwrap();
    }
}

/// The backup names the same leader, or none. Two replicas may have a term for a moment, which no lease can prevent; only writes of
/// the one that holds the key are accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_has_a_leader_again() {
    for elected_before in [true, false] {
        let Some(etcd) = Etcd::start(Options::default()).await else { return };
        let settings = etcd.settings();
        let first = replica(settings.clone(), TTL).await;
        first.leads().await;
        let cluster = first.a_cluster().await;
        let mut replicas = Vec::new();
        if elected_before {
            replicas.push(first);
        } else {
            first.resign().await;
        }
        let backup = etcd.backup();
        for _ in 0..2 {
            replicas.push(replica(settings.clone(), TTL).await);
        }
        // These writes are not in the backup.
        for _ in 0..20 {
            let leading = wait_for_leader(&replicas).await;
            replicas[leading].write(&cluster, replicas[leading].term().unwrap()).await.unwrap();
        }
        etcd.kill();
        etcd.restore(&backup);
        etcd.restart().await;
        eventually("a leader writes", RECOVERY, async || a_leader_writes(&replicas, &cluster).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_keeps_its_term_when_etcd_loses_a_member() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        tls: Some(certificates(directory.path())),
        root_password: Some("a password".to_owned()),
        ..Options::default()
    };
    let Some(members) = Etcd::cluster(3, options).await else { return };
    let mut endpoints = vec![format!("https://127.0.0.1:{}", free_port())];
    endpoints.extend(members.iter().map(|member| member.endpoint.clone()));
    let settings = EtcdSettings { endpoints, ..members[0].settings() };
    // Nothing listens at the first address.
    let one = replica(settings.clone(), LONG).await;
    let term = one.leads().await;
    let cluster = one.a_cluster().await;
    members[0].kill();
    eventually("writes succeed again", RECOVERY, async || one.write(&cluster, term).await.is_ok()).await;
    let other = replica(settings, LONG).await;
    one.resign().await;
    let next = other.leads().await;
    eventually("writes succeed again", RECOVERY, async || other.write(&cluster, next).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_authenticate_again_after_a_restart_of_etcd() {
    let options = Options { root_password: Some("p".to_owned()), durable: true, ..Options::default() };
    let Some(etcd) = Etcd::start(options).await else { return };
    let settings = etcd.settings();
    let replicas = [replica(settings.clone(), TTL).await, replica(settings, TTL).await];
    let cluster = replicas[0].a_cluster().await;
    eventually("a leader writes", RECOVERY, async || a_leader_writes(&replicas, &cluster).await).await;
    for _ in 0..2 {
        // A restarted member does not know the tokens it issued before.
        etcd.kill();
        etcd.restart().await;
        let since = Instant::now();
        // After a whole TTL, no confirmation from before the restart counts.
        let writes = async || since.elapsed() > TTL && a_leader_writes(&replicas, &cluster).await;
        eventually("a leader writes", RECOVERY, writes).await;
    }
}
