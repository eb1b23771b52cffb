//! Organizations, users, sessions, and the bootstrap of the first superadmin.

pub mod bootstrap;
pub mod organizations;
pub mod sessions;
pub mod throttle;
pub mod users;
