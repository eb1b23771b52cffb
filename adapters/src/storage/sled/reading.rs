//! How entries are read, and how the pages that large values are on are let go of: sled would keep them all.

use std::ops::Bound;

use ::sled::Db;
use kqueen_domain::port::{BoxError, store::StoreError};

use super::files::{entry, stored};
use crate::storage::{
    backend::{Feed, Slice, Stored},
    key::{self, Key},
};

/// How often a page is asked for again at most to have it let go of.
const AGAIN: usize = 31;
/// For how many bytes that were read of it a page is asked for again once.
const ONCE_FOR: usize = 256;

/// What is at `key`.
pub(super) fn get(db: &Db, key: &Key) -> Result<Option<Stored>, BoxError> {
    let found = db.get(key.as_bytes())?;
    let_go(db, key.as_bytes(), found.as_ref().map_or(0, |value| value.len()))?;
    found.map(|value| stored(&value)).transpose()
}

/// What is below `prefix`, in the order of keys; `after` that key, where one is given.
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
            let_go(db, &key, read)?;
            read %= ONCE_FOR;
            entry(&key, &value)
        })
}

/// At most `limit` of what is below `prefix`.
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

/// Shows the read model everything it shows.
pub(super) fn fill(feed: &dyn Feed, db: &Db) -> Result<(), StoreError> {
    let shown = key::all_shown();
    feed.replace(&mut entries(db, shown.as_bytes(), None))
}

/// Has sled let go of what it keeps too much of, after `length` bytes were read at `key`.
///
/// sled counts what was used in 256 places and looks whether there is too much of it only with every 64th use that falls to the same
/// place. With pages of 16 large values that would be after it has kept a gigabyte, whatever `cache_capacity` says. Asking for a page
/// again while it is at hand takes half a microsecond and counts as a use. One page stays in each place, however large.
fn let_go(db: &Db, key: &[u8], length: usize) -> Result<(), BoxError> {
    for _ in 0..(length / ONCE_FOR).min(AGAIN) {
        db.contains_key(key)?;
    }
    Ok(())
}
