//! Answers put together from parts.
//! Of what the caller may not see an answer nests the identity and the name alone.

pub mod work;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use chrono::{DateTime, SecondsFormat, Utc};
use kqueen_domain::{
    access::Caller,
    catalog::{ClusterView, Page, ProvisionerView, Stored, UserView},
    cluster::{Lifecycle, Phase},
    invalid::Invalid,
    operation::NetworkPolicy,
    organization::Organization,
    parameter::NETWORK_POLICY,
    port::engine::{Capabilities, EngineDescriptor, EngineRegistry},
    provisioner::ProvisionerPhase,
    service::{
        clusters::{ClusterWithKubeconfig, ShownKubeconfig},
        permission,
    },
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    dto::{operation::Reason, reason_code::ReasonCode},
    page::{ListQuery, PhasedQuery},
    view_cache::{Kept, Sight, ViewCache},
};
use crate::config::ClusterCaptions;

/// Puts answers together.
pub struct Renderer {
    /// The words for clusters' states.
    pub clusters: ClusterCaptions,
    /// The words for provisioners' states.
    pub provisioners: ProvisionerCaptions,
    /// Knows engines' names for people.
    pub engines: EngineRegistry,
    /// Clusters as they were put together before.
    pub kept: ViewCache,
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

/// The form of times: RFC 3339 with `Z`, to the microsecond where there are any.
#[must_use]
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A part of an object: its braces are left to whoever puts it together.
fn part(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    json(&mut bytes, record);
    bytes.pop();
    bytes
}

/// One more member of an object.
fn member(out: &mut Vec<u8>, name: &str, value: &(impl Serialize + ?Sized)) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    json(out, value);
}

fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Writing to memory cannot fail, and everything we serialize has text keys.
    let _ = serde_json::to_writer(out, value);
}

fn namespace(out: &mut Vec<u8>, named: bool, organization: Option<&Arc<Stored<Organization>>>) {
    if let Some(organization) = organization.filter(|_| named) {
        out.extend_from_slice(b",\"_namespace\":\"");
        // A slug of a-z, 0-9, - and _, whoever made it: there is nothing to escape.
        out.extend_from_slice(organization.record.namespace.as_str().as_bytes());
        out.push(b'"');
    }
}

/// For how many bytes of each item of a list there is room from the beginning, at most.
const LONG: usize = 4096;

/// A list: an array, or with its total where a part was asked for.
pub fn list<T>(page: &Page<T>, paged: bool, mut item: impl FnMut(&mut Vec<u8>, &T)) -> Vec<u8> {
    let mut is_first = true;
    list_in(Vec::with_capacity(2048), page, paged, |out, it| {
        item(out, it);
        if std::mem::take(&mut is_first) {
            // Most are about as long as the first; one that is not must not ask for more than there is.
            let each = (out.len() + out.len() / 8).min(LONG);
            out.reserve(each * (page.items.len() - 1) + 64);
        }
    })
}

fn list_in<T>(mut out: Vec<u8>, page: &Page<T>, paged: bool, mut item: impl FnMut(&mut Vec<u8>, &T)) -> Vec<u8> {
    out.extend_from_slice(if paged { b"{\"items\":[" } else { b"[" });
    for (n, it) in page.items.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        item(&mut out, it);
    }
    out.push(b']');
    if paged {
        out.extend_from_slice(format!(",\"total\":{}}}", page.total).as_bytes());
    }
    out
}

/// An organization.
pub fn organization(out: &mut Vec<u8>, entry: &Stored<Organization>) {
    organization_but_its_end(out, entry);
    let overrides: BTreeMap<_, _> =
        entry.record.policy.overrides().map(|(action, rule)| (action.as_str(), rule.as_str())).collect();
    member(out, "policy", &overrides);
    out.push(b'}');
}

fn nested_organization(out: &mut Vec<u8>, entry: &Stored<Organization>) {
    organization_but_its_end(out, entry);
    out.push(b'}');
}

fn organization_but_its_end(out: &mut Vec<u8>, entry: &Stored<Organization>) {
    let Organization { id, name, namespace, created_at, .. } = &entry.record;
    out.extend(part(&serde_json::json!({
        "id": id.uuid(),
        "name": name,
        "namespace": namespace,
        "created_at": time(*created_at),
    })));
}

/// A user.
pub fn user(out: &mut Vec<u8>, view: &UserView) {
    let user = &view.user.record;
    let mut object = Map::new();
    object.insert("id".into(), user.id.to_string().into());
    object.insert("username".into(), user.username.as_str().into());
    if let Some(email) = &user.email {
        object.insert("email".into(), email.as_str().into());
    }
    object.insert("role".into(), user.role.as_str().into());
    object.insert("active".into(), user.active.into());
    object.insert("auth".into(), user.auth.as_str().into());
    if let Some(metadata) = &user.metadata {
        object.insert("metadata".into(), metadata.to_map().into());
    }
    object.insert("created_at".into(), time(user.created_at).into());
    out.extend(part(&Value::Object(object)));
    if let Some(entry) = &view.organization {
        out.extend_from_slice(b",\"organization\":");
        nested_organization(out, entry);
    }
    out.push(b'}');
}

/// The owner of something, in full or by name.
fn owner(out: &mut Vec<u8>, in_full: bool, owner: Option<&UserView>) {
    let Some(view) = owner else { return };
    out.extend_from_slice(b",\"owner\":");
    if in_full {
        user(out, view);
    } else {
        name_alone(out, view.user.record.id, "username", view.user.record.username.as_str());
    }
}

fn name_alone(out: &mut Vec<u8>, id: impl std::fmt::Display, field: &str, name: &str) {
    out.extend_from_slice(format!("{{\"id\":\"{id}\"").as_bytes());
    member(out, field, &name);
    out.push(b'}');
}

/// What comes before a cluster's kubeconfig.
const KUBECONFIG: &[u8] = b",\"kubeconfig\":";
/// What there is where there is none yet.
const NO_KUBECONFIG: &[u8] = b",\"kubeconfig\":{}";

impl Renderer {
    /// A provisioner, for `caller`; `named` adds its namespace.
    pub fn provisioner(&self, out: &mut Vec<u8>, caller: &Caller, view: &ProvisionerView, named: bool) {
        let sees_owner = view.owner.as_ref().is_some_and(|owner| permission::sees_user(caller, owner));
        self.provisioner_in_full(out, sees_owner, view, named);
    }

    fn provisioner_in_full(&self, out: &mut Vec<u8>, sees_owner: bool, view: &ProvisionerView, named: bool) {
        let provisioner = &view.provisioner.record;
        let engine = self.engines.get(&provisioner.engine);
        let verbose = engine.map_or(&*provisioner.engine, |engine| engine.descriptor().verbose_name);
        let phase = provisioner.check.phase;
        out.extend(part(&serde_json::json!({
            "id": provisioner.id.uuid(),
            "name": provisioner.name,
            "engine": provisioner.engine,
            "verbose_name": verbose,
            "parameters": provisioner.parameters.to_map(),
            "state": self.provisioners.of(phase),
            "phase": phase.as_str(),
            "status_reason": provisioner.check.code.map(ReasonCode),
            "status_message": provisioner.check.reason,
            "observed_at": time(provisioner.check.at),
            "state_changed_at": time(provisioner.state_changed_at),
            "created_at": time(provisioner.created_at),
        })));
        owner(out, sees_owner, view.owner.as_ref());
        namespace(out, named, view.organization.as_ref());
        out.push(b'}');
    }

    /// A cluster without its kubeconfig, for `caller`, as it was put together before if it is still the same; `named` adds its namespace.
    #[must_use]
    pub fn cluster(&self, caller: &Caller, view: &ClusterView, named: bool) -> Kept {
        let sight = Sight::of(caller, view);
        self.kept.get_or_render(view, sight, named, || {
            let mut out = Vec::with_capacity(2048);
            self.cluster_but_its_end(&mut out, sight, view, named);
            out.push(b'}');
            out
        })
    }

    /// A cluster with its kubeconfig, where the caller may have it.
    #[must_use]
    pub fn cluster_with_kubeconfig(&self, caller: &Caller, shown: &ClusterWithKubeconfig) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 * 1024);
        self.cluster_but_its_end(&mut out, Sight::of(caller, &shown.view), &shown.view, false);
        match &shown.kubeconfig {
            None => {}
            Some(ShownKubeconfig::Absent) => out.extend_from_slice(NO_KUBECONFIG),
            Some(ShownKubeconfig::Present(kubeconfig)) => {
                let text = kubeconfig.expose().as_bytes();
                // IdempotencyKey, so that no memory that held a part of it is given back as it is.
                out.reserve(KUBECONFIG.len() + text.len() + 1);
                out.extend_from_slice(KUBECONFIG);
                out.extend_from_slice(text);
            }
        }
        out.push(b'}');
        out
    }

    fn cluster_but_its_end(&self, out: &mut Vec<u8>, sight: Sight, view: &ClusterView, named: bool) {
        let cluster = &view.cluster.record;
        out.extend(part(&serde_json::json!({
            "id": cluster.id.uuid(),
            "name": cluster.name,
            "created_at": time(cluster.created_at),
            "operation": cluster.operation.map(|operation| operation.uuid()),
            "failure": match &cluster.lifecycle {
                Lifecycle::Failed { reason } => Some(Reason::from(reason)),
                Lifecycle::Deploying | Lifecycle::Ready | Lifecycle::Updating | Lifecycle::Destroying => None,
            },
        })));
        let display = view.display_status();
        member(out, "state", self.caption(display.phase));
        member(out, "phase", display.phase.as_str());
        member(out, "status_reason", &display.code.map(ReasonCode));
        member(out, "status_message", &display.reason);
        member(out, "state_changed_at", &time(display.changed_at));
        member(out, "observed_at", &view.observed_at.map(time));
        member(out, "version", &view.observed.as_ref().and_then(|observed| observed.version.as_deref()));
        member(out, "progress", &view.progress(display.phase, self.capabilities(view)));
        let told = view.provider_status();
        member(out, "node_count", &told.and_then(|told| told.node_count));
        member(out, "network_policy", &told.and_then(|told| told.network_policy.as_ref()));
        out.extend_from_slice(b",\"metadata\":{\"status_message\":");
        json(out, &display.reason);
        let metadata = self.metadata(view);
        if let Some(inside) = metadata.as_deref().map(|metadata| &metadata[1..]).filter(|text| *text != "}") {
            out.push(b',');
            out.extend_from_slice(inside.as_bytes());
        } else {
            out.push(b'}');
        }
        owner(out, sight.owner, view.owner.as_ref());
        if let Some(provisioner) = &view.provisioner {
            out.extend_from_slice(b",\"provisioner\":");
            if sight.provisioner {
                self.provisioner_in_full(out, sight.provisioner_owner, provisioner, false);
            } else {
                let record = &provisioner.provisioner.record;
                name_alone(out, record.id, "name", record.name.as_str());
            }
        }
        namespace(out, named, view.organization.as_ref());
    }

    /// A cluster's metadata, with its network policy as provider and whether it is enabled, whatever the engine's form takes.
    fn metadata<'v>(&self, view: &'v ClusterView) -> Option<Cow<'v, str>> {
        let metadata = view.cluster.record.metadata.as_ref()?;
        let is_of_the_form = || self.engine(view).is_some_and(|engine| engine.cluster.field(NETWORK_POLICY).is_some());
        // Told by a glance: most have none.
        if !metadata.as_str().contains(NETWORK_POLICY) || !is_of_the_form() {
            return Some(metadata.as_str().into());
        }
        let mut map = metadata.to_map();
        if let Some(policy) = map.get(NETWORK_POLICY).and_then(Value::as_str).filter(|policy| !policy.is_empty()) {
            let NetworkPolicy { provider, enabled } = NetworkPolicy::of_form(policy);
            map.insert(NETWORK_POLICY.to_owned(), serde_json::json!({"provider": provider, "enabled": enabled}));
        }
        Some(Value::Object(map).to_string().into())
    }

    /// The engine of a cluster, if it is offered.
    fn engine(&self, view: &ClusterView) -> Option<&EngineDescriptor> {
        let provisioner = view.provisioner.as_ref()?;
        Some(self.engines.get(&provisioner.provisioner.record.engine)?.descriptor())
    }

    /// What can be done with a cluster, if its engine is offered.
    fn capabilities(&self, view: &ClusterView) -> Option<Capabilities> {
        Some(self.engine(view)?.capabilities)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_whose_length_is_known_does_not_grow() {
        let page = Page { items: vec![1391; 20], total: 20 };
        let known = 20 * 1392 + 64;
        let text = list_in(Vec::with_capacity(known), &page, true, |out, length| {
            out.extend(std::iter::repeat_n(b'x', *length));
        });
        assert_eq!(text.capacity(), known);
    }

    #[test]
    fn a_long_item_asks_for_no_room_for_many_as_long() {
        let mut items = vec![10; 10_000];
        items[0] = 60_000;
        let page = Page { total: items.len(), items };
        let text = list(&page, false, |out, length| out.extend(std::iter::repeat_n(b'x', *length)));
        assert_eq!(text.len(), 2 + 60_000 + 9_999 * 11);
        assert!(text.capacity() < 64 << 20, "{}", text.capacity());
    }
}
