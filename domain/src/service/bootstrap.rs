//! The first superadmin.

use std::sync::Arc;

use crate::{
    access::Policy,
    catalog::Catalog,
    id::{OrganizationId, UserId},
    name::{EmailAddress, Namespace, OrganizationName, Username},
    organization::Organization,
    port::{
        clock::Clock,
        password::PasswordHasher,
        store::{Change, Freshness, OrganizationStore, StoreError, UserSecrets, UserStore},
    },
    secret::Password,
    service::{ServiceError, users::acceptable},
    user::{AuthMethod, Role, User},
};

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

/// Makes superadmins from the machine the service runs on.
pub struct Bootstrap {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where organizations are stored.
    pub organizations: Arc<dyn OrganizationStore>,
    /// Where users are stored.
    pub users: Arc<dyn UserStore>,
    /// How far the read model is.
    pub freshness: Arc<dyn Freshness>,
    /// Hashes passwords.
    pub passwords: Arc<dyn PasswordHasher>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Bootstrap {
    /// Makes the admin if the store has no user yet. Whether it did; of several replicas that start at once one does.
    ///
    /// # Errors
    /// The store's.
    pub async fn on_empty_store(&self, admin: FirstAdmin) -> Result<bool, ServiceError> {
        self.freshness.caught_up().await?;
        let counts = self.catalog.user_counts();
        if counts.by_role.values().sum::<usize>() > 0 {
            return Ok(false);
        }
        match self.create(admin).await {
            Ok(_) => Ok(true),
            Err(ServiceError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
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
        let secrets = UserSecrets { password: Change::Set(hash), metadata: Change::Keep };
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
