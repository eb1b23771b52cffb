//! How long this replica may consider itself the leader.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kqueen_domain::{
    port::leader::{Leadership, Term},
    revision::Revision,
};
use rustix::time::{ClockId, clock_gettime};

/// A clock that also counts the time the machine was suspended, unlike [`Instant`](std::time::Instant).
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

/// A time on that clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl Moment {
    pub(super) fn now() -> Self {
        let now = clock_gettime(CLOCK);
        let (seconds, nanos) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
        Self(Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default()))
    }

    pub(super) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}

#[derive(Debug, Clone, Copy)]
struct Held {
    revision: Revision,
    until: Moment,
}

/// The last confirmed term and the time until which it is valid. It expires by the clock, even if this process or this machine was
/// suspended in the meantime.
#[derive(Debug, Default)]
pub(super) struct LeaseState(Mutex<Option<Held>>);

impl LeaseState {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This replica holds the key written at `revision`, and no other replica can take it before `until`.
    pub(super) fn confirmed(&self, revision: Revision, until: Moment) {
        *self.lock() = Some(Held { revision, until });
    }

    /// This replica is not the leader any more, or is stopping.
    pub(super) fn ended(&self) {
        *self.lock() = None;
    }

    fn term_at(&self, now: Moment) -> Option<Term> {
        self.lock().filter(|held| now < held.until).map(|held| Term::Held(held.revision))
    }
}

impl Leadership for LeaseState {
    fn term(&self) -> Option<Term> {
        self.term_at(Moment::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_expires_by_the_clock_and_is_renewed_by_confirmation() {
        let state = LeaseState::default();
        let start = Moment::now();
        let at = |seconds| start.after(Duration::from_secs(seconds));
        assert_eq!(state.term_at(start), None);
        state.confirmed(Revision(7), at(4));
        assert_eq!(state.term_at(at(3)), Some(Term::Held(Revision(7))));
        assert_eq!(state.term_at(at(4)), None);
        state.confirmed(Revision(7), at(9));
        assert_eq!(state.term_at(at(8)), Some(Term::Held(Revision(7))));
        state.ended();
        assert_eq!(state.term_at(at(8)), None);
    }

    #[test]
    fn the_clock_advances() {
        let before = Moment::now();
        while Moment::now() == before {}
        assert!(before < Moment::now());
    }
}
