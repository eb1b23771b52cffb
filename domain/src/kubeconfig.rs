//! Kubeconfigs as they arrive.
