//! A cache of rendered clusters. A page nests twenty owners, provisioners and organizations; rendering them would be the largest cost of a
//! request.
//!
//! The JSON depends only on the cluster with all nested objects and on what the caller may see: a cached entry is used only if all of
//! that is unchanged. The size of the cache is bounded.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use kqueen_domain::{
    access::Caller,
    catalog::{ClusterView, UserView},
    id::ClusterId,
    observation::ObservedStatus,
    provisioner::Check,
    revision::Revision,
    service::permission,
};
use quick_cache::{Weighter, sync::Cache};

use super::{dto::cluster as dto, rendered::Cached};

/// Maximum size of the cache in bytes.
const MAX_BYTES: u64 = 24 << 20;
/// Size of an entry in bytes in addition to its JSON.
const OVERHEAD: u64 = 400;
/// Typical size of an entry in bytes.
const TYPICAL: u64 = 2048;

/// Which nested objects of a cluster the caller sees in full; the others have only id and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Visibility {
    /// The owner.
    pub owner: bool,
    /// The provisioner.
    pub provisioner: bool,
    /// The provisioner's owner.
    pub provisioner_owner: bool,
}

impl Visibility {
    /// What `caller` sees of `view`, by the policies in the view.
    #[must_use]
    pub fn of(caller: &Caller, view: &ClusterView) -> Self {
        let sees = |owner: &Option<UserView>| owner.as_ref().is_some_and(|owner| permission::sees_user(caller, owner));
        let provisioner =
            view.provisioner.as_ref().filter(|provisioner| permission::sees_provisioner(caller, provisioner));
        Self {
            owner: sees(&view.owner),
            provisioner: provisioner.is_some(),
            provisioner_owner: provisioner.is_some_and(|provisioner| sees(&provisioner.owner)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    cluster: ClusterId,
    visibility: Visibility,
    /// Whether it includes the namespace.
    with_namespace: bool,
}

/// The versions of everything an entry was rendered from. The revision of a record also determines the records it refers to.
#[derive(Debug, PartialEq)]
struct Versions {
    cluster: Revision,
    organization: Option<Revision>,
    observed: Option<Arc<ObservedStatus>>,
    observed_at: Option<DateTime<Utc>>,
    owner: Option<UserVersions>,
    provisioner: Option<ProvisionerVersions>,
}

#[derive(Debug, PartialEq)]
struct UserVersions {
    user: Revision,
    organization: Option<Revision>,
}

#[derive(Debug, PartialEq)]
struct ProvisionerVersions {
    provisioner: Revision,
    /// The result of its check, which does not change the revision.
    check: Check,
    state_changed_at: DateTime<Utc>,
    owner: Option<UserVersions>,
}

impl Versions {
    fn of(view: &ClusterView) -> Self {
        let user = |view: &UserView| UserVersions {
            user: view.user.revision,
            organization: view.organization.as_ref().map(|organization| organization.revision),
        };
        Self {
            cluster: view.cluster.revision,
            organization: view.organization.as_ref().map(|organization| organization.revision),
            observed: view.observed.clone(),
            observed_at: view.observed_at,
            owner: view.owner.as_ref().map(user),
            provisioner: view.provisioner.as_ref().map(|view| ProvisionerVersions {
                provisioner: view.provisioner.revision,
                check: view.provisioner.record.check.clone(),
                state_changed_at: view.provisioner.record.state_changed_at,
                owner: view.owner.as_ref().map(user),
            }),
        }
    }
}

/// A rendered cluster, and the versions it was rendered from.
#[derive(Debug)]
struct CachedView {
    versions: Versions,
    rendered: Cached<dto::ClusterView>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<CachedView>> for Weight {
    fn weight(&self, _key: &Key, entry: &Arc<CachedView>) -> u64 {
        entry.rendered.text().len() as u64 + OVERHEAD
    }
}

/// The cache of rendered clusters.
pub struct ViewCache(Cache<Key, Arc<CachedView>, Weight>);

impl Default for ViewCache {
    fn default() -> Self {
        Self::bounded(MAX_BYTES)
    }
}

impl ViewCache {
    fn bounded(max_bytes: u64) -> Self {
        Self(Cache::with_weighter(usize::try_from(max_bytes / TYPICAL).unwrap_or_default(), max_bytes, Weight))
    }

    /// The cached rendering of the same `view` for the same `visibility`, or the result of `render`.
    pub fn get_or_render(
        &self,
        view: &ClusterView,
        visibility: Visibility,
        with_namespace: bool,
        render: impl FnOnce() -> dto::ClusterView,
    ) -> Cached<dto::ClusterView> {
        let key = Key { cluster: view.cluster.record.id, visibility, with_namespace };
        let versions = Versions::of(view);
        if let Some(entry) = self.0.get(&key).filter(|entry| entry.versions == versions) {
            return entry.rendered.clone();
        }
        let rendered = Cached::of(&render());
        self.0.insert(key, Arc::new(CachedView { versions, rendered: rendered.clone() }));
        rendered
    }
}

#[cfg(test)]
mod tests {
    use kqueen_domain::{
        access::Policy,
        catalog::{ProvisionerView, Stored},
        cluster::{Cluster, Lifecycle, Phase},
        document::Document,
        id::{OrganizationId, ProvisionerId, UserId},
        organization::Organization,
        provisioner::{Provisioner, ProvisionerPhase},
        user::{AuthMethod, Role, User},
    };

    use super::*;
    use crate::api::dto::{provisioner::NestedProvisioner, user::NestedUser};

    const FULL: Visibility = Visibility { owner: true, provisioner: true, provisioner_owner: true };

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    fn stored<T>(record: T, revision: u64) -> Arc<Stored<T>> {
        Arc::new(Stored::new(record, Revision(revision)))
    }

    fn organization(revision: u64) -> Arc<Stored<Organization>> {
        let (name, namespace) = ("Acme".try_into().unwrap(), "acme".try_into().unwrap());
        let policy = Policy::default();
        stored(
            Organization { id: OrganizationId::from(uuid::Uuid::nil()), name, namespace, policy, created_at: at(0) },
            revision,
        )
    }

    fn user(role: Role, revision: u64, of: u64) -> UserView {
        let user = User {
            id: UserId::random(),
            username: "ann".try_into().unwrap(),
            email: None,
            organization: organization(of).record.id,
            role,
            active: true,
            auth: AuthMethod::Local,
            metadata: None,
            token_generation: 0,
            created_at: at(0),
        };
        UserView { user: stored(user, revision), organization: Some(organization(of)) }
    }

    fn provisioner(revision: u64, checked: i64, owner: u64) -> ProvisionerView {
        let provisioner = Provisioner {
            id: ProvisionerId::random(),
            name: "here".try_into().unwrap(),
            engine: "kqueen.engines.ManualEngine".into(),
            organization: organization(1).record.id,
            owner: UserId::random(),
            parameters: Document::default(),
            check: Check { phase: ProvisionerPhase::Ready, code: None, reason: "fine".into(), at: at(checked) },
            state_changed_at: at(0),
            created_at: at(0),
        };
        ProvisionerView {
            provisioner: stored(provisioner, revision),
            organization: Some(organization(1)),
            owner: Some(user(Role::Admin, owner, 1)),
        }
    }

    fn observed(version: &str) -> Arc<ObservedStatus> {
        Arc::new(ObservedStatus {
            cluster: ClusterId::random(),
            probe: None,
            provider: None,
            version: Some(version.to_owned()),
            phase: Phase::Ready,
            phase_changed_at: at(0),
            at: at(0),
        })
    }

    fn view(id: ClusterId) -> ClusterView {
        let cluster = Cluster {
            id,
            name: "web".try_into().unwrap(),
            organization: organization(1).record.id,
            provisioner: ProvisionerId::random(),
            owner: UserId::random(),
            metadata: None,
            has_kubeconfig: true,
            lifecycle: Lifecycle::Ready,
            operation: None,
            changed_at: at(0),
            created_at: at(0),
        };
        ClusterView {
            cluster: stored(cluster, 1),
            organization: Some(organization(1)),
            provisioner: Some(provisioner(1, 1, 1)),
            owner: Some(user(Role::Member, 1, 1)),
            observed: None,
            observed_at: Some(at(1)),
        }
    }

    fn dto_named(name: &str) -> dto::ClusterView {
        dto::ClusterView {
            id: uuid::Uuid::nil(),
            name: name.to_owned(),
            state: String::new(),
            phase: dto::ClusterPhaseView::Ready,
            status_reason: None,
            status_message: String::new(),
            state_changed_at: at(0),
            observed_at: None,
            version: None,
            progress: None,
            operation: None,
            node_count: None,
            network_policy: None,
            failure: None,
            created_at: at(0),
            metadata: poem_openapi::types::Any(serde_json::Value::Null),
            kubeconfig: None,
            provisioner: NestedProvisioner::named(ProvisionerId::random(), ""),
            owner: NestedUser::of(UserId::random(), None, false),
            namespace: None,
        }
    }

    fn shown(
        cache: &ViewCache,
        view: &ClusterView,
        visibility: Visibility,
        with_namespace: bool,
        text: &str,
    ) -> String {
        let shown = cache.get_or_render(view, visibility, with_namespace, || dto_named(text));
        serde_json::from_str::<serde_json::Value>(shown.text()).unwrap()["name"].as_str().unwrap().to_owned()
    }

    #[test]
    fn an_entry_is_used_until_anything_in_it_changes() {
        let id = ClusterId::random();
        let others = |change: fn(&mut ClusterView)| {
            let mut view = view(id);
            change(&mut view);
            view
        };
        let changes: [fn(&mut ClusterView); 13] = [
            |it| it.cluster = stored(it.cluster.record.clone(), 2),
            |it| it.organization = Some(organization(2)),
            |it| it.organization = None,
            |it| it.observed = Some(observed("v1.37.0")),
            |it| it.observed_at = Some(at(2)),
            |it| it.owner = Some(user(Role::Member, 2, 1)),
            |it| it.owner = Some(user(Role::Member, 1, 2)),
            |it| it.owner = None,
            |it| it.provisioner = Some(provisioner(2, 1, 1)),
            |it| it.provisioner = Some(provisioner(1, 2, 1)),
            |it| it.provisioner = Some(provisioner(1, 1, 2)),
            |it| it.provisioner.as_mut().unwrap().owner = None,
            |it| it.provisioner = None,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let cache = ViewCache::default();
            assert_eq!(shown(&cache, &view(id), FULL, false, "before"), "before");
            assert_eq!(shown(&cache, &view(id), FULL, false, "not rendered"), "before");
            assert_eq!(shown(&cache, &others(change), FULL, false, "after"), "after", "change {number}");
            assert_eq!(shown(&cache, &view(id), FULL, false, "again"), "again", "change {number}");
        }
        // Observed statuses are compared by value.
        let cache = ViewCache::default();
        let (mut one, mut other) = (view(id), view(id));
        (one.observed, other.observed) = (Some(observed("v1")), Some(observed("v2")));
        assert_eq!(shown(&cache, &one, FULL, false, "one"), "one");
        assert_eq!(shown(&cache, &other, FULL, false, "other"), "other");
    }

    #[test]
    fn entries_are_not_shared_between_different_visibilities() {
        let (cache, view) = (ViewCache::default(), view(ClusterId::random()));
        let visibilities = [true, false].into_iter().flat_map(|owner| {
            let nested = [(true, true), (true, false), (false, false)];
            nested.map(|(provisioner, provisioner_owner)| Visibility { owner, provisioner, provisioner_owner })
        });
        let all: Vec<(Visibility, bool)> =
            visibilities.flat_map(|visibility| [(visibility, true), (visibility, false)]).collect();
        for (visibility, with_namespace) in &all {
            let text = format!("{visibility:?} {with_namespace}");
            assert_eq!(shown(&cache, &view, *visibility, *with_namespace, &text), text);
        }
        for (visibility, with_namespace) in &all {
            assert_eq!(
                shown(&cache, &view, *visibility, *with_namespace, "again"),
                format!("{visibility:?} {with_namespace}"),
                "each has a separate entry"
            );
        }
    }

    #[test]
    fn visibility_depends_on_role_and_policy() {
        let view = view(ClusterId::random());
        let home = organization(1).record.id;
        let caller = |role, organization| Caller { user: UserId::random(), organization, role, token_generation: 0 };
        assert_eq!(Visibility::of(&caller(Role::Member, home), &view), FULL);
        assert_eq!(Visibility::of(&caller(Role::Superadmin, OrganizationId::random()), &view), FULL);
        let nothing = Visibility { owner: false, provisioner: false, provisioner_owner: false };
        assert_eq!(Visibility::of(&caller(Role::Admin, OrganizationId::random()), &view), nothing);
        let mut orphaned = view;
        orphaned.provisioner = None;
        assert_eq!(Visibility::of(&caller(Role::Member, home), &orphaned), Visibility { owner: true, ..nothing });
    }

    #[test]
    fn the_size_is_bounded() {
        let max_bytes = 1 << 20;
        let cache = ViewCache::bounded(max_bytes);
        for number in 0..5_000 {
            let text = format!("{number:01000}");
            assert_eq!(shown(&cache, &view(ClusterId::random()), FULL, false, &text), text);
        }
        assert!(cache.0.weight() <= max_bytes, "{}", cache.0.weight());
        assert!(cache.0.len() > 100, "{}", cache.0.len());
    }
}
