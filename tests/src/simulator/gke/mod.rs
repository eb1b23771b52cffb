//! A simulated Google Kubernetes Engine: the OAuth token endpoint, the container API in both forms of its paths and both encodings of
//! its enums, and the parts of Compute Engine that say what is offered and what is left.
//!
//! All of it is at one address: `/token`, `/v1/…`, `/compute/v1/…`.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`provider`] | who may do what; what the parts that all simulators share ask of it |
//! | `method`, `encoding`, `check` | what Google has published: methods, schemas, numbers of enums |
//! | [`account`] | service accounts, assertions, tokens |
//! | [`project`], `catalog` | what is switched on, quotas; places, machine types, versions |
//! | [`cluster`], [`pool`], `operation`, `progress` | what is kept; what is under way, and what comes of it |
//! | `container`, `compute`, `error` | what each method does; refusals in Google's words |
//! | [`control`] | what tests and people do with it |
//! | [`command`] | the program `simulator gke` |

pub mod account;
pub mod catalog;
pub mod cluster;
pub mod command;
pub mod control;
pub mod pool;
pub mod project;
pub mod provider;

mod check;
mod compute;
mod container;
mod encoding;
mod error;
mod method;
mod operation;
mod progress;
#[cfg(test)]
mod tests;

pub use account::ServiceAccount;
pub use cluster::{Cluster, ClusterName};
pub use control::Event;
pub use pool::NodePool;
pub use provider::Gke;

use super::{Options, SimulatedClock, Simulator, kubernetes::Kubernetes};

/// A running simulator of GKE.
pub type GkeSimulator = Simulator<Gke>;

/// Starts one without customers on a free port, whose clusters lead to simulated API servers.
///
/// # Panics
/// There is no free port.
pub async fn start(clock: SimulatedClock) -> GkeSimulator {
    Simulator::start(Gke::new(Kubernetes::Simulated), clock, None, Options::default()).await.unwrap()
}
