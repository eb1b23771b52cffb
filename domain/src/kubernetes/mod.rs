//! What we show of a live cluster: its objects, and from them a summary ([`ClusterStatus`]) and a graph ([`Topology`]).
//!
//! The objects carry the fields of the Kubernetes API that are shown, by its names; they are read from its JSON and nothing is
//! ever written back. Values of environment variables are not among them.

mod addon;
mod fragment;
mod network;
mod node;
mod object;
mod pod;
mod snapshot;
mod storage;
mod topology;
mod workload;

pub use addon::Addon;
pub use fragment::{Fragment, IntOrText};
pub use network::*;
pub use node::*;
pub use object::*;
pub use pod::*;
pub use snapshot::{ClusterStatus, Fault, ReadError, Section, Snapshot, VersionInfo};
pub use storage::*;
pub use topology::{Item, Relation, Topology};
pub use workload::*;
