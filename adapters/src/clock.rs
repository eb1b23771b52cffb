//! The system clock.

use chrono::{DateTime, SubsecRound, Utc};
use kqueen_domain::port::clock::Clock;

/// Returns the system time in microseconds, the precision that is stored and shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}
