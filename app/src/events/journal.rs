//! The newest changes in commit order: one bounded list, which every event stream reads with its own cursor. A slow reader delays nobody
//! and keeps nothing in memory; the cursor of a reader that has fallen too far behind expires.

use std::{
    collections::VecDeque,
    fmt,
    str::FromStr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kqueen_domain::catalog::{ChangeEvent, Subject, Subscriber};
use rand::Rng;
use tokio::sync::watch;

/// The position of a change: its revision, and its index among the changes of that revision. It is the same on every replica, so that a
/// client can resume a stream at another replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    revision: u64,
    index: u64,
}

impl Position {
    /// The position before the first change of a list. No revision is 0, and the random index makes it unique to this list.
    fn beginning() -> Self {
        Self { revision: 0, index: rand::rng().random() }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.revision, self.index)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (revision, index) = text.split_once('.').ok_or(())?;
        Ok(Self { revision: revision.parse().map_err(drop)?, index: index.parse().map_err(drop)? })
    }
}

/// A change and its position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Record {
    pub(super) position: Position,
    pub(super) change: ChangeEvent,
}

/// How far a reader has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// How many changes came before the next one, since the program started.
    next: u64,
    /// The position of the last change that was read.
    pub(super) position: Position,
}

/// The result of reading from a cursor.
#[derive(Debug, PartialEq)]
pub(super) enum ReadResult {
    /// The next changes, and the cursor after them.
    Next(Vec<Record>, Cursor),
    /// The changes after the cursor are no longer known. New changes follow this cursor.
    Expired(Cursor),
}

struct State {
    records: VecDeque<Record>,
    /// How many changes came before the first one that is kept.
    dropped: u64,
    /// The position of the last change that is no longer kept.
    before: Position,
}

/// The newest changes.
pub(super) struct Journal {
    /// Maximum number of changes kept.
    kept: usize,
    state: Mutex<State>,
    notify: watch::Sender<()>,
}

impl Journal {
    /// Keeps the newest `kept` changes.
    pub(super) fn new(kept: usize) -> Self {
        let state = State { records: VecDeque::new(), dropped: 0, before: Position::beginning() };
        Self { kept, state: Mutex::new(state), notify: watch::Sender::new(()) }
    }

    /// Notifies of every change, including those that the list does not record.
    pub(super) fn notified(&self) -> watch::Receiver<()> {
        self.notify.subscribe()
    }

    /// The cursor after the newest change.
    pub(super) fn end(&self) -> Cursor {
        self.state().end()
    }

    /// The cursor after the change at `position`, if that change is still known.
    pub(super) fn after(&self, position: Position) -> Option<Cursor> {
        let state = self.state();
        let read = if position == state.before {
            0
        } else {
            state.records.binary_search_by_key(&position, |record| record.position).ok()? as u64 + 1
        };
        Some(Cursor { next: state.dropped + read, position })
    }

    /// Reads up to `limit` changes after a cursor.
    pub(super) fn read(&self, from: Cursor, limit: usize) -> ReadResult {
        let state = self.state();
        let Some(read) = from.next.checked_sub(state.dropped) else { return ReadResult::Expired(state.end()) };
        let skipped = usize::try_from(read).unwrap_or(usize::MAX);
        let records: Vec<Record> = state.records.iter().skip(skipped).take(limit).copied().collect();
        let position = records.last().map_or(from.position, |record| record.position);
        let end = Cursor { next: from.next + records.len() as u64, position };
        ReadResult::Next(records, end)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&self) -> Cursor {
        let position = self.records.back().map_or(self.before, |record| record.position);
        Cursor { next: self.dropped + self.records.len() as u64, position }
    }

    fn push(&mut self, change: ChangeEvent, kept: usize) {
        let revision = change.revision.0;
        let last = self.end().position;
        let index = if last.revision == revision { last.index + 1 } else { 0 };
        if self.records.len() >= kept
            && let Some(oldest) = self.records.pop_front()
        {
            self.dropped += 1;
            self.before = oldest.position;
        }
        self.records.push_back(Record { position: Position { revision, index }, change });
    }
}

impl Subscriber for Journal {
    fn changed(&self, changes: &[ChangeEvent]) {
        let mut state = self.state();
        for change in changes {
            match change.subject {
                Subject::Cluster(_) | Subject::Operation(..) | Subject::Provisioner(_) => {
                    state.push(*change, self.kept);
                }
                // It may end the user's streams, but is not an event of a stream.
                Subject::User(_) => {}
            }
        }
        drop(state);
        self.notify.send_replace(());
    }

    fn replaced(&self) {
        let mut state = self.state();
        // Skip one number, so that all earlier cursors have expired.
        state.dropped = state.end().next + 1;
        state.records.clear();
        state.before = Position::beginning();
        drop(state);
        self.notify.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use kqueen_domain::{
        id::{ClusterId, OrganizationId, UserId},
        revision::Revision,
    };

    use super::*;

    fn change(revision: u64, subject: Subject) -> ChangeEvent {
        let (organization, owner) = (OrganizationId::random(), UserId::random());
        ChangeEvent { revision: Revision(revision), subject, deleted: false, organization, owner }
    }

    fn cluster(revision: u64) -> ChangeEvent {
        change(revision, Subject::Cluster(ClusterId::random()))
    }

    fn ids(reading: &ReadResult) -> Vec<String> {
        let ReadResult::Next(records, _) = reading else { panic!("{reading:?}") };
        records.iter().map(|record| record.position.to_string()).collect()
    }

    #[test]
    fn positions_depend_only_on_the_revisions() {
        let all: Vec<_> = [7, 7, 7, 9, 10, 10].map(cluster).into();
        let (all_at_once, one_by_one) = (Journal::new(100), Journal::new(100));
        let from = (all_at_once.end(), one_by_one.end());
        all_at_once.changed(&all);
        for change in &all {
            one_by_one.changed(std::slice::from_ref(change));
            one_by_one.changed(&[change_of_a_user(change.revision.0)]);
        }
        let expected = ["7.0", "7.1", "7.2", "9.0", "10.0", "10.1"];
        assert_eq!(ids(&all_at_once.read(from.0, 100)), expected);
        assert_eq!(ids(&one_by_one.read(from.1, 100)), expected, "the same on every replica");
    }

    fn change_of_a_user(revision: u64) -> ChangeEvent {
        change(revision, Subject::User(UserId::random()))
    }

    #[test]
    fn reading_in_batches_returns_every_change_once() {
        let journal = Journal::new(100);
        let mut at = journal.end();
        journal.changed(&(1..=25).map(cluster).collect::<Vec<_>>());
        let mut read = Vec::new();
        loop {
            let reading = journal.read(at, 10);
            read.extend(ids(&reading));
            let ReadResult::Next(records, next) = reading else { panic!() };
            if records.is_empty() {
                break;
            }
            at = next;
        }
        assert_eq!(read, (1..=25).map(|revision| format!("{revision}.0")).collect::<Vec<_>>());
        assert_eq!(at, journal.end());
    }

    #[test]
    fn every_position_is_found_until_it_is_dropped() {
        let journal = Journal::new(10);
        let start = journal.end();
        assert_eq!(journal.after(start.position), Some(start), "also before the first change");
        journal.changed(&(1..=10).map(cluster).collect::<Vec<_>>());
        assert_eq!(ids(&journal.read(journal.after(start.position).unwrap(), 100)).len(), 10);
        let third: Position = "3.0".parse().unwrap();
        assert_eq!(ids(&journal.read(journal.after(third).unwrap(), 2)), ["4.0", "5.0"]);
        journal.changed(&[cluster(11), cluster(12), cluster(13)]);
        assert_eq!(ids(&journal.read(journal.after(third).unwrap(), 1)), ["4.0"], "what comes after it is still there");
        journal.changed(&[cluster(14)]);
        assert_eq!(journal.after(third), None);
        assert_eq!(journal.read(start, 1), ReadResult::Expired(journal.end()));
    }

    #[test]
    fn unknown_positions_are_not_found() {
        let journal = Journal::new(10);
        journal.changed(&[cluster(5), cluster(7)]);
        for unknown in ["6.0", "5.1", "8.0", "4.0", "0.0"] {
            assert_eq!(journal.after(unknown.parse().unwrap()), None, "{unknown}");
        }
        for invalid in ["", "5", "5.", ".0", "5.0.0", "-5.0", "5.x", "99999999999999999999.0"] {
            assert!(invalid.parse::<Position>().is_err(), "{invalid}");
        }
    }

    #[test]
    fn after_a_gap_all_cursors_and_positions_have_expired() {
        let journal = Journal::new(10);
        let from = journal.end();
        journal.changed(&[cluster(5)]);
        let behind = journal.end();
        journal.replaced();
        for cursor in [from, behind] {
            assert_eq!(journal.read(cursor, 10), ReadResult::Expired(journal.end()));
            assert_eq!(journal.after(cursor.position), None);
        }
        let end = journal.end();
        journal.changed(&[cluster(5)]);
        assert_eq!(ids(&journal.read(end, 10)), ["5.0"]);
    }

    #[tokio::test]
    async fn every_change_notifies() {
        let journal = Journal::new(10);
        let mut notified = journal.notified();
        journal.changed(&[change_of_a_user(1)]);
        notified.changed().await.unwrap();
        assert_eq!(journal.end().position.revision, 0, "changes of users are not recorded");
        journal.replaced();
        notified.changed().await.unwrap();
    }
}
