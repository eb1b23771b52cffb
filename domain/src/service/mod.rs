//! The use cases, one file per resource. Each asks [`access`](crate::access) with the target in hand, decides, and stores.
//!
//! What the caller may not see is [`ServiceError::NotFound`]; what the caller may see but not do is [`ServiceError::Forbidden`].

pub mod bootstrap;
pub mod checks;
pub mod clusters;
pub mod live;
pub mod organizations;
pub mod orphans;
pub mod providers;
pub mod provisioners;
pub mod reconcile;
pub mod references;
pub mod sessions;
pub mod throttle;
pub mod users;

mod error;
mod lists;

pub use error::ServiceError;
pub use lists::ListRequest;

use crate::{
    access::{Action, Caller, Target, allows},
    catalog::Stored,
    id::OrganizationId,
    organization::Organization,
    revision::Revision,
    user::Role,
};

/// What a request to change or delete expects the record to be at.
pub type Expected = Option<Revision>;

/// How often a change is tried again when others change the same record, before it is given up.
const ATTEMPTS: usize = 8;

/// A superadmin acts anywhere, others in their own organization.
fn acts_in(caller: &Caller, organization: OrganizationId) -> bool {
    caller.role == Role::Superadmin || caller.organization == organization
}

/// Whether `caller` may do `action` to something in `organization`. Where the organization is not there, its policy is not known,
/// and the answer is no to everybody whom a policy binds.
fn may(caller: &Caller, action: Action, target: Target, organization: Option<&Stored<Organization>>) -> bool {
    match organization {
        Some(organization) => allows(caller, action, target, &organization.record.policy),
        None => caller.role == Role::Superadmin,
    }
}

#[cfg(test)]
mod tests;
