//! Runs the product against the [model provider](crate::model), one reconciliation at a time, on a clock that the test advances.
//!
//! A [`Process`] is the in-memory state of a process of the product on a separate runtime. Dropping it stops everything at once, as
//! `kill -9` does. A [`World`] has a provider, a store and one or two processes on it, reconciles with them until a cluster has settled,
//! and then checks the invariants.

mod judge;
mod process;
mod world;

pub use self::{
    process::{Parts, Process},
    world::{Customer, Rest, World},
};
