//! Promises of [`ProvisionerStore`](kqueen_domain::port::store::ProvisionerStore).

use kqueen_domain::{
    document::Document,
    id::{OrganizationId, UserId},
    name::ResourceName,
    port::store::{Creation, SecretUpdate, StoreError},
    provisioner::{Check, Provisioner, ProvisionerPhase},
    reason::ReasonCode,
    revision::Revision,
    secret::SecretDocument,
};

use super::{
    TestStore,
    records::{a_provisioner, a_user, after, an_organization},
};

pub async fn stored_records_are_visible(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (user, _) = replica.user(&organization).await;
    let (provisioner, revision) = replica.provisioner(&user).await;
    let entry = replica.catalog.provisioner(provisioner.id).unwrap().provisioner;
    assert_eq!((&entry.record, entry.revision), (&provisioner, revision));

    let changed = Provisioner {
        name: ResourceName::try_from("GKE").unwrap(),
        parameters: Document::from_stored(r#"{"zone":"a","nested":{"list":[1,2,null]}}"#).unwrap(),
        check: Check {
            phase: ProvisionerPhase::NotReachable,
            code: Some(ReasonCode::ProviderUnreachable),
            reason: "nothing answers".into(),
            at: after(5),
        },
        state_changed_at: after(5),
        ..provisioner
    };
    let next = replica.provisioners.update(&changed, SecretUpdate::Keep, revision).await.unwrap();
    let entry = replica.catalog.provisioner(changed.id).unwrap().provisioner;
    assert_eq!((&entry.record, entry.revision), (&changed, next));

    replica.provisioners.delete(changed.id, next).await.unwrap();
    assert!(replica.catalog.provisioner(changed.id).is_none());
}

pub async fn a_stale_revision_is_a_conflict(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (user, _) = replica.user(&organization).await;
    let (provisioner, first) = replica.provisioner(&user).await;
    replica.provisioners.update(&provisioner, SecretUpdate::Keep, first).await.unwrap();
    let late = SecretUpdate::Set(SecretDocument::new("{}".into()));
    let update = replica.provisioners.update(&provisioner, late, first).await;
    assert!(matches!(update, Err(StoreError::Conflict)), "{update:?}");
    assert!(replica.provisioners.secrets(provisioner.id).await.unwrap().is_none());
    let delete = replica.provisioners.delete(provisioner.id, first).await;
    assert!(matches!(delete, Err(StoreError::Conflict)), "{delete:?}");
}

pub async fn a_missing_record_is_reported(site: TestStore) {
    let replica = site.open().await;
    let provisioner = a_provisioner(&a_user(an_organization().id));
    let update = replica.provisioners.update(&provisioner, SecretUpdate::Keep, Revision(1)).await;
    assert!(matches!(update, Err(StoreError::Missing)), "{update:?}");
    let delete = replica.provisioners.delete(provisioner.id, Revision(1)).await;
    assert!(matches!(delete, Err(StoreError::Missing)), "{delete:?}");
    assert!(replica.provisioners.secrets(provisioner.id).await.unwrap().is_none());
}

pub async fn references_must_exist(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (user, _) = replica.user(&organization).await;
    let dangling = Provisioner { organization: OrganizationId::random(), ..a_provisioner(&user) };
    let created = replica.provisioners.create(&dangling, SecretUpdate::Keep, None).await;
    assert!(matches!(created, Err(StoreError::Dangling { field: "organization" })), "{created:?}");
    let orphan = Provisioner { owner: UserId::random(), ..a_provisioner(&user) };
    let created = replica.provisioners.create(&orphan, SecretUpdate::Keep, None).await;
    assert!(matches!(created, Err(StoreError::Dangling { field: "owner" })), "{created:?}");
    let (provisioner, revision) = replica.provisioner(&user).await;
    let given_away = Provisioner { owner: UserId::random(), ..provisioner };
    let updated = replica.provisioners.update(&given_away, SecretUpdate::Keep, revision).await;
    assert!(matches!(updated, Err(StoreError::Dangling { field: "owner" })), "{updated:?}");
}

pub async fn secrets_are_kept_set_and_removed(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (user, _) = replica.user(&organization).await;
    let provisioner = a_provisioner(&user);
    let secret = SecretUpdate::Set(SecretDocument::new(r#"{"token":"t"}"#.into()));
    let created = replica.provisioners.create(&provisioner, secret, None).await.unwrap();
    let Creation::New(revision) = created else { panic!("the key was used before") };
    let read = || async { replica.provisioners.secrets(provisioner.id).await.unwrap().map(|s| s.expose().to_owned()) };
    assert_eq!(read().await.as_deref(), Some(r#"{"token":"t"}"#));
    let revision = replica.provisioners.update(&provisioner, SecretUpdate::Keep, revision).await.unwrap();
    assert_eq!(read().await.as_deref(), Some(r#"{"token":"t"}"#));
    let revision = replica.provisioners.update(&provisioner, SecretUpdate::Remove, revision).await.unwrap();
    assert_eq!(read().await, None);
    let secret = SecretUpdate::Set(SecretDocument::new("{}".into()));
    let revision = replica.provisioners.update(&provisioner, secret, revision).await.unwrap();
    assert_eq!(read().await.as_deref(), Some("{}"));
    replica.provisioners.delete(provisioner.id, revision).await.unwrap();
    assert_eq!(read().await, None);
}

pub async fn ownership_can_be_transferred(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (ann, ann_revision) = replica.user(&organization).await;
    let (bob, bob_revision) = replica.user(&organization).await;
    let (provisioner, revision) = replica.provisioner(&ann).await;
    let given = Provisioner { owner: bob.id, ..provisioner };
    replica.provisioners.update(&given, SecretUpdate::Keep, revision).await.unwrap();
    replica.users.delete(ann.id, ann_revision, None).await.unwrap();
    let delete = replica.users.delete(bob.id, bob_revision, None).await;
    assert!(matches!(delete, Err(StoreError::InUse)), "{delete:?}");
}

pub async fn in_use_cannot_be_deleted(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (user, _) = replica.user(&organization).await;
    let (provisioner, revision) = replica.provisioner(&user).await;
    let (cluster, cluster_revision) = replica.cluster(&provisioner).await;
    let delete = replica.provisioners.delete(provisioner.id, revision).await;
    assert!(matches!(delete, Err(StoreError::InUse)), "{delete:?}");
    replica.remove(cluster.id, cluster_revision).await.unwrap();
    replica.provisioners.delete(provisioner.id, revision).await.unwrap();
}

pub async fn engine_and_organization_never_change(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (other, _) = replica.organization().await;
    let (user, _) = replica.user(&organization).await;
    let (provisioner, revision) = replica.provisioner(&user).await;
    let moved = Provisioner { organization: other.id, engine: "another".into(), ..provisioner.clone() };
    let revision = replica.provisioners.update(&moved, SecretUpdate::Keep, revision).await.unwrap();
    let entry = replica.catalog.provisioner(provisioner.id).unwrap().provisioner;
    assert_eq!((&entry.record, entry.revision), (&provisioner, revision));
}
