//! Reads a live cluster's API.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    kubernetes::{ClusterStatus, Topology},
    observation::ProbeResult,
    secret::Kubeconfig,
};

/// Why a live cluster cannot be read. Messages are for people and contain nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// The answer was a refusal, or not from Kubernetes.
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
/// - Runs no command, reads no file and uses no proxy named in a kubeconfig or in our environment.
/// - Does not connect to addresses that the installation denies; the resolved address is checked.
/// - Every method returns within a bounded time, whatever the peer does.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ClusterInspector: Send + Sync {
    /// A cheap probe: does it answer, does it grant access, which version is it? A failed probe is a result, not an error.
    async fn probe(&self, kubeconfig: &Kubeconfig) -> ProbeResult;
    /// What runs in the cluster, as far as it answers `within` that time. Kinds that may not be read, or are late, are listed in `errors`
    /// and do not fail the rest.
    async fn status(&self, kubeconfig: &Kubeconfig, within: Duration) -> Result<ClusterStatus, InspectError>;
    /// The same, as a graph.
    async fn topology(&self, kubeconfig: &Kubeconfig, within: Duration) -> Result<Topology, InspectError>;
}
