//! Asking for clusters to be looked at soon.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use kqueen_domain::{id::ClusterId, port::clock::Clock};
use tokio::sync::Notify;

/// Most clusters that wait to be looked at because somebody asked; beyond that the regular round has to do.
const WAITING: usize = 10_000;
/// A cluster that a list shows is looked at again only if the last look is older.
const FRESH: TimeDelta = TimeDelta::seconds(10);

/// Asks for clusters to be looked at soon, without waiting.
#[derive(Clone)]
pub struct Wake {
    clock: Arc<dyn Clock>,
    waiting: Arc<Mutex<HashSet<ClusterId>>>,
    bell: Arc<Notify>,
}

impl Wake {
    /// Nobody waits yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, waiting: Arc::default(), bell: Arc::default() }
    }

    /// A cluster is new or was changed.
    pub fn now(&self, cluster: ClusterId) {
        self.add([cluster]);
    }

    /// A list shows these clusters, last looked at then.
    pub fn listed(&self, clusters: impl Iterator<Item = (ClusterId, Option<DateTime<Utc>>)>) {
        let before = self.clock.now() - FRESH;
        self.add(clusters.filter(|(_, looked_at)| looked_at.is_none_or(|at| at < before)).map(|(id, _)| id));
    }

    /// Waits until somebody asks.
    pub async fn asked(&self) {
        self.bell.notified().await;
    }

    /// Those that wait; they do not wait any more.
    #[must_use]
    pub fn take(&self) -> HashSet<ClusterId> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, clusters: impl IntoIterator<Item = ClusterId>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let before = waiting.len();
        for cluster in clusters {
            if waiting.len() >= WAITING {
                break;
            }
            waiting.insert(cluster);
        }
        if waiting.len() > before {
            self.bell.notify_one();
        }
    }
}
