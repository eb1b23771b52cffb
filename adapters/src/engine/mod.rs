//! The engines, and the registry of the built-in ones.

mod aks;
mod demo;
mod gke;
mod guarded;
mod manual;
mod offers;
mod slots;
mod tokens;

use std::sync::Arc;

use kqueen_domain::port::engine::{Engine, EngineRegistry};

pub(crate) use self::demo::{DOMAIN as DEMO_DOMAIN, DemoCluster, Moment as DemoMoment};
pub use self::{
    aks::{AksEngine, AksUrls},
    demo::{DemoCloud, DemoEngine},
    gke::{GkeEngine, GkeUrls},
    guarded::Guarded,
    manual::ManualEngine,
};

/// Settings that decide which engines are offered.
#[derive(Default)]
pub struct Settings {
    /// The simulated provider, if its engine is offered.
    pub demo: Option<Arc<DemoCloud>>,
    /// Google Kubernetes Engine.
    pub gke: Option<GkeEngine>,
    /// Azure Kubernetes Service.
    pub aks: Option<AksEngine>,
    /// Engines that are offered in addition to the built-in ones.
    pub more: Vec<Arc<dyn Engine>>,
    /// Names of the engines that may be offered, short (`ManualEngine`) or full; without a list, all are offered.
    pub whitelist: Option<Vec<String>>,
}

/// The engines that are offered. Each is [`Guarded`], so that no engine has to limit its own calls.
#[must_use]
pub fn offered(settings: Settings) -> EngineRegistry {
    let mut engines: Vec<Arc<dyn Engine>> = vec![Arc::new(ManualEngine::default())];
    if let Some(cloud) = settings.demo {
        engines.push(Arc::new(DemoEngine::new(cloud)));
    }
    if let Some(gke) = settings.gke {
        engines.push(Arc::new(gke));
    }
    if let Some(aks) = settings.aks {
        engines.push(Arc::new(aks));
    }
    engines.extend(settings.more);
    let guarded = |registry: EngineRegistry, engine| registry.with(Arc::new(Guarded::new(engine)));
    let offered = engines.into_iter().fold(EngineRegistry::default(), guarded);
    match settings.whitelist {
        Some(whitelist) => offered.limited_to(&whitelist),
        None => offered,
    }
}

#[cfg(test)]
mod tests {
    use kqueen_domain::port::clock::SetClock;

    use super::*;
    use crate::outbound::Outbound;

    #[tokio::test]
    async fn the_built_in_engines_are_offered() {
        let clock = Arc::new(SetClock::at(chrono::DateTime::UNIX_EPOCH));
        let demo = Some(DemoCloud::open(None, clock.clone()).await);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let outbound = Outbound::new(&crate::outbound::Settings::default()).unwrap();
        let gke = Some(GkeEngine::new(outbound.clone(), GkeUrls::default(), clock.clone()));
        let aks = Some(AksEngine::new(outbound, AksUrls::default(), clock));
        let registry = offered(Settings { demo, gke, aks, ..Settings::default() });
        let names: Vec<_> = registry.descriptors().map(|descriptor| descriptor.name).collect();
        let expected = ["AksEngine", "DemoEngine", "GceEngine", "ManualEngine"];
        assert_eq!(names, expected.map(|name| format!("kqueen.engines.{name}")));
        for name in names {
            assert!(include_str!("../../../README.md").contains(&format!("`{name}`")), "README does not list {name}");
        }
    }
}
