//! Storage of orphans.

use async_trait::async_trait;

use super::StoreError;
use crate::{id::ClusterId, orphan::Orphan, port::leader::Term, revision::Revision};

/// Stores orphans.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait OrphanStore: Send + Sync {
    /// Adds an orphan (`expected` is `None`) or replaces one. `Conflict`, `Missing`, `NotLeader`; `Dangling{provisioner}` if it is
    /// undecided and its provisioner was deleted.
    async fn put(
        &self,
        orphan: &Orphan,
        expected: Option<Revision>,
        term: Option<Term>,
    ) -> Result<Revision, StoreError>;
    /// Removes an orphan from the list. `Missing`, `Conflict`, `NotLeader`.
    async fn remove(&self, cluster: ClusterId, expected: Revision, term: Option<Term>) -> Result<(), StoreError>;
}
