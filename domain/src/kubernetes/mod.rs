//! The live view of a cluster: its objects, a summary ([`ClusterStatus`]) and a graph ([`Topology`]) of them.
//!
//! The objects have those fields of the Kubernetes API that are shown, with the same names. They are only read, never written.
//! Values of environment variables are not included.

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
