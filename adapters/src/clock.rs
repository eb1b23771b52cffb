//! The machine's clock.

use chrono::{DateTime, SubsecRound, Utc};
use kqueen_domain::port::clock::Clock;

/// Tells the machine's time, to the microsecond, which is what is stored and shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}
