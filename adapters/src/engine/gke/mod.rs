//! Google Kubernetes Engine, by its REST API, version 1.
//!
//! A cluster is one resource at Google, `kq-<id>` in a zone or a region, with one node pool. [`account`] has the service account and its
//! tokens, [`client`] the calls, [`wire`] their JSON, [`parameters`] the forms and the request to create a cluster, [`offers`] what can be
//! chosen in a form, [`observe`] what a cluster's JSON means, and [`failures`] what error replies mean.

mod account;
mod client;
mod failures;
mod kubeconfig;
mod observe;
mod offers;
mod parameters;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use kqueen_domain::{
    ledger::{OwnershipTag, ResourceRef},
    observation::{EngineError, InventoryItem, Observation, ObservedCluster, ProvisioningState},
    operation::NetworkPolicy,
    parameter::{Offers, ParameterSchema},
    port::{
        clock::Clock,
        engine::{Capabilities, ClusterSpec, Engine, EngineDescriptor, IssuedToken, ProviderCredentials},
    },
    reason::{ReasonCode, Responsible},
    secret::{SecretMap, SecretValue},
};
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::client::Urls as GkeUrls;
use self::{
    client::{Google, Parent, Session},
    failures::{CallError, rejected},
    parameters::{CALICO, DATAPLANE_V2, POOL, Wanted},
    wire::{Cluster, ClusterStatus},
};
use crate::outbound::Outbound;

/// Drives Google Kubernetes Engine.
pub struct GkeEngine {
    descriptor: EngineDescriptor,
    google: Google,
}

/// A cluster that was found, and where.
struct Found {
    reference: ResourceRef,
    cluster: Cluster,
}

impl GkeEngine {
    /// Its name, that of 2018.
    pub const NAME: &'static str = "kqueen.engines.GceEngine";

    /// An engine that reaches Google through `outbound`.
    #[must_use]
    pub fn new(outbound: Outbound, urls: GkeUrls, clock: Arc<dyn Clock>) -> Self {
        let descriptor = EngineDescriptor {
            name: Self::NAME,
            verbose_name: "Google Kubernetes Engine",
            provisioner: ParameterSchema::new(parameters::provisioner_fields()),
            cluster: ParameterSchema::new(parameters::cluster_fields()),
            capabilities: Capabilities {
                deploy: true,
                resize: true,
                set_network_policy: true,
                progress: true,
                inventory: true,
                issues_tokens: true,
            },
        };
        Self { descriptor, google: Google::new(outbound, urls, clock) }
    }

    fn session(&self, credentials: &ProviderCredentials) -> Result<Session<'_>, EngineError> {
        self.google.session(&credentials.parameters)
    }
}

/// The name of a cluster at Google: at most 40 lower-case letters, digits and hyphens, of which the first is a letter.
fn name(tag: &OwnershipTag) -> String {
    format!("kq-{}", tag.cluster.uuid().simple())
}

/// Where the cluster is or will be: where it was made if it was, else where its parameters say.
fn reference(project: &str, spec: &ClusterSpec) -> Option<ResourceRef> {
    let name = name(&spec.tag);
    let made = spec.known.iter().map(|resource| &resource.name).find(|known| known.name == name);
    if let Some(made) = made.filter(|made| observe::parent(made).is_some()) {
        return Some(made.clone());
    }
    let location = spec.parameters.get("location").and_then(Value::as_str).filter(|location| !location.is_empty())?;
    Some(observe::reference(Parent { project, location }, &name))
}

/// What is at Google for one cluster: under the name that it has or would have, and wherever it is known to have been made. A name that
/// something else has is left alone.
async fn find(session: &Session<'_>, spec: &ClusterSpec) -> Result<(Option<Found>, Option<Found>), EngineError> {
    let known = spec.known.iter().map(|resource| resource.name.clone());
    let mut references: BTreeSet<_> = reference(&session.account.project, spec).into_iter().chain(known).collect();
    if references.is_empty() {
        // Only its tag is known: it is looked for in the whole project.
        let list = session.clusters(&session.account.project).await?;
        let tagged = list.clusters.iter().filter(|cluster| observe::carries(cluster, &spec.tag));
        references.extend(tagged.map(|cluster| observe::resource(&session.account.project, cluster).name));
    }
    let (mut ours, mut untagged) = (None, None);
    for reference in references {
        let Some(parent) = observe::parent(&reference) else { continue };
        let Some(cluster) = session.cluster(parent, &reference.name).await? else { continue };
        let is_known = spec
            .known
            .iter()
            .any(|known| known.name == reference && known.provider_id.as_ref().is_some_and(|id| *id == cluster.id));
        if observe::carries(&cluster, &spec.tag) {
            ours = Some(Found { reference, cluster });
        } else if is_known {
            untagged = Some(Found { reference, cluster });
        }
    }
    Ok((ours, untagged))
}

/// The cluster, which has to be there.
async fn ours(session: &Session<'_>, spec: &ClusterSpec) -> Result<Found, EngineError> {
    find(session, spec).await?.0.ok_or(EngineError::Missing)
}

impl Found {
    fn parent(&self) -> Result<Parent<'_>, EngineError> {
        observe::parent(&self.reference).ok_or(EngineError::Missing)
    }

    /// What is seen of it. Only while something happens to it, or has gone wrong, are the operations of its location read.
    async fn observed(&self, session: &Session<'_>) -> Result<ObservedCluster, EngineError> {
        let parent = self.parent()?;
        let is_quiet = self.cluster.status == ClusterStatus::Running;
        let operations = if is_quiet { Vec::new() } else { session.operations(parent).await? };
        Ok(observe::observed(parent.project, &self.cluster, &operations))
    }
}

#[async_trait]
impl Engine for GkeEngine {
    fn descriptor(&self) -> &EngineDescriptor {
        &self.descriptor
    }

    async fn check(&self, parameters: &SecretMap) -> Result<(), EngineError> {
        let session = self.google.session(parameters)?;
        session.clusters(&session.account.project).await.map(drop)
    }

    async fn offers(
        &self,
        credentials: &ProviderCredentials,
        values: &BTreeMap<String, String>,
    ) -> Result<Offers, EngineError> {
        Ok(offers::offers(&self.session(credentials)?, values).await)
    }

    fn makes(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Vec<ResourceRef> {
        let Ok(session) = self.session(credentials) else { return Vec::new() };
        reference(&session.account.project, spec).into_iter().collect()
    }

    async fn observe(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<Observation, EngineError> {
        let session = self.session(credentials)?;
        Ok(match find(&session, spec).await? {
            (Some(ours), _) => Observation::Present(ours.observed(&session).await?),
            (None, Some(untagged)) => {
                let mut observed = observe::observed(untagged.parent()?.project, &untagged.cluster, &[]);
                observed.state = ProvisioningState::Broken(observe::lost_its_tag(&untagged.cluster));
                Observation::Present(observed)
            }
            (None, None) => Observation::Absent,
        })
    }

    async fn deploy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
        let session = self.session(credentials)?;
        let wanted = Wanted::read(&spec.parameters)?;
        if let (Some(found), _) = find(&session, spec).await? {
            return carry_on(&session, &found).await;
        }
        // Where `makes` has said: what was begun somewhere is not begun a second time elsewhere.
        let Some(target) = reference(&session.account.project, spec) else { return Err(no_location()) };
        let (Some(parent), name) = (observe::parent(&target), target.name.clone()) else { return Err(no_location()) };
        match session.create(parent, &wanted.to_request(&name, &spec.tag)).await {
            Ok(_) => Ok(()),
            // A call of ours that was not answered may have made it.
            Err(CallError::AlreadyExists) => match session.cluster(parent, &name).await? {
                Some(cluster) if observe::carries(&cluster, &spec.tag) => Ok(()),
                _ => Err(failures::name_taken(&name)),
            },
            // The path names no cluster yet: it is the project or the location that is missing.
            Err(CallError::Missing) => Err(rejected(
                ReasonCode::NotFound,
                "Google does not know the project or the location",
                Responsible::Requester,
                "choose another location, or correct the project of the provisioner",
                "",
            )),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn resize(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        node_count: u32,
    ) -> Result<(), EngineError> {
        let session = self.session(credentials)?;
        let found = ours(&session, spec).await?;
        let is_so =
            found.cluster.status == ClusterStatus::Running && observe::node_count(&found.cluster) == Some(node_count);
        if is_so {
            return Ok(());
        }
        let pool = found.cluster.node_pools.first().map_or(POOL, |pool| pool.name.as_str());
        let body = json!({"nodeCount": node_count});
        let sent = session.set_size(found.parent()?, &found.reference.name, pool, &body).await;
        started(&session, &found, sent, "SET_NODE_POOL_SIZE").await
    }

    async fn set_network_policy(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        policy: &NetworkPolicy,
    ) -> Result<(), EngineError> {
        let session = self.session(credentials)?;
        let found = ours(&session, spec).await?;
        let (parent, name, cluster) = (found.parent()?, &found.reference.name, &found.cluster);
        let is_off = policy.is_off();
        if cluster.network_config.datapath_provider == "ADVANCED_DATAPATH" {
            let is_so = !is_off && policy.provider == DATAPLANE_V2;
            return if is_so { Ok(()) } else { Err(built_in()) };
        }
        if !is_off && policy.provider == DATAPLANE_V2 {
            return Err(only_when_created());
        }
        // Two operations: first the add-on, then the policy. When the first has ended, this is called again.
        if !is_off && cluster.addons_config.network_policy_config.disabled {
            let update = json!({"update": {"desiredAddonsConfig": {"networkPolicyConfig": {"disabled": false}}}});
            let sent = session.update(parent, name, &update).await;
            return started(&session, &found, sent, "UPDATE_CLUSTER").await;
        }
        if cluster.network_policy.enabled != is_off {
            return Ok(());
        }
        let body = json!({"networkPolicy": {"provider": CALICO, "enabled": !is_off}});
        let sent = session.ask_cluster(parent, name, "setNetworkPolicy", &body).await;
        started(&session, &found, sent, "SET_NETWORK_POLICY").await
    }

    async fn destroy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
        let session = self.session(credentials)?;
        match find(&session, spec).await? {
            (Some(found), _) if found.cluster.status == ClusterStatus::Stopping => Ok(()),
            (Some(found), _) => match session.delete(found.parent()?, &found.reference.name).await {
                Ok(_) | Err(CallError::Missing) => Ok(()),
                Err(failure) => Err(failure.into()),
            },
            (None, Some(untagged)) => Err(EngineError::Rejected(observe::lost_its_tag(&untagged.cluster))),
            (None, None) => Ok(()),
        }
    }

    async fn kubeconfig(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
    ) -> Result<SecretValue, EngineError> {
        let session = self.session(credentials)?;
        let found = ours(&session, spec).await?;
        kubeconfig::of(&found.cluster)
    }

    async fn issue_token(
        &self,
        credentials: &ProviderCredentials,
        _spec: &ClusterSpec,
    ) -> Result<IssuedToken, EngineError> {
        // Google's token is good for all clusters in which the service account has rights.
        self.session(credentials)?.issued_token().await
    }

    async fn inventory(
        &self,
        credentials: &ProviderCredentials,
        installation: Uuid,
    ) -> Result<Vec<InventoryItem>, EngineError> {
        let session = self.session(credentials)?;
        let project = &session.account.project;
        let list = session.clusters(project).await?;
        let found = list.clusters.iter().filter_map(|cluster| {
            let of = cluster.resource_labels.get(parameters::CLUSTER)?.parse().ok()?;
            let tag = OwnershipTag { installation, cluster: of };
            let resource = observe::resource(project, cluster);
            observe::carries(cluster, &tag).then_some(InventoryItem { cluster: of, resource })
        });
        Ok(found.collect())
    }
}

/// A cluster that is there while it is to be made: it is waited for, unless it was never made whole. Google cannot repair that, so it
/// goes, and is made anew when it is gone. What has run once is never deleted for that.
async fn carry_on(session: &Session<'_>, found: &Found) -> Result<(), EngineError> {
    match found.cluster.status {
        ClusterStatus::Stopping => {
            Err(EngineError::Busy("the cluster that was not fully created is being deleted".to_owned()))
        }
        ClusterStatus::Error => {
            let parent = found.parent()?;
            let operations = session.operations(parent).await?;
            if !observe::creation_failed(&found.cluster, &operations) {
                return Err(rejected(
                    ReasonCode::ProvisioningFailed,
                    "the cluster has failed at Google, which does not repair it",
                    Responsible::Requester,
                    "back up its contents if possible, destroy it, and create another cluster",
                    "",
                ));
            }
            match session.delete(parent, &found.reference.name).await {
                Ok(_) | Err(CallError::Missing) => Ok(()),
                Err(failure) => Err(failure.into()),
            }
        }
        _ => Ok(()),
    }
}

/// Whether a change has begun. That an operation of the same kind is running counts as begun: when it has ended, the cluster shows whether
/// it was this one, and if not, the change is asked for again.
async fn started(
    session: &Session<'_>,
    found: &Found,
    sent: Result<wire::Operation, CallError>,
    kind: &str,
) -> Result<(), EngineError> {
    match sent {
        Ok(_) => Ok(()),
        Err(CallError::Error(EngineError::Busy(with))) => {
            let operations = session.operations(found.parent()?).await?;
            let is_running = operations.iter().any(|operation| {
                operation.status != "DONE"
                    && operation.operation_type == kind
                    && observe::concerns(operation, &found.cluster)
            });
            if is_running { Ok(()) } else { Err(EngineError::Busy(with)) }
        }
        Err(failure) => Err(failure.into()),
    }
}

fn no_location() -> EngineError {
    rejected(
        ReasonCode::InvalidParameter,
        "the cluster has no zone or region",
        Responsible::Requester,
        "specify one in location",
        "",
    )
}

fn built_in() -> EngineError {
    rejected(
        ReasonCode::InvalidState,
        "the cluster uses Dataplane V2, which always enforces network policy and cannot be turned on or off",
        Responsible::Requester,
        "create another cluster if Calico, or no network policy, is needed",
        "",
    )
}

fn only_when_created() -> EngineError {
    rejected(
        ReasonCode::InvalidState,
        "Dataplane V2 can be chosen only when a cluster is created",
        Responsible::Requester,
        "choose Calico, or create another cluster",
        "",
    )
}
