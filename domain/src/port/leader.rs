//! Leader election: which of several replicas reconciles.

use crate::revision::Revision;

/// A term of leadership: the right to reconcile, at the time of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// There is no other replica.
    Single,
    /// We hold the election key, written at that revision. Writes that carry the term are refused once another replica holds the key.
    Held(Revision),
}

/// Whether this replica may reconcile.
///
/// - `term` is `Some` only if its lease was confirmed within the last seconds, by a clock that also counts the time the machine was
///   suspended.
/// - At most one replica can write with its term: the store refuses the others with `NotLeader`.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Leadership: Send + Sync {
    /// The term, if this replica leads now.
    fn term(&self) -> Option<Term>;
}
