//! Orphans: what is, or may be, at providers without a cluster. People decide what becomes of them; the
//! [collector](crate::service::reconcile::orphan_collector) looks for them, and takes down what is to go.

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

/// What people do about orphans.
pub struct Orphans {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where they are stored.
    pub store: Arc<dyn OrphanStore>,
    /// How far the read model is.
    pub freshness: Arc<dyn ReadBarrier>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Orphans {
    /// Those of an organization, oldest first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn list(&self, caller: &Caller, request: &ListRequest) -> Result<Vec<OrphanView>, ServiceError> {
        let scope = request.scope(&self.catalog, caller)?;
        if let Scope::Organization(organization) = scope {
            let home = self.catalog.organization(organization);
            if !may(caller, Action::OrphanGet, Target { organization, owner: None }, home.as_deref()) {
                return Err(ServiceError::Forbidden(
                    "the policy of your organization does not let you see orphans".into(),
                ));
            }
        }
        Ok(self.catalog.orphans(scope))
    }

    /// Asks for one to be taken down at its provider. It leaves the list when it has been seen to be gone.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `Conflict` when its provisioner is gone.
    pub async fn delete(&self, caller: &Caller, id: ClusterId) -> Result<OrphanView, ServiceError> {
        self.decide(caller, Action::OrphanDelete, id, |view, now| match &view.orphan.record.state {
            _ if view.provisioner.is_none() => Err(ServiceError::conflict(
                "its provisioner is not there any more, so that nobody can reach it from here; delete it at the provider, then \
                 ignore it here, which takes it off the list",
            )),
            OrphanState::Deleting { .. } => Ok(None),
            OrphanState::Listed | OrphanState::Ignored { .. } => {
                Ok(Some(OrphanState::Deleting { by: caller.user, since: now, last_error: None }))
            }
        })
        .await
    }

    /// Decides that one may stay. One whose provisioner is gone leaves the list: nobody will ever see whether it is gone.
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
        retry_on_conflict(&*self.freshness, || async {
            let missing = || ServiceError::not_found("orphan", id);
            let view = self.catalog.orphan(id).ok_or_else(missing)?;
            let target = Target { organization: view.orphan.record.organization, owner: None };
            if !may(caller, Action::OrphanGet, target, view.organization.as_deref()) {
                return Err(missing().into());
            }
            if !may(caller, action, target, view.organization.as_deref()) {
                return Err(ServiceError::Forbidden(format!("you may not do {action} here")).into());
            }
            let Some(state) = decide(&view, self.clock.now())? else { return Ok(view) };
            let orphan = Orphan { state, ..view.orphan.record.clone() };
            let leaves = view.provisioner.is_none();
            let stored = if leaves {
                self.store.remove(id, view.orphan.revision, None).await
            } else {
                self.store.put(&orphan, Some(view.orphan.revision), None).await.map(drop)
            };
            stored?;
            if leaves {
                let orphan = Arc::new(Stored::new(orphan, view.orphan.revision));
                return Ok(OrphanView { orphan, ..view });
            }
            Ok(self.catalog.orphan(id).ok_or_else(missing)?)
        })
        .await
    }
}
