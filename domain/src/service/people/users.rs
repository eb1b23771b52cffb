//! Users: who may create, update and delete whom.

use crate::service::{
    change::AttemptError,
    permission::{check_session, permits_user, sees_user},
};
use std::sync::Arc;

use crate::{
    access::{Action, Caller, Target},
    catalog::{Catalog, Page, Scope, Stored, UserView, Visibility},
    document,
    id::{OrganizationId, UserId},
    name::{EmailAddress, Username},
    port::{
        clock::Clock,
        password::PasswordHasher,
        store::{ReadBarrier, SecretUpdate, StoreError, UserSecrets, UserStore},
    },
    revision::Versioned,
    secret::{Password, SecretMap},
    service::{
        Expected, ListRequest, ServiceError,
        change::{check_expected, retry_on_conflict, still_in_use},
        lists::visibility,
        permission::{acts_in, may},
        references::NOT_THERE,
    },
    user::{AuthMethod, Role, User},
};

/// How many of the objects that prevent a deletion are listed.
const NAMED: usize = 20;

/// A request to create a user.
#[derive(Debug)]
pub struct NewUser {
    /// User name.
    pub username: Username,
    /// Password; needed for local users.
    pub password: Option<Password>,
    /// E-mail address.
    pub email: Option<EmailAddress>,
    /// Organization; the caller's own if `None`.
    pub organization: Option<OrganizationId>,
    /// Role.
    pub role: Role,
    /// Whether the user may log in.
    pub active: bool,
    /// How the user authenticates.
    pub auth: AuthMethod,
    /// Free-form metadata.
    pub metadata: Option<SecretMap>,
}

/// Changes to a user; `None` leaves the value unchanged.
#[derive(Debug, Clone, Default)]
pub struct UserPatch {
    /// New user name.
    pub username: Option<Username>,
    /// New e-mail address; `Some(None)` removes it.
    pub email: Option<Option<EmailAddress>>,
    /// New organization.
    pub organization: Option<OrganizationId>,
    /// New role.
    pub role: Option<Role>,
    /// Whether the user may log in.
    pub active: Option<bool>,
    /// Merged into the metadata (RFC 7386).
    pub metadata: Option<SecretMap>,
}

/// Use cases of users.
pub struct Users {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where they are stored.
    pub store: Arc<dyn UserStore>,
    /// Waits until the read model is up to date.
    pub read_barrier: Arc<dyn ReadBarrier>,
    /// Hashes passwords.
    pub passwords: Arc<dyn PasswordHasher>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Authentication methods this installation offers.
    pub auth_methods: Vec<AuthMethod>,
}

impl Users {
    /// Creates a user.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid`; `Conflict` when the name or e-mail address is in use.
    pub async fn create(&self, caller: &Caller, new: NewUser) -> Result<UserView, ServiceError> {
        let organization = new.organization.unwrap_or(caller.organization);
        let home = self
            .catalog
            .organization(organization)
            .filter(|_| acts_in(caller, organization))
            .ok_or_else(|| ServiceError::field("organization", NOT_THERE))?;
        if !may(caller, Action::UserCreate, Target { organization, owner: None }, Some(&home)) {
            return Err(ServiceError::Forbidden(
                "you do not have permission to create users in this organization".into(),
            ));
        }
        check_role(caller, new.role)?;
        if !self.auth_methods.contains(&new.auth) {
            return Err(ServiceError::field("auth", "is not enabled on this installation"));
        }
        let mut secrets = UserSecrets::default();
        match (new.auth, new.password) {
            (AuthMethod::Local, Some(password)) => {
                secrets.password = SecretUpdate::Set(self.passwords.hash(check_password(password)?).await?);
                // Hashing waits for its turn, which may take seconds.
                check_session(&self.catalog, &*self.read_barrier, caller).await?;
            }
            (AuthMethod::Local, None) => return Err(ServiceError::field("password", "is required for a local user")),
            (AuthMethod::Ldap, Some(_)) => {
                return Err(ServiceError::field("password", "must not be set: the directory stores the password"));
            }
            (AuthMethod::Ldap, None) => {}
        }
        let metadata = match new.metadata {
            None => None,
            Some(full) => {
                document::refuse_masks("metadata", &full, &no_schema)?;
                let split = document::split(&full, &no_schema);
                secrets.metadata = split.sealed.into();
                Some(split.shown)
            }
        };
        let user = User {
            id: UserId::random(),
            username: new.username,
            email: new.email,
            organization,
            role: new.role,
            active: new.active,
            auth: new.auth,
            metadata,
            token_generation: 0,
            created_at: self.clock.now(),
        };
        let revision = self.store.create(&user, secrets).await?;
        Ok(UserView { user: Arc::new(Stored::new(user, revision)), organization: Some(home) })
    }

    /// The users the caller may see: all for superadmins, otherwise those of the caller's organization.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn list(&self, caller: &Caller, request: &ListRequest) -> Result<Page<UserView>, ServiceError> {
        let mut scope = request.scope(&self.catalog, caller)?;
        if caller.role == Role::Superadmin && !request.names_namespaces() {
            scope = Scope::All;
        }
        let visible = match visibility(&self.catalog, caller, Action::UserList, Action::UserGet)? {
            // Everybody sees their own account, whatever the policy.
            Visibility::Nothing => Visibility::OwnedBy(caller.user),
            visible => visible,
        };
        Ok(self.catalog.users(&request.listing(scope, visible)))
    }

    /// One user.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, caller: &Caller, id: UserId) -> Result<UserView, ServiceError> {
        let view = self.catalog.user_view(id).filter(|view| sees_user(caller, view));
        view.ok_or_else(|| ServiceError::not_found("user", id))
    }

    /// Updates a user. Nothing is written if nothing changes.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Invalid`, `Conflict`, `ChangedMeanwhile`.
    pub async fn update(
        &self,
        caller: &Caller,
        id: UserId,
        patch: UserPatch,
        expected: Expected,
    ) -> Result<UserView, ServiceError> {
        retry_on_conflict(&*self.read_barrier, || async {
            let view = self.permitted(caller, id)?;
            check_expected(expected, view.user.revision, "the user")?;
            let old = &view.user.record;
            check_changes(caller, old, &patch)?;
            let mut user = old.clone();
            let mut secrets = UserSecrets::default();
            if let Some(username) = &patch.username {
                user.username = username.clone();
            }
            if let Some(email) = &patch.email {
                user.email = email.clone();
            }
            if let Some(organization) = patch.organization {
                self.catalog
                    .organization(organization)
                    .ok_or_else(|| ServiceError::field("organization", NOT_THERE))?;
                user.organization = organization;
            }
            user.role = patch.role.unwrap_or(user.role);
            user.active = patch.active.unwrap_or(user.active);
            if old.active != user.active {
                user.token_generation += 1;
            }
            let depends_on = if is_active_superadmin(old) && !is_active_superadmin(&user) {
                Some(self.other_superadmin(old)?)
            } else {
                None
            };
            if let Some(changes) = &patch.metadata {
                let sealed = self.store.metadata(id).await?;
                let stored = user.metadata.clone().unwrap_or_default();
                let mut full = stored.reveal(sealed.as_ref()).map_err(|error| ServiceError::Internal(error.into()))?;
                let before = full.clone();
                document::merge_patch("metadata", &mut full, changes.clone())?;
                if full != before || user.metadata.is_none() {
                    let split = document::split(&full, &no_schema);
                    user.metadata = Some(split.shown);
                    secrets.metadata = split.sealed.into();
                }
            }
            if user == *old && secrets.metadata.is_keep() {
                return Ok(view);
            }
            match self.store.update(&user, secrets, view.user.revision, depends_on).await {
                Ok(revision) => {
                    let organization = self.catalog.organization(user.organization);
                    Ok(UserView { user: Arc::new(Stored::new(user, revision)), organization })
                }
                Err(StoreError::InUse) => {
                    // What refers to the user may have been created on another replica.
                    self.read_barrier.caught_up().await?;
                    let remaining = self.catalog.remaining_of_user(old, NAMED);
                    if remaining.is_empty() {
                        return Err(AttemptError::Conflict);
                    }
                    Err(still_in_use(old.username.as_str(), &remaining).into())
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Sets the password of the caller, or of a user the caller administers. Invalidates every older token of the user.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Invalid`, `Conflict` when the password is kept in a directory.
    pub async fn set_password(
        &self,
        caller: &Caller,
        id: UserId,
        password: Password,
        expected: Expected,
    ) -> Result<UserView, ServiceError> {
        self.permitted_password(caller, id)?;
        let hash = self.passwords.hash(check_password(password)?).await?;
        retry_on_conflict(&*self.read_barrier, || async {
            let view = self.permitted_password(caller, id)?;
            // After the wait for the hash, and again when another change of the same user came first: that may have been another
            // password set with the same token.
            check_session(&self.catalog, &*self.read_barrier, caller).await?;
            check_expected(expected, view.user.revision, "the user")?;
            let mut user = view.user.record.clone();
            if user.auth != AuthMethod::Local {
                let message = format!(
                    "the password of {} is stored in the directory and cannot be changed in KQueen",
                    user.username
                );
                return Err(ServiceError::conflict(message).into());
            }
            user.token_generation += 1;
            let secrets = UserSecrets { password: SecretUpdate::Set(hash.clone()), metadata: SecretUpdate::Keep };
            let revision = self.store.update(&user, secrets, view.user.revision, None).await?;
            Ok(UserView { user: Arc::new(Stored::new(user, revision)), organization: view.organization })
        })
        .await
    }

    /// Deletes a user who owns nothing. Nobody can delete their own account.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Conflict`, `ChangedMeanwhile`.
    pub async fn delete(&self, caller: &Caller, id: UserId, expected: Expected) -> Result<(), ServiceError> {
        retry_on_conflict(&*self.read_barrier, || async {
            let view = self.get(caller, id)?;
            let user = &view.user.record;
            if !permits_user(caller, Action::delete_user(user.role), &view) {
                return Err(
                    ServiceError::Forbidden(format!("you do not have permission to delete {}", user.username)).into()
                );
            }
            if id == caller.user {
                return Err(ServiceError::conflict("you cannot delete your own account; ask another admin").into());
            }
            check_expected(expected, view.user.revision, "the user")?;
            let remaining = self.catalog.remaining_of_user(user, NAMED);
            if !remaining.is_empty() {
                return Err(still_in_use(user.username.as_str(), &remaining).into());
            }
            let depends_on = if is_active_superadmin(user) { Some(self.other_superadmin(user)?) } else { None };
            self.store.delete(id, view.user.revision, depends_on).await.map_err(AttemptError::of_deletion)
        })
        .await
    }

    /// The user, if the caller may update it at all.
    fn permitted(&self, caller: &Caller, id: UserId) -> Result<UserView, ServiceError> {
        let view = self.get(caller, id)?;
        let user = &view.user.record;
        if !permits_user(caller, Action::UserUpdate, &view) {
            return Err(ServiceError::Forbidden(format!("you do not have permission to change {}", user.username)));
        }
        if user.role == Role::Superadmin && caller.role != Role::Superadmin {
            return Err(ServiceError::Forbidden("only superadmins can change a superadmin".into()));
        }
        Ok(view)
    }

    fn permitted_password(&self, caller: &Caller, id: UserId) -> Result<UserView, ServiceError> {
        let view = self.permitted(caller, id)?;
        if id != caller.user && caller.role == Role::Member {
            return Err(ServiceError::Forbidden("only admins can set the password of another user".into()));
        }
        Ok(view)
    }

    /// Another active superadmin, who remains when `user` no longer is one. The write depends on that user's revision, so that two
    /// superadmins who remove each other at the same time cannot leave none.
    fn other_superadmin(&self, user: &User) -> Result<Versioned<UserId>, ServiceError> {
        let users = self.catalog.users(&ListRequest::default().listing(Scope::All, Visibility::All));
        let mut others = users.items.iter().map(|view| &view.user).filter(|other| other.record.id != user.id);
        let other = others.find(|other| is_active_superadmin(&other.record)).ok_or_else(|| {
            let text = format!("{} is the last active superadmin; add another one first", user.username);
            ServiceError::conflict(text)
        })?;
        Ok(Versioned { value: other.record.id, revision: other.revision })
    }
}

/// Whether the user is an active superadmin.
fn is_active_superadmin(user: &User) -> bool {
    user.role == Role::Superadmin && user.active
}

/// Checks whether the caller's role allows these changes.
fn check_changes(caller: &Caller, old: &User, patch: &UserPatch) -> Result<(), ServiceError> {
    let forbidden = |text: &str| Err(ServiceError::Forbidden(text.into()));
    let role = patch.role.filter(|role| *role != old.role);
    let active = patch.active.filter(|active| *active != old.active);
    let organization = patch.organization.filter(|organization| *organization != old.organization);
    let username = patch.username.as_ref().filter(|username| **username != old.username);
    if caller.role == Role::Member {
        if role.is_some() || active.is_some() || username.is_some() || organization.is_some() {
            return forbidden("members can change only their own e-mail address, metadata and password");
        }
        if old.role != Role::Member {
            return forbidden("members cannot change admins");
        }
        // The e-mail address can be used to reset the password.
        if old.id != caller.user && patch.email.as_ref().is_some_and(|email| *email != old.email) {
            return forbidden("members can change only their own e-mail address");
        }
    }
    if organization.is_some() && caller.role != Role::Superadmin {
        return forbidden("only superadmins can move users to another organization");
    }
    if let Some(role) = role {
        check_role(caller, role)?;
    }
    Ok(())
}

/// Nobody can assign a role above their own.
fn check_role(caller: &Caller, role: Role) -> Result<(), ServiceError> {
    if role > caller.role || (role == Role::Superadmin && caller.role != Role::Superadmin) {
        return Err(ServiceError::Forbidden(format!("you do not have permission to assign the role {role}")));
    }
    Ok(())
}

/// Checks the length of a password.
pub(super) fn check_password(password: Password) -> Result<Password, ServiceError> {
    if Password::LENGTH.contains(&password.expose().chars().count()) {
        return Ok(password);
    }
    Err(ServiceError::field(
        "password",
        format!("must have {} to {} characters", Password::LENGTH.start(), Password::LENGTH.end()),
    ))
}

/// Users' metadata has no schema; secret parts are recognized only by their names.
const fn no_schema(_path: &[&str]) -> bool {
    false
}
