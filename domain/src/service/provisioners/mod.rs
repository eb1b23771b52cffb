//! Provisioners: engines with credentials, which are checked against the provider when they are set.

pub mod checks;
mod form;
pub mod providers;

use crate::service::{
    change::AttemptError,
    idempotency::{IdempotencyKey, used_for_another},
    permission::{check_session, permits_provisioner},
};
use std::sync::Arc;

use crate::{
    access::{Action, Caller, Target},
    catalog::{Catalog, Page, ProvisionerView, Stored, Tally},
    document,
    id::{ProvisionerId, UserId},
    name::ResourceName,
    port::{
        clock::Clock,
        engine::{EngineDescriptor, EngineRegistry},
        store::{Creation, ProvisionerStore, ReadBarrier},
    },
    provisioner::Provisioner,
    revision::Revision,
    secret::SecretMap,
    service::{
        Expected, ListRequest, ServiceError,
        change::{check_expected, retry_on_conflict, still_in_use},
        lists::visibility,
        permission::may,
        references,
    },
};

/// How many of the objects that prevent a deletion are listed.
const NAMED: usize = 20;

/// A request to create a provisioner.
#[derive(Debug)]
pub struct NewProvisioner {
    /// Its name.
    pub name: ResourceName,
    /// Name of its engine.
    pub engine: String,
    /// Its owner; the caller if `None`.
    pub owner: Option<UserId>,
    /// The engine's parameters.
    pub parameters: SecretMap,
}

/// Changes to a provisioner; `None` leaves the value unchanged.
#[derive(Debug, Clone, Default)]
pub struct ProvisionerPatch {
    /// New name.
    pub name: Option<ResourceName>,
    /// New owner.
    pub owner: Option<UserId>,
    /// Merged into the parameters (RFC 7386).
    pub parameters: Option<SecretMap>,
}

/// Use cases of provisioners.
pub struct Provisioners {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where they are stored.
    pub store: Arc<dyn ProvisionerStore>,
    /// Waits until the read model is up to date.
    pub read_barrier: Arc<dyn ReadBarrier>,
    /// What this installation offers.
    pub engines: EngineRegistry,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Provisioners {
    /// The engines this installation offers.
    pub fn engines(&self) -> impl Iterator<Item = &EngineDescriptor> {
        self.engines.descriptors()
    }

    /// Creates a provisioner, even if the check of its credentials fails.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`; `Conflict` when the key was used for another request.
    pub async fn create(
        &self,
        caller: &Caller,
        new: NewProvisioner,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<ProvisionerView, ServiceError> {
        let idempotency = idempotency.map(|key| key.record(caller.user, self.clock.now()));
        if let Some(idempotency) = &idempotency
            && let Some((first, same_request)) = self.store.created_with(idempotency).await?
        {
            return self.repeated(first, same_request);
        }
        let organization = match new.owner {
            Some(owner) => references::visible_user(&self.catalog, caller, owner)?.user.record.organization,
            None => caller.organization,
        };
        let home = self.catalog.organization(organization);
        if !may(caller, Action::ProvisionerCreate, Target { organization, owner: None }, home.as_deref()) {
            return Err(ServiceError::Forbidden(
                "you do not have permission to create provisioners in this organization".into(),
            ));
        }
        let owner = new.owner.unwrap_or(caller.user);
        let owner = references::owner(&self.catalog, caller, owner, organization)?;
        let engine = self.engines.get(&new.engine).ok_or_else(|| self.unknown_engine())?;
        let schema = &engine.descriptor().provisioner;
        let is_secret = |path: &[&str]| schema.is_secret(path);
        document::refuse_masks("parameters", &new.parameters, &is_secret)?;
        let full = schema.validate("parameters", &new.parameters)?;
        let check = checks::check(&**engine, &full, &*self.clock).await;
        // The provider may have taken seconds to answer.
        check_session(&self.catalog, &*self.read_barrier, caller).await?;
        let split = document::split(&full, &is_secret);
        let now = self.clock.now();
        let provisioner = Provisioner {
            id: ProvisionerId::random(),
            name: new.name,
            engine: new.engine.into_boxed_str(),
            organization,
            owner,
            parameters: split.shown,
            state_changed_at: check.at,
            check,
            created_at: now,
        };
        match self.store.create(&provisioner, split.sealed.into(), idempotency).await? {
            Creation::New(revision) => Ok(self.view(provisioner, revision)),
            Creation::Repeated { first, same_request } => self.repeated(first, same_request),
        }
    }

    /// The answer to a request that repeats the key of an earlier one.
    fn repeated(&self, first: Provisioner, same_request: bool) -> Result<ProvisionerView, ServiceError> {
        // Revision 0 is no stored revision: the record may have changed since.
        if same_request { Ok(self.view(first, Revision(0))) } else { Err(used_for_another()) }
    }

    /// The provisioners the caller may see.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn list(&self, caller: &Caller, request: &ListRequest) -> Result<Page<ProvisionerView>, ServiceError> {
        let scope = request.scope(&self.catalog, caller)?;
        let visible = visibility(&self.catalog, caller, Action::ProvisionerList, Action::ProvisionerGet)?;
        Ok(self.catalog.provisioners(&request.listing(scope, visible)))
    }

    /// How many of the provisioners the caller may see are in which phase.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn health(&self, caller: &Caller, request: &ListRequest) -> Result<Tally, ServiceError> {
        let scope = request.scope(&self.catalog, caller)?;
        let visible = visibility(&self.catalog, caller, Action::ProvisionerList, Action::ProvisionerGet)?;
        Ok(self.catalog.provisioner_tally(scope, visible))
    }

    /// One provisioner.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, caller: &Caller, id: ProvisionerId) -> Result<ProvisionerView, ServiceError> {
        self.catalog
            .provisioner(id)
            .filter(|view| permits_provisioner(caller, Action::ProvisionerGet, view))
            .ok_or_else(|| ServiceError::not_found("provisioner", id))
    }

    /// Updates a provisioner. New parameters are checked against the provider. Nothing is checked or written if nothing changes.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Invalid`, `ChangedMeanwhile`.
    pub async fn update(
        &self,
        caller: &Caller,
        id: ProvisionerId,
        patch: ProvisionerPatch,
        expected: Expected,
    ) -> Result<ProvisionerView, ServiceError> {
        retry_on_conflict(&*self.read_barrier, || async {
            let view = self.permitted(caller, Action::ProvisionerUpdate, id)?;
            check_expected(expected, view.provisioner.revision, "the provisioner")?;
            let mut provisioner = view.provisioner.record.clone();
            let mut secrets = crate::port::store::SecretUpdate::Keep;
            if let Some(name) = &patch.name {
                provisioner.name = name.clone();
            }
            if let Some(owner) = patch.owner.filter(|owner| *owner != provisioner.owner) {
                provisioner.owner = references::new_owner(&self.catalog, caller, owner, provisioner.organization)?;
            }
            if let Some(changes) = &patch.parameters {
                let engine = self.engines.get(&provisioner.engine).ok_or_else(|| {
                    ServiceError::conflict(format!("the engine {} is no longer offered", provisioner.engine))
                })?;
                let schema = &engine.descriptor().provisioner;
                let is_secret = |path: &[&str]| schema.is_secret(path);
                let sealed = self.store.secrets(id).await?;
                let stored = &provisioner.parameters;
                let mut full = stored.reveal(sealed.as_ref()).map_err(|error| ServiceError::Internal(error.into()))?;
                let before = full.clone();
                document::merge_patch("parameters", &mut full, changes.clone())?;
                // As for clusters, values that are sent back unchanged are accepted.
                if full != before {
                    let full = schema.validate("parameters", &full)?;
                    let check = checks::check(&**engine, &full, &*self.clock).await;
                    check_session(&self.catalog, &*self.read_barrier, caller).await?;
                    let split = document::split(&full, &is_secret);
                    provisioner.parameters = split.shown;
                    secrets = split.sealed.into();
                    if check.phase != provisioner.check.phase {
                        provisioner.state_changed_at = check.at;
                    }
                    provisioner.check = check;
                }
            }
            if provisioner == view.provisioner.record && secrets.is_keep() {
                return Ok(view);
            }
            let revision = self.store.update(&provisioner, secrets, view.provisioner.revision).await?;
            Ok(self.view(provisioner, revision))
        })
        .await
    }

    /// Deletes a provisioner that nothing uses.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Conflict` listing what uses it, `ChangedMeanwhile`.
    pub async fn delete(&self, caller: &Caller, id: ProvisionerId, expected: Expected) -> Result<(), ServiceError> {
        retry_on_conflict(&*self.read_barrier, || async {
            let view = self.permitted(caller, Action::ProvisionerDelete, id)?;
            check_expected(expected, view.provisioner.revision, "the provisioner")?;
            let remaining = self.catalog.remaining_of_provisioner(id, NAMED);
            if !remaining.is_empty() {
                return Err(still_in_use(view.provisioner.record.name.as_str(), &remaining).into());
            }
            self.store.delete(id, view.provisioner.revision).await.map_err(AttemptError::of_deletion)
        })
        .await
    }

    fn permitted(&self, caller: &Caller, action: Action, id: ProvisionerId) -> Result<ProvisionerView, ServiceError> {
        let view = self.get(caller, id)?;
        if permits_provisioner(caller, action, &view) {
            return Ok(view);
        }
        let name = &view.provisioner.record.name;
        Err(ServiceError::Forbidden(format!("you do not have permission for {action} on provisioner {name}")))
    }

    fn unknown_engine(&self) -> ServiceError {
        let offered = self.engines().map(|engine| engine.name).collect::<Vec<_>>().join(", ");
        ServiceError::field("engine", format!("must be one of {offered}"))
    }

    fn view(&self, provisioner: Provisioner, revision: Revision) -> ProvisionerView {
        ProvisionerView {
            organization: self.catalog.organization(provisioner.organization),
            owner: self.catalog.user_view(provisioner.owner),
            provisioner: Arc::new(Stored::new(provisioner, revision)),
        }
    }
}
