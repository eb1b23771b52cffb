//! The newest changes, in the order of commits, for everybody who watches: one bounded list, in which each of them has a place of their
//! own. Who is slow keeps nothing waiting and nothing in memory; who falls off the end is told so.

use std::{
    collections::VecDeque,
    fmt,
    str::FromStr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kqueen_domain::catalog::{ChangeEvent, Subject, Subscriber};
use rand::Rng;
use tokio::sync::watch;

/// Where a change stands: its revision, and its place among those of the same revision. The same on every replica, so that who has
/// lost the one goes on at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    revision: u64,
    among: u64,
}

impl Place {
    /// Before everything this list will hold. No revision is 0, and no other list begins there.
    fn beginning() -> Self {
        Self { revision: 0, among: rand::rng().random() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.revision, self.among)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (revision, among) = text.split_once('.').ok_or(())?;
        Ok(Self { revision: revision.parse().map_err(drop)?, among: among.parse().map_err(drop)? })
    }
}

/// A change at its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Record {
    pub(super) place: Place,
    pub(super) change: ChangeEvent,
}

/// How far somebody has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bookmark {
    /// How many changes there were before the next one, since the program started.
    next: u64,
    /// The place of the last one that was read.
    pub(super) place: Place,
}

/// What comes after a bookmark.
#[derive(Debug, PartialEq)]
pub(super) enum Reading {
    /// These changes, with where they end.
    Next(Vec<Record>, Bookmark),
    /// Nobody knows any more. What comes from now on is after this bookmark.
    Lost(Bookmark),
}

struct State {
    records: VecDeque<Record>,
    /// How many changes there were before the first that is kept.
    dropped: u64,
    /// The place of the last one that is not kept.
    before: Place,
}

/// The newest changes.
pub(super) struct Journal {
    /// How many are kept.
    kept: usize,
    state: Mutex<State>,
    notify: watch::Sender<()>,
}

impl Journal {
    /// Keeps the newest `kept` changes.
    pub(super) fn new(kept: usize) -> Self {
        let state = State { records: VecDeque::new(), dropped: 0, before: Place::beginning() };
        Self { kept, state: Mutex::new(state), notify: watch::Sender::new(()) }
    }

    /// Rings when something has changed; also when that is not written down.
    pub(super) fn notified(&self) -> watch::Receiver<()> {
        self.notify.subscribe()
    }

    /// Where it ends now.
    pub(super) fn end(&self) -> Bookmark {
        self.state().end()
    }

    /// After the change at `place`, if that is still known here.
    pub(super) fn after(&self, place: Place) -> Option<Bookmark> {
        let state = self.state();
        let read = if place == state.before {
            0
        } else {
            state.records.binary_search_by_key(&place, |record| record.place).ok()? as u64 + 1
        };
        Some(Bookmark { next: state.dropped + read, place })
    }

    /// Up to `most` changes after a bookmark.
    pub(super) fn read(&self, from: Bookmark, most: usize) -> Reading {
        let state = self.state();
        let Some(read) = from.next.checked_sub(state.dropped) else { return Reading::Lost(state.end()) };
        let skipped = usize::try_from(read).unwrap_or(usize::MAX);
        let records: Vec<Record> = state.records.iter().skip(skipped).take(most).copied().collect();
        let place = records.last().map_or(from.place, |record| record.place);
        let end = Bookmark { next: from.next + records.len() as u64, place };
        Reading::Next(records, end)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&self) -> Bookmark {
        let place = self.records.back().map_or(self.before, |record| record.place);
        Bookmark { next: self.dropped + self.records.len() as u64, place }
    }

    fn push(&mut self, change: ChangeEvent, kept: usize) {
        let revision = change.revision.0;
        let last = self.end().place;
        let among = if last.revision == revision { last.among + 1 } else { 0 };
        if self.records.len() >= kept
            && let Some(oldest) = self.records.pop_front()
        {
            self.dropped += 1;
            self.before = oldest.place;
        }
        self.records.push_back(Record { place: Place { revision, among }, change });
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
                // Ends what the user watches; nobody is told.
                Subject::User(_) => {}
            }
        }
        drop(state);
        self.notify.send_replace(());
    }

    fn replaced(&self) {
        let mut state = self.state();
        // One more than there were, so that nobody's bookmark fits.
        state.dropped = state.end().next + 1;
        state.records.clear();
        state.before = Place::beginning();
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

    fn ids(reading: &Reading) -> Vec<String> {
        let Reading::Next(records, _) = reading else { panic!("{reading:?}") };
        records.iter().map(|record| record.place.to_string()).collect()
    }

    #[test]
    fn places_follow_the_revisions_however_they_arrive() {
        let all: Vec<_> = [7, 7, 7, 9, 10, 10].map(cluster).into();
        let (whole, piecemeal) = (Journal::new(100), Journal::new(100));
        let from = (whole.end(), piecemeal.end());
        whole.changed(&all);
        for change in &all {
            piecemeal.changed(std::slice::from_ref(change));
            piecemeal.changed(&[change_of_a_user(change.revision.0)]);
        }
        let expected = ["7.0", "7.1", "7.2", "9.0", "10.0", "10.1"];
        assert_eq!(ids(&whole.read(from.0, 100)), expected);
        assert_eq!(ids(&piecemeal.read(from.1, 100)), expected, "the same on every replica");
    }

    fn change_of_a_user(revision: u64) -> ChangeEvent {
        change(revision, Subject::User(UserId::random()))
    }

    #[test]
    fn who_reads_in_parts_reads_everything_once() {
        let journal = Journal::new(100);
        let mut at = journal.end();
        journal.changed(&(1..=25).map(cluster).collect::<Vec<_>>());
        let mut read = Vec::new();
        loop {
            let reading = journal.read(at, 10);
            read.extend(ids(&reading));
            let Reading::Next(records, next) = reading else { panic!() };
            if records.is_empty() {
                break;
            }
            at = next;
        }
        assert_eq!(read, (1..=25).map(|revision| format!("{revision}.0")).collect::<Vec<_>>());
        assert_eq!(at, journal.end());
    }

    #[test]
    fn every_place_that_was_told_is_found_again_until_it_falls_off() {
        let journal = Journal::new(10);
        let start = journal.end();
        assert_eq!(journal.after(start.place), Some(start), "also before anything has happened");
        journal.changed(&(1..=10).map(cluster).collect::<Vec<_>>());
        assert_eq!(ids(&journal.read(journal.after(start.place).unwrap(), 100)).len(), 10);
        let third: Place = "3.0".parse().unwrap();
        assert_eq!(ids(&journal.read(journal.after(third).unwrap(), 2)), ["4.0", "5.0"]);
        journal.changed(&[cluster(11), cluster(12), cluster(13)]);
        assert_eq!(ids(&journal.read(journal.after(third).unwrap(), 1)), ["4.0"], "what comes after it is still there");
        journal.changed(&[cluster(14)]);
        assert_eq!(journal.after(third), None);
        assert_eq!(journal.read(start, 1), Reading::Lost(journal.end()));
    }

    #[test]
    fn what_is_unknown_is_not_guessed() {
        let journal = Journal::new(10);
        journal.changed(&[cluster(5), cluster(7)]);
        for unknown in ["6.0", "5.1", "8.0", "4.0", "0.0"] {
            assert_eq!(journal.after(unknown.parse().unwrap()), None, "{unknown}");
        }
        for nonsense in ["", "5", "5.", ".0", "5.0.0", "-5.0", "5.x", "99999999999999999999.0"] {
            assert!(nonsense.parse::<Place>().is_err(), "{nonsense}");
        }
    }

    #[test]
    fn after_a_gap_everybody_is_lost_and_nothing_from_before_is_known() {
        let journal = Journal::new(10);
        let from = journal.end();
        journal.changed(&[cluster(5)]);
        let behind = journal.end();
        journal.replaced();
        for bookmark in [from, behind] {
            assert_eq!(journal.read(bookmark, 10), Reading::Lost(journal.end()));
            assert_eq!(journal.after(bookmark.place), None);
        }
        let end = journal.end();
        journal.changed(&[cluster(5)]);
        assert_eq!(ids(&journal.read(end, 10)), ["5.0"]);
    }

    #[tokio::test]
    async fn the_bell_rings_for_everything() {
        let journal = Journal::new(10);
        let mut notified = journal.notified();
        journal.changed(&[change_of_a_user(1)]);
        notified.changed().await.unwrap();
        assert_eq!(journal.end().place.revision, 0, "users are not written down");
        journal.replaced();
        notified.changed().await.unwrap();
    }
}
