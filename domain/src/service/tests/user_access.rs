//! Permissions on users, and that nobody can raise their rights.

use serde_json::json;

use super::{
    doubles::{fields, object, status},
    world::{World, caller},
};
use crate::{
    access::{Action, Rule, allows},
    id::{OrganizationId, UserId},
    port::store::MockUserStore,
    revision::Revision,
    secret::Password,
    service::{
        ListRequest, ServiceError,
        people::users::{NewUser, UserPatch},
    },
    user::{AuthMethod, Role, User},
};

/// A store that accepts every write.
fn accepting() -> MockUserStore {
    let mut store = MockUserStore::new();
    store.expect_create().returning(|_, _| Ok(Revision(1)));
    store.expect_update().returning(|_, _, expected, _| Ok(Revision(expected.0 + 1)));
    store.expect_delete().returning(|_, _, _| Ok(()));
    store.expect_metadata().returning(|_| Ok(None));
    store
}

fn new_user(role: Role, organization: Option<OrganizationId>) -> NewUser {
    NewUser {
        username: "new".try_into().unwrap(),
        password: Some(Password::new("secret".into())),
        email: None,
        organization,
        role,
        active: true,
        auth: AuthMethod::Local,
        metadata: None,
    }
}

fn new_address() -> UserPatch {
    UserPatch { email: Some(Some("new@example.org".try_into().unwrap())), ..UserPatch::default() }
}

/// The rows of a table: actor, target, status.
type Rows<'w> = Vec<(&'w User, &'w User, u16)>;

#[test]
fn users_are_visible_within_their_organization() {
    let world = World::new();
    let p = &world.people;
    let users = world.users(MockUserStore::new());
    let rows: Rows<'_> = vec![
        (&p.bob, &p.bob, 200),
        (&p.bob, &p.ann, 200),
        (&p.bob, &p.ada, 200),
        (&p.bob, &p.boss, 200),
        (&p.bob, &p.mal, 404),
        (&p.bob, &p.root, 404),
        (&p.ada, &p.bob, 200),
        (&p.ada, &p.mal, 404),
        (&p.ada, &p.root, 404),
        (&p.eve, &p.mal, 200),
        (&p.eve, &p.bob, 404),
        (&p.boss, &p.mal, 200),
        (&p.root, &p.bob, 200),
    ];
    for (actor, target, expected) in rows {
        let got = status(&users.get(&caller(actor), target.id));
        assert_eq!(got, expected, "{} sees {}", actor.username, target.username);
    }
    assert_eq!(status(&users.get(&caller(&p.root), UserId::random())), 404);
}

#[tokio::test]
async fn updating_follows_the_role() {
    let world = World::new();
    let p = &world.people;
    let users = world.users(accepting());
    let rows: Rows<'_> = vec![
        (&p.bob, &p.bob, 200),
        (&p.bob, &p.ann, 403),
        (&p.bob, &p.ada, 403),
        (&p.bob, &p.boss, 403),
        (&p.bob, &p.mal, 404),
        (&p.ada, &p.ada, 200),
        (&p.ada, &p.bob, 200),
        (&p.ada, &p.amy, 200),
        (&p.ada, &p.boss, 403),
        (&p.ada, &p.mal, 404),
        (&p.ada, &p.root, 404),
        (&p.eve, &p.bob, 404),
        (&p.eve, &p.mal, 200),
        (&p.boss, &p.root, 200),
        (&p.boss, &p.mal, 200),
        (&p.root, &p.boss, 200),
        (&p.root, &p.bob, 200),
    ];
    for (actor, target, expected) in rows {
        let of = format!("{} of {}", actor.username, target.username);
        let changed = users.update(&caller(actor), target.id, new_address(), None).await;
        assert_eq!(status(&changed), expected, "address, {of}");
        // The same rules apply to the password.
        let set = users.set_password(&caller(actor), target.id, Password::new("other".into()), None).await;
        assert_eq!(status(&set), expected, "password, {of}");
    }
}

#[tokio::test]
async fn deleting_follows_the_role() {
    let world = World::new();
    let p = &world.people;
    let users = world.users(accepting());
    let rows: Rows<'_> = vec![
        (&p.bob, &p.bob, 403),
        (&p.bob, &p.ann, 403),
        (&p.bob, &p.amy, 403),
        (&p.bob, &p.boss, 403),
        (&p.bob, &p.mal, 404),
        (&p.ada, &p.bob, 200),
        (&p.ada, &p.amy, 200),
        (&p.ada, &p.ada, 409),
        (&p.ada, &p.boss, 403),
        (&p.ada, &p.mal, 404),
        (&p.eve, &p.bob, 404),
        (&p.boss, &p.bob, 200),
        (&p.boss, &p.root, 200),
        (&p.boss, &p.boss, 409),
        (&p.root, &p.amy, 200),
    ];
    for (actor, target, expected) in rows {
        let got = status(&users.delete(&caller(actor), target.id, None).await);
        assert_eq!(got, expected, "{} deletes {}", actor.username, target.username);
    }
}

#[tokio::test]
async fn the_policy_decides_about_deletion_except_of_superadmins() {
    let world = World::new();
    let p = &world.people;
    let users = world.users(accepting());
    world.policy(&[
        (Action::UserDeleteMember, Rule::All),
        (Action::UserDeleteAdmin, Rule::IsSuperadmin),
        (Action::UserDeleteSuperadmin, Rule::All),
    ]);
    let rows: Rows<'_> =
        vec![(&p.ann, &p.bob, 200), (&p.ada, &p.amy, 403), (&p.ada, &p.boss, 403), (&p.root, &p.amy, 200)];
    for (actor, target, expected) in rows {
        let got = status(&users.delete(&caller(actor), target.id, None).await);
        assert_eq!(got, expected, "{} deletes {}", actor.username, target.username);
    }
}

#[tokio::test]
async fn creating_follows_role_and_organization() {
    let world = World::new();
    let p = &world.people;
    let users = world.users(accepting());
    let (acme, other) = (Some(world.acme), Some(world.other));
    let rows = [
        (&p.bob, Role::Member, None, 403),
        (&p.bob, Role::Member, other, 422),
        (&p.ada, Role::Member, None, 200),
        (&p.ada, Role::Admin, acme, 200),
        (&p.ada, Role::Superadmin, acme, 403),
        (&p.ada, Role::Member, other, 422),
        (&p.boss, Role::Superadmin, None, 200),
        (&p.root, Role::Superadmin, other, 200),
        (&p.root, Role::Member, Some(OrganizationId::random()), 422),
    ];
    for (actor, role, organization, expected) in rows {
        let got = users.create(&caller(actor), new_user(role, organization)).await;
        assert_eq!(status(&got), expected, "{} makes a {role} in {organization:?}", actor.username);
    }
    let home = users.create(&caller(&p.ada), new_user(Role::Member, None)).await.unwrap();
    assert_eq!(home.user.record.organization, world.acme);
}

#[tokio::test]
async fn a_policy_that_lets_members_create_users_does_not_let_them_create_admins() {
    let world = World::new();
    world.policy(&[(Action::UserCreate, Rule::All)]);
    let users = world.users(accepting());
    let bob = caller(&world.people.bob);
    for (role, expected) in [(Role::Member, 200), (Role::Admin, 403), (Role::Superadmin, 403)] {
        assert_eq!(status(&users.create(&bob, new_user(role, None)).await), expected, "{role}");
    }
}

#[tokio::test]
async fn missing_and_foreign_organizations_have_the_same_error() {
    let world = World::new();
    let users = world.users(MockUserStore::new());
    let ada = caller(&world.people.ada);
    let missing = users.create(&ada, new_user(Role::Member, Some(OrganizationId::random()))).await;
    let foreign = users.create(&ada, new_user(Role::Member, Some(world.other))).await;
    assert_eq!(fields(missing), fields(foreign));
}

#[tokio::test]
async fn nobody_can_grant_rights_above_theirs() {
    let role = |role| UserPatch { role: Some(role), ..UserPatch::default() };
    let active = |active| UserPatch { active: Some(active), ..UserPatch::default() };
    let moved = |organization| UserPatch { organization: Some(organization), ..UserPatch::default() };
    let renamed = || UserPatch { username: Some("other".try_into().unwrap()), ..UserPatch::default() };
    let world = World::new();
    let p = &world.people;
    let users = world.users(accepting());
    let rows = vec![
        (&p.bob, &p.bob, role(Role::Admin), 403),
        (&p.bob, &p.bob, role(Role::Superadmin), 403),
        (&p.bob, &p.bob, active(false), 403),
        (&p.bob, &p.bob, moved(world.other), 403),
        (&p.bob, &p.bob, moved(OrganizationId::random()), 403),
        (&p.bob, &p.bob, renamed(), 403),
        (&p.ada, &p.ada, role(Role::Superadmin), 403),
        (&p.ada, &p.ada, moved(world.other), 403),
        (&p.ada, &p.ada, role(Role::Member), 200),
        (&p.ada, &p.bob, role(Role::Admin), 200),
        (&p.ada, &p.bob, role(Role::Superadmin), 403),
        (&p.ada, &p.bob, active(false), 200),
        (&p.ada, &p.bob, moved(world.other), 403),
        (&p.ada, &p.bob, renamed(), 200),
        (&p.ada, &p.amy, role(Role::Member), 200),
        (&p.ada, &p.boss, role(Role::Member), 403),
        (&p.ada, &p.boss, active(false), 403),
        (&p.eve, &p.bob, role(Role::Admin), 404),
        (&p.eve, &p.bob, moved(world.other), 404),
        (&p.root, &p.bob, role(Role::Superadmin), 200),
        (&p.root, &p.bob, moved(world.other), 200),
        (&p.root, &p.bob, moved(OrganizationId::random()), 422),
        (&p.root, &p.boss, role(Role::Member), 200),
    ];
    for (actor, target, patch, expected) in rows {
        let what = format!("{} to {}: {patch:?}", actor.username, target.username);
        let got = users.update(&caller(actor), target.id, patch, None).await;
        assert_eq!(status(&got), expected, "{what}");
    }
}

#[tokio::test]
async fn sending_back_unchanged_fields_needs_no_rights() {
    let world = World::new();
    let users = world.users(accepting());
    for user in [&world.people.bob, &world.people.ada] {
        let same = UserPatch {
            username: Some(user.username.clone()),
            email: Some(user.email.clone()),
            organization: Some(user.organization),
            role: Some(user.role),
            active: Some(true),
            metadata: None,
        };
        assert_eq!(status(&users.update(&caller(user), user.id, same, None).await), 200, "{}", user.username);
    }
}

#[test]
fn only_superadmins_list_other_namespaces() {
    let world = World::new();
    let users = world.users(MockUserStore::new());
    let named = |namespace: &str| ListRequest { namespace: Some(namespace.into()), ..ListRequest::default() };
    let all = ListRequest { all_namespaces: true, ..ListRequest::default() };
    for actor in [&world.people.bob, &world.people.ada] {
        for request in [named("other"), named("acme"), named("nowhere"), all.clone()] {
            assert_eq!(status(&users.list(&caller(actor), &request)), 403, "{} {request:?}", actor.username);
        }
        assert_eq!(users.list(&caller(actor), &ListRequest::default()).unwrap().total, 5);
    }
    let root = caller(&world.people.root);
    assert_eq!(users.list(&root, &named("other")).unwrap().total, 2);
    assert_eq!(users.list(&root, &all).unwrap().total, 8);
    assert_eq!(status(&users.list(&root, &named("nowhere"))), 422);
    assert_eq!(status(&users.list(&root, &ListRequest { namespace: Some("other".into()), ..all })), 422);
}

#[tokio::test]
async fn a_policy_that_lets_members_change_others_does_not_let_them_take_over_accounts() {
    let world = World::new();
    world.policy(&[(Action::UserUpdate, Rule::All)]);
    let p = &world.people;
    let users = world.users(accepting());
    let bob = caller(&p.bob);
    let notes = || UserPatch { metadata: Some(object(json!({"team": "blue"}))), ..UserPatch::default() };
    let admin = || UserPatch { role: Some(Role::Admin), ..UserPatch::default() };
    let rows = vec![
        (&p.ann, notes(), 200),
        (&p.ann, admin(), 403),
        // Whoever reads the mail of an account can have its password reset.
        (&p.ann, new_address(), 403),
        (&p.ann, UserPatch { email: Some(None), ..UserPatch::default() }, 403),
        (&p.ann, UserPatch { email: Some(p.ann.email.clone()), ..UserPatch::default() }, 200),
        (&p.bob, new_address(), 200),
        (&p.ada, notes(), 403),
        (&p.boss, notes(), 403),
        (&p.mal, notes(), 404),
    ];
    for (target, patch, expected) in rows {
        let what = format!("{}: {patch:?}", target.username);
        assert_eq!(status(&users.update(&bob, target.id, patch, None).await), expected, "{what}");
    }
    let set = users.set_password(&bob, p.ann.id, Password::new("mine".into()), None).await;
    assert_eq!(status(&set), 403);
}

#[test]
fn lists_show_only_visible_users() {
    for list in Rule::ALL {
        for get in Rule::ALL {
            let world = World::new();
            world.policy(&[(Action::UserList, list), (Action::UserGet, get)]);
            let users = world.users(MockUserStore::new());
            for actor in [&world.people.bob, &world.people.ada, &world.people.boss] {
                let me = caller(actor);
                let policy = world.catalog.organization(world.acme).unwrap().record.policy.clone();
                let may = |user: &User| {
                    let target = crate::access::Target { organization: user.organization, owner: Some(user.id) };
                    allows(&me, Action::UserList, target, &policy)
                };
                let p = &world.people;
                let all_users = [&p.root, &p.boss, &p.ada, &p.amy, &p.ann, &p.bob, &p.eve, &p.mal];
                let mut expected: Vec<UserId> = all_users
                    .into_iter()
                    .filter(|user| may(user) && users.get(&me, user.id).is_ok())
                    .map(|user| user.id)
                    .collect();
                let context = format!("{} with list {list:?}, get {get:?}", actor.username);
                match users.list(&me, &ListRequest::default()) {
                    Ok(page) => {
                        let mut shown: Vec<_> = page.items.iter().map(|view| view.user.record.id).collect();
                        shown.sort();
                        expected.sort();
                        assert_eq!(shown, expected, "{context}");
                        assert_eq!(page.total, expected.len(), "{context}");
                    }
                    Err(ServiceError::Forbidden(_)) => {
                        assert!(!all_users.into_iter().any(may), "{context}");
                    }
                    Err(error) => panic!("{context}: {error}"),
                }
            }
        }
    }
}
