//! Which of several replicas reconciles.

use crate::revision::Revision;

/// The right to reconcile, as it was when it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// There is no other replica.
    Alone,
    /// We hold the election key, written at that revision. Writes that carry the term are refused once somebody else holds it.
    Held(Revision),
}

/// Tells whether this replica may reconcile.
///
/// - `term` is `Some` only while the lease behind it has been confirmed within the last seconds, by a clock that also counts the time
///   the machine was suspended.
/// - Of several replicas at most one can write with its term: the store refuses the others with `NotLeader`.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Leadership: Send + Sync {
    /// The term, if we lead right now.
    fn term(&self) -> Option<Term>;
}
