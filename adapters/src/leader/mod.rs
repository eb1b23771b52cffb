//! Which of several replicas reconciles. On stores for one process it is always the one there is; on etcd replicas elect one, with the
//! key that every write of the reconciler depends on.

mod etcd;
mod lease;
mod single;

use std::{sync::Arc, time::Duration};

use kqueen_domain::port::leader::Leadership;
use tokio_util::sync::CancellationToken;

use self::{etcd::Election, lease::LeaseState, single::Single};
use crate::storage::etcd::Seat;

/// How long a leader is waited for that is not heard of any more, unless there is a reason for another time.
pub const TTL: Duration = Duration::from_secs(5);

/// This replica's candidacy in the election: a worker, to be run for as long as it may lead.
pub struct Candidate(Option<Election>);

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Candidate")
    }
}

impl Candidate {
    /// Where no other replica can be.
    pub(crate) fn single() -> (Arc<dyn Leadership>, Self) {
        (Arc::new(Single), Self(None))
    }

    pub(crate) fn on_etcd(seat: Seat, ttl: Duration) -> (Arc<dyn Leadership>, Self) {
        let tenure = Arc::new(LeaseState::default());
        (tenure.clone(), Self(Some(Election::new(seat, ttl, tenure))))
    }

    /// Leads whenever nobody else does, until `closing`; then makes room for the next at once.
    pub async fn run(self, closing: CancellationToken) {
        match self.0 {
            Some(election) => election.run(closing).await,
            None => closing.cancelled().await,
        }
    }
}
