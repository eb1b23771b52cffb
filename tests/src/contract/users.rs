//! Promises of [`UserStore`](kqueen_domain::port::store::UserStore).

use kqueen_domain::{
    name::{EmailAddress, Username},
    port::store::{SecretUpdate, StoreError, UserSecrets},
    revision::{Revision, Versioned},
    secret::{PasswordHash, SecretDocument},
    user::{AuthMethod, Role, User},
};

use super::{
    TestStore,
    records::{a_user, an_organization},
};

fn secrets(password: &str, metadata: &str) -> UserSecrets {
    UserSecrets {
        password: SecretUpdate::Set(PasswordHash::new(password.into())),
        metadata: SecretUpdate::Set(SecretDocument::new(metadata.into())),
    }
}

pub async fn stored_records_are_visible(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let user = a_user(organization.id);
    let revision = replica.users.create(&user, UserSecrets::default()).await.unwrap();
    let entry = replica.catalog.user(user.id).unwrap();
    assert_eq!((&entry.record, entry.revision), (&user, revision));

    let changed = User {
        username: Username::try_from("ann/with/slashes").unwrap(),
        email: None,
        role: Role::Superadmin,
        active: false,
        auth: AuthMethod::Ldap,
        metadata: None,
        token_generation: 7,
        ..user
    };
    let next = replica.users.update(&changed, UserSecrets::default(), revision, None).await.unwrap();
    let entry = replica.catalog.user_by_name("ann/with/slashes").unwrap();
    assert_eq!((&entry.record, entry.revision), (&changed, next));

    replica.users.delete(changed.id, next, None).await.unwrap();
    assert!(replica.catalog.user(changed.id).is_none());
}

pub async fn a_stale_revision_is_a_conflict(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (user, first) = replica.user(&organization).await;
    replica.users.update(&user, UserSecrets::default(), first, None).await.unwrap();
    let update = replica.users.update(&user, secrets("late", "{}"), first, None).await;
    assert!(matches!(update, Err(StoreError::Conflict)), "{update:?}");
    assert!(replica.users.password_hash(user.id).await.unwrap().is_none());
    let delete = replica.users.delete(user.id, first, None).await;
    assert!(matches!(delete, Err(StoreError::Conflict)), "{delete:?}");
}

pub async fn a_missing_record_is_reported(site: TestStore) {
    let replica = site.open().await;
    let user = a_user(an_organization().id);
    let update = replica.users.update(&user, UserSecrets::default(), Revision(1), None).await;
    assert!(matches!(update, Err(StoreError::Missing)), "{update:?}");
    let delete = replica.users.delete(user.id, Revision(1), None).await;
    assert!(matches!(delete, Err(StoreError::Missing)), "{delete:?}");
    assert!(replica.users.password_hash(user.id).await.unwrap().is_none());
    assert!(replica.users.metadata(user.id).await.unwrap().is_none());
}

pub async fn usernames_are_unique(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (ann, _) = replica.user(&organization).await;
    let same = User { username: ann.username.clone(), ..a_user(organization.id) };
    let created = replica.users.create(&same, UserSecrets::default()).await;
    assert!(matches!(created, Err(StoreError::Taken { field: "username" })), "{created:?}");
    let (bob, revision) = replica.user(&organization).await;
    let renamed = User { username: ann.username, ..bob };
    let updated = replica.users.update(&renamed, UserSecrets::default(), revision, None).await;
    assert!(matches!(updated, Err(StoreError::Taken { field: "username" })), "{updated:?}");
}

pub async fn addresses_are_unique_ignoring_case(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (ann, _) = replica.user(&organization).await;
    let uppercase = EmailAddress::try_from(ann.email.unwrap().as_str().to_uppercase()).unwrap();
    let same = User { email: Some(uppercase.clone()), ..a_user(organization.id) };
    let created = replica.users.create(&same, UserSecrets::default()).await;
    assert!(matches!(created, Err(StoreError::Taken { field: "email" })), "{created:?}");
    let (bob, revision) = replica.user(&organization).await;
    let updated = replica
        .users
        .update(&User { email: Some(uppercase), ..bob.clone() }, UserSecrets::default(), revision, None)
        .await;
    assert!(matches!(updated, Err(StoreError::Taken { field: "email" })), "{updated:?}");
    // A user may change the case of the address, and several users may have none.
    let own = EmailAddress::try_from(bob.email.clone().unwrap().as_str().to_uppercase()).unwrap();
    replica.users.update(&User { email: Some(own), ..bob }, UserSecrets::default(), revision, None).await.unwrap();
    for _ in 0..2 {
        let user = User { email: None, ..a_user(organization.id) };
        replica.users.create(&user, UserSecrets::default()).await.unwrap();
    }
}

pub async fn renaming_frees_the_name(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (ann, revision) = replica.user(&organization).await;
    let fresh = a_user(organization.id);
    let renamed = User { username: fresh.username, email: fresh.email, ..ann.clone() };
    replica.users.update(&renamed, UserSecrets::default(), revision, None).await.unwrap();
    let next = User { username: ann.username, email: ann.email, ..a_user(organization.id) };
    let revision = replica.users.create(&next, UserSecrets::default()).await.unwrap();
    replica.users.delete(next.id, revision, None).await.unwrap();
    let again = User { username: next.username, email: next.email, ..a_user(organization.id) };
    replica.users.create(&again, UserSecrets::default()).await.unwrap();
}

pub async fn the_organization_must_exist(site: TestStore) {
    let replica = site.open().await;
    let created = replica.users.create(&a_user(an_organization().id), UserSecrets::default()).await;
    assert!(matches!(created, Err(StoreError::Dangling { field: "organization" })), "{created:?}");
    let (organization, _) = replica.organization().await;
    let (ann, revision) = replica.user(&organization).await;
    let lost = User { organization: an_organization().id, ..ann.clone() };
    let updated = replica.users.update(&lost, UserSecrets::default(), revision, None).await;
    assert!(matches!(updated, Err(StoreError::Dangling { field: "organization" })), "{updated:?}");
    // After a move, the old organization is free and the new one in use.
    let (other, other_revision) = replica.organization().await;
    let moved = User { organization: other.id, ..ann };
    replica.users.update(&moved, UserSecrets::default(), revision, None).await.unwrap();
    let first = replica.catalog.organization(organization.id).unwrap().revision;
    replica.organizations.delete(organization.id, first).await.unwrap();
    let delete = replica.organizations.delete(other.id, other_revision).await;
    assert!(matches!(delete, Err(StoreError::InUse)), "{delete:?}");
}

pub async fn secrets_are_kept_set_and_removed(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let user = a_user(organization.id);
    let revision = replica.users.create(&user, secrets("one", r#"{"a":1}"#)).await.unwrap();
    assert_eq!(replica.users.password_hash(user.id).await.unwrap().unwrap().expose(), "one");
    assert_eq!(replica.users.metadata(user.id).await.unwrap().unwrap().expose(), r#"{"a":1}"#);

    let only_password =
        UserSecrets { password: SecretUpdate::Set(PasswordHash::new("two".into())), metadata: SecretUpdate::Keep };
    let revision = replica.users.update(&user, only_password, revision, None).await.unwrap();
    assert_eq!(replica.users.password_hash(user.id).await.unwrap().unwrap().expose(), "two");
    assert_eq!(replica.users.metadata(user.id).await.unwrap().unwrap().expose(), r#"{"a":1}"#);

    let none = UserSecrets { password: SecretUpdate::Remove, metadata: SecretUpdate::Remove };
    replica.users.update(&user, none, revision, None).await.unwrap();
    assert!(replica.users.password_hash(user.id).await.unwrap().is_none());
    assert!(replica.users.metadata(user.id).await.unwrap().is_none());
}

pub async fn deleting_removes_the_secrets(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let user = a_user(organization.id);
    let revision = replica.users.create(&user, secrets("one", "{}")).await.unwrap();
    replica.users.delete(user.id, revision, None).await.unwrap();
    assert!(replica.users.password_hash(user.id).await.unwrap().is_none());
    assert!(replica.users.metadata(user.id).await.unwrap().is_none());
}

pub async fn owners_cannot_be_deleted(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (user, revision) = replica.user(&organization).await;
    let (provisioner, provisioner_revision) = replica.provisioner(&user).await;
    let delete = replica.users.delete(user.id, revision, None).await;
    assert!(matches!(delete, Err(StoreError::InUse)), "{delete:?}");
    replica.provisioners.delete(provisioner.id, provisioner_revision).await.unwrap();
    replica.users.delete(user.id, revision, None).await.unwrap();
}

pub async fn owners_cannot_move(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (other, _) = replica.organization().await;
    let (user, revision) = replica.user(&organization).await;
    let (provisioner, provisioner_revision) = replica.provisioner(&user).await;
    let moved = User { organization: other.id, ..user };
    let update = replica.users.update(&moved, UserSecrets::default(), revision, None).await;
    assert!(matches!(update, Err(StoreError::InUse)), "{update:?}");
    replica.provisioners.delete(provisioner.id, provisioner_revision).await.unwrap();
    replica.users.update(&moved, UserSecrets::default(), revision, None).await.unwrap();
}

pub async fn a_write_may_depend_on_another_user(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (ann, ann_revision) = replica.user(&organization).await;
    let (bob, bob_revision) = replica.user(&organization).await;
    let beside = |revision| Some(Versioned { value: bob.id, revision });
    let conflict = |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::Conflict)), "{result:?}");

    let ann_revision =
        replica.users.update(&ann, UserSecrets::default(), ann_revision, beside(bob_revision)).await.unwrap();
    let bob_next = replica.users.update(&bob, UserSecrets::default(), bob_revision, None).await.unwrap();
    let changed = User { email: None, ..ann.clone() };
    conflict(replica.users.update(&changed, secrets("late", "{}"), ann_revision, beside(bob_revision)).await.map(drop));
    conflict(replica.users.delete(ann.id, ann_revision, beside(bob_revision)).await);

    // A deleted user has changed as well: the error is a conflict, because the written user is not missing.
    replica.users.delete(bob.id, bob_next, None).await.unwrap();
    conflict(replica.users.update(&changed, secrets("late", "{}"), ann_revision, beside(bob_next)).await.map(drop));
    conflict(replica.users.delete(ann.id, ann_revision, beside(bob_next)).await);
    assert_eq!(replica.catalog.user(ann.id).unwrap().record, ann);
    assert!(replica.users.password_hash(ann.id).await.unwrap().is_none());

    let (eve, eve_revision) = replica.user(&organization).await;
    replica
        .users
        .delete(ann.id, ann_revision, Some(Versioned { value: eve.id, revision: eve_revision }))
        .await
        .unwrap();
}
