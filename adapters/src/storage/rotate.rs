//! Resealing everything with the newest key, while the store is in use.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use kqueen_domain::port::store::StoreError;

use super::{
    backend::{CommitError, Refusal, Stored, Test, Transaction},
    core::Core,
    key::{self, Key},
    keyring,
};

/// How many values are read at once: kubeconfigs may be large.
const SLICE: usize = 100;

/// The progress of a rotation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Values that were read.
    pub examined: u64,
    /// Values that were resealed.
    pub resealed: u64,
}

/// Reseals every value that is not sealed with the newest key. Values are replaced one by one, and only if they have not changed in
/// the meantime. Afterwards earlier keys do not open the store any more.
pub(crate) async fn rotate(core: &Arc<Core>, progress: impl Fn(Rotated) + Send) -> Result<Rotated, StoreError> {
    let mut done = Rotated::default();
    // Values that other replicas sealed with an earlier key in the meantime are found by the next round.
    loop {
        let resealed_before = done.resealed;
        round(core, &mut done, &progress).await?;
        if done.resealed == resealed_before {
            break;
        }
    }
    keyring::forget_earlier(&*core.backend, &core.cipher).await?;
    Ok(done)
}

async fn round(core: &Core, done: &mut Rotated, progress: &(impl Fn(Rotated) + Send)) -> Result<(), StoreError> {
    let mut after: Option<Key> = None;
    loop {
        let slice =
            core.backend.scan(&key::all_sealed(), after.as_ref(), SLICE).await.map_err(StoreError::Unavailable)?;
        after = slice.entries.last().map(|(key, _)| key.clone());
        done.examined += slice.entries.len() as u64;
        let old = slice.entries.into_iter().filter(|(_, stored)| !core.cipher.is_newest(&stored.value));
        let resealed: u64 = stream::iter(old)
            .map(|(key, stored)| reseal(core, key, stored))
            .buffer_unordered(16)
            .try_fold(0, |sum, one| async move { Ok(sum + u64::from(one)) })
            .await?;
        done.resealed += resealed;
        progress(*done);
        if !slice.more {
            return Ok(());
        }
    }
}

/// Returns whether the value was resealed; it is not if it was replaced or deleted in the meantime.
async fn reseal(core: &Core, key: Key, stored: Stored) -> Result<bool, StoreError> {
    let plain = core.cipher.open(&key, &stored.value)?;
    let sealed = core.cipher.seal(&key, &plain)?;
    let mut transaction = Transaction::default();
    transaction.require(key.clone(), Test::At(stored.revision), Refusal::Conflict).put(key, sealed);
    match core.commit(transaction).await {
        Ok(_) => Ok(true),
        Err(CommitError::Refused(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
