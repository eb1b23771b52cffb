//! What is observed of clusters: the engine's observation at the provider or its error, the result of probing the cluster itself, and the
//! displayed status computed from both. Decisions are made in [`cluster::plan`](crate::cluster::plan); the ports do the observing.

mod display;
mod error;
mod provisioning;
mod status;

pub use display::DisplayStatus;
pub use error::EngineError;
pub use provisioning::{InventoryItem, Observation, ObservedCluster, ProvisioningState};
pub use status::{ObservedStatus, ProbeResult, ProviderStatus};

#[cfg(test)]
mod tests;
