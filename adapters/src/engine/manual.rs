//! Clusters made elsewhere, known by their kubeconfig. Nothing is driven: a cluster is attached, looked at, and detached.

use async_trait::async_trait;
use kqueen_domain::{
    ledger::ThingName,
    operation::NetworkPolicy,
    parameter::{Field, FieldKind, ParameterSchema},
    port::engine::{Abilities, Access, Engine, EngineDescriptor, EngineError, Found, Observation, Order},
};
use serde_json::{Map, Value};
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
            abilities: Abilities { progress: true, ..Abilities::default() },
        })
    }
}

#[async_trait]
impl Engine for ManualEngine {
    fn descriptor(&self) -> &EngineDescriptor {
        &self.0
    }

    async fn check(&self, _parameters: &Map<String, Value>) -> Result<(), EngineError> {
        // There is no provider whose credentials could be wrong.
        Ok(())
    }

    fn makes(&self, _access: &Access, _order: &Order) -> Vec<ThingName> {
        Vec::new()
    }

    async fn observe(&self, _access: &Access, _order: &Order) -> Result<Observation, EngineError> {
        Err(NOTHING_TO_DRIVE)
    }

    async fn deploy(&self, _access: &Access, _order: &Order) -> Result<(), EngineError> {
        Err(NOTHING_TO_DRIVE)
    }

    async fn resize(&self, _access: &Access, _order: &Order, _node_count: u32) -> Result<(), EngineError> {
        Err(NOTHING_TO_DRIVE)
    }

    async fn set_network_policy(
        &self,
        _access: &Access,
        _order: &Order,
        _policy: &NetworkPolicy,
    ) -> Result<(), EngineError> {
        Err(NOTHING_TO_DRIVE)
    }

    async fn destroy(&self, _access: &Access, _order: &Order) -> Result<(), EngineError> {
        Err(NOTHING_TO_DRIVE)
    }

    async fn kubeconfig(&self, _access: &Access, _order: &Order) -> Result<Value, EngineError> {
        Err(NOTHING_TO_DRIVE)
    }

    async fn inventory(&self, _access: &Access, _installation: Uuid) -> Result<Vec<Found>, EngineError> {
        Err(NOTHING_TO_DRIVE)
    }
}

/// There is no provider behind an attached cluster.
const NOTHING_TO_DRIVE: EngineError = EngineError::Unsupported("drive a provider: it only attaches clusters");
