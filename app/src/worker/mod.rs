//! Background work. With several replicas, only the leader reconciles, checks provisioners and looks for orphans.

pub mod maintenance;
pub mod provisioner_monitor;
pub mod queue;
pub mod reconcile;
pub mod trigger;
