//! What time it is at a simulated provider, and how long things take there.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use kqueen_domain::port::clock::{Clock, SetClock};

/// A provider's clock. Clones show the same time.
#[derive(Debug, Clone)]
pub struct SimulatedClock {
    source: Source,
    speed: f64,
}

#[derive(Debug, Clone)]
enum Source {
    Set(Arc<SetClock>),
    Running { ahead: Arc<Mutex<TimeDelta>> },
}

impl SimulatedClock {
    /// A clock that stands still until it is moved.
    #[must_use]
    pub fn set() -> Self {
        Self::shared(Arc::new(SetClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap())))
    }

    /// A clock that a test shares with the product, so that both agree on the time and nobody sleeps.
    #[must_use]
    pub const fn shared(clock: Arc<SetClock>) -> Self {
        Self { source: Source::Set(clock), speed: 1.0 }
    }

    /// The real time. What the provider does takes its time divided by `speed`: at 60, minutes become seconds. Time itself is not
    /// made faster, as callers compare the provider's timestamps with their own clocks.
    #[must_use]
    pub fn running(speed: f64) -> Self {
        Self { source: Source::Running { ahead: Arc::default() }, speed: speed.max(0.001) }
    }

    /// Lets time pass.
    pub fn advance(&self, by: TimeDelta) {
        match &self.source {
            Source::Set(clock) => clock.advance(by),
            Source::Running { ahead } => *ahead.lock().unwrap() += by,
        }
    }

    /// Whether time passes only when it is told to.
    #[must_use]
    pub const fn stands_still(&self) -> bool {
        matches!(self.source, Source::Set(_))
    }

    /// The time that callers' clocks show: without what [`Self::advance`] has added to a running clock. Credentials are judged by it.
    #[must_use]
    pub fn caller_now(&self) -> DateTime<Utc> {
        match &self.source {
            Source::Set(clock) => clock.now(),
            Source::Running { .. } => Utc::now(),
        }
    }

    /// How long something takes here that takes `real` at the real provider.
    #[must_use]
    pub fn takes(&self, real: TimeDelta) -> TimeDelta {
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "minutes, in milliseconds")]
        let scaled = (real.num_milliseconds() as f64 / self.speed) as i64;
        TimeDelta::milliseconds(scaled)
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> DateTime<Utc> {
        match &self.source {
            Source::Set(clock) => clock.now(),
            Source::Running { ahead } => Utc::now() + *ahead.lock().unwrap(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_clock_moves_only_when_told() {
        let clock = SimulatedClock::set();
        let before = clock.now();
        assert_eq!((clock.now(), clock.caller_now()), (before, before));
        clock.advance(TimeDelta::minutes(5));
        assert_eq!(clock.now() - before, TimeDelta::minutes(5));
        assert_eq!(clock.takes(TimeDelta::minutes(5)), TimeDelta::minutes(5));
    }

    #[test]
    fn a_fast_clock_shortens_what_takes_time() {
        let clock = SimulatedClock::running(60.0);
        assert_eq!(clock.takes(TimeDelta::minutes(5)), TimeDelta::seconds(5));
        clock.advance(TimeDelta::hours(3));
        assert!(clock.now() - clock.caller_now() > TimeDelta::minutes(179));
    }
}
