//! Clusters with their secrets, observed status, operations and history.

mod ages;
mod commit;
mod history;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kqueen_domain::{
    cluster::Cluster,
    id::ClusterId,
    ledger::Ledger,
    port::{
        leader::Term,
        store::{
            ClusterCommit, ClusterSecrets, ClusterStore, Creation, IdempotencyRecord, RecordChange, StoreError,
            TimelinePage,
        },
    },
    revision::{Revision, Versioned},
    secret::{Kubeconfig, SecretDocument},
};

use crate::storage::{
    backend::{Refusal, Test, Transaction},
    core::Core,
    key::{self, By, Secret, Used},
    record,
};

pub(crate) struct Clusters(pub(crate) Arc<Core>);

impl Clusters {
    async fn as_expected(&self, id: ClusterId, expected: Revision) -> Result<Cluster, StoreError> {
        match self.0.model.catalog.cluster(id) {
            Some(view) if view.cluster.revision == expected => Ok(view.cluster.record.clone()),
            _ => self.0.stored_as_expected(&key::cluster(id), expected).await,
        }
    }

    fn change_secrets(
        &self,
        transaction: &mut Transaction,
        id: ClusterId,
        secrets: &ClusterSecrets,
    ) -> Result<(), StoreError> {
        self.0.change_secret(transaction, Secret::Kubeconfig(id), &secrets.kubeconfig, Kubeconfig::expose)?;
        self.0.change_secret(transaction, Secret::ClusterMetadata(id), &secrets.metadata, SecretDocument::expose)
    }

    /// Adds the change of a cluster's record.
    async fn change_record(
        &self,
        transaction: &mut Transaction,
        id: ClusterId,
        record: RecordChange,
    ) -> Result<(), StoreError> {
        let key = key::cluster(id);
        match record {
            RecordChange::Keep(None) => {
                transaction.require(key, Test::Present, Refusal::Missing);
            }
            RecordChange::Keep(Some(expected)) => {
                transaction.unchanged(key, expected);
            }
            RecordChange::Put(cluster, secrets, expected) => {
                let old = self.as_expected(id, expected).await?;
                let (provisioner, organization) = (old.provisioner, old.organization);
                let next = Cluster { id, provisioner, organization, ..*cluster };
                transaction.unchanged(key.clone(), expected).put(key, record::written(&next)?);
                if old.owner != next.owner {
                    transaction
                        .require(key::user(next.owner), Test::Present, Refusal::Dangling("owner"))
                        .put(key::uses(Used::User(next.owner), By::Cluster(id)), "")
                        .delete(key::uses(Used::User(old.owner), By::Cluster(id)));
                }
                self.change_secrets(transaction, id, &secrets)?;
            }
            RecordChange::Remove(expected) => {
                let old = self.as_expected(id, expected).await?;
                transaction
                    .unchanged(key.clone(), expected)
                    .delete(key)
                    .delete(key::observed(id))
                    .delete(key::ledger(id))
                    .delete(key::uses(Used::Organization(old.organization), By::Cluster(id)))
                    .delete(key::uses(Used::User(old.owner), By::Cluster(id)))
                    .delete(key::uses(Used::Provisioner(old.provisioner), By::Cluster(id)))
                    .delete(Secret::Kubeconfig(id).into())
                    .delete(Secret::ClusterMetadata(id).into());
            }
        }
        Ok(())
    }
}

#[async_trait]
impl ClusterStore for Clusters {
    async fn create(
        &self,
        cluster: &Cluster,
        secrets: ClusterSecrets,
        changes: ClusterCommit,
        idempotency: Option<IdempotencyRecord>,
    ) -> Result<Creation<Cluster>, StoreError> {
        let id = cluster.id;
        let key = key::cluster(id);
        let mut transaction = Transaction::default();
        transaction
            .within(changes.term)
            .require(key.clone(), Test::Absent, Refusal::Conflict)
            .require(key::organization(cluster.organization), Test::Present, Refusal::Dangling("organization"))
            .require(key::user(cluster.owner), Test::Present, Refusal::Dangling("owner"))
            .require(key::provisioner(cluster.provisioner), Test::Present, Refusal::Dangling("provisioner"))
            .put(key, record::written(cluster)?)
            .put(key::uses(Used::Organization(cluster.organization), By::Cluster(id)), "")
            .put(key::uses(Used::User(cluster.owner), By::Cluster(id)), "")
            .put(key::uses(Used::Provisioner(cluster.provisioner), By::Cluster(id)), "");
        self.change_secrets(&mut transaction, id, &secrets)?;
        self.add_changes(&mut transaction, id, &changes, false).await?;
        self.0.create(cluster, transaction, idempotency).await
    }

    async fn created_with(&self, idempotency: &IdempotencyRecord) -> Result<Option<(Cluster, bool)>, StoreError> {
        self.0.created_with(idempotency).await
    }

    async fn update(
        &self,
        cluster: &Cluster,
        secrets: ClusterSecrets,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        let record = RecordChange::Put(Box::new(cluster.clone()), secrets, expected);
        self.commit(cluster.id, record, ClusterCommit::default()).await
    }

    async fn commit(
        &self,
        id: ClusterId,
        record: RecordChange,
        changes: ClusterCommit,
    ) -> Result<Revision, StoreError> {
        let is_deleted = matches!(record, RecordChange::Remove(_));
        let mut transaction = Transaction::default();
        transaction.within(changes.term);
        // The feed has the same order, so that subscribers to an operation that ends with its cluster still know whose cluster it was.
        commit::add_tombstone(&mut transaction, &changes)?;
        self.change_record(&mut transaction, id, record).await?;
        self.add_changes(&mut transaction, id, &changes, is_deleted).await?;
        Ok(self.0.commit(transaction).await?)
    }

    async fn kubeconfig(&self, id: ClusterId) -> Result<Option<Kubeconfig>, StoreError> {
        Ok(self.0.secret(Secret::Kubeconfig(id)).await?.map(Kubeconfig::new))
    }

    async fn metadata(&self, id: ClusterId) -> Result<Option<SecretDocument>, StoreError> {
        Ok(self.0.secret(Secret::ClusterMetadata(id)).await?.map(SecretDocument::new))
    }

    async fn ledger(&self, id: ClusterId) -> Result<Option<Versioned<Ledger>>, StoreError> {
        let stored = self.0.backend.get(&key::ledger(id)).await.map_err(StoreError::Unavailable)?;
        stored
            .map(|stored| Ok(Versioned { value: record::read(&stored.value)?, revision: Revision(stored.revision) }))
            .transpose()
    }

    async fn timeline(&self, id: ClusterId, from: Option<String>, limit: usize) -> Result<TimelinePage, StoreError> {
        history::page(&self.0, id, from, limit).await
    }

    async fn prune_timeline(&self, id: ClusterId, keep: usize) -> Result<(), StoreError> {
        history::prune(&self.0, id, keep).await
    }

    async fn forget_tombstones(&self, before: DateTime<Utc>) -> Result<usize, StoreError> {
        history::forget_tombstones(&self.0, before).await
    }

    async fn record_observation_times(
        &self,
        observed_at: ages::ObservationTimes,
        term: Option<Term>,
    ) -> Result<(), StoreError> {
        ages::record(&self.0, observed_at, term).await
    }
}
