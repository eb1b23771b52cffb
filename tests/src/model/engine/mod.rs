//! The engine that drives the model provider, as engines drive real clouds.

mod client;
mod look;
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
    client::{Failure, Session, made, named, nonsense, plural, taken},
    wire::{CLUSTER, ClusterParameters, INSTALLATION, Project, Status, Thing},
};
use super::{Kind, Patience, Right};

/// Its name among engines.
pub const NAME: &str = "kqueen.engines.ModelEngine";

const PROVISIONER: &[Field] = &[
    Field::required("url", "Address", FieldKind::Text).url().order(0),
    Field::required("project", "Project", FieldKind::Text).order(1),
    Field::required("token", "Token", FieldKind::Password).order(2),
];

const CLUSTER_FIELDS: &[Field] = &[
    Field::required("node_count", "Node Count", FieldKind::Integer).default(DefaultValue::Number(1)).min(1).order(0),
    Field::optional("admin_password", "Administrator's Password", FieldKind::Password).order(1),
    Field::optional(
        "network_policy",
        "Network Policy",
        FieldKind::Select(&[(NOBODY, "<disabled>"), ("CALICO", "Calico"), ("CILIUM", "Cilium")]),
    )
    .default(DefaultValue::Text(NOBODY))
    .order(2),
];

/// Drives the model provider.
pub struct ModelEngine {
    descriptor: EngineDescriptor,
    http: Client,
    patience: Patience,
}

impl ModelEngine {
    /// One that calls itself `agent`. Its connections belong to the runtime it is first used on.
    #[must_use]
    pub fn new(agent: &str, patience: Patience) -> Self {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .user_agent(agent)
            .no_proxy()
            // It speaks plain HTTP, and reading the machine's certificates takes longer than a test has to.
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none())
            // Whether a call is repeated is decided by who knows whether it may be.
            .retry(reqwest::retry::never())
            .build()
            .unwrap();
        let descriptor = EngineDescriptor {
            name: NAME,
            verbose_name: "Model Engine",
            provisioner: ParameterSchema::new(PROVISIONER),
            cluster: ParameterSchema::new(CLUSTER_FIELDS),
            capabilities: Capabilities {
                deploy: true,
                resize: true,
                set_network_policy: true,
                progress: true,
                inventory: true,
            },
        };
        Self { descriptor, http, patience }
    }

    fn session(&self, parameters: &SecretMap) -> Result<Session<'_>, EngineError> {
        Session::new(&self.http, &self.patience, parameters)
    }
}

/// What a cluster is made of, in the order in which it is made. Each name is that of the cluster's id and of nothing else.
fn names(project: &str, tag: &OwnershipTag) -> Vec<ResourceRef> {
    let name = format!("kq-{}", tag.cluster.uuid().simple());
    let named =
        |kind: Kind| ResourceRef { kind: kind.as_str().to_owned(), name: name.clone(), location: project.to_owned() };
    Kind::ALL.map(named).into()
}

/// Ends with `Unreachable` if it takes longer.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, EngineError>> + Send,
) -> Result<T, EngineError> {
    let ended = tokio::time::timeout(limit, work).await;
    ended.unwrap_or_else(|_| {
        let cause = format!("the provider has not answered within {} s", limit.as_secs());
        Err(EngineError::unreachable(ReasonCode::ProviderTimedOut, cause))
    })
}

/// What is at the provider for one cluster.
struct Gathered {
    things: BTreeMap<ResourceRef, Thing>,
    /// What was known of and is there without its ownership tag: it is told, and left alone.
    untagged: BTreeMap<ResourceRef, Thing>,
    /// Names of the cluster's under which there is something else.
    taken: Vec<ResourceRef>,
}

/// Everything that carries the spec's ownership tag: what a list shows, and what is found under the names that things were or would be made
/// by. A list may be behind; a name that something else has taken is noticed and left alone.
async fn gather(session: &Session<'_>, spec: &ClusterSpec) -> Result<Gathered, EngineError> {
    let known = spec.known.iter().map(|thing| thing.name.clone());
    let expected = names(&session.project, &spec.tag).into_iter().chain(known);
    let expected: BTreeSet<ResourceRef> = expected.filter(|name| plural(&name.kind).is_ok()).collect();
    // A provisioner may have moved to another project since something was made.
    let places: BTreeSet<&str> = expected.iter().map(|name| name.location.as_str()).collect();
    let labels = [(INSTALLATION, spec.tag.installation.to_string()), (CLUSTER, spec.tag.cluster.to_string())];
    let mut gathered = Gathered { things: BTreeMap::new(), untagged: BTreeMap::new(), taken: Vec::new() };
    for place in places {
        for thing in session.list(place, &labels).await? {
            if thing.carries(&spec.tag) {
                gathered.things.insert(made(&thing, place).name, thing);
            }
        }
    }
    for name in expected {
        if gathered.things.contains_key(&name) {
            continue;
        }
        match session.find(&name).await? {
            Some(thing) if thing.carries(&spec.tag) => drop(gathered.things.insert(name, thing)),
            Some(thing) if is_known(spec, &name, &thing) => drop(gathered.untagged.insert(name, thing)),
            Some(_) => gathered.taken.push(name),
            None => {}
        }
    }
    Ok(gathered)
}

/// Whether that very thing was made for the order once.
fn is_known(spec: &ClusterSpec, name: &ResourceRef, thing: &Thing) -> bool {
    spec.known.iter().any(|known| known.name == *name && known.provider_id.as_ref() == Some(&thing.id))
}

#[async_trait]
impl Engine for ModelEngine {
    fn descriptor(&self) -> &EngineDescriptor {
        &self.descriptor
    }

    async fn check(&self, parameters: &SecretMap) -> Result<(), EngineError> {
        let session = self.session(parameters)?;
        let asked = async {
            session.call::<Project>(Method::GET, &[&session.project], &[], None).await.map_err(EngineError::from)
        };
        let Project { rights } = within(self.patience.check, asked).await?;
        let lacking = Right::ALL.map(Right::as_str).into_iter().filter(|right| rights.iter().all(|had| had != right));
        let lacking: Vec<&str> = lacking.collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let cause = format!("the token lacks the rights {}", lacking.join(", "));
        Err(EngineError::Denied(Reason::new(
            ReasonCode::PermissionDenied,
            cause,
            Responsible::Admin,
            "give the token these rights",
        )))
    }

    fn makes(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Vec<ResourceRef> {
        let project = credentials.parameters.get("project").and_then(Value::as_str).unwrap_or_default();
        names(project, &spec.tag)
    }

    async fn observe(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<Observation, EngineError> {
        let session = self.session(&credentials.parameters)?;
        within(self.patience.whole, async {
            let gathered = gather(&session, spec).await?;
            Ok(look::observation(&names(&session.project, &spec.tag), &gathered))
        })
        .await
    }

    async fn deploy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
        let mut session = self.session(&credentials.parameters)?;
        let wanted: ClusterParameters = spec.parameters.read().ok_or_else(|| {
            let cause = "the cluster's parameters are not complete";
            EngineError::Rejected(Reason::new(
                ReasonCode::InvalidParameter,
                cause,
                Responsible::Requester,
                "say how many nodes it is to have",
            ))
        })?;
        session.hide(wanted.admin_password.as_ref());
        within(self.patience.whole, async {
            for name in names(&session.project, &spec.tag) {
                match session.find(&name).await? {
                    None => return create(&session, &name, &spec.tag, &wanted).await,
                    Some(thing) if !thing.carries(&spec.tag) => return Err(taken(&name)),
                    Some(thing) => match thing.status {
                        // On to what stands on it.
                        Status::Running => {}
                        Status::Creating | Status::Updating | Status::Other => return Ok(()),
                        Status::Deleting => return Err(EngineError::Busy(format!("{name} is being taken down"))),
                        Status::Error => {
                            let repair = Some("repair");
                            session.ask(Method::POST, &name, &thing, repair, None).await?;
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
            let Gathered { things, untagged, .. } = gather(&session, spec).await?;
            // What stands on nothing else of ours goes first; the rest when it is asked for again.
            for kind in Kind::ALL.into_iter().rev() {
                let of_kind: Vec<_> = things.iter().filter(|(name, _)| name.kind == kind.as_str()).collect();
                if !of_kind.is_empty() {
                    return take_down(&session, &of_kind, &things).await;
                }
            }
            untagged.keys().next().map_or(Ok(()), |name| Err(EngineError::Rejected(look::lost_its_tag(name))))
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
            let name = &names(&session.project, &spec.tag)[Kind::Cluster as usize];
            let cluster = session.ours(name, &spec.tag).await?;
            let path = [name.location.as_str(), plural(&name.kind)?, &name.name, "kubeconfig"];
            let kubeconfig: Map<String, Value> = session.call(Method::GET, &path, &[("id", &cluster.id)], None).await?;
            if kubeconfig.contains_key("clusters") {
                Ok(SecretMap::from(kubeconfig).into())
            } else {
                Err(nonsense("the provider answers with something that is not a kubeconfig"))
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
            let things = session.list(&session.project, &[(INSTALLATION, installation.to_string())]).await?;
            // What carries our ownership tag but no cluster's was not made by this engine.
            let found = things.iter().filter_map(|thing| {
                let cluster = thing.labels.get(CLUSTER)?.parse().ok()?;
                let tag = OwnershipTag { installation, cluster };
                thing.carries(&tag).then(|| InventoryItem { cluster, resource: made(thing, &session.project) })
            });
            Ok(found.collect())
        })
        .await
    }
}

impl ModelEngine {
    /// Changes something about a thing, unless it is so already, or is becoming so.
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
            let name = &names(&session.project, &spec.tag)[kind as usize];
            let thing = session.ours(name, &spec.tag).await?;
            let is_done = thing.status == Status::Running && wanted(&thing.shape);
            let is_becoming = thing.status == Status::Updating && wanted(&thing.target);
            if !is_done && !is_becoming {
                session.ask(Method::POST, name, &thing, Some(verb), Some(body)).await?;
            }
            Ok(())
        })
        .await
    }
}

/// Makes one thing. If it is there already, it is only ours if it carries the ownership tag.
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
    match session.call::<Thing>(Method::POST, &path, &[], Some(&body)).await {
        Ok(thing) => named(thing, name).map(drop),
        Err(Failure::AlreadyExists) => match session.ours(name, tag).await {
            Ok(_) => Ok(()),
            Err(EngineError::Missing) => Err(Failure::AlreadyExists.into()),
            Err(error) => Err(error),
        },
        Err(failure) => Err(failure.into()),
    }
}

/// Takes down things that stand on nothing but each other's neighbours. One that cannot go now does not keep the others.
async fn take_down(
    session: &Session<'_>,
    condemned: &[(&ResourceRef, &Thing)],
    ours: &BTreeMap<ResourceRef, Thing>,
) -> Result<(), EngineError> {
    let mut trouble = None;
    for (name, thing) in condemned.iter().filter(|(_, thing)| thing.status != Status::Deleting) {
        let failure = match session.ask(Method::DELETE, name, thing, None, None).await {
            // Gone already.
            Ok(_) | Err(Failure::NotFound) => continue,
            Err(Failure::InUse(users)) if !users.iter().all(|user| ours.values().any(|thing| thing.id == *user)) => {
                EngineError::Rejected(Reason::new(
                    ReasonCode::ResourceInUse,
                    format!("something that was not made for this cluster stands on {name}"),
                    Responsible::Admin,
                    format!("take it down at the provider: {}", users.join(", ")),
                ))
            }
            Err(failure) => failure.into(),
        };
        // What may have taken effect matters most.
        if trouble.is_none() || failure.is_uncertain() {
            trouble = Some(failure);
        }
    }
    trouble.map_or(Ok(()), Err)
}
