//! Storage of orphans.

use async_trait::async_trait;

use super::StoreError;
use crate::{id::ClusterId, orphan::Orphan, port::leader::Term, revision::Revision};

/// Stores orphans.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait OrphanStore: Send + Sync {
    /// Stores one that is not listed yet (`expected` is `None`) or replaces one. `Conflict`, `Missing`, `NotLeader`; `Dangling{provisioner}`
    /// when it waits for somebody to decide and its provisioner is gone.
    async fn put(
        &self,
        orphan: &Orphan,
        expected: Option<Revision>,
        term: Option<Term>,
    ) -> Result<Revision, StoreError>;
    /// Takes one off the list. `Missing`, `Conflict`, `NotLeader`.
    async fn remove(&self, cluster: ClusterId, expected: Revision, term: Option<Term>) -> Result<(), StoreError>;
}
