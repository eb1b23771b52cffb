//! Reads a live cluster's API.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    kubernetes::{ClusterStatus, Topology},
    observation::ProbeResult,
    secret::Kubeconfig,
};

/// Why a live view cannot be given. Every message is for people and names nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// Something answered and refused us, or is not Kubernetes.
    #[error("{0}")]
    Refused(String),
    /// Nothing answered: connection refused, name not found, address not allowed.
    #[error("{0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("{0}")]
    TimedOut(String),
}

/// Reads a live Kubernetes API with a stored kubeconfig.
///
/// - Runs no command, reads no file and uses no proxy that a kubeconfig or our environment names.
/// - Connects to no address the installation denies, checked on the resolved address.
/// - Every method ends within a bounded time, however the peer behaves.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ClusterInspector: Send + Sync {
    /// One cheap look: does it answer, does it accept us, which version is it? A failed look is an outcome too.
    async fn probe(&self, kubeconfig: &Kubeconfig) -> ProbeResult;
    /// What runs in the cluster, as far as it says so `within` that time. A kind that may not be read, or is late, is named in `errors`
    /// and does not fail the rest.
    async fn status(&self, kubeconfig: &Kubeconfig, within: Duration) -> Result<ClusterStatus, InspectError>;
    /// The same as a graph.
    async fn topology(&self, kubeconfig: &Kubeconfig, within: Duration) -> Result<Topology, InspectError>;
}
