//! A store that tests can open more than once.

use std::{
    any::Any,
    ops::Deref,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use kqueen_adapters::storage::{Location, Memory, OpenError, Settings, Stores, open};
use kqueen_domain::{
    catalog::Catalog,
    cluster::Cluster,
    id::ClusterId,
    observation::ObservedStatus,
    organization::Organization,
    port::store::{ClusterCommit, ClusterSecrets, Creation, RecordChange, SecretUpdate, StoreError, UserSecrets},
    provisioner::Provisioner,
    revision::Revision,
    user::User,
};

use super::records::{a_cluster, a_provisioner, a_user, an_organization};
use crate::fixture::{
    etcd::{Etcd, shared_etcd},
    process::eventually,
};

/// The secret key of all stores except in tests of keys.
pub const KEY: &str = "a secret key for tests";

/// The location of a store, with everything that must live as long.
pub struct TestStore {
    location: Location,
    shareable: bool,
    /// The etcd server, if the store is on etcd.
    pub etcd: Option<Arc<Etcd>>,
    _resources: Box<dyn Any + Send + Sync>,
}

/// An open store, as one process has it. Dropping the last clone closes it.
#[derive(Clone)]
pub struct Replica {
    stores: Arc<Stores>,
    /// Its catalog.
    pub catalog: Arc<Catalog>,
}

impl Deref for Replica {
    type Target = Stores;

    fn deref(&self) -> &Stores {
        &self.stores
    }
}

impl TestStore {
    /// A store in memory.
    pub async fn memory() -> Option<Self> {
        Some(Self {
            location: Location::Memory(Memory::default()),
            shareable: true,
            etcd: None,
            _resources: Box::new(()),
        })
    }

    /// A sled store in a temporary directory.
    pub async fn sled() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::Sled { path: directory.path().join("kqueen.sled") };
        Some(Self { location, shareable: false, etcd: None, _resources: Box::new(directory) })
    }

    /// A store on etcd with a separate prefix; `None` if etcd is not installed.
    pub async fn etcd() -> Option<Self> {
        let etcd = shared_etcd().await?;
        let location = etcd.location();
        Some(Self { location, shareable: true, etcd: Some(etcd), _resources: Box::new(()) })
    }

    /// The location of the store.
    pub fn location(&self) -> Location {
        self.location.clone()
    }

    /// Whether several processes can use the store at once.
    pub fn is_shareable(&self) -> bool {
        self.shareable
    }

    /// Settings with the given keys.
    pub fn settings(&self, key: &str, previous: &[&str]) -> Settings {
        Settings {
            location: self.location(),
            secret_key: key.into(),
            previous_keys: previous.iter().map(|key| (*key).into()).collect(),
            kubeconfig_cache_bytes: Settings::KUBECONFIG_CACHE_BYTES,
        }
    }

    /// Opens the store with the given keys.
    pub async fn try_open(&self, key: &str, previous: &[&str]) -> Result<Replica, OpenError> {
        let catalog = Arc::new(Catalog::new());
        let stores = open(self.settings(key, previous), catalog.clone()).await?;
        Ok(Replica { stores: Arc::new(stores), catalog })
    }

    /// Opens the store.
    pub async fn open(&self) -> Replica {
        self.try_open(KEY, &[]).await.unwrap()
    }

    /// All stored keys and values; `None` in memory. A sled store must be closed.
    pub async fn raw(&self) -> Option<Vec<(String, Vec<u8>)>> {
        match &self.location {
            Location::Memory(_) => None,
            Location::Sled { path } => {
                let db = opened(path).await;
                let entries = db.iter().map(Result::unwrap);
                Some(entries.map(|(key, value)| (String::from_utf8(key.to_vec()).unwrap(), value.to_vec())).collect())
            }
            Location::Etcd(settings) => {
                let entries = self.etcd.as_ref()?.raw(&settings.prefix).await;
                let strip = |key: String| key[settings.prefix.len() + 1..].to_owned();
                Some(entries.into_iter().map(|(key, value)| (strip(key), value)).collect())
            }
        }
    }

    /// Stores a raw value.
    pub async fn put_raw(&self, key: &str, value: Vec<u8>) {
        match &self.location {
            Location::Memory(_) => {}
            Location::Sled { path } => {
                let db = opened(path).await;
                db.insert(key, value).unwrap();
                db.flush().unwrap();
            }
            Location::Etcd(settings) => {
                let mut client = self.etcd.as_ref().unwrap().client().await;
                client.put(format!("{}/{key}", settings.prefix), value, None).await.unwrap();
            }
        }
    }

    /// Two replicas; if only one process can use the store, the same replica twice.
    pub async fn pair(&self) -> (Replica, Replica) {
        let one = self.open().await;
        let other = if self.shareable { self.open().await } else { one.clone() };
        (one, other)
    }

    /// Closes `replica` and opens the store again.
    pub async fn restart(&self, replica: Replica) -> Replica {
        replica.close().await;
        drop(replica);
        self.open().await
    }
}

/// The files of a closed store. Processes that other tests spawn keep its lock for a moment, until they run their program.
async fn opened(path: &Path) -> sled::Db {
    let files = Mutex::new(None);
    let open = || async {
        let opened = sled::open(path).ok();
        let is_open = opened.is_some();
        *files.lock().unwrap() = opened;
        is_open
    };
    eventually("the files of a closed store are opened", Duration::from_secs(5), open).await;
    files.into_inner().unwrap().unwrap()
}

impl Replica {
    /// Creates an organization.
    pub async fn organization(&self) -> (Organization, Revision) {
        let organization = an_organization();
        let revision = self.organizations.create(&organization).await.unwrap();
        (organization, revision)
    }

    /// Creates a user.
    pub async fn user(&self, organization: &Organization) -> (User, Revision) {
        let user = a_user(organization.id);
        let revision = self.users.create(&user, UserSecrets::default()).await.unwrap();
        (user, revision)
    }

    /// Creates a provisioner.
    pub async fn provisioner(&self, owner: &User) -> (Provisioner, Revision) {
        let provisioner = a_provisioner(owner);
        let created = self.provisioners.create(&provisioner, SecretUpdate::Keep, None).await.unwrap();
        let Creation::New(revision) = created else { panic!("the key was used before") };
        (provisioner, revision)
    }

    /// Creates a cluster.
    pub async fn cluster(&self, provisioner: &Provisioner) -> (Cluster, Revision) {
        let cluster = a_cluster(provisioner);
        let created =
            self.clusters.create(&cluster, ClusterSecrets::default(), ClusterCommit::default(), None).await.unwrap();
        let Creation::New(revision) = created else { panic!("the key was used before") };
        (cluster, revision)
    }

    /// Removes a cluster's record.
    pub async fn remove(&self, id: ClusterId, expected: Revision) -> Result<Revision, StoreError> {
        self.clusters.commit(id, RecordChange::Remove(expected), ClusterCommit::default()).await
    }

    /// Stores an observed status.
    pub async fn record_observed_status(&self, observed: &ObservedStatus) -> Result<Revision, StoreError> {
        let work = ClusterCommit { observed: Some(observed.clone()), ..ClusterCommit::default() };
        self.clusters.commit(observed.cluster, RecordChange::Keep(None), work).await
    }

    /// Creates one record of each kind.
    pub async fn one_of_each(&self) -> (Organization, User, Provisioner, Cluster) {
        let (organization, _) = self.organization().await;
        let (user, _) = self.user(&organization).await;
        let (provisioner, _) = self.provisioner(&user).await;
        let (cluster, _) = self.cluster(&provisioner).await;
        (organization, user, provisioner, cluster)
    }
}
