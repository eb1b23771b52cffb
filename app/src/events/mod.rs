//! What changes, for people who watch: clusters, operations and provisioners, as they are committed by whichever replica.
//!
//! The catalog tells the [`Journal`] of every change. Who watches reads there at the own pace, is shown what the policy lets them see at
//! that moment, and is told to read the lists again where changes may have been missed.

mod journal;
mod seats;
mod watch;

use std::{sync::Arc, time::Duration};

use futures::Stream;
use kqueen_domain::{
    catalog::{Catalog, Subscriber},
    service::{
        clusters::Clusters,
        people::{
            sessions::{Session, Sessions},
            users::Users,
        },
        provisioners::Provisioners,
    },
};
use poem::web::sse::Event;
use tokio_util::sync::CancellationToken;

pub use self::seats::Full;
use self::{journal::Journal, seats::Seats, watch::Watch};
use crate::api::views::Views;

/// How many changes are kept for those who were away for a moment: of a busy installation a minute, in half a MB.
const KEPT: usize = 4_096;
/// How often a stream says at least that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How many streams one user may have.
const EACH: usize = 20;

/// What it takes to show somebody what has changed.
pub struct Sources {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Knows when a session ends.
    pub sessions: Arc<Sessions>,
    /// Shows clusters and operations.
    pub clusters: Arc<Clusters>,
    /// Shows provisioners.
    pub provisioners: Arc<Provisioners>,
    /// Shows who asked for an operation.
    pub users: Arc<Users>,
    /// Puts objects together.
    pub views: Arc<Views>,
    /// Ends all streams.
    pub stop: CancellationToken,
}

/// What changes, for people who watch.
pub struct Events {
    sources: Arc<Sources>,
    journal: Arc<Journal>,
    seats: Arc<Seats>,
    heartbeat: Duration,
}

impl Events {
    /// Hears of what changes from now on. At most `streams` may be open together. Connections that say nothing for `idle` are cut off,
    /// so that each stream says something sooner.
    #[must_use]
    pub fn new(sources: Sources, streams: usize, idle: Duration) -> Self {
        let heartbeat = HEARTBEAT.min(idle / 3);
        let journal = Arc::new(Journal::new(KEPT));
        sources.catalog.subscribe(journal.clone() as Arc<dyn Subscriber>);
        Self { sources: Arc::new(sources), journal, seats: Seats::new(EACH, streams), heartbeat }
    }

    /// How often a stream says that it is still there.
    #[must_use]
    pub const fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// What changes after the event with that id, or from now on, until the session ends.
    ///
    /// # Errors
    /// Too many watch already.
    pub fn watch(
        &self,
        session: Session,
        last_event: Option<&str>,
    ) -> Result<impl Stream<Item = Event> + Send + use<>, Full> {
        let seat = self.seats.take(session.caller.user)?;
        let watch = Watch::new(self.sources.clone(), self.journal.clone(), session, seat, last_event, self.heartbeat);
        Ok(futures::stream::unfold(watch, |mut watch| async move {
            let event = watch.next().await?;
            Some((event, watch))
        }))
    }
}
