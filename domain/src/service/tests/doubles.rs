//! What the tests of this folder share: doubles of small ports, logs of their arguments, and the format in which answers are compared.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{
    observation::EngineError,
    parameter::{Field, FieldKind, ParameterSchema},
    port::{
        engine::{Capabilities, EngineDescriptor, MockEngine},
        password::MockPasswordHasher,
        store::{ClusterSecrets, MockReadBarrier, SecretUpdate},
    },
    secret::{PasswordHash, SecretDocument, SecretMap, SecretValue},
    service::ServiceError,
};

/// An engine that attaches clusters made elsewhere; it needs only the kubeconfig.
pub(super) const ATTACHING: &str = "kqueen.engines.ManualEngine";
/// An engine that makes clusters and has secret parameters.
pub(super) const MAKING: &str = "kqueen.engines.TestEngine";

/// The HTTP status for a result, used in the tables of these tests. The API uses the same ones, except for what an engine cannot do: there
/// it answers 409 with a separate error code.
pub(super) fn status<T>(result: &Result<T, ServiceError>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(ServiceError::Unauthenticated(_)) => 401,
        Err(ServiceError::Forbidden(_)) => 403,
        Err(ServiceError::NotFound(_)) => 404,
        Err(ServiceError::Conflict { .. }) => 409,
        Err(ServiceError::ChangedMeanwhile(_)) => 412,
        Err(ServiceError::Invalid(_)) => 422,
        Err(ServiceError::Throttled { .. }) => 429,
        Err(ServiceError::Internal(_)) => 500,
        Err(ServiceError::Unsupported(_)) => 501,
        Err(ServiceError::Upstream(_)) => 502,
        Err(ServiceError::Unavailable(_)) => 503,
        Err(ServiceError::UpstreamTimeout(_)) => 504,
    }
}

/// The fields that an error names, with their messages.
pub(super) fn fields<T>(result: Result<T, ServiceError>) -> Vec<(String, String)> {
    match result.err() {
        Some(ServiceError::Invalid(invalid)) => invalid.0.into_iter().map(|e| (e.field, e.message)).collect(),
        Some(ServiceError::Conflict { details, .. }) => details.into_iter().map(|e| (e.field, e.message)).collect(),
        other => panic!("no fields: {other:?}"),
    }
}

/// The arguments that a port received, kept for the end of the test.
pub(super) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Log<T> {
    pub(super) fn push(&self, entry: T) {
        self.0.lock().unwrap().push(entry);
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(super) fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Removes the oldest entry.
    pub(super) fn next(&self) -> Option<T> {
        let mut entries = self.0.lock().unwrap();
        if entries.is_empty() { None } else { Some(entries.remove(0)) }
    }

    /// Removes the only entry.
    #[track_caller]
    pub(super) fn only(&self) -> T {
        let mut entries = self.take();
        assert_eq!(entries.len(), 1, "exactly one call");
        entries.remove(0)
    }
}

/// A setting of a double, which can be changed while it is in use.
pub(super) struct Setting<T>(Arc<Mutex<T>>);

impl<T> Clone for Setting<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> Setting<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(value)))
    }

    pub(super) fn set(&self, value: T) {
        *self.0.lock().unwrap() = value;
    }

    pub(super) fn get(&self) -> T {
        self.0.lock().unwrap().clone()
    }
}

pub(super) fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// A kubeconfig as a person sends it.
pub(super) fn kubeconfig(token: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "https://203.0.113.10:6443"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": token}}],
    })
}

pub(super) fn object(value: Value) -> SecretMap {
    SecretValue::from(value).into_map().unwrap()
}

/// An engine that answers `check` with the given result.
pub(super) fn engine(name: &'static str, check: Result<(), EngineError>) -> MockEngine {
    let mut engine = MockEngine::new();
    engine.expect_descriptor().return_const(descriptor(name));
    engine.expect_check().returning(move |_| check.clone());
    engine
}

/// The descriptors of the test engines: every one that does not attach clusters can deploy them, and nothing else.
pub(super) fn descriptor(name: &'static str) -> EngineDescriptor {
    let kubeconfig = Field::required("kubeconfig", "Kubeconfig", FieldKind::YamlFile);
    let policies =
        FieldKind::select(&[("PROVIDER_UNSPECIFIED", "<disabled>"), ("CALICO", "Calico"), ("CILIUM", "Cilium")]);
    let cluster = vec![
        Field::optional("node_count", "Node Count", FieldKind::Integer).min(1).max(20),
        Field::optional("admin_password", "Password", FieldKind::Password).secret(),
        Field::optional("size", "Size", FieldKind::Text),
        Field::optional("network_policy", "Network Policy", policies),
    ];
    let provisioner = vec![
        Field::required("url", "Address", FieldKind::Text),
        Field::optional("password", "Password", FieldKind::Password).secret(),
    ];
    let attaches = name == ATTACHING;
    EngineDescriptor {
        name,
        verbose_name: "Test Engine",
        provisioner: if attaches { ParameterSchema::default() } else { ParameterSchema::new(provisioner) },
        cluster: if attaches { ParameterSchema::new(vec![kubeconfig]) } else { ParameterSchema::new(cluster) },
        capabilities: Capabilities { deploy: !attaches, ..Capabilities::default() },
    }
}

/// A read barrier that is always caught up.
pub(super) fn fresh() -> MockReadBarrier {
    let mut read_barrier = MockReadBarrier::new();
    read_barrier.expect_caught_up().returning(|| Ok(()));
    read_barrier
}

/// Hashes by reversing the password, so that a plain password is never a valid hash.
pub(super) fn passwords() -> MockPasswordHasher {
    let mut passwords = MockPasswordHasher::new();
    passwords.expect_hash().returning(|password| Ok(hashed(password.expose())));
    passwords.expect_verify().returning(|password, hash| Ok(hashed(password.expose()).expose() == hash.expose()));
    passwords.expect_decoy().returning(|| PasswordHash::new("decoy".into()));
    passwords
}

pub(super) fn hashed(password: &str) -> PasswordHash {
    PasswordHash::new(format!("hash:{}", password.chars().rev().collect::<String>()))
}

/// The kubeconfig that is to be stored.
pub(super) fn kubeconfig_of(secrets: &ClusterSecrets) -> Option<&str> {
    match &secrets.kubeconfig {
        SecretUpdate::Set(kubeconfig) => Some(kubeconfig.expose()),
        SecretUpdate::Keep | SecretUpdate::Remove => None,
    }
}

/// The document that is to be sealed.
pub(super) fn sealed(change: &SecretUpdate<SecretDocument>) -> Option<SecretMap> {
    match change {
        SecretUpdate::Set(sealed) => Some(SecretMap::from_json(sealed.expose()).unwrap()),
        SecretUpdate::Keep | SecretUpdate::Remove => None,
    }
}
