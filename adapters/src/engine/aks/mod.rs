//! Azure Kubernetes Service, by the REST API of Azure Resource Manager.
//!
//! A cluster is one resource at Azure, `kq-<id>` in a resource group, with one agent pool. [`account`] has the service principal and its
//! tokens, [`client`] the calls, [`wire`] their JSON, [`parameters`] the forms and the request to create a cluster, [`observe`] what a
//! cluster's JSON means, [`kubeconfig`] the access to it, and [`failures`] what error replies mean.
//!
//! The resource group must exist; it is never created or deleted. For each cluster Azure creates another resource group, `MC_kq-<id>`, with
//! its nodes, disks and load balancers. Azure manages it and deletes it with the cluster, so it is not a resource of ours.

mod account;
mod client;
mod failures;
mod kubeconfig;
mod observe;
mod parameters;
mod wire;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use kqueen_domain::{
    ledger::{OwnershipTag, ResourceRef},
    observation::{EngineError, InventoryItem, Observation, ProvisioningState},
    operation::NetworkPolicy,
    parameter::ParameterSchema,
    port::{
        clock::Clock,
        engine::{Capabilities, ClusterSpec, Engine, EngineDescriptor, ProviderCredentials},
    },
    reason::{Reason, ReasonCode, Responsible},
    secret::{SecretMap, SecretValue},
};
use serde_json::Value;
use uuid::Uuid;

pub use self::client::Urls as AksUrls;
use self::{
    client::{Azure, Condition, Parent, Session},
    failures::CallError,
    parameters::{CILIUM, Wanted},
    wire::{Cluster, Document, State},
};
use crate::outbound::Outbound;

/// Drives Azure Kubernetes Service.
pub struct AksEngine {
    descriptor: EngineDescriptor,
    azure: Azure,
}

/// A cluster that was found, and where.
struct Found {
    reference: ResourceRef,
    document: Document,
}

impl AksEngine {
    /// Its name, that of 2018.
    pub const NAME: &'static str = "kqueen.engines.AksEngine";

    /// An engine that reaches Azure through `outbound`.
    #[must_use]
    pub fn new(outbound: Outbound, urls: AksUrls, clock: Arc<dyn Clock>) -> Self {
        let descriptor = EngineDescriptor {
            name: Self::NAME,
            verbose_name: "Azure Kubernetes Service",
            provisioner: ParameterSchema::new(parameters::provisioner_fields()),
            cluster: ParameterSchema::new(parameters::cluster_fields()),
            capabilities: Capabilities {
                deploy: true,
                resize: true,
                set_network_policy: true,
                progress: true,
                inventory: true,
                // Their kubeconfig has a client certificate that lasts.
                issues_tokens: false,
            },
        };
        Self { descriptor, azure: Azure::new(outbound, urls, clock) }
    }

    fn session(&self, credentials: &ProviderCredentials) -> Result<Session<'_>, EngineError> {
        self.azure.session(&credentials.parameters)
    }
}

/// The name of a cluster at Azure: at most 63 letters, digits, underscores and hyphens.
fn name(tag: &OwnershipTag) -> String {
    format!("kq-{}", tag.cluster.uuid().simple())
}

/// Where the cluster is or will be: where it was created if it was, otherwise in the provisioner's resource group.
fn reference(parent: Parent<'_>, spec: &ClusterSpec) -> ResourceRef {
    let name = name(&spec.tag);
    let known = spec.known.iter().map(|resource| &resource.name).find(|known| known.name == name);
    let created = known.filter(|known| observe::parent(known).is_some());
    created.cloned().unwrap_or_else(|| observe::reference(parent, &name))
}

/// What is at Azure for one cluster: under its name, and wherever it is known to have been created. A resource of something else is left
/// alone.
async fn find(session: &Session<'_>, spec: &ClusterSpec) -> Result<(Option<Found>, Option<Found>), EngineError> {
    let known = spec.known.iter().map(|resource| resource.name.clone());
    let references: BTreeSet<_> = std::iter::once(reference(session.parent(), spec)).chain(known).collect();
    let (mut ours, mut untagged) = (None, None);
    for reference in references {
        let Some(parent) = observe::parent(&reference) else { continue };
        let Some(document) = session.cluster(parent, &reference.name).await? else { continue };
        let is_known = spec.known.iter().any(|known| {
            known.name == reference && known.provider_id.as_ref().is_some_and(|id| observe::is(&document.cluster, id))
        });
        if observe::carries(&document.cluster, &spec.tag) {
            ours = Some(Found { reference, document });
        } else if is_known {
            untagged = Some(Found { reference, document });
        }
    }
    Ok((ours, untagged))
}

/// The cluster, which has to exist.
async fn ours(session: &Session<'_>, spec: &ClusterSpec) -> Result<Found, EngineError> {
    find(session, spec).await?.0.ok_or(EngineError::Missing)
}

impl Found {
    fn cluster(&self) -> &Cluster {
        &self.document.cluster
    }

    fn parent(&self) -> Result<Parent<'_>, EngineError> {
        observe::parent(&self.reference).ok_or(EngineError::Missing)
    }

    /// Starts changing the cluster as a whole: `change` is made to what there is, as PUT replaces everything.
    async fn put(&self, session: &Session<'_>, change: impl FnOnce(&mut Value)) -> Result<(), EngineError> {
        if self.document.has_secrets() {
            return Err(has_secrets());
        }
        let mut body = self.document.to_request();
        change(&mut body);
        let condition = Condition::Unchanged(&self.cluster().etag);
        match session.put_cluster(self.parent()?, &self.reference.name, condition, &body).await {
            Err(CallError::Changed | CallError::AlreadyExists) => Err(changed_meanwhile()),
            sent => sent.map_err(EngineError::from),
        }
    }
}

#[async_trait]
impl Engine for AksEngine {
    fn descriptor(&self) -> &EngineDescriptor {
        &self.descriptor
    }

    async fn check(&self, parameters: &SecretMap) -> Result<(), EngineError> {
        let session = self.azure.session(parameters)?;
        // Fails also if the subscription or the resource group does not exist.
        session.clusters(session.parent()).await.map(drop)
    }

    fn makes(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Vec<ResourceRef> {
        let session = self.session(credentials);
        session.iter().map(|session| reference(session.parent(), spec)).collect()
    }

    async fn observe(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<Observation, EngineError> {
        let session = self.session(credentials)?;
        let (found, is_ours) = match find(&session, spec).await? {
            (Some(ours), _) => (ours, true),
            (None, Some(untagged)) => (untagged, false),
            (None, None) => return Ok(Observation::Absent),
        };
        let mut observed = observe::observed(found.parent()?, found.cluster(), self.azure.clock.now());
        // The reference that it is known by, whatever the response calls it.
        for resource in &mut observed.resources {
            resource.name = found.reference.clone();
        }
        if !is_ours {
            observed.state = ProvisioningState::Broken(observe::lost_its_tag(found.cluster()));
        }
        Ok(Observation::Present(observed))
    }

    async fn deploy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
        let session = self.session(credentials)?;
        let wanted = Wanted::read(&spec.parameters)?;
        if let (Some(found), _) = find(&session, spec).await? {
            return carry_on(&session, &found, &wanted).await;
        }
        // The reference that `makes` returns: what may have been started in one place is not started in another one.
        let target = reference(session.parent(), spec);
        let parent = observe::parent(&target).unwrap_or_else(|| session.parent());
        let request = wanted.to_request(&target.name, &spec.tag);
        match session.put_cluster(parent, &target.name, Condition::Absent, &request).await {
            Ok(()) => Ok(()),
            // An earlier call whose response was lost may have created it.
            Err(CallError::AlreadyExists | CallError::Changed) => match session.cluster(parent, &target.name).await? {
                Some(document) if observe::carries(&document.cluster, &spec.tag) => Ok(()),
                _ => Err(failures::name_taken(&target.name)),
            },
            Err(CallError::NotRegistered(why)) => register(&session, parent, why).await,
            // The cluster does not exist yet, so it is not the cluster that is missing.
            Err(CallError::Missing) => Err(CallError::GroupMissing.into()),
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
        let Some(pool) = observe::pool(found.cluster()) else { return Err(no_pool()) };
        if pool.enable_auto_scaling {
            return Err(scales_itself(&pool.name));
        }
        let has_failed = matches!(pool.provisioning_state, State::Failed | State::Canceled);
        if pool.count == Some(node_count) && !has_failed {
            return Ok(());
        }
        // Not through the cluster, which would need everything that is in it, also the secrets that Azure does not return.
        let (parent, name) = (found.parent()?, &found.reference.name);
        let current = match session.pool(parent, name, &pool.name).await {
            Err(CallError::Missing) => return Err(changed_meanwhile()),
            current => current?,
        };
        let etag = current.etag.clone();
        match session.put_pool(parent, name, &pool.name, &etag, &current.with_count(node_count)).await {
            Err(CallError::Changed | CallError::AlreadyExists) => Err(changed_meanwhile()),
            sent => sent.map_err(EngineError::from),
        }
    }

    async fn set_network_policy(
        &self,
        credentials: &ProviderCredentials,
        spec: &ClusterSpec,
        policy: &NetworkPolicy,
    ) -> Result<(), EngineError> {
        let session = self.session(credentials)?;
        let found = ours(&session, spec).await?;
        let Some(change) = policy_change(found.cluster(), policy)? else { return Ok(()) };
        found
            .put(&session, |body| {
                let network = &mut body["properties"]["networkProfile"];
                network["networkPolicy"] = change.into();
                if change == CILIUM {
                    network["networkDataplane"] = CILIUM.into();
                }
            })
            .await
    }

    async fn destroy(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> Result<(), EngineError> {
        let session = self.session(credentials)?;
        match find(&session, spec).await? {
            (Some(found), _) if found.cluster().properties.provisioning_state == State::Deleting => Ok(()),
            (Some(found), _) => match session.delete(found.parent()?, &found.reference.name).await {
                Ok(()) | Err(CallError::Missing) => Ok(()),
                Err(failure) => Err(failure.into()),
            },
            (None, Some(untagged)) => Err(EngineError::Rejected(observe::lost_its_tag(untagged.cluster()))),
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
        if found.cluster().properties.disable_local_accounts {
            return Err(kubeconfig::no_local_accounts());
        }
        let issued = session.admin_credentials(found.parent()?, &found.reference.name).await?;
        kubeconfig::of(&issued)
    }

    async fn inventory(
        &self,
        credentials: &ProviderCredentials,
        installation: Uuid,
    ) -> Result<Vec<InventoryItem>, EngineError> {
        let session = self.session(credentials)?;
        let parent = session.parent();
        let clusters = session.clusters(parent).await?;
        let found = clusters.iter().filter_map(|cluster| {
            let of = cluster.tags.get(parameters::CLUSTER)?.parse().ok()?;
            let tag = OwnershipTag { installation, cluster: of };
            let resource = observe::resource(parent, cluster);
            observe::carries(cluster, &tag).then_some(InventoryItem { cluster: of, resource })
        });
        Ok(found.collect())
    }
}

/// Deploys a cluster that exists. Azure continues a failed creation, and repairs a failed cluster, when it gets the same cluster again: no
/// cluster is deleted for that, whether or not it ever ran.
async fn carry_on(session: &Session<'_>, found: &Found, wanted: &Wanted) -> Result<(), EngineError> {
    let cluster = found.cluster();
    if cluster.properties.provisioning_state == State::Deleting {
        return Err(EngineError::Busy("the earlier cluster is being deleted".to_owned()));
    }
    if !matches!(observe::state(cluster), ProvisioningState::Broken(_)) {
        return Ok(());
    }
    let has_other_size =
        observe::pool(cluster).is_some_and(|pool| !pool.vm_size.eq_ignore_ascii_case(wanted.vm_size.trim()));
    if has_other_size {
        return Err(has_another_size());
    }
    found.put(session, |_| ()).await
}

/// Registers the resource provider, after which the deployment is repeated. `why` explains that it is not registered.
async fn register(session: &Session<'_>, parent: Parent<'_>, why: EngineError) -> Result<(), EngineError> {
    match session.register(parent.subscription).await {
        Ok(()) => Err(EngineError::Busy(
            "the resource provider Microsoft.ContainerService is being registered in the subscription".to_owned(),
        )),
        // Somebody else has to do it.
        Err(CallError::Error(EngineError::Denied(_))) => Err(why),
        Err(failure) => Err(failure.into()),
    }
}

/// The `networkPolicy` that a cluster has to get, or `None` if it has the requested one. Azure installs and removes Calico, and replaces
/// the data plane of a cluster without network policy with Cilium; Cilium itself is permanent.
fn policy_change<'a>(cluster: &Cluster, requested: &'a NetworkPolicy) -> Result<Option<&'a str>, EngineError> {
    let network = &cluster.properties.network_profile;
    let (current, is_off) = (observe::policy(cluster), requested.is_off());
    let has_cilium = network.network_dataplane.eq_ignore_ascii_case(CILIUM);
    let is_overlay = network.network_plugin.eq_ignore_ascii_case("azure")
        && network.network_plugin_mode.eq_ignore_ascii_case("overlay");
    match (current.enabled, is_off) {
        (false, true) => Ok(None),
        (true, false) if current.provider == requested.provider => Ok(None),
        (true, _) if has_cilium => Err(built_in()),
        (true, true) => Ok(Some("none")),
        (true, false) => Err(turn_off_first(&current.provider)),
        (false, false) if requested.provider == CILIUM && !has_cilium && !is_overlay => Err(needs_overlay()),
        (false, false) if requested.provider != CILIUM && has_cilium => Err(built_in()),
        (false, false) => Ok(Some(&requested.provider)),
    }
}

/// A rejection without a message of the provider.
fn rejected(code: ReasonCode, cause: &str, responsible: Responsible, next_step: &str) -> EngineError {
    EngineError::Rejected(Reason::new(code, cause, responsible, next_step))
}

/// The ETag is not the current one. When the call is repeated, it reads the resource again.
fn changed_meanwhile() -> EngineError {
    EngineError::Busy("another call has changed the cluster at the same time".to_owned())
}

fn built_in() -> EngineError {
    rejected(
        ReasonCode::InvalidState,
        "the cluster uses the Cilium data plane, whose network policy is permanent",
        Responsible::Requester,
        "create another cluster if Calico, or no network policy, is needed",
    )
}

fn turn_off_first(current: &str) -> EngineError {
    rejected(
        ReasonCode::InvalidState,
        &format!(
            "the cluster has the network policy {current}, which Azure does not replace with another one in one step"
        ),
        Responsible::Requester,
        "disable the network policy first, then enable the other one",
    )
}

fn needs_overlay() -> EngineError {
    rejected(
        ReasonCode::InvalidState,
        "Cilium requires Azure CNI in overlay mode, which the cluster does not use",
        Responsible::Requester,
        "choose Calico, or create another cluster",
    )
}

fn has_secrets() -> EngineError {
    rejected(
        ReasonCode::InvalidState,
        "the cluster uses a service principal or Windows nodes, whose secrets Azure does not return, so it cannot be changed \
         without them",
        Responsible::Admin,
        "change it at Azure, or change the cluster to a managed identity",
    )
}

fn has_another_size() -> EngineError {
    rejected(
        ReasonCode::InvalidState,
        "the cluster exists with another VM size, which Azure cannot change",
        Responsible::Requester,
        "destroy the cluster and create another one",
    )
}

fn no_pool() -> EngineError {
    rejected(
        ReasonCode::InvalidState,
        "the cluster has no agent pool that could be resized",
        Responsible::Admin,
        "add an agent pool at Azure",
    )
}

fn scales_itself(pool: &str) -> EngineError {
    rejected(
        ReasonCode::InvalidState,
        &format!("the agent pool {pool} has the cluster autoscaler enabled, which decides on its number of nodes"),
        Responsible::Requester,
        "disable the autoscaler of the pool at Azure, or change its limits there",
    )
}

#[cfg(test)]
mod tests {
    use kqueen_domain::parameter::NOBODY;
    use serde_json::json;

    use super::*;

    fn change(network: Value, provider: &str) -> Result<Option<String>, ReasonCode> {
        let cluster = serde_json::from_value(json!({"properties": {"networkProfile": network}})).unwrap();
        let requested = NetworkPolicy::of_form(provider);
        let changed = policy_change(&cluster, &requested);
        changed.map(|to| to.map(str::to_owned)).map_err(|error| error.reason().code)
    }

    #[test]
    fn network_policy_is_changed_where_azure_can() {
        let network = |dataplane: &str, policy: &str| {
            json!({"networkPlugin": "azure", "networkPluginMode": "overlay", "networkDataplane": dataplane,
                "networkPolicy": policy})
        };
        let (none, calico, cilium) =
            (network("azure", "none"), network("azure", "calico"), network("cilium", "cilium"));
        let refused = Err(ReasonCode::InvalidState);
        for (now, wanted, expected) in [
            (&none, NOBODY, Ok(None)),
            (&none, "calico", Ok(Some("calico"))),
            (&none, "cilium", Ok(Some("cilium"))),
            (&calico, "calico", Ok(None)),
            (&calico, NOBODY, Ok(Some("none"))),
            (&calico, "cilium", refused),
            (&cilium, "cilium", Ok(None)),
            (&cilium, "calico", refused),
            (&cilium, NOBODY, refused),
            (&network("cilium", "none"), "calico", refused),
            (&network("cilium", "none"), "cilium", Ok(Some("cilium"))),
            (&json!({"networkPlugin": "kubenet", "networkPolicy": "none"}), "cilium", refused),
            (&json!({"networkPlugin": "kubenet"}), "calico", Ok(Some("calico"))),
        ] {
            assert_eq!(change(now.clone(), wanted), expected.map(|to| to.map(str::to_owned)), "{now} {wanted}");
        }
    }
}
