//! Implementations of the ports of [`kqueen_domain`]: stores, leader election, live clusters, tokens, password hashing, engines, and
//! the HTTP client for providers.

pub mod clock;
pub mod engine;
pub mod inspector;
pub mod leader;
pub mod outbound;
pub mod password;
pub mod storage;
pub mod token;
