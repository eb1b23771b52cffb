//! Organizations and their unique namespaces.

use std::sync::Arc;

use async_trait::async_trait;
use kqueen_domain::{
    id::OrganizationId,
    organization::Organization,
    port::store::{OrganizationStore, StoreError},
    revision::Revision,
};

use crate::storage::{
    backend::{Refusal, Test, Transaction},
    core::Core,
    key::{self, Used},
    record,
};

pub(crate) struct Organizations(pub(crate) Arc<Core>);

impl Organizations {
    async fn as_expected(&self, id: OrganizationId, expected: Revision) -> Result<Organization, StoreError> {
        match self.0.model.catalog.organization(id) {
            Some(entry) if entry.revision == expected => Ok(entry.record.clone()),
            _ => self.0.stored_as_expected(&key::organization(id), expected).await,
        }
    }
}

#[async_trait]
impl OrganizationStore for Organizations {
    async fn create(&self, organization: &Organization) -> Result<Revision, StoreError> {
        let key = key::organization(organization.id);
        let namespace = key::unique("namespace", organization.namespace.as_str());
        let mut transaction = Transaction::default();
        transaction
            .require(key.clone(), Test::Absent, Refusal::Conflict)
            .require(namespace.clone(), Test::Absent, Refusal::Taken("namespace"))
            .put(key, record::written(organization)?)
            .put(namespace, organization.id.to_string());
        Ok(self.0.commit(transaction).await?)
    }

    async fn update(&self, organization: &Organization, expected: Revision) -> Result<Revision, StoreError> {
        let old = self.as_expected(organization.id, expected).await?;
        let next = Organization { namespace: old.namespace, ..organization.clone() };
        let key = key::organization(organization.id);
        let mut transaction = Transaction::default();
        transaction.unchanged(key.clone(), expected).put(key, record::written(&next)?);
        Ok(self.0.commit(transaction).await?)
    }

    async fn delete(&self, id: OrganizationId, expected: Revision) -> Result<(), StoreError> {
        let old = self.as_expected(id, expected).await?;
        let key = key::organization(id);
        let mut transaction = Transaction::default();
        transaction
            .unchanged(key.clone(), expected)
            .require(key::uses_of(Used::Organization(id)), Test::NothingBelow, Refusal::InUse)
            .delete(key)
            .delete(key::unique("namespace", old.namespace.as_str()));
        self.0.commit(transaction).await?;
        Ok(())
    }
}
