//! Nodes, and the static pod that each of them runs.

use serde_json::{Value, json};

use super::world::{CSI_DRIVER, SimulatedNode, World, node_ip};
use crate::engine::DemoCluster;

impl World<'_> {
    /// Adds the nodes, each with its kube-proxy. Called last, because a node lists the volumes on it.
    pub(super) fn add_nodes(&mut self) {
        let image = format!("registry.k8s.io/kube-proxy:v{}", self.cluster.kubernetes_version);
        for index in 0..self.nodes.len() {
            let node = self.nodes[index].name.clone();
            // A static pod is owned by its node.
            let owner = self.owner("v1", "Node", "", &node);
            let spec = json!({
                "hostNetwork": true, "priorityClassName": "system-node-critical", "restartPolicy": "Always",
                "containers": [{
                    "name": "kube-proxy", "image": image, "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                }],
            });
            let labels = json!({"component": "kube-proxy", "tier": "node"});
            self.add_pod(index, "kube-system", &format!("kube-proxy-{node}"), &labels, owner, spec);
            let object = self.node(index);
            self.lists.nodes.push(object);
        }
    }

    fn node(&self, index: usize) -> Value {
        let SimulatedNode { name, uid, joined, volumes, .. } = &self.nodes[index];
        let DemoCluster { region, size, .. } = self.cluster;
        let (cpu, gib) = match size.as_str() {
            "small" => (2, 8),
            "large" => (8, 32),
            _ => (4, 16),
        };
        let labels = json!({
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "node.kubernetes.io/instance-type": size, "topology.kubernetes.io/region": region,
            "topology.kubernetes.io/zone": format!("{region}-{}", ['a', 'b', 'c'][index % 3]),
        });
        let condition = |kind: &str, status: &str, reason: &str| {
            json!({
                "type": kind, "status": status, "reason": reason, "message": "simulated",
                "lastTransitionTime": joined, "lastHeartbeatTime": self.now,
            })
        };
        let mut metadata = self.metadata("Node", "", name, &labels, None);
        metadata["creationTimestamp"] = json!(joined);
        let in_use: Vec<_> = volumes.iter().map(|volume| format!("kubernetes.io/csi/{CSI_DRIVER}^{volume}")).collect();
        let attached: Vec<_> = in_use.iter().map(|volume| json!({"name": volume, "devicePath": ""})).collect();
        json!({
            "metadata": metadata,
            "spec": {"podCIDR": format!("10.244.{index}.0/24"), "providerID": format!("demo://{region}/{name}")},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": node_ip(index)}, {"type": "Hostname", "address": name},
                ],
                "capacity": {
                    "cpu": cpu.to_string(), "memory": format!("{gib}Gi"), "ephemeral-storage": "100Gi", "pods": "110",
                },
                "allocatable": {
                    "cpu": format!("{}m", cpu * 1_000 - 80), "memory": format!("{}Mi", gib * 1_024 - 900),
                    "ephemeral-storage": "90Gi", "pods": "110",
                },
                "conditions": [
                    condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                    condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                    condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                    condition("Ready", "True", "KubeletReady"),
                ],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10_250}},
                "nodeInfo": {
                    "architecture": "amd64", "operatingSystem": "linux", "osImage": "Simulated Linux",
                    "kernelVersion": "6.12.0-simulated", "containerRuntimeVersion": "containerd://2.1.0-simulated",
                    "kubeletVersion": self.cluster.git_version(), "machineID": uid.as_simple(), "systemUUID": uid,
                    "bootID": self.uid("Boot", "", name),
                },
                "volumesInUse": in_use,
                "volumesAttached": attached,
            },
        })
    }
}
