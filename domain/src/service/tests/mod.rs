//! The use cases with doubles of their ports: who may do what, what is stored, what is refused and in which words.

mod cluster_access;
mod clusters;
mod user_access;
mod users;
mod world;
