//! Bootstrap: the first superadmin and the first provisioners.

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
    service::{ServiceError, people::users::check_password, provisioners::checks},
    user::{AuthMethod, Role, User},
};

/// The message while no user exists: nobody can log in, and what the operator can do.
pub const NO_USER_YET: &str = "no user exists yet, so nobody can log in; the operator of this installation creates the first superadmin \
                               with `kqueen create-admin`, or sets KQUEEN_BOOTSTRAP_ADMIN_PASSWORD and restarts KQueen";

/// Whether no user exists, taking writes of every replica into account.
///
/// # Errors
/// `Unavailable` when this cannot be determined.
pub async fn no_user_exists(catalog: &Catalog, barrier: &dyn ReadBarrier) -> Result<bool, StoreError> {
    if catalog.has_users() {
        return Ok(false);
    }
    // Another replica, or the command line, may have created one just now.
    barrier.caught_up().await?;
    Ok(!catalog.has_users())
}

/// A superadmin to be created without a login.
#[derive(Debug)]
pub struct FirstAdmin {
    /// User name.
    pub username: Username,
    /// Password.
    pub password: Password,
    /// E-mail address.
    pub email: Option<EmailAddress>,
    /// Name of the organization, if it has to be created.
    pub organization: OrganizationName,
    /// Namespace of the organization.
    pub namespace: Namespace,
}

/// A provisioner created for the first superadmin, who owns it.
pub struct FirstProvisioner {
    /// Its name.
    pub name: ResourceName,
    /// Its engine, which this installation offers.
    pub engine: Arc<dyn Engine>,
    /// The engine's parameters.
    pub parameters: SecretMap,
}

/// Creates superadmins from the machine the service runs on.
pub struct Bootstrap {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where organizations are stored.
    pub organizations: Arc<dyn OrganizationStore>,
    /// Where users are stored.
    pub users: Arc<dyn UserStore>,
    /// Where provisioners are stored.
    pub provisioners: Arc<dyn ProvisionerStore>,
    /// Waits until the read model is up to date.
    pub read_barrier: Arc<dyn ReadBarrier>,
    /// Hashes passwords.
    pub passwords: Arc<dyn PasswordHasher>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Bootstrap {
    /// Whether no user exists, so that nobody can log in.
    ///
    /// # Errors
    /// `Unavailable` when this cannot be determined.
    pub async fn awaited(&self) -> Result<bool, ServiceError> {
        Ok(no_user_exists(&self.catalog, &*self.read_barrier).await?)
    }

    /// Creates the admin and then the provisioners if the store has no user yet. Returns whether it did: if several replicas start at
    /// once, exactly one does.
    ///
    /// # Errors
    /// Errors of the store; `Invalid` for parameters that the engine does not accept.
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
            self.create_provisioner(&owner, provisioner).await?;
        }
        Ok(true)
    }

    async fn create_provisioner(&self, owner: &User, first: FirstProvisioner) -> Result<(), ServiceError> {
        let descriptor = first.engine.descriptor();
        let parameters = descriptor.provisioner.validate("parameters", &first.parameters)?;
        let check = checks::check(&*first.engine, &parameters, &*self.clock).await;
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

    /// Creates a superadmin, and the organization if it does not exist.
    ///
    /// # Errors
    /// `Invalid` for an unacceptable password; `Conflict` when the name or e-mail address is in use.
    pub async fn create(&self, admin: FirstAdmin) -> Result<User, ServiceError> {
        let hash = self.passwords.hash(check_password(admin.password)?).await?;
        self.read_barrier.caught_up().await?;
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
        let find = |catalog: &Catalog| {
            catalog.organization_by_namespace(namespace.as_str()).map(|organization| organization.record.id)
        };
        if let Some(id) = find(&self.catalog) {
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
                self.read_barrier.caught_up().await?;
                find(&self.catalog).ok_or_else(|| StoreError::Taken { field }.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
