//! Clusters as they were put together before. A page nests twenty owners, provisioners and organizations, and putting their texts together
//! for every request would cost more than everything else about it.
//!
//! A text depends on the cluster with all it nests, on what of that the caller sees, and on nothing else: it is shown again if, and only
//! if, all of it is the same. How much is kept is bounded, whatever is stored.

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

/// How many bytes of texts are kept, with what they were made of.
const MOST: u64 = 24 << 20;
/// How many bytes a text takes besides its own.
const BESIDES: u64 = 400;
/// How many bytes one of them takes, mostly.
const USUAL: u64 = 2048;

/// What of all that a cluster nests a caller sees in full, not by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sight {
    /// The owner.
    pub owner: bool,
    /// The provisioner.
    pub provisioner: bool,
    /// The provisioner's owner.
    pub provisioner_owner: bool,
}

impl Sight {
    /// What of `view` is for `caller`, as the policies are that it was made with.
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
    sight: Sight,
    /// With its namespace.
    named: bool,
}

/// What a text was made of. The revision of a record says which others it refers to.
#[derive(Debug, PartialEq)]
struct Ingredients {
    cluster: Revision,
    organization: Option<Revision>,
    observed: Option<Arc<ObservedStatus>>,
    observed_at: Option<DateTime<Utc>>,
    owner: Option<UserIngredients>,
    provisioner: Option<ProvisionerIngredients>,
}

#[derive(Debug, PartialEq)]
struct UserIngredients {
    user: Revision,
    organization: Option<Revision>,
}

#[derive(Debug, PartialEq)]
struct ProvisionerIngredients {
    provisioner: Revision,
    /// What was found by checking it, which is not part of the record.
    check: Check,
    state_changed_at: DateTime<Utc>,
    owner: Option<UserIngredients>,
}

impl Ingredients {
    fn of(view: &ClusterView) -> Self {
        let user = |view: &UserView| UserIngredients {
            user: view.user.revision,
            organization: view.organization.as_ref().map(|organization| organization.revision),
        };
        Self {
            cluster: view.cluster.revision,
            organization: view.organization.as_ref().map(|organization| organization.revision),
            observed: view.observed.clone(),
            observed_at: view.observed_at,
            owner: view.owner.as_ref().map(user),
            provisioner: view.provisioner.as_ref().map(|view| ProvisionerIngredients {
                provisioner: view.provisioner.revision,
                check: view.provisioner.record.check.clone(),
                state_changed_at: view.provisioner.record.state_changed_at,
                owner: view.owner.as_ref().map(user),
            }),
        }
    }
}

/// A cluster as it is shown, and what that was made of.
#[derive(Debug)]
struct Entry {
    of: Ingredients,
    shown: Cached<dto::ClusterView>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Entry>> for Weight {
    fn weight(&self, _key: &Key, entry: &Arc<Entry>) -> u64 {
        entry.shown.text().len() as u64 + BESIDES
    }
}

/// The texts that are kept.
pub struct ViewCache(Cache<Key, Arc<Entry>, Weight>);

impl Default for ViewCache {
    fn default() -> Self {
        Self::bounded(MOST)
    }
}

impl ViewCache {
    fn bounded(most: u64) -> Self {
        Self(Cache::with_weighter(usize::try_from(most / USUAL).unwrap_or_default(), most, Weight))
    }

    /// What was made before of the same `view` for the same `sight`, or what `make` makes now.
    pub fn get_or_make(
        &self,
        view: &ClusterView,
        sight: Sight,
        named: bool,
        make: impl FnOnce() -> dto::ClusterView,
    ) -> Cached<dto::ClusterView> {
        let key = Key { cluster: view.cluster.record.id, sight, named };
        let of = Ingredients::of(view);
        if let Some(entry) = self.0.get(&key).filter(|entry| entry.of == of) {
            return entry.shown.clone();
        }
        let shown = Cached::of(&make());
        self.0.insert(key, Arc::new(Entry { of, shown: shown.clone() }));
        shown
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

    const FULL: Sight = Sight { owner: true, provisioner: true, provisioner_owner: true };

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
            phase: dto::ClusterPhaseWord::Ready,
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

    fn shown(cache: &ViewCache, view: &ClusterView, sight: Sight, named: bool, text: &str) -> String {
        let shown = cache.get_or_make(view, sight, named, || dto_named(text));
        serde_json::from_str::<serde_json::Value>(shown.text()).unwrap()["name"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_text_is_shown_for_as_long_as_nothing_in_it_changes() {
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
            assert_eq!(shown(&cache, &view(id), FULL, false, "not made"), "before");
            assert_eq!(shown(&cache, &others(change), FULL, false, "after"), "after", "change {number}");
            assert_eq!(shown(&cache, &view(id), FULL, false, "anew"), "anew", "change {number}");
        }
        // What was observed is compared by what it says.
        let cache = ViewCache::default();
        let (mut one, mut other) = (view(id), view(id));
        (one.observed, other.observed) = (Some(observed("v1")), Some(observed("v2")));
        assert_eq!(shown(&cache, &one, FULL, false, "one"), "one");
        assert_eq!(shown(&cache, &other, FULL, false, "other"), "other");
    }

    #[test]
    fn who_sees_less_is_never_shown_what_was_made_for_others() {
        let (cache, view) = (ViewCache::default(), view(ClusterId::random()));
        let sights = [true, false].into_iter().flat_map(|owner| {
            let nested = [(true, true), (true, false), (false, false)];
            nested.map(|(provisioner, provisioner_owner)| Sight { owner, provisioner, provisioner_owner })
        });
        let all: Vec<(Sight, bool)> = sights.flat_map(|sight| [(sight, true), (sight, false)]).collect();
        for (sight, named) in &all {
            let text = format!("{sight:?} {named}");
            assert_eq!(shown(&cache, &view, *sight, *named, &text), text);
        }
        for (sight, named) in &all {
            assert_eq!(shown(&cache, &view, *sight, *named, "anew"), format!("{sight:?} {named}"), "each has its own");
        }
    }

    #[test]
    fn what_a_caller_sees_goes_by_role_and_policy() {
        let view = view(ClusterId::random());
        let home = organization(1).record.id;
        let caller = |role, organization| Caller { user: UserId::random(), organization, role };
        assert_eq!(Sight::of(&caller(Role::Member, home), &view), FULL);
        assert_eq!(Sight::of(&caller(Role::Superadmin, OrganizationId::random()), &view), FULL);
        let nothing = Sight { owner: false, provisioner: false, provisioner_owner: false };
        assert_eq!(Sight::of(&caller(Role::Admin, OrganizationId::random()), &view), nothing);
        let mut orphaned = view;
        orphaned.provisioner = None;
        assert_eq!(Sight::of(&caller(Role::Member, home), &orphaned), Sight { owner: true, ..nothing });
    }

    #[test]
    fn however_many_clusters_are_shown_memory_is_bounded() {
        let most = 1 << 20;
        let cache = ViewCache::bounded(most);
        for number in 0..5_000 {
            let text = format!("{number:01000}");
            assert_eq!(shown(&cache, &view(ClusterId::random()), FULL, false, &text), text);
        }
        assert!(cache.0.weight() <= most, "{}", cache.0.weight());
        assert!(cache.0.len() > 100, "{}", cache.0.len());
    }
}
