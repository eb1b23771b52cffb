//! The decision as tables that can be read, as properties of whatever is stored and observed, and played turn by turn.

mod arbitrary;
mod case;
mod cloud;
mod property;
mod reasons;
mod replay;
mod table;
mod whim;
