//! Orphans: resources that exist or may exist at providers without a cluster record. The
//! [collector](crate::service::reconcile::orphan_collector) finds them; people decide, and it deletes those that people want deleted.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    access::{Action, Caller, Target},
    catalog::{Catalog, OrphanView, Scope, Stored},
    id::ClusterId,
    orphan::{Orphan, OrphanState},
    port::{
        clock::Clock,
        store::{OrphanStore, ReadBarrier},
    },
    service::{ListRequest, ServiceError, change::retry_on_conflict, permission::may},
};

/// Use cases of orphans.
pub struct Orphans {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where they are stored.
    pub store: Arc<dyn OrphanStore>,
    /// Waits until the read model is up to date.
    pub read_barrier: Arc<dyn ReadBarrier>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Orphans {
    /// The orphans of an organization, oldest first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn list(&self, caller: &Caller, request: &ListRequest) -> Result<Vec<OrphanView>, ServiceError> {
        let scope = request.scope(&self.catalog, caller)?;
        if let Scope::Organization(organization) = scope {
            let home = self.catalog.organization(organization);
            if !may(caller, Action::OrphanGet, Target { organization, owner: None }, home.as_deref()) {
                return Err(ServiceError::Forbidden(
                    "the policy of your organization does not allow you to list orphans".into(),
                ));
            }
        }
        Ok(self.catalog.orphans(scope))
    }

    /// Requests deletion at the provider. The orphan is removed from the list once its absence was observed.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `Conflict` when its provisioner was deleted.
    pub async fn delete(&self, caller: &Caller, id: ClusterId) -> Result<OrphanView, ServiceError> {
        self.decide(caller, Action::OrphanDelete, id, |view, now| match &view.orphan.record.state {
            _ if view.provisioner.is_none() => Err(ServiceError::conflict(
                "its provisioner was deleted, so KQueen cannot reach it; delete it at the provider, then ignore it in KQueen \
                 to remove it from the list",
            )),
            OrphanState::Deleting { .. } => Ok(None),
            OrphanState::Listed | OrphanState::Ignored { .. } => {
                Ok(Some(OrphanState::Deleting { by: caller.user, since: now, last_error: None }))
            }
        })
        .await
    }

    /// Keeps an orphan and stops reporting it. One whose provisioner was deleted is removed from the list, since it can never be observed
    /// again.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub async fn ignore(&self, caller: &Caller, id: ClusterId) -> Result<OrphanView, ServiceError> {
        self.decide(caller, Action::OrphanIgnore, id, |view, now| match &view.orphan.record.state {
            OrphanState::Ignored { .. } if view.provisioner.is_some() => Ok(None),
            OrphanState::Listed | OrphanState::Deleting { .. } | OrphanState::Ignored { .. } => {
                Ok(Some(OrphanState::Ignored { by: caller.user, since: now }))
            }
        })
        .await
    }

    async fn decide(
        &self,
        caller: &Caller,
        action: Action,
        id: ClusterId,
        decide: impl Fn(&OrphanView, DateTime<Utc>) -> Result<Option<OrphanState>, ServiceError> + Sync,
    ) -> Result<OrphanView, ServiceError> {
        retry_on_conflict(&*self.read_barrier, || async {
            let missing = || ServiceError::not_found("orphan", id);
            let view = self.catalog.orphan(id).ok_or_else(missing)?;
            let target = Target { organization: view.orphan.record.organization, owner: None };
            if !may(caller, Action::OrphanGet, target, view.organization.as_deref()) {
                return Err(missing().into());
            }
            if !may(caller, action, target, view.organization.as_deref()) {
                return Err(ServiceError::Forbidden(format!(
                    "you do not have permission for {action} in this organization"
                ))
                .into());
            }
            let Some(state) = decide(&view, self.clock.now())? else { return Ok(view) };
            let orphan = Orphan { state, ..view.orphan.record.clone() };
            let is_removed = view.provisioner.is_none();
            let stored = if is_removed {
                self.store.remove(id, view.orphan.revision, None).await
            } else {
                self.store.put(&orphan, Some(view.orphan.revision), None).await.map(drop)
            };
            stored?;
            if is_removed {
                let orphan = Arc::new(Stored::new(orphan, view.orphan.revision));
                return Ok(OrphanView { orphan, ..view });
            }
            Ok(self.catalog.orphan(id).ok_or_else(missing)?)
        })
        .await
    }
}
