//! Leader election: which of several replicas reconciles. With a store for one process, that process always leads. On etcd the replicas
//! elect a leader with a key, and every write of the reconciler depends on that key.

mod etcd;
mod lease;
mod single;

use std::{sync::Arc, time::Duration};

use kqueen_domain::port::leader::Leadership;
use tokio_util::sync::CancellationToken;

use self::{etcd::Election, lease::LeaseState, single::Single};
use crate::storage::etcd::ElectionKey;

/// The default time after which a leader that no longer renews its lease is replaced.
pub const TTL: Duration = Duration::from_secs(5);

/// This replica as a candidate in the election: a worker that runs for as long as the replica may lead.
pub struct Candidate(Option<Election>);

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Candidate")
    }
}

impl Candidate {
    /// For stores that only one process can use.
    pub(crate) fn single() -> (Arc<dyn Leadership>, Self) {
        (Arc::new(Single), Self(None))
    }

    pub(crate) fn on_etcd(election_key: ElectionKey, ttl: Duration) -> (Arc<dyn Leadership>, Self) {
        let state = Arc::new(LeaseState::default());
        (state.clone(), Self(Some(Election::new(election_key, ttl, state))))
    }

    /// Takes part in the election until `closing`, then gives up leadership at once so that another replica can take over.
    pub async fn run(self, closing: CancellationToken) {
        match self.0 {
            Some(election) => election.run(closing).await,
            None => closing.cancelled().await,
        }
    }
}
