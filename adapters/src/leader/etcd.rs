//! Election on etcd: whoever puts the key while it is not there leads, for as long as the lease the key hangs on is kept alive.
//!
//! Two things keep a leader that has been replaced from doing harm. Its writes depend on the key being the one it wrote, in their own
//! transactions. And it says that it leads only while etcd can not yet have given the lease up: the lease was alive, and the key its own,
//! when the last confirmation was asked for, and since then less than the lease's time has passed, on a clock that also counts time in
//! which this machine was suspended.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use etcd_client::{Compare, CompareOp, Error, GetOptions, KeyValue, PutOptions, Txn, TxnOp, WatchOptions};
use kqueen_domain::{port::BoxError, revision::Revision};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::lease::{LeaseState, Moment};
use crate::storage::etcd::{
    Seat,
    connection::{CallError, reason},
};

/// The longest a call may take, all endpoints it tries together.
const WITHIN: Duration = Duration::from_secs(2);
/// Between two attempts when one has failed.
const PAUSE: Duration = Duration::from_millis(250);
/// How often one who waits looks whether the key is still there, in case nobody tells.
const RECHECK: Duration = Duration::from_secs(2);

/// One replica that stands for election.
pub(super) struct Election {
    seat: Seat,
    /// The value of the key, for people who look at it.
    name: String,
    ttl: Duration,
    tenure: Arc<LeaseState>,
    /// The lease that was asked for last, if it has not been given back.
    lease: Option<i64>,
    /// Whether the last attempt failed: only the first of a row is told.
    troubled: bool,
}

/// What a look at the key finds.
struct Sight {
    /// The revision at which it was written, if it is there.
    written: Option<i64>,
    /// The revision of the store.
    seen: i64,
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
    pub(super) fn new(seat: Seat, ttl: Duration, tenure: Arc<LeaseState>) -> Self {
        let name = format!("{} (process {})", Uuid::new_v4(), std::process::id());
        let ttl = Duration::from_secs(ttl.as_secs().max(1));
        Self { seat, name, ttl, tenure, lease: None, troubled: false }
    }

    pub(super) async fn run(mut self, closing: CancellationToken) {
        tokio::select! {
            () = closing.cancelled() => {}
            never = self.stand() => match never {},
        }
        self.tenure.ended();
        // The key goes with the lease: who waits for it is told at once.
        self.give_back().await;
    }

    async fn stand(&mut self) -> Infallible {
        loop {
            match self.campaign().await {
                Ok(won) => {
                    tracing::info!(term = won.written, "this replica leads now");
                    self.troubled = false;
                    self.lead(&won).await;
                    self.tenure.ended();
                    tracing::warn!(term = won.written, "this replica does not lead any more");
                }
                Err(error) => {
                    self.tell(&error);
                    sleep(PAUSE).await;
                }
            }
            self.give_back().await;
        }
    }

    /// Tries until it is won.
    async fn campaign(&mut self) -> Result<Won, CallError> {
        loop {
            self.until_free().await?;
            if let Some(won) = self.try_for_it().await? {
                return Ok(won);
            }
            self.give_back().await;
        }
    }

    /// Returns once the key is not there.
    async fn until_free(&mut self) -> Result<(), CallError> {
        loop {
            let Sight { written, seen } = self.look().await?;
            if written.is_none() {
                return Ok(());
            }
            self.troubled = false;
            let mut news = pin!(news(self.seat.clone(), seen));
            loop {
                tokio::select! {
                    () = &mut news => break,
                    () = sleep(RECHECK) => {
                        if self.look().await?.written.is_none() {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    async fn try_for_it(&mut self) -> Result<Option<Won>, CallError> {
        let ttl = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let granting = self.seat.connection.ask(WITHIN, true, |peer| {
            let mut leases = peer.lease();
            async move {
                let asked = Moment::now();
                Ok((asked, leases.grant(ttl, None).await?.id()))
            }
        });
        let (asked, lease) = granting.await?;
        self.lease = Some(lease);
        let (key, name) = (&self.seat.key, &self.name);
        // Sent twice it is refused the second time: the key is then there, goes with the lease, and the next attempt follows.
        let putting = self.seat.connection.ask(WITHIN, true, |peer| {
            let free = Compare::create_revision(key.clone(), CompareOp::Equal, 0);
            let put = TxnOp::put(key.clone(), name.clone(), Some(PutOptions::new().with_lease(lease)));
            let mut kv = peer.kv();
            async move { kv.txn(Txn::new().when([free]).and_then([put])).await }
        });
        let answer = putting.await?;
        let written = answer.header().filter(|_| answer.succeeded()).map(etcd_client::ResponseHeader::revision);
        let won = written.map(|written| Won { lease, written });
        if let Some(won) = &won {
            self.tenure.confirmed(won.term(), asked.after(self.counts()));
        }
        Ok(won)
    }

    /// Returns when the lease or the key is lost. While etcd does not answer it is not known whether they are: then the term ends by
    /// the clock, and goes on if they turn out to be there still, for nobody else can have led meanwhile.
    async fn lead(&mut self, won: &Won) {
        let often = self.ttl * 3 / 10;
        let (mut seen, mut pause) = (won.written, often);
        let mut told = Box::pin(news(self.seat.clone(), seen));
        loop {
            let has_news = tokio::select! {
                () = &mut told => true,
                () = sleep(pause) => false,
            };
            match self.confirm(won).await {
                Ok(Some(now)) => {
                    self.troubled = false;
                    (seen, pause) = (now, often);
                }
                Ok(None) => return,
                Err(error) => {
                    self.tell(&error);
                    pause = PAUSE;
                }
            }
            if has_news {
                told = Box::pin(news(self.seat.clone(), seen));
            }
        }
    }

    /// Keeps the lease alive and makes sure that the key is ours; the revision of the store, or `None` if it is lost.
    async fn confirm(&self, won: &Won) -> Result<Option<i64>, CallError> {
        let keeping = self.seat.connection.ask(WITHIN, true, |peer| {
            let (mut leases, lease) = (peer.lease(), won.lease);
            async move {
                let asked = Moment::now();
                // A stream of its own for every time: it is not known otherwise which request an answer belongs to.
                match leases.keep_alive(lease).await {
                    Ok(_) => Ok(Some(asked)),
                    Err(Error::LeaseKeepAliveError(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        });
        let Some(asked) = keeping.await? else { return Ok(None) };
        let Sight { written, seen } = self.look().await?;
        if written != Some(won.written) {
            return Ok(None);
        }
        self.tenure.confirmed(won.term(), asked.after(self.counts()));
        Ok(Some(seen))
    }

    /// For how long a confirmation counts, from when it was asked for. The rest is for clocks that do not run at the same speed.
    fn counts(&self) -> Duration {
        self.ttl - self.ttl / 5
    }

    async fn look(&self) -> Result<Sight, CallError> {
        let key = &self.seat.key;
        let looking = self.seat.connection.ask(WITHIN, true, |peer| {
            let (mut kv, key) = (peer.kv(), key.clone());
            async move { kv.get(key, Some(GetOptions::new().with_keys_only())).await }
        });
        let answer = looking.await?;
        let seen = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        Ok(Sight { written: answer.kvs().first().map(KeyValue::mod_revision), seen })
    }

    /// Gives the lease back. If that does not succeed it runs out by itself.
    async fn give_back(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let revoking = self.seat.connection.ask(WITHIN, true, |peer| {
            let mut leases = peer.lease();
            async move { leases.revoke(lease).await }
        });
        if let Err(error) = revoking.await {
            tracing::debug!(%error, "a lease was not given back");
        }
    }

    fn tell(&mut self, error: &CallError) {
        if !std::mem::replace(&mut self.troubled, true) {
            tracing::warn!(%error, "it cannot be told which replica leads");
        }
    }
}

/// Returns when the key has changed since the store was at `seen`; also, after a pause, when that is not told any longer.
async fn news(seat: Seat, seen: i64) {
    if let Err(error) = changed(&seat, seen).await {
        tracing::debug!(%error, "the watch on the leader broke");
        sleep(PAUSE).await;
    }
}

async fn changed(seat: &Seat, seen: i64) -> Result<(), BoxError> {
    let (number, peer) = seat.connection.peer(Instant::now() + WITHIN).await?;
    let mut watches = peer.watch();
    let options = WatchOptions::new().with_start_revision(seen + 1);
    let opening = timeout(WITHIN, watches.watch(seat.key.clone(), Some(options))).await;
    let opened =
        opening.map_err(|_| "it was not answered".to_owned()).and_then(|opened| opened.map_err(|e| reason(&e)));
    let mut stream = opened.inspect_err(|_| seat.connection.leave(number))?;
    loop {
        match stream.message().await {
            Ok(Some(message)) if message.canceled() => {
                // Most likely the token has run out: only a new watch is asked for it.
                peer.renew().await;
                return Err(format!("etcd cancelled it: {}", message.cancel_reason()).into());
            }
            Ok(Some(message)) if message.events().is_empty() => {}
            Ok(Some(_)) => return Ok(()),
            Ok(None) => return Err("etcd ended it".into()),
            Err(error) => {
                seat.connection.leave(number);
                return Err(reason(&error).into());
            }
        }
    }
}
