//! Organizations and their policies.

use crate::service::change::{AttemptError, check_expected, still_in_use};
use std::sync::Arc;

use crate::{
    access::{Action, Caller, Policy, Target},
    catalog::{Catalog, Page, Scope, Stored, Visibility},
    id::OrganizationId,
    invalid::Invalid,
    name::{Namespace, OrganizationName},
    organization::{Organization, Remaining},
    port::{
        clock::Clock,
        store::{OrganizationStore, ReadBarrier},
    },
    service::{
        Expected, ListRequest, ServiceError,
        change::retry_on_conflict,
        permission::{acts_in, may},
    },
    user::Role,
};

/// How many of the objects that prevent a deletion are listed.
const NAMED: usize = 20;
/// How many objects `deletable` lists.
const LISTED: usize = 1_000;

/// A request to create an organization.
#[derive(Debug)]
pub struct NewOrganization {
    /// Its name.
    pub name: OrganizationName,
    /// Its slug.
    pub namespace: Namespace,
    /// Rules of the policy it overrides, by action.
    pub policy: Vec<(String, Option<String>)>,
}

/// Changes to an organization; what is not given stays unchanged.
#[derive(Debug, Clone, Default)]
pub struct OrganizationPatch {
    /// New name.
    pub name: Option<OrganizationName>,
    /// Rules by action; `None` restores the default.
    pub policy: Vec<(String, Option<String>)>,
}

/// Use cases of organizations.
pub struct Organizations {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where they are stored.
    pub store: Arc<dyn OrganizationStore>,
    /// Waits until the read model is up to date.
    pub read_barrier: Arc<dyn ReadBarrier>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

type OrganizationEntry = Arc<Stored<Organization>>;

impl Organizations {
    /// Creates an organization.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`; `Conflict` when the namespace is in use.
    pub async fn create(&self, caller: &Caller, new: NewOrganization) -> Result<OrganizationEntry, ServiceError> {
        if caller.role != Role::Superadmin {
            return Err(ServiceError::Forbidden("only superadmins can create organizations".into()));
        }
        let organization = Organization {
            id: OrganizationId::random(),
            name: new.name,
            namespace: new.namespace,
            policy: overridden(&Policy::default(), &new.policy).map_err(in_policy)?,
            created_at: self.clock.now(),
        };
        let revision = self.store.create(&organization).await?;
        Ok(Arc::new(Stored::new(organization, revision)))
    }

    /// The organizations the caller may see: all for superadmins, otherwise the caller's own.
    ///
    /// # Errors
    /// `Forbidden` for other organizations.
    pub fn list(&self, caller: &Caller, request: &ListRequest) -> Result<Page<OrganizationEntry>, ServiceError> {
        let mut scope = request.scope(&self.catalog, caller)?;
        if caller.role == Role::Superadmin && !request.names_namespaces() {
            scope = Scope::All;
        }
        Ok(self.catalog.organizations(&request.listing(scope, Visibility::All)))
    }

    /// One organization.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, caller: &Caller, id: OrganizationId) -> Result<OrganizationEntry, ServiceError> {
        self.catalog
            .organization(id)
            .filter(|entry| acts_in(caller, entry.record.id))
            .ok_or_else(|| ServiceError::not_found("organization", id))
    }

    /// Updates name and policy. Nothing is written if nothing changes.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Invalid`, `ChangedMeanwhile`.
    pub async fn update(
        &self,
        caller: &Caller,
        id: OrganizationId,
        patch: OrganizationPatch,
        expected: Expected,
    ) -> Result<OrganizationEntry, ServiceError> {
        self.change(caller, Action::OrganizationUpdate, id, expected, |organization| {
            if let Some(name) = &patch.name {
                organization.name = name.clone();
            }
            organization.policy = overridden(&organization.policy, &patch.policy).map_err(in_policy)?;
            Ok(())
        })
        .await
    }

    /// Overrides rules of the policy; `None` restores the default. Nothing is written if nothing changes.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Invalid`, `ChangedMeanwhile`.
    pub async fn change_policy(
        &self,
        caller: &Caller,
        id: OrganizationId,
        changes: &[(String, Option<String>)],
        expected: Expected,
    ) -> Result<OrganizationEntry, ServiceError> {
        self.change(caller, Action::PolicyUpdate, id, expected, |organization| {
            organization.policy = overridden(&organization.policy, changes)?;
            Ok(())
        })
        .await
    }

    /// The objects in an organization that prevent its deletion; at most a thousand.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub fn remaining(&self, caller: &Caller, id: OrganizationId) -> Result<Vec<Remaining>, ServiceError> {
        self.permitted(caller, Action::OrganizationDelete, id)?;
        Ok(self.catalog.remaining_in_organization(id, LISTED))
    }

    /// Deletes an empty organization.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Conflict` listing what it contains, `ChangedMeanwhile`.
    pub async fn delete(&self, caller: &Caller, id: OrganizationId, expected: Expected) -> Result<(), ServiceError> {
        retry_on_conflict(&*self.read_barrier, || async {
            let entry = self.permitted(caller, Action::OrganizationDelete, id)?;
            check_expected(expected, entry.revision, "the organization")?;
            let remaining = self.catalog.remaining_in_organization(id, NAMED);
            if !remaining.is_empty() {
                return Err(still_in_use(entry.record.name.as_str(), &remaining).into());
            }
            self.store.delete(id, entry.revision).await.map_err(AttemptError::of_deletion)
        })
        .await
    }

    fn permitted(
        &self,
        caller: &Caller,
        action: Action,
        id: OrganizationId,
    ) -> Result<OrganizationEntry, ServiceError> {
        let entry = self.get(caller, id)?;
        let target = Target { organization: id, owner: None };
        if may(caller, action, target, Some(&entry)) {
            Ok(entry)
        } else {
            Err(ServiceError::Forbidden(format!(
                "you do not have permission for {action} on organization {}",
                entry.record.name
            )))
        }
    }

    async fn change(
        &self,
        caller: &Caller,
        action: Action,
        id: OrganizationId,
        expected: Expected,
        edit: impl Fn(&mut Organization) -> Result<(), ServiceError> + Sync,
    ) -> Result<OrganizationEntry, ServiceError> {
        retry_on_conflict(&*self.read_barrier, || async {
            let entry = self.permitted(caller, action, id)?;
            check_expected(expected, entry.revision, "the organization")?;
            let mut organization = entry.record.clone();
            edit(&mut organization)?;
            if organization == entry.record {
                return Ok(entry);
            }
            let revision = self.store.update(&organization, entry.revision).await?;
            Ok(Arc::new(Stored::new(organization, revision)))
        })
        .await
    }
}

fn overridden(policy: &Policy, changes: &[(String, Option<String>)]) -> Result<Policy, Invalid> {
    policy.changed(changes.iter().map(|(action, rule)| (action.as_str(), rule.as_deref())))
}

/// Prefixes the fields with `policy`.
fn in_policy(mut invalid: Invalid) -> Invalid {
    for error in &mut invalid.0 {
        error.field.insert_str(0, "policy.");
    }
    invalid
}
