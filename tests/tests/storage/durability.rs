//! No acknowledged write is lost when a process is killed while it writes, or when the disk is full.
//!
//! The process that writes is this test binary again, with its task in the environment.

use std::{
    collections::BTreeMap,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use kqueen_adapters::storage::{Location, OpenError, Settings, Stores, open};
use kqueen_domain::{
    catalog::Catalog,
    cluster::Cluster,
    id::ClusterId,
    name::ResourceName,
    operation::{OperationStatus, StepKind},
    port::store::{ClusterCommit, ClusterSecrets, Creation, RecordChange, SecretUpdate, StoreError, UserSecrets},
    secret::Kubeconfig,
};
use kqueen_tests::{
    contract::records::{
        a_cluster, a_ledger, a_provisioner, a_tombstone, a_user, after, an_entry, an_operation, an_organization,
    },
    fixture::{
        child::{location_of, on_etcd, on_sled, say, task, this_binary, told},
        etcd::{Etcd, Options},
    },
};

/// How many acknowledgements are read before the writer is killed, and how often that is done.
const ACKNOWLEDGED: usize = 2000;
const ROUNDS: usize = 4;

async fn open_at(location: Location) -> Result<(Stores, Arc<Catalog>), OpenError> {
    let catalog = Arc::new(Catalog::new());
    let settings = Settings {
        location,
        secret_key: "a secret key for tests".into(),
        previous_keys: Vec::new(),
        kubeconfig_cache_bytes: Settings::KUBECONFIG_CACHE_BYTES,
    };
    Ok((open(settings, catalog.clone()).await?, catalog))
}

fn sled_at(path: &Path) -> Location {
    Location::Sled { path: path.to_owned() }
}

/// What a child process does. Does nothing when run as a test.
pub(super) fn child() {
    let Some((task, location)) = task() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match task.as_str() {
            "write" => write_until_killed(&location).await,
            "open" => match open_at(location_of(&location)).await {
                Ok(_) => say("opened"),
                Err(error) => say(&format!("refused {error}")),
            },
            "fill" => fill_the_disk(Path::new(&location)).await,
            other => panic!("{other}"),
        }
    });
}

fn kubeconfig_of(id: ClusterId, version: u32) -> String {
    format!("{id} {version} {}", "k".repeat(500))
}

fn secrets(id: ClusterId, version: u32) -> ClusterSecrets {
    ClusterSecrets { kubeconfig: SecretUpdate::Set(Kubeconfig::new(kubeconfig_of(id, version))), ..Default::default() }
}

/// What a step writes to a cluster's operation, ledger and timeline: all of it has to be stored with the step.
#[derive(Debug, PartialEq)]
struct Traces {
    status: OperationStatus,
    resources: usize,
    entries: usize,
    has_tombstone: bool,
}

const fn traces(step: u32) -> Traces {
    match step {
        1 => Traces { status: OperationStatus::Pending, resources: 0, entries: 1, has_tombstone: false },
        2 => Traces { status: OperationStatus::Running, resources: 1, entries: 3, has_tombstone: false },
        _ => Traces { status: OperationStatus::Succeeded, resources: 0, entries: 4, has_tombstone: true },
    }
}

/// Creates clusters, changes them, deletes every third, and prints each step once it is acknowledged.
async fn write_until_killed(location: &str) {
    let (stores, _catalog) = open_at(location_of(location)).await.unwrap();
    let stores = Arc::new(stores);
    let organization = an_organization();
    stores.organizations.create(&organization).await.unwrap();
    let user = a_user(organization.id);
    stores.users.create(&user, UserSecrets::default()).await.unwrap();
    let provisioner = a_provisioner(&user);
    stores.provisioners.create(&provisioner, SecretUpdate::Keep, None).await.unwrap();
    let writers: Vec<_> = (0..16)
        .map(|_| {
            let (stores, provisioner) = (stores.clone(), provisioner.clone());
            tokio::spawn(async move {
                for i in 0_u32.. {
                    let mut cluster = a_cluster(&provisioner);
                    let id = cluster.id;
                    let mut operation = an_operation(&cluster);
                    cluster.operation = Some(operation.id);
                    let entry = |i, what| an_entry(&cluster, i, what);
                    let commit = ClusterCommit {
                        operations: vec![(operation.clone(), None)],
                        timeline: vec![entry(0, "asked for")],
                        ..ClusterCommit::default()
                    };
                    let created = stores.clusters.create(&cluster, secrets(id, 1), commit, None).await.unwrap();
                    let Creation::New(seen) = created else { panic!("nothing was claimed") };
                    say(&format!("{id} 1"));
                    operation.begin(StepKind::Create, after(1));
                    let commit = ClusterCommit {
                        operations: vec![(operation.clone(), Some(seen))],
                        ledger: Some((a_ledger(id, &["server"]), None)),
                        timeline: vec![entry(1, "begun"), entry(1, "made")],
                        ..ClusterCommit::default()
                    };
                    let renamed = Cluster { name: ResourceName::try_from("2").unwrap(), ..cluster.clone() };
                    let record = RecordChange::Put(Box::new(renamed), secrets(id, 2), seen);
                    let seen = stores.clusters.commit(id, record, commit).await.unwrap();
                    say(&format!("{id} 2"));
                    if i.is_multiple_of(3) {
                        operation.end(OperationStatus::Succeeded, None, after(2));
                        let commit = ClusterCommit {
                            operations: vec![(operation, Some(seen))],
                            timeline: vec![entry(2, "gone")],
                            tombstone: Some(a_tombstone(&cluster)),
                            ..ClusterCommit::default()
                        };
                        stores.clusters.commit(id, RecordChange::Remove(seen), commit).await.unwrap();
                        say(&format!("{id} 3"));
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

/// The last step of each cluster that was acknowledged: 1 created, 2 changed, 3 deleted.
type Acknowledged = BTreeMap<ClusterId, u32>;

fn write_and_kill(location: &str, acknowledged: &mut Acknowledged, also_kill: impl FnOnce()) {
    let mut writer = this_binary("write", location).stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = told(&mut writer);
    let mut read = |line: String| {
        let (id, step) = line.split_once(' ').unwrap();
        acknowledged.insert(id.parse().unwrap(), step.parse().unwrap());
    };
    for _ in 0..ACKNOWLEDGED {
        read(lines.next().expect("the writer ended by itself"));
    }
    writer.kill().unwrap();
    also_kill();
    writer.wait().unwrap();
    // Lines in the pipe were acknowledged too. A last line that is cut short does not count.
    lines.filter(|line| line.len() == 38).for_each(&mut read);
}

async fn nothing_is_lost(stores: &Stores, catalog: &Catalog, acknowledged: &Acknowledged) {
    for (id, step) in acknowledged {
        let shown = catalog.cluster(*id).map(|view| view.cluster.record.name.to_string());
        let kubeconfig = stores.clusters.kubeconfig(*id).await.unwrap();
        // The next step may have been committed without being printed.
        let possible: &[u32] = match step {
            1 => &[1, 2],
            2 => &[2, 3],
            _ => &[3],
        };
        let found = match shown.as_deref() {
            Some("prod") => 1,
            Some("2") => 2,
            None => 3,
            Some(other) => panic!("{other}"),
        };
        assert!(possible.contains(&found), "{id}: acknowledged {step}, found {found}");
        let expected = (found < 3).then(|| kubeconfig_of(*id, found));
        assert!(kubeconfig.map(|k| k.expose().to_owned()) == expected, "{id}: record and kubeconfig differ");
        let operations = catalog.operations_of(*id);
        let [operation] = &operations[..] else { panic!("{id}: {} operations", operations.len()) };
        let ledger = stores.clusters.ledger(*id).await.unwrap();
        let stored = Traces {
            status: operation.operation.record.status,
            resources: ledger.map_or(0, |ledger| ledger.value.resources.len()),
            entries: stores.clusters.timeline(*id, None, 10).await.unwrap().entries.len(),
            has_tombstone: catalog.tombstone(*id).is_some(),
        };
        assert_eq!(stored, traces(found), "{id}: a commit was stored in part");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sled_loses_nothing_when_its_process_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kqueen.sled");
    let mut acknowledged = Acknowledged::new();
    for _ in 0..ROUNDS {
        write_and_kill(&on_sled(&path), &mut acknowledged, || {});
        let (stores, catalog) = open_at(sled_at(&path)).await.unwrap();
        nothing_is_lost(&stores, &catalog, &acknowledged).await;
        stores.close().await;
    }
    assert!(acknowledged.len() > ROUNDS * ACKNOWLEDGED / 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_loses_nothing_when_it_is_killed_with_our_process() {
    let Some(etcd) = Etcd::start(Options { durable: true, ..Options::default() }).await else { return };
    let settings = etcd.settings();
    let location = on_etcd(&settings);
    let mut acknowledged = Acknowledged::new();
    for _ in 0..ROUNDS {
        write_and_kill(&location, &mut acknowledged, || etcd.kill());
        etcd.restart().await;
        let (stores, catalog) = open_at(Location::Etcd(settings.clone())).await.unwrap();
        nothing_is_lost(&stores, &catalog, &acknowledged).await;
        stores.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_rejected_with_advice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kqueen.sled");
    let (stores, _catalog) = open_at(sled_at(&path)).await.unwrap();
    let location = on_sled(&path);
    let mut second = this_binary("open", &location).spawn().unwrap();
    let printed: Vec<String> = told(&mut second).collect();
    second.wait().unwrap();
    let printed = &printed[0];
    assert!(printed.starts_with("refused"), "{printed}");
    for needed in [path.to_str().unwrap(), "SLED_PATH", "STORAGE_KIND=etcd"] {
        assert!(printed.contains(needed), "{printed}");
    }
    // The first process continues. When it has closed the store, another can open it.
    stores.organizations.create(&an_organization()).await.unwrap();
    stores.close().await;
    let mut next = this_binary("open", &location).spawn().unwrap();
    assert_eq!(told(&mut next).collect::<Vec<_>>(), ["opened"]);
    next.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_waits_for_a_process_that_is_ending() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kqueen.sled");
    let (first, _catalog) = open_at(sled_at(&path)).await.unwrap();
    let (second, ()) = tokio::join!(open_at(sled_at(&path)), async {
        tokio::task::yield_now().await;
        first.close().await;
    });
    second.unwrap();
}

/// Runs in a separate mount namespace with a small disk, which needs permission to mount.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sled_survives_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let allowed = Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !allowed {
        eprintln!("skipped: sled_survives_a_full_disk: mounting is not allowed here");
        return;
    }
    let disk: PathBuf = directory.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let inner = this_binary("fill", disk.to_str().unwrap());
    let mut outer = Command::new("unshare");
    let mount = format!("mount -t tmpfs -o size=24m tmpfs '{}' && exec \"$0\" \"$@\"", disk.display());
    outer.args(["--mount", "sh", "-c", &mount]).arg(inner.get_program()).args(inner.get_args());
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut outer = outer.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
    let printed: Vec<String> = told(&mut outer).collect();
    assert!(outer.wait().unwrap().success(), "{printed:?}");
    assert_eq!(printed.last().map(String::as_str), Some("done"), "{printed:?}");
}

async fn fill_the_disk(disk: &Path) {
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![1; 12 << 20]).unwrap();
    let path = disk.join("kqueen.sled");
    let (stores, catalog) = open_at(sled_at(&path)).await.unwrap();
    let mut stored = Vec::new();
    let error = loop {
        let organization = an_organization();
        match stores.organizations.create(&organization).await {
            Ok(_) => stored.push(organization),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    say(&format!("full after {}", stored.len()));
    let refused = stores.read_barrier.ready().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    std::fs::remove_file(&ballast).unwrap();
    let since = Instant::now();
    while let Err(error) = stores.read_barrier.ready().await {
        assert!(since.elapsed() < Duration::from_secs(30), "{error}: {:?}", std::error::Error::source(&error));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    say("recovered");
    let last = an_organization();
    stores.organizations.create(&last).await.unwrap();
    stored.push(last);
    for organization in &stored {
        assert!(catalog.organization(organization.id).is_some());
    }
    stores.close().await;
    let (_stores, catalog) = open_at(sled_at(&path)).await.unwrap();
    for organization in &stored {
        assert!(catalog.organization(organization.id).is_some());
    }
    say("done");
}
