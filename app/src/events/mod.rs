//! Event streams: changes of clusters, operations and provisioners, committed by any replica.
//!
//! The catalog reports every change to the [`Journal`]. Each stream reads the journal at its own pace, sends what the policy lets its user
//! see at that moment, and sends a `reset` event where changes may have been missed.

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

/// How many changes are kept for clients that reconnect: about a minute of a busy installation, in half a MB.
const KEPT_CHANGES: usize = 4_096;
/// Maximum time between two messages of a stream.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Maximum number of streams of one user.
const STREAMS_PER_USER: usize = 20;

/// What event streams need.
pub struct Sources {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Checks that the session of a stream is still valid.
    pub sessions: Arc<Sessions>,
    /// Reads clusters and operations.
    pub clusters: Arc<Clusters>,
    /// Reads provisioners.
    pub provisioners: Arc<Provisioners>,
    /// Reads who requested an operation.
    pub users: Arc<Users>,
    /// Renders objects.
    pub views: Arc<Views>,
    /// Ends all streams.
    pub stop: CancellationToken,
}

/// Opens event streams.
pub struct Events {
    sources: Arc<Sources>,
    journal: Arc<Journal>,
    seats: Arc<Seats>,
    heartbeat: Duration,
}

impl Events {
    /// Records changes from now on. At most `streams` may be open at once. Connections that are idle for `idle` are closed, so heartbeats
    /// are sent more often than that.
    #[must_use]
    pub fn new(sources: Sources, streams: usize, idle: Duration) -> Self {
        let heartbeat = HEARTBEAT.min(idle / 3);
        let journal = Arc::new(Journal::new(KEPT_CHANGES));
        sources.catalog.subscribe(journal.clone() as Arc<dyn Subscriber>);
        Self { sources: Arc::new(sources), journal, seats: Seats::new(STREAMS_PER_USER, streams), heartbeat }
    }

    /// The heartbeat interval of a stream.
    #[must_use]
    pub const fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// The changes after the event with the id `last_event`, or from now on, until the session ends.
    ///
    /// # Errors
    /// Too many streams are open.
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
