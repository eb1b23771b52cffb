//! The topology of a cluster: a graph of owners, nodes, services and volumes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Deserialize;

use super::{
    Deployment, Namespace, Node, ObjectMeta, PersistentVolume, PersistentVolumeClaim, Pod, ReadError, ReplicaSet,
    Section, Service, Snapshot,
};

/// An object in the graph.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A pod.
    Pod(Pod),
    /// A service.
    Service(Service),
    /// A node.
    Node(Node),
    /// A namespace.
    Namespace(Namespace),
    /// A deployment.
    Deployment(Deployment),
    /// A replica set that has pods.
    ReplicaSet(ReplicaSet),
    /// A persistent volume claim.
    PersistentVolumeClaim(PersistentVolumeClaim),
    /// A persistent volume.
    PersistentVolume(PersistentVolume),
}

impl Item {
    /// The kind of the object.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Pod(_) => "Pod",
            Self::Service(_) => "Service",
            Self::Node(_) => "Node",
            Self::Namespace(_) => "Namespace",
            Self::Deployment(_) => "Deployment",
            Self::ReplicaSet(_) => "ReplicaSet",
            Self::PersistentVolumeClaim(_) => "PersistentVolumeClaim",
            Self::PersistentVolume(_) => "PersistentVolume",
        }
    }

    const fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Pod(object) => &object.metadata,
            Self::Service(object) => &object.metadata,
            Self::Node(object) => &object.metadata,
            Self::Namespace(object) => &object.metadata,
            Self::Deployment(object) => &object.metadata,
            Self::ReplicaSet(object) => &object.metadata,
            Self::PersistentVolumeClaim(object) => &object.metadata,
            Self::PersistentVolume(object) => &object.metadata,
        }
    }
}

/// An edge between two objects, by uid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Relation {
    /// The source.
    pub source: String,
    /// The target.
    pub target: String,
}

/// A cluster as a graph.
///
/// Edges go from a pod to its namespace, node, claims and the services that select it; from a deployment to its replica sets and
/// pods; from a replica set to its pods; from a claim to its volume; and from every namespaced object to its namespace. Both ends of
/// an edge are items.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Topology {
    /// The objects, by uid.
    pub items: BTreeMap<String, Item>,
    /// The edges, each once.
    pub relations: Vec<Relation>,
    /// Which sections could not be read, and why.
    pub errors: BTreeMap<Section, ReadError>,
}

impl Topology {
    /// The kinds of objects in the graph.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        self.items.values().map(Item::kind).collect()
    }
}

impl From<Snapshot> for Topology {
    fn from(mut snapshot: Snapshot) -> Self {
        // A deployment keeps old replica sets without pods, for rollbacks.
        snapshot
            .replica_sets
            .retain(|replica_set| replica_set.spec.replicas != Some(0) || replica_set.status.replicas.unwrap_or(0) > 0);
        let relations = Edges::of(&snapshot).relations;
        let mut items = BTreeMap::new();
        let mut add = |item: Item| {
            if let Some(uid) = item.metadata().uid.clone() {
                items.insert(uid, item);
            }
        };
        snapshot.pods.into_iter().map(Item::Pod).for_each(&mut add);
        snapshot.services.into_iter().map(Item::Service).for_each(&mut add);
        snapshot.nodes.into_iter().map(Item::Node).for_each(&mut add);
        snapshot.namespaces.into_iter().map(Item::Namespace).for_each(&mut add);
        snapshot.deployments.into_iter().map(Item::Deployment).for_each(&mut add);
        snapshot.replica_sets.into_iter().map(Item::ReplicaSet).for_each(&mut add);
        snapshot.persistent_volume_claims.into_iter().map(Item::PersistentVolumeClaim).for_each(&mut add);
        snapshot.persistent_volumes.into_iter().map(Item::PersistentVolume).for_each(&mut add);
        let mut errors = snapshot.errors;
        errors.remove(&Section::Version);
        Self { items, relations, errors }
    }
}

/// Namespace and name of an object.
type NamespacedName<'a> = (&'a str, &'a str);

fn namespaced_name(metadata: &ObjectMeta) -> Option<NamespacedName<'_>> {
    Some((metadata.namespace.as_deref()?, metadata.name.as_deref()?))
}

fn by_namespaced_name<'a, T>(
    objects: &'a [T],
    metadata: impl Fn(&'a T) -> &'a ObjectMeta,
) -> HashMap<NamespacedName<'a>, &'a str> {
    objects.iter().map(metadata).filter_map(|meta| Some((namespaced_name(meta)?, meta.uid.as_deref()?))).collect()
}

fn by_name<'a, T>(objects: &'a [T], metadata: impl Fn(&'a T) -> &'a ObjectMeta) -> HashMap<&'a str, &'a str> {
    objects.iter().map(metadata).filter_map(|meta| Some((meta.name.as_deref()?, meta.uid.as_deref()?))).collect()
}

/// The uid of an object's controller.
fn controller(metadata: &ObjectMeta) -> Option<&str> {
    let owners = metadata.owner_references.as_ref()?;
    owners.iter().find(|owner| owner.controller == Some(true))?.uid.as_deref()
}

#[derive(Default)]
struct Edges<'a> {
    relations: Vec<Relation>,
    seen: HashSet<(&'a str, &'a str)>,
}

impl<'a> Edges<'a> {
    fn add(&mut self, source: &'a str, target: Option<&'a str>) {
        let Some(target) = target else { return };
        if self.seen.insert((source, target)) {
            self.relations.push(Relation { source: source.to_owned(), target: target.to_owned() });
        }
    }

    fn of(snapshot: &'a Snapshot) -> Self {
        let namespaces = by_name(&snapshot.namespaces, |object| &object.metadata);
        let nodes = by_name(&snapshot.nodes, |object| &object.metadata);
        let volumes = by_name(&snapshot.persistent_volumes, |object| &object.metadata);
        let claims = by_namespaced_name(&snapshot.persistent_volume_claims, |object| &object.metadata);
        let deployments: HashSet<&str> =
            snapshot.deployments.iter().filter_map(|object| object.metadata.uid.as_deref()).collect();
        let replica_sets: HashMap<&str, Option<&str>> = snapshot
            .replica_sets
            .iter()
            .filter_map(|replica_set| Some((replica_set.metadata.uid.as_deref()?, controller(&replica_set.metadata))))
            .map(|(replica_set, owner)| (replica_set, owner.filter(|owner| deployments.contains(owner))))
            .collect();
        let services = services_of_pods(snapshot);
        let namespace_of = |meta: &'a ObjectMeta| namespaces.get(meta.namespace.as_deref()?).copied();

        let mut edges = Self::default();
        for pod in &snapshot.pods {
            let Some(uid) = pod.metadata.uid.as_deref() else { continue };
            edges.add(uid, namespace_of(&pod.metadata));
            edges.add(uid, pod.spec.node_name.as_deref().and_then(|name| nodes.get(name).copied()));
            if let Some(owner) = controller(&pod.metadata) {
                match replica_sets.get(owner) {
                    Some(deployment) => {
                        if let Some(deployment) = deployment {
                            edges.add(deployment, Some(uid));
                        }
                        edges.add(owner, Some(uid));
                    }
                    None if deployments.contains(owner) => edges.add(owner, Some(uid)),
                    None => {}
                }
            }
            for service in services.get(uid).into_iter().flatten() {
                edges.add(uid, Some(service));
            }
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            for claim in claims_of(pod) {
                edges.add(uid, claims.get(&(namespace, claim.as_str())).copied());
            }
        }
        for service in &snapshot.services {
            edges.add_namespace(&service.metadata, namespace_of);
        }
        for deployment in &snapshot.deployments {
            edges.add_namespace(&deployment.metadata, namespace_of);
        }
        for replica_set in &snapshot.replica_sets {
            edges.add_namespace(&replica_set.metadata, namespace_of);
            if let Some((uid, Some(deployment))) =
                replica_set.metadata.uid.as_deref().and_then(|uid| replica_sets.get_key_value(uid))
            {
                edges.add(deployment, Some(uid));
            }
        }
        for claim in &snapshot.persistent_volume_claims {
            edges.add_namespace(&claim.metadata, namespace_of);
            if let (Some(uid), Some(volume)) = (claim.metadata.uid.as_deref(), claim.spec.volume_name.as_deref()) {
                edges.add(uid, volumes.get(volume).copied());
            }
        }
        edges
    }

    fn add_namespace(&mut self, metadata: &'a ObjectMeta, namespace_of: impl Fn(&'a ObjectMeta) -> Option<&'a str>) {
        if let Some(uid) = metadata.uid.as_deref() {
            self.add(uid, namespace_of(metadata));
        }
    }
}

/// Maximum number of service and pod pairs to compare: a malicious cluster may have many selectors that match everything.
const MAX_SELECTED: usize = 500_000;

/// The services that select each pod. Taken from endpoint slices, which also cover services without a selector. For a service without
/// endpoint slices (unreadable, or not maintained) its selector is compared with the pods' labels. No selector, an empty selector and
/// `ExternalName` services select nothing.
fn services_of_pods(snapshot: &Snapshot) -> HashMap<&str, Vec<&str>> {
    let services = by_namespaced_name(&snapshot.services, |object| &object.metadata);
    let pods: HashSet<&str> = snapshot.pods.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
    let mut selected_by: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut with_slices: HashSet<&str> = HashSet::new();
    for slice in &snapshot.endpoint_slices {
        let name = slice.metadata.labels.as_ref().and_then(|labels| labels.get("kubernetes.io/service-name"));
        let namespaced_name = slice.metadata.namespace.as_deref().zip(name.map(String::as_str));
        let Some(&service) = namespaced_name.and_then(|namespaced_name| services.get(&namespaced_name)) else {
            continue;
        };
        with_slices.insert(service);
        for target in slice.endpoints.iter().filter_map(|endpoint| endpoint.target_ref.as_ref()) {
            if let Some(pod) = target.uid.as_deref().and_then(|uid| pods.get(uid)) {
                selected_by.entry(pod).or_default().push(service);
            }
        }
    }
    let mut labelled: HashMap<(&str, &str, &str), Vec<&Pod>> = HashMap::new();
    for pod in &snapshot.pods {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        for (key, value) in pod.metadata.labels.iter().flatten() {
            labelled.entry((namespace, key, value)).or_default().push(pod);
        }
    }
    let mut remaining = MAX_SELECTED;
    for service in &snapshot.services {
        let Some(uid) = service.metadata.uid.as_deref().filter(|uid| !with_slices.contains(uid)) else { continue };
        let Some(selector) = service.spec.selector.as_ref() else { continue };
        let Some((key, value)) = selector.first_key_value() else { continue };
        if service.spec.r#type.as_deref() == Some("ExternalName") {
            continue;
        }
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        for pod in labelled.get(&(namespace, key, value)).into_iter().flatten() {
            let Some(next) = remaining.checked_sub(1) else { return selected_by };
            remaining = next;
            let labels = pod.metadata.labels.as_ref();
            let matches = |(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value);
            if let Some(pod) = pod.metadata.uid.as_deref().filter(|_| selector.iter().all(matches)) {
                selected_by.entry(pod).or_default().push(uid);
            }
        }
    }
    selected_by
}

/// The names of the claims a pod uses. The claim of an ephemeral volume is named after the pod and the volume.
fn claims_of(pod: &Pod) -> Vec<String> {
    #[derive(Deserialize)]
    struct Volume {
        name: Option<String>,
        persistent_volume_claim: Option<Claim>,
        ephemeral: Option<serde::de::IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Claim {
        claim_name: Option<String>,
    }
    let volumes = pod.spec.volumes.as_ref().map(|volumes| serde_json::from_str::<Vec<Volume>>(volumes.raw().get()));
    let Some(Ok(volumes)) = volumes else { return Vec::new() };
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let claim = |volume: Volume| match (volume.persistent_volume_claim, volume.ephemeral) {
        (Some(claim), _) => claim.claim_name,
        (None, Some(_)) => Some(format!("{pod_name}-{}", volume.name?)),
        (None, None) => None,
    };
    volumes.into_iter().filter_map(claim).collect()
}

#[cfg(test)]
mod tests;
