//! How entries are read, and how sled is made to release the pages of large values, all of which it would keep otherwise.

use std::ops::Bound;

use ::sled::Db;
use kqueen_domain::port::{BoxError, store::StoreError};

use super::files::{entry, stored};
use crate::storage::{
    backend::{Feed, Slice, Stored},
    key::{self, Key},
};

/// Maximum number of repeated accesses to a page to make sled release it.
const MAX_REPEATS: usize = 31;
/// Number of bytes read of a page for which it is accessed once more.
const BYTES_PER_REPEAT: usize = 256;

/// The value of `key`.
pub(super) fn get(db: &Db, key: &Key) -> Result<Option<Stored>, BoxError> {
    let found = db.get(key.as_bytes())?;
    release_page(db, key.as_bytes(), found.as_ref().map_or(0, |value| value.len()))?;
    found.map(|value| stored(&value)).transpose()
}

/// The entries below `prefix`, in the order of keys, after the key `after` if it is given.
fn entries<'a>(
    db: &'a Db,
    prefix: &'a [u8],
    after: Option<&'a [u8]>,
) -> impl Iterator<Item = Result<(Key, Stored), BoxError>> + use<'a> {
    let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
    let mut read = 0;
    db.range::<&[u8], _>((from, Bound::Unbounded))
        .take_while(move |item| item.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
        .map(move |item| {
            let (key, value) = item?;
            read += value.len();
            release_page(db, &key, read)?;
            read %= BYTES_PER_REPEAT;
            entry(&key, &value)
        })
}

/// At most `limit` of the entries below `prefix`.
pub(super) fn slice(db: &Db, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Slice, BoxError> {
    let mut slice = Slice::default();
    for item in entries(db, prefix.as_bytes(), after.map(Key::as_bytes)) {
        if slice.entries.len() == limit {
            slice.more = true;
            break;
        }
        slice.entries.push(item?);
    }
    Ok(slice)
}

/// Fills the read model with everything that it shows.
pub(super) fn fill(feed: &dyn Feed, db: &Db) -> Result<(), StoreError> {
    let shown = key::all_shown();
    feed.replace(&mut entries(db, shown.as_bytes(), None))
}

/// Makes sled release what it keeps too much of, after `length` bytes were read at `key`.
///
/// sled counts accesses in 256 shards and checks only with every 64th access to a shard whether the shard has grown too large. With
/// pages of 16 large values that would be after it has kept a gigabyte, whatever `cache_capacity` says. Accessing a cached page again
/// takes half a microsecond and counts as an access. One page stays in each shard, however large.
fn release_page(db: &Db, key: &[u8], length: usize) -> Result<(), BoxError> {
    for _ in 0..(length / BYTES_PER_REPEAT).min(MAX_REPEATS) {
        db.contains_key(key)?;
    }
    Ok(())
}
