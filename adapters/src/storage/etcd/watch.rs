//! The feed from etcd: everything at one revision, in pages, then every change after it, for as long as the store is open.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use etcd_client::{EventType, GetOptions, KeyValue, WatchOptions, WatchResponse};
use kqueen_domain::port::{BoxError, store::StoreError};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    connection::{Connection, LIMIT, reason},
    progress::Progress,
    transaction::{Prefix, range_end},
};
use crate::storage::{
    backend::{Event, Feed, Stored},
    key::{self, Key},
};

/// Keys per page of the first read.
const PAGE: i64 = 1000;
/// Maximum number of pages that wait to be fed.
const AHEAD: usize = 2;
/// Shortest and longest pause between two attempts to watch.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Larger batches of changes are fed outside the async runtime.
const SMALL: usize = 32;
/// A watch that has reported something within this time is not suspected to hang.
const RECENT: Duration = Duration::from_secs(1);

pub(crate) struct Watcher {
    pub(crate) connection: Arc<Connection>,
    pub(crate) prefix: Prefix,
    pub(crate) progress: Arc<Progress>,
    pub(crate) feed: Arc<dyn Feed>,
}

/// Why a watch ended.
enum Ended {
    /// The changes that follow have been compacted, or the store has gone back: everything has to be read again.
    Gap,
    /// It can be resumed where it ended.
    Broken(BoxError),
}

impl<E: Into<BoxError>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

fn stored(kv: &KeyValue) -> Stored {
    Stored { value: Bytes::copy_from_slice(kv.value()), revision: u64::try_from(kv.mod_revision()).unwrap_or_default() }
}

impl Watcher {
    /// Fills the feed with everything at one revision.
    pub(crate) async fn fill(&self) -> Result<(), StoreError> {
        let (sender, mut pages) = mpsc::channel::<Result<Vec<(Key, Stored)>, BoxError>>(AHEAD);
        let feed = self.feed.clone();
        let filling = tokio::task::spawn_blocking(move || {
            let mut everything = std::iter::from_fn(|| pages.blocking_recv()).flat_map(|page| match page {
                Ok(entries) => entries.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            });
            feed.replace(&mut everything)
        });
        let read = self.read_pages(&sender).await;
        if let Err(error) = &read {
            let _gone = sender.send(Err(error.to_string().into())).await;
        }
        drop(sender);
        filling.await.map_err(|error| StoreError::Unavailable(Box::new(error)))??;
        self.progress.restarted(read.map_err(StoreError::Unavailable)?);
        Ok(())
    }

    async fn read_pages(&self, pages: &mpsc::Sender<Result<Vec<(Key, Stored)>, BoxError>>) -> Result<u64, BoxError> {
        let mut from = self.prefix.full(&key::all_shown());
        let end = range_end(&from);
        let mut revision = 0;
        loop {
            let options = GetOptions::new().with_range(&end[..]).with_limit(PAGE).with_revision(revision);
            let start = from.clone();
            let mut page = self
                .connection
                .call(true, |mut kv| {
                    let (start, options) = (start.clone(), options.clone());
                    async move { kv.get(start, Some(options)).await }
                })
                .await?;
            if revision == 0 {
                revision = page.header().map_or(0, etcd_client::ResponseHeader::revision);
            }
            let entries = page.take_kvs();
            if let Some(last) = entries.last() {
                from = last.key().to_vec();
                from.push(0);
            }
            let known = entries.iter().filter_map(|kv| Some((self.prefix.strip(kv.key())?, stored(kv))));
            if pages.send(Ok(known.collect())).await.is_err() || !page.more() {
                return Ok(u64::try_from(revision)?);
            }
        }
    }

    /// Keeps the feed up to date until `closed`.
    pub(crate) async fn run(self, closed: CancellationToken) {
        let mut pause = PAUSE.0;
        loop {
            let before = self.progress.revision();
            let ended = tokio::select! {
                () = closed.cancelled() => return,
                ended = self.follow() => ended,
            };
            match ended {
                Ended::Gap => {
                    tracing::warn!(
                        "changes were compacted or reverted before they were read; reading everything again"
                    );
                    let filled = tokio::select! {
                        () = closed.cancelled() => return,
                        filled = self.fill() => filled,
                    };
                    if let Err(error) = filled {
                        tracing::error!(error = &error as &dyn std::error::Error, "reading everything again failed");
                    }
                }
                Ended::Broken(error) => tracing::warn!(%error, "the watch on etcd failed and is resumed"),
            }
            // A watch that made progress is resumed quickly.
            pause = if self.progress.revision() > before { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
            tokio::select! {
                () = closed.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }

    async fn follow(&self) -> Ended {
        let Err(ended) = self.watch().await;
        ended
    }

    async fn watch(&self) -> Result<std::convert::Infallible, Ended> {
        let (number, peer) = self.connection.peer(Instant::now() + LIMIT).await?;
        let from = i64::try_from(self.progress.revision() + 1)?;
        let options = WatchOptions::new().with_prefix().with_start_revision(from);
        let mut client = peer.watch();
        let watched = self.prefix.full(&key::all_shown());
        let opened = timeout(LIMIT, client.watch(watched, Some(options))).await;
        let opened = opened.map_err(|_| "etcd did not respond").map(|opened| opened.map_err(|error| reason(&error)));
        let mut stream = match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.connection.leave(number);
                return Err(error.into());
            }
            Err(error) => {
                self.connection.leave(number);
                return Err(error.into());
            }
        };
        let mut last_message = Instant::now();
        loop {
            let message = tokio::select! {
                message = stream.message() => message,
                () = self.progress.suspected.notified() => {
                    if self.progress.has_gone_back() {
                        return Err(Ended::Gap);
                    }
                    if last_message.elapsed() < RECENT {
                        continue;
                    }
                    self.connection.leave(number);
                    return Err("the watch does not report a revision that is known to exist".into());
                }
            };
            last_message = Instant::now();
            match message {
                Ok(Some(message)) if message.canceled() => {
                    if message.compact_revision() > 0 {
                        return Err(Ended::Gap);
                    }
                    // Most likely the token has expired, which etcd checks only for new watches.
                    peer.renew().await;
                    self.connection.leave(number);
                    return Err(format!("etcd cancelled the watch: {}", message.cancel_reason()).into());
                }
                Ok(Some(message)) => self.feed_events(&message).await?,
                Ok(None) => return Err("etcd ended the watch".into()),
                Err(error) => {
                    self.connection.leave(number);
                    return Err(reason(&error).into());
                }
            }
        }
    }

    /// Feeds the events of a message. Messages contain whole revisions.
    async fn feed_events(&self, message: &WatchResponse) -> Result<(), Ended> {
        let (mut events, mut newest) = (Vec::new(), 0);
        for event in message.events() {
            let Some(kv) = event.kv() else { continue };
            // For a deleted key this is the revision of its deletion.
            let revision = u64::try_from(kv.mod_revision())?;
            newest = newest.max(revision);
            let Some(key) = self.prefix.strip(kv.key()) else { continue };
            events.push(match event.event_type() {
                EventType::Put => Event::Put(key, stored(kv)),
                EventType::Delete => Event::Delete(key, revision),
            });
        }
        if events.len() > SMALL {
            let feed = self.feed.clone();
            tokio::task::spawn_blocking(move || feed.apply(events)).await?;
        } else if !events.is_empty() {
            self.feed.apply(events);
        }
        self.progress.reached(newest);
        Ok(())
    }
}
