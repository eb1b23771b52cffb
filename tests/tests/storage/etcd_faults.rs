//! Failures of etcd: it does not answer, a member dies, the network is cut, history is compacted.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use etcd_client::CompactionOptions;
use kqueen_adapters::storage::{EtcdSettings, Location, OpenError, Settings, Stores, open};
use kqueen_domain::{
    catalog::Catalog, name::OrganizationName, organization::Organization, port::store::StoreError, revision::Revision,
};
use kqueen_tests::{
    contract::records::an_organization,
    fixture::{
        etcd::{Etcd, Options, certificates, shared_etcd},
        gate::Gate,
        process::free_port,
    },
};

/// Every call answers or fails within a few seconds.
const BOUND: Duration = Duration::from_secs(6);
/// The longest time that recovery may take.
const RECOVERY: Duration = Duration::from_secs(30);

struct Replica {
    stores: Stores,
    catalog: Arc<Catalog>,
}

async fn try_replica(settings: EtcdSettings) -> Result<Replica, OpenError> {
    let catalog = Arc::new(Catalog::new());
    let settings = Settings {
        location: Location::Etcd(settings),
        secret_key: "a secret key for tests".into(),
        previous_keys: Vec::new(),
        kubeconfig_cache_bytes: Settings::KUBECONFIG_CACHE_BYTES,
    };
    let stores = open(settings, catalog.clone()).await?;
    Ok(Replica { stores, catalog })
}

async fn replica(settings: EtcdSettings) -> Replica {
    try_replica(settings).await.unwrap()
}

impl Replica {
    async fn create(&self) -> (Organization, Revision) {
        let organization = an_organization();
        let revision = self.stores.organizations.create(&organization).await.unwrap();
        (organization, revision)
    }

    fn shows(&self, organization: &Organization) -> bool {
        self.catalog.organization(organization.id).is_some()
    }

    /// Retries until it works. Earlier attempts must have failed as unavailable.
    async fn create_once_available(&self) -> Organization {
        let since = Instant::now();
        loop {
            let organization = an_organization();
            match self.stores.organizations.create(&organization).await {
                Ok(_) => return organization,
                Err(StoreError::Unavailable(source)) => assert!(since.elapsed() < RECOVERY, "{source}"),
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn wait_until_ready(&self) {
        let since = Instant::now();
        while let Err(error) = self.stores.read_barrier.ready().await {
            assert!(since.elapsed() < RECOVERY, "{error}");
        }
    }
}

fn assert_unavailable_in_time<T>(since: Instant, result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Unavailable(_))), "{:?}", result.map(drop));
    assert!(since.elapsed() < BOUND, "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_etcd_is_unavailable_in_time_and_recovers() {
    let Some(etcd) = Etcd::start(Options::default()).await else { return };
    let replica = replica(etcd.settings()).await;
    let (before, revision) = replica.create().await;
    etcd.freeze();
    let (write, fresh, ready, secret) = tokio::join!(
        async {
            assert_unavailable_in_time(Instant::now(), replica.stores.organizations.update(&before, revision).await)
        },
        async { assert_unavailable_in_time(Instant::now(), replica.stores.read_barrier.caught_up().await) },
        async { assert_unavailable_in_time(Instant::now(), replica.stores.read_barrier.ready().await) },
        async {
            let user = kqueen_domain::id::UserId::random();
            assert_unavailable_in_time(Instant::now(), replica.stores.users.password_hash(user).await);
        },
    );
    let () = (write, fresh, ready, secret).0;
    assert!(replica.shows(&before), "the read model is kept");
    etcd.thaw();
    let after = replica.create_once_available().await;
    replica.wait_until_ready().await;
    assert!(replica.shows(&before) && replica.shows(&after));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_etcd_is_unavailable_and_keeps_acknowledged_writes() {
    let Some(etcd) = Etcd::start(Options { durable: true, ..Options::default() }).await else { return };
    let replica = replica(etcd.settings()).await;
    let (before, revision) = replica.create().await;
    etcd.kill();
    let since = Instant::now();
    assert_unavailable_in_time(since, replica.stores.organizations.update(&before, revision).await);
    assert_unavailable_in_time(Instant::now(), replica.stores.read_barrier.caught_up().await);
    etcd.restart().await;
    let after = replica.create_once_available().await;
    assert!(replica.shows(&before) && replica.shows(&after));
    replica.stores.organizations.update(&before, revision).await.unwrap();
}

#[tokio::test]
async fn opening_fails_in_time_if_nothing_answers() {
    let Some(etcd) = shared_etcd().await else { return };
    let dead = EtcdSettings { endpoints: vec![format!("http://127.0.0.1:{}", free_port())], ..etcd.settings() };
    let since = Instant::now();
    let refused = try_replica(dead).await.map(drop);
    assert!(matches!(refused, Err(OpenError::Unavailable(..))), "{refused:?}");
    assert!(since.elapsed() < BOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_with_certificates_and_a_password_tolerate_the_loss_of_one() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        tls: Some(certificates(directory.path())),
        root_password: Some("a password".to_owned()),
        ..Options::default()
    };
    let Some(members) = Etcd::cluster(3, options).await else { return };
    let settings = EtcdSettings {
        endpoints: members.iter().map(|member| member.endpoint.clone()).collect(),
        ..members[0].settings()
    };
    let wrong = EtcdSettings { password: Some("another password".into()), ..settings.clone() };
    assert!(try_replica(wrong).await.is_err(), "a wrong password was accepted");

    let replica = replica(settings.clone()).await;
    let (before, _) = replica.create().await;
    // The member in use dies.
    members[0].kill();
    let after = replica.create_once_available().await;
    replica.wait_until_ready().await;
    assert!(replica.shows(&before) && replica.shows(&after));
    // A replica that starts now has the dead member first in its list.
    let late = try_replica(settings).await.unwrap();
    assert!(late.shows(&before) && late.shows(&after));
    for _ in 0..50 {
        let (organization, _) = late.create().await;
        replica.stores.read_barrier.caught_up().await.unwrap();
        assert!(replica.shows(&organization));
    }
    // Two of three are needed.
    members[1].freeze();
    let since = Instant::now();
    let refused = late.stores.organizations.create(&an_organization()).await;
    assert_unavailable_in_time(since, refused.map(drop));
    members[1].thaw();
    late.create_once_available().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_authenticate_again_when_tokens_expire() {
    let options =
        Options { root_password: Some("p".to_owned()), token_ttl: Some(1), durable: true, ..Options::default() };
    let Some(etcd) = Etcd::start(options).await else { return };
    let settings = etcd.settings();
    let (one, other) = (replica(settings.clone()).await, replica(settings).await);
    // A restarted member does not know the tokens it issued before.
    for _ in 0..2 {
        etcd.kill();
        etcd.restart().await;
        let created = one.create_once_available().await;
        other.wait_until_ready().await;
        assert!(one.shows(&created) && other.shows(&created));
    }
}

/// Two replicas, the first behind a gate.
async fn gated() -> Option<(Arc<Etcd>, Gate, EtcdSettings, Replica, Replica)> {
    let etcd = shared_etcd().await?;
    let settings = etcd.settings();
    let gate = Gate::to(etcd.address()).await;
    let behind = EtcdSettings { endpoints: vec![format!("http://{}", gate.address)], ..settings.clone() };
    let one = replica(behind).await;
    let other = replica(settings.clone()).await;
    Some((etcd, gate, settings, one, other))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_made_while_the_network_was_cut_are_shown_afterwards() {
    let Some((_etcd, gate, _, one, other)) = gated().await else { return };
    let (deleted, revision) = one.create().await;
    let (renamed, seen) = one.create().await;
    other.stores.read_barrier.caught_up().await.unwrap();
    gate.cut();
    assert_unavailable_in_time(Instant::now(), one.stores.read_barrier.caught_up().await);
    other.stores.organizations.delete(deleted.id, revision).await.unwrap();
    let renamed = Organization { name: OrganizationName::try_from("renamed").unwrap(), ..renamed };
    other.stores.organizations.update(&renamed, seen).await.unwrap();
    let (new, _) = other.create().await;
    assert!(one.shows(&deleted) && !one.shows(&new));
    gate.mend();
    one.wait_until_ready().await;
    assert!(!one.shows(&deleted) && one.shows(&new));
    assert_eq!(one.catalog.organization(renamed.id).unwrap().record.name, renamed.name);
    assert_eq!(one.stores.counters.fills.load(std::sync::atomic::Ordering::Relaxed), 1, "the watch continued");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_in_history_is_filled_by_reading_everything_again() {
    let Some((etcd, gate, _, one, other)) = gated().await else { return };
    let (deleted, revision) = one.create().await;
    let (kept, _) = one.create().await;
    other.stores.read_barrier.caught_up().await.unwrap();
    gate.cut();
    other.stores.organizations.delete(deleted.id, revision).await.unwrap();
    let (new, newest) = other.create().await;
    let compaction = CompactionOptions::new().with_physical();
    etcd.client().await.compact(i64::try_from(newest.0).unwrap(), Some(compaction)).await.unwrap();
    gate.mend();
    one.wait_until_ready().await;
    assert!(!one.shows(&deleted) && one.shows(&kept) && one.shows(&new));
    assert_eq!(one.stores.counters.fills.load(std::sync::atomic::Ordering::Relaxed), 2);
    let (last, _) = one.create().await;
    other.stores.read_barrier.caught_up().await.unwrap();
    assert!(other.shows(&last));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_is_shown_as_it_is() {
    let Some(etcd) = Etcd::start(Options::default()).await else { return };
    let replica = replica(etcd.settings()).await;
    let (before, _) = replica.create().await;
    let backup = etcd.backup();
    let mut lost = Vec::new();
    for _ in 0..20 {
        lost.push(replica.create().await.0);
    }
    etcd.kill();
    etcd.restore(&backup);
    etcd.restart().await;
    let since = Instant::now();
    while replica.shows(&lost[0]) {
        let _fresh_or_not = replica.stores.read_barrier.caught_up().await;
        assert!(since.elapsed() < RECOVERY, "records that are not in the backup are still shown");
    }
    assert!(replica.shows(&before) && lost.iter().all(|organization| !replica.shows(organization)));
    let after = replica.create_once_available().await;
    assert!(replica.shows(&after));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_a_later_release_makes_a_replica_unready_with_a_reason() {
    let Some(etcd) = shared_etcd().await else { return };
    let settings = etcd.settings();
    let replica = replica(settings.clone()).await;
    let (organization, _) = replica.create().await;
    let key = format!("{}/shown/organization/{}", settings.prefix, organization.id);
    let stored = etcd.raw(&key).await.remove(0).1;
    let newer = String::from_utf8(stored.clone()).unwrap().replacen("\"format\":1", "\"format\":9", 1);
    let mut client = etcd.client().await;
    client.put(key.clone(), newer, None).await.unwrap();
    let since = Instant::now();
    let error = loop {
        match replica.stores.read_barrier.ready().await {
            Err(StoreError::Unreadable(error)) => break error,
            other => assert!(since.elapsed() < RECOVERY, "{other:?}"),
        }
    };
    assert!(error.to_string().contains("format 9"), "{error}");
    assert!(replica.shows(&organization), "the previous record is still shown");
    assert!(matches!(try_replica(settings.clone()).await.map(drop), Err(OpenError::Unreadable(_))));
    client.put(key, stored, None).await.unwrap();
    replica.wait_until_ready().await;
}
