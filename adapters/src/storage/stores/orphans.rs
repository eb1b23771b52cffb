//! Orphans, and their hold on the provisioner they can be reached through.

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

/// The key by which an orphan that waits for somebody to decide holds its provisioner.
fn hold(orphan: &Orphan) -> Option<Key> {
    match orphan.state {
        OrphanState::Listed | OrphanState::Deleting { .. } => {
            Some(key::uses(Used::Provisioner(orphan.provisioner), By::Orphan(orphan.cluster)))
        }
        OrphanState::Ignored { .. } => None,
    }
}

/// Adds an orphan that takes the place of `old`, on which `transaction` depends already.
pub(super) fn list(transaction: &mut Transaction, orphan: &Orphan, old: Option<&Orphan>) -> Result<(), StoreError> {
    transaction.put(key::orphan(orphan.cluster), record::written(orphan)?);
    let (held, holds) = (old.and_then(hold), hold(orphan));
    if let Some(key) = held.filter(|held| Some(held) != holds.as_ref()) {
        transaction.delete(key);
    }
    if let Some(key) = holds {
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
        // What belongs to a cluster is not left over, whatever a provider's list said a while ago.
        transaction.require(key::cluster(orphan.cluster), Test::Absent, Refusal::Conflict);
        list(&mut transaction, orphan, old.as_ref())?;
        Ok(self.0.commit(transaction).await?)
    }

    async fn remove(&self, cluster: ClusterId, expected: Revision, term: Option<Term>) -> Result<(), StoreError> {
        let key = key::orphan(cluster);
        let mut transaction = Transaction::default();
        transaction.within(term).unchanged(key.clone(), expected).delete(key);
        if let Some(hold) = hold(&self.as_expected(cluster, expected).await?) {
            transaction.delete(hold);
        }
        self.0.commit(transaction).await?;
        Ok(())
    }
}
