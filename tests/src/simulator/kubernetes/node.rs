//! Nodes as the Kubernetes API shows them.

use serde_json::{Value, json};

/// A node of a simulated cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    /// `v1.34.1-gke.100`
    pub version: String,
    pub zone: String,
    pub region: String,
    pub instance_type: String,
    /// Its pool, and the label by which the provider names it.
    pub pool: (String, String),
    pub cpus: u32,
    pub memory_mib: u64,
    pub is_ready: bool,
}

impl Node {
    /// As the API shows it. `number` tells addresses apart.
    #[must_use]
    pub fn to_json(&self, number: usize) -> Value {
        let (label, pool) = &self.pool;
        let address = format!("10.128.{}.{}", number / 250, number % 250 + 2);
        let ready = if self.is_ready { "True" } else { "False" };
        let resources = json!({
            "cpu": self.cpus.to_string(), "memory": format!("{}Ki", self.memory_mib * 1_024), "pods": "110",
            "ephemeral-storage": "98831908Ki",
        });
        json!({
            "metadata": {
                "name": self.name, "uid": format!("00000000-0000-4000-8000-{number:012}"),
                "creationTimestamp": "2027-01-15T08:00:00Z", "resourceVersion": "1",
                "labels": {
                    "kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                    "node.kubernetes.io/instance-type": self.instance_type,
                    "topology.kubernetes.io/zone": self.zone, "topology.kubernetes.io/region": self.region,
                    label: pool,
                },
            },
            "spec": {"podCIDR": format!("10.4.{}.0/24", number % 256)},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": address}, {"type": "Hostname", "address": self.name},
                ],
                "allocatable": resources, "capacity": resources,
                "conditions": [{
                    "type": "Ready", "status": ready, "reason": "KubeletReady", "message": "kubelet is posting ready status",
                    "lastHeartbeatTime": "2027-01-15T08:00:00Z", "lastTransitionTime": "2027-01-15T08:00:00Z",
                }],
                "nodeInfo": {
                    "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "containerd://2.1.4",
                    "kernelVersion": "6.6.97", "kubeProxyVersion": self.version, "kubeletVersion": self.version,
                    "machineID": "", "operatingSystem": "linux", "osImage": "Simulated Linux", "systemUUID": "",
                },
            },
        })
    }
}
