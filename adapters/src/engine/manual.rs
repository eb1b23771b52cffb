//! Clusters made elsewhere, known by their kubeconfig. Nothing is driven: a cluster is attached, looked at, and detached.

use async_trait::async_trait;
use kqueen_domain::{
    parameter::{Field, FieldKind, ParameterSchema},
    port::engine::{Abilities, Engine, EngineDescriptor, EngineError},
};
use serde_json::{Map, Value};

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
}
