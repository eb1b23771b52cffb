//! Orphans, and their references to the provisioner through which they can be reached.

use std::sync::Arc;

use async_trait::async_trait;
use kqueen_domain::{
    id::ClusterId,
    orphan::{Orphan, OrphanState},
    port::{
        leader::Term,
        store::{OrphanStore, StoreError},
    },
    revision::Revision,
};

use crate::storage::{
    backend::{Refusal, Test, Transaction},
    core::Core,
    key::{self, By, Key, Used},
    record,
};

pub(crate) struct Orphans(pub(crate) Arc<Core>);

/// The key by which an orphan refers to its provisioner, unless it is ignored.
fn provisioner_use(orphan: &Orphan) -> Option<Key> {
    match orphan.state {
        OrphanState::Listed | OrphanState::Deleting { .. } => {
            Some(key::uses(Used::Provisioner(orphan.provisioner), By::Orphan(orphan.cluster)))
        }
        OrphanState::Ignored { .. } => None,
    }
}

/// Adds an orphan that replaces `old`, on which `transaction` depends already.
pub(super) fn put_orphan(
    transaction: &mut Transaction,
    orphan: &Orphan,
    old: Option<&Orphan>,
) -> Result<(), StoreError> {
    transaction.put(key::orphan(orphan.cluster), record::written(orphan)?);
    let (old_use, new_use) = (old.and_then(provisioner_use), provisioner_use(orphan));
    if let Some(key) = old_use.filter(|old_use| Some(old_use) != new_use.as_ref()) {
        transaction.delete(key);
    }
    if let Some(key) = new_use {
        let provisioner = key::provisioner(orphan.provisioner);
        transaction.require(provisioner, Test::Present, Refusal::Dangling("provisioner")).put(key, "");
    }
    Ok(())
}

impl Orphans {
    async fn as_expected(&self, cluster: ClusterId, expected: Revision) -> Result<Orphan, StoreError> {
        match self.0.model.catalog.orphan(cluster) {
            Some(view) if view.orphan.revision == expected => Ok(view.orphan.record.clone()),
            _ => self.0.stored_as_expected(&key::orphan(cluster), expected).await,
        }
    }
}

#[async_trait]
impl OrphanStore for Orphans {
    async fn put(
        &self,
        orphan: &Orphan,
        expected: Option<Revision>,
        term: Option<Term>,
    ) -> Result<Revision, StoreError> {
        let key = key::orphan(orphan.cluster);
        let mut transaction = Transaction::default();
        transaction.within(term);
        let old = match expected {
            Some(expected) => {
                transaction.unchanged(key, expected);
                Some(self.as_expected(orphan.cluster, expected).await?)
            }
            None => {
                transaction.as_expected(key, None);
                None
            }
        };
        // Resources of an existing cluster are not orphans, whatever an earlier inventory of the provider said.
        transaction.require(key::cluster(orphan.cluster), Test::Absent, Refusal::Conflict);
        put_orphan(&mut transaction, orphan, old.as_ref())?;
        Ok(self.0.commit(transaction).await?)
    }

    async fn remove(&self, cluster: ClusterId, expected: Revision, term: Option<Term>) -> Result<(), StoreError> {
        let key = key::orphan(cluster);
        let mut transaction = Transaction::default();
        transaction.within(term).unchanged(key.clone(), expected).delete(key);
        if let Some(provisioner_use) = provisioner_use(&self.as_expected(cluster, expected).await?) {
            transaction.delete(provisioner_use);
        }
        self.0.commit(transaction).await?;
        Ok(())
    }
}
