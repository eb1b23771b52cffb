//! What the stores of all kinds of records share: commits with their counts, secrets, claims.

use std::{sync::Arc, time::Instant};

use kqueen_domain::{
    id::ClusterId,
    port::store::{Change, Revision, StoreError},
};
use quick_cache::{Weighter, sync::Cache};
use zeroize::Zeroizing;

use super::{
    backend::{Backend, CommitError, Transaction},
    cipher::Cipher,
    feed::ReadModel,
    key::{Key, Secret},
    meters::Meters,
    record::{self, Record},
};

/// A kubeconfig as it is stored, sealed, and which revision of its cluster was shown before it was read. It is good for as long as
/// that revision is shown: a kubeconfig changes only together with its cluster's record.
#[derive(Clone)]
struct Cached {
    sealed: bytes::Bytes,
    shown: Revision,
}

#[derive(Clone)]
struct Weight;

impl Weighter<ClusterId, Cached> for Weight {
    fn weight(&self, _: &ClusterId, cached: &Cached) -> u64 {
        cached.sealed.len() as u64 + 96
    }
}

/// One open store.
pub(crate) struct Core {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) model: Arc<ReadModel>,
    pub(crate) cipher: Cipher,
    pub(crate) meters: Arc<Meters>,
    kubeconfigs: Cache<ClusterId, Cached, Weight>,
}

impl Core {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        model: Arc<ReadModel>,
        cipher: Cipher,
        meters: Arc<Meters>,
        cache_bytes: u64,
    ) -> Self {
        let items = usize::try_from(cache_bytes / 4096).unwrap_or(usize::MAX).max(16);
        let kubeconfigs = Cache::with_weighter(items, cache_bytes, Weight);
        Self { backend, model, cipher, meters, kubeconfigs }
    }

    /// Carries out a transaction.
    pub(crate) async fn commit(&self, transaction: Transaction) -> Result<Revision, CommitError> {
        let since = Instant::now();
        let in_hand = InHand::new(&self.meters);
        let result = self.backend.commit(transaction).await;
        drop(in_hand);
        Meters::add_time(&self.meters.commit_micros, since.elapsed());
        Meters::count(match &result {
            Ok(_) => &self.meters.commits,
            Err(CommitError::Refused(_)) => &self.meters.refusals,
            Err(CommitError::Unavailable(_)) => &self.meters.failures,
        });
        result.map(Revision)
    }

    /// The record that was seen, for what has to be taken back when it is replaced: `Missing` if it is gone, `Conflict` if it is newer.
    pub(crate) async fn stored_as_seen<T: Record>(&self, key: &Key, seen: Revision) -> Result<T, StoreError> {
        let stored = self.backend.get(key).await.map_err(StoreError::Unavailable)?.ok_or(StoreError::Missing)?;
        if stored.revision != seen.0 {
            return Err(StoreError::Conflict);
        }
        Ok(record::read(&stored.value)?)
    }

    /// Adds to `transaction` what becomes of a secret.
    pub(crate) fn change_secret<T>(
        &self,
        transaction: &mut Transaction,
        secret: Secret,
        change: &Change<T>,
        expose: impl FnOnce(&T) -> &str,
    ) -> Result<(), StoreError> {
        let key = Key::from(secret);
        match change {
            Change::Keep => {}
            Change::Remove => drop(transaction.delete(key)),
            Change::Set(value) => {
                let sealed = self.cipher.seal(&key, expose(value).as_bytes())?;
                transaction.put(key, sealed);
            }
        }
        Ok(())
    }

    /// A secret, if it is there.
    pub(crate) async fn secret(&self, secret: Secret) -> Result<Option<String>, StoreError> {
        let key = Key::from(secret);
        let Some(stored) = self.backend.get(&key).await.map_err(StoreError::Unavailable)? else { return Ok(None) };
        self.opened(&key, &stored.value).map(Some)
    }

    /// A kubeconfig, if there is one; those read last are kept in memory, sealed.
    pub(crate) async fn kubeconfig(&self, id: ClusterId) -> Result<Option<String>, StoreError> {
        let key = Key::from(Secret::Kubeconfig(id));
        let shown = self.model.catalog.cluster(id).map(|view| view.cluster.revision);
        if let Some(cached) = self.kubeconfigs.get(&id)
            && Some(cached.shown) == shown
        {
            Meters::count(&self.meters.cache_hits);
            return self.opened(&key, &cached.sealed).map(Some);
        }
        Meters::count(&self.meters.cache_misses);
        let Some(stored) = self.backend.get(&key).await.map_err(StoreError::Unavailable)? else { return Ok(None) };
        let opened = self.opened(&key, &stored.value)?;
        if let Some(shown) = shown {
            self.kubeconfigs.insert(id, Cached { sealed: stored.value, shown });
        }
        Ok(Some(opened))
    }

    fn opened(&self, key: &Key, sealed: &[u8]) -> Result<String, StoreError> {
        let plain: Zeroizing<Vec<u8>> = self.cipher.open(key, sealed)?;
        // Copied at its exact length: taking the text into custody then leaves no copy behind.
        String::from_utf8(plain.to_vec()).map_err(|_| StoreError::Unreadable("the sealed value is not text".into()))
    }
}

struct InHand<'a>(&'a Meters);

impl<'a> InHand<'a> {
    fn new(meters: &'a Meters) -> Self {
        Meters::count(&meters.in_hand);
        Self(meters)
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}
