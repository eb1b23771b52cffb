//! Clusters: reading and updating them here; creating or attaching, operations and history in the submodules.

mod create;
mod fixed;
mod history;
mod leaving;
pub mod live;
pub mod orphans;
mod verbs;

use std::sync::Arc;

use chrono::TimeDelta;

pub use self::{
    create::NewCluster,
    history::{OperationWithResources, Resources},
    leaving::Forgotten,
};

use crate::{
    access::{Action, Caller, Target},
    catalog::{Catalog, ClusterView, Page, Stored, Tally},
    cluster::{Cluster, Phase},
    document,
    id::{ClusterId, UserId},
    invalid::Invalid,
    kubeconfig::{self, AddressRules},
    name::ResourceName,
    port::{
        clock::Clock,
        engine::{Engine, EngineRegistry},
        store::{ClusterSecrets, ClusterStore, ReadBarrier, SecretUpdate},
    },
    secret::{Kubeconfig, SecretMap, SecretValue},
    service::{
        Expected, ListRequest, ServiceError,
        change::{check_expected, retry_on_conflict},
        lists::visibility,
        permission::may,
        references,
    },
};

/// Changes to a cluster; `None` leaves the value unchanged.
#[derive(Debug, Clone, Default)]
pub struct ClusterPatch {
    /// New name.
    pub name: Option<ResourceName>,
    /// New owner.
    pub owner: Option<UserId>,
    /// Merged into the metadata (RFC 7386). May contain a new kubeconfig.
    pub metadata: Option<SecretMap>,
    /// New kubeconfig.
    pub kubeconfig: Option<SecretValue>,
}

/// A cluster, with its kubeconfig if the caller may read it.
#[derive(Debug)]
pub struct ClusterWithKubeconfig {
    /// The cluster.
    pub view: ClusterView,
    /// `None` when the policy does not let the caller read it.
    pub kubeconfig: Option<ShownKubeconfig>,
}

/// A kubeconfig the caller may read.
#[derive(Debug)]
pub enum ShownKubeconfig {
    /// There is none yet.
    Absent,
    /// This one.
    Present(Kubeconfig),
}

fn has_no_kubeconfig(cluster: &Cluster) -> ServiceError {
    ServiceError::conflict(format!("cluster {} has no kubeconfig yet", cluster.name))
}

impl From<Option<Kubeconfig>> for ShownKubeconfig {
    fn from(kubeconfig: Option<Kubeconfig>) -> Self {
        kubeconfig.map_or(Self::Absent, Self::Present)
    }
}

/// Progress of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// In percent; `None` if the engine does not report it.
    pub percent: Option<u8>,
    /// The phase it is in.
    pub phase: Phase,
}

/// Use cases of clusters.
pub struct Clusters {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where they are stored.
    pub store: Arc<dyn ClusterStore>,
    /// Waits until the read model is up to date.
    pub read_barrier: Arc<dyn ReadBarrier>,
    /// What this installation offers.
    pub engines: EngineRegistry,
    /// Where kubeconfigs may point to.
    pub addresses: AddressRules,
    /// How long an operation may take before it fails.
    pub timeout: TimeDelta,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Clusters {
    /// The clusters the caller may see.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn list(&self, caller: &Caller, request: &ListRequest) -> Result<Page<ClusterView>, ServiceError> {
        let scope = request.scope(&self.catalog, caller)?;
        let visible = visibility(&self.catalog, caller, Action::ClusterList, Action::ClusterGet)?;
        Ok(self.catalog.clusters(&request.listing(scope, visible)))
    }

    /// How many of the clusters the caller may see are in which phase.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn health(&self, caller: &Caller, request: &ListRequest) -> Result<Tally, ServiceError> {
        let scope = request.scope(&self.catalog, caller)?;
        let visible = visibility(&self.catalog, caller, Action::ClusterList, Action::ClusterGet)?;
        Ok(self.catalog.cluster_tally(scope, visible))
    }

    /// One cluster, without its kubeconfig.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, caller: &Caller, id: ClusterId) -> Result<ClusterView, ServiceError> {
        self.catalog
            .cluster(id)
            .filter(|view| permits(caller, Action::ClusterGet, view))
            .ok_or_else(|| ServiceError::not_found("cluster", id))
    }

    /// One cluster, with its kubeconfig if the caller may read it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn show(&self, caller: &Caller, id: ClusterId) -> Result<ClusterWithKubeconfig, ServiceError> {
        let view = self.get(caller, id)?;
        self.with_kubeconfig(caller, view).await
    }

    /// The kubeconfig of a cluster.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden`; `Conflict` when there is none yet.
    pub async fn kubeconfig(&self, caller: &Caller, id: ClusterId) -> Result<Kubeconfig, ServiceError> {
        let view = self.permitted(caller, Action::ClusterKubeconfig, id)?;
        self.stored_kubeconfig(&view).await
    }

    /// Updates a cluster. Nothing is written if nothing changes.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Invalid`, `ChangedMeanwhile`.
    pub async fn update(
        &self,
        caller: &Caller,
        id: ClusterId,
        patch: ClusterPatch,
        expected: Expected,
    ) -> Result<ClusterWithKubeconfig, ServiceError> {
        let mut changes = patch.metadata;
        let mut no_metadata = SecretMap::new();
        let sent = take_kubeconfig(changes.as_mut().unwrap_or(&mut no_metadata), patch.kubeconfig)?;
        let sent = sent.filter(|sent| sent.expose() != document::MASK);
        retry_on_conflict(&*self.read_barrier, || async {
            let view = self.permitted(caller, Action::ClusterUpdate, id)?;
            check_expected(expected, view.cluster.revision, "the cluster")?;
            let mut cluster = view.cluster.record.clone();
            let mut secrets = ClusterSecrets::default();
            if let Some(name) = &patch.name {
                cluster.name = name.clone();
            }
            if let Some(owner) = patch.owner.filter(|owner| *owner != cluster.owner) {
                cluster.owner = references::new_owner(&self.catalog, caller, owner, cluster.organization)?;
            }
            if let Some(sent) = &sent
                && !self.is_unchanged(&view, sent).await?
            {
                let can = self.engine_of(&view)?.descriptor().capabilities;
                // A token that the engine issues must reach no server but the one that the provider has named.
                if can.deploy && (can.issues_tokens || !cluster.has_kubeconfig) {
                    return Err(set_by_provider().into());
                }
                secrets.kubeconfig = SecretUpdate::Set(kubeconfig::parse(sent, &self.addresses)?);
                cluster.has_kubeconfig = true;
            }
            if let Some(changes) = &changes {
                let engine = self.engine_of(&view)?;
                let sealed = self.store.metadata(id).await?;
                let stored = cluster.metadata.clone().unwrap_or_default();
                let mut full = stored.reveal(sealed.as_ref()).map_err(|error| ServiceError::Internal(error.into()))?;
                let before = full.clone();
                let schema = &engine.descriptor().cluster;
                let mut changes = changes.clone();
                schema.normalize("metadata", &mut changes)?;
                document::merge_patch("metadata", &mut full, changes)?;
                // Values that are sent back unchanged are accepted, even if the engine would not accept them any more.
                if full != before {
                    let (full, _) = self.validated(engine, full, cluster.has_kubeconfig)?;
                    self.refuse_changes(&view, engine.descriptor(), &before, &full)?;
                    let split = document::split(&full, &|path: &[&str]| schema.is_secret(path));
                    cluster.metadata = Some(split.shown);
                    secrets.metadata = split.sealed.into();
                }
            }
            if cluster == view.cluster.record && secrets.kubeconfig.is_keep() && secrets.metadata.is_keep() {
                return Ok(self.with_kubeconfig(caller, view).await?);
            }
            let revision = self.store.update(&cluster, secrets, view.cluster.revision).await?;
            let owner = self.catalog.user_view(cluster.owner);
            let view = ClusterView { cluster: Arc::new(Stored::new(cluster, revision)), owner, ..view };
            Ok(self.with_kubeconfig(caller, view).await?)
        })
        .await
    }

    /// Progress of the deployment of a cluster.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn progress(&self, caller: &Caller, id: ClusterId) -> Result<Progress, ServiceError> {
        let view = self.get(caller, id)?;
        // An engine that is not offered any more reports no progress.
        let capabilities = self.engine_of(&view).ok().map(|engine| engine.descriptor().capabilities);
        let phase = view.display_status().phase;
        let percent = view.progress(phase, capabilities);
        Ok(Progress { percent, phase })
    }

    /// Whether a kubeconfig equals the stored one, as when a client sends back what it read.
    async fn is_unchanged(&self, view: &ClusterView, sent: &SecretValue) -> Result<bool, ServiceError> {
        let cluster = &view.cluster.record;
        if !cluster.has_kubeconfig {
            return Ok(false);
        }
        let stored = self.store.kubeconfig(cluster.id).await?;
        let stored = stored.and_then(|stored| SecretMap::from_json(stored.expose()));
        Ok(stored.is_some_and(|stored| sent.expose().as_object() == Some(stored.expose())))
    }

    /// The stored kubeconfig of a cluster, for internal use.
    pub(super) async fn stored_kubeconfig(&self, view: &ClusterView) -> Result<Kubeconfig, ServiceError> {
        let cluster = &view.cluster.record;
        let stored = if cluster.has_kubeconfig { self.store.kubeconfig(cluster.id).await? } else { None };
        stored.ok_or_else(|| has_no_kubeconfig(cluster))
    }

    async fn with_kubeconfig(&self, caller: &Caller, view: ClusterView) -> Result<ClusterWithKubeconfig, ServiceError> {
        let cluster = &view.cluster.record;
        let kubeconfig = match (permits(caller, Action::ClusterKubeconfig, &view), cluster.has_kubeconfig) {
            (false, _) => None,
            (true, false) => Some(ShownKubeconfig::Absent),
            (true, true) => Some(self.store.kubeconfig(cluster.id).await?.into()),
        };
        Ok(ClusterWithKubeconfig { view, kubeconfig })
    }

    fn permitted(&self, caller: &Caller, action: Action, id: ClusterId) -> Result<ClusterView, ServiceError> {
        let view = self.get(caller, id)?;
        if permits(caller, action, &view) {
            return Ok(view);
        }
        let name = &view.cluster.record.name;
        Err(ServiceError::Forbidden(format!("you do not have permission for {action} on cluster {name}")))
    }

    fn engine(&self, name: &str) -> Result<&dyn Engine, ServiceError> {
        let engine = self.engines.get(name).map(|engine| &**engine);
        engine.ok_or_else(|| ServiceError::conflict(format!("the engine {name} is no longer offered")))
    }

    fn engine_of(&self, view: &ClusterView) -> Result<&dyn Engine, ServiceError> {
        let provisioner = view.provisioner.as_ref();
        let provisioner =
            provisioner.ok_or_else(|| ServiceError::not_found("provisioner", view.cluster.record.provisioner))?;
        self.engine(&provisioner.provisioner.record.engine)
    }

    /// The metadata, validated against the engine's schema, and whether the engine attaches existing clusters. A kubeconfig is a field
    /// of some schemas but is stored separately, so it is checked here.
    fn validated(
        &self,
        engine: &dyn Engine,
        metadata: SecretMap,
        has_kubeconfig: bool,
    ) -> Result<(SecretMap, bool), Invalid> {
        let descriptor = engine.descriptor();
        let schema = descriptor.cluster.clone().without(KUBECONFIG);
        let needs_kubeconfig = descriptor.cluster.field(KUBECONFIG).is_some_and(|field| field.required == Some(true));
        let checked = schema.validate("metadata", &metadata);
        if !needs_kubeconfig || has_kubeconfig {
            return Ok((checked?, !descriptor.capabilities.deploy));
        }
        let mut missing = Invalid::field(KUBECONFIG, "is required: send a kubeconfig as a JSON object or YAML text");
        if let Err(others) = checked {
            missing.0.extend(others.0);
        }
        Err(missing)
    }
}

/// The field that contains a kubeconfig, in metadata and in engines' schemas.
const KUBECONFIG: &str = "kubeconfig";

/// If one were accepted from a client, the provider's would never be fetched.
fn set_by_provider() -> Invalid {
    Invalid::field(KUBECONFIG, "must not be set: it is fetched from the provider when the cluster is running")
}

/// Takes the kubeconfig out of the request: it may be at the top level or in the metadata.
fn take_kubeconfig(metadata: &mut SecretMap, top: Option<SecretValue>) -> Result<Option<SecretValue>, Invalid> {
    let empty = |value: &SecretValue| {
        let value = value.expose();
        value.is_null() || value == "" || value.as_object().is_some_and(|object| object.is_empty())
    };
    // The console of 2018 gets the reason of the state in this field and sends it back.
    metadata.remove("status_message");
    let inner = metadata.remove(KUBECONFIG).filter(|value| !empty(value));
    match (top.filter(|value| !empty(value)), inner) {
        (Some(top), Some(inner)) if top != inner => {
            Err(Invalid::field("metadata.kubeconfig", "differs from the top-level kubeconfig; send only one"))
        }
        (top, inner) => Ok(top.or(inner)),
    }
}

/// Whether the policy of the cluster's organization lets the caller do `action` to it.
fn permits(caller: &Caller, action: Action, view: &ClusterView) -> bool {
    let cluster = &view.cluster.record;
    let target = Target { organization: cluster.organization, owner: Some(cluster.owner) };
    may(caller, action, target, view.organization.as_deref())
}
