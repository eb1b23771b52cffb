//! References in request bodies: `"User:<uuid>"`.

use crate::service::permission::{sees_provisioner, sees_user};
use std::str::FromStr;

use crate::{
    access::Caller,
    catalog::{Catalog, ProvisionerView, UserView},
    id::{OrganizationId, ProvisionerId, UserId},
    invalid::Invalid,
    service::{ServiceError, permission::acts_in},
    user::Role,
};

/// The message for a reference to an object that does not exist, or that the caller may not see: the two cannot be distinguished.
pub const NOT_THERE: &str = "refers to an object that does not exist";

/// Reads `"<kind>:<uuid>"`.
///
/// # Errors
/// The text has another form.
pub fn parse<T: FromStr>(kind: &str, text: &str) -> Result<T, String> {
    text.strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix(':'))
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| format!("must be \"{kind}:<uuid>\""))
}

/// Checks the owner of a new object in `organization`.
///
/// # Errors
/// The user does not exist, or belongs to another organization; a member names another user.
pub(super) fn owner(
    catalog: &Catalog,
    caller: &Caller,
    owner: UserId,
    organization: OrganizationId,
) -> Result<UserId, ServiceError> {
    if owner == caller.user && acts_in(caller, organization) {
        return Ok(owner);
    }
    let view = visible_user(catalog, caller, owner)?;
    if view.user.record.organization != organization {
        return Err(Invalid::field("owner", NOT_THERE).into());
    }
    if caller.role == Role::Member {
        return Err(ServiceError::Forbidden("only admins can make another user the owner".into()));
    }
    Ok(owner)
}

/// Checks the new owner of an object that has an owner already.
///
/// # Errors
/// As [`owner`]; and members never change the owner: a rule that lets members update an object would otherwise give them every right
/// of its owner.
pub(super) fn new_owner(
    catalog: &Catalog,
    caller: &Caller,
    new: UserId,
    organization: OrganizationId,
) -> Result<UserId, ServiceError> {
    if caller.role == Role::Member {
        return Err(ServiceError::Forbidden("only admins can change the owner".into()));
    }
    owner(catalog, caller, new, organization)
}

/// A user the caller may see.
pub(super) fn visible_user(catalog: &Catalog, caller: &Caller, user: UserId) -> Result<UserView, Invalid> {
    let view = catalog.user_view(user).filter(|view| sees_user(caller, view));
    view.ok_or_else(|| Invalid::field("owner", NOT_THERE))
}

/// A provisioner the caller may see.
pub(super) fn visible_provisioner(
    catalog: &Catalog,
    caller: &Caller,
    provisioner: ProvisionerId,
) -> Result<ProvisionerView, Invalid> {
    let view = catalog.provisioner(provisioner);
    let view = view.filter(|view| sees_provisioner(caller, view));
    view.ok_or_else(|| Invalid::field("provisioner", NOT_THERE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_must_name_its_kind() {
        let id = UserId::random();
        assert_eq!(parse::<UserId>("User", &format!("User:{id}")), Ok(id));
        for wrong in [format!("Provisioner:{id}"), id.to_string(), "User:".into(), "User:x".into(), format!("User{id}")]
        {
            assert!(parse::<UserId>("User", &wrong).is_err(), "{wrong}");
        }
    }
}
