//! Provisioners with their secrets.

use std::sync::Arc;

use async_trait::async_trait;
use kqueen_domain::{
    id::ProvisionerId,
    port::{
        leader::Term,
        store::{Creation, IdempotencyRecord, ProvisionerStore, SecretUpdate, StoreError},
    },
    provisioner::{Checked, Provisioner},
    revision::Revision,
    secret::SecretDocument,
};

use crate::storage::{
    backend::{Refusal, Test, Transaction},
    core::Core,
    key::{self, By, Secret, Used},
    record,
};

pub(crate) struct Provisioners(pub(crate) Arc<Core>);

impl Provisioners {
    async fn as_expected(&self, id: ProvisionerId, expected: Revision) -> Result<Provisioner, StoreError> {
        match self.0.model.catalog.provisioner(id) {
            Some(view) if view.provisioner.revision == expected => Ok(view.provisioner.record.clone()),
            _ => self.0.stored_as_expected(&key::provisioner(id), expected).await,
        }
    }
}

#[async_trait]
impl ProvisionerStore for Provisioners {
    async fn create(
        &self,
        provisioner: &Provisioner,
        secrets: SecretUpdate<SecretDocument>,
        idempotency: Option<IdempotencyRecord>,
    ) -> Result<Creation<Provisioner>, StoreError> {
        let id = provisioner.id;
        let key = key::provisioner(id);
        let organization = key::organization(provisioner.organization);
        let mut transaction = Transaction::default();
        transaction
            .require(key.clone(), Test::Absent, Refusal::Conflict)
            .require(organization, Test::Present, Refusal::Dangling("organization"))
            .require(key::user(provisioner.owner), Test::Present, Refusal::Dangling("owner"))
            .put(key, record::written(provisioner)?)
            .put(key::uses(Used::Organization(provisioner.organization), By::Provisioner(id)), "")
            .put(key::uses(Used::User(provisioner.owner), By::Provisioner(id)), "");
        let secret = Secret::ProvisionerParameters(id);
        self.0.change_secret(&mut transaction, secret, &secrets, SecretDocument::expose)?;
        self.0.create(provisioner, transaction, idempotency).await
    }

    async fn created_with(&self, idempotency: &IdempotencyRecord) -> Result<Option<(Provisioner, bool)>, StoreError> {
        self.0.created_with(idempotency).await
    }

    async fn update(
        &self,
        provisioner: &Provisioner,
        secrets: SecretUpdate<SecretDocument>,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        let id = provisioner.id;
        let old = self.as_expected(id, expected).await?;
        let next = Provisioner { engine: old.engine, organization: old.organization, ..provisioner.clone() };
        let key = key::provisioner(id);
        let mut transaction = Transaction::default();
        transaction.unchanged(key.clone(), expected).put(key, record::written(&next)?);
        if old.owner != next.owner {
            transaction
                .require(key::user(next.owner), Test::Present, Refusal::Dangling("owner"))
                .put(key::uses(Used::User(next.owner), By::Provisioner(id)), "")
                .delete(key::uses(Used::User(old.owner), By::Provisioner(id)));
        }
        let secret = Secret::ProvisionerParameters(id);
        self.0.change_secret(&mut transaction, secret, &secrets, SecretDocument::expose)?;
        Ok(self.0.commit(transaction).await?)
    }

    async fn record_check(&self, checked: &Checked, term: Term) -> Result<(), StoreError> {
        let id = checked.provisioner;
        let mut transaction = Transaction::default();
        transaction
            .within(Some(term))
            .require(key::provisioner(id), Test::Present, Refusal::Missing)
            .put(key::provisioner_check(id), record::written(checked)?);
        self.0.commit(transaction).await?;
        Ok(())
    }

    async fn delete(&self, id: ProvisionerId, expected: Revision) -> Result<(), StoreError> {
        let old = self.as_expected(id, expected).await?;
        let key = key::provisioner(id);
        let mut transaction = Transaction::default();
        transaction
            .unchanged(key.clone(), expected)
            .require(key::uses_of(Used::Provisioner(id)), Test::NothingBelow, Refusal::InUse)
            .delete(key)
            .delete(key::provisioner_check(id))
            .delete(key::uses(Used::Organization(old.organization), By::Provisioner(id)))
            .delete(key::uses(Used::User(old.owner), By::Provisioner(id)))
            .delete(Secret::ProvisionerParameters(id).into());
        self.0.commit(transaction).await?;
        Ok(())
    }

    async fn secrets(&self, id: ProvisionerId) -> Result<Option<SecretDocument>, StoreError> {
        Ok(self.0.secret(Secret::ProvisionerParameters(id)).await?.map(SecretDocument::new))
    }
}
