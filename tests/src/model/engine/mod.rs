//! The engine of the model provider, which drives it as engines drive real clouds.

mod client;
mod observe;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use kqueen_domain::{
    ledger::{OwnershipTag, ResourceRef},
    observation::{EngineError, InventoryItem, Observation},
    operation::NetworkPolicy,
    parameter::{DefaultValue, Field, FieldKind, NOBODY, ParameterSchema},
    port::engine::{Capabilities, ClusterSpec, Engine, EngineDescriptor, ProviderCredentials},
    reason::{Reason, ReasonCode, Responsible},
    secret::{SecretMap, SecretValue},
};
use reqwest::{Client, Method};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use self::{
    client::{CallError, Session, identified, name_taken, plural, provider_resource, unexpected_answer},
    wire::{CLUSTER, ClusterParameters, INSTALLATION, Project, Resource, Status},
};
use super::{Kind, Patience, Right};

/// The name of the engine.
pub const NAME: &str = "kqueen.engines.ModelEngine";

fn provisioner_fields() -> Vec<Field> {
    vec![
        Field::required("url", "Address", FieldKind::Text).url().order(0),
        Field::required("project", "Project", FieldKind::Text).order(1),
        Field::required("token", "Token", FieldKind::Password).order(2),
    ]
}

fn cluster_fields() -> Vec<Field> {
    vec![
        Field::required("node_count", "Node Count", FieldKind::Integer)
            .default(DefaultValue::Number(1))
            .min(1)
            .order(0),
        Field::optional("admin_password", "Administrator's Password", FieldKind::Password).order(1),
        Field::optional(
            "network_policy",
            "Network Policy",
            FieldKind::select(&[(NOBODY, "<disabled>"), ("CALICO", "Calico"), ("CILIUM", "Cilium")]),
        )
        .default(DefaultValue::text(NOBODY))
        .order(2),
    ]
}

/// Drives the model provider.
pub struct ModelEngine {
    descriptor: EngineDescriptor,
    http: Client,
    patience: Patience,
}

impl ModelEngine {
    /// An engine with the user agent `agent`. Its connections belong to the runtime it is first used on.
    #[must_use]
    pub fn new(agent: &str, patience: Patience) -> Self {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .user_agent(agent)
            .no_proxy()
            // It uses plain HTTP, and loading the system's certificates would slow the tests down.
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none())
            // Only the caller knows whether a call may be repeated.
            .retry(reqwest::retry::never())
            .build()
            .unwrap();
        let descriptor = EngineDescriptor {
            name: NAME,
            verbose_name: "Model Engine",
            provisioner: ParameterSchema::new(provisioner_fields()),
            cluster: ParameterSchema::new(cluster_fields()),
            capabilities: Capabilities {
                deploy: true,
                resize: true,
                set_network_policy: true,
                progress: true,
                inventory: true,
                issues_tokens: false,
            },
        };
        Self { descriptor, http, patience }
    }

    fn session(&self, parameters: &SecretMap) -> Result<Session<'_>, EngineError> {
        Session::new(&self.http, &self.patience, parameters)
    }
}

/// The resources of a cluster, in the order in which they are created. Their names are derived only from the cluster's id.
fn resource_names(project: &str, tag: &OwnershipTag) -> Vec<ResourceRef> {
    let name = format!("kq-{}", tag.cluster.uuid().simple());
    let named =
        |kind: Kind| ResourceRef { kind: kind.as_str().to_owned(), name: name.clone(), location: project.to_owned() };
    Kind::ALL.map(named).into()
}

/// Fails with `Unreachable` if the work takes longer than the limit.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, EngineError>> + Send,
) -> Result<T, EngineError> {
    let result = tokio::time::timeout(limit, work).await;
    result.unwrap_or_else(|_| {
        let cause = format!("the provider did not answer within {} s", limit.as_secs());
        Err(EngineError::unreachable(ReasonCode::ProviderTimedOut, cause))
    })
}

/// What exists at the provider for one cluster.
struct Gathered {
    resources: BTreeMap<ResourceRef, Resource>,
    /// Recorded resources that exist without their ownership tag: they are reported and not touched.
    untagged: BTreeMap<ResourceRef, Resource>,
    /// Names of the cluster's resources that other resources have taken.
    taken: Vec<ResourceRef>,
}

/// All resources with the spec's ownership tag: those that a list shows, and those under the recorded and the expected names. A list may be
/// stale. Names that other resources have taken are reported and not touched.
async fn gather(session: &Session<'_>, spec: &ClusterSpec) -> Result<Gathered, EngineError> {
    let known = spec.known.iter().map(|resource| resource.name.clone());
    let expected = resource_names(&session.project, &spec.tag).into_iter().chain(known);
    let expected: BTreeSet<ResourceRef> = expected.filter(|name| plural(&name.kind).is_ok()).collect();
    // The provisioner may have moved to another project since a resource was created.
    let locations: BTreeSet<&str> = expected.iter().map(|name| name.location.as_str()).collect();
    let labels = [(INSTALLATION, spec.tag.installation.to_string()), (CLUSTER, spec.tag.cluster.to_string())];
    let mut gathered = Gathered { resources: BTreeMap::new(), untagged: BTreeMap::new(), taken: Vec::new() };
    for location in locations {
        for resource in session.list(location, &labels).await? {
            if resource.carries(&spec.tag) {
                gathered.resources.insert(provider_resource(&resource, location).name, resource);
            }
        }
    }
    for name in expected {
        if gathered.resources.contains_key(&name) {
            continue;
        }
        match session.find(&name).await? {
            Some(resource) if resource.carries(&spec.tag) => drop(gathered.resources.insert(name, resource)),
            Some(resource) if is_known(spec, &name, &resource) => drop(gathered.untagged.insert(name, resource)),
            Some(_) => gathered.taken.push(name),
            None => {}
        }
    }
    Ok(gathered)
}

/// Whether this resource was recorded for the cluster.
fn is_known(spec: &ClusterSpec, name: &ResourceRef, resource: &Resource) -> bool {
    spec.known.iter().any(|known| known.name == *name && known.provider_id.as_ref() == Some(&resource.id))
}

#[async_trait]
impl Engine for ModelEngine {
    fn descriptor(&self) -> &EngineDescriptor {
        &self.descriptor
    }

    async fn check(&self, parameters: &SecretMap) -> Result<(), EngineError> {
        let session = self.session(parameters)?;
        let request = async {
            session.call::<Project>(Method::GET, &[&session.project], &[], None).await.map_err(EngineError::from)
        };
        let Project { rights } = within(self.patience.check, request).await?;
        let missing = Right::ALL.map(Right::as_str).into_iter().filter(|right| rights.iter().all(|had| had != right));
        let missing: Vec<&str> = missing.collect();
        if missing.is_empty() {
            return Ok(());
        }
        let cause = format!("the token lacks the rights {}", missing.join(", "));
        Err(EngineError::Denied(Reason::new(
            ReasonCode::PermissionDenied,
            cause,
            Responsible::Admin,
            "give the token these rights",
        )))
    }

    fn makes(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Vec<ResourceRef> {
        let project = credentials.parameters.get("project").and_then(Value::as_str).unwrap_or_default();
        resource_names(project, &spec.tag)
    }

    async fn observe(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<Observation, EngineError> {
        let session = self.session(&credentials.parameters)?;
        within(self.patience.whole, async {
            let gathered = gather(&session, spec).await?;
            Ok(observe::observation(&resource_names(&session.project, &spec.tag), &gathered))
        })
        .await
    }

    async fn deploy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
        let mut session = self.session(&credentials.parameters)?;
        let wanted: ClusterParameters = spec.parameters.read().ok_or_else(|| {
            let cause = "the cluster's parameters are incomplete";
            EngineError::Rejected(Reason::new(
                ReasonCode::InvalidParameter,
                cause,
                Responsible::Requester,
                "set the number of nodes",
            ))
        })?;
        session.redact(wanted.admin_password.as_ref());
        within(self.patience.whole, async {
            for name in resource_names(&session.project, &spec.tag) {
                match session.find(&name).await? {
                    None => return create(&session, &name, &spec.tag, &wanted).await,
                    Some(resource) if !resource.carries(&spec.tag) => return Err(name_taken(&name)),
                    Some(resource) => match resource.status {
                        // Continue with what depends on it.
                        Status::Running => {}
                        Status::Creating | Status::Updating | Status::Other => return Ok(()),
                        Status::Deleting => return Err(EngineError::Busy(format!("{name} is being deleted"))),
                        Status::Error => {
                            let repair = Some("repair");
                            session.send(Method::POST, &name, &resource, repair, None).await?;
                            return Ok(());
                        }
                    },
                }
            }
            Ok(())
        })
        .await
    }

    async fn resize(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        node_count: u32,
    ) -> Result<(), EngineError> {
        let wanted = |shape: &wire::Shape| shape.node_count == Some(node_count);
        let body = json!({"node_count": node_count});
        self.change(credentials, spec, Kind::Nodepool, "resize", &body, wanted).await
    }

    async fn set_network_policy(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        policy: &NetworkPolicy,
    ) -> Result<(), EngineError> {
        let wanted = |shape: &wire::Shape| shape.network_policy.as_ref() == Some(policy);
        let body = json!({"provider": policy.provider, "enabled": policy.enabled});
        self.change(credentials, spec, Kind::Cluster, "network-policy", &body, wanted).await
    }

    async fn destroy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
        let session = self.session(&credentials.parameters)?;
        within(self.patience.whole, async {
            let Gathered { resources, untagged, .. } = gather(&session, spec).await?;
            // Dependents are deleted first; the rest when destroy is called again.
            for kind in Kind::ALL.into_iter().rev() {
                let of_kind: Vec<_> = resources.iter().filter(|(name, _)| name.kind == kind.as_str()).collect();
                if !of_kind.is_empty() {
                    return delete_all(&session, &of_kind, &resources).await;
                }
            }
            untagged.keys().next().map_or(Ok(()), |name| Err(EngineError::Rejected(observe::ownership_lost(name))))
        })
        .await
    }

    async fn kubeconfig(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
    ) -> Result<SecretValue, EngineError> {
        let session = self.session(&credentials.parameters)?;
        within(self.patience.whole, async {
            let name = &resource_names(&session.project, &spec.tag)[Kind::Cluster as usize];
            let cluster = session.find_owned(name, &spec.tag).await?;
            let path = [name.location.as_str(), plural(&name.kind)?, &name.name, "kubeconfig"];
            let kubeconfig: Map<String, Value> = session.call(Method::GET, &path, &[("id", &cluster.id)], None).await?;
            if kubeconfig.contains_key("clusters") {
                Ok(SecretMap::from(kubeconfig).into())
            } else {
                Err(unexpected_answer("the provider's answer is not a kubeconfig"))
            }
        })
        .await
    }

    async fn inventory(
        &self,
        credentials: &ProviderCredentials,
        installation: Uuid,
    ) -> Result<Vec<InventoryItem>, EngineError> {
        let session = self.session(&credentials.parameters)?;
        within(self.patience.whole, async {
            let resources = session.list(&session.project, &[(INSTALLATION, installation.to_string())]).await?;
            // A resource with our installation's label but without a cluster's was not created by this engine.
            let found = resources.iter().filter_map(|resource| {
                let cluster = resource.labels.get(CLUSTER)?.parse().ok()?;
                let tag = OwnershipTag { installation, cluster };
                resource
                    .carries(&tag)
                    .then(|| InventoryItem { cluster, resource: provider_resource(resource, &session.project) })
            });
            Ok(found.collect())
        })
        .await
    }
}

impl ModelEngine {
    /// Changes a resource unless it already is, or is becoming, as wanted.
    async fn change(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        kind: Kind,
        verb: &str,
        body: &Value,
        wanted: impl Fn(&wire::Shape) -> bool + Send + Sync,
    ) -> Result<(), EngineError> {
        let session = self.session(&credentials.parameters)?;
        within(self.patience.whole, async {
            let name = &resource_names(&session.project, &spec.tag)[kind as usize];
            let resource = session.find_owned(name, &spec.tag).await?;
            let is_done = resource.status == Status::Running && wanted(&resource.shape);
            let is_becoming = resource.status == Status::Updating && wanted(&resource.target);
            if !is_done && !is_becoming {
                session.send(Method::POST, name, &resource, Some(verb), Some(body)).await?;
            }
            Ok(())
        })
        .await
    }
}

/// Creates a resource. One that exists already is ours only if it has the ownership tag.
async fn create(
    session: &Session<'_>,
    name: &ResourceRef,
    tag: &OwnershipTag,
    wanted: &ClusterParameters,
) -> Result<(), EngineError> {
    let mut body = json!({"name": name.name, "labels": wire::labels(tag)});
    if name.kind == Kind::Cluster.as_str() {
        body["network"] = name.name.clone().into();
        body["admin_password"] = wanted.admin_password.as_ref().map(ExposeSecret::expose_secret).into();
        body["network_policy"] = wanted.policy().into();
    } else if name.kind == Kind::Nodepool.as_str() {
        body["cluster"] = name.name.clone().into();
        body["node_count"] = wanted.node_count.into();
    }
    let path = [name.location.as_str(), plural(&name.kind)?];
    match session.call::<Resource>(Method::POST, &path, &[], Some(&body)).await {
        Ok(resource) => identified(resource, name).map(drop),
        Err(CallError::AlreadyExists) => match session.find_owned(name, tag).await {
            Ok(_) => Ok(()),
            Err(EngineError::Missing) => Err(CallError::AlreadyExists.into()),
            Err(error) => Err(error),
        },
        Err(failure) => Err(failure.into()),
    }
}

/// Deletes resources of one kind. One that cannot be deleted now does not prevent the others from being deleted.
async fn delete_all(
    session: &Session<'_>,
    to_delete: &[(&ResourceRef, &Resource)],
    ours: &BTreeMap<ResourceRef, Resource>,
) -> Result<(), EngineError> {
    let mut error = None;
    for (name, resource) in to_delete.iter().filter(|(_, resource)| resource.status != Status::Deleting) {
        let failure = match session.send(Method::DELETE, name, resource, None, None).await {
            // Already deleted.
            Ok(_) | Err(CallError::NotFound) => continue,
            Err(CallError::InUse(users))
                if !users.iter().all(|user| ours.values().any(|resource| resource.id == *user)) =>
            {
                EngineError::Rejected(Reason::new(
                    ReasonCode::ResourceInUse,
                    format!("a resource that was not created for this cluster depends on {name}"),
                    Responsible::Admin,
                    format!("delete it at the provider: {}", users.join(", ")),
                ))
            }
            Err(failure) => failure.into(),
        };
        // A failure that may have taken effect takes precedence.
        if error.is_none() || failure.is_uncertain() {
            error = Some(failure);
        }
    }
    error.map_or(Ok(()), Err)
}
