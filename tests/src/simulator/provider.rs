//! What a simulated provider is to the parts that all simulators share.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{
    call::{Call, Reply, Request, Route},
    clock::SimulatedClock,
    fault::{Trouble, Twist},
    journal::Exchange,
    rate_limit::RateLimit,
};

/// The moment of a call.
#[derive(Debug, Clone)]
pub struct Moment {
    /// What time it is at the provider.
    pub now: DateTime<Utc>,
    /// What time it is for its callers, who date their credentials by it.
    pub caller_now: DateTime<Utc>,
    clock: SimulatedClock,
}

impl Moment {
    pub(super) fn of(clock: &SimulatedClock, now: DateTime<Utc>) -> Self {
        Self { now, caller_now: clock.caller_now(), clock: clock.clone() }
    }

    /// When something is done that takes `real` at the real provider.
    #[must_use]
    pub fn after(&self, real: TimeDelta) -> DateTime<Utc> {
        self.now + self.clock.takes(real)
    }
}

/// A provider without its network. [`Simulator`](super::Simulator) calls it with every request, one at a time.
pub trait Provider: Send + 'static {
    /// Which published method a request calls. `None` is answered with [`Self::unknown`].
    fn route(&self, request: &Request) -> Option<Route>;
    /// The answer to what is no method.
    fn unknown(&self, request: &Request) -> Reply;
    /// Lets everything happen that is due, in its order and at its time.
    fn pass(&mut self, moment: &Moment);
    /// Does what a call asks for, if its caller may; the answer.
    fn act(&mut self, call: &Call, moment: &Moment, twist: &Twist) -> Reply;
    /// A wrong answer in the provider's own words, to a call that has not asked for one. For everything that
    /// [`Trouble::reply`] has no answer for.
    fn trouble(&self, call: &Call, moment: &Moment, trouble: &Trouble) -> Reply;
    /// The published limits that a call counts against.
    fn limits(&self, call: &Call) -> Vec<RateLimit>;
    /// Everything in which an exchange differs from the provider's published schema, and whether there is one for it.
    fn check(&self, exchange: &Exchange) -> Option<Vec<String>>;
    /// Grows with every change of what customers have.
    fn changes(&self) -> u64;
    /// Something that a person tells it on the admin path: what happens to its resources, or what it is to offer.
    ///
    /// # Errors
    /// It makes no sense; why.
    fn control(&mut self, event: &Value, moment: &Moment) -> Result<Value, String>;
    /// Everything it knows, to be read by [`Self::load`].
    fn save(&self) -> Value;
    /// Carries on from what [`Self::save`] gave.
    ///
    /// # Errors
    /// It is something else; why.
    fn load(&mut self, state: Value, moment: &Moment) -> Result<(), String>;
}
