//! The use cases, by subject: [`people`], [`provisioners`], [`clusters`], and what the leading replica does by itself, [`reconcile`]. Each asks [`access`](crate::access) with the target in hand, decides, and stores.
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
