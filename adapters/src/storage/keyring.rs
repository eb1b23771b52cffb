//! The secret keys of a store. For every key that values may be sealed with, a check value is stored under the key's id, so that a wrong
//! key is detected at the start, and also a missing one that is still needed.

use std::sync::Arc;

use kqueen_domain::port::BoxError;
use secrecy::SecretString;

use super::{
    backend::{Backend, CommitError, Refusal, Test, Transaction},
    cipher::{Cipher, CipherError, Derivation},
    key,
};

/// The plain text of a check value.
const CHECK: &[u8] = b"kqueen";

/// Maximum number of check values that are read; each stands for a secret key in use.
const CHECKS: usize = 1000;

/// Why a store could not be unlocked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnlockError {
    #[error(
        "KQUEEN_SECRET_KEY is not the key this store was set up with: start with that key or, to change it, add it to KQUEEN_SECRET_KEY_PREVIOUS"
    )]
    WrongKey,
    #[error(
        "values of this store may still be encrypted with an earlier secret key (number {0}): add that key to KQUEEN_SECRET_KEY_PREVIOUS \
         and run `kqueen rotate-keys` before leaving it out"
    )]
    KeyLeftOut(String),
    #[error("the store's description of its keys is damaged or of a newer release")]
    Damaged(#[source] BoxError),
    #[error("the store does not respond")]
    Unavailable(#[source] BoxError),
}

impl From<CipherError> for UnlockError {
    fn from(error: CipherError) -> Self {
        Self::Damaged(Box::new(error))
    }
}

/// Derives the cipher of a store and checks its keys; sets up a new store.
pub(crate) async fn unlock(
    backend: &dyn Backend,
    newest: SecretString,
    previous: Vec<SecretString>,
) -> Result<Cipher, UnlockError> {
    let secrets = Arc::new((newest, previous));
    loop {
        let stored = backend.get(&key::derivation()).await.map_err(UnlockError::Unavailable)?;
        let derivation = match &stored {
            Some(stored) => serde_json::from_slice(&stored.value).map_err(|e| UnlockError::Damaged(Box::new(e)))?,
            None => Derivation::random()?,
        };
        let cipher = derive(secrets.clone(), derivation.clone()).await?;
        if stored.is_some() {
            check(backend, &cipher).await?;
            return Ok(cipher);
        }
        // Salt and first check value together: if two replicas set up one store, one of them finds it done.
        let mut transaction = Transaction::default();
        let description = serde_json::to_vec(&derivation).map_err(|e| UnlockError::Damaged(Box::new(e)))?;
        let name = key::check(&cipher.newest().to_string());
        transaction
            .require(key::derivation(), Test::Absent, Refusal::Conflict)
            .put(key::derivation(), description)
            .put(name.clone(), cipher.seal(&name, CHECK)?);
        match backend.commit(transaction).await {
            Ok(_) => return Ok(cipher),
            Err(CommitError::Refused(_)) => {}
            Err(CommitError::Unavailable(source)) => return Err(UnlockError::Unavailable(source)),
        }
    }
}

async fn derive(
    secrets: Arc<(SecretString, Vec<SecretString>)>,
    derivation: Derivation,
) -> Result<Cipher, UnlockError> {
    let work = move || Cipher::new(&secrets.0, &secrets.1, &derivation);
    let derived = tokio::task::spawn_blocking(work).await.map_err(|e| UnlockError::Unavailable(Box::new(e)))?;
    Ok(derived?)
}

async fn check(backend: &dyn Backend, cipher: &Cipher) -> Result<(), UnlockError> {
    let slice = backend.scan(&key::all_checks(), None, CHECKS).await.map_err(UnlockError::Unavailable)?;
    let prefix = key::all_checks();
    let name_of = |key: &key::Key| key.as_str().strip_prefix(prefix.as_str()).unwrap_or_default().to_owned();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for (key, stored) in slice.entries {
        let name = name_of(&key);
        if cipher.knows(&name) {
            let opened = cipher.open(&key, &stored.value)?;
            if &**opened != CHECK {
                return Err(CipherError::Damaged.into());
            }
            known.push(name);
        } else {
            unknown.push(name);
        }
    }
    if known.is_empty() {
        return Err(UnlockError::WrongKey);
    }
    if let Some(name) = unknown.into_iter().next() {
        return Err(UnlockError::KeyLeftOut(name));
    }
    let newest = cipher.newest().to_string();
    if known.contains(&newest) {
        return Ok(());
    }
    let name = key::check(&newest);
    let mut transaction = Transaction::default();
    transaction.require(name.clone(), Test::Absent, Refusal::Conflict).put(name.clone(), cipher.seal(&name, CHECK)?);
    match backend.commit(transaction).await {
        Ok(_) | Err(CommitError::Refused(_)) => Ok(()),
        Err(CommitError::Unavailable(source)) => Err(UnlockError::Unavailable(source)),
    }
}

/// Deletes the check values of earlier keys after everything was resealed: these keys do not open the store any more.
pub(crate) async fn forget_earlier(backend: &dyn Backend, cipher: &Cipher) -> Result<(), CommitError> {
    let slice = backend.scan(&key::all_checks(), None, CHECKS).await.map_err(CommitError::Unavailable)?;
    let newest = key::check(&cipher.newest().to_string());
    let mut transaction = Transaction::default();
    for (key, _) in slice.entries.into_iter().filter(|(key, _)| *key != newest) {
        transaction.delete(key);
    }
    if transaction.writes.is_empty() {
        return Ok(());
    }
    backend.commit(transaction).await.map(drop)
}
