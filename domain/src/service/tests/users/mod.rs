//! What is stored for users, and which changes revoke tokens.

mod conflicts;
mod leaving;

use std::sync::Arc;

use serde_json::json;

use super::{
    doubles::{Log, fields, fresh, hashed, object, status},
    world::{World, caller, cluster, user},
};
use crate::{
    document::MASK,
    id::UserId,
    port::{
        password::MockPasswordHasher,
        store::{MockReadBarrier, MockUserStore, SecretUpdate, StoreError, UserSecrets},
    },
    revision::Revision,
    secret::{Password, SecretDocument},
    service::{
        ServiceError,
        people::users::{NewUser, UserPatch, Users},
    },
    user::{AuthMethod, Role, User},
};

type Written = Log<(User, UserSecrets, Revision)>;

/// A store that accepts updates and logs its arguments.
fn accepting(written: &Written) -> MockUserStore {
    let mut store = MockUserStore::new();
    let written = written.clone();
    store.expect_update().returning(move |user, secrets, expected, _| {
        written.push((user.clone(), secrets, expected));
        Ok(Revision(expected.0 + 1))
    });
    store
}

/// A store that answers with `conflicts` conflicts before it accepts an update.
fn conflicting(mut conflicts: usize, written: &Written) -> MockUserStore {
    let mut store = MockUserStore::new();
    let written = written.clone();
    store.expect_update().returning(move |user, secrets, expected, _| {
        if conflicts > 0 {
            conflicts -= 1;
            return Err(StoreError::Conflict);
        }
        written.push((user.clone(), secrets, expected));
        Ok(Revision(expected.0 + 1))
    });
    store
}

fn new_user() -> NewUser {
    NewUser {
        username: "new".try_into().unwrap(),
        password: Some(Password::new("secret".into())),
        email: Some("new@example.org".try_into().unwrap()),
        organization: None,
        role: Role::Member,
        active: true,
        auth: AuthMethod::Local,
        metadata: None,
    }
}

fn password(text: &str) -> Password {
    Password::new(text.into())
}

fn hash_of(change: &SecretUpdate<crate::secret::PasswordHash>) -> Option<&str> {
    match change {
        SecretUpdate::Set(hash) => Some(hash.expose()),
        SecretUpdate::Keep | SecretUpdate::Remove => None,
    }
}

#[tokio::test]
async fn a_patch_that_changes_nothing_is_not_written() {
    let world = World::new();
    let full = object(json!({"token": "hunter2", "note": "old"}));
    let split = crate::document::split(&full, &|_| false);
    let before = User { metadata: Some(split.shown), ..user("sam", Role::Member, world.acme) };
    world.put_user(before.clone());
    let written = Written::default();
    let (mut store, sealed) = (accepting(&written), split.sealed);
    store.expect_metadata().returning(move |_| Ok(sealed.clone()));
    let users = world.users(store);
    let ada = caller(&world.people.ada);
    let same = UserPatch {
        username: Some(before.username.clone()),
        email: Some(before.email.clone()),
        organization: Some(before.organization),
        role: Some(before.role),
        active: Some(before.active),
        metadata: Some(object(json!({"token": MASK, "note": "old", "gone": null}))),
    };
    let entry = users.get(&ada, before.id).unwrap().user;
    for patch in [UserPatch::default(), same] {
        let answer = users.update(&ada, before.id, patch, None).await.unwrap();
        assert!(Arc::ptr_eq(&answer.user, &entry));
    }
    assert_eq!(written.len(), 0);
    let other = UserPatch { metadata: Some(object(json!({"token": "another"}))), ..UserPatch::default() };
    users.update(&ada, before.id, other, None).await.unwrap();
    assert!(!written.only().1.metadata.is_keep(), "only the secret changed");
}

#[tokio::test]
async fn a_new_user_is_stored_with_a_hash_and_masked_metadata() {
    let world = World::new();
    let created: Log<(User, UserSecrets)> = Log::default();
    let mut store = MockUserStore::new();
    let log = created.clone();
    store.expect_create().returning(move |user, secrets| {
        log.push((user.clone(), secrets));
        Ok(Revision(77))
    });
    let new = NewUser { metadata: Some(object(json!({"team": "blue", "api_token": "abc"}))), ..new_user() };
    let view = world.users(store).create(&caller(&world.people.ada), new).await.unwrap();
    let (stored, secrets) = created.only();
    assert_eq!(hash_of(&secrets.password), Some(hashed("secret").expose()));
    let shown = stored.metadata.clone().unwrap().to_map();
    assert_eq!(shown, object(json!({"team": "blue", "api_token": MASK})));
    let SecretUpdate::Set(sealed) = secrets.metadata else { panic!("the token is not kept") };
    assert!(sealed.expose().contains("abc"));
    assert_eq!((stored.organization, stored.created_at, stored.token_generation), (world.acme, world.now(), 0));
    assert_eq!((&view.user.record, view.user.revision), (&stored, Revision(77)));
}

#[tokio::test]
async fn invalid_fields_of_a_new_user_are_named() {
    let world = World::new();
    let mut users = world.users(MockUserStore::new());
    let ada = caller(&world.people.ada);
    let masked = Some(object(json!({"api_token": MASK})));
    let rows = [
        (NewUser { password: None, ..new_user() }, "password"),
        (NewUser { password: Some(password("")), ..new_user() }, "password"),
        (NewUser { password: Some(password(&"x".repeat(1025))), ..new_user() }, "password"),
        (NewUser { auth: AuthMethod::Ldap, ..new_user() }, "password"),
        (NewUser { metadata: masked, ..new_user() }, "metadata.api_token"),
    ];
    for (new, field) in rows {
        let what = format!("{new:?}");
        assert_eq!(fields(users.create(&ada, new).await)[0].0, field, "{what}");
    }
    users.auth_methods = vec![AuthMethod::Local];
    let new = NewUser { auth: AuthMethod::Ldap, password: None, ..new_user() };
    assert_eq!(fields(users.create(&ada, new).await)[0].0, "auth");
}

#[tokio::test]
async fn a_directory_user_is_stored_without_a_password() {
    let world = World::new();
    let mut store = MockUserStore::new();
    store
        .expect_create()
        .withf(|user, secrets| user.auth == AuthMethod::Ldap && hash_of(&secrets.password).is_none())
        .times(1)
        .returning(|_, _| Ok(Revision(1)));
    let new = NewUser { auth: AuthMethod::Ldap, password: None, ..new_user() };
    assert_eq!(status(&world.users(store).create(&caller(&world.people.ada), new).await), 200);
}

#[tokio::test]
async fn a_taken_name_or_email_is_a_conflict_that_names_the_field() {
    let world = World::new();
    for field in ["username", "email"] {
        let mut store = MockUserStore::new();
        store.expect_create().returning(move |_, _| Err(StoreError::Taken { field }));
        store.expect_update().returning(move |_, _, _, _| Err(StoreError::Taken { field }));
        let users = world.users(store);
        let created = users.create(&caller(&world.people.ada), new_user()).await;
        assert_eq!(status(&created), 409);
        assert_eq!(fields(created)[0].0, field);
        let patch = UserPatch { username: Some("ann".try_into().unwrap()), ..UserPatch::default() };
        assert_eq!(
            fields(users.update(&caller(&world.people.ada), world.people.bob.id, patch, None).await)[0].0,
            field
        );
    }
}

#[tokio::test]
async fn deactivation_revokes_tokens_for_good_and_other_updates_do_not() {
    let world = World::new();
    let ada = caller(&world.people.ada);
    let bob = world.people.bob.clone();
    let written = Written::default();
    let users = world.users(accepting(&written));
    let active = |active| UserPatch { active: Some(active), ..UserPatch::default() };
    let rows = [
        (active(false), 1),
        (active(true), 0),
        (UserPatch { role: Some(Role::Admin), ..UserPatch::default() }, 0),
        (UserPatch { email: Some(None), ..UserPatch::default() }, 0),
    ];
    for (patch, steps) in rows {
        let what = format!("{patch:?}");
        let user = users.update(&ada, bob.id, patch, None).await.unwrap().user;
        assert_eq!(user.record.token_generation, bob.token_generation + steps, "{what}");
    }
    written.take();
    // After reactivation, tokens from before stay revoked.
    world.put_user(User { active: false, token_generation: 4, ..bob.clone() });
    users.update(&ada, bob.id, active(true), None).await.unwrap();
    let again = written.only().0;
    assert!(again.active && again.token_generation > bob.token_generation);
}

#[tokio::test]
async fn a_new_password_is_hashed_once_and_revokes_tokens() {
    let world = World::new();
    let written = Written::default();
    let mut users = world.users(conflicting(2, &written));
    let mut passwords = MockPasswordHasher::new();
    passwords.expect_hash().times(1).returning(|password| Ok(hashed(password.expose())));
    users.passwords = Arc::new(passwords);
    let bob = &world.people.bob;
    users.set_password(&caller(bob), bob.id, password("new"), None).await.unwrap();
    let (stored, secrets, _) = written.only();
    assert_eq!(stored.token_generation, bob.token_generation + 1);
    assert_eq!(hash_of(&secrets.password), Some(hashed("new").expose()));
    assert!(matches!(secrets.metadata, SecretUpdate::Keep));
}

#[tokio::test]
async fn a_refused_password_is_not_hashed() {
    let world = World::new();
    let mut users = world.users(MockUserStore::new());
    users.passwords = Arc::new(MockPasswordHasher::new());
    let (bob, ann) = (&world.people.bob, &world.people.ann);
    let set = async |text: &str, target: &User| {
        status(&users.set_password(&caller(bob), target.id, password(text), None).await)
    };
    assert_eq!(set("new", ann).await, 403);
    assert_eq!(set("new", &world.people.mal).await, 404);
    assert_eq!(set("", bob).await, 422);
    assert_eq!(set(&"x".repeat(1025), bob).await, 422);
}

#[tokio::test]
async fn the_password_of_a_directory_user_cannot_be_set() {
    let world = World::new();
    world.put_user(User { auth: AuthMethod::Ldap, ..world.people.bob.clone() });
    let users = world.users(MockUserStore::new());
    let bob = &world.people.bob;
    assert_eq!(status(&users.set_password(&caller(bob), bob.id, password("new"), None).await), 409);
}

#[tokio::test]
async fn a_mask_keeps_the_secret_and_null_removes_it() {
    let world = World::new();
    let stored = object(json!({"api_token": "abc", "team": "blue", "old": 1}));
    let split = crate::document::split(&stored, &|_| false);
    world.put_user(User { metadata: Some(split.shown), ..world.people.bob.clone() });
    let sealed = split.sealed.unwrap();
    let written = Written::default();
    let mut store = accepting(&written);
    store.expect_metadata().returning(move |_| Ok(Some(sealed.clone())));
    let bob = &world.people.bob;
    let patch = object(json!({"api_token": MASK, "team": "red", "old": null}));
    let patch = UserPatch { metadata: Some(patch), ..UserPatch::default() };
    world.users(store).update(&caller(bob), bob.id, patch, None).await.unwrap();
    let (user, secrets, _) = written.only();
    assert_eq!(user.metadata.unwrap().to_map(), object(json!({"api_token": MASK, "team": "red"})));
    let SecretUpdate::Set(sealed) = secrets.metadata else { panic!("not kept") };
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(sealed.expose()).unwrap(),
        json!({"api_token": "abc", "team": "red"})
    );
    assert!(matches!(secrets.password, SecretUpdate::Keep));
}

#[tokio::test]
async fn unreadable_sealed_metadata_is_an_error() {
    let world = World::new();
    let mut store = MockUserStore::new();
    store.expect_metadata().returning(|_| Ok(Some(SecretDocument::new("[]".into()))));
    let bob = &world.people.bob;
    let patch = UserPatch { metadata: Some(object(json!({"a": 1}))), ..UserPatch::default() };
    assert_eq!(status(&world.users(store).update(&caller(bob), bob.id, patch, None).await), 500);
}
