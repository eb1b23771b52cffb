//! The product played against the [model provider](crate::model), turn by turn, on a clock that the test moves on.
//!
//! A [`Process`] is what a process of the product holds in memory, on a runtime of its own: ending it drops all of that at whatever it was
//! just doing, as `kill -9` does. A [`World`] has a provider, a store and one or two processes on it, takes turns with them until a
//! cluster is at rest, and judges what is there then.

mod judge;
mod process;
mod world;

pub use self::{
    process::{Parts, Process},
    world::{Customer, Rest, World},
};
