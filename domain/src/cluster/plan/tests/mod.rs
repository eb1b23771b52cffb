//! Decisions of the planner: as tables, as properties over arbitrary input, and in simulated reconciliations.

mod arbitrary;
mod case;
mod cloud;
mod property;
mod reasons;
mod replay;
mod table;
mod whim;
