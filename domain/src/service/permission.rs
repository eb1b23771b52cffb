//! What a caller may see and do, by the policy of the organization.

use crate::{
    access::{Action, Caller, Target, allows},
    catalog::{ProvisionerView, Stored, UserView},
    id::OrganizationId,
    organization::Organization,
    user::Role,
};

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
