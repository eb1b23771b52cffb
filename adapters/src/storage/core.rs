//! What the stores of all kinds of records share: commits with their metrics, secrets, idempotency records.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use kqueen_domain::{
    port::store::{SecretUpdate, StoreError},
    revision::Revision,
};
use quick_cache::{Weighter, sync::Cache};
use zeroize::Zeroizing;

use super::{
    backend::{Backend, CommitError, Transaction},
    cipher::Cipher,
    counters::StoreCounters,
    feed::ReadModel,
    key::{Key, Secret},
    record::{self, Record},
};

/// A sealed secret as it is stored, or that there is none, and the revision of its record that was shown before it was read. It is
/// valid for as long as that revision is shown: these secrets change only together with their record.
#[derive(Clone)]
struct Cached {
    sealed: Option<Bytes>,
    shown: Revision,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Secret, Cached> for Weight {
    fn weight(&self, _: &Secret, cached: &Cached) -> u64 {
        cached.sealed.as_ref().map_or(0, |sealed| sealed.len() as u64) + 96
    }
}

/// One open store.
pub(crate) struct Core {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) model: Arc<ReadModel>,
    pub(crate) cipher: Cipher,
    pub(crate) counters: Arc<StoreCounters>,
    secrets: Cache<Secret, Cached, Weight>,
}

impl Core {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        model: Arc<ReadModel>,
        cipher: Cipher,
        counters: Arc<StoreCounters>,
        cache_bytes: u64,
    ) -> Self {
        let items = usize::try_from(cache_bytes / 4096).unwrap_or(usize::MAX).max(16);
        let secrets = Cache::with_weighter(items, cache_bytes, Weight);
        Self { backend, model, cipher, counters, secrets }
    }

    /// Commits a transaction.
    pub(crate) async fn commit(&self, transaction: Transaction) -> Result<Revision, CommitError> {
        let since = Instant::now();
        let in_flight = InFlight::new(&self.counters);
        let result = self.backend.commit(transaction).await;
        drop(in_flight);
        StoreCounters::add_time(&self.counters.commit_micros, since.elapsed());
        StoreCounters::count(match &result {
            Ok(_) => &self.counters.commits,
            Err(CommitError::Refused(_)) => &self.counters.refusals,
            Err(CommitError::Unavailable(_)) => &self.counters.failures,
        });
        result.map(Revision)
    }

    /// The record at the expected revision, to find the keys that are deleted when it is replaced: `Missing` if it is gone, `Conflict` if
    /// it is newer.
    pub(crate) async fn stored_as_expected<T: Record>(&self, key: &Key, expected: Revision) -> Result<T, StoreError> {
        let stored = self.backend.get(key).await.map_err(StoreError::Unavailable)?.ok_or(StoreError::Missing)?;
        if stored.revision != expected.0 {
            return Err(StoreError::Conflict);
        }
        Ok(record::read(&stored.value)?)
    }

    /// Adds the change of a secret to `transaction`.
    pub(crate) fn change_secret<T>(
        &self,
        transaction: &mut Transaction,
        secret: Secret,
        change: &SecretUpdate<T>,
        expose: impl FnOnce(&T) -> &str,
    ) -> Result<(), StoreError> {
        let key = Key::from(secret);
        match change {
            SecretUpdate::Keep => {}
            SecretUpdate::Remove => drop(transaction.delete(key)),
            SecretUpdate::Set(value) => {
                let sealed = self.cipher.seal(&key, expose(value).as_bytes())?;
                transaction.put(key, sealed);
            }
        }
        Ok(())
    }

    /// A secret, if it exists. Recently read secrets of clusters and provisioners are cached, sealed: the reconciler needs them
    /// repeatedly.
    pub(crate) async fn secret(&self, secret: Secret) -> Result<Option<String>, StoreError> {
        let key = Key::from(secret);
        let sealed = self.sealed(&key, secret).await?;
        let opened = sealed.map(|sealed| self.opened(&key, &sealed)).transpose();
        opened.inspect_err(|_| self.forget(secret))
    }

    /// A secret that does not open is read again the next time, because the stored value may be repaired.
    fn forget(&self, secret: Secret) {
        self.secrets.remove(&secret);
    }

    /// A secret as it is stored under `key`.
    pub(crate) async fn sealed(&self, key: &Key, secret: Secret) -> Result<Option<Bytes>, StoreError> {
        let shown = self.shown_revision(secret);
        if let Some(cached) = self.secrets.get(&secret)
            && Some(cached.shown) == shown
        {
            return Ok(cached.sealed);
        }
        let stored = self.backend.get(key).await.map_err(StoreError::Unavailable)?;
        let sealed = stored.map(|stored| stored.value);
        if let Some(shown) = shown {
            StoreCounters::count(&self.counters.secret_reads);
            self.secrets.insert(secret, Cached { sealed: sealed.clone(), shown });
        }
        Ok(sealed)
    }

    /// The shown revision of the record that a secret belongs to, if secrets of its kind are cached.
    fn shown_revision(&self, secret: Secret) -> Option<Revision> {
        match secret {
            Secret::Kubeconfig(id) | Secret::ClusterMetadata(id) => self.model.catalog.cluster_revision(id),
            Secret::ProvisionerParameters(id) => self.model.catalog.provisioner_revision(id),
            // Read when a user logs in or is changed: hashing a password takes a hundred times as long.
            Secret::Password(_) | Secret::UserMetadata(_) => None,
        }
    }

    fn opened(&self, key: &Key, sealed: &[u8]) -> Result<String, StoreError> {
        let mut plain = self.cipher.open(key, sealed)?;
        // Not copied: the text has the exact length of its memory, so that putting it into a secret type leaves no copy behind.
        String::from_utf8(std::mem::take(&mut *plain)).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            StoreError::Unreadable("the sealed value is not text".into())
        })
    }
}

struct InFlight<'a>(&'a StoreCounters);

impl<'a> InFlight<'a> {
    fn new(counters: &'a StoreCounters) -> Self {
        StoreCounters::count(&counters.in_hand);
        Self(counters)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}
