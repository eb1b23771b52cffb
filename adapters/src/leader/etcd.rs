//! Leader election on etcd: the replica that creates the key leads for as long as it keeps the key's lease alive.
//!
//! Two things keep a replaced leader from doing harm. Its write transactions succeed only while the key is still the one it wrote. And
//! it considers itself the leader only while etcd cannot have expired the lease: when it requested the last confirmation, the lease was
//! alive and the key was its own, and since then less time than the lease's TTL has passed, on a clock that also counts time in which
//! this machine was suspended.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use etcd_client::{Compare, CompareOp, Error, GetOptions, KeyValue, PutOptions, Txn, TxnOp, WatchOptions};
use kqueen_domain::{port::BoxError, revision::Revision};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::lease::{LeaseState, Moment};
use crate::storage::etcd::{
    ElectionKey,
    connection::{CallError, reason},
};

/// Time limit of a call, over all endpoints it tries.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Pause between two attempts after a failure.
const PAUSE: Duration = Duration::from_millis(250);
/// How often a waiting replica checks whether the key still exists, in case the watch does not report it.
const RECHECK: Duration = Duration::from_secs(2);

/// One replica as a candidate in the election.
pub(super) struct Election {
    election_key: ElectionKey,
    /// The value of the key, for people who read it.
    name: String,
    ttl: Duration,
    state: Arc<LeaseState>,
    /// The lease that was granted last, unless it has been revoked.
    lease: Option<i64>,
    /// Whether the last attempt failed: only the first failure in a row is logged.
    failing: bool,
}

/// The key as it was read.
struct KeyState {
    /// The revision at which it was written, if it exists.
    written: Option<i64>,
    /// The revision of the store.
    store_revision: i64,
}

/// An election won.
struct Won {
    lease: i64,
    /// The revision at which the key was written.
    written: i64,
}

impl Won {
    fn term(&self) -> Revision {
        Revision(u64::try_from(self.written).unwrap_or_default())
    }
}

impl Election {
    pub(super) fn new(election_key: ElectionKey, ttl: Duration, state: Arc<LeaseState>) -> Self {
        let name = format!("{} (process {})", Uuid::new_v4(), std::process::id());
        let ttl = Duration::from_secs(ttl.as_secs().max(1));
        Self { election_key, name, ttl, state, lease: None, failing: false }
    }

    pub(super) async fn run(mut self, closing: CancellationToken) {
        tokio::select! {
            () = closing.cancelled() => {}
            never = self.participate() => match never {},
        }
        self.state.ended();
        // The key is deleted with the lease, so waiting replicas are notified at once.
        self.revoke_lease().await;
    }

    async fn participate(&mut self) -> Infallible {
        loop {
            match self.campaign().await {
                Ok(won) => {
                    tracing::info!(term = won.written, "this replica is the leader now");
                    self.failing = false;
                    self.lead(&won).await;
                    self.state.ended();
                    tracing::warn!(term = won.written, "this replica is no longer the leader");
                }
                Err(error) => {
                    self.log_failure(&error);
                    sleep(PAUSE).await;
                }
            }
            self.revoke_lease().await;
        }
    }

    /// Tries until this replica has won.
    async fn campaign(&mut self) -> Result<Won, CallError> {
        loop {
            self.wait_until_free().await?;
            if let Some(won) = self.try_to_win().await? {
                return Ok(won);
            }
            self.revoke_lease().await;
        }
    }

    /// Returns once the key does not exist.
    async fn wait_until_free(&mut self) -> Result<(), CallError> {
        loop {
            let KeyState { written, store_revision } = self.read_key().await?;
            if written.is_none() {
                return Ok(());
            }
            self.failing = false;
            let mut change = pin!(key_changed(self.election_key.clone(), store_revision));
            loop {
                tokio::select! {
                    () = &mut change => break,
                    () = sleep(RECHECK) => {
                        if self.read_key().await?.written.is_none() {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    async fn try_to_win(&mut self) -> Result<Option<Won>, CallError> {
        let ttl = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let grant = self.election_key.connection.call_within(TIMEOUT, true, |peer| {
            let mut leases = peer.lease();
            async move {
                let requested_at = Moment::now();
                Ok((requested_at, leases.grant(ttl, None).await?.id()))
            }
        });
        let (requested_at, lease) = grant.await?;
        self.lease = Some(lease);
        let (key, name) = (&self.election_key.key, &self.name);
        // If it is sent twice, the second is refused because the key exists. The lease is then revoked, the key with it, and the next
        // attempt follows.
        let put_key = self.election_key.connection.call_within(TIMEOUT, true, |peer| {
            let free = Compare::create_revision(key.clone(), CompareOp::Equal, 0);
            let put = TxnOp::put(key.clone(), name.clone(), Some(PutOptions::new().with_lease(lease)));
            let mut kv = peer.kv();
            async move { kv.txn(Txn::new().when([free]).and_then([put])).await }
        });
        let answer = put_key.await?;
        let written = answer.header().filter(|_| answer.succeeded()).map(etcd_client::ResponseHeader::revision);
        let won = written.map(|written| Won { lease, written });
        if let Some(won) = &won {
            self.state.confirmed(won.term(), requested_at.after(self.validity()));
        }
        Ok(won)
    }

    /// Returns when the lease or the key is lost. While etcd does not answer, that is unknown: the term then expires by the clock, and
    /// continues if both turn out to exist still, because no other replica can have led in the meantime.
    async fn lead(&mut self, won: &Won) {
        let interval = self.ttl * 3 / 10;
        let (mut store_revision, mut pause) = (won.written, interval);
        let mut change = Box::pin(key_changed(self.election_key.clone(), store_revision));
        loop {
            let has_changed = tokio::select! {
                () = &mut change => true,
                () = sleep(pause) => false,
            };
            match self.confirm(won).await {
                Ok(Some(now)) => {
                    self.failing = false;
                    (store_revision, pause) = (now, interval);
                }
                Ok(None) => return,
                Err(error) => {
                    self.log_failure(&error);
                    pause = PAUSE;
                }
            }
            if has_changed {
                change = Box::pin(key_changed(self.election_key.clone(), store_revision));
            }
        }
    }

    /// Keeps the lease alive and checks that the key is ours; returns the revision of the store, or `None` if either is lost.
    async fn confirm(&self, won: &Won) -> Result<Option<i64>, CallError> {
        let keep_alive = self.election_key.connection.call_within(TIMEOUT, true, |peer| {
            let (mut leases, lease) = (peer.lease(), won.lease);
            async move {
                let requested_at = Moment::now();
                // A new stream each time, because otherwise it is unknown which request an answer belongs to.
                match leases.keep_alive(lease).await {
                    Ok(_) => Ok(Some(requested_at)),
                    Err(Error::LeaseKeepAliveError(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        });
        let Some(requested_at) = keep_alive.await? else { return Ok(None) };
        let KeyState { written, store_revision } = self.read_key().await?;
        if written != Some(won.written) {
            return Ok(None);
        }
        self.state.confirmed(won.term(), requested_at.after(self.validity()));
        Ok(Some(store_revision))
    }

    /// How long a confirmation is valid after it was requested. The rest of the TTL allows for clocks that run at different speeds.
    fn validity(&self) -> Duration {
        self.ttl - self.ttl / 5
    }

    async fn read_key(&self) -> Result<KeyState, CallError> {
        let key = &self.election_key.key;
        let read = self.election_key.connection.call_within(TIMEOUT, true, |peer| {
            let (mut kv, key) = (peer.kv(), key.clone());
            async move { kv.get(key, Some(GetOptions::new().with_keys_only())).await }
        });
        let answer = read.await?;
        let store_revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        Ok(KeyState { written: answer.kvs().first().map(KeyValue::mod_revision), store_revision })
    }

    /// Revokes the lease. If that fails, it expires later.
    async fn revoke_lease(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let revoke = self.election_key.connection.call_within(TIMEOUT, true, |peer| {
            let mut leases = peer.lease();
            async move { leases.revoke(lease).await }
        });
        if let Err(error) = revoke.await {
            tracing::debug!(%error, "a lease was not revoked");
        }
    }

    fn log_failure(&mut self, error: &CallError) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "it is unknown which replica leads");
        }
    }
}

/// Returns when the key has changed since the store was at `store_revision`, or, after a pause, when the watch has failed.
async fn key_changed(election_key: ElectionKey, store_revision: i64) {
    if let Err(error) = watch_key(&election_key, store_revision).await {
        tracing::debug!(%error, "the watch on the leader key failed");
        sleep(PAUSE).await;
    }
}

async fn watch_key(election_key: &ElectionKey, store_revision: i64) -> Result<(), BoxError> {
    let (number, peer) = election_key.connection.peer(Instant::now() + TIMEOUT).await?;
    let mut watches = peer.watch();
    let options = WatchOptions::new().with_start_revision(store_revision + 1);
    let opening = timeout(TIMEOUT, watches.watch(election_key.key.clone(), Some(options))).await;
    let opened =
        opening.map_err(|_| "etcd did not respond".to_owned()).and_then(|opened| opened.map_err(|e| reason(&e)));
    let mut stream = opened.inspect_err(|_| election_key.connection.leave(number))?;
    loop {
        match stream.message().await {
            Ok(Some(message)) if message.canceled() => {
                // Most likely the token has expired, which etcd checks only for new watches.
                peer.renew().await;
                return Err(format!("etcd cancelled the watch: {}", message.cancel_reason()).into());
            }
            Ok(Some(message)) if message.events().is_empty() => {}
            Ok(Some(_)) => return Ok(()),
            Ok(None) => return Err("etcd ended the watch".into()),
            Err(error) => {
                election_key.connection.leave(number);
                return Err(reason(&error).into());
            }
        }
    }
}
