//! People and programs with an account: organizations, users, sessions, and how the first of them come to be.

pub mod bootstrap;
pub mod organizations;
pub mod sessions;
pub mod throttle;
pub mod users;
