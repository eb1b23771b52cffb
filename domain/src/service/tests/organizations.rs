//! Organizations: permissions and policies.

use std::sync::Arc;

use super::{
    doubles::{Log, fields, fresh, status},
    world::{World, caller, user},
};
use crate::{
    access::{Action, Policy, Rule},
    id::OrganizationId,
    organization::Organization,
    port::store::{MockOrganizationStore, MockReadBarrier, StoreError},
    revision::Revision,
    service::{
        ListRequest,
        people::organizations::{NewOrganization, OrganizationPatch},
    },
    user::Role,
};

type Written = Log<(Organization, Revision)>;

/// A store that answers with `conflicts` conflicts before it accepts an update; deletions and creations always succeed.
fn accepting(mut conflicts: usize, written: &Written) -> MockOrganizationStore {
    let mut store = MockOrganizationStore::new();
    let written = written.clone();
    store.expect_update().returning(move |organization, expected| {
        if conflicts > 0 {
            conflicts -= 1;
            return Err(StoreError::Conflict);
        }
        written.push((organization.clone(), expected));
        Ok(Revision(expected.0 + 1))
    });
    store.expect_create().returning(|_| Ok(Revision(1)));
    store.expect_delete().returning(|_, _| Ok(()));
    store
}

fn policy_change(action: &str, rule: Option<&str>) -> [(String, Option<String>); 1] {
    [(action.into(), rule.map(Into::into))]
}

fn new(name: &str, namespace: &str) -> NewOrganization {
    NewOrganization { name: name.try_into().unwrap(), namespace: namespace.try_into().unwrap(), policy: Vec::new() }
}

fn empty_organization(world: &World) -> OrganizationId {
    let empty = Organization {
        id: OrganizationId::random(),
        name: "empty".try_into().unwrap(),
        namespace: "empty".try_into().unwrap(),
        policy: Policy::default(),
        created_at: world.now(),
    };
    let id = empty.id;
    world.put_organization(empty);
    id
}

#[tokio::test]
async fn permissions_follow_the_role() {
    let world = World::new();
    let p = &world.people;
    let organizations = world.organizations(accepting(0, &Written::default()), fresh());
    let named = |text: &str| OrganizationPatch { name: Some(text.try_into().unwrap()), ..OrganizationPatch::default() };
    // Columns: get, rename, change the policy, list remaining objects, delete (409 at best, as acme is not empty), create.
    let rows = [
        (&p.bob, [200, 403, 403, 403, 403, 403]),
        (&p.ada, [200, 403, 200, 403, 403, 403]),
        (&p.eve, [404, 404, 404, 404, 404, 403]),
        (&p.boss, [200, 200, 200, 200, 409, 200]),
        (&p.root, [200, 200, 200, 200, 409, 200]),
    ];
    for (actor, expected) in rows {
        let me = caller(actor);
        let override_one = policy_change("cluster:create", Some("IS_ADMIN"));
        let got = [
            status(&organizations.get(&me, world.acme)),
            status(&organizations.update(&me, world.acme, named("Acme"), None).await),
            status(&organizations.change_policy(&me, world.acme, &override_one, None).await),
            status(&organizations.remaining(&me, world.acme)),
            status(&organizations.delete(&me, world.acme, None).await),
            status(&organizations.create(&me, new("New", "new")).await),
        ];
        assert_eq!(got, expected, "{}", actor.username);
    }
}

#[tokio::test]
async fn a_patch_that_changes_nothing_is_not_written() {
    let world = World::new();
    world.policy(&[(Action::ClusterGet, Rule::IsOwner)]);
    let written = Written::default();
    let organizations = world.organizations(accepting(0, &written), fresh());
    let root = caller(&world.people.root);
    let before = organizations.get(&root, world.acme).unwrap();
    let same = OrganizationPatch {
        name: Some(before.record.name.clone()),
        policy: vec![("cluster:get".into(), Some("IS_OWNER".into())), ("user:list".into(), None)],
    };
    for patch in [OrganizationPatch::default(), same.clone()] {
        let answer = organizations.update(&root, world.acme, patch, None).await.unwrap();
        assert!(Arc::ptr_eq(&answer, &before));
    }
    let answer = organizations.change_policy(&root, world.acme, &same.policy, None).await.unwrap();
    assert!(Arc::ptr_eq(&answer, &before));
    assert_eq!(written.len(), 0);
}

#[test]
fn superadmins_list_all_organizations_and_others_only_theirs() {
    let world = World::new();
    let organizations = world.organizations(MockOrganizationStore::new(), fresh());
    let listed = |user, request: &ListRequest| {
        let page = organizations.list(&caller(user), request).unwrap();
        page.items.iter().map(|entry| entry.record.namespace.to_string()).collect::<std::collections::BTreeSet<_>>()
    };
    let p = &world.people;
    let default = ListRequest::default();
    assert_eq!(listed(&p.bob, &default), ["acme".to_owned()].into());
    assert_eq!(listed(&p.eve, &default), ["other".to_owned()].into());
    assert_eq!(listed(&p.root, &default).len(), 3);
    let other = ListRequest { namespace: Some("other".into()), ..ListRequest::default() };
    assert_eq!(listed(&p.root, &other), ["other".to_owned()].into());
    assert_eq!(status(&organizations.list(&caller(&p.ada), &other)), 403);
}

#[tokio::test]
async fn a_policy_change_is_stored_completely_or_refused() {
    let world = World::new();
    world.policy(&[(Action::ClusterGet, Rule::IsOwner)]);
    let written = Written::default();
    let organizations = world.organizations(accepting(0, &written), fresh());
    let ada = caller(&world.people.ada);
    let changes = [
        ("cluster:get".to_owned(), None),
        ("cluster:create".to_owned(), Some("IS_ADMIN".to_owned())),
        ("user:list".to_owned(), Some("IS_ADMIN".to_owned())),
    ];
    organizations.change_policy(&ada, world.acme, &changes, None).await.unwrap();
    let stored = written.only().0.policy;
    let expected = [(Action::ClusterCreate, Rule::IsAdmin), (Action::UserList, Rule::IsAdmin)];
    assert_eq!(stored.overrides().collect::<Vec<_>>(), expected);
    let wrong = [
        ("cluster:create".to_owned(), Some("IS_ADMIN".to_owned())),
        ("cluster:fly".to_owned(), Some("ALL".to_owned())),
        ("cluster:get".to_owned(), Some("PERHAPS".to_owned())),
        ("policy:update".to_owned(), Some("ALL".to_owned())),
        ("user:delete_superadmin".to_owned(), Some("IS_ADMIN".to_owned())),
        ("organization:delete".to_owned(), Some("ALL".to_owned())),
    ];
    let refused = fields(organizations.change_policy(&ada, world.acme, &wrong, None).await);
    let named: Vec<_> = refused.iter().map(|(field, _)| field.as_str()).collect();
    let expected = ["cluster:fly", "cluster:get", "policy:update", "user:delete_superadmin", "organization:delete"];
    assert_eq!(named, expected);
    assert_eq!(written.len(), 0);
}

#[tokio::test]
async fn concurrent_changes_of_different_rules_both_succeed() {
    let world = Arc::new(World::new());
    let written = Written::default();
    let (mut read_barrier, others) = (MockReadBarrier::new(), world.clone());
    read_barrier.expect_caught_up().returning(move || {
        others.policy(&[(Action::UserList, Rule::IsAdmin)]);
        Ok(())
    });
    let organizations = world.organizations(accepting(2, &written), read_barrier);
    let change = policy_change("cluster:create", Some("IS_ADMIN"));
    organizations.change_policy(&caller(&world.people.ada), world.acme, &change, None).await.unwrap();
    let (stored, revision) = written.only();
    let expected = [(Action::ClusterCreate, Rule::IsAdmin), (Action::UserList, Rule::IsAdmin)];
    assert_eq!(stored.policy.overrides().collect::<Vec<_>>(), expected);
    assert_eq!(revision, world.catalog.organization(world.acme).unwrap().revision);
}

#[tokio::test]
async fn a_stale_revision_is_refused() {
    let world = World::new();
    let empty = empty_organization(&world);
    let written = Written::default();
    let organizations = world.organizations(accepting(0, &written), fresh());
    let root = caller(&world.people.root);
    let now = world.catalog.organization(empty).unwrap().revision;
    let stale = Some(Revision(now.0 - 1));
    let change = policy_change("cluster:create", Some("IS_ADMIN"));
    assert_eq!(status(&organizations.update(&root, empty, OrganizationPatch::default(), stale).await), 412);
    assert_eq!(status(&organizations.change_policy(&root, empty, &change, stale).await), 412);
    assert_eq!(status(&organizations.delete(&root, empty, stale).await), 412);
    assert_eq!(written.len(), 0);
    assert_eq!(status(&organizations.update(&root, empty, OrganizationPatch::default(), Some(now)).await), 200);
    assert_eq!(status(&organizations.delete(&root, empty, Some(now)).await), 200);
}

#[tokio::test]
async fn a_non_empty_organization_cannot_be_deleted_and_the_error_names_its_objects() {
    let world = Arc::new(World::new());
    let root = caller(&world.people.root);
    let organizations = world.organizations(MockOrganizationStore::new(), fresh());
    let remaining = organizations.remaining(&root, world.other).unwrap();
    let objects: Vec<_> = remaining.iter().map(|r| (r.object, r.name.as_str())).collect();
    assert_eq!(objects.len(), 4);
    for expected in [("User", "eve"), ("User", "mal"), ("Provisioner", "foreign"), ("Cluster", "theirs")] {
        assert!(objects.contains(&expected), "{expected:?}");
    }
    let refused = fields(organizations.delete(&root, world.other, None).await);
    assert_eq!(refused.len(), 4);
    assert!(refused.iter().any(|(field, _)| *field == format!("Cluster:{}", world.foreign_cluster)), "{refused:?}");

    // A user was added on another replica a moment ago.
    let empty = empty_organization(&world);
    assert!(organizations.remaining(&root, empty).unwrap().is_empty());
    let mut store = MockOrganizationStore::new();
    store.expect_delete().returning(|_, _| Err(StoreError::InUse));
    let (mut read_barrier, others) = (MockReadBarrier::new(), world.clone());
    read_barrier.expect_caught_up().returning(move || {
        others.put_user(user("fresh", Role::Member, empty));
        Ok(())
    });
    let got = world.organizations(store, read_barrier).delete(&root, empty, None).await;
    assert_eq!(status(&got), 409);
    assert!(got.unwrap_err().to_string().contains("User fresh"));
}

#[tokio::test]
async fn a_taken_namespace_is_a_conflict_that_names_the_field() {
    let world = World::new();
    let mut store = MockOrganizationStore::new();
    store.expect_create().returning(|_| Err(StoreError::Taken { field: "namespace" }));
    let organizations = world.organizations(store, fresh());
    let root = caller(&world.people.root);
    let got = organizations.create(&root, new("Acme", "acme")).await;
    assert_eq!(status(&got), 409);
    assert_eq!(fields(got)[0].0, "namespace");
}

#[tokio::test]
async fn creating_and_updating_accept_a_policy() {
    let world = World::new();
    let root = caller(&world.people.root);
    let written = Written::default();
    let organizations = world.organizations(accepting(0, &written), fresh());
    let wrong = || vec![("cluster:fly".to_owned(), Some("ALL".to_owned())), ("policy:update".to_owned(), None)];
    let named = |refused| fields::<()>(refused).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    let refused = organizations.create(&root, NewOrganization { policy: wrong(), ..new("New", "new") }).await;
    assert_eq!(named(refused.map(drop)), ["policy.cluster:fly", "policy.policy:update"]);
    let patch = OrganizationPatch { policy: wrong(), ..OrganizationPatch::default() };
    let refused = organizations.update(&root, world.acme, patch, None).await;
    assert_eq!(named(refused.map(drop)), ["policy.cluster:fly", "policy.policy:update"]);
    let policy = policy_change("cluster:create", Some("IS_ADMIN")).to_vec();
    let made =
        organizations.create(&root, NewOrganization { policy: policy.clone(), ..new("New", "new") }).await.unwrap();
    assert_eq!(made.record.policy.rule(Action::ClusterCreate), Rule::IsAdmin);
    let patch = OrganizationPatch { policy, ..OrganizationPatch::default() };
    let changed = organizations.update(&root, world.acme, patch, None).await.unwrap();
    assert_eq!(changed.record.policy.rule(Action::ClusterCreate), Rule::IsAdmin);
    let patch = OrganizationPatch { name: Some("Other".try_into().unwrap()), ..OrganizationPatch::default() };
    organizations.update(&root, world.acme, patch, None).await.unwrap();
}
