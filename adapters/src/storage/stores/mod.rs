//! The domain's storage ports over any [backend](super::backend): which keys a record has, and which conditions a write has.

mod barrier;
mod clusters;
mod organizations;
mod orphans;
mod provisioners;
mod users;

pub(crate) use barrier::Barrier;
pub(crate) use clusters::Clusters;
pub(crate) use organizations::Organizations;
pub(crate) use orphans::Orphans;
pub(crate) use provisioners::Provisioners;
pub(crate) use users::Users;
