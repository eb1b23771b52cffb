//! Objects in a simulated cluster: kept by their paths, whatever they are.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

/// Where an object or a collection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectPath {
    /// `v1`, `apps/v1`
    pub(super) group_version: String,
    pub(super) namespace: Option<String>,
    pub(super) resource: String,
    pub(super) name: Option<String>,
    /// `token` of a service account.
    pub(super) part: Option<String>,
}

impl ObjectPath {
    /// Reads a path of the API.
    pub(super) fn read(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group_version, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("v1".to_owned(), rest),
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            // The namespaces themselves are a resource like others.
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
            _ => (None, rest),
        };
        let mut rest = rest.iter().map(|part| (*part).to_owned());
        let place = Self { group_version, namespace, resource: rest.next()?, name: rest.next(), part: rest.next() };
        rest.next().is_none().then_some(place)
    }

    fn holds(&self, key: &Key) -> bool {
        self.group_version == key.group_version
            && self.resource == key.resource
            && self.namespace.as_ref().is_none_or(|namespace| Some(namespace) == key.namespace.as_ref())
    }

    fn key(&self, name: &str) -> Key {
        Key {
            group_version: self.group_version.clone(),
            resource: self.resource.clone(),
            namespace: self.namespace.clone(),
            name: name.to_owned(),
        }
    }

    /// The kind of its objects: `pods` are of kind `Pod`.
    fn kind(&self) -> String {
        let known = match self.resource.as_str() {
            "serviceaccounts" => "ServiceAccount",
            "clusterroles" => "ClusterRole",
            "clusterrolebindings" => "ClusterRoleBinding",
            "persistentvolumes" => "PersistentVolume",
            "persistentvolumeclaims" => "PersistentVolumeClaim",
            "replicasets" => "ReplicaSet",
            "endpointslices" => "EndpointSlice",
            "configmaps" => "ConfigMap",
            _ => "",
        };
        if !known.is_empty() {
            return known.to_owned();
        }
        let mut letters = self.resource.strip_suffix('s').unwrap_or(&self.resource).chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    group_version: String,
    resource: String,
    namespace: Option<String>,
    name: String,
}

/// Why an object is not made, found or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NotFound,
    AlreadyExists,
    Invalid,
}

/// Everything that is in a cluster besides its nodes.
pub(super) struct Objects {
    objects: BTreeMap<Key, Value>,
    /// Tokens of service accounts, and what they need to be good: the account and, if they lie in one, the secret.
    tokens: Vec<(String, Vec<Key>)>,
    version: u64,
}

impl Objects {
    /// What is in every cluster.
    pub(super) fn of_a_new_cluster() -> Self {
        let mut objects = Self { objects: BTreeMap::new(), tokens: Vec::new(), version: 1 };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let place = ObjectPath::read("/api/v1/namespaces").unwrap();
            let status = json!({"phase": "Active"});
            let _is_new = objects.create(&place, json!({"metadata": {"name": name}, "status": status}));
        }
        objects
    }

    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let place = ObjectPath::read(path).unwrap_or_else(|| panic!("{path} is no path of the API"));
        self.objects.keys().filter(|key| place.holds(key)).map(|key| key.name.clone()).collect()
    }

    pub(super) fn get(&self, place: &ObjectPath) -> Result<Value, Refusal> {
        let key = place.key(place.name.as_deref().ok_or(Refusal::Invalid)?);
        self.objects.get(&key).cloned().ok_or(Refusal::NotFound)
    }

    /// A collection, with everything in it or, where `limit` says so, a part that begins at `from`.
    pub(super) fn list(&self, place: &ObjectPath, nodes: Vec<Value>, limit: usize, from: usize) -> Value {
        let mut items: Vec<Value> = nodes;
        let bare = |object: &Value| {
            let mut object = object.clone();
            if let Some(object) = object.as_object_mut() {
                object.remove("kind");
                object.remove("apiVersion");
            }
            object
        };
        items.extend(self.objects.iter().filter(|(key, _)| place.holds(key)).map(|(_, object)| bare(object)));
        let count = items.len();
        let page: Vec<Value> = items.into_iter().skip(from).take(limit).collect();
        let end = from + page.len();
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        if end < count {
            metadata["continue"] = end.to_string().into();
            metadata["remainingItemCount"] = (count - end).into();
        }
        let kind = format!("{}List", place.kind());
        json!({"kind": kind, "apiVersion": place.group_version, "metadata": metadata, "items": page})
    }

    pub(super) fn create(&mut self, place: &ObjectPath, mut object: Value) -> Result<Value, Refusal> {
        let name = object["metadata"]["name"].as_str().ok_or(Refusal::Invalid)?.to_owned();
        let key = place.key(&name);
        if self.objects.contains_key(&key) {
            return Err(Refusal::AlreadyExists);
        }
        self.version += 1;
        object["kind"] = place.kind().into();
        object["apiVersion"] = place.group_version.clone().into();
        let metadata = &mut object["metadata"];
        metadata["uid"] = Uuid::new_v4().to_string().into();
        metadata["resourceVersion"] = self.version.to_string().into();
        metadata["creationTimestamp"] = "2027-01-15T08:00:00Z".into();
        if let Some(namespace) = &place.namespace {
            metadata["namespace"] = namespace.clone().into();
        }
        if place.resource == "secrets" && object["type"] == "kubernetes.io/service-account-token" {
            let account = object["metadata"]["annotations"]["kubernetes.io/service-account.name"].as_str();
            let account = account.ok_or(Refusal::Invalid)?;
            let of = ObjectPath { resource: "serviceaccounts".to_owned(), ..place.clone() }.key(account);
            let token = self.mint(vec![of, key.clone()]);
            object["data"]["token"] = STANDARD.encode(token).into();
        }
        self.objects.insert(key, object.clone());
        Ok(object)
    }

    pub(super) fn delete(&mut self, place: &ObjectPath) -> Result<Value, Refusal> {
        let key = place.key(place.name.as_deref().ok_or(Refusal::Invalid)?);
        self.version += 1;
        self.objects.remove(&key).ok_or(Refusal::NotFound)
    }

    /// Answers a TokenRequest for a service account.
    pub(super) fn request_token(&mut self, place: &ObjectPath, mut request: Value) -> Result<Value, Refusal> {
        let account = place.key(place.name.as_deref().ok_or(Refusal::Invalid)?);
        if !self.objects.contains_key(&account) {
            return Err(Refusal::NotFound);
        }
        request["kind"] = "TokenRequest".into();
        request["apiVersion"] = "authentication.k8s.io/v1".into();
        request["status"] = json!({"token": self.mint(vec![account]), "expirationTimestamp": "2037-01-15T08:00:00Z"});
        Ok(request)
    }

    fn mint(&mut self, needs: Vec<Key>) -> String {
        let token = format!("sa-{}", Uuid::new_v4().simple());
        self.tokens.push((token.clone(), needs));
        token
    }

    /// Whether it is the token of a service account that is still there.
    pub(super) fn accepts(&self, token: &str) -> bool {
        let minted = self.tokens.iter().find(|(minted, _)| minted == token);
        minted.is_some_and(|(_, needs)| needs.iter().all(|key| self.objects.contains_key(key)))
    }
}
