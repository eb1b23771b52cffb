//! The ports of [`kqueen_domain`], met with real technology: stores, leadership, live clusters, tokens, password hashing, engines.

pub mod clock;
pub mod engine;
pub mod inspector;
pub mod leader;
pub mod password;
pub mod storage;
pub mod token;
