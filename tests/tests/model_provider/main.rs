//! The model provider does what its description says, and its engine keeps the contract of engines: what other tests find with them is
//! worth as much as they can be relied on.

mod customer;
mod engine;
mod engine_faults;
mod faults;
mod provider;
mod site;
