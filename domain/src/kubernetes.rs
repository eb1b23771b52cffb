//! What we show of a live cluster.

/// What runs in a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterStatus;

/// The same as a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology;
