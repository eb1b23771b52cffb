//! The use cases, by subject: [`people`], [`provisioners`], [`clusters`], and [`reconcile`], which the leading replica runs in the
//! background. Each checks [`access`](crate::access) to the target, decides, and stores.
//!
//! What the caller may not see is [`ServiceError::NotFound`]; what the caller may see but not do is [`ServiceError::Forbidden`].

mod change;
pub mod clusters;
mod error;
pub mod idempotency;
mod lists;
pub mod people;
pub mod permission;
pub mod provisioners;
pub mod reconcile;
pub mod references;

pub use self::{change::Expected, error::ServiceError, lists::ListRequest};

#[cfg(test)]
mod tests;
