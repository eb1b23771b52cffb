//! sled's files, and how values are laid out in them: the revision in eight bytes, then the value.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use ::sled::{Db, IVec};
use bytes::Bytes;
use kqueen_domain::port::BoxError;

use crate::storage::{
    backend::Stored,
    key::{self, Key},
};

/// Why the files could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenFilesError {
    #[error(
        "another process has {} open: stop it first, or give this one its own KQUEEN_SLED_PATH (several replicas need KQUEEN_STORAGE_KIND=etcd)",
        .0.display()
    )]
    InUse(PathBuf),
    #[error("{} cannot be opened", .path.display())]
    Files { path: PathBuf, source: BoxError },
}

pub(super) fn open_files(path: &Path, cache_bytes: u64) -> Result<Db, OpenFilesError> {
    let files = |source: BoxError| OpenFilesError::Files { path: path.to_owned(), source };
    make_private_directory(path).map_err(|error| files(Box::new(error)))?;
    let config = ::sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(None);
    let db = config.open().map_err(|error| match &error {
        // sled has no variant for it.
        ::sled::Error::Io(io) if io.to_string().contains("could not acquire lock") => {
            OpenFilesError::InUse(path.to_owned())
        }
        _ => files(Box::new(error)),
    })?;
    // So that files that were just created survive a power failure.
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| files(Box::new(error)))?;
    Ok(db)
}

/// A directory that only this user can read, whether values are sealed or not.
fn make_private_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // So that the directory itself survives a power failure.
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

pub(super) fn with_revision(revision: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + value.len());
    bytes.extend_from_slice(&revision.to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

fn parts(bytes: &IVec) -> Result<(u64, &[u8]), BoxError> {
    let (revision, value) = bytes.split_first_chunk::<8>().ok_or("a stored value is cut short")?;
    Ok((u64::from_be_bytes(*revision), value))
}

/// The revision of a value, without copying the value.
pub(super) fn revision_of(bytes: &IVec) -> Result<u64, BoxError> {
    Ok(parts(bytes)?.0)
}

pub(super) fn stored(bytes: &IVec) -> Result<Stored, BoxError> {
    let (revision, value) = parts(bytes)?;
    Ok(Stored { value: Bytes::copy_from_slice(value), revision })
}

pub(super) fn entry(key: &IVec, value: &IVec) -> Result<(Key, Stored), BoxError> {
    Ok((Key::from_bytes(key).ok_or("a stored key is not text")?, stored(value)?))
}

/// The revision of the last transaction; 0 before the first.
pub(super) fn newest_revision(db: &Db) -> Result<u64, BoxError> {
    let counter = db.get(key::newest_revision().as_bytes())?;
    counter.map_or(Ok(0), |bytes| revision_of(&bytes))
}
