//! What is observed of clusters: what an engine saw at the provider or why it did not, what a look at the cluster itself found, and what
//! is shown of both. Facts only: what they lead to is decided in [`cluster::plan`](crate::cluster::plan), and how they are come by is
//! the ports' matter.

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
