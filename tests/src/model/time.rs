//! What time it is at the provider.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use kqueen_domain::port::clock::{Clock, SetClock};

/// The provider's clock.
#[derive(Debug, Clone)]
pub enum Time {
    /// Stands still until it is moved. Shared with the product under test, so that both agree on the time and nobody sleeps.
    Set(Arc<SetClock>),
    /// Runs by itself, for measurements.
    Real,
}

impl Time {
    /// A clock that stands still, at a moment like any other.
    #[must_use]
    pub fn set() -> Self {
        Self::Set(Arc::new(SetClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap())))
    }

    /// Lets time pass. The real time passes without being told to.
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
