//! A simulated Azure Kubernetes Service: the login host with its OpenID configuration and token endpoint, Azure Resource Manager with
//! what a caller asks it before it makes a cluster, and the managed clusters themselves.
//!
//! All of it is at one address, over TLS, as Azure's own clients take nothing else: `/{tenant}/…` is the login host, `/subscriptions/…`
//! is Resource Manager.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`provider`] | who may do what; what the parts that all simulators share ask of it |
//! | `method`, `check` | what Microsoft has published: methods and schemas |
//! | [`account`], `login`, `permission` | service principals, secrets, tokens, what each method needs |
//! | [`subscription`], `catalog` | resource groups, registrations, quotas; regions, VM sizes, versions |
//! | [`cluster`], [`pool`], `operation`, `progress` | what is kept; what is under way, and what comes of it |
//! | `managed_clusters`, `agent_pools`, `put`, `arm` | what each method does |
//! | `kubeconfig`, `error` | kubeconfigs; refusals in Azure's words, in both forms |
//! | [`control`] | what tests and people do with it |
//! | [`command`] | the program `simulator aks` |

pub mod account;
pub mod catalog;
pub mod cluster;
pub mod command;
pub mod control;
pub mod pool;
pub mod provider;
pub mod subscription;

mod agent_pools;
mod arm;
mod check;
mod error;
mod kubeconfig;
mod login;
mod managed_clusters;
mod method;
mod operation;
mod permission;
mod progress;
mod put;
#[cfg(test)]
mod tests;

pub use account::Principal;
pub use cluster::{Cluster, ClusterName};
pub use control::Event;
pub use pool::AgentPool;
pub use provider::Aks;

use super::{Options, SimulatedClock, Simulator, kubernetes::Kubernetes, tls::Tls};

/// The only version of the container service's API that there is.
pub const API_VERSION: &str = "2026-08-01";

/// A running simulator of AKS.
pub type AksSimulator = Simulator<Aks>;

/// Starts one without customers on a free port, whose clusters lead to simulated API servers. It speaks TLS: whoever calls it has to
/// trust [`Simulator::authority`].
///
/// # Panics
/// There is no free port.
pub async fn start(clock: SimulatedClock) -> AksSimulator {
    start_with(Kubernetes::Simulated, clock, Options::default()).await
}

/// The same, with other clusters or another behaviour.
///
/// # Panics
/// The port is taken.
pub async fn start_with(kubernetes: Kubernetes, clock: SimulatedClock, options: Options) -> AksSimulator {
    Simulator::start(Aks::new(kubernetes), clock, Some(Tls::on_loopback()), options).await.unwrap()
}
