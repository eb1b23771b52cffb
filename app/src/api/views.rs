//! Answers about clusters, provisioners and orphans, made of the domain's views: with the words of the settings, and with as much of what
//! they nest as the caller may see. Of anything else an answer nests the identity and the name.

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
    view_cache::{Sight, ViewCache},
};
use crate::config::ClusterCaptions;

/// Makes answers.
pub struct Views {
    /// The words for clusters' states.
    pub clusters: ClusterCaptions,
    /// The words for provisioners' states.
    pub provisioners: ProvisionerCaptions,
    /// Knows engines' names for people, and what they can do.
    pub engines: EngineRegistry,
    /// Clusters as they were shown before.
    pub cache: ViewCache,
}

/// The words for provisioners' states.
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
    /// The word for `phase`.
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
    /// A provisioner, for `caller`; `named` adds its namespace.
    #[must_use]
    pub fn provisioner(&self, caller: &Caller, view: &catalog::ProvisionerView, named: bool) -> ProvisionerView {
        let sees_owner = view.owner.as_ref().is_some_and(|owner| permission::sees_user(caller, owner));
        self.provisioner_with(view, sees_owner, named)
    }

    fn provisioner_with(&self, view: &catalog::ProvisionerView, sees_owner: bool, named: bool) -> ProvisionerView {
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
            namespace: namespace(named, view.organization.as_deref()),
        }
    }

    /// A cluster without its kubeconfig, for `caller`, as it was shown before if it is still the same; `named` adds its namespace.
    #[must_use]
    pub fn cluster(&self, caller: &Caller, view: &catalog::ClusterView, named: bool) -> Cached<ClusterView> {
        let sight = Sight::of(caller, view);
        self.cache.get_or_make(view, sight, named, || self.cluster_with(view, sight, named))
    }

    /// A cluster with its kubeconfig, where the caller may have it.
    #[must_use]
    pub fn cluster_with_kubeconfig(&self, caller: &Caller, shown: ClusterWithKubeconfig) -> ClusterView {
        let ClusterWithKubeconfig { view, kubeconfig } = shown;
        let kubeconfig = kubeconfig.map(|kubeconfig| match kubeconfig {
            ShownKubeconfig::Absent => secret_json(None),
            ShownKubeconfig::Present(kubeconfig) => secret_json(Some(kubeconfig)),
        });
        ClusterView { kubeconfig, ..self.cluster_with(&view, Sight::of(caller, &view), false) }
    }

    fn cluster_with(&self, view: &catalog::ClusterView, sight: Sight, named: bool) -> ClusterView {
        let cluster = &view.cluster.record;
        let display = view.display_status();
        let engine = self.engine(view);
        let provider = view.provider_status();
        let provisioner = match &view.provisioner {
            Some(view) if sight.provisioner => self.provisioner_with(view, sight.provisioner_owner, false).into(),
            Some(view) => NestedProvisioner::named(cluster.provisioner, view.provisioner.record.name.to_string()),
            // For the moment in which a provisioner goes with its last cluster.
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
            owner: NestedUser::of(cluster.owner, view.owner.as_ref(), sight.owner),
            namespace: namespace(named, view.organization.as_deref()),
        }
    }

    /// An orphan as `caller` sees it; `named` adds its namespace.
    #[must_use]
    pub fn orphan(&self, users: &Users, caller: &Caller, view: &catalog::OrphanView, named: bool) -> OrphanView {
        let orphan = &view.orphan.record;
        let decided_by = match &orphan.state {
            OrphanState::Listed => None,
            OrphanState::Deleting { by, .. } | OrphanState::Ignored { by, .. } => Some(*by),
        };
        OrphanView {
            record: orphan.into(),
            decided_by: decided_by.map(|by| Requester::of(by, users, caller)),
            provisioner: view.provisioner.as_ref().map(|view| self.provisioner(caller, view, false)),
            namespace: namespace(named, view.organization.as_deref()),
        }
    }

    /// The engine of a cluster, if it is offered.
    fn engine(&self, view: &catalog::ClusterView) -> Option<&EngineDescriptor> {
        let provisioner = view.provisioner.as_ref()?;
        Some(self.engines.get(&provisioner.provisioner.record.engine)?.descriptor())
    }

    /// What a list of clusters is asked for.
    ///
    /// # Errors
    /// Every parameter that is wrong.
    pub fn cluster_query(&self, query: &PhasedQuery) -> Result<ListQuery, Invalid> {
        query.read(&Phase::ALL.map(|phase| (phase.as_str(), self.caption(phase))))
    }

    /// What a list of provisioners is asked for.
    ///
    /// # Errors
    /// Every parameter that is wrong.
    pub fn provisioner_query(&self, query: &PhasedQuery) -> Result<ListQuery, Invalid> {
        query.read(&ProvisionerPhase::ALL.map(|phase| (phase.as_str(), self.provisioners.of(phase))))
    }

    /// The word for a cluster's state.
    #[must_use]
    pub fn caption(&self, phase: Phase) -> &str {
        self.clusters.of(phase)
    }
}

fn namespace(named: bool, organization: Option<&catalog::Stored<Organization>>) -> Option<String> {
    organization.filter(|_| named).map(|organization| organization.record.namespace.to_string())
}

/// A cluster's metadata, with the reason of its state, where the console of 2018 looks for it, and with its network policy as provider
/// and whether it is enabled, whatever the engine's form takes.
fn metadata(view: &catalog::ClusterView, engine: Option<&EngineDescriptor>, reason: &str) -> Free {
    let metadata = view.cluster.record.metadata.as_ref();
    let mut map = Map::from_iter([("status_message".to_owned(), reason.into())]);
    // What the client keeps there under that name counts, as it always did.
    map.extend(metadata.map(kqueen_domain::document::Document::to_map).unwrap_or_default());
    if engine.is_some_and(|engine| engine.cluster.field(NETWORK_POLICY).is_some())
        && let Some(policy) = map.get(NETWORK_POLICY).and_then(Value::as_str).filter(|policy| !policy.is_empty())
    {
        let NetworkPolicy { provider, enabled } = NetworkPolicy::of_form(policy);
        map.insert(NETWORK_POLICY.to_owned(), serde_json::json!({"provider": provider, "enabled": enabled}));
    }
    Any(Value::Object(map))
}
