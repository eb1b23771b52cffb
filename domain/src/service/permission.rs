//! What a caller may see and do, by the policy of the organization.

use crate::{
    access::{Action, Caller, Target, allows},
    catalog::{Catalog, ProvisionerView, Stored, UserView},
    id::OrganizationId,
    organization::Organization,
    port::store::ReadBarrier,
    service::ServiceError,
    user::Role,
};

/// Checks that the caller's session still holds, after work that took long enough for it to end: the user is active, in the same
/// organization, with the same role, and the token has not been invalidated by another password.
///
/// # Errors
/// `Unauthenticated`, `Unavailable`.
pub(super) async fn check_session(
    catalog: &Catalog,
    read_barrier: &dyn ReadBarrier,
    caller: &Caller,
) -> Result<(), ServiceError> {
    read_barrier.caught_up().await?;
    let user = catalog.user(caller.user).filter(|user| user.record.active);
    let holds = user.is_some_and(|user| Caller::of(&user.record) == *caller);
    if holds { Ok(()) } else { Err(SESSION_ENDED) }
}

/// The error for a token whose user no longer exists, is not active, or has another password.
pub(super) const SESSION_ENDED: ServiceError = ServiceError::Unauthenticated("the session has ended; log in again");

/// A superadmin acts anywhere, others in their own organization.
pub(super) fn acts_in(caller: &Caller, organization: OrganizationId) -> bool {
    caller.role == Role::Superadmin || caller.organization == organization
}

/// Whether `caller` may do `action` to a target in `organization`. Without the organization its policy is not known: only superadmins,
/// whom no policy binds, are allowed.
pub(super) fn may(
    caller: &Caller,
    action: Action,
    target: Target,
    organization: Option<&Stored<Organization>>,
) -> bool {
    match organization {
        Some(organization) => allows(caller, action, target, &organization.record.policy),
        None => caller.role == Role::Superadmin,
    }
}

/// Whether the caller may see the user; everybody sees their own account.
#[must_use]
pub fn sees_user(caller: &Caller, view: &UserView) -> bool {
    view.user.record.id == caller.user || permits_user(caller, Action::UserGet, view)
}

/// Whether the caller may see the provisioner.
#[must_use]
pub fn sees_provisioner(caller: &Caller, view: &ProvisionerView) -> bool {
    permits_provisioner(caller, Action::ProvisionerGet, view)
}

/// Whether the policy of the user's organization lets the caller do `action` to the user.
pub(super) fn permits_user(caller: &Caller, action: Action, view: &UserView) -> bool {
    let user = &view.user.record;
    let target = Target { organization: user.organization, owner: Some(user.id) };
    may(caller, action, target, view.organization.as_deref())
}

/// Whether the policy of the provisioner's organization lets the caller do `action` to it.
pub(super) fn permits_provisioner(caller: &Caller, action: Action, view: &ProvisionerView) -> bool {
    let provisioner = &view.provisioner.record;
    let target = Target { organization: provisioner.organization, owner: Some(provisioner.owner) };
    may(caller, action, target, view.organization.as_deref())
}
