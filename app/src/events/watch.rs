//! The event stream of one session.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use kqueen_domain::{
    access::{Action, Target, allows},
    catalog::{ChangeEvent, Subject},
    service::people::sessions::Session,
    user::Role,
};
use poem::web::sse::Event;
use serde::Serialize;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use super::{
    Sources,
    journal::{Cursor, Journal, Position, ReadResult, Record},
    seats::Seat,
};
use crate::api::dto::operation::OperationView;

/// Maximum number of changes read from the journal at once.
const BATCH: usize = 256;
/// Pause between two batches, so that several changes of an object in a short time are sent once.
const PAUSE: Duration = Duration::from_millis(100);
/// After how many milliseconds a client should reconnect.
const RETRY: u64 = 2_000;
/// The data of the `reset` event, sent where changes may have been missed.
const RESET: &str = r#"{"description":"changes may have been missed: read the lists again"}"#;

/// The event stream of one session.
pub(super) struct Watch {
    sources: Arc<Sources>,
    journal: Arc<Journal>,
    session: Session,
    _seat: Seat,
    notified: watch::Receiver<()>,
    /// The cursor in the journal.
    read: Cursor,
    /// Changes that were read and not yet sent.
    batch: VecDeque<Record>,
    /// Events to send before any change.
    first: VecDeque<Event>,
    /// The position that was sent last.
    last_sent: Option<Position>,
    /// When the journal may be read again.
    next_read: Instant,
    heartbeat: Duration,
    /// When the position is sent if no event is.
    next_heartbeat: Instant,
}

impl Watch {
    /// A stream of the changes after the event with the id `last_event`. Without an id, of changes from now on; with an unknown or expired
    /// id as well, but then the first event is a `reset`.
    pub(super) fn new(
        sources: Arc<Sources>,
        journal: Arc<Journal>,
        session: Session,
        seat: Seat,
        last_event: Option<&str>,
        heartbeat: Duration,
    ) -> Self {
        let notified = journal.notified();
        let now = Instant::now();
        let mut watch = Self {
            notified,
            read: journal.end(),
            sources,
            journal,
            session,
            _seat: seat,
            batch: VecDeque::new(),
            first: VecDeque::from([Event::retry(RETRY)]),
            last_sent: None,
            next_read: now,
            heartbeat,
            next_heartbeat: now + heartbeat,
        };
        let first = match last_event.map(|id| id.parse().ok().and_then(|position| watch.journal.after(position))) {
            Some(Some(cursor)) => {
                watch.read = cursor;
                watch.last_sent = Some(cursor.position);
                None
            }
            Some(None) => Some(watch.reset()),
            // Only a position, to resume from if the stream breaks before the first event.
            None => Some(watch.position_only(watch.read.position)),
        };
        watch.first.extend(first);
        watch
    }

    /// The next event; `None` when the session or the service ends.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            // Checked before each event: nothing is sent after the session has ended.
            if self.sources.stop.is_cancelled() || !self.sources.sessions.goes_on(&self.session) {
                return None;
            }
            if let Some(event) = self.first.pop_front() {
                return Some(event);
            }
            if let Some(record) = self.batch.pop_front() {
                match self.event(&record.change) {
                    Some(event) => return Some(self.with_id(event, record.position)),
                    None => continue,
                }
            }
            let now = Instant::now();
            if now >= self.next_read {
                self.notified.mark_unchanged();
                match self.journal.read(self.read, BATCH) {
                    ReadResult::Expired(end) => {
                        self.read = end;
                        return Some(self.reset());
                    }
                    ReadResult::Next(records, end) if !records.is_empty() => {
                        self.read = end;
                        // No pause while there is a backlog.
                        if records.len() < BATCH {
                            self.next_read = now + PAUSE;
                        }
                        self.batch = last_of_each(records);
                        // There may be many changes that this user may not see.
                        tokio::task::yield_now().await;
                        continue;
                    }
                    ReadResult::Next(..) => {}
                }
            }
            tokio::select! {
                () = self.sources.stop.cancelled() => {}
                () = sleep(self.remaining()) => {}
                () = sleep_until(self.next_read), if now < self.next_read => {}
                _ = self.notified.changed(), if now >= self.next_read => {}
                () = sleep_until(self.next_heartbeat) => {
                self.next_heartbeat = Instant::now() + self.heartbeat;
                // Changes the user may not see move the position too, so that a stream without events does not fall behind.
                    if self.last_sent != Some(self.read.position) {
                        return Some(self.position_only(self.read.position));
                    }
                }
            }
        }
    }

    /// The remaining time of the session by the wall clock, which may be adjusted; at least 1 ms.
    fn remaining(&self) -> Duration {
        let remaining = self.session.expires_at() - self.sources.sessions.clock.now();
        remaining.to_std().unwrap_or_default().max(Duration::from_millis(1))
    }

    /// `event` with the position as its id.
    fn with_id(&mut self, event: Event, position: Position) -> Event {
        self.last_sent = Some(position);
        event.id(position.to_string())
    }

    /// An empty event that carries only the position.
    fn position_only(&mut self, position: Position) -> Event {
        self.with_id(Event::message(""), position)
    }

    fn reset(&mut self) -> Event {
        self.batch.clear();
        self.with_id(Event::message(RESET).event_type("reset"), self.read.position)
    }

    /// The event for a change, if the policy now lets the user see the object.
    fn event(&self, change: &ChangeEvent) -> Option<Event> {
        let caller = &self.session.caller;
        if caller.role != Role::Superadmin && caller.organization != change.organization {
            return None;
        }
        let (name, id) = match change.subject {
            Subject::Cluster(id) => ("cluster", id.uuid()),
            Subject::Operation(id, _) => ("operation", id.uuid()),
            Subject::Provisioner(id) => ("provisioner", id.uuid()),
            Subject::User(_) => return None,
        };
        let data = if change.deleted {
            self.could_see(change).then(|| data("gone", &Deleted { id }))
        } else {
            self.changed(change.subject)
        };
        let data = data?;
        Some(Event::message(data).event_type(name))
    }

    /// Whether the user could see a deleted object, by its organization and owner.
    fn could_see(&self, change: &ChangeEvent) -> bool {
        let action = match change.subject {
            Subject::Cluster(_) | Subject::Operation(..) => Action::ClusterGet,
            Subject::Provisioner(_) => Action::ProvisionerGet,
            Subject::User(_) => return false,
        };
        let target = Target { organization: change.organization, owner: Some(change.owner) };
        let home = self.sources.catalog.organization(change.organization);
        let policy = home.as_ref().map(|home| &home.record.policy);
        match policy {
            Some(policy) => allows(&self.session.caller, action, target, policy),
            None => self.session.caller.role == Role::Superadmin,
        }
    }

    /// The data of a change: the object as a GET returns it, but without a kubeconfig. `None` if the user may not see it, or it was deleted
    /// meanwhile.
    fn changed(&self, subject: Subject) -> Option<String> {
        let Sources { clusters, provisioners, users, views, .. } = &*self.sources;
        let caller = &self.session.caller;
        match subject {
            Subject::Cluster(id) => {
                let view = clusters.get(caller, id).ok()?;
                Some(data("changed", &views.cluster(caller, &view, false)))
            }
            Subject::Operation(id, _) => {
                let view = clusters.operation(caller, id).ok()?;
                Some(data("changed", &OperationView::of(&view, users, caller, None)))
            }
            Subject::Provisioner(id) => {
                let view = provisioners.get(caller, id).ok()?;
                Some(data("changed", &views.provisioner(caller, &view, false)))
            }
            Subject::User(_) => None,
        }
    }
}

/// A deleted object.
#[derive(Serialize)]
struct Deleted {
    id: Uuid,
}

/// The data of an event.
fn data(action: &'static str, object: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Data<'a, T> {
        action: &'static str,
        object: &'a T,
    }
    // Serialising fails only for maps whose keys are not text, and there are none.
    serde_json::to_string(&Data { action, object }).unwrap_or_default()
}

/// The last change of each subject, in order. Events show the current object, so that earlier changes add nothing.
fn last_of_each(records: Vec<Record>) -> VecDeque<Record> {
    let last: HashMap<Subject, Position> =
        records.iter().map(|record| (record.change.subject, record.position)).collect();
    records.into_iter().filter(|record| last.get(&record.change.subject) == Some(&record.position)).collect()
}

#[cfg(test)]
mod tests {
    use kqueen_domain::{
        catalog::Subscriber,
        id::{ClusterId, OperationId, OrganizationId, UserId},
        revision::Revision,
    };

    use super::*;

    #[test]
    fn only_the_last_change_of_each_subject_is_kept() {
        let (one, other) = (ClusterId::random(), ClusterId::random());
        let operation = Subject::Operation(OperationId::random(), one);
        let subjects = [
            (Subject::Cluster(one), false),
            (operation, false),
            (Subject::Cluster(other), false),
            (Subject::Cluster(one), false),
            (operation, false),
            (Subject::Cluster(other), true),
        ];
        let journal = Journal::new(10);
        let start = journal.end();
        let (organization, owner) = (OrganizationId::random(), UserId::random());
        let changes = subjects.iter().zip(7..).map(|((subject, deleted), revision)| ChangeEvent {
            revision: Revision(revision),
            subject: *subject,
            deleted: *deleted,
            organization,
            owner,
        });
        journal.changed(&changes.collect::<Vec<_>>());
        let ReadResult::Next(records, _) = journal.read(start, 10) else { panic!() };
        let last = last_of_each(records);
        let last: Vec<_> =
            last.iter().map(|it| (it.position.to_string(), it.change.subject, it.change.deleted)).collect();
        let expected = [
            ("10.0".to_owned(), Subject::Cluster(one), false),
            ("11.0".to_owned(), operation, false),
            ("12.0".to_owned(), Subject::Cluster(other), true),
        ];
        assert_eq!(last, expected);
    }
}
