//! A cluster as a graph: what belongs to what, runs where and is reached through what.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Deserialize;

use super::{
    Deployment, Namespace, Node, ObjectMeta, PersistentVolume, PersistentVolumeClaim, Pod, ReadError, ReplicaSet,
    Section, Service, Snapshot,
};

/// An object of the graph.
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
    /// A replica set that keeps pods.
    ReplicaSet(ReplicaSet),
    /// A claim on a volume.
    PersistentVolumeClaim(PersistentVolumeClaim),
    /// A volume.
    PersistentVolume(PersistentVolume),
}

impl Item {
    /// What kind of object it is.
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
            Self::Pod(it) => &it.metadata,
            Self::Service(it) => &it.metadata,
            Self::Node(it) => &it.metadata,
            Self::Namespace(it) => &it.metadata,
            Self::Deployment(it) => &it.metadata,
            Self::ReplicaSet(it) => &it.metadata,
            Self::PersistentVolumeClaim(it) => &it.metadata,
            Self::PersistentVolume(it) => &it.metadata,
        }
    }
}

/// An edge between two objects of the graph, by uid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Relation {
    /// Where it starts.
    pub source: String,
    /// Where it leads.
    pub target: String,
}

/// A cluster as a graph.
///
/// Edges lead from a pod to its namespace, node, claims and the services that reach it; from a deployment to its replica sets and
/// pods, from a replica set to its pods; from a claim to its volume; and from everything that has one to its namespace. Both
/// ends of an edge are items.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Topology {
    /// The objects by uid.
    pub items: BTreeMap<String, Item>,
    /// The edges, each once.
    pub relations: Vec<Relation>,
    /// What could not be read, and why.
    pub errors: BTreeMap<Section, ReadError>,
}

impl Topology {
    /// The kinds of objects there are.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        self.items.values().map(Item::kind).collect()
    }
}

impl From<Snapshot> for Topology {
    fn from(mut snapshot: Snapshot) -> Self {
        // A deployment keeps its earlier replica sets with no pods, to be able to go back.
        snapshot.replica_sets.retain(|set| set.spec.replicas != Some(0) || set.status.replicas.unwrap_or(0) > 0);
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

/// A namespace and a name in it.
type Place<'a> = (&'a str, &'a str);

fn place(metadata: &ObjectMeta) -> Option<Place<'_>> {
    Some((metadata.namespace.as_deref()?, metadata.name.as_deref()?))
}

fn by_place<'a, T>(objects: &'a [T], metadata: impl Fn(&'a T) -> &'a ObjectMeta) -> HashMap<Place<'a>, &'a str> {
    objects.iter().map(metadata).filter_map(|meta| Some((place(meta)?, meta.uid.as_deref()?))).collect()
}

fn by_name<'a, T>(objects: &'a [T], metadata: impl Fn(&'a T) -> &'a ObjectMeta) -> HashMap<&'a str, &'a str> {
    objects.iter().map(metadata).filter_map(|meta| Some((meta.name.as_deref()?, meta.uid.as_deref()?))).collect()
}

/// The uid of what controls an object.
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
        let namespaces = by_name(&snapshot.namespaces, |it| &it.metadata);
        let nodes = by_name(&snapshot.nodes, |it| &it.metadata);
        let volumes = by_name(&snapshot.persistent_volumes, |it| &it.metadata);
        let claims = by_place(&snapshot.persistent_volume_claims, |it| &it.metadata);
        let deployments: HashSet<&str> =
            snapshot.deployments.iter().filter_map(|it| it.metadata.uid.as_deref()).collect();
        let sets: HashMap<&str, Option<&str>> = snapshot
            .replica_sets
            .iter()
            .filter_map(|set| Some((set.metadata.uid.as_deref()?, controller(&set.metadata))))
            .map(|(set, owner)| (set, owner.filter(|owner| deployments.contains(owner))))
            .collect();
        let services = services_of_pods(snapshot);
        let namespace_of = |meta: &'a ObjectMeta| namespaces.get(meta.namespace.as_deref()?).copied();

        let mut edges = Self::default();
        for pod in &snapshot.pods {
            let Some(uid) = pod.metadata.uid.as_deref() else { continue };
            edges.add(uid, namespace_of(&pod.metadata));
            edges.add(uid, pod.spec.node_name.as_deref().and_then(|name| nodes.get(name).copied()));
            if let Some(owner) = controller(&pod.metadata) {
                match sets.get(owner) {
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
            edges.member(&service.metadata, namespace_of);
        }
        for deployment in &snapshot.deployments {
            edges.member(&deployment.metadata, namespace_of);
        }
        for set in &snapshot.replica_sets {
            edges.member(&set.metadata, namespace_of);
            if let Some((uid, Some(deployment))) = set.metadata.uid.as_deref().and_then(|uid| sets.get_key_value(uid)) {
                edges.add(deployment, Some(uid));
            }
        }
        for claim in &snapshot.persistent_volume_claims {
            edges.member(&claim.metadata, namespace_of);
            if let (Some(uid), Some(volume)) = (claim.metadata.uid.as_deref(), claim.spec.volume_name.as_deref()) {
                edges.add(uid, volumes.get(volume).copied());
            }
        }
        edges
    }

    fn member(&mut self, metadata: &'a ObjectMeta, namespace_of: impl Fn(&'a ObjectMeta) -> Option<&'a str>) {
        if let Some(uid) = metadata.uid.as_deref() {
            self.add(uid, namespace_of(metadata));
        }
    }
}

/// Most pairs of service and pod that are compared: a cluster may be made to have a selector for everything, many times.
const MAX_SELECTED: usize = 500_000;

/// The services that reach each pod. Endpoint slices know it, also for services without a selector; where a service has none (they
/// may not be read, or nothing keeps them) its selector is compared with the pods' labels. No selector, an empty one and a
/// service that is only another name reach nothing.
fn services_of_pods(snapshot: &Snapshot) -> HashMap<&str, Vec<&str>> {
    let services = by_place(&snapshot.services, |it| &it.metadata);
    let pods: HashSet<&str> = snapshot.pods.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
    let mut reached: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut known: HashSet<&str> = HashSet::new();
    for slice in &snapshot.endpoint_slices {
        let name = slice.metadata.labels.as_ref().and_then(|labels| labels.get("kubernetes.io/service-name"));
        let place = slice.metadata.namespace.as_deref().zip(name.map(String::as_str));
        let Some(&service) = place.and_then(|place| services.get(&place)) else { continue };
        known.insert(service);
        for target in slice.endpoints.iter().filter_map(|endpoint| endpoint.target_ref.as_ref()) {
            if let Some(pod) = target.uid.as_deref().and_then(|uid| pods.get(uid)) {
                reached.entry(pod).or_default().push(service);
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
    let mut left = MAX_SELECTED;
    for service in &snapshot.services {
        let Some(uid) = service.metadata.uid.as_deref().filter(|uid| !known.contains(uid)) else { continue };
        let Some(selector) = service.spec.selector.as_ref() else { continue };
        let Some((key, value)) = selector.first_key_value() else { continue };
        if service.spec.r#type.as_deref() == Some("ExternalName") {
            continue;
        }
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        for pod in labelled.get(&(namespace, key, value)).into_iter().flatten() {
            let Some(next) = left.checked_sub(1) else { return reached };
            left = next;
            let labels = pod.metadata.labels.as_ref();
            let matches = |(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value);
            if let Some(pod) = pod.metadata.uid.as_deref().filter(|_| selector.iter().all(matches)) {
                reached.entry(pod).or_default().push(uid);
            }
        }
    }
    reached
}

/// The names of the claims a pod uses. The claim of an ephemeral volume is called after the pod and the volume.
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
