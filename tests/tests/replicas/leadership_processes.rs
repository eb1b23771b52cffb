//! Replicas as separate processes: the leader is killed, or frozen just before it writes.

use std::{
    io::Write as _,
    process::{Child, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use kqueen_adapters::{
    leader::TTL,
    storage::{EtcdSettings, Location, Settings, Stores, open},
};
use kqueen_domain::{
    catalog::Catalog,
    id::ClusterId,
    port::{
        leader::Leadership,
        store::{ClusterCommit, ClusterSecrets, RecordChange, SecretUpdate, UserSecrets},
    },
};
use kqueen_tests::{
    contract::records::{a_cluster, a_ledger, a_provisioner, a_user, an_organization},
    fixture::{
        child::{location_of, on_etcd, say, task, this_binary, told},
        etcd::shared_etcd,
        process::{eventually, until_stopped},
    },
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio_util::sync::CancellationToken;

/// Another replica must lead within this time after a leader has died.
const FAIL_OVER: Duration = Duration::from_secs(10);
/// The longest wait for a condition.
const PATIENCE: Duration = Duration::from_secs(60);

async fn open_at(location: Location) -> Stores {
    let settings = Settings {
        location,
        secret_key: "a secret key for tests".into(),
        previous_keys: Vec::new(),
        kubeconfig_cache_bytes: Settings::KUBECONFIG_CACHE_BYTES,
    };
    open(settings, Arc::new(Catalog::new())).await.unwrap()
}

/// What a child process does. Does nothing when run as a test.
pub(super) fn child() {
    let Some((task, location)) = task() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(lead(&location, task.parse().unwrap()));
}

/// Leads, reports it, and waits for a line of input. Then it writes under the term it had.
async fn lead(location: &str, cluster: ClusterId) {
    let stores = open_at(location_of(location)).await;
    let (leadership, candidate) = stores.leadership(TTL);
    tokio::spawn(candidate.run(CancellationToken::new()));
    eventually("the child leads", PATIENCE, async || leadership.term().is_some()).await;
    let term = leadership.term().unwrap();
    say("leads");
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
    let still_leads = leadership.term() == Some(term);
    let ledger = stores.clusters.ledger(cluster).await.unwrap();
    let commit = ClusterCommit {
        ledger: Some((a_ledger(cluster, &["made by the old leader"]), ledger.map(|ledger| ledger.revision))),
        term: Some(term),
        ..ClusterCommit::default()
    };
    let written = stores.clusters.commit(cluster, RecordChange::Keep(None), commit).await.map(drop);
    say(&format!("{still_leads} {written:?}"));
}

/// A child process that leads, and a replica in this process that waits to take over.
struct Pair {
    child: Child,
    lines: Box<dyn Iterator<Item = String>>,
    stores: Stores,
    leadership: Arc<dyn Leadership>,
    cluster: ClusterId,
    shutdown: CancellationToken,
}

async fn pair(settings: EtcdSettings) -> Pair {
    let stores = open_at(Location::Etcd(settings.clone())).await;
    let organization = an_organization();
    stores.organizations.create(&organization).await.unwrap();
    let user = a_user(organization.id);
    stores.users.create(&user, UserSecrets::default()).await.unwrap();
    let provisioner = a_provisioner(&user);
    stores.provisioners.create(&provisioner, SecretUpdate::Keep, None).await.unwrap();
    let cluster = a_cluster(&provisioner);
    stores.clusters.create(&cluster, ClusterSecrets::default(), ClusterCommit::default(), None).await.unwrap();
    let mut command = this_binary(&cluster.id.to_string(), &on_etcd(&settings));
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = told(&mut child);
    assert_eq!(lines.next().as_deref(), Some("leads"));
    let (leadership, candidate) = stores.leadership(TTL);
    let shutdown = CancellationToken::new();
    tokio::spawn(candidate.run(shutdown.clone()));
    Pair { child, lines: Box::new(lines), stores, leadership, cluster: cluster.id, shutdown }
}

impl Pair {
    async fn takes_over(&self) {
        eventually("the replica in this process leads", PATIENCE, async || self.leadership.term().is_some()).await;
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.shutdown.cancel();
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_replaced_in_time() {
    let Some(etcd) = shared_etcd().await else { return };
    let mut pair = pair(etcd.settings()).await;
    assert_eq!(pair.leadership.term(), None);
    pair.child.kill().unwrap();
    pair.child.wait().unwrap();
    let since = Instant::now();
    pair.takes_over().await;
    assert!(since.elapsed() < FAIL_OVER, "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_leader_cannot_write_after_it_continues() {
    let Some(etcd) = shared_etcd().await else { return };
    let mut pair = pair(etcd.settings()).await;
    pair.signal(Signal::SIGSTOP);
    until_stopped(pair.child.id());
    pair.takes_over().await;
    let term = pair.leadership.term();
    let ledger = (a_ledger(pair.cluster, &["made by the new leader"]), None);
    let commit = ClusterCommit { ledger: Some(ledger.clone()), term, ..ClusterCommit::default() };
    let written = pair.stores.clusters.commit(pair.cluster, RecordChange::Keep(None), commit).await.unwrap();
    // It continues just before its write.
    pair.child.stdin.take().unwrap().write_all(b"continue\n").unwrap();
    pair.signal(Signal::SIGCONT);
    assert_eq!(pair.lines.next().as_deref(), Some("false Err(NotLeader)"));
    let stored = pair.stores.clusters.ledger(pair.cluster).await.unwrap().unwrap();
    assert_eq!((stored.value, stored.revision), (ledger.0, written));
}
