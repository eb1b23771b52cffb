//! One person's view of what changes.

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
    journal::{Bookmark, Journal, Place, Reading, Record},
    seats::Seat,
};
use crate::api::dto::operation::OperationView;

/// Most changes that are taken out of the journal at once.
const BATCH: usize = 256;
/// Between two batches, so that what changes often in a moment is shown once.
const PAUSE: Duration = Duration::from_millis(100);
/// After how many milliseconds a client that lost the stream should come back.
const RETRY: u64 = 2_000;
/// What is said where changes may have been missed.
const RESET: &str = r#"{"description":"changes may have been missed: read the lists again"}"#;

/// One person's view of what changes.
pub(super) struct Watch {
    sources: Arc<Sources>,
    journal: Arc<Journal>,
    session: Session,
    _seat: Seat,
    notified: watch::Receiver<()>,
    /// How far the journal was read.
    read: Bookmark,
    /// Read and not yet shown.
    batch: VecDeque<Record>,
    /// What is said before anything else.
    first: VecDeque<Event>,
    /// The last place that was told.
    told: Option<Place>,
    /// The journal is not read again before then.
    rested: Instant,
    heartbeat: Duration,
    /// When the place is told if nothing else is.
    beat: Instant,
}

impl Watch {
    /// What changes after the event with that id. Without one, from now on; where it is not known any more, or never was, from now on as
    /// well, and the first event says so.
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
            told: None,
            rested: now,
            heartbeat,
            beat: now + heartbeat,
        };
        let first = match last_event.map(|id| id.parse().ok().and_then(|place| watch.journal.after(place))) {
            Some(Some(bookmark)) => {
                watch.read = bookmark;
                watch.told = Some(bookmark.place);
                None
            }
            Some(None) => Some(watch.reset()),
            // A place alone: where to go on from, should the stream break before anything happens.
            None => Some(watch.place(watch.read.place)),
        };
        watch.first.extend(first);
        watch
    }

    /// The next event; `None` when the session or the service ends.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            // Before anything is shown: whoever is not let in any more hears nothing more.
            if self.sources.stop.is_cancelled() || !self.sources.sessions.goes_on(&self.session) {
                return None;
            }
            if let Some(event) = self.first.pop_front() {
                return Some(event);
            }
            if let Some(record) = self.batch.pop_front() {
                match self.show(&record.change) {
                    Some(event) => return Some(self.at(event, record.place)),
                    None => continue,
                }
            }
            let now = Instant::now();
            if now >= self.rested {
                self.notified.mark_unchanged();
                match self.journal.read(self.read, BATCH) {
                    Reading::Lost(end) => {
                        self.read = end;
                        return Some(self.reset());
                    }
                    Reading::Next(records, end) if !records.is_empty() => {
                        self.read = end;
                        // Who is behind does not rest.
                        if records.len() < BATCH {
                            self.rested = now + PAUSE;
                        }
                        self.batch = last_of_each(records);
                        // Much may have changed that is not for this person.
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Reading::Next(..) => {}
                }
            }
            tokio::select! {
                () = self.sources.stop.cancelled() => {}
                () = sleep(self.left()) => {}
                () = sleep_until(self.rested), if now < self.rested => {}
                _ = self.notified.changed(), if now >= self.rested => {}
                () = sleep_until(self.beat) => {
                    self.beat = Instant::now() + self.heartbeat;
                    // What others changed moves the place on as well: who is told of nothing does not fall behind.
                    if self.told != Some(self.read.place) {
                        return Some(self.place(self.read.place));
                    }
                }
            }
        }
    }

    /// How long the session has left, going by the clock, which may be set; at least a moment.
    fn left(&self) -> Duration {
        let left = self.session.expires_at() - self.sources.sessions.clock.now();
        left.to_std().unwrap_or_default().max(Duration::from_millis(1))
    }

    fn at(&mut self, event: Event, place: Place) -> Event {
        self.told = Some(place);
        event.id(place.to_string())
    }

    /// A place without an event.
    fn place(&mut self, place: Place) -> Event {
        self.at(Event::message(""), place)
    }

    fn reset(&mut self) -> Event {
        self.batch.clear();
        self.at(Event::message(RESET).event_type("reset"), self.read.place)
    }

    /// What this person is shown of a change, as the policy is now.
    fn show(&self, change: &ChangeEvent) -> Option<Event> {
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
            self.saw(change).then(|| told("gone", &Gone { id }))
        } else {
            self.changed(change.subject)
        };
        let data = data?;
        Some(Event::message(data).event_type(name))
    }

    /// Whether this person could see what is gone, going by whose it was.
    fn saw(&self, change: &ChangeEvent) -> bool {
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

    /// That something changed, with the object as it is shown on its own, but for a kubeconfig; `None` where it is not this person's to
    /// see, or has gone meanwhile.
    fn changed(&self, subject: Subject) -> Option<String> {
        let Sources { clusters, provisioners, users, views, .. } = &*self.sources;
        let caller = &self.session.caller;
        match subject {
            Subject::Cluster(id) => {
                let view = clusters.get(caller, id).ok()?;
                Some(told("changed", &views.cluster(caller, &view, false)))
            }
            Subject::Operation(id, _) => {
                let view = clusters.operation(caller, id).ok()?;
                Some(told("changed", &OperationView::of(&view, users, caller, None)))
            }
            Subject::Provisioner(id) => {
                let view = provisioners.get(caller, id).ok()?;
                Some(told("changed", &views.provisioner(caller, &view, false)))
            }
            Subject::User(_) => None,
        }
    }
}

/// What is said of an object that is gone.
#[derive(Serialize)]
struct Gone {
    id: Uuid,
}

/// The data of an event.
fn told(action: &'static str, object: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Told<'a, T> {
        action: &'static str,
        object: &'a T,
    }
    // Everything we serialise has text keys, the one thing that could fail.
    serde_json::to_string(&Told { action, object }).unwrap_or_default()
}

/// The last change of each subject, in order: what is shown is how it is now, so that the earlier ones have nothing to add.
fn last_of_each(records: Vec<Record>) -> VecDeque<Record> {
    let last: HashMap<Subject, Place> = records.iter().map(|record| (record.change.subject, record.place)).collect();
    records.into_iter().filter(|record| last.get(&record.change.subject) == Some(&record.place)).collect()
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
    fn of_each_subject_the_last_change_is_left_at_its_place() {
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
        let changes = subjects.iter().zip(7..).map(|((subject, gone), revision)| ChangeEvent {
            revision: Revision(revision),
            subject: *subject,
            deleted: *gone,
            organization,
            owner,
        });
        journal.changed(&changes.collect::<Vec<_>>());
        let Reading::Next(records, _) = journal.read(start, 10) else { panic!() };
        let left = last_of_each(records);
        let left: Vec<_> = left.iter().map(|it| (it.place.to_string(), it.change.subject, it.change.deleted)).collect();
        let expected = [
            ("10.0".to_owned(), Subject::Cluster(one), false),
            ("11.0".to_owned(), operation, false),
            ("12.0".to_owned(), Subject::Cluster(other), true),
        ];
        assert_eq!(left, expected);
    }
}
