//! Replicas on one etcd: one leads, another takes over, and one that was replaced spoils nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kqueen_adapters::{
    leader::TTL,
    storage::{EtcdSettings, OpenError, Place, Settings, Stores, open},
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

/// A lease so long that nothing in a test waits for it to run out.
const LONG: Duration = Duration::from_secs(300);
/// What heals by itself may take this long.
const HEALING: Duration = Duration::from_secs(60);
/// Within that time somebody follows a leader that is dead.
const FAIL_OVER: Duration = Duration::from_secs(10);

struct Replica {
    stores: Stores,
    leadership: Arc<dyn Leadership>,
    closing: CancellationToken,
    display: JoinHandle<()>,
}

async fn replica(settings: EtcdSettings, ttl: Duration) -> Replica {
    let settings = Settings {
        place: Place::Etcd(settings),
        secret_key: "a secret key for tests".into(),
        previous_keys: Vec::new(),
        kubeconfig_cache_bytes: Settings::KUBECONFIG_CACHE_BYTES,
    };
    let since = Instant::now();
    let stores = loop {
        match open(settings.clone(), Arc::new(Catalog::new())).await {
            Ok(stores) => break stores,
            // Members that have just lost one of them, or share a busy machine, may not answer at once.
            Err(OpenError::Unavailable(_, error)) => assert!(since.elapsed() < HEALING, "{error}"),
            Err(error) => panic!("{error}"),
        }
    };
    let (leadership, candidate) = stores.leadership(ttl);
    let closing = CancellationToken::new();
    let display = tokio::spawn(candidate.run(closing.clone()));
    Replica { stores, leadership, closing, display }
}

impl Replica {
    fn term(&self) -> Option<Term> {
        self.leadership.term()
    }

    async fn leads(&self) -> Term {
        eventually("it leads", HEALING, async || self.term().is_some()).await;
        self.term().unwrap()
    }

    /// Stores a cluster that can be worked on.
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

    /// Does work on a cluster under a term.
    async fn works(&self, cluster: &Cluster, term: Term) -> Result<Revision, StoreError> {
        let seen = self.stores.clusters.ledger(cluster.id).await?.map(|ledger| ledger.revision);
        let ledger = Some((a_ledger(cluster.id, &["server"]), seen));
        let work = ClusterCommit { ledger, term: Some(term), ..ClusterCommit::default() };
        self.stores.clusters.commit(cluster.id, RecordChange::Keep(None), work).await
    }

    async fn resign(self) -> Stores {
        self.closing.cancel();
        self.display.await.unwrap();
        assert_eq!(self.leadership.term(), None);
        self.stores
    }
}

/// Which of them leads; never more than one.
fn leader(replicas: &[Replica]) -> Option<usize> {
    let mut leading: Option<(usize, Term)> = None;
    for (i, replica) in replicas.iter().enumerate() {
        let Some(term) = replica.term() else { continue };
        // Asked again: time may have passed since it said that it leads.
        if let Some((other, before)) = leading.replace((i, term)) {
            assert_ne!(replicas[other].term(), Some(before), "{other} and {i} lead");
        }
    }
    leading.map(|(i, _)| i)
}

async fn somebody_leads(replicas: &[Replica]) -> usize {
    eventually("somebody leads", HEALING, async || leader(replicas).is_some()).await;
    leader(replicas).unwrap()
}

async fn somebody_works(replicas: &[Replica], cluster: &Cluster) -> bool {
    for replica in replicas {
        if let Some(term) = replica.term()
            && replica.works(cluster, term).await.is_ok()
        {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_one_leads_and_hands_over_at_once() {
    let Some(etcd) = shared_etcd().await else { return };
    let settings = etcd.settings();
    let mut replicas = Vec::new();
    for _ in 0..4 {
        replicas.push(replica(settings.clone(), LONG).await);
    }
    let cluster = replicas[0].a_cluster().await;
    let mut terms = Vec::new();
    while !replicas.is_empty() {
        // With such a lease nobody would follow before the test has ended, were it not given back.
        let leading = somebody_leads(&replicas).await;
        let term = replicas[leading].term().unwrap();
        replicas[leading].works(&cluster, term).await.unwrap();
        for old in &terms {
            let late = replicas[leading].works(&cluster, *old).await;
            assert!(matches!(late, Err(StoreError::NotLeader)), "{late:?}");
        }
        terms.push(term);
        replicas.swap_remove(leading).resign().await;
    }
    let left = etcd.raw(&format!("{}/meta/leader", settings.prefix)).await;
    assert!(left.is_empty(), "the last one left its key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_stays_for_longer_than_a_lease() {
    let Some(etcd) = shared_etcd().await else { return };
    let settings = etcd.settings();
    let one = replica(settings.clone(), TTL).await;
    let term = one.leads().await;
    let mut client = etcd.client().await;
    let key = client.get(format!("{}/meta/leader", settings.prefix), None).await.unwrap();
    let lease = key.kvs()[0].lease();
    // Three times the time that is left of it is more than it was a moment ago.
    for _ in 0..3 {
        let mut least = i64::MAX;
        loop {
            let left = client.lease_time_to_live(lease, None).await.unwrap().ttl();
            assert!(left > 0, "the lease ran out");
            if left > least {
                break;
            }
            least = left;
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
    assert_eq!(one.term(), Some(term));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_vanishes_is_followed_in_time_and_writes_no_more() {
    let Some(etcd) = shared_etcd().await else { return };
    let settings = etcd.settings();
    let one = replica(settings.clone(), TTL).await;
    let term = one.leads().await;
    let cluster = one.a_cluster().await;
    one.works(&cluster, term).await.unwrap();
    let other = replica(settings, TTL).await;
    other.stores.freshness.caught_up().await.unwrap();
    assert_eq!(other.term(), None);
    // As if the process had died: nothing is given back.
    one.display.abort();
    let since = Instant::now();
    eventually("the other leads", HEALING, async || other.term().is_some()).await;
    assert_eq!(one.term(), None, "it still thinks that it leads");
    assert!(since.elapsed() < FAIL_OVER, "{:?}", since.elapsed());
    let seen = one.stores.clusters.ledger(cluster.id).await.unwrap().unwrap();
    let late = one.works(&cluster, term).await;
    assert!(matches!(late, Err(StoreError::NotLeader)), "{late:?}");
    assert_eq!(one.stores.clusters.ledger(cluster.id).await.unwrap(), Some(seen), "something was written");
    other.works(&cluster, other.term().unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_etcd_stands_still_nobody_leads_for_long() {
    let Some(etcd) = Etcd::start(Options::default()).await else { return };
    let settings = etcd.settings();
    let replicas = [replica(settings.clone(), TTL).await, replica(settings, TTL).await];
    let first = somebody_leads(&replicas).await;
    let cluster = replicas[first].a_cluster().await;
    etcd.freeze();
    let since = Instant::now();
    let is_over = async || {
        let asked = since.elapsed();
        let leads = leader(&replicas).is_some();
        // However late we are told: by then it was true no longer.
        assert!(!leads || asked < TTL, "somebody leads after {asked:?}");
        !leads
    };
    eventually("nobody leads", HEALING, is_over).await;
    etcd.thaw();
    let next = somebody_leads(&replicas).await;
    let term = replicas[next].term().unwrap();
    replicas[next].works(&cluster, term).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_gives_way() {
    let Some(etcd) = shared_etcd().await else { return };
    let settings = etcd.settings();
    let gate = Gate::to(etcd.address()).await;
    let behind = EtcdSettings { endpoints: vec![format!("http://{}", gate.address)], ..settings.clone() };
    let one = replica(behind, TTL).await;
    let term = one.leads().await;
    let cluster = one.a_cluster().await;
    let other = replica(settings, TTL).await;
    other.stores.freshness.caught_up().await.unwrap();
    gate.cut();
    eventually("the other leads", HEALING, async || other.term().is_some()).await;
    assert_eq!(one.term(), None);
    gate.mend();
    eventually("it is back", HEALING, async || one.stores.freshness.ready().await.is_ok()).await;
    let late = one.works(&cluster, term).await;
    assert!(matches!(late, Err(StoreError::NotLeader)), "{late:?}");
    // It stands again: when the other goes it follows.
    other.resign().await;
    assert_ne!(one.leads().await, term);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_or_a_lease_that_somebody_takes_away_is_noticed() {
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
            // Somebody else holds it, for no time at all.
            1 => {
                client.put(key.clone(), "somebody", None).await.unwrap();
                client.delete(key.clone(), None).await.unwrap();
            }
            _ => {
                let lease = client.get(key.clone(), None).await.unwrap().kvs()[0].lease();
                client.lease_revoke(lease).await.unwrap();
            }
        }
        let late = one.works(&cluster, term).await;
        assert!(matches!(late, Err(StoreError::NotLeader)), "round {round}: {late:?}");
        eventually("it leads again", HEALING, async || one.term().is_some_and(|now| now != term)).await;
        term = one.term().unwrap();
        one.works(&cluster, term).await.unwrap();
    }
}

/// In the copy the same one leads, or nobody does. For a moment two may think that they lead, which no lease can prevent; of their
/// writes only those of the one who holds the key are taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_put_back_to_an_earlier_copy_has_a_leader_again() {
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
        let copy = etcd.backup();
        for _ in 0..2 {
            replicas.push(replica(settings.clone(), TTL).await);
        }
        // The copy knows nothing of that.
        for _ in 0..20 {
            let leading = somebody_leads(&replicas).await;
            replicas[leading].works(&cluster, replicas[leading].term().unwrap()).await.unwrap();
        }
        etcd.kill();
        etcd.restore(&copy);
        etcd.restart().await;
        eventually("a leader works", HEALING, async || somebody_works(&replicas, &cluster).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_a_member_costs_no_term() {
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
    // Nobody is at the first address.
    let one = replica(settings.clone(), LONG).await;
    let term = one.leads().await;
    let cluster = one.a_cluster().await;
    members[0].kill();
    eventually("work goes on", HEALING, async || one.works(&cluster, term).await.is_ok()).await;
    let other = replica(settings, LONG).await;
    one.resign().await;
    let next = other.leads().await;
    eventually("work goes on", HEALING, async || other.works(&cluster, next).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_were_forgotten_are_proven_again() {
    let options = Options { root_password: Some("p".to_owned()), durable: true, ..Options::default() };
    let Some(etcd) = Etcd::start(options).await else { return };
    let settings = etcd.settings();
    let replicas = [replica(settings.clone(), TTL).await, replica(settings, TTL).await];
    let cluster = replicas[0].a_cluster().await;
    eventually("a leader works", HEALING, async || somebody_works(&replicas, &cluster).await).await;
    for _ in 0..2 {
        // A member that starts again knows no token it gave before.
        etcd.kill();
        etcd.restart().await;
        let since = Instant::now();
        // What was confirmed before that counts no more by then.
        let works = async || since.elapsed() > TTL && somebody_works(&replicas, &cluster).await;
        eventually("a leader works", HEALING, works).await;
    }
}
