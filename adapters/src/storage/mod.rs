//! Storage of the domain's records: in memory, in sled for one process, in etcd for several replicas.
//!
//! [`open`] opens the stores with the given settings and fills the catalog. One implementation of the domain's ports (`stores`) works
//! with three backends (`backend`); `key` has the key layout, `record` the stored formats, `cipher` the encryption of secrets.

mod ages;
mod backend;
mod cipher;
mod core;
mod counters;
pub(crate) mod etcd;
mod feed;
mod idempotency;
mod installation;
mod key;
mod keyring;
mod memory;
mod record;
mod rotate;
mod sled;
mod stores;
mod timeline;

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use kqueen_domain::{
    catalog::Catalog,
    port::{
        BoxError,
        leader::Leadership,
        store::{ClusterStore, OrganizationStore, OrphanStore, ProvisionerStore, ReadBarrier, StoreError, UserStore},
    },
};
use secrecy::SecretString;
use uuid::Uuid;
use zeroize::Zeroizing;

use self::{backend::Backend, etcd::SettingsError, feed::ReadModel, keyring::UnlockError, sled::OpenFilesError};
pub use self::{counters::StoreCounters, etcd::EtcdSettings, memory::Memory, rotate::Rotated};
use crate::leader::Candidate;

/// Settings of the store and of its encryption.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The storage backend.
    pub location: Location,
    /// The secret key that values are sealed with.
    pub secret_key: SecretString,
    /// Earlier secret keys, with which values may still be sealed.
    pub previous_keys: Vec<SecretString>,
    /// Size in bytes of the cache for sealed kubeconfigs and other sealed secrets of clusters and provisioners.
    pub kubeconfig_cache_bytes: u64,
}

impl Settings {
    /// The default of [`Settings::kubeconfig_cache_bytes`].
    pub const KUBECONFIG_CACHE_BYTES: u64 = 12 << 20;
}

/// The storage backend.
#[derive(Debug, Clone)]
pub enum Location {
    /// In memory.
    Memory(Memory),
    /// In files below a directory, for one process.
    Sled {
        /// The directory; created if it does not exist.
        path: PathBuf,
    },
    /// In etcd, for several replicas.
    Etcd(EtcdSettings),
}

/// How much of its files sled keeps in memory; more would duplicate what the catalog holds already.
const SLED_CACHE_BYTES: u64 = 16 << 20;

/// Why a store could not be opened: a sentence for the person who starts it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{0}")]
    InUse(String),
    /// The secret key does not fit.
    #[error("{0}")]
    WrongKey(String),
    /// The settings cannot be used: a path, an address, a certificate.
    #[error("{0}")]
    Settings(String, #[source] Option<BoxError>),
    /// The store does not answer, or answers incorrectly.
    #[error("{0}")]
    Unavailable(String, #[source] BoxError),
    /// What is stored cannot be read.
    #[error("what is stored cannot be read")]
    Unreadable(#[source] BoxError),
}

impl From<OpenFilesError> for OpenError {
    fn from(error: OpenFilesError) -> Self {
        match error {
            OpenFilesError::InUse(_) => Self::InUse(error.to_string()),
            OpenFilesError::Files { ref path, .. } => {
                Self::Settings(format!("KQUEEN_SLED_PATH {} cannot be opened", path.display()), Some(Box::new(error)))
            }
        }
    }
}

impl From<SettingsError> for OpenError {
    fn from(error: SettingsError) -> Self {
        Self::Settings(error.to_string(), None)
    }
}

impl From<UnlockError> for OpenError {
    fn from(error: UnlockError) -> Self {
        match error {
            UnlockError::WrongKey | UnlockError::KeyLeftOut(_) => Self::WrongKey(error.to_string()),
            UnlockError::Damaged(source) => Self::Unreadable(source),
            UnlockError::Unavailable(source) => Self::Unavailable("the store does not respond".to_owned(), source),
        }
    }
}

/// An open store.
pub struct Stores {
    /// Organizations.
    pub organizations: Arc<dyn OrganizationStore>,
    /// Users.
    pub users: Arc<dyn UserStore>,
    /// Provisioners.
    pub provisioners: Arc<dyn ProvisionerStore>,
    /// Clusters.
    pub clusters: Arc<dyn ClusterStore>,
    /// Orphans.
    pub orphans: Arc<dyn OrphanStore>,
    /// Waits until the catalog is up to date.
    pub read_barrier: Arc<dyn ReadBarrier>,
    /// Counters.
    pub counters: Arc<StoreCounters>,
    core: Arc<core::Core>,
    installation: Uuid,
    /// The key with which replicas elect a leader; `None` if there can be only one replica.
    election_key: Option<etcd::ElectionKey>,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

/// Opens a store, sets it up if it is new, and fills `catalog`, which is kept up to date from then on.
///
/// # Errors
/// The store cannot be used; the error says what to do.
pub async fn open(settings: Settings, catalog: Arc<Catalog>) -> Result<Stores, OpenError> {
    let counters = Arc::new(StoreCounters::default());
    let mut election_key = None;
    let backend: Arc<dyn Backend> = match settings.location {
        Location::Memory(memory) => Arc::new(memory),
        Location::Sled { path } => {
            let opening = tokio::task::spawn_blocking(move || sled::Sled::open(&path, SLED_CACHE_BYTES)).await;
            let unavailable = |error| OpenError::Unavailable("opening the store was interrupted".to_owned(), error);
            Arc::new(opening.map_err(|error| unavailable(Box::new(error)))??)
        }
        Location::Etcd(settings) => {
            let etcd = etcd::Etcd::new(&settings, counters.clone()).await?;
            election_key = Some(etcd.election_key());
            Arc::new(etcd)
        }
    };
    let cipher = keyring::unlock(&*backend, settings.secret_key, settings.previous_keys).await?;
    let installation = installation::id(&*backend).await?;
    let model = Arc::new(ReadModel::new(catalog, counters.clone()));
    backend.start(model.clone()).await.map_err(|error| match error {
        StoreError::Unreadable(source) => OpenError::Unreadable(source),
        other => OpenError::Unavailable("the store could not be read".to_owned(), Box::new(other)),
    })?;
    let core = core::Core::new(backend, model, cipher, counters.clone(), settings.kubeconfig_cache_bytes);
    let core = Arc::new(core);
    Ok(Stores {
        organizations: Arc::new(stores::Organizations(core.clone())),
        users: Arc::new(stores::Users(core.clone())),
        provisioners: Arc::new(stores::Provisioners(core.clone())),
        clusters: Arc::new(stores::Clusters(core.clone())),
        orphans: Arc::new(stores::Orphans(core.clone())),
        read_barrier: Arc::new(stores::Barrier(core.clone())),
        counters,
        core,
        installation,
        election_key,
    })
}

impl Stores {
    /// A key for `purpose`, derived from the newest secret key and the store's salt: the same on every replica, and a different one after
    /// the secret key has changed. What was signed with the earlier one is then not valid any more.
    ///
    /// # Errors
    /// Deriving failed, which does not happen for purposes of ordinary length.
    pub fn derive_key(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        Ok(self.core.cipher.derive(purpose)?)
    }

    /// The id of this installation: created with the store, and the same on every replica.
    #[must_use]
    pub const fn installation(&self) -> Uuid {
        self.installation
    }

    /// Whether this replica may reconcile, once the candidate runs. A leader that dies is replaced within little more than `ttl`, in
    /// whole seconds; if there can be only one replica, it always leads. Called once.
    #[must_use]
    pub fn leadership(&self, ttl: Duration) -> (Arc<dyn Leadership>, Candidate) {
        match &self.election_key {
            Some(election_key) => Candidate::on_etcd(election_key.clone(), ttl),
            None => Candidate::single(),
        }
    }

    /// Reseals everything with the newest secret key while the store is in use. All replicas must already know that key.
    ///
    /// # Errors
    /// The store is not available, or a value cannot be opened with any of the keys; values that were resealed stay so, and another
    /// rotation continues.
    pub async fn rotate(&self, progress: impl Fn(Rotated) + Send) -> Result<Rotated, StoreError> {
        rotate::rotate(&self.core, progress).await
    }

    /// Deletes idempotency records made before `before`; returns how many.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn delete_idempotency_records(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        self.core.delete_idempotency_records(before).await
    }

    /// Stops feeding the catalog and closes files and connections. Writes fail as unavailable from then on.
    pub async fn close(&self) {
        self.core.backend.close().await;
    }
}
