//! The use cases, one file per resource. Each asks [`access`](crate::access) with the target in hand, decides, and stores.
//!
//! What the caller may not see is [`ServiceError::NotFound`]; what the caller may see but not do is [`ServiceError::Forbidden`].

pub mod bootstrap;
pub mod clusters;
pub mod live;
pub mod looks;
pub mod organizations;
pub mod provisioners;
pub mod references;
pub mod sessions;
pub mod throttle;
pub mod users;

mod error;
mod lists;

pub use error::ServiceError;
pub use lists::ListRequest;

use crate::{access::Caller, id::OrganizationId, port::store::Revision};

/// What a request to change or delete expects the record to be at.
pub type Expected = Option<Revision>;

/// How often a change is tried again when others change the same record, before it is given up.
const ATTEMPTS: usize = 8;

/// A superadmin acts anywhere, others in their own organization.
fn acts_in(caller: &Caller, organization: OrganizationId) -> bool {
    caller.role == crate::user::Role::Superadmin || caller.organization == organization
}

#[cfg(test)]
mod tests;
