//! Renders the domain's views of clusters, provisioners and orphans: with the captions from the settings, and with the nested objects that
//! the caller may see. Other nested objects have only id and name.

use kqueen_domain::{
    access::Caller,
    catalog,
    cluster::{Lifecycle, Phase},
    invalid::Invalid,
    operation::NetworkPolicy,
    organization::Organization,
    orphan::OrphanState,
    parameter::NETWORK_POLICY,
    port::engine::{EngineDescriptor, EngineRegistry},
    provisioner::ProvisionerPhase,
    service::{
        clusters::{ClusterWithKubeconfig, ShownKubeconfig},
        people::users::Users,
        permission,
    },
};
use poem_openapi::types::Any;
use serde_json::{Map, Value};

use super::{
    dto::{
        Free,
        cluster::ClusterView,
        free_text,
        operation::Requester,
        orphan::OrphanView,
        provisioner::{NestedProvisioner, ProvisionerView},
        reason_code::ReasonCode,
        secret_json,
        user::NestedUser,
    },
    page::{ListQuery, PhasedQuery},
    rendered::Cached,
    view_cache::{ViewCache, Visibility},
};
use crate::config::ClusterCaptions;

/// Renders objects.
pub struct Views {
    /// Captions of the states of clusters.
    pub clusters: ClusterCaptions,
    /// Captions of the states of provisioners.
    pub provisioners: ProvisionerCaptions,
    /// The engines, with their display names and capabilities.
    pub engines: EngineRegistry,
    /// Cached clusters.
    pub cache: ViewCache,
}

/// Captions of the states of provisioners.
#[derive(Debug, Clone)]
pub struct ProvisionerCaptions {
    /// For `Ready`.
    pub ok: String,
    /// For `Failed`.
    pub error: String,
    /// For `NotReachable`.
    pub unknown: String,
}

impl ProvisionerCaptions {
    /// The caption of `phase`.
    #[must_use]
    pub fn of(&self, phase: ProvisionerPhase) -> &str {
        match phase {
            ProvisionerPhase::Ready => &self.ok,
            ProvisionerPhase::Failed => &self.error,
            ProvisionerPhase::NotReachable => &self.unknown,
        }
    }
}

impl Views {
    /// A provisioner as `caller` sees it; `with_namespace` adds its namespace.
    #[must_use]
    pub fn provisioner(
        &self,
        caller: &Caller,
        view: &catalog::ProvisionerView,
        with_namespace: bool,
    ) -> ProvisionerView {
        let sees_owner = view.owner.as_ref().is_some_and(|owner| permission::sees_user(caller, owner));
        self.provisioner_with(view, sees_owner, with_namespace)
    }

    fn provisioner_with(
        &self,
        view: &catalog::ProvisionerView,
        sees_owner: bool,
        with_namespace: bool,
    ) -> ProvisionerView {
        let provisioner = &view.provisioner.record;
        let engine = self.engines.get(&provisioner.engine);
        let phase = provisioner.check.phase;
        ProvisionerView {
            id: provisioner.id.uuid(),
            name: provisioner.name.to_string(),
            engine: provisioner.engine.to_string(),
            verbose_name: engine.map_or(&*provisioner.engine, |engine| engine.descriptor().verbose_name).to_owned(),
            parameters: free_text(&provisioner.parameters),
            state: self.provisioners.of(phase).to_owned(),
            phase: phase.into(),
            status_reason: provisioner.check.code.map(ReasonCode),
            status_message: provisioner.check.reason.clone(),
            observed_at: provisioner.check.at,
            state_changed_at: provisioner.state_changed_at,
            created_at: provisioner.created_at,
            owner: NestedUser::of(provisioner.owner, view.owner.as_ref(), sees_owner),
            namespace: namespace(with_namespace, view.organization.as_deref()),
        }
    }

    /// A cluster as `caller` sees it, without its kubeconfig, from the cache if it is unchanged; `with_namespace` adds its namespace.
    #[must_use]
    pub fn cluster(&self, caller: &Caller, view: &catalog::ClusterView, with_namespace: bool) -> Cached<ClusterView> {
        let visibility = Visibility::of(caller, view);
        self.cache
            .get_or_render(view, visibility, with_namespace, || self.cluster_with(view, visibility, with_namespace))
    }

    /// A cluster with its kubeconfig, if the caller may read it.
    #[must_use]
    pub fn cluster_with_kubeconfig(&self, caller: &Caller, shown: ClusterWithKubeconfig) -> ClusterView {
        let ClusterWithKubeconfig { view, kubeconfig } = shown;
        let kubeconfig = kubeconfig.map(|kubeconfig| match kubeconfig {
            ShownKubeconfig::Absent => secret_json(None),
            ShownKubeconfig::Present(kubeconfig) => secret_json(Some(kubeconfig)),
        });
        ClusterView { kubeconfig, ..self.cluster_with(&view, Visibility::of(caller, &view), false) }
    }

    fn cluster_with(&self, view: &catalog::ClusterView, visibility: Visibility, with_namespace: bool) -> ClusterView {
        let cluster = &view.cluster.record;
        let display = view.display_status();
        let engine = self.engine(view);
        let provider = view.provider_status();
        let provisioner = match &view.provisioner {
            Some(view) if visibility.provisioner => {
                self.provisioner_with(view, visibility.provisioner_owner, false).into()
            }
            Some(view) => NestedProvisioner::named(cluster.provisioner, view.provisioner.record.name.to_string()),
            // Possible for a moment while a provisioner is deleted with its last cluster.
            None => NestedProvisioner::named(cluster.provisioner, ""),
        };
        ClusterView {
            id: cluster.id.uuid(),
            name: cluster.name.to_string(),
            state: self.caption(display.phase).to_owned(),
            phase: display.phase.into(),
            status_reason: display.code.map(ReasonCode),
            state_changed_at: display.changed_at,
            observed_at: view.observed_at,
            version: view.observed.as_ref().and_then(|observed| observed.version.clone()),
            progress: view.progress(display.phase, engine.map(|engine| engine.capabilities)),
            operation: cluster.operation.map(|operation| operation.uuid()),
            node_count: provider.and_then(|provider| provider.node_count),
            network_policy: provider.and_then(|provider| provider.network_policy.as_ref()).map(Into::into),
            failure: match &cluster.lifecycle {
                Lifecycle::Failed { reason } => Some(reason.into()),
                Lifecycle::Deploying | Lifecycle::Ready | Lifecycle::Updating | Lifecycle::Destroying => None,
            },
            created_at: cluster.created_at,
            metadata: metadata(view, engine, &display.reason),
            status_message: display.reason,
            kubeconfig: None,
            provisioner,
            owner: NestedUser::of(cluster.owner, view.owner.as_ref(), visibility.owner),
            namespace: namespace(with_namespace, view.organization.as_deref()),
        }
    }

    /// An orphan as `caller` sees it; `with_namespace` adds its namespace.
    #[must_use]
    pub fn orphan(
        &self,
        users: &Users,
        caller: &Caller,
        view: &catalog::OrphanView,
        with_namespace: bool,
    ) -> OrphanView {
        let orphan = &view.orphan.record;
        let decided_by = match &orphan.state {
            OrphanState::Listed => None,
            OrphanState::Deleting { by, .. } | OrphanState::Ignored { by, .. } => Some(*by),
        };
        OrphanView {
            record: orphan.into(),
            decided_by: decided_by.map(|by| Requester::of(by, users, caller)),
            provisioner: view.provisioner.as_ref().map(|view| self.provisioner(caller, view, false)),
            namespace: namespace(with_namespace, view.organization.as_deref()),
        }
    }

    /// The engine of a cluster, if it is available.
    fn engine(&self, view: &catalog::ClusterView) -> Option<&EngineDescriptor> {
        let provisioner = view.provisioner.as_ref()?;
        Some(self.engines.get(&provisioner.provisioner.record.engine)?.descriptor())
    }

    /// Parses the query of a list of clusters.
    ///
    /// # Errors
    /// All invalid parameters.
    pub fn cluster_query(&self, query: &PhasedQuery) -> Result<ListQuery, Invalid> {
        query.read(&Phase::ALL.map(|phase| (phase.as_str(), self.caption(phase))))
    }

    /// Parses the query of a list of provisioners.
    ///
    /// # Errors
    /// All invalid parameters.
    pub fn provisioner_query(&self, query: &PhasedQuery) -> Result<ListQuery, Invalid> {
        query.read(&ProvisionerPhase::ALL.map(|phase| (phase.as_str(), self.provisioners.of(phase))))
    }

    /// The caption of a cluster's state.
    #[must_use]
    pub fn caption(&self, phase: Phase) -> &str {
        self.clusters.of(phase)
    }
}

fn namespace(with_namespace: bool, organization: Option<&catalog::Stored<Organization>>) -> Option<String> {
    organization.filter(|_| with_namespace).map(|organization| organization.record.namespace.to_string())
}

/// A cluster's metadata, with the reason of its state, where the console of 2018 expects it, and with its network policy as `provider` and
/// `enabled`, whatever the form of the engine.
fn metadata(view: &catalog::ClusterView, engine: Option<&EngineDescriptor>, reason: &str) -> Free {
    let metadata = view.cluster.record.metadata.as_ref();
    let mut map = Map::from_iter([("status_message".to_owned(), reason.into())]);
    // A value that the client stores under that name takes precedence.
    map.extend(metadata.map(kqueen_domain::document::Document::to_map).unwrap_or_default());
    if engine.is_some_and(|engine| engine.cluster.field(NETWORK_POLICY).is_some())
        && let Some(policy) = map.get(NETWORK_POLICY).and_then(Value::as_str).filter(|policy| !policy.is_empty())
    {
        let NetworkPolicy { provider, enabled } = NetworkPolicy::of_form(policy);
        map.insert(NETWORK_POLICY.to_owned(), serde_json::json!({"provider": provider, "enabled": enabled}));
    }
    Any(Value::Object(map))
}
