//! The engines, and the registry of those built in.

mod demo;
mod guarded;
mod manual;

use std::sync::Arc;

use kqueen_domain::port::engine::EngineRegistry;

pub(crate) use self::demo::{DOMAIN as DEMO_DOMAIN, DemoCluster, Moment as DemoMoment};
pub use self::{
    demo::{DemoCloud, DemoEngine},
    guarded::Guarded,
    manual::ManualEngine,
};

/// Every engine this program has. Those that call a provider are [`Guarded`].
#[must_use]
pub fn builtin() -> EngineRegistry {
    EngineRegistry::default().with(Arc::new(ManualEngine::default()))
}
