//! Engines: the code that drives one kind of provider.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::parameter::ParameterSchema;

/// What an engine can do with a cluster it has made; API and console offer nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent yes or no, named for its reader")]
pub struct Abilities {
    /// Makes clusters at a provider; otherwise it attaches clusters made elsewhere.
    pub deploy: bool,
    /// Changes the number of nodes.
    pub resize: bool,
    /// Switches network policy.
    pub set_network_policy: bool,
    /// Tells progress in percent.
    pub progress: bool,
}

/// What an engine is: its name, what it asks for, what it can do.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineDescriptor {
    /// The name of 2018: `kqueen.engines.ManualEngine`.
    pub name: &'static str,
    /// The name for people.
    pub verbose_name: &'static str,
    /// What a provisioner of this engine is described by.
    pub provisioner: ParameterSchema,
    /// What a cluster of this engine is described by.
    pub cluster: ParameterSchema,
    /// What it can do.
    pub abilities: Abilities,
}

/// Why credentials do not do. Messages are for people and name nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The provider answered and refused: wrong credentials, missing rights, wrong parameters.
    #[error("{0}")]
    Refused(String),
    /// The provider did not answer.
    #[error("{0}")]
    Unreachable(String),
}

/// Drives one kind of provider.
///
/// - `check` changes nothing at the provider and may be repeated at any time.
/// - `check` ends within 10 s; a provider that has not answered by then is [`EngineError::Unreachable`].
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Engine: Send + Sync {
    /// What the engine is.
    fn descriptor(&self) -> &EngineDescriptor;
    /// Whether a provisioner's parameters (secrets included) are accepted by the provider.
    async fn check(&self, parameters: &Map<String, Value>) -> Result<(), EngineError>;
}

/// The engines this installation offers, by name.
#[derive(Clone, Default)]
pub struct EngineRegistry(BTreeMap<&'static str, Arc<dyn Engine>>);

impl EngineRegistry {
    /// This registry with one more engine.
    #[must_use]
    pub fn with(mut self, engine: Arc<dyn Engine>) -> Self {
        self.0.insert(engine.descriptor().name, engine);
        self
    }

    /// Only the engines named in `whitelist`. Names may be short (`ManualEngine`) or whole.
    #[must_use]
    pub fn limited_to(mut self, whitelist: &[String]) -> Self {
        self.0.retain(|name, _| {
            whitelist.iter().any(|wanted| wanted == name || name.rsplit('.').next() == Some(wanted.as_str()))
        });
        self
    }

    /// The engine of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Engine>> {
        self.0.get(name)
    }

    /// What each engine is, in the order of their names.
    pub fn descriptors(&self) -> impl Iterator<Item = &EngineDescriptor> {
        self.0.values().map(|engine| engine.descriptor())
    }
}
