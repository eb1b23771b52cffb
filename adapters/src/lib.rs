//! Implementations of the ports of [`kqueen_domain`]: stores, leader election, live clusters, tokens, password hashing and engines.

pub mod clock;
pub mod engine;
pub mod inspector;
pub mod leader;
pub mod password;
pub mod storage;
pub mod token;
