//! The provider's clock.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use kqueen_domain::port::clock::{Clock, SetClock};

/// The provider's clock.
#[derive(Debug, Clone)]
pub enum Time {
    /// Advanced by the test. Shared with the product under test, so that both agree on the time and nothing sleeps.
    Set(Arc<SetClock>),
    /// The real time, for measurements.
    Real,
}

impl Time {
    /// A clock that the test advances, at an arbitrary time.
    #[must_use]
    pub fn set() -> Self {
        Self::Set(Arc::new(SetClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap())))
    }

    /// Advances a set clock; the real time needs no advancing.
    pub fn pass(&self, time: TimeDelta) {
        if let Self::Set(clock) = self {
            clock.advance(time);
        }
    }
}

impl Clock for Time {
    fn now(&self) -> DateTime<Utc> {
        match self {
            Self::Set(clock) => clock.now(),
            Self::Real => Utc::now(),
        }
    }
}
