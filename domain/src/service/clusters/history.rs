//! The history of clusters: operations, resource records and the timeline. Kept for a while after a cluster is deleted.

use super::Clusters;
use crate::{
    access::Caller,
    catalog::OperationView,
    id::{ClusterId, OperationId},
    ledger::ResourceRecord,
    port::store::TimelinePage,
    service::ServiceError,
};

/// What exists or may exist at a provider.
pub type Resources = Vec<ResourceRecord>;

/// An operation, with the resources that exist at the provider now.
#[derive(Debug, Clone)]
pub struct OperationWithResources {
    /// The operation.
    pub view: OperationView,
    /// What was created for its cluster, and what is known of it.
    pub resources: Resources,
}

impl Clusters {
    /// The operations on a cluster, newest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn operations(&self, caller: &Caller, id: ClusterId) -> Result<Vec<OperationView>, ServiceError> {
        self.check_visible(caller, id)?;
        Ok(self.catalog.operations_of(id))
    }

    /// One operation, with the resources that exist at the provider now.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn operation_with_resources(
        &self,
        caller: &Caller,
        id: OperationId,
    ) -> Result<OperationWithResources, ServiceError> {
        let view = self.operation(caller, id)?;
        let ledger = self.store.ledger(view.operation.record.cluster).await?;
        let resources = ledger.map(|ledger| ledger.value.resources).unwrap_or_default();
        Ok(OperationWithResources { view, resources })
    }

    /// One page of a cluster's timeline, newest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn timeline(
        &self,
        caller: &Caller,
        id: ClusterId,
        from: Option<String>,
        limit: usize,
    ) -> Result<TimelinePage, ServiceError> {
        self.check_visible(caller, id)?;
        Ok(self.store.timeline(id, from, limit).await?)
    }

    /// The caller may see the cluster, or could before it was deleted.
    fn check_visible(&self, caller: &Caller, id: ClusterId) -> Result<(), ServiceError> {
        if self.get(caller, id).is_ok() {
            return Ok(());
        }
        let tombstone = self.catalog.tombstone(id);
        let may_see = tombstone.is_some_and(|tombstone| self.may_see(caller, tombstone.organization, tombstone.owner));
        if may_see { Ok(()) } else { Err(ServiceError::not_found("cluster", id)) }
    }
}
