//! The interface of a storage backend: an ordered map of bytes with conditional transactions and a feed of committed changes.
//! Implemented by [`memory`](super::memory), [`sled`](super::sled) and [`etcd`](super::etcd); what the bytes mean is not known here.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use kqueen_domain::{
    port::{BoxError, leader::Term, store::StoreError},
    revision::Revision,
};

use super::key::{self, Key};

/// A value with the revision of the transaction that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) value: Bytes,
    pub(crate) revision: u64,
}

/// A condition on a key for a transaction to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// The key does not exist.
    Absent,
    /// The key exists.
    Present,
    /// The key exists and was last written at that revision.
    At(u64),
    /// No key starts with this one.
    NothingBelow,
}

/// What a refused transaction means to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Missing,
    Conflict,
    Taken(&'static str),
    InUse,
    Dangling(&'static str),
    /// The idempotency key was used before.
    KeyUsed,
    /// The writer's term as leader has ended.
    NotLeader,
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::Missing,
            Refusal::Conflict | Refusal::KeyUsed => Self::Conflict,
            Refusal::Taken(field) => Self::Taken { field },
            Refusal::InUse => Self::InUse,
            Refusal::Dangling(field) => Self::Dangling { field },
            Refusal::NotLeader => Self::NotLeader,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Precondition {
    pub(crate) key: Key,
    pub(crate) test: Test,
    refusal: Refusal,
    /// The refusal if the key of [`Test::At`] does not exist.
    gone: Refusal,
}

#[derive(Debug, Clone)]
pub(crate) enum Write {
    Put(Key, Bytes),
    Delete(Key),
}

/// Conditions and writes that are carried out together or not at all. Conditions are checked in order: the first that fails gives the
/// refusal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transaction {
    pub(crate) conditions: Vec<Precondition>,
    pub(crate) writes: Vec<Write>,
}

impl Transaction {
    pub(crate) fn require(&mut self, key: Key, test: Test, refusal: Refusal) -> &mut Self {
        self.conditions.push(Precondition { key, test, refusal, gone: refusal });
        self
    }

    /// The key must exist at the expected revision: `Missing` if it is gone, `Conflict` if it is newer.
    pub(crate) fn unchanged(&mut self, key: Key, expected: Revision) -> &mut Self {
        let (test, refusal) = (Test::At(expected.0), Refusal::Conflict);
        self.conditions.push(Precondition { key, test, refusal, gone: Refusal::Missing });
        self
    }

    /// A key that belongs to the record must be at the expected revision: `Conflict` if it has changed, is gone, or exists although it
    /// is expected not to.
    pub(crate) fn as_expected(&mut self, key: Key, expected: Option<Revision>) -> &mut Self {
        self.require(key, expected.map_or(Test::Absent, |expected| Test::At(expected.0)), Refusal::Conflict)
    }

    /// The term must not have ended. Goes first: a writer that is not the leader any more gets `NotLeader`, whatever else has changed.
    pub(crate) fn within(&mut self, term: Option<Term>) -> &mut Self {
        match term {
            Some(Term::Held(revision)) => self.require(key::leader(), Test::At(revision.0), Refusal::NotLeader),
            Some(Term::Single) | None => self,
        }
    }

    pub(crate) fn put(&mut self, key: Key, value: impl Into<Bytes>) -> &mut Self {
        self.writes.push(Write::Put(key, value.into()));
        self
    }

    pub(crate) fn delete(&mut self, key: Key) -> &mut Self {
        self.writes.push(Write::Delete(key));
        self
    }

    /// Checks the conditions against `state`. The inner `Err` is the first refusal.
    pub(crate) fn check<E>(&self, state: &impl State<Error = E>) -> Result<Result<(), Refusal>, E> {
        for condition in &self.conditions {
            let key = &condition.key;
            let holds = match condition.test {
                Test::Absent => state.revision(key)?.is_none(),
                Test::Present => state.revision(key)?.is_some(),
                Test::At(revision) => match state.revision(key)? {
                    None => return Ok(Err(condition.gone)),
                    Some(now) => now == revision,
                },
                Test::NothingBelow => !state.anything_below(key)?,
            };
            if !holds {
                return Ok(Err(condition.refusal));
            }
        }
        Ok(Ok(()))
    }

    /// Whether it changes what the read model shows.
    pub(crate) fn is_shown(&self) -> bool {
        self.writes.iter().any(|write| match write {
            Write::Put(key, _) | Write::Delete(key) => key.is_shown(),
        })
    }

    /// The events to report once this is committed at `revision`.
    pub(crate) fn into_events(self, revision: u64) -> impl Iterator<Item = Event> {
        self.writes.into_iter().filter_map(move |write| match write {
            Write::Put(key, value) if key.is_shown() => Some(Event::Put(key, Stored { value, revision })),
            Write::Delete(key) if key.is_shown() => Some(Event::Delete(key, revision)),
            Write::Put(..) | Write::Delete(_) => None,
        })
    }
}

/// The state that conditions are checked against.
pub(crate) trait State {
    type Error;
    /// The revision a key was last written at, `None` if it does not exist.
    fn revision(&self, key: &Key) -> Result<Option<u64>, Self::Error>;
    /// Whether there is a key that starts with `prefix`.
    fn anything_below(&self, prefix: &Key) -> Result<bool, Self::Error>;
}

/// Why a transaction was not committed, or perhaps not.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// A condition did not hold; nothing was written.
    Refused(Refusal),
    /// The store did not answer, or could not make the write durable. It may have been committed all the same.
    Unavailable(BoxError),
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Refused(refusal) => refusal.into(),
            CommitError::Unavailable(source) => Self::Unavailable(source),
        }
    }
}

/// A committed change of a key that the read model shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Put(Key, Stored),
    /// With the revision of the transaction that deleted it.
    Delete(Key, u64),
}

impl Event {
    /// The revision of the transaction.
    pub(crate) const fn revision(&self) -> u64 {
        match self {
            Self::Put(_, stored) => stored.revision,
            Self::Delete(_, revision) => *revision,
        }
    }
}

/// Everything that the read model shows, in any order.
pub(crate) type Everything<'a> = dyn Iterator<Item = Result<(Key, Stored), BoxError>> + 'a;

/// Where a backend reports what was committed.
pub(crate) trait Feed: Send + Sync {
    /// Takes committed changes: whole transactions in the order of their revisions.
    fn apply(&self, events: Vec<Event>);
    /// Takes everything that is stored; replaces what was reported before. It is read piece by piece, so that it is not in memory
    /// twice. Blocks for as long as `everything` does.
    ///
    /// # Errors
    /// `everything` ended in an error, or something in it cannot be read; what was reported before then remains.
    fn replace(&self, everything: &mut Everything<'_>) -> Result<(), StoreError>;
}

/// Part of an ordered scan.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    pub(crate) entries: Vec<(Key, Stored)>,
    /// Whether there is more after the last entry.
    pub(crate) more: bool,
}

/// An ordered map of keys to bytes.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Fills the feed with what is stored and keeps it up to date from then on. Called once, before anything that is shown is written.
    async fn start(&self, feed: Arc<dyn Feed>) -> Result<(), StoreError>;
    /// Commits a transaction: returns its revision once it is durable and, if it [is shown](Transaction::is_shown), reported to the feed.
    async fn commit(&self, transaction: Transaction) -> Result<u64, CommitError>;
    /// The newest value of a key.
    async fn get(&self, key: &Key) -> Result<Option<Stored>, BoxError>;
    /// Up to `limit` entries whose keys start with `prefix`, in order, after `after`.
    async fn scan(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Slice, BoxError>;
    /// Whether the feed has reported every transaction that was acknowledged anywhere before this call; also `false` if only a request
    /// to the store can tell.
    fn is_caught_up(&self) -> bool {
        false
    }
    /// Returns once the feed has reported them.
    async fn caught_up(&self) -> Result<(), BoxError>;
    /// Whether the store answers and the feed is alive.
    async fn ready(&self) -> Result<(), BoxError>;
    /// Stops the feed and closes files and connections. Writes fail as [`CommitError::Unavailable`] from then on.
    async fn close(&self);
}

/// The part of an ordered map whose keys start with `prefix`.
pub(crate) fn below<'a, V>(map: &'a BTreeMap<Key, V>, prefix: &'a Key) -> impl Iterator<Item = (&'a Key, &'a V)> {
    map.range::<Key, _>((Bound::Included(prefix), Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix))
}
