//! Clusters with their secrets, and what was last seen of them.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kqueen_domain::{
    cluster::{Cluster, Sighting},
    id::ClusterId,
    port::store::{Claim, ClusterSecrets, ClusterStore, Creation, Revision, StoreError},
    secret::{Kubeconfig, SealedDocument},
};

use crate::storage::{
    ages::Shard,
    backend::{CommitError, Refusal, Test, Transaction},
    core::Core,
    key::{self, By, Secret, Shown, Used},
    record,
};

/// How many shards of ages are written at once, and how many bytes: etcd takes 1.5 MiB in one transaction.
const SHARDS_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: usize = 768 * 1024;

/// How often ages are tried again that another replica wrote at the same time.
const TRIES: usize = 10;

type Looks = Vec<(ClusterId, DateTime<Utc>)>;

pub(crate) struct Clusters(pub(crate) Arc<Core>);

impl Clusters {
    async fn as_seen(&self, id: ClusterId, seen: Revision) -> Result<Cluster, StoreError> {
        match self.0.model.catalog.cluster(id) {
            Some(view) if view.cluster.revision == seen => Ok(view.cluster.record.clone()),
            _ => self.0.stored_as_seen(&key::cluster(id), seen).await,
        }
    }

    fn change_secrets(
        &self,
        transaction: &mut Transaction,
        id: ClusterId,
        secrets: &ClusterSecrets,
    ) -> Result<(), StoreError> {
        self.0.change_secret(transaction, Secret::Kubeconfig(id), &secrets.kubeconfig, Kubeconfig::expose)?;
        self.0.change_secret(transaction, Secret::ClusterMetadata(id), &secrets.metadata, SealedDocument::expose)
    }

    /// Takes shards off `due` into one transaction, as many as fit. Shards in which nothing moves need no write.
    fn next_ages(&self, due: &mut BTreeMap<Shard, Looks>) -> (Transaction, BTreeMap<Shard, Looks>) {
        let (mut transaction, mut taken, mut bytes) = (Transaction::default(), BTreeMap::new(), 0);
        while taken.len() < SHARDS_AT_ONCE
            && bytes < BYTES_AT_ONCE
            && let Some((shard, looks)) = due.pop_first()
        {
            let mut page = self.0.model.ages.page(shard);
            if !page.advance(&looks) {
                continue;
            }
            let key: key::Key = Shown::Ages(shard).into();
            let test = if page.revision == 0 { Test::Absent } else { Test::At(page.revision) };
            let written = page.written();
            bytes += written.len();
            transaction.require(key.clone(), test, Refusal::Conflict).put(key, written);
            taken.insert(shard, looks);
        }
        (transaction, taken)
    }
}

#[async_trait]
impl ClusterStore for Clusters {
    async fn create(
        &self,
        cluster: &Cluster,
        secrets: ClusterSecrets,
        claim: Option<Claim>,
    ) -> Result<Creation<Cluster>, StoreError> {
        let id = cluster.id;
        let key = key::cluster(id);
        let mut transaction = Transaction::default();
        transaction
            .require(key.clone(), Test::Absent, Refusal::Conflict)
            .require(key::organization(cluster.organization), Test::Present, Refusal::Dangling("organization"))
            .require(key::user(cluster.owner), Test::Present, Refusal::Dangling("owner"))
            .require(key::provisioner(cluster.provisioner), Test::Present, Refusal::Dangling("provisioner"))
            .put(key, record::written(cluster)?)
            .put(key::uses(Used::Organization(cluster.organization), By::Cluster(id)), "")
            .put(key::uses(Used::User(cluster.owner), By::Cluster(id)), "")
            .put(key::uses(Used::Provisioner(cluster.provisioner), By::Cluster(id)), "");
        self.change_secrets(&mut transaction, id, &secrets)?;
        self.0.create(cluster, transaction, claim).await
    }

    async fn claimed(&self, claim: &Claim) -> Result<Option<(Cluster, [u8; 32])>, StoreError> {
        self.0.claimed(claim).await
    }

    async fn update(&self, cluster: &Cluster, secrets: ClusterSecrets, seen: Revision) -> Result<Revision, StoreError> {
        let id = cluster.id;
        let old = self.as_seen(id, seen).await?;
        let next = Cluster { provisioner: old.provisioner, organization: old.organization, ..cluster.clone() };
        let key = key::cluster(id);
        let mut transaction = Transaction::default();
        transaction.unchanged(key.clone(), seen).put(key, record::written(&next)?);
        if old.owner != next.owner {
            transaction
                .require(key::user(next.owner), Test::Present, Refusal::Dangling("owner"))
                .put(key::uses(Used::User(next.owner), By::Cluster(id)), "")
                .delete(key::uses(Used::User(old.owner), By::Cluster(id)));
        }
        self.change_secrets(&mut transaction, id, &secrets)?;
        Ok(self.0.commit(transaction).await?)
    }

    async fn delete(&self, id: ClusterId, seen: Revision) -> Result<(), StoreError> {
        let old = self.as_seen(id, seen).await?;
        let key = key::cluster(id);
        let mut transaction = Transaction::default();
        transaction
            .unchanged(key.clone(), seen)
            .delete(key)
            .delete(key::sighting(id))
            .delete(key::uses(Used::Organization(old.organization), By::Cluster(id)))
            .delete(key::uses(Used::User(old.owner), By::Cluster(id)))
            .delete(key::uses(Used::Provisioner(old.provisioner), By::Cluster(id)))
            .delete(Secret::Kubeconfig(id).into())
            .delete(Secret::ClusterMetadata(id).into());
        self.0.commit(transaction).await?;
        Ok(())
    }

    async fn kubeconfig(&self, id: ClusterId) -> Result<Option<Kubeconfig>, StoreError> {
        Ok(self.0.kubeconfig(id).await?.map(Kubeconfig::new))
    }

    async fn metadata(&self, id: ClusterId) -> Result<Option<SealedDocument>, StoreError> {
        Ok(self.0.secret(Secret::ClusterMetadata(id)).await?.map(SealedDocument::new))
    }

    async fn record_sighting(&self, sighting: &Sighting) -> Result<(), StoreError> {
        let mut transaction = Transaction::default();
        transaction
            .require(key::cluster(sighting.cluster), Test::Present, Refusal::Missing)
            .put(key::sighting(sighting.cluster), record::written(sighting)?);
        self.0.commit(transaction).await?;
        Ok(())
    }

    async fn record_ages(&self, looked_at: Looks) -> Result<(), StoreError> {
        let mut due: BTreeMap<Shard, Looks> = BTreeMap::new();
        for (i, (cluster, at)) in looked_at.into_iter().enumerate() {
            // Tens of thousands may come at once.
            if i % 1000 == 999 {
                tokio::task::yield_now().await;
            }
            if self.0.model.catalog.cluster(cluster).is_some() {
                due.entry(Shard::of(cluster)).or_default().push((cluster, at));
            }
        }
        let mut tries = 0;
        while !due.is_empty() {
            let (transaction, taken) = self.next_ages(&mut due);
            if taken.is_empty() {
                break;
            }
            match self.0.commit(transaction).await {
                Ok(_) => {}
                // Another replica wrote one of these shards: take its ages in and write again.
                Err(CommitError::Refused(_)) if tries < TRIES => {
                    tries += 1;
                    due.extend(taken);
                    self.0.backend.caught_up().await.map_err(StoreError::Unavailable)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
