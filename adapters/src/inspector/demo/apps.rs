//! Deployments with their replica sets, pods, volumes and services.

use serde_json::{Value, json};

use super::{
    workload::{Exposed, Workload},
    world::{CSI_DRIVER, ScheduledPod, SimulatedNode, World, node_ip},
};
use crate::engine::DEMO_DOMAIN;

const STORAGE_CLASS: &str = "simulated-ssd";

impl World<'_> {
    /// Adds a deployment, its replica sets, pods, claim and volume, and the service in front of them.
    pub(super) fn add(&mut self, workload: &Workload) {
        let Workload { namespace, name, .. } = *workload;
        let labels = json!({"app": name});
        let replicas = workload.replicas.on(self.nodes.len());
        let set =
            format!("{name}-{}", self.letters("ReplicaSet", &format!("{namespace}/{name}/{}", workload.image), 9));
        let claim = workload.storage.map(|gib| self.add_storage(workload, gib));
        let template = self.pod_spec(workload, claim.as_ref().map(|(claim, _)| claim.as_str()));
        let template = |image: &str| {
            let mut spec = template.clone();
            spec["containers"][0]["image"] = image.into();
            json!({"metadata": {"labels": labels}, "spec": spec})
        };
        let metadata = self.metadata("Deployment", namespace, name, &labels, None);
        self.lists.deployments.push(self.deployment(metadata, replicas, &labels, &template(workload.image)));
        let owner = self.owner("apps/v1", "Deployment", namespace, name);
        let sets = [
            Some((set.clone(), workload.image, replicas)),
            workload.previous_image.map(|image| {
                let earlier = self.letters("ReplicaSet", &format!("{namespace}/{name}/{image}"), 9);
                (format!("{name}-{earlier}"), image, 0)
            }),
        ];
        for (set, image, replicas) in sets.into_iter().flatten() {
            let object = json!({
                "metadata": self.metadata("ReplicaSet", namespace, &set, &labels, Some(owner.clone())),
                "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template(image)},
                "status": {
                    "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
                    "fullyLabeledReplicas": replicas, "observedGeneration": 1,
                },
            });
            self.lists.replica_sets.push(object);
        }
        let owner = self.owner("apps/v1", "ReplicaSet", namespace, &set);
        let mut scheduled = Vec::new();
        for index in 0..replicas {
            let Some(node_index) = self.node_for(&format!("{set}/{index}")) else { continue };
            // A pod on another node is a different pod.
            let suffix = self.letters("Pod", &format!("{set}/{index}/{}", self.nodes[node_index].name), 5);
            let pod = format!("{set}-{suffix}");
            let spec = template(workload.image)["spec"].take();
            self.add_pod(node_index, namespace, &pod, &labels, owner.clone(), spec);
            if let Some((_, volume)) = &claim {
                self.nodes[node_index].volumes.push(volume.clone());
            }
            scheduled.push(ScheduledPod { uid: self.uid("Pod", namespace, &pod), name: pod });
        }
        if let Some(exposed) = &workload.service {
            self.add_service(workload, exposed, &labels, &scheduled);
        }
    }

    fn deployment(&self, metadata: Value, replicas: usize, labels: &Value, template: &Value) -> Value {
        let condition = |kind: &str, reason: &str| {
            json!({
                "type": kind, "status": "True", "reason": reason, "message": "simulated",
                "lastUpdateTime": self.began, "lastTransitionTime": self.began,
            })
        };
        json!({
            "metadata": metadata,
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": labels}, "template": template,
                "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            },
            "status": {
                "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
                "updatedReplicas": replicas, "observedGeneration": 1,
                "conditions": [
                    condition("Available", "MinimumReplicasAvailable"),
                    condition("Progressing", "NewReplicaSetAvailable"),
                ],
            },
        })
    }

    fn pod_spec(&self, workload: &Workload, claim: Option<&str>) -> Value {
        let (cpu, memory) = workload.requests;
        let amounts = json!({"cpu": format!("{cpu}m"), "memory": format!("{memory}Mi")});
        let mut container = json!({
            "name": workload.name, "image": workload.image, "imagePullPolicy": "IfNotPresent",
            "ports": [{"containerPort": workload.port, "protocol": protocol(workload.port)}],
            "resources": {"requests": amounts, "limits": {"memory": format!("{memory}Mi")}},
        });
        let mut spec = json!({
            "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
            "serviceAccountName": "default", "terminationGracePeriodSeconds": 30,
        });
        if let Some(claim) = claim {
            container["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
            spec["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]);
        }
        spec["containers"] = json!([container]);
        spec
    }

    /// Adds a pod on a node, running since the node joined and the cluster was ready.
    pub(super) fn add_pod(
        &mut self,
        node_index: usize,
        namespace: &str,
        name: &str,
        labels: &Value,
        owner: Value,
        mut spec: Value,
    ) {
        let SimulatedNode { name: node, joined, pods, .. } = &self.nodes[node_index];
        let since = (*joined).max(self.began);
        spec["nodeName"] = node.as_str().into();
        let container = &spec["containers"][0];
        let (container_name, image) = (container["name"].clone(), container["image"].clone());
        let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
            .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": since}));
        let mut metadata = self.metadata("Pod", namespace, name, labels, Some(owner));
        metadata["creationTimestamp"] = json!(since);
        let pod_ip =
            if spec["hostNetwork"] == true { node_ip(node_index) } else { format!("10.244.{node_index}.{}", pods + 2) };
        let pod = json!({
            "metadata": metadata,
            "spec": spec,
            "status": {
                "phase": "Running", "hostIP": node_ip(node_index), "podIP": pod_ip, "qosClass": "Burstable",
                "startTime": since,
                "conditions": conditions,
                "containerStatuses": [{
                    "name": container_name, "image": image, "ready": true, "restartCount": 0,
                    "state": {"running": {"startedAt": since}}, "lastState": {},
                }],
            },
        });
        self.nodes[node_index].pods += 1;
        self.lists.pods.push(pod);
    }

    /// Adds a claim with its volume; returns their names.
    fn add_storage(&mut self, workload: &Workload, gib: u32) -> (String, String) {
        let Workload { namespace, name, .. } = *workload;
        let claim = format!("{name}-data");
        let claim_uid = self.uid("PersistentVolumeClaim", namespace, &claim);
        let volume = format!("pvc-{claim_uid}");
        let (labels, capacity, modes) =
            (json!({"app": name}), json!({"storage": format!("{gib}Gi")}), ["ReadWriteOnce"]);
        self.lists.claims.push(json!({
            "metadata": self.metadata("PersistentVolumeClaim", namespace, &claim, &labels, None),
            "spec": {
                "accessModes": modes, "resources": {"requests": capacity}, "storageClassName": STORAGE_CLASS,
                "volumeMode": "Filesystem", "volumeName": volume,
            },
            "status": {"phase": "Bound", "accessModes": modes, "capacity": capacity},
        }));
        self.lists.volumes.push(json!({
            "metadata": self.metadata("PersistentVolume", "", &volume, &json!({}), None),
            "spec": {
                "accessModes": modes, "capacity": capacity, "storageClassName": STORAGE_CLASS,
                "volumeMode": "Filesystem", "persistentVolumeReclaimPolicy": "Delete",
                "claimRef": {
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim,
                    "uid": claim_uid,
                },
                "csi": {"driver": CSI_DRIVER, "volumeHandle": volume, "fsType": "ext4"},
            },
            "status": {"phase": "Bound"},
        }));
        (claim, volume)
    }

    fn add_service(&mut self, workload: &Workload, exposed: &Exposed, selector: &Value, pods: &[ScheduledPod]) {
        let Exposed { name, port, public, addon } = *exposed;
        let namespace = workload.namespace;
        let mut labels = selector.clone();
        if addon.is_some() {
            labels["kubernetes.io/cluster-service"] = "true".into();
        }
        let mut metadata = self.metadata("Service", namespace, name, &labels, None);
        if let Some(addon) = addon {
            metadata["annotations"] = json!({"kqueen/name": addon.name});
            if addon.has_page {
                metadata["annotations"]["kqueen/link"] = format!("https://{name}.{}{DEMO_DOMAIN}/", self.id).into();
            }
        }
        // .1 is the API server's.
        let cluster_ip = format!("10.96.0.{}", self.lists.services.len() + 2);
        let mut service = json!({
            "metadata": metadata,
            "spec": {
                "type": if public { "LoadBalancer" } else { "ClusterIP" }, "clusterIP": cluster_ip, "selector": selector,
                "ports": [{"name": "main", "port": port, "targetPort": workload.port, "protocol": protocol(port)}],
                "sessionAffinity": "None",
            },
            "status": {"loadBalancer": {}},
        });
        if public {
            service["spec"]["ports"][0]["nodePort"] = 30_080.into();
            service["spec"]["externalTrafficPolicy"] = "Cluster".into();
            // An address that is reserved for examples (RFC 5737).
            let address = format!("203.0.113.{}", self.digest("address", namespace, name)[0].max(1));
            service["status"]["loadBalancer"] = json!({"ingress": [{"ip": address}]});
        }
        self.lists.services.push(service);
        let reference =
            |pod: &ScheduledPod| json!({"kind": "Pod", "namespace": namespace, "name": pod.name, "uid": pod.uid});
        let endpoints = pods.iter().map(|pod| json!({"targetRef": reference(pod)}));
        self.add_slice(namespace, name, endpoints.collect());
    }

    fn add_slice(&mut self, namespace: &str, service: &str, endpoints: Vec<Value>) {
        let name = format!("{service}-{}", self.letters("EndpointSlice", &format!("{namespace}/{service}"), 5));
        let labels = json!({"kubernetes.io/service-name": service});
        let owner = self.owner("v1", "Service", namespace, service);
        let metadata = self.metadata("EndpointSlice", namespace, &name, &labels, Some(owner));
        self.lists.slices.push(json!({"metadata": metadata, "endpoints": endpoints}));
    }

    /// Adds the service through which pods reach the API server, which is not a pod of the cluster.
    pub(super) fn add_kubernetes_service(&mut self) {
        let labels = json!({"component": "apiserver", "provider": "kubernetes"});
        self.lists.services.push(json!({
            "metadata": self.metadata("Service", "default", "kubernetes", &labels, None),
            "spec": {
                "type": "ClusterIP", "clusterIP": "10.96.0.1", "sessionAffinity": "None",
                "ports": [{"name": "https", "port": 443, "targetPort": 6443, "protocol": "TCP"}],
            },
            "status": {"loadBalancer": {}},
        }));
        self.add_slice("default", "kubernetes", vec![json!({})]);
    }
}

const fn protocol(port: u16) -> &'static str {
    if port == 53 { "UDP" } else { "TCP" }
}
