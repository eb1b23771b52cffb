//! Clusters are not looked at yet.
use async_trait::async_trait;
use kqueen_domain::{
    cluster::Look,
    kubeconfig::AddressRules,
    kubernetes::{ClusterStatus, Topology},
    port::inspector::{ClusterInspector, InspectError},
    secret::Kubeconfig,
};
use std::time::Duration;
/// Bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time of one look.
    pub look: Duration,
}
impl Default for Limits {
    fn default() -> Self {
        Self { look: Duration::from_secs(10) }
    }
}
/// Sees nothing.
pub struct KubeInspector;
impl KubeInspector {
    /// A new one.
    #[must_use]
    pub fn new(_: AddressRules, _: Limits) -> Self {
        Self
    }
}
#[async_trait]
impl ClusterInspector for KubeInspector {
    async fn look(&self, _: &Kubeconfig) -> Look {
        Look::Silent { reason: "clusters are not looked at yet".into() }
    }
    async fn status(&self, _: &Kubeconfig) -> Result<ClusterStatus, InspectError> {
        Err(InspectError::Unreachable("clusters are not looked at yet".into()))
    }
    async fn topology(&self, _: &Kubeconfig) -> Result<Topology, InspectError> {
        Err(InspectError::Unreachable("clusters are not looked at yet".into()))
    }
}
