//! The first superadmin, and provisioners to begin with.

use std::sync::Arc;

use crate::{
    access::Policy,
    catalog::Catalog,
    document,
    id::{OrganizationId, ProvisionerId, UserId},
    name::{EmailAddress, Namespace, OrganizationName, ResourceName, Username},
    organization::Organization,
    port::{
        clock::Clock,
        engine::Engine,
        password::PasswordHasher,
        store::{OrganizationStore, ProvisionerStore, ReadBarrier, SecretUpdate, StoreError, UserSecrets, UserStore},
    },
    provisioner::Provisioner,
    secret::{Password, SecretMap},
    service::{ServiceError, people::users::acceptable, provisioners::checks},
    user::{AuthMethod, Role, User},
};

/// What is said while nobody can log in, as there is no user, and what the operator does about it.
pub const NO_USER_YET: &str = "no user exists yet, so nobody can log in; the operator of this installation creates the first superadmin \
                               with `kqueen create-admin`, or sets KQUEEN_BOOTSTRAP_ADMIN_PASSWORD and restarts KQueen";

/// Whether no user exists, whichever replica could have made one.
///
/// # Errors
/// `Unavailable` when that cannot be known.
pub async fn no_user_exists(catalog: &Catalog, barrier: &dyn ReadBarrier) -> Result<bool, StoreError> {
    if catalog.has_users() {
        return Ok(false);
    }
    // Another replica, or a command beside the service, may have made one just now.
    barrier.caught_up().await?;
    Ok(!catalog.has_users())
}

/// A superadmin to be made without anybody being logged in.
#[derive(Debug)]
pub struct FirstAdmin {
    /// Log-in name.
    pub username: Username,
    /// Password.
    pub password: Password,
    /// Address.
    pub email: Option<EmailAddress>,
    /// Name of the organization, if it has to be made.
    pub organization: OrganizationName,
    /// Namespace of the organization.
    pub namespace: Namespace,
}

/// A provisioner the first superadmin finds, and owns.
pub struct FirstProvisioner {
    /// What it is called.
    pub name: ResourceName,
    /// Its engine, which this installation offers.
    pub engine: Arc<dyn Engine>,
    /// What the engine needs.
    pub parameters: SecretMap,
}

/// Makes superadmins from the machine the service runs on.
pub struct Bootstrap {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where organizations are stored.
    pub organizations: Arc<dyn OrganizationStore>,
    /// Where users are stored.
    pub users: Arc<dyn UserStore>,
    /// Where provisioners are stored.
    pub provisioners: Arc<dyn ProvisionerStore>,
    /// How far the read model is.
    pub freshness: Arc<dyn ReadBarrier>,
    /// Hashes passwords.
    pub passwords: Arc<dyn PasswordHasher>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Bootstrap {
    /// Whether nobody can log in, as there is no user.
    ///
    /// # Errors
    /// `Unavailable` when that cannot be known.
    pub async fn awaited(&self) -> Result<bool, ServiceError> {
        Ok(no_user_exists(&self.catalog, &*self.freshness).await?)
    }

    /// Makes the admin, and then the provisioners, if the store has no user yet. Whether it did; of several replicas that start at once
    /// one does.
    ///
    /// # Errors
    /// The store's; `Invalid` for parameters that the engine does not take.
    pub async fn on_empty_store(
        &self,
        admin: FirstAdmin,
        provisioners: Vec<FirstProvisioner>,
    ) -> Result<bool, ServiceError> {
        if !self.awaited().await? {
            return Ok(false);
        }
        let owner = match self.create(admin).await {
            Ok(owner) => owner,
            Err(ServiceError::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        for provisioner in provisioners {
            self.provide(&owner, provisioner).await?;
        }
        Ok(true)
    }

    async fn provide(&self, owner: &User, first: FirstProvisioner) -> Result<(), ServiceError> {
        let descriptor = first.engine.descriptor();
        let parameters = descriptor.provisioner.validate("parameters", &first.parameters)?;
        let check = checks::ask(&*first.engine, &parameters, &*self.clock).await;
        let split = document::split(&parameters, &|path| descriptor.provisioner.is_secret(path));
        let provisioner = Provisioner {
            id: ProvisionerId::random(),
            name: first.name,
            engine: descriptor.name.into(),
            organization: owner.organization,
            owner: owner.id,
            parameters: split.shown,
            state_changed_at: check.at,
            check,
            created_at: self.clock.now(),
        };
        self.provisioners.create(&provisioner, split.sealed.into(), None).await?;
        Ok(())
    }

    /// Makes a superadmin, and the organization where it does not exist.
    ///
    /// # Errors
    /// `Invalid` for a password nobody may have; `Conflict` when name or address is in use.
    pub async fn create(&self, admin: FirstAdmin) -> Result<User, ServiceError> {
        let hash = self.passwords.hash(acceptable(admin.password)?).await?;
        self.freshness.caught_up().await?;
        let organization = self.organization(admin.organization, admin.namespace).await?;
        let user = User {
            id: UserId::random(),
            username: admin.username,
            email: admin.email,
            organization,
            role: Role::Superadmin,
            active: true,
            auth: AuthMethod::Local,
            metadata: None,
            token_generation: 0,
            created_at: self.clock.now(),
        };
        let secrets = UserSecrets { password: SecretUpdate::Set(hash), metadata: SecretUpdate::Keep };
        self.users.create(&user, secrets).await?;
        Ok(user)
    }

    async fn organization(&self, name: OrganizationName, namespace: Namespace) -> Result<OrganizationId, ServiceError> {
        let known = |catalog: &Catalog| {
            catalog.organization_by_namespace(namespace.as_str()).map(|organization| organization.record.id)
        };
        if let Some(id) = known(&self.catalog) {
            return Ok(id);
        }
        let organization = Organization {
            id: OrganizationId::random(),
            name,
            namespace: namespace.clone(),
            policy: Policy::default(),
            created_at: self.clock.now(),
        };
        match self.organizations.create(&organization).await {
            Ok(_) => Ok(organization.id),
            Err(StoreError::Taken { field }) => {
                self.freshness.caught_up().await?;
                known(&self.catalog).ok_or_else(|| StoreError::Taken { field }.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
