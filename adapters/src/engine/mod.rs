//! The engines, and the registry of those built in.

mod manual;

use std::sync::Arc;

use kqueen_domain::port::engine::EngineRegistry;
pub use manual::ManualEngine;

/// Every engine this program has.
#[must_use]
pub fn builtin() -> EngineRegistry {
    EngineRegistry::default().with(Arc::new(ManualEngine::default()))
}
