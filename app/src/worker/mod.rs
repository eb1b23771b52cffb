//! What runs in the background. On several replicas, the one that leads reconciles, checks provisioners and looks for orphans.

pub mod maintenance;
pub mod provisioner_monitor;
pub mod queue;
pub mod reconcile;
pub mod trigger;
