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

/// What is said of a reference that is missing and of one that the caller may not see: the same.
pub const NOT_THERE: &str = "refers to something that is not there";

/// Reads `"<kind>:<uuid>"`.
///
/// # Errors
/// It has another form.
pub fn parse<T: FromStr>(kind: &str, text: &str) -> Result<T, String> {
    text.strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix(':'))
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| format!("must be \"{kind}:<uuid>\""))
}

/// The user who is to own something in `organization`.
///
/// # Errors
/// The user is not there, or belongs to another organization; a member names somebody else.
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
        return Err(ServiceError::Forbidden("only admins make somebody else the owner".into()));
    }
    Ok(owner)
}

/// The user who is to own something that somebody owns already.
///
/// # Errors
/// As [`owner`]; a member neither gives nor takes, since a rule that lets members change a thing would then let them do all that
/// owners may.
pub(super) fn new_owner(
    catalog: &Catalog,
    caller: &Caller,
    new: UserId,
    organization: OrganizationId,
) -> Result<UserId, ServiceError> {
    if caller.role == Role::Member {
        return Err(ServiceError::Forbidden("only admins change who owns something".into()));
    }
    owner(catalog, caller, new, organization)
}

/// A user the caller sees.
pub(super) fn visible_user(catalog: &Catalog, caller: &Caller, user: UserId) -> Result<UserView, Invalid> {
    let view = catalog.user_view(user).filter(|view| sees_user(caller, view));
    view.ok_or_else(|| Invalid::field("owner", NOT_THERE))
}

/// A provisioner the caller sees.
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
    fn a_reference_names_its_kind() {
        let id = UserId::random();
        assert_eq!(parse::<UserId>("User", &format!("User:{id}")), Ok(id));
        for wrong in [format!("Provisioner:{id}"), id.to_string(), "User:".into(), "User:x".into(), format!("User{id}")]
        {
            assert!(parse::<UserId>("User", &wrong).is_err(), "{wrong}");
        }
    }
}
