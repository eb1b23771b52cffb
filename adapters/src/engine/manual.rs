//! Clusters created elsewhere, known by their kubeconfig. No provider is called: a cluster is attached, probed and detached.

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
            .help("Tokens, client certificates, or user name and password; commands and file names are rejected.");
        Self(EngineDescriptor {
            name: "kqueen.engines.ManualEngine",
            verbose_name: "Manual Engine",
            provisioner: ParameterSchema::default(),
            cluster: ParameterSchema::new(vec![kubeconfig]),
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

    fn makes(&self, _credentials: &ProviderCredentials, _spec: &ClusterSpec) -> Vec<ResourceRef> {
        Vec::new()
    }

    async fn observe(
        &self,
        _credentials: &ProviderCredentials,
        _spec: &ClusterSpec,
    ) -> Result<Observation, EngineError> {
        Err(NO_PROVIDER)
    }

    async fn deploy(&self, _credentials: &ProviderCredentials, _spec: &ClusterSpec) -> Result<(), EngineError> {
        Err(NO_PROVIDER)
    }

    async fn resize(
        &self,
        _credentials: &ProviderCredentials,
        _spec: &ClusterSpec,
        _node_count: u32,
    ) -> Result<(), EngineError> {
        Err(NO_PROVIDER)
    }

    async fn set_network_policy(
        &self,
        _credentials: &ProviderCredentials,
        _spec: &ClusterSpec,
        _policy: &NetworkPolicy,
    ) -> Result<(), EngineError> {
        Err(NO_PROVIDER)
    }

    async fn destroy(&self, _credentials: &ProviderCredentials, _spec: &ClusterSpec) -> Result<(), EngineError> {
        Err(NO_PROVIDER)
    }

    async fn kubeconfig(
        &self,
        _credentials: &ProviderCredentials,
        _spec: &ClusterSpec,
    ) -> Result<SecretValue, EngineError> {
        Err(NO_PROVIDER)
    }

    async fn inventory(
        &self,
        _credentials: &ProviderCredentials,
        _installation: Uuid,
    ) -> Result<Vec<InventoryItem>, EngineError> {
        Err(NO_PROVIDER)
    }
}

/// An attached cluster has no provider.
const NO_PROVIDER: EngineError =
    EngineError::Unsupported("manage clusters at a provider: it only attaches existing clusters");
