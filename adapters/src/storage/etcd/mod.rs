//! The shared store: etcd, for several replicas.
//!
//! Revisions are those of etcd. Writes are single transactions; the read model follows a watch on `shown/`, and a write is answered once
//! the watch has reported it.
//!
//! How a replica knows that it is up to date: every transaction that changes what is shown also writes one small key, the clock. A
//! linearizable read of the clock gives the revision of the newest such transaction, and the watch is certain to report that
//! revision. Requesting the progress of the watch instead would cover revisions of other keys too, but servers before 3.4.25 and 3.5.8
//! may answer such a request before they have sent all earlier changes. The clock is written without a condition, so it does not make
//! transactions conflict.

pub(crate) mod connection;
mod progress;
mod transaction;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::GetOptions;
use kqueen_domain::port::{BoxError, store::StoreError};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

pub use self::connection::EtcdSettings;
pub(crate) use self::connection::SettingsError;
use self::{
    connection::{CallError, Connection, LIMIT},
    progress::{Progress, SharedRead},
    transaction::{Prefix, compile, range_end, refusal},
    watch::Watcher,
};
use super::{
    backend::{Backend, CommitError, Feed, Slice, Stored, Transaction},
    counters::StoreCounters,
    key::{self, Key},
};

pub(crate) struct Etcd {
    connection: Arc<Connection>,
    prefix: Prefix,
    progress: Arc<Progress>,
    newest: Arc<SharedRead>,
    watching: Mutex<Option<tokio::task::JoinHandle<()>>>,
    closed: CancellationToken,
    counters: Arc<StoreCounters>,
}

impl Etcd {
    pub(crate) async fn new(settings: &EtcdSettings, counters: Arc<StoreCounters>) -> Result<Self, SettingsError> {
        Ok(Self {
            connection: Arc::new(Connection::new(settings).await?),
            prefix: Prefix::new(&settings.prefix),
            progress: Arc::default(),
            newest: Arc::default(),
            watching: Mutex::default(),
            closed: CancellationToken::new(),
            counters,
        })
    }
}

impl Etcd {
    /// The key with which replicas elect a leader.
    pub(crate) fn election_key(&self) -> ElectionKey {
        ElectionKey { connection: self.connection.clone(), key: self.prefix.full(&key::leader()) }
    }
}

/// The key of the leader election, and the connection to etcd.
#[derive(Clone)]
pub(crate) struct ElectionKey {
    pub(crate) connection: Arc<Connection>,
    pub(crate) key: Vec<u8>,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

fn unsigned(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or_default()
}

/// The revision the clock was last written at; 0 if it never was.
async fn clock(connection: Arc<Connection>, progress: Arc<Progress>, key: Vec<u8>) -> Result<u64, CallError> {
    let fed = progress.revision();
    let read = connection.call(true, |mut kv| {
        let key = key.clone();
        async move { kv.get(key, Some(GetOptions::new().with_keys_only())).await }
    });
    let answer = read.await?;
    if let Some(header) = answer.header() {
        progress.store_is_at(unsigned(header.revision()), fed);
    }
    Ok(answer.kvs().first().map_or(0, |kv| unsigned(kv.mod_revision())))
}

#[async_trait]
impl Backend for Etcd {
    async fn start(&self, feed: Arc<dyn Feed>) -> Result<(), StoreError> {
        let watcher = Watcher {
            connection: self.connection.clone(),
            prefix: self.prefix.clone(),
            progress: self.progress.clone(),
            feed,
        };
        watcher.fill().await?;
        let watching = tokio::spawn(watcher.run(self.closed.clone()));
        *self.watching.lock().unwrap_or_else(PoisonError::into_inner) = Some(watching);
        Ok(())
    }

    async fn commit(&self, transaction: Transaction) -> Result<u64, CommitError> {
        if self.closed.is_cancelled() {
            return Err(CommitError::Unavailable("the store is closed".into()));
        }
        let limit = Instant::now() + LIMIT;
        let shown = transaction.is_shown();
        let mut stamped = transaction;
        if shown {
            stamped.put(key::clock(), Bytes::new());
        }
        let compiled = compile(&stamped, &self.prefix);
        let answer = self.connection.call(false, |mut kv| {
            let compiled = compiled.clone();
            async move { kv.txn(compiled).await }
        });
        let answer = answer.await.map_err(|error| CommitError::Unavailable(Box::new(error)))?;
        if !answer.succeeded() {
            return Err(CommitError::Refused(refusal(&stamped, &answer)));
        }
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        let revision = u64::try_from(revision).map_err(|error| CommitError::Unavailable(Box::new(error)))?;
        if shown {
            let fed = self.progress.wait(revision, limit).await;
            fed.map_err(|behind| CommitError::Unavailable(Box::new(behind)))?;
        }
        Ok(revision)
    }

    async fn get(&self, key: &Key) -> Result<Option<Stored>, BoxError> {
        let full = self.prefix.full(key);
        let read = self.connection.call(true, |mut kv| {
            let full = full.clone();
            async move { kv.get(full, None).await }
        });
        let answer = read.await?;
        Ok(answer
            .kvs()
            .first()
            .map(|kv| Stored { value: Bytes::copy_from_slice(kv.value()), revision: unsigned(kv.mod_revision()) }))
    }

    async fn scan(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Slice, BoxError> {
        let start = self.prefix.full(prefix);
        let end = range_end(&start);
        let from = after.map_or(start, |after| {
            let mut next = self.prefix.full(after);
            next.push(0);
            next
        });
        let options = GetOptions::new().with_range(end).with_limit(i64::try_from(limit)?);
        let read = self.connection.call(true, |mut kv| {
            let (from, options) = (from.clone(), options.clone());
            async move { kv.get(from, Some(options)).await }
        });
        let answer = read.await?;
        let entries = answer.kvs().iter().filter_map(|kv| {
            let revision = unsigned(kv.mod_revision());
            Some((self.prefix.strip(kv.key())?, Stored { value: Bytes::copy_from_slice(kv.value()), revision }))
        });
        Ok(Slice { entries: entries.collect(), more: answer.more() })
    }

    async fn caught_up(&self) -> Result<(), BoxError> {
        let limit = Instant::now() + LIMIT;
        let (connection, progress) = (self.connection.clone(), self.progress.clone());
        let (key, counters) = (self.prefix.full(&key::clock()), self.counters.clone());
        let read = move || {
            StoreCounters::count(&counters.barrier_reads);
            clock(connection.clone(), progress.clone(), key.clone())
        };
        let newest = timeout_at(limit, self.newest.answer(read)).await;
        let newest =
            newest.map_err(|_| CallError::NoAnswer { endpoint: "its address".to_owned(), within: LIMIT })??;
        Ok(self.progress.wait(newest, limit).await?)
    }

    async fn ready(&self) -> Result<(), BoxError> {
        self.caught_up().await
    }

    async fn close(&self) {
        self.closed.cancel();
        let watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(watching) = watching {
            let _ended = watching.await;
        }
    }
}
