//! Clusters made elsewhere, known by their kubeconfig. Nothing is driven: a cluster is attached, looked at, and detached.

use async_trait::async_trait;
use kqueen_domain::{
    ledger::ResourceRef,
    observation::{EngineError, InventoryItem, Observation},
    operation::NetworkPolicy,
    parameter::{Field, FieldKind, ParameterSchema},
    port::engine::{Capabilities, ClusterSpec, Engine, EngineDescriptor, ProviderCredentials},
    secret::{SecretMap, SecretValue},
};
use uuid::Uuid;

/// The engine that attaches clusters.
pub struct ManualEngine(EngineDescriptor);

impl Default for ManualEngine {
    fn default() -> Self {
        let kubeconfig = Field::required("kubeconfig", "Kubeconfig", FieldKind::YamlFile)
            .keys(&["apiVersion", "kind"])
            .secret()
            .help("Tokens, client certificates, or user name and password; commands and names of files are refused.");
        Self(EngineDescriptor {
            name: "kqueen.engines.ManualEngine",
            verbose_name: "Manual Engine",
            provisioner: ParameterSchema::default(),
            cluster: ParameterSchema::new(&[kubeconfig]),
            capabilities: Capabilities { progress: true, ..Capabilities::default() },
        })
    }
}

#[async_trait]
impl Engine for ManualEngine {
    fn descriptor(&self) -> &EngineDescriptor {
        &self.0
    }

    async fn check(&self, _parameters: &SecretMap) -> Result<(), EngineError> {
        // There is no provider whose credentials could be wrong.
        Ok(())
    }

    fn makes(&self, _access: &ProviderCredentials, _order: &ClusterSpec) -> Vec<ResourceRef> {
        Vec::new()
    }

    async fn observe(&self, _access: &ProviderCredentials, _order: &ClusterSpec) -> Result<Observation, EngineError> {
        Err(NOTHING_TO_DRIVE)
    }

    async fn deploy(&self, _access: &ProviderCredentials, _order: &ClusterSpec) -> Result<(), EngineError> {
        Err(NOTHING_TO_DRIVE)
    }

    async fn resize(
        &self,
        _access: &ProviderCredentials,
        _order: &ClusterSpec,
        _node_count: u32,
    ) -> Result<(), EngineError> {
        Err(NOTHING_TO_DRIVE)
    }

    async fn set_network_policy(
        &self,
        _access: &ProviderCredentials,
        _order: &ClusterSpec,
        _policy: &NetworkPolicy,
    ) -> Result<(), EngineError> {
        Err(NOTHING_TO_DRIVE)
    }

    async fn destroy(&self, _access: &ProviderCredentials, _order: &ClusterSpec) -> Result<(), EngineError> {
        Err(NOTHING_TO_DRIVE)
    }

    async fn kubeconfig(
        &self,
        _access: &ProviderCredentials,
        _order: &ClusterSpec,
    ) -> Result<SecretValue, EngineError> {
        Err(NOTHING_TO_DRIVE)
    }

    async fn inventory(
        &self,
        _access: &ProviderCredentials,
        _installation: Uuid,
    ) -> Result<Vec<InventoryItem>, EngineError> {
        Err(NOTHING_TO_DRIVE)
    }
}

/// There is no provider behind an attached cluster.
const NOTHING_TO_DRIVE: EngineError = EngineError::Unsupported("drive a provider: it only attaches clusters");
